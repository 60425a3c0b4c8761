// Package retention ends things in time: it plans when each event is blocked and deleted,
// announces deletions, blocks and deletes what is due, keeps what is on hold, and says what
// is left.
//
// Blocking has three steps, each of which can be cut off anywhere. Prepare seals records
// while the event is still open, and holds no lock; Commit destroys the working key in one
// small transaction, if nothing was written since; CleanUp deletes the dead rows. Deleting
// destroys keys first, and an open event is blocked for it, with nothing kept. Start at
// Store.Run, then at block.go.
package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Store blocks, deletes and holds.
type Store struct {
	Holds    *Holds
	Upstream *Upstream

	pool    *sqlx.DB
	events  *events.Store
	vault   *vault.Store
	people  *people.Store
	reader  *reader.Store
	exports *export.Store
	ledger  *ledger.Store
	secrets *seal.Keyring
	policy  *attendees.Policy
	now     func() time.Time
}

// New makes a store on those below it.
func New(
	pool *sqlx.DB, e *events.Store, v *vault.Store, p *people.Store, r *reader.Store, x *export.Store, l *ledger.Store,
	secrets *seal.Keyring, policy *attendees.Policy, now func() time.Time,
) *Store {
	s := &Store{pool: pool, events: e, vault: v, people: p, reader: r, exports: x, ledger: l, secrets: secrets, policy: policy, now: now}
	s.Holds, s.Upstream = &Holds{s}, &Upstream{s}
	return s
}

const (
	started db.Mark = "blocking started"
	swept   db.Mark = "swept" // when a run last came by
)

// ErrNotStarted says that nobody has allowed the first blocking of this installation.
var ErrNotStarted = errors.New("blocking has not been started: link the forms of past events first, then `lethe retention start`")

// Start allows the first blocking of this installation, once.
func (s *Store) Start(ctx context.Context) error {
	since, err := s.Started(ctx)
	if err != nil || !since.IsZero() {
		return err
	}
	return db.SetMark(ctx, s.pool, started, "", s.now())
}

// Started tells since when blocking is allowed; the zero time: it is not.
func (s *Store) Started(ctx context.Context) (time.Time, error) {
	_, at, err := db.Marked(ctx, s.pool, started)
	return at, err
}

// NotYetError says why an event is not blocked, or not deleted, yet.
type NotYetError struct {
	Event attendees.EventID
	Why   string
}

func (e *NotYetError) Error() string { return fmt.Sprintf("event %s %s", e.Event, e.Why) }

// HeldError says that a legal hold is active, so that nothing may be deleted.
type HeldError struct{ What string }

func (e *HeldError) Error() string {
	return e.What + " is on legal hold: nothing is deleted until the hold is released (GDPR Art. 17(3)(e)). `lethe hold list` shows it"
}

// sourcesFor is how long an event whose sources fail waits before it is blocked as it is.
const sourcesFor = 7 * 24 * time.Hour

// mayEnd is nil where an event may be blocked now, or deleted where its delete date has come.
func (s *Store) mayEnd(ctx context.Context, q db.Queryer, e events.Event) error {
	begun, err := s.Started(ctx)
	leaves := e.Expired(s.now())
	switch {
	case err != nil:
		return err
	case !leaves && e.State != attendees.Open:
		return fmt.Errorf("event %s is %s already", e.ID, e.State)
	case !leaves && !e.Past(s.now()):
		return &NotYetError{e.ID, fmt.Sprintf("is to be blocked on %s, not before", e.BlockOn)}
	case begun.IsZero():
		return ErrNotStarted
	case leaves && e.Held:
		return &HeldError{"event " + string(e.ID)}
	case leaves:
		_, last, err := s.ledger.Head(ctx, q)
		if err == nil && s.now().Before(last) {
			err = ledger.ErrClock // what cannot be recorded is not begun
		}
		return err
	}
	if err := s.vault.Sealable(); err != nil {
		return err
	}
	sources, err := s.events.SourcesOf(ctx, q, e)
	if err != nil || sources.Dry {
		return err
	}
	seen := time.Date(e.FirstSeenOn.Year, e.FirstSeenOn.Month, e.FirstSeenOn.Day, 0, 0, 0, 0, time.UTC)
	until := slices.MaxFunc([]time.Time{e.BlockedFrom(), begun, seen}, time.Time.Compare).Add(sourcesFor)
	switch {
	case !s.now().Before(until):
		return nil
	case sources.Failing.IsZero():
		return &NotYetError{e.ID, "has not been read to the end yet: it is blocked once it is"}
	}
	return &NotYetError{e.ID, fmt.Sprintf("waits for a source that fails: it is blocked as it is on %s", until.UTC().Format("2 January 2006"))}
}

// waits tells an event that waits from one that failed.
func waits(err error) bool {
	return errors.As(err, new(*NotYetError)) || errors.As(err, new(*HeldError)) || errors.Is(err, ErrNotStarted) || errors.Is(err, ErrChanged) ||
		errors.Is(err, seal.ErrNoOfficer) || errors.Is(err, ledger.ErrClock)
}

// write does something about one event in a transaction that has its row.
func (s *Store) write(ctx context.Context, id attendees.EventID, do func(tx db.Tx, e events.Event) error) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, id)
		if err != nil {
			return err
		}
		return do(tx, e)
	})
}

// record enters into the ledger what was done about an event.
func (s *Store) record(ctx context.Context, tx db.Tx, e events.Event, entry ledger.Entry) error {
	entry.Event = string(e.ID)
	_, err := s.ledger.Record(ctx, tx, entry)
	return err
}

// KeyedID is how the ledger knows a registration: by commitments to this hash.
func (s *Store) KeyedID(id attendees.AttendeeID) []byte { return s.KeyedIDs(id)[0] }

// KeyedIDs are its hashes under all secrets, the newest first, to find what an older one wrote.
func (s *Store) KeyedIDs(id attendees.AttendeeID) (all [][]byte) {
	for _, h := range s.secrets.AllHashes() {
		key := h.Registration("", string(attendees.Eventbrite), string(id))
		all = append(all, key[:])
	}
	return all
}

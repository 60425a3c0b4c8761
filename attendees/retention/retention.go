// Package retention ends things in time: it plans when each event is blocked and deleted,
// announces deletions, blocks and deletes what is due, keeps what is on hold, and says what
// is left.
//
// Blocking has three steps, each of which can be cut off anywhere. Prepare seals records
// while the event is still open, and holds no lock; Commit destroys the working key in one
// small transaction, if nothing was written since; CleanUp deletes the dead rows. Deleting
// destroys keys first. Start at Store.Run, then at block.go.
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
func New(pool *sqlx.DB, e *events.Store, v *vault.Store, p *people.Store, r *reader.Store, x *export.Store, l *ledger.Store, secrets *seal.Keyring, policy *attendees.Policy, now func() time.Time) *Store {
	s := &Store{pool: pool, events: e, vault: v, people: p, reader: r, exports: x, ledger: l, secrets: secrets, policy: policy, now: now}
	s.Holds, s.Upstream = &Holds{s}, &Upstream{s}
	return s
}

const (
	started   db.Mark = "blocking started"
	announced db.Mark = "announced" // the latest run that announced deletions; its value is since when there was one every day
	recorded  db.Mark = "run recorded"
	swept     db.Mark = "swept"
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

// TooEarlyError says that the day has not come.
type TooEarlyError struct {
	Event attendees.EventID
	What  string
	On    attendees.Date
}

func (e *TooEarlyError) Error() string {
	return fmt.Sprintf("event %s is to be %s on %s, not before", e.Event, e.What, e.On)
}

// HeldError says that a legal hold is active, so that nothing may be deleted.
type HeldError struct{ What string }

func (e *HeldError) Error() string {
	return e.What + " is on legal hold: nothing is deleted until the hold is released (GDPR Art. 17(3)(e)). `lethe hold list` shows it"
}

// Done is what a run did, or would do.
type Done struct {
	Blocked, Deleted   []attendees.EventID
	People             int // who were deleted
	Waiting            []Waiting
	Peppers, Unmatched int
	Fuse               *FuseError // nothing was deleted: far more would have been than was announced
}

// Waiting is an event that is past its block date and not blocked.
type Waiting struct {
	Event attendees.EventID
	Why   error
}

// Run blocks what is due and deletes what was announced. One event that fails stops no other;
// the error names all that failed.
func (s *Store) Run(ctx context.Context) (Done, error) {
	return s.doRun(ctx, func(plan Plan) ([]Planned, error) { return s.Announce(ctx, plan) })
}

// RunNow is Run while somebody looks: what is due need not have been announced, unless it is
// far more than was. accept is the hash of a plan for which that is right; empty: none.
func (s *Store) RunNow(ctx context.Context, accept string) (Done, error) {
	return s.doRun(ctx, func(plan Plan) ([]Planned, error) {
		if accept != "" && accept != plan.Hash() {
			return nil, fmt.Errorf("the plan is %s now, not %s: look at it again with `lethe retention plan`", plan.Hash(), accept)
		}
		due := plan.dueToDelete(s.now())
		fuse, _, err := s.fuse(ctx, s.pool, plan, due)
		if err == nil && fuse != nil && accept == "" {
			err = fuse
		}
		if err != nil {
			return nil, err
		}
		return due, nil
	})
}

// Forecast tells what RunNow would do now. It writes nothing.
func (s *Store) Forecast(ctx context.Context) (would Done, err error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return would, err
	}
	for _, e := range plan.Events {
		switch {
		case e.DueToBlock(s.now()):
			would.Blocked = append(would.Blocked, e.ID)
		case e.Waits != nil:
			would.Waiting = append(would.Waiting, Waiting{e.ID, e.Waits})
		}
	}
	due := plan.dueToDelete(s.now())
	for _, e := range due {
		would.Deleted, would.People = append(would.Deleted, e.ID), would.People+e.People-e.Staying.all()
	}
	would.Fuse, _, err = s.fuse(ctx, s.pool, plan, due)
	return would, err
}

func (s *Store) doRun(ctx context.Context, ready func(Plan) ([]Planned, error)) (done Done, err error) {
	if err := s.CheckClock(ctx); err != nil {
		return done, err
	}
	if _, err := s.events.Replan(ctx); err != nil {
		return done, err
	}
	if err := s.Holds.end(ctx); err != nil {
		return done, err
	}
	plan, err := s.Plan(ctx)
	if err != nil {
		return done, err
	}
	var failed []error
	for _, e := range plan.Events {
		switch {
		case e.DueToBlock(s.now()):
			err := s.Block(ctx, e.ID)
			switch {
			case err == nil:
				done.Blocked = append(done.Blocked, e.ID)
			case waits(err):
				done.Waiting = append(done.Waiting, Waiting{e.ID, err})
			default:
				failed = append(failed, err)
			}
		case e.Waits != nil:
			done.Waiting = append(done.Waiting, Waiting{e.ID, e.Waits})
		case e.State == attendees.Open:
			n, err := s.people.DropUnmatched(ctx, e.ID)
			done.Unmatched += n
			failed = append(failed, err)
		}
	}
	due, err := ready(plan)
	if !errors.As(err, &done.Fuse) {
		failed = append(failed, err)
	}
	for _, e := range plan.Events {
		if e.Leaving && !slices.ContainsFunc(due, func(d Planned) bool { return d.Key == e.Key }) {
			due = append(due, e) // its deletion was cut off
		}
	}
	for _, e := range due {
		n, err := s.Delete(ctx, e.ID)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		done.Deleted, done.People = append(done.Deleted, e.ID), done.People+n
	}
	done.Peppers, err = s.Tidy(ctx)
	failed = append(failed, err, s.record(ctx, done))
	return done, errors.Join(failed...)
}

// Tidy does what is left besides blocking and deleting: it resumes cleaning up, and ends what
// ends by time. It returns of how many events no half opens any more.
func (s *Store) Tidy(ctx context.Context) (peppers int, err error) {
	var failed []error
	all, err := s.events.List(ctx)
	for _, e := range all {
		if e.State == attendees.Blocked && !e.Cleaned {
			failed = append(failed, s.CleanUp(ctx, e.ID))
		}
	}
	peppers, ended := s.endPeppers(ctx)
	_, asked := s.Upstream.Due(ctx)
	failed = append(failed, err, ended, asked, s.people.Sweep(ctx), s.pruneOpenings(ctx), s.vault.Rewrite(ctx))
	return peppers, errors.Join(failed...)
}

// idleEvery is how often a run that did nothing is recorded: that it came by is worth a
// line a day.
const idleEvery = 24 * time.Hour

// record notes that a run came by, and what it did.
func (s *Store) record(ctx context.Context, done Done) error {
	if err := db.SetMark(ctx, s.pool, swept, "", s.now()); err != nil {
		return err
	}
	_, last, err := db.Marked(ctx, s.pool, recorded)
	if err != nil || len(done.Blocked)+len(done.Deleted)+done.Peppers == 0 && s.now().Sub(last) < idleEvery {
		return err
	}
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		_, err := s.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.Run, Counts: map[string]int64{
			"block": int64(len(done.Blocked)), "delete": int64(len(done.Deleted)), "halves": int64(done.Peppers),
		}})
		if err != nil {
			return err
		}
		return db.SetMark(ctx, tx, recorded, "", s.now())
	})
}

// endPeppers closes people's own halves of events that were blocked longer ago than the
// policy lets them open: mailboxes get new owners.
func (s *Store) endPeppers(ctx context.Context) (n int, err error) {
	all, err := s.events.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		if e.State != attendees.Blocked || e.BlockedAt == nil || s.now().Before(e.BlockedAt.AddDate(0, s.policy.PersonOpensMonths, 0)) {
			continue
		}
		err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
			var open bool
			if err := db.Get(ctx, tx, &open, `select exists (select from keys where event_id = $1 and pepper is not null)`, e.Key); err != nil || !open {
				return err
			}
			e, err := s.events.WriteOne(ctx, tx, e.ID)
			if err != nil {
				return err
			}
			n++
			if err := s.vault.EndPeppers(ctx, tx, reader.Ref(e)); err != nil {
				return err
			}
			_, err = s.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.HalvesDropped, Event: string(e.ID)})
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// pruneOpenings drops openings of ledger entries that are older than the policy's evidence
// years: from then on nobody can show who an entry was about. Those of active holds stay.
func (s *Store) pruneOpenings(ctx context.Context) (err error) {
	defer db.Wrap(&err, "prune openings")
	before := attendees.DateOf(s.now().UTC()).AddYears(-s.policy.EvidenceYears).String()
	_, err = db.Exec(ctx, s.pool, `
		delete from openings o
		using ledger_entries l
		where l.index = o.index
		  and substring(l.leaf from '"at":"([^"]{10})') < $1
		  and not exists (select from holds h where h.entry = o.index and h.released_at is null)`, before)
	return err
}

// KeyedID is how the ledger knows a registration: by commitments to this hash.
func (s *Store) KeyedID(id attendees.AttendeeID) []byte {
	key := s.secrets.AllHashes()[0].Registration("", string(attendees.Eventbrite), string(id))
	return key[:]
}

// KeyedIDs are its hashes under all secrets, to find what an older one wrote.
func (s *Store) KeyedIDs(id attendees.AttendeeID) (all [][]byte) {
	for _, h := range s.secrets.AllHashes() {
		key := h.Registration("", string(attendees.Eventbrite), string(id))
		all = append(all, key[:])
	}
	return all
}

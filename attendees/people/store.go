// Package people stores what comes in about attendees: registrations, responses and
// corrections, each a sealed layer. It matches responses to attendees, tells holders of a
// ticket apart, follows tickets to other events, and restricts and erases.
//
// There is one write path, package sheet. What was decided about somebody before (erased,
// restricted, held, withdrawn) lies in bars, which it reads; it asks nothing of what happens
// later in an event's life.
//
// Start at Store.SaveRegistrations and Store.SaveResponses.
package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Store keeps people.
type Store struct {
	pool    *sqlx.DB
	events  *events.Store
	reader  *reader.Store
	secrets *seal.Keyring
	policy  *attendees.Policy
	now     func() time.Time
	desk    *sheet.Desk
}

// New makes a store of people.
func New(pool *sqlx.DB, e *events.Store, v *vault.Store, r *reader.Store, secrets *seal.Keyring, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{pool, e, r, secrets, policy, now, &sheet.Desk{Events: e, Vault: v, Secrets: secrets, Policy: policy, Now: now}}
}

// Saved is what became of one batch.
type Saved struct {
	New, Changed, Same int
	Barred             int // erased before: they stay out
	Skipped            int // of events that store nothing any more, or that are not known
	HandedOver, Moved  int
	Unmatched          int // responses
	// Unsaid counts readings of responses that would have taken a yes away.
	Unsaid int
}

// Handful is how many changes of a kind are believed without asking: the smaller of 20 and
// 5 %, at least 3.
func Handful(of int) int { return max(3, min(20, of/20)) }

// ErrAttendee says that there is no such attendee.
var ErrAttendee = errors.New("there is no such attendee")

// UnsaidError says that readings of a form would have taken more than a handful of
// agreements away: nothing of it is stored, and staff are asked.
type UnsaidError struct {
	Form attendees.FormID
	N    int
}

func (e *UnsaidError) Error() string {
	return fmt.Sprintf("form %s comes without %d agreements that were given before, so it is not read any further: look at its questions", e.Form, e.N)
}

// Registration is the key of a registration's first holder in an event.
func (s *Store) Registration(e events.Event, id attendees.AttendeeID) (uuid.UUID, error) {
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return uuid.Nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return h.Registration(string(e.ID), string(e.Source), string(id)), nil
}

// Find finds attendees by the source's id: the event, and the key of the present holder, or
// of the one that ID~N names, N counted from 1 for the first. It looks in every event that
// is not deleted.
func (s *Store) Find(ctx context.Context, q db.Queryer, id attendees.AttendeeID) (e events.Event, key uuid.UUID, err error) {
	defer db.Wrap(&err, "find an attendee")
	all, err := s.events.List(ctx)
	if err != nil {
		return e, key, err
	}
	bare, nth := cutHolder(id)
	var found []struct {
		Event uuid.UUID `db:"event_id"`
		ID    uuid.UUID `db:"id"`
	}
	var lows, highs []uuid.UUID
	byKey := map[uuid.UUID]events.Event{}
	for _, e := range all {
		if e.State == attendees.Deleted {
			continue
		}
		base, err := s.Registration(e, bare)
		if err != nil {
			return e, key, err
		}
		byKey[e.Key] = e
		lows, highs = append(lows, base), append(highs, seal.Holder(base, seal.MaxHolder))
	}
	err = db.Select(ctx, q, &found, `
		select a.event_id, a.id
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		cross join lateral (
			select id, event_id, standing from attendees where id between w.low and w.high order by id limit 256
		) as a
		order by a.standing = 'gone', a.id desc`, sheet.Texts(lows), sheet.Texts(highs))
	if err != nil {
		return e, key, err
	}
	for _, f := range found {
		if _, number := seal.HolderOf(f.ID); nth < 0 || number == nth {
			return byKey[f.Event], f.ID, nil
		}
	}
	return e, key, ErrAttendee
}

// Hold says whether a hold on an attendee is active, for a caller who has the event's row in
// tx: nothing leaves their layers meanwhile.
func (s *Store) Hold(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, held bool) (err error) {
	defer db.Wrap(&err, "hold an attendee of event %s", e.ID)
	if held {
		return s.desk.SetBar(ctx, tx, e, sheet.Bar{Hash: id, What: sheet.Held})
	}
	return s.desk.LiftBar(ctx, tx, e, id, sheet.Held)
}

// SetBar decides something about somebody, here or not, for a caller who has the event's row
// in tx. The zero Event: in all events.
func (s *Store) SetBar(ctx context.Context, tx db.Tx, e events.Event, b sheet.Bar) (err error) {
	defer db.Wrap(&err, "set a bar in event %s", e.ID)
	return s.desk.SetBar(ctx, tx, e, b)
}

// SealIDs seals ids at a source under the text subkey, for a task or for deletion there.
func (s *Store) SealIDs(event uuid.UUID, ids string) []byte { return s.desk.SealIDs(event, ids) }

// OpenIDs opens what SealIDs sealed.
func (s *Store) OpenIDs(event uuid.UUID, sealed []byte) (string, error) {
	return s.desk.OpenIDs(event, sealed)
}

// HolderID names a former holder of a ticket, numbered from 0: 5001~1 is the first.
func HolderID(id attendees.AttendeeID, holder int) attendees.AttendeeID {
	return attendees.AttendeeID(fmt.Sprintf("%s~%d", id, holder+1))
}

// cutHolder takes an attendee's id apart: 5001~1 is the first holder of ticket 5001; nth is
// counted from 0 and negative for the present holder.
func cutHolder(id attendees.AttendeeID) (bare attendees.AttendeeID, nth int) {
	i := strings.LastIndexByte(string(id), '~')
	if i <= 0 {
		return id, -1
	}
	n, err := strconv.ParseUint(string(id[i+1:]), 10, 8)
	if err != nil || n == 0 {
		return id, -1
	}
	return id[:i], int(n) - 1
}

// Sweep drops markers of removed rows that are older than a day, whatever event they are of,
// and copies of responses that staff have matched in another event since. It is for the night.
func (s *Store) Sweep(ctx context.Context) (err error) {
	defer db.Wrap(&err, "sweep")
	_, err = db.Exec(ctx, s.pool, `delete from removed where removed_on < $1::date`, attendees.DateOf(s.now().UTC()).AddDays(-1).String())
	if err != nil {
		return err
	}
	return s.dropCopies(ctx)
}

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
	"iter"
	"maps"
	"slices"
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
	Skipped            int // of events that store nothing any more, or that are not known; responses to such an event
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

// Registration is the key of a registration's first holder in an event.
func (s *Store) Registration(e events.Event, id attendees.AttendeeID) (uuid.UUID, error) {
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return uuid.Nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return h.Registration(string(e.ID), string(e.Source), string(id)), nil
}

// holder is one holder of a registration, whose first holder has the key First.
type holder struct {
	First    uuid.UUID          `db:"first"`
	ID       uuid.UUID          `db:"id"`
	Event    uuid.UUID          `db:"event_id"`
	Standing attendees.Standing `db:"standing"`
}

// holders finds the holders of registrations by the keys of the first, those who have left
// last, the latest before the earlier ones.
func (s *Store) holders(ctx context.Context, q db.Queryer, firsts iter.Seq[uuid.UUID]) (all []holder, err error) {
	err = db.Select(ctx, q, &all, `
		select w.first, a.id, a.event_id, a.standing
		from unnest($1::uuid[]) as w (first)
		cross join lateral (
			select id, event_id, standing
			from attendees
			where id between w.first and overlay(w.first::text placing 'ff' from 35)::uuid
			order by id
			limit 256 -- see sheet.Load
		) as a
		order by a.standing = 'gone', a.id desc`, sheet.Texts(slices.Collect(firsts)))
	return all, err
}

// Find finds attendees by the source's id: the event, and the key of the present holder, or
// of the one that ID~N names, N counted from 1 for the first. It looks in every event that
// is not deleted.
func (s *Store) Find(ctx context.Context, q db.Queryer, id attendees.AttendeeID) (e events.Event, key uuid.UUID, err error) {
	defer db.Wrap(&err, "find an attendee")
	bare, nth := cutHolder(id)
	in, err := s.everywhere(ctx, bare)
	if err != nil {
		return e, key, err
	}
	found, err := s.holders(ctx, q, maps.Keys(in))
	if err != nil {
		return e, key, err
	}
	for _, f := range found {
		if _, number := seal.HolderOf(f.ID); nth < 0 || number == nth {
			return in[f.First].event, f.ID, nil
		}
	}
	return e, key, ErrAttendee
}

// place is a registration in an event.
type place struct {
	event events.Event
	id    attendees.AttendeeID
}

// everywhere are the keys that registrations' first holders have in each event that is not
// deleted.
func (s *Store) everywhere(ctx context.Context, ids ...attendees.AttendeeID) (map[uuid.UUID]place, error) {
	all, err := s.events.List(ctx)
	if err != nil {
		return nil, err
	}
	in := map[uuid.UUID]place{}
	for _, e := range all {
		if e.State == attendees.Deleted {
			continue
		}
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		for _, id := range ids {
			in[h.Registration(string(e.ID), string(e.Source), string(id))] = place{e, id}
		}
	}
	return in, nil
}

// Hold says whether a hold on an attendee is active, for a caller who has the event's row in
// tx: nothing leaves their layers meanwhile. It goes along where their ticket is moved to.
func (s *Store) Hold(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, held bool) (err error) {
	defer db.Wrap(&err, "hold an attendee of event %s", e.ID)
	if held {
		return s.desk.SetBar(ctx, tx, e, sheet.Bar{Hash: id, What: sheet.Held})
	}
	return s.desk.LiftBar(ctx, tx, e, id, sheet.Held)
}

// HeldAs are the keys under which a ticket is on hold, by event: more than one where it was
// moved meanwhile.
func (s *Store) HeldAs(ctx context.Context, q db.Queryer, id attendees.AttendeeID) (as map[uuid.UUID]events.Event, err error) {
	defer db.Wrap(&err, "find where an attendee is on hold")
	bare, _ := cutHolder(id)
	in, err := s.everywhere(ctx, bare)
	if err != nil {
		return nil, err
	}
	var held []uuid.UUID
	err = db.Select(ctx, q, &held, `
		select b.hash
		from unnest($1::uuid[]) as w (first)
		join bars b on b.hash between w.first and overlay(w.first::text placing 'ff' from 35)::uuid and b.what = 'held'`, sheet.Texts(slices.Collect(maps.Keys(in))))
	as = map[uuid.UUID]events.Event{}
	for _, key := range held {
		base, _ := seal.HolderOf(key)
		as[key] = in[base].event
	}
	return as, err
}

// SetBar decides something about somebody, here or not, for a caller who has the event's row
// in tx. The zero Event: in all events.
func (s *Store) SetBar(ctx context.Context, tx db.Tx, e events.Event, b sheet.Bar) (err error) {
	defer db.Wrap(&err, "set a bar in event %s", e.ID)
	return s.desk.SetBar(ctx, tx, e, b)
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

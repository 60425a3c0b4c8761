package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// What is what a bar decides.
type What string

// The bars.
const (
	BarErased     What = "erased"
	BarRestricted What = "restricted"
	BarHeld       What = "held"
	BarWithdrawn  What = "withdrawn"
)

// Bar is what is decided about one registration, or one response, in one event.
type Bar struct {
	// Hash is the key of the response, or of the attendee; of BarErased that of the
	// registration's first holder.
	Hash    uuid.UUID
	What    What
	Purpose attendees.PurposeName // of BarWithdrawn
	Reason  attendees.Reason      // of BarRestricted
	Waits   bool                  // it is for somebody who is not here yet
}

type bar struct {
	Hash    uuid.UUID             `db:"hash"`
	What    What                  `db:"what"`
	Purpose attendees.PurposeName `db:"purpose"`
	Reason  attendees.Reason      `db:"reason"`
	MadeOn  attendees.Date        `db:"made_on"`
}

// SetBar decides something about somebody, for a caller who has the event's row in tx.
func (s *Store) SetBar(ctx context.Context, tx db.Tx, e events.Event, b Bar) (err error) {
	defer db.Wrap(&err, "set a bar in event %s", e.ID)
	_, err = db.Exec(ctx, tx, `
		insert into bars (event_id, hash, what, purpose, reason, waits, made_on)
		values ($1, $2, $3, $4, $5, $6, $7::date)
		on conflict (hash, event_id, what, purpose) do update set reason = excluded.reason, waits = excluded.waits`,
		e.Key, b.Hash, b.What, b.Purpose, b.Reason, b.Waits, attendees.DateOf(s.now().UTC()).String())
	return err
}

// LiftBar takes a decision back, for a caller who has the event's row in tx.
func (s *Store) LiftBar(ctx context.Context, tx db.Tx, e events.Event, hash uuid.UUID, what What) (err error) {
	defer db.Wrap(&err, "lift a bar in event %s", e.ID)
	_, err = db.Exec(ctx, tx, `delete from bars where event_id = $1 and hash = $2 and what = $3`, e.Key, hash, what)
	return err
}

// loadBars loads what is decided about registrations or responses by their keys, and, where
// something is decided for all events, by their hashes there.
func (sh *sheet) loadBars(ctx context.Context, hashes []uuid.UUID, everywhere func(seal.Hashes) []uuid.UUID) error {
	for id := range sh.people { // later holders have bars of their own
		if _, number := seal.HolderOf(id); number > 0 {
			hashes = append(hashes, id)
		}
	}
	var rows []bar
	err := db.Select(ctx, sh.tx, &rows, `
		select hash, what, purpose, reason, made_on
		from bars
		where hash = any($1::uuid[]) and event_id = $2`, texts(hashes), sh.Key)
	if err != nil {
		return err
	}
	for _, b := range rows {
		sh.bars[b.Hash] = append(sh.bars[b.Hash], b)
	}
	if everywhere == nil {
		return nil
	}
	var all bool
	if err := db.Get(ctx, sh.tx, &all, `select exists (select from bars where event_id = $1)`, uuid.Nil); err != nil || !all {
		return err
	}
	for _, h := range sh.store.secrets.AllHashes() {
		global := everywhere(h)
		var rows []bar
		err := db.Select(ctx, sh.tx, &rows, `
			select hash, what, purpose, reason, made_on
			from bars
			where hash = any($1::uuid[]) and event_id = $2`, texts(global), uuid.Nil)
		if err != nil {
			return err
		}
		for _, b := range rows {
			here := hashes[slices.Index(global, b.Hash)]
			sh.bars[here] = append(sh.bars[here], b)
		}
	}
	return nil
}

// barred is what is decided about a registration or response of a kind.
func (sh *sheet) barred(hash uuid.UUID, what What) (b bar, ok bool) {
	i := slices.IndexFunc(sh.bars[hash], func(b bar) bool { return b.What == what })
	if i < 0 {
		return b, false
	}
	return sh.bars[hash][i], true
}

// withdrawn are the purposes whose consent an attendee has withdrawn.
func (sh *sheet) withdrawn(id uuid.UUID) (all []attendees.PurposeName) {
	for _, b := range sh.bars[id] {
		if b.What == BarWithdrawn {
			all = append(all, b.Purpose)
		}
	}
	return all
}

// isHeld tells whether a hold on the event or the attendee is active.
func (sh *sheet) isHeld(id uuid.UUID) bool {
	_, ok := sh.barred(id, BarHeld)
	return ok || sh.Held
}

// one loads an attendee with what is decided about them, for a caller who has the event's row
// in tx.
func (s *Store) one(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) (*sheet, *person, error) {
	sh, err := s.sheet(ctx, tx, e)
	if err != nil {
		return nil, nil, err
	}
	base, _ := seal.HolderOf(id)
	if err := sh.loadFor(ctx, []uuid.UUID{base}); err != nil {
		return nil, nil, err
	}
	if err := sh.loadBars(ctx, []uuid.UUID{base}, nil); err != nil {
		return nil, nil, err
	}
	p := sh.people[id]
	if p == nil {
		return nil, nil, fmt.Errorf("event %s: %w", e.ID, ErrAttendee)
	}
	return sh, p, nil
}

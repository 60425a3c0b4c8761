package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/seal"
)

// Hold is a legal hold: nothing is deleted or dropped while it is active (GDPR Art. 17(3)(e)).
// What it says of a person, and staff's words, are sealed as JSON.
type Hold struct {
	ID       int                  `json:"-" db:"id"`
	Event    attendees.EventID    `json:"-" db:"event"`
	Attendee attendees.AttendeeID `json:"attendee,omitempty" db:"-"` // empty: all of the event
	Key      uuid.UUID            `json:"-" db:"attendee_id"`        // the attendee's; zero, to add one: found by its id
	Reason   string               `json:"reason" db:"-"`
	Until    attendees.Date       `json:"-" db:"until"` // its last day; zero: until it is released
	By       string               `json:"-" db:"added_by"`
	AddedAt  time.Time            `json:"-" db:"added_at"`
	Entry    int64                `json:"-" db:"entry"` // the ledger's, by which it was added
	Sealed   []byte               `json:"-" db:"sealed"`
}

func holdPlace(event attendees.EventID) seal.Place {
	return seal.Place{Event: string(event), Key: "hold"}
}

// farthestWest is how long after UTC a day ends where it ends last.
const farthestWest = 12 * time.Hour

// HoldDay is the day by which holds end: one is active until its last day is over everywhere,
// whatever zone its event, this machine and the person who set it are in.
func HoldDay(now time.Time) attendees.Date { return attendees.DateOf(now.UTC().Add(-farthestWest)) }

// Holds keeps legal holds.
type Holds struct{ store *Store }

// Add puts a hold on an event, or, where attendee is given, on that attendee alone, and
// gives it its number.
func (s *Holds) Add(ctx context.Context, h Hold) (_ Hold, err error) {
	defer db.Wrap(&err, "add a hold")
	if h.Attendee != "" && h.Key == uuid.Nil {
		e, found, err := s.store.people.Find(ctx, s.store.pool, h.Attendee)
		if err != nil {
			return h, err
		}
		h.Event, h.Key = e.ID, found
	}
	text, err := json.Marshal(h)
	if err != nil {
		return h, err
	}
	h.AddedAt = s.store.now()
	err = s.store.write(ctx, h.Event, func(tx db.Tx, e events.Event) error {
		var begun bool
		if err := db.Get(ctx, tx, &begun, `select exists (select from deletions where event_id = $1)`, e.Key); err != nil {
			return err
		}
		if begun || e.State == attendees.Deleted {
			return fmt.Errorf("event %s is deleted: there is nothing left to hold", h.Event)
		}
		entry := ledger.Entry{Kind: ledger.HoldAdded, Event: string(e.ID)}
		if !h.Until.IsZero() {
			entry.Until = h.Until.String()
		}
		if err := s.record(ctx, tx, h, entry); err != nil {
			return err
		}
		if err := s.mark(ctx, tx, &e, h.Key, true); err != nil {
			return err
		}
		return db.Get(ctx, tx, &h.ID, `
			insert into holds (event_id, attendee_id, sealed, until, added_by, added_at, entry)
			values ($1, $2, $3, $4, $5, $6, (select max(index) from ledger_entries))
			returning id`, e.Key, h.Key, s.store.secrets.SealText(holdPlace(h.Event), text), h.Until, h.By, h.AddedAt)
	})
	return h, err
}

// record enters a hold, or its end, into the ledger.
func (s *Holds) record(ctx context.Context, tx db.Tx, h Hold, entry ledger.Entry) (err error) {
	if entry.Reason = h.Reason; h.Attendee != "" {
		return s.store.ledger.RecordPerson(ctx, tx, entry, s.store.KeyedID(h.Attendee))
	}
	_, err = s.store.ledger.Record(ctx, tx, entry)
	return err
}

// mark says whether an attendee of an event, or, where key is zero, the event is on hold.
func (s *Holds) mark(ctx context.Context, tx db.Tx, e *events.Event, key uuid.UUID, held bool) error {
	if key != uuid.Nil {
		return s.store.people.Hold(ctx, tx, *e, key, held)
	}
	e.Held = held
	return s.store.events.Hold(ctx, tx, *e, held)
}

// List lists the active holds, the oldest first.
func (s *Holds) List(ctx context.Context) (all []Hold, err error) {
	defer db.Wrap(&err, "list holds")
	err = db.Select(ctx, s.store.pool, &all, `
		select h.id, e.source_id as event, h.attendee_id, h.sealed, h.until, h.added_by, h.added_at, h.entry
		from holds h
		join events e on e.id = h.event_id
		where h.released_at is null
		order by h.id`)
	for i := range all {
		h := &all[i]
		text, err := s.store.secrets.OpenText(holdPlace(h.Event), h.Sealed)
		if err != nil || json.Unmarshal(text, h) != nil {
			return nil, errors.Join(fmt.Errorf("hold %d is damaged", h.ID), err)
		}
	}
	return all, err
}

// Release ends a hold: what it alone had kept is deleted.
func (s *Holds) Release(ctx context.Context, id int) (err error) {
	defer db.Wrap(&err, "release hold %d", id)
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(h Hold) bool { return h.ID == id })
	if i < 0 {
		return fmt.Errorf("it is not active: `lethe hold list` shows the active holds")
	}
	return s.release(ctx, all[i])
}

// end releases the holds whose last day is over.
func (s *Holds) end(ctx context.Context) error {
	all, err := s.List(ctx)
	for _, h := range all {
		if err == nil && !h.Until.IsZero() && h.Until.Before(HoldDay(s.store.now())) {
			err = s.release(ctx, h)
		}
	}
	return err
}

// release ends a hold, also where the attendee's ticket was moved to meanwhile.
func (s *Holds) release(ctx context.Context, h Hold) (err error) {
	var as map[uuid.UUID]events.Event
	if h.Attendee != "" {
		if as, err = s.store.people.HeldAs(ctx, s.store.pool, h.Attendee); err != nil {
			return err
		}
	}
	here := events.Key(attendees.Eventbrite, h.Event)
	keys := []uuid.UUID{here}
	for _, e := range as {
		keys = append(keys, e.Key)
	}
	var locked map[uuid.UUID]events.Event
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		if locked, err = s.store.events.Write(ctx, tx, keys...); err != nil {
			return err
		}
		n, err := db.Exec(ctx, tx, `update holds set released_at = $2 where id = $1 and released_at is null`, h.ID, s.store.now())
		if err != nil || n == 0 {
			return err
		}
		if err := s.record(ctx, tx, h, ledger.Entry{Kind: ledger.HoldEnded, Event: string(h.Event), Hold: h.Entry}); err != nil {
			return err
		}
		last, err := s.endOne(ctx, tx, locked[here], h.Key)
		for key, e := range as {
			if err == nil && last && key != h.Key {
				_, err = s.endOne(ctx, tx, locked[e.Key], key)
			}
		}
		return err
	})
	for _, e := range locked {
		if err == nil && e.State == attendees.Open {
			_, err = s.store.people.Renew(ctx, e.ID)
		}
	}
	return err
}

// endOne ends that an event, or an attendee of it, is on hold, where no hold is active any
// more; in a blocked one what only holds had kept is dropped.
func (s *Holds) endOne(ctx context.Context, tx db.Tx, e events.Event, key uuid.UUID) (last bool, err error) {
	err = db.Get(ctx, tx, &last, `
		select not exists (
			select from holds
			where event_id = $1 and attendee_id = $2 and released_at is null)`, e.Key, key)
	if err != nil || !last {
		return last, err
	}
	if err := s.mark(ctx, tx, &e, key, false); err != nil || e.State != attendees.Blocked {
		return true, err
	}
	n, err := s.store.settle(ctx, tx, e)
	if err != nil || n == 0 {
		return true, err
	}
	return true, s.store.record(ctx, tx, e, ledger.Entry{Kind: ledger.HoldDropped, Counts: map[string]int64{"dropped": n}})
}

// Active tells whether a hold on an event or on an attendee of it is active.
func (s *Holds) Active(ctx context.Context, q db.Queryer, e events.Event, attendee uuid.UUID) (held bool, err error) {
	if e.Held {
		return true, nil
	}
	err = db.Get(ctx, q, &held, `select exists (select from bars where event_id = $1 and hash = $2 and what = 'held')`, e.Key, attendee)
	return held, err
}

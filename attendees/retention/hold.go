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
type Hold struct {
	ID       int
	Event    attendees.EventID
	Attendee attendees.AttendeeID // empty: all of the event
	Key      uuid.UUID            // the attendee's; zero, to add one: found by its id
	Reason   string
	Until    attendees.Date // its last day; zero: until it is released
	By       string
	AddedAt  time.Time
}

// holdText is what a hold says of a person, and staff's words, as they are sealed.
type holdText struct {
	Attendee attendees.AttendeeID `json:"attendee,omitempty"`
	Reason   string               `json:"reason"`
}

// farthestWest is how long after UTC a day ends where it ends last.
const farthestWest = 12 * time.Hour

// HoldDay is the day by which holds end: one is active until its last day is over everywhere,
// whatever zone its event, this machine and the person who set it are in.
func HoldDay(now time.Time) attendees.Date { return attendees.DateOf(now.UTC().Add(-farthestWest)) }

func holdPlace(event uuid.UUID) seal.Place {
	return seal.Place{Event: event.String(), Key: "hold", Subject: event}
}

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
	h.AddedAt = s.store.now()
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		e, err := s.store.events.WriteOne(ctx, tx, h.Event)
		if err != nil {
			return err
		}
		var begun bool
		if err := db.Get(ctx, tx, &begun, `select exists (select from deletions where event_id = $1)`, e.Key); err != nil {
			return err
		}
		if begun || e.State == attendees.Deleted {
			return fmt.Errorf("event %s is deleted: there is nothing left to hold", h.Event)
		}
		return s.add(ctx, tx, e, &h)
	})
	return h, err
}

func (s *Holds) add(ctx context.Context, tx db.Tx, e events.Event, h *Hold) error {
	text, err := json.Marshal(holdText{h.Attendee, h.Reason})
	if err != nil {
		return err
	}
	entry := ledger.Entry{Kind: ledger.HoldAdded, Event: string(e.ID), Reason: h.Reason}
	if !h.Until.IsZero() {
		entry.Until = h.Until.String()
	}
	if h.Attendee != "" {
		err = s.store.ledger.RecordPerson(ctx, tx, entry, s.store.KeyedID(h.Attendee))
	} else {
		_, err = s.store.ledger.Record(ctx, tx, entry)
	}
	if err != nil {
		return err
	}
	var attendee any
	if h.Key != uuid.Nil {
		attendee = h.Key
		if err := s.store.people.Hold(ctx, tx, e, h.Key, true); err != nil {
			return err
		}
	} else if err := s.store.events.Hold(ctx, tx, e, true); err != nil {
		return err
	}
	return db.Get(ctx, tx, &h.ID, `
		insert into holds (event_id, attendee_id, sealed, until, added_by, added_at, entry)
		values ($1, $2, $3, $4, $5, $6, (select max(index) from ledger_entries))
		returning id`, e.Key, attendee, s.store.secrets.SealText(holdPlace(e.Key), text), h.Until, h.By, h.AddedAt)
}

type holdRow struct {
	ID       int               `db:"id"`
	Event    attendees.EventID `db:"event"`
	Key      uuid.UUID         `db:"event_id"`
	Attendee uuid.NullUUID     `db:"attendee_id"`
	Sealed   []byte            `db:"sealed"`
	Until    attendees.Date    `db:"until"`
	By       string            `db:"added_by"`
	AddedAt  time.Time         `db:"added_at"`
	Entry    *int64            `db:"entry"`
}

const holdColumns = `h.id, e.source_id as event, h.event_id, h.attendee_id, h.sealed, h.until, h.added_by, h.added_at, h.entry`

func (s *Holds) active(ctx context.Context, q db.Queryer) (rows []holdRow, err error) {
	err = db.Select(ctx, q, &rows, `
		select `+holdColumns+`
		from holds h
		join events e on e.id = h.event_id
		where h.released_at is null
		order by h.id`)
	return rows, err
}

// List lists the active holds, the oldest first.
func (s *Holds) List(ctx context.Context) (all []Hold, err error) {
	defer db.Wrap(&err, "list holds")
	rows, err := s.active(ctx, s.store.pool)
	for _, r := range rows {
		t, err := s.text(r)
		if err != nil {
			return nil, err
		}
		all = append(all, Hold{r.ID, r.Event, t.Attendee, r.Attendee.UUID, t.Reason, r.Until, r.By, r.AddedAt})
	}
	return all, err
}

// Release ends a hold: what it alone had kept is deleted.
func (s *Holds) Release(ctx context.Context, id int) (err error) {
	defer db.Wrap(&err, "release hold %d", id)
	rows, err := s.active(ctx, s.store.pool)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r holdRow) bool { return r.ID == id })
	if i < 0 {
		return fmt.Errorf("it is not active: `lethe hold list` shows the active holds")
	}
	return s.release(ctx, rows[i])
}

// endHolds releases the holds whose last day is over.
func (s *Holds) end(ctx context.Context) error {
	rows, err := s.active(ctx, s.store.pool)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !r.Until.IsZero() && r.Until.Before(HoldDay(s.store.now())) {
			if err := s.release(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// release ends a hold, also where the attendee's ticket was moved to meanwhile.
func (s *Holds) release(ctx context.Context, r holdRow) error {
	t, err := s.text(r)
	if err != nil {
		return err
	}
	as := map[uuid.UUID]events.Event{}
	if t.Attendee != "" {
		if as, err = s.store.people.HeldAs(ctx, s.store.pool, t.Attendee); err != nil {
			return err
		}
	}
	keys := []uuid.UUID{r.Key}
	for _, e := range as {
		keys = append(keys, e.Key)
	}
	var open []attendees.EventID
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		locked, err := s.store.events.Write(ctx, tx, keys...)
		if err != nil {
			return err
		}
		n, err := db.Exec(ctx, tx, `update holds set released_at = $2 where id = $1 and released_at is null`, r.ID, s.store.now())
		if err != nil || n == 0 {
			return err
		}
		if err := s.recordRelease(ctx, tx, r, t); err != nil {
			return err
		}
		last, err := s.endOne(ctx, tx, locked[r.Key], r.Attendee)
		for key, e := range as {
			if err == nil && last && key != r.Attendee.UUID {
				_, err = s.endOne(ctx, tx, locked[e.Key], uuid.NullUUID{UUID: key, Valid: true})
			}
		}
		for _, e := range locked {
			if e.State == attendees.Open {
				open = append(open, e.ID)
			}
		}
		return err
	})
	for _, event := range open {
		if err == nil {
			_, err = s.store.people.Renew(ctx, event)
		}
	}
	return err
}

// endOne ends that an event, or an attendee of it, is on hold, where no hold is active any more.
func (s *Holds) endOne(ctx context.Context, tx db.Tx, e events.Event, attendee uuid.NullUUID) (last bool, err error) {
	err = db.Get(ctx, tx, &last, `
		select not exists (
			select from holds
			where event_id = $1 and attendee_id is not distinct from $2 and released_at is null)`, e.Key, attendee)
	if err != nil || !last {
		return last, err
	}
	if attendee.Valid {
		err = s.store.people.Hold(ctx, tx, e, attendee.UUID, false)
	} else {
		e.Held, err = false, s.store.events.Hold(ctx, tx, e, false)
	}
	if err == nil && e.State == attendees.Blocked {
		err = s.dropHeld(ctx, tx, e)
	}
	return true, err
}

func (s *Holds) text(r holdRow) (t holdText, err error) {
	text, err := s.store.secrets.OpenText(holdPlace(r.Key), r.Sealed)
	if err != nil || json.Unmarshal(text, &t) != nil {
		return t, errors.Join(fmt.Errorf("hold %d is damaged", r.ID), err)
	}
	return t, nil
}

func (s *Holds) recordRelease(ctx context.Context, tx db.Tx, r holdRow, t holdText) error {
	entry := ledger.Entry{Kind: ledger.HoldEnded, Event: string(r.Event), Reason: t.Reason}
	if r.Entry != nil {
		entry.Hold = *r.Entry
	}
	if t.Attendee != "" {
		return s.store.ledger.RecordPerson(ctx, tx, entry, s.store.KeyedID(t.Attendee))
	}
	_, err := s.store.ledger.Record(ctx, tx, entry)
	return err
}

// dropHeld removes of a blocked event what only a hold had kept that has ended.
func (s *Holds) dropHeld(ctx context.Context, tx db.Tx, e events.Event) error {
	n, err := s.store.settle(ctx, tx, e)
	if err != nil || n == 0 {
		return err
	}
	_, err = s.store.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.HoldDropped, Event: string(e.ID), Counts: map[string]int64{"dropped": n}})
	return err
}

// Active tells whether a hold on an event or on an attendee of it is active.
func (s *Holds) Active(ctx context.Context, q db.Queryer, e events.Event, attendee uuid.UUID) (held bool, err error) {
	if e.Held {
		return true, nil
	}
	err = db.Get(ctx, q, &held, `select exists (select from bars where event_id = $1 and hash = $2 and what = 'held')`, e.Key, attendee)
	return held, err
}

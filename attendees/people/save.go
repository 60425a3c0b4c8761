package people

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/seal"
)

// Incoming is one registration, minimised.
type Incoming struct {
	Event attendees.EventID
	Layer attendees.Layer
}

// Batch is what a page of registrations comes to.
type Batch struct {
	Registrations []Incoming
	// Links are those that the registrations were minimised by. Where an event's own
	// questions are linked otherwise by now, the batch is refused with events.ErrRewound.
	Links []events.Link
	// Progress stores how far the source was read, in the same transaction; may be nil.
	Progress func(ctx context.Context, tx db.Tx) error
}

// SaveRegistrations stores registrations, in one transaction. Those of events that are not
// open, or not known, are skipped.
func (s *Store) SaveRegistrations(ctx context.Context, b Batch) (saved Saved, err error) {
	defer db.Wrap(&err, "save registrations")
	groups := map[attendees.EventID][]attendees.Layer{}
	var ids []attendees.EventID
	for _, r := range b.Registrations {
		if groups[r.Event] == nil {
			ids = append(ids, r.Event)
		}
		groups[r.Event] = append(groups[r.Event], r.Layer)
	}
	known, err := s.events.Known(ctx, s.pool, ids)
	if err != nil {
		return saved, err
	}
	before, err := s.elsewhere(ctx, known, groups)
	if err != nil {
		return saved, err
	}
	keys := make([]uuid.UUID, 0, len(known)+len(before))
	for _, e := range known {
		keys = append(keys, e.Key)
	}
	for _, m := range before {
		keys = append(keys, m.from)
	}
	found := 0
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		saved = Saved{}
		taken, err := s.take(ctx, tx, keys...)
		if err != nil {
			return err
		}
		for _, id := range ids {
			sh := taken[known[id].Key]
			if sh == nil || !sh.Event.Writable(s.now()) {
				saved.Skipped += len(groups[id])
				continue
			}
			if !slices.Equal(events.FieldLinks(sh.Links, id, attendees.EventbriteForm), events.FieldLinks(b.Links, id, attendees.EventbriteForm)) {
				return events.ErrRewound
			}
			if err := sh.LoadAround(ctx, groups[id]); err != nil {
				return err
			}
			for _, l := range groups[id] {
				if err := s.registration(ctx, sh, l, &saved); err != nil {
					return err
				}
			}
		}
		for _, m := range before {
			if err := s.move(ctx, taken, m, &saved); err != nil {
				return err
			}
		}
		if found, err = taken.flush(ctx); err != nil || b.Progress == nil {
			return err
		}
		return b.Progress(ctx, tx)
	})
	if err == nil && found > 0 {
		err = s.sweepWaiting(ctx, false)
	}
	return saved, err
}

// sheets are those of one transaction, which has their events' rows, by the events' keys.
type sheets map[uuid.UUID]*sheet.Sheet

// take takes the rows of events for a transaction that writes to them.
func (s *Store) take(ctx context.Context, tx db.Tx, keys ...uuid.UUID) (sheets, error) {
	locked, err := s.events.Write(ctx, tx, keys...)
	taken := sheets{}
	for key, e := range locked {
		if err == nil {
			taken[key], err = s.desk.Open(ctx, tx, e)
		}
	}
	return taken, err
}

// flush writes all sheets. found is how many waiting responses found their attendee.
func (taken sheets) flush(ctx context.Context) (found int, err error) {
	for _, sh := range taken {
		if err := sh.Flush(ctx); err != nil {
			return found, err
		}
		found += sh.Found
	}
	return found, nil
}

// registration takes one registration onto its event's sheet.
func (s *Store) registration(ctx context.Context, sh *sheet.Sheet, l attendees.Layer, saved *Saved) error {
	id, _ := l.Registration()
	base := sh.Base(id)
	if b, ok := sh.Barred(base, sheet.Erased); ok {
		saved.Barred++
		return s.changedAfter(ctx, sh, base, l, b)
	}
	p := sh.Present(base)
	if p == nil {
		saved.New++
		p = sh.Add(base, 0, l)
		if b, ok := sh.Barred(base, sheet.Restricted); ok {
			return sh.Restrict(ctx, p, b.Reason)
		}
		return nil
	}
	_, number := seal.HolderOf(p.ID)
	switch {
	case sh.IsAnother(p, l):
		saved.HandedOver++
		if sh.Leave(p); number < seal.MaxHolder { // a ticket that changed hands so often is not given on any more
			sh.Add(base, number+1, l.As(number+1, l.Changed()))
		}
	case p.State == attendees.Restricted, !sh.Set(p, l.As(number, heldSince(p, number))):
		saved.Same++
	default:
		saved.Changed++
	}
	return nil
}

// heldSince is when a later holder got the ticket. In a reopened event nobody can read it: what was
// submitted until the day they came is not taken for theirs.
func heldSince(p *sheet.Person, number int) time.Time {
	if d := p.CameOn; p.State == attendees.Blocked && number > 0 {
		return time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, time.UTC)
	}
	return p.Registration.HeldSince()
}

// changedAfter asks staff where an erased registration changed at its source since.
func (s *Store) changedAfter(ctx context.Context, sh *sheet.Sheet, base uuid.UUID, l attendees.Layer, b sheet.Bar) error {
	if !b.MadeOn.Before(attendees.DateOf(l.Changed())) {
		return nil
	}
	id, _ := l.Registration()
	return s.events.Tasks.Ask(ctx, sh.Tx, events.Task{
		Kind: events.TaskErased, Event: sh.Event.Key, Attendee: base, Count: 1, Sealed: s.SealIDs(sh.Event.Key, string(id)),
	})
}

package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
)

// Reading is what a page of a form's responses comes to: each response minimised by the
// links of each event that the form is linked to.
type Reading struct {
	Form attendees.FormID
	// Layers are the responses as each event's links have them.
	Layers map[attendees.EventID][]attendees.Layer
	// Links are those that they were minimised by. Where the form is linked otherwise by
	// now, the reading is refused with events.ErrRewound.
	Links []events.Link
	// Unsaid is how many readings of this run would have taken a yes away before this page.
	Unsaid int
	// Confirmed says that staff have looked at the form's questions: however many readings
	// lack their yes, each yes stays and the rest is stored.
	Confirmed bool
	// Progress stores how far the form was read, in the same transaction; may be nil.
	Progress func(ctx context.Context, tx db.Tx) error
}

// UnsaidError says that readings of a form would have taken more than a handful of
// agreements away: nothing of it is stored, and staff are asked.
type UnsaidError struct {
	Form attendees.FormID
	N    int
}

func (e *UnsaidError) Error() string {
	return fmt.Sprintf("form %s comes without %d agreements that were given before, so it is not read any further: look at its questions", e.Form, e.N)
}

// SaveResponses stores responses in each open event that their form is linked to, in one
// transaction. One that is matched in an event is stored in no other as unmatched. An
// *UnsaidError says that nothing was stored: too many agreements would have gone.
func (s *Store) SaveResponses(ctx context.Context, r Reading) (saved Saved, err error) {
	defer db.Wrap(&err, "save responses of form %s", r.Form)
	var p *pile
	err = db.InTx(ctx, s.pool, func(tx db.Tx) (err error) {
		saved = Saved{}
		if p, err = s.pile(ctx, tx, r); err != nil {
			return err
		}
		for _, sh := range p.open {
			if err := p.take(ctx, sh, &saved); err != nil {
				return err
			}
		}
		if saved.Unsaid = len(p.unsaid); saved.Unsaid > 0 && !r.Confirmed {
			if err := p.fewUnsaid(ctx); err != nil {
				return err
			}
		}
		p.settle(&saved)
		if _, err := p.flush(ctx); err != nil || r.Progress == nil {
			return err
		}
		return r.Progress(ctx, tx)
	})
	unsaid, ok := errors.AsType[*UnsaidError](err)
	if !ok {
		return saved, err
	}
	asked := db.InTx(ctx, s.pool, func(tx db.Tx) error {
		for _, sh := range p.open {
			if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskUnsaid, Event: sh.Event.Key, Form: r.Form, Count: unsaid.N}); err != nil {
				return err
			}
		}
		return nil
	})
	return Saved{Unsaid: unsaid.N - r.Unsaid}, errors.Join(err, asked)
}

// pile is a reading while it is stored.
type pile struct {
	Reading
	*desk
	open   []*sheet.Sheet // of the events that store it
	read   []reading
	homes  map[attendees.ResponseID]bool // those that found an attendee: whether one who has not left
	unsaid map[attendees.ResponseID]bool
	owned  map[attendees.ResponseID]bool // they belong to attendees of blocked events
	closed time.Time                     // when the last of the events that are not open was blocked
}

type reading struct {
	sheet  *sheet.Sheet
	answer *sheet.Answer
	id     attendees.ResponseID
}

// pile takes the rows of all events that a reading's form is linked to.
func (s *Store) pile(ctx context.Context, tx db.Tx, r Reading) (*pile, error) {
	var keys []uuid.UUID
	err := db.Select(ctx, tx, &keys, `select distinct event_id from links where form_id = $1 order by event_id`, r.Form)
	if err != nil {
		return nil, err
	}
	d, err := s.take(ctx, tx, keys...)
	if err != nil {
		return nil, err
	}
	p := &pile{Reading: r, desk: d, homes: map[attendees.ResponseID]bool{}, unsaid: map[attendees.ResponseID]bool{}, owned: map[attendees.ResponseID]bool{}}
	for _, key := range keys {
		sh, err := d.of(ctx, key)
		switch e := d.locked[key]; {
		case err != nil:
			return nil, err
		case sh != nil && !slices.Equal(events.FieldLinks(sh.Links, sh.Event.ID, r.Form), events.FieldLinks(r.Links, sh.Event.ID, r.Form)):
			return nil, events.ErrRewound
		case sh != nil:
			p.open = append(p.open, sh)
		case e.State != attendees.Open && e.BlockedAt != nil:
			if err := s.ownedBy(ctx, p, e); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// ownedBy finds the responses that belong to an attendee of an event that was blocked after
// they were submitted: they are readable in no other event that shares the form.
func (s *Store) ownedBy(ctx context.Context, p *pile, e events.Event) error {
	if p.closed.Before(*e.BlockedAt) {
		p.closed = *e.BlockedAt
	}
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	by := map[string][]attendees.ResponseID{} // key of the registration that it names, or index of its address
	var firsts []uuid.UUID
	var indexes pq.ByteaArray
	for _, layers := range p.Layers {
		for _, l := range layers {
			_, id := l.Response()
			index := h.Address(string(e.ID), l.Email().Reveal())
			switch {
			case !l.Submitted().Before(*e.BlockedAt):
			case l.Claims() != "":
				first := h.Registration(string(e.ID), string(e.Source), string(l.Claims()))
				firsts, by[string(first[:])] = append(firsts, first), append(by[string(first[:])], id)
			case len(index) > 0:
				indexes, by[string(index)] = append(indexes, index), append(by[string(index)], id)
			}
		}
	}
	found, err := s.holders(ctx, p.tx, firsts)
	if err != nil {
		return err
	}
	var hits [][]byte
	err = db.Select(ctx, p.tx, &hits, `select address_index from attendees where event_id = $1 and address_index = any($2)`, e.Key, indexes)
	for _, f := range found {
		hits = append(hits, f.First[:])
	}
	for _, hit := range hits {
		for _, id := range by[string(hit)] {
			p.owned[id] = true
		}
	}
	return err
}

// take takes the responses onto an event's sheet.
func (p *pile) take(ctx context.Context, sh *sheet.Sheet, saved *Saved) error {
	layers := p.Layers[sh.Event.ID]
	if err := sh.LoadAround(ctx, layers); err != nil {
		return err
	}
	asks := slices.ContainsFunc(events.FieldLinks(p.Links, sh.Event.ID, p.Form), func(f attendees.FieldLink) bool {
		return f.Field == attendees.Agreed || f.Field == attendees.Consented
	})
	for _, l := range layers {
		_, id := l.Response()
		key := sh.ResponseKey(l.Response())
		_, erased := sh.Barred(key, sheet.Erased)
		switch {
		case erased:
			saved.Barred++
			continue
		case sh.Answers[key] == nil && p.owned[id] && sh.Present(sh.Base(l.Claims())) == nil:
			saved.Skipped++
			continue
		}
		a, changed, took := sh.Read(l)
		if took && asks {
			p.unsaid[id] = true
		}
		if a.Attendee == nil && a.MatchedBy != sheet.ByHand {
			stays, err := sh.Place(ctx, a)
			if err != nil {
				return err
			}
			if !stays {
				saved.Barred++
				continue
			}
		}
		switch {
		case a.Fresh:
		case changed:
			saved.Changed++
		default:
			saved.Same++
		}
		p.read = append(p.read, reading{sh, a, id})
		if a.Attendee != nil {
			p.homes[id] = p.homes[id] || sh.People[*a.Attendee].Standing != attendees.Gone
		}
	}
	return nil
}

// settle drops what is somebody's in another event: what found its attendee in one event is
// unmatched in no other, and what is with somebody who has not left is with nobody who has.
// What was submitted before an event was blocked, and is nobody's in the others, may be of
// one of whom nothing was kept there.
func (p *pile) settle(saved *Saved) {
	for _, one := range p.read {
		a := one.answer
		attends, home := p.homes[one.id]
		switch {
		case a.Attendee != nil && (!a.Fresh || !attends || one.sheet.People[*a.Attendee].Standing != attendees.Gone):
			if a.Fresh {
				saved.New++
			}
		case home:
			one.sheet.Drop(a)
		case a.Fresh && a.Layer.Submitted().Before(p.closed) && one.sheet.Present(one.sheet.Base(a.Layer.Claims())) == nil:
			one.sheet.Drop(a)
			saved.Skipped++
		case a.Fresh:
			saved.New++
			saved.Unmatched++
		}
	}
}

// fewUnsaid is an *UnsaidError where more readings than a handful would have taken a yes away.
func (p *pile) fewUnsaid(ctx context.Context) error {
	size := 0
	for _, sh := range p.open {
		var attending int
		err := db.Get(ctx, p.tx, &attending, `select count(*) from attendees where event_id = $1 and standing = 'attending'`, sh.Event.Key)
		if err != nil {
			return err
		}
		size = max(size, attending)
	}
	if n := len(p.unsaid) + p.Unsaid; n > Handful(size) {
		return &UnsaidError{p.Form, n}
	}
	return nil
}

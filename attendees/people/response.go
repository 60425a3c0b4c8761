package people

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

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
		var keys []uuid.UUID
		err = db.Select(ctx, tx, &keys, `select distinct event_id from links where form_id = $1`, r.Form)
		if err != nil {
			return err
		}
		taken, err := s.take(ctx, tx, keys...)
		if err != nil {
			return err
		}
		if p, err = s.pile(r, taken); err != nil {
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
		if _, err := taken.flush(ctx); err != nil || r.Progress == nil {
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
	open, closed []*sheet.Sheet // of the events that store it, and of those that were blocked
	read         []reading
	homes        map[attendees.ResponseID]bool // those that found an attendee: whether one who has not left
	unsaid       map[attendees.ResponseID]bool
}

type reading struct {
	sheet  *sheet.Sheet
	answer *sheet.Answer
	id     attendees.ResponseID
}

// pile sorts the events that a reading's form is linked to.
func (s *Store) pile(r Reading, taken sheets) (*pile, error) {
	p := &pile{Reading: r, homes: map[attendees.ResponseID]bool{}, unsaid: map[attendees.ResponseID]bool{}}
	for _, sh := range taken {
		switch e := sh.Event; {
		case e.Writable(s.now()):
			if !slices.Equal(events.FieldLinks(sh.Links, e.ID, r.Form), events.FieldLinks(r.Links, e.ID, r.Form)) {
				return nil, events.ErrRewound
			}
			p.open = append(p.open, sh)
		case e.State != attendees.Open && e.BlockedAt != nil:
			p.closed = append(p.closed, sh)
		}
	}
	return p, nil
}

// before tells whether a response was submitted before one of the form's events was blocked,
// and whether it belongs to somebody there: it is readable in no other event then.
func (p *pile) before(l attendees.Layer) (before, owned bool) {
	for _, sh := range p.closed {
		if l.Submitted().Before(*sh.Event.BlockedAt) {
			before, owned = true, owned || sh.Knows(l)
		}
	}
	return before, owned
}

// take takes the responses onto an event's sheet.
func (p *pile) take(ctx context.Context, sh *sheet.Sheet, saved *Saved) error {
	layers := p.Layers[sh.Event.ID]
	for _, one := range append(p.closed, sh) {
		if err := one.LoadAround(ctx, layers); err != nil {
			return err
		}
	}
	asks := slices.ContainsFunc(events.FieldLinks(p.Links, sh.Event.ID, p.Form), func(f attendees.FieldLink) bool {
		return f.Field == attendees.Agreed || f.Field == attendees.Consented
	})
	for _, l := range layers {
		_, id := l.Response()
		key := sh.ResponseKey(l.Response())
		_, erased := sh.Bars(key).Of(sheet.Erased)
		_, owned := p.before(l)
		switch {
		case erased && (sh.Answers[key] == nil || sh.Answers[key].Attendee == nil): // else it is another ticket's here, too
			saved.Barred++
			continue
		case sh.Answers[key] == nil && owned && sh.Present(sh.Base(l.Claims())) == nil:
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
// What was submitted before an event was blocked, and is unmatched in the others, may have
// come from somebody who was dropped there.
func (p *pile) settle(saved *Saved) {
	for _, one := range p.read {
		a := one.answer
		attends, home := p.homes[one.id]
		before, _ := p.before(a.Layer)
		switch {
		case a.Attendee != nil && (!a.Fresh || !attends || one.sheet.People[*a.Attendee].Standing != attendees.Gone):
			if a.Fresh {
				saved.New++
			}
		case home:
			one.sheet.Drop(a)
		case a.Fresh && before && one.sheet.Present(one.sheet.Base(a.Layer.Claims())) == nil:
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
		err := db.Get(ctx, sh.Tx, &attending, `select count(*) from attendees where event_id = $1 and standing = 'attending'`, sh.Event.Key)
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

// ErrResponse says that there is no such response.
var ErrResponse = errors.New("there is no such response")

// Match gives a response to an attendee by hand, or, with the zero key, takes it from
// theirs, for a caller who has the event's row in tx. It is not judged again. Copies in other
// events of its form go with the next Sweep.
func (s *Store) Match(ctx context.Context, tx db.Tx, e events.Event, response, attendee uuid.UUID) (err error) {
	defer db.Wrap(&err, "match a response of event %s", e.ID)
	if e.State != attendees.Open {
		return &events.BlockedError{Event: e}
	}
	give := func(sh *sheet.Sheet, p *sheet.Person) error {
		if err := sh.LoadAnswers(ctx, response); err != nil {
			return err
		}
		a := sh.Answers[response]
		if a == nil || a.Attendee != nil && a.Layer.IsZero() {
			return ErrResponse
		}
		return sh.Give(ctx, a, p, sheet.ByHand)
	}
	return s.edit(ctx, tx, e, attendee, give)
}

// DropUnmatched removes responses of an open event that were unmatched for longer than the
// policy keeps them. A bar keeps each from coming back. Claims wait until the event is blocked.
func (s *Store) DropUnmatched(ctx context.Context, event attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "drop unmatched responses of event %s", event)
	before := attendees.DateOf(s.now().UTC()).AddDays(-s.policy.UnmatchedDays)
	err = s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
		if sh.Event.Held {
			return nil
		}
		old, err := sh.LoadWaiting(ctx, before)
		for _, a := range old {
			if err == nil {
				sh.Drop(a)
				err = sh.SetBar(ctx, sheet.Bar{Hash: a.ID, What: sheet.Erased})
			}
		}
		n = len(old)
		return err
	})
	return n, err
}

// Sweep drops markers of removed rows that are older than a day, whatever event they are of,
// and looks at the waiting responses of every open event again. It is for the night.
func (s *Store) Sweep(ctx context.Context) (err error) {
	defer db.Wrap(&err, "sweep")
	_, err = db.Exec(ctx, s.pool, `delete from removed where removed_on < $1::date`, attendees.DateOf(s.now().UTC()).AddDays(-1).String())
	if err != nil {
		return err
	}
	return s.sweepWaiting(ctx, true)
}

// sweepWaiting drops the copies of responses that wait in one open event while another has
// found their attendee. Where they are to be judged again, those that name somebody who was
// erased since, in whatever event, go too.
func (s *Store) sweepWaiting(ctx context.Context, judge bool) (err error) {
	defer db.Wrap(&err, "look at waiting responses")
	all, err := s.events.List(ctx)
	if err != nil {
		return err
	}
	var waiting []attendees.EventID
	err = db.Select(ctx, s.pool, &waiting, `
		select e.source_id
		from events e
		where e.state = 'open' and exists (select from responses r where r.event_id = e.id and r.attendee_id is null)`)
	for _, event := range waiting {
		if err != nil {
			return err
		}
		err = s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
			answers, err := sh.LoadWaiting(ctx, attendees.Date{})
			if err == nil && judge {
				err = judgeAgain(ctx, sh, answers)
			}
			if err != nil {
				return err
			}
			return s.dropCopies(ctx, sh, answers, all)
		})
	}
	return err
}

// judgeAgain looks again whose waiting responses are.
func judgeAgain(ctx context.Context, sh *sheet.Sheet, answers []*sheet.Answer) error {
	layers := make([]attendees.Layer, len(answers))
	for i, a := range answers {
		layers[i] = a.Layer
	}
	err := sh.LoadAround(ctx, layers)
	for _, a := range answers {
		if err != nil || a.MatchedBy == sheet.ByHand {
			continue
		}
		if _, erased := sh.Bars(a.ID).Of(sheet.Erased); erased {
			sh.Drop(a)
			continue
		}
		_, err = sh.Place(ctx, a)
	}
	return err
}

func (s *Store) dropCopies(ctx context.Context, sh *sheet.Sheet, answers []*sheet.Answer, all []events.Event) error {
	copies := map[uuid.UUID]*sheet.Answer{} // by the keys that they have elsewhere
	for _, there := range all {
		h, err := s.secrets.Hashes(there.Secret)
		if err != nil {
			return fmt.Errorf("event %s: %w", there.ID, err)
		}
		for _, a := range answers {
			if form, id := a.Layer.Response(); a.Attendee == nil && there.State == attendees.Open && there.Key != sh.Event.Key {
				copies[h.Response(string(there.ID), string(form), string(id))] = a
			}
		}
	}
	var matched []uuid.UUID
	err := db.Select(ctx, sh.Tx, &matched, `
		select id
		from responses
		where id = any($1::uuid[]) and attendee_id is not null`, sheet.Texts(slices.Collect(maps.Keys(copies))))
	for _, id := range matched {
		sh.Drop(copies[id])
	}
	return err
}

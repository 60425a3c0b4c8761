package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
)

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
		if err != nil {
			return err
		}
		for _, a := range old {
			sh.Drop(a)
			if err := sh.SetBar(ctx, sheet.Bar{Hash: a.ID, What: sheet.Erased}); err != nil {
				return err
			}
		}
		n = len(old)
		return nil
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
	var waiting []attendees.EventID
	err = db.Select(ctx, s.pool, &waiting, `
		select e.source_id
		from events e
		where e.state = 'open' and exists (select from responses r where r.event_id = e.id and r.attendee_id is null)`)
	if err != nil || len(waiting) == 0 {
		return err
	}
	all, err := s.events.List(ctx)
	if err != nil {
		return err
	}
	for _, event := range waiting {
		err := s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
			answers, err := sh.LoadWaiting(ctx, attendees.Date{})
			if err != nil {
				return err
			}
			if judge {
				if err := judgeAgain(ctx, sh, answers); err != nil {
					return err
				}
			}
			return s.dropCopies(ctx, sh, answers, all)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func judgeAgain(ctx context.Context, sh *sheet.Sheet, answers []*sheet.Answer) error {
	layers := make([]attendees.Layer, len(answers))
	for i, a := range answers {
		layers[i] = a.Layer
	}
	if err := sh.LoadAround(ctx, layers); err != nil {
		return err
	}
	for _, a := range answers {
		if _, erased := sh.Barred(a.ID, sheet.Erased); erased {
			sh.Drop(a)
			continue
		}
		if a.MatchedBy == sheet.ByHand {
			continue
		}
		if _, err := sh.Place(ctx, a); err != nil {
			return err
		}
	}
	return nil
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
		where id = any($1::uuid[]) and attendee_id is not null`, sheet.Texts(keys(copies)))
	for _, id := range matched {
		sh.Drop(copies[id])
	}
	return err
}

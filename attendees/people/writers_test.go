package people_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
)

// Writers of two events that share a form wait for each other, and never for ever.
func TestWritersSideBySideLoseNothing(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	const tickets, rounds = 40, 40
	var group sync.WaitGroup
	writer := func(write func(r *rand.Rand) error) {
		group.Go(func() {
			r := rand.New(rand.NewPCG(1, 2))
			for range rounds {
				if err := write(r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		writer(func(r *rand.Rand) error { // tickets that change hands, addresses and events
			var page []attendees.Registration
			for range 5 {
				id, name := fmt.Sprint(r.IntN(tickets)), fmt.Sprint("P ", r.IntN(4))
				one := at(r.IntN(20), coretest.Ticket(id, fmt.Sprint(1+r.IntN(2)), name, fmt.Sprintf("p%d@n.example", r.IntN(8))))
				one.Cancelled = r.IntN(5) == 0
				if !slices.ContainsFunc(page, func(o attendees.Registration) bool { return o.ID == one.ID }) {
					page = append(page, one)
				}
			}
			_, err := w.TrySave(page...)
			return err
		})
		writer(func(r *rand.Rand) error {
			var page []attendees.Response
			for range 5 {
				id, claims := fmt.Sprint("t", r.IntN(60)), ""
				if r.IntN(2) == 0 {
					claims = fmt.Sprint(r.IntN(tickets))
				}
				one := yes(id, claims, fmt.Sprintf("p%d@n.example", r.IntN(8)))
				if !slices.ContainsFunc(page, func(o attendees.Response) bool { return o.ID == one.ID }) {
					page = append(page, one)
				}
			}
			_, err := w.TryAnswer(page...)
			return err
		})
	}
	writer(func(r *rand.Rand) error { // staff
		return db.InTx(t.Context(), w.Pool, func(tx db.Tx) error {
			e, err := w.Events.WriteOne(t.Context(), tx, attendees.EventID(fmt.Sprint(1+r.IntN(2))))
			if err != nil {
				return err
			}
			var ids []uuid.UUID
			if err := db.Select(t.Context(), tx, &ids, `select id from attendees where event_id = $1 and state = 'open' order by id`, e.Key); err != nil || len(ids) == 0 {
				return err
			}
			return deed(t.Context(), w, tx, e, ids[r.IntN(len(ids))], r.IntN(10))
		})
	})
	writer(func(*rand.Rand) error { return w.People.Sweep(t.Context()) })
	group.Wait()
	for _, event := range []attendees.EventID{"1", "2"} {
		w.Shown(event) // it compares columns with layers
		if err := w.Reader.ReadUnmatched(t.Context(), w.Pool, w.Stored(event), 0, func(r reader.Response) error { return nil }); err != nil {
			t.Error(err)
		}
	}
	for what, query := range map[string]string{
		"responses of attendees who are not there": `select count(*) from responses r where r.attendee_id is not null and not exists (select from attendees a where a.id = r.attendee_id and a.event_id = r.event_id)`,
		"corrections of nobody":                    `select count(*) from corrections c where not exists (select from attendees a where a.id = c.attendee_id)`,
		"restricted attendees without a record":    `select count(*) from attendees a where a.state = 'restricted' and not exists (select from records r where r.attendee_id = a.id)`,
		"corrections of restricted attendees":      `select count(*) from attendees a join corrections c on c.attendee_id = a.id where a.state = 'restricted'`,
		"layers of restricted attendees":           `select count(*) from attendees a left join responses r on r.attendee_id = a.id where a.state = 'restricted' and (a.layer is not null or r.layer is not null)`,
	} {
		var n int
		if err := w.Pool.Get(&n, query); err != nil || n != 0 {
			t.Errorf("%d %s, %v", n, what, err)
		}
	}
}

func deed(ctx context.Context, w *coretest.World, tx db.Tx, e events.Event, id uuid.UUID, what int) (err error) {
	switch what {
	case 0:
		_, err = w.People.Erase(ctx, tx, e, id, "unknown")
	case 1, 5:
		err = w.People.Restrict(ctx, tx, e, id, attendees.RestrictionAsked)
	case 2, 3, 4:
		err = w.People.Hold(ctx, tx, e, id, what == 2)
	default:
		err = w.People.Correct(ctx, tx, e, id, attendees.Ticket, attendees.Personal(fmt.Sprint("Kind ", what%3)), "")
	}
	if errors.Is(err, people.ErrAttendee) {
		return nil
	}
	return err
}

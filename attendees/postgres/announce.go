package postgres

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
)

// announceDays is how long before its day a deletion is announced.
const announceDays = 7

// Announced is the mark that says since when deletions are announced each night.
const Announced Mark = "announced"

// FuseError says that a nightly run would delete far more than was announced.
type FuseError struct{ People, Announced int }

func (e *FuseError) Error() string {
	return fmt.Sprintf("tonight %d people would be deleted, and a week ago %d were announced for it: nothing is deleted. "+
		"If it is right: `lethe retention plan` shows the plan and its hash, `lethe retention run --accept HASH` does it", e.People, e.Announced)
}

// Announce tells which events the nightly run may delete: those whose deletion it has
// announced on an earlier day. The others that are due it announces now, with those
// that will be within a week. *FuseError says that more than twice as many people
// would go as were announced a week ago: a clock or a policy may be wrong.
func (s *Store) Announce(ctx context.Context) (ready []attendees.EventID, err error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	due, err := s.DueToDelete(ctx)
	if err != nil {
		return nil, err
	}
	isDue := map[attendees.EventID]bool{}
	for _, id := range due {
		isDue[id] = true
	}
	since, err := s.Marked(ctx, Announced)
	if err != nil {
		return nil, err
	}
	today := attendees.DateOf(s.now().UTC())
	people, announced := 0, 0
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		for _, e := range plan.Events {
			if !isDue[e.ID] && today.AddDays(announceDays).Before(e.DeleteOn.Date) {
				continue
			}
			var madeOn day
			err := tx.GetContext(ctx, &madeOn, `
				insert into announcements as a (event_id, delete_on, people, made_on)
				values ($1, $2, $3, $4)
				on conflict (event_id) do update set
					people = case when a.delete_on = excluded.delete_on then a.people else excluded.people end,
					made_on = case when a.delete_on = excluded.delete_on then a.made_on else excluded.made_on end,
					delete_on = excluded.delete_on
				returning made_on`, e.Key, e.DeleteOn, e.People, day{today})
			if err != nil {
				return quiet("announce a deletion", err)
			}
			if !isDue[e.ID] || !madeOn.Before(today) {
				continue
			}
			ready = append(ready, e.ID)
			people += e.People
			if !today.AddDays(-announceDays).Before(madeOn.Date) {
				announced += e.People
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if since.IsZero() {
		return ready, s.SetMark(ctx, Announced)
	}
	aWeekAgo := !today.AddDays(-announceDays).Before(attendees.DateOf(since.UTC()))
	if aWeekAgo && people > 2*announced {
		return nil, &FuseError{People: people, Announced: announced}
	}
	return ready, nil
}

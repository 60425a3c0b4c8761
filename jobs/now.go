package jobs

import (
	"context"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"lethe/attendees/old/attendees"
)

// Pull asks for a pull of an event and of its forms now. What waits already is not asked
// for twice. What runs already is, once more: it may have read all it will read, and River
// calls it running until it has written down that it ended.
func (q *Queue) Pull(ctx context.Context, event attendees.EventID) error {
	links, err := q.store.EventLinks(ctx, event)
	if err != nil {
		return err
	}
	pulls := []river.InsertManyParams{{Args: PullEvent{Event: event}, InsertOpts: once()}}
	for _, l := range links {
		if l.Form != attendees.EventbriteForm {
			pulls = append(pulls, river.InsertManyParams{Args: PullForm{Form: l.Form}, InsertOpts: once()})
		}
	}
	asked, err := q.client.InsertMany(ctx, pulls)
	if err != nil {
		return fmt.Errorf("ask for pulls: %w", err)
	}
	var again []river.InsertManyParams
	for i, a := range asked {
		if a.UniqueSkippedAsDuplicate && a.Job.State == rivertype.JobStateRunning {
			again = append(again, river.InsertManyParams{Args: pulls[i].Args})
		}
	}
	if len(again) == 0 {
		return nil
	}
	if _, err := q.client.InsertMany(ctx, again); err != nil {
		return fmt.Errorf("ask for pulls: %w", err)
	}
	return nil
}

package jobs

import (
	"context"
	"fmt"

	"github.com/riverqueue/river"

	"lethe/attendees"
)

// Pull asks for a pull of an event and of its forms now. What waits or runs already is
// not asked for twice.
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
	if _, err := q.client.InsertMany(ctx, pulls); err != nil {
		return fmt.Errorf("ask for pulls: %w", err)
	}
	return nil
}

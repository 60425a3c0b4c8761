package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"lethe/attendees/old/postgres"
	"lethe/sync/pull"
)

// ReconcileDue asks for a reconcile of every event that is due for one.
type ReconcileDue struct{}

// Kind names the job.
func (ReconcileDue) Kind() string { return "reconcile_due" }

const (
	// soonDays before an event, and until it is blocked, check-ins and late changes
	// come in: it is reconciled daily then.
	soonDays = 7
	daily    = 24 * time.Hour
	weekly   = 7 * daily
	// slack lets a daily reconcile stay at its hour although dueEvery drifts.
	slack = 2 * dueEvery

	// hourCalls is how many calls of an hour's 2,000 reconciles may use: the rest is
	// for what is new.
	hourCalls = 1000
	pageSize  = 50
)

// reconcileDue spreads what is due over the hour and over the rate budget. What does
// not fit is due again in an hour.
func reconcileDue(ctx context.Context, p *pull.Puller) error {
	if p.Eventbrite == nil {
		return nil
	}
	events, err := p.Store.Events(ctx)
	if err != nil {
		return err
	}
	feeds, err := p.Store.Feeds(ctx)
	if err != nil {
		return err
	}
	failed := map[postgres.FeedName]bool{}
	for _, f := range feeds {
		failed[f.Name] = f.FailedAt != nil
	}
	now := p.Now()
	var due []postgres.Event
	calls := 0
	for _, e := range events {
		// One that failed last is tried again each hour: else it would show for a week.
		if !dueForReconcile(e, now) && !(failed[postgres.EventFeed(e.ID)] && e.Open(now) && e.PulledAt != nil) {
			continue
		}
		held, err := p.Store.Count(ctx, e, postgres.AnyStatus)
		if err != nil {
			return err
		}
		calls += held/pageSize + 1
		if calls > hourCalls && len(due) > 0 {
			break
		}
		due = append(due, e)
	}
	var jobs []river.InsertManyParams
	for i, e := range due {
		opts := once()
		opts.ScheduledAt = time.Now().Add(dueEvery * time.Duration(i) / time.Duration(len(due)))
		jobs = append(jobs, river.InsertManyParams{Args: Reconcile{Event: e.ID}, InsertOpts: opts})
	}
	return insert(ctx, jobs)
}

// dueForReconcile tells whether an event is due: daily from a week before its end
// until it is blocked, weekly otherwise.
func dueForReconcile(e postgres.Event, now time.Time) bool {
	if !e.Open(now) || e.PulledAt == nil {
		return false // its first pull is a complete listing
	}
	if e.ReconciledAt == nil {
		return true
	}
	every := weekly
	if !e.Today(now).Before(e.EndsOn.AddDays(-soonDays)) {
		every = daily
	}
	return now.Sub(*e.ReconciledAt) >= every-slack
}

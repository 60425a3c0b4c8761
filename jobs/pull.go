package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/pull"
)

// Discover looks for organisations, events and changed forms.
type Discover struct{}

// Kind names the job.
func (Discover) Kind() string { return "discover" }

// PullAll asks for a pull of every organisation, every linked form, and every event
// whose own listing was never read to its end.
type PullAll struct{}

// Kind names the job.
func (PullAll) Kind() string { return "pull_all" }

// PullOrganization reads what changed in an organisation's events.
type PullOrganization struct {
	Organization attendees.OrganizationID `json:"organization"`
}

// Kind names the job.
func (PullOrganization) Kind() string { return "pull_organization" }

// PullEvent reads an event's own listing.
type PullEvent struct {
	Event attendees.EventID `json:"event"`
}

// Kind names the job.
func (PullEvent) Kind() string { return "pull_event" }

// PullForm reads a form's new responses.
type PullForm struct {
	Form attendees.FormID `json:"form"`
}

// Kind names the job.
func (PullForm) Kind() string { return "pull_form" }

// Reconcile compares an event's complete listing with what is held.
type Reconcile struct {
	Event attendees.EventID `json:"event"`
}

// Kind names the job.
func (Reconcile) Kind() string { return "reconcile" }

// DropUnmatched deletes responses that belonged to nobody for too long.
type DropUnmatched struct{}

// Kind names the job.
func (DropUnmatched) Kind() string { return "drop_unmatched" }

// worker does one kind of job.
type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	do  func(ctx context.Context, args T) error
	log *slog.Logger
}

// Work does the job. A rate limit snoozes it; a stop, or the job's own timeout, puts
// it back, to go on where it stood.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error {
	err := w.do(ctx, job.Args)
	var limited *pull.RateLimited
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		w.log.Info("a source's rate limit: going on later", "job", job.Kind, "until", limited.Until)
		return river.JobSnooze(max(time.Until(limited.Until), 0))
	case ctx.Err() != nil:
		return river.JobSnooze(0)
	}
	return err
}

func addWorkers(ws *river.Workers, p *pull.Puller, l Life, log *slog.Logger) {
	// report says what a pull did, in counts, and keeps what it recorded.
	report := func(ctx context.Context, feed postgres.FeedName, r pull.Report, err error) error {
		var sum postgres.Changes
		for _, c := range r.Events {
			sum.Add(c)
		}
		if sum.New+sum.Changed+sum.Cancelled+sum.Gone+r.Answers.New+r.Answers.Changed > 0 {
			log.Info("pulled", "feed", feed, "new", sum.New, "changed", sum.Changed, "cancelled", sum.Cancelled,
				"gone", sum.Gone, "answers", r.Answers.New+r.Answers.Changed)
		}
		if r.Attention != "" {
			log.Warn(r.Attention, "feed", feed)
		}
		for id, n := range r.Sealed {
			log.Info("sealed as it came", "event", id, "sealed", n.Sealed, "dropped", n.Dropped, "doubted", n.Doubted)
		}
		if err == nil && len(r.Sealed) > 0 {
			err = l.KeepCopy(ctx)
		}
		return err
	}
	// noted keeps what Eventbrite told of its budget, for the console to show.
	noted := func(ctx context.Context, err error) error {
		if b, told := p.Eventbrite.Budget(); told {
			err = errors.Join(err, p.Store.NoteBudget(context.WithoutCancel(ctx), b.Used, b.Limit))
		}
		return err
	}
	river.AddWorker(ws, &worker[PullOrganization]{log: log, do: func(ctx context.Context, a PullOrganization) error {
		r, err := p.Organization(ctx, a.Organization)
		if err := noted(ctx, report(ctx, postgres.OrganizationFeed(a.Organization), r, err)); err != nil {
			return err
		}
		return pullUnpulled(ctx, p)
	}})
	river.AddWorker(ws, &worker[PullEvent]{log: log, do: func(ctx context.Context, a PullEvent) error {
		r, err := p.Event(ctx, a.Event)
		return noted(ctx, report(ctx, postgres.EventFeed(a.Event), r, err))
	}})
	river.AddWorker(ws, &worker[Reconcile]{log: log, do: func(ctx context.Context, a Reconcile) error {
		r, err := p.Reconcile(ctx, a.Event)
		return noted(ctx, report(ctx, postgres.EventFeed(a.Event), r, err))
	}})
	river.AddWorker(ws, &worker[PullForm]{log: log, do: func(ctx context.Context, a PullForm) error {
		r, err := p.Form(ctx, a.Form)
		return report(ctx, postgres.FormFeed(a.Form), r, err)
	}})
	river.AddWorker(ws, &worker[DropUnmatched]{log: log, do: func(ctx context.Context, _ DropUnmatched) error {
		n, err := p.Store.DropUnmatched(ctx)
		if n > 0 {
			log.Info("dropped responses that belonged to nobody", "count", n)
		}
		return err
	}})
	river.AddWorker(ws, &worker[Discover]{log: log, do: func(ctx context.Context, _ Discover) error {
		d, err := p.Discover(ctx)
		if err != nil {
			return err
		}
		if d.New > 0 {
			log.Info("discovered", "events", d.Events, "new", d.New)
		}
		return pullAll(ctx, p)
	}})
	river.AddWorker(ws, &worker[PullAll]{log: log, do: func(ctx context.Context, _ PullAll) error {
		return pullAll(ctx, p)
	}})
	river.AddWorker(ws, &worker[ReconcileDue]{log: log, do: func(ctx context.Context, _ ReconcileDue) error {
		return reconcileDue(ctx, p)
	}})
}

// pullAll asks for the pulls that are due every time.
func pullAll(ctx context.Context, p *pull.Puller) error {
	var jobs []river.InsertManyParams
	if p.Eventbrite != nil {
		organizations, err := p.Store.Organizations(ctx)
		if err != nil {
			return err
		}
		for _, o := range organizations {
			jobs = append(jobs, river.InsertManyParams{Args: PullOrganization{Organization: o.ID}, InsertOpts: once()})
		}
	}
	if p.Typeform != nil {
		forms, err := p.Store.LinkedForms(ctx)
		if err != nil {
			return err
		}
		for _, f := range forms {
			jobs = append(jobs, river.InsertManyParams{Args: PullForm{Form: f}, InsertOpts: once()})
		}
	}
	if err := insert(ctx, jobs); err != nil {
		return err
	}
	return pullUnpulled(ctx, p)
}

// pullUnpulled asks for the first pull of events that never had theirs.
func pullUnpulled(ctx context.Context, p *pull.Puller) error {
	if p.Eventbrite == nil {
		return nil
	}
	events, err := p.Unpulled(ctx)
	if err != nil {
		return err
	}
	var jobs []river.InsertManyParams
	for _, e := range events {
		jobs = append(jobs, river.InsertManyParams{Args: PullEvent{Event: e}, InsertOpts: once()})
	}
	return insert(ctx, jobs)
}

func insert(ctx context.Context, jobs []river.InsertManyParams) error {
	if len(jobs) == 0 {
		return nil
	}
	if _, err := river.ClientFromContext[*sql.Tx](ctx).InsertMany(ctx, jobs); err != nil {
		return fmt.Errorf("ask for pulls: %w", err)
	}
	return nil
}

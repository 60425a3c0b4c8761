package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"lethe/attendees/old/postgres"
	"lethe/sync/pull"
)

const (
	// jobTimeout ends a job that takes long; it goes on where it stood. It is short
	// because of rescueAfter.
	jobTimeout = 4 * time.Minute
	// rescueAfter is when a job whose worker was killed is given to another: longer
	// than any job may take, and the longest that a kill can keep a feed waiting.
	rescueAfter = jobTimeout + time.Minute
	// softStop is how long running jobs may go on when the worker is stopped; then
	// they are cancelled, which they heed within a second or two. Together less than
	// the ten seconds that platforms grant.
	softStop = 3 * time.Second
	// maxWorkers is how many jobs run at once: more gain nothing against sources
	// that count calls.
	maxWorkers = 4

	// discoverEvery and pullEvery are how stale an event and a registration may be.
	discoverEvery = time.Hour
	pullEvery     = 10 * time.Minute
	// dueEvery is how often events are looked through for those to reconcile.
	dueEvery = time.Hour
	// dropEvery is how often unmatched responses are looked through.
	dropEvery = 24 * time.Hour

	// upstreamEvery is more often than daily, so that what is due, or was told a day ago,
	// waits for hours at most; where nothing is it costs a query.
	upstreamEvery = sweepEvery

	// listenConns: one to listen, one to spare while it is renewed.
	listenConns = 2
)

// Worker works the schedule.
type Worker struct {
	client *river.Client[*sql.Tx]
	listen *pgxpool.Pool
}

// Schedule makes a worker on a migrated database; url is the one that its store is
// connected to. sender may be nil: then no mail is sent. Start starts it.
func Schedule(ctx context.Context, url string, p *pull.Puller, l Life, sender Sender, log *slog.Logger) (*Worker, error) {
	config, err := pgxpool.ParseConfig(postgres.Tuned(url))
	if err != nil {
		return nil, errors.New("jobs: DATABASE_URL is no PostgreSQL URL") // pgx quotes it
	}
	config.MaxConns = listenConns
	listen, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("jobs: listen: %w", err)
	}
	workers := river.NewWorkers()
	addWorkers(workers, p, l, log)
	s := &sweeper{store: p.Store, Life: l, log: log, began: time.Now()}
	s.addTo(workers)
	s.addUpstream(workers, p)
	addPost(workers, p.Store, sender, p.Now, log)
	client, err := river.NewClient(
		riverdatabasesql.NewWithPgxListener(p.Store.DB().DB, listen),
		&river.Config{
			Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
			Workers:              workers,
			PeriodicJobs:         periodic(),
			JobTimeout:           jobTimeout,
			RescueStuckJobsAfter: rescueAfter,
			SoftStopTimeout:      softStop,
			Logger:               log,
		})
	if err != nil {
		listen.Close()
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Worker{client: client, listen: listen}, nil
}

// Start starts working. Cancelling ctx stops it as Stop does; Stopped tells when.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.client.Start(ctx); err != nil {
		return fmt.Errorf("jobs: start: %w", err)
	}
	return nil
}

// Stop lets running jobs end for a moment, then cancels them, and returns when all
// have stopped. They go on where they stood.
func (w *Worker) Stop(ctx context.Context) error {
	defer w.listen.Close()
	if err := w.client.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("jobs: stop: %w", err)
	}
	return nil
}

// once makes a job unique while one like it waits or runs. River's default would
// count those completed within a day too, and so pull each feed once a day.
func once() *river.InsertOpts {
	return &river.InsertOpts{UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		},
	}}
}

// periodic is the schedule. River keeps it in memory, so all of it runs on start
// too; the jobs are unique, so that costs little.
func periodic() []*river.PeriodicJob {
	every := func(interval time.Duration, args river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(interval),
			func() (river.JobArgs, *river.InsertOpts) { return args, once() },
			&river.PeriodicJobOpts{RunOnStart: true})
	}
	return []*river.PeriodicJob{
		every(discoverEvery, Discover{}),
		every(pullEvery, PullAll{}),
		every(dueEvery, ReconcileDue{}),
		every(dropEvery, DropUnmatched{}),
		every(sweepEvery, Sweep{}),
		every(upstreamEvery, Upstream{}),
		every(dropSpentEvery, DropSpent{}),
		every(checkpointEvery, MailCheckpoint{}),
	}
}

package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// Sweep asks for everything that is due to be blocked or deleted, and tidies up.
type Sweep struct{}

// Kind names the job.
func (Sweep) Kind() string { return "sweep" }

// BlockEvent seals an event's people.
type BlockEvent struct {
	Event attendees.EventID `json:"event"`
}

// Kind names the job.
func (BlockEvent) Kind() string { return "block_event" }

// DeleteEvent deletes an event's people.
type DeleteEvent struct {
	Event attendees.EventID `json:"event"`
}

// Kind names the job.
func (DeleteEvent) Kind() string { return "delete_event" }

// sweepEvery is how often is looked for what is due. A day begins at another hour in
// each event's zone, so it is looked for more than nightly; what has nothing due costs
// three queries.
const sweepEvery = 6 * time.Hour

// Life is what blocking and deleting need.
type Life struct {
	Sealer    *seal.Sealer // nil: there is no officer's key, nothing is blocked, and the log says so
	Simulated bool         // whether the clock is
	// KeepCopy lets the ledger's copy outside the database grow.
	KeepCopy func(context.Context) error
	// Remind tells staff which requests are due, once a day, and how many are overdue; nil:
	// nobody does.
	Remind func(context.Context) (overdue int, err error)
}

// sweeper works the second half of the schedule.
type sweeper struct {
	Life
	store *postgres.Store
	log   *slog.Logger
	began time.Time // when this process did
}

func (s *sweeper) addTo(ws *river.Workers) {
	river.AddWorker(ws, &worker[Sweep]{log: s.log, do: func(ctx context.Context, _ Sweep) error { return s.sweep(ctx) }})
	river.AddWorker(ws, &worker[BlockEvent]{log: s.log, do: func(ctx context.Context, a BlockEvent) error { return s.block(ctx, a.Event) }})
	river.AddWorker(ws, &worker[DeleteEvent]{log: s.log, do: func(ctx context.Context, a DeleteEvent) error { return s.delete(ctx, a.Event) }})
}

const (
	// datesFor is how old the sources' word on events' dates may be for a sweep that goes by
	// them: of a worker that has stood still, one may have been postponed meanwhile.
	datesFor = 2 * discoverEvery
	// datesWait is how long a process waits for a newer one after it began: sources that do
	// not answer keep nobody's data for longer.
	datesWait = 30 * time.Minute
)

// knowsDates tells whether events' dates are known well enough to go by them.
func (s *sweeper) knowsDates(ctx context.Context) (bool, error) {
	at, err := s.store.Marked(ctx, postgres.Discovered)
	known := s.Simulated || at.IsZero() || time.Since(at) < datesFor || time.Since(s.began) > datesWait
	return known, err
}

func (s *sweeper) sweep(ctx context.Context) error {
	if known, err := s.knowsDates(ctx); err != nil {
		return err
	} else if !known {
		return river.JobSnooze(time.Minute)
	}
	if err := s.store.CheckClock(ctx, s.Simulated); err != nil {
		return err
	}
	if n, err := s.store.Replan(ctx); err != nil {
		return err
	} else if n > 0 {
		s.log.Info("planned anew: `lethe retention plan` shows it", "events", n)
	}
	var jobs []river.InsertManyParams
	toBlock, err := s.store.DueToBlock(ctx)
	if err != nil {
		return err
	}
	if len(toBlock) > 0 && s.Sealer == nil {
		s.log.Error("events are due to be blocked, and nothing can be: "+seal.ErrNoOfficer.Error(), "events", len(toBlock))
		toBlock = nil
	}
	for _, id := range toBlock {
		jobs = append(jobs, river.InsertManyParams{Args: BlockEvent{Event: id}, InsertOpts: once()})
	}
	toDelete, err := s.store.Announce(ctx)
	var fuse *postgres.FuseError
	if errors.As(err, &fuse) {
		s.log.Error(fuse.Error())
	} else if err != nil {
		return err
	}
	for _, id := range toDelete {
		jobs = append(jobs, river.InsertManyParams{Args: DeleteEvent{Event: id}, InsertOpts: once()})
	}
	if err := insert(ctx, jobs); err != nil {
		return err
	}
	tidied, err := s.store.Tidy(ctx)
	if err != nil {
		return err
	}
	if err := s.nag(ctx); err != nil {
		return err
	}
	if s.Remind != nil {
		overdue, err := s.Remind(ctx)
		if err != nil {
			return err
		}
		if overdue > 0 {
			s.log.Error("requests are overdue (GDPR Art. 12(3)): `lethe requests list` shows them", "requests", overdue)
		}
	}
	if err := s.store.EndRun(ctx, postgres.Run{Block: len(toBlock), Delete: len(toDelete), Tidied: tidied}); err != nil {
		return err
	}
	return s.KeepCopy(ctx)
}

// nag says which holds have stood for over a year.
func (s *sweeper) nag(ctx context.Context) error {
	holds, err := s.store.OldHolds(ctx)
	for _, h := range holds {
		s.log.Warn(h.Nag())
	}
	return err
}

// settle ends a job that has blocked or deleted.
func (s *sweeper) settle(ctx context.Context) error {
	if _, err := s.store.FlushWAL(ctx); err != nil {
		return err
	}
	return s.KeepCopy(ctx)
}

func (s *sweeper) block(ctx context.Context, id attendees.EventID) error {
	if s.Sealer == nil {
		return seal.ErrNoOfficer
	}
	if err := s.store.CheckClock(ctx, s.Simulated); err != nil {
		return err
	}
	n, err := s.store.Block(ctx, id, s.Sealer)
	if err != nil {
		return err
	}
	s.log.Info("blocked", "event", id, "sealed", n.Sealed, "dropped", n.Dropped)
	if n.Doubted {
		s.log.Warn("more than half never agreed, so nobody was dropped: `lethe retention audit` says what to do", "event", id)
	}
	return s.settle(ctx)
}

func (s *sweeper) delete(ctx context.Context, id attendees.EventID) error {
	if err := s.store.CheckClock(ctx, s.Simulated); err != nil {
		return err
	}
	n, err := s.store.Delete(ctx, id)
	if err != nil {
		return err
	}
	s.log.Info("deleted", "event", id, "people", n)
	return s.settle(ctx)
}

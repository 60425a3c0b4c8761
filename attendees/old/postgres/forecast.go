package postgres

import (
	"context"
	"slices"

	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Forecast is what a run would do now: of events the oldest first, and what goes besides.
type Forecast struct {
	Block  []attendees.EventID
	Delete []attendees.EventID // some of those to be blocked among them: their delete date has come, too
	plan   Plan
}

// Forecast looks what a run would block and delete now. It writes nothing.
func (s *Store) Forecast(ctx context.Context) (f Forecast, err error) {
	if f.plan, err = s.Plan(ctx); err != nil {
		return f, err
	}
	if f.Block, err = s.DueToBlock(ctx); err != nil {
		return f, err
	}
	// The run deletes after it has blocked.
	now := s.now()
	for i, e := range f.plan.Events {
		if slices.Contains(f.Block, e.ID) {
			f.plan.Events[i].State, f.plan.Events[i].BlockedAt = attendees.Blocked, &now
		}
	}
	f.Delete, err = s.dueToDelete(ctx, f.plan)
	return f, err
}

// ForecastFuse is CheckFuse for what would be deleted.
func (s *Store) ForecastFuse(ctx context.Context, f Forecast) error {
	return s.checkFuse(ctx, f.plan, f.Delete)
}

// ForecastTidied counts what the end of the run would drop: it writes no room anew.
func (s *Store) ForecastTidied(ctx context.Context, f Forecast) (t Tidied, err error) {
	// What is deleted with its event is dropped by nobody else.
	deleted := make(pq.StringArray, len(f.Delete)) // never null
	for i, id := range f.Delete {
		deleted[i] = string(id)
	}
	err = s.db.QueryRowxContext(ctx, `
		select
			count(*) filter (where free and loose and not deleted),
			count(*) filter (where old and not (free and (loose or deleted)))
		from (
			select `+free("s.event_id", "$1")+` as free,
				`+tidied+` and `+loose("s.event_id", "e.doubted")+` as loose,
				`+halfIsOld("$2", "$3")+` as old,
				e.source_id = any($4) as deleted
			from sealed s
			join events e on e.id = s.event_id
		) as each`, s.holdDay(), s.halvesBefore(), s.policy.OfficersOnly, deleted).Scan(&t.Released, &t.Halves)
	return t, quiet("count what would be dropped", err)
}

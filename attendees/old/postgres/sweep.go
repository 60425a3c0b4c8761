package postgres

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
)

// DueToBlock lists the events whose block date has come and that still have readable
// people, or whose blocking was cut off; the oldest first. One that is sealed as it comes
// is due when its feeds have run dry.
func (s *Store) DueToBlock(ctx context.Context) ([]attendees.EventID, error) {
	events, err := s.planned(ctx)
	if err != nil {
		return nil, err
	}
	var rooms []string
	if err := s.db.SelectContext(ctx, &rooms, `select inhrelid::regclass::text from pg_inherits where inhparent = 'personal'::regclass`); err != nil {
		return nil, quiet("list rooms", err)
	}
	readable := make(map[string]bool, len(rooms))
	for _, r := range rooms {
		readable[r] = true
	}
	now := s.now()
	var due []attendees.EventID
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		late := !e.Today(now).Before(e.BlockOn.Date)
		if e.State == attendees.Blocked && e.BlockedAt == nil && e.History {
			coming, err := s.comesIn(ctx, s.db, e)
			if err != nil {
				return nil, err
			}
			if !coming {
				due = append(due, e.ID)
			}
			continue
		}
		if e.State == attendees.Blocked && e.BlockedAt == nil || e.State == attendees.Active && late && readable[room(e.Key)] {
			due = append(due, e.ID)
		}
	}
	return due, nil
}

// DueToDelete lists the blocked events whose delete date has come, or whose deletion
// was cut off, and that no hold keeps as a whole; the oldest first. Where only those are
// left who are held one by one, or restricted, nothing is due until that ends.
func (s *Store) DueToDelete(ctx context.Context) ([]attendees.EventID, error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	return s.dueToDelete(ctx, plan)
}

func (s *Store) dueToDelete(ctx context.Context, plan Plan) ([]attendees.EventID, error) {
	var due []attendees.EventID
	for _, e := range slices.Backward(plan.Events) {
		if !e.DueToDelete(s.now()) {
			continue
		}
		if e.State == attendees.Blocked && e.People == 0 {
			// What somebody held had answered before she moved away.
			kept, err := s.keptAlone(ctx, s.db, e.Key)
			if err != nil {
				return nil, err
			}
			if len(kept) > 0 {
				continue
			}
		}
		due = append(due, e.ID)
	}
	return due, nil
}

// Tidied is what the end of a sweep did.
type Tidied struct {
	Released  int // records that only a hold had kept
	Halves    int // records that open for their own persons no longer
	Rewritten int // rooms written anew
}

// Tidy ends a sweep: what only released holds had kept goes, rooms that somebody left
// early are written anew, and the write-ahead log ends its file, where the role may.
func (s *Store) Tidy(ctx context.Context) (Tidied, error) {
	var t Tidied
	var err error
	if t.Released, err = s.dropReleased(ctx); err != nil {
		return t, err
	}
	if err = s.clearReleased(ctx); err != nil {
		return t, err
	}
	if t.Halves, err = s.dropHalves(ctx); err != nil {
		return t, err
	}
	if err = s.pruneOpenings(ctx); err != nil {
		return t, err
	}
	if err = s.askRestricted(ctx); err != nil {
		return t, err
	}
	if err = s.askComing(ctx); err != nil {
		return t, err
	}
	if t.Rewritten, err = s.rewriteRooms(ctx); err != nil {
		return t, err
	}
	_, err = s.FlushWAL(ctx)
	return t, err
}

// Staying are those of an event who stay when the others are deleted.
type Staying struct {
	Held       int `db:"held"`       // one by one
	Restricted int `db:"restricted"` // until that is lifted, or they are erased
}

// staying finds who stays, by event.
func (s *Store) staying(ctx context.Context) (map[uuid.UUID]Staying, error) {
	var rows []struct {
		Event uuid.UUID `db:"event_id"`
		Staying
	}
	err := s.db.SelectContext(ctx, &rows, `
		select event_id, count(*) filter (where not restricted) as held, count(*) filter (where restricted) as restricted
		from (
			select event_id, id, true as restricted
			from attendees
			where state = 'blocked' and reason in ('restriction', 'objection')
			union
			select a.event_id, a.id, a.reason in ('restriction', 'objection')
			from holds h
			join attendees a on a.id = h.attendee_id
			where `+standing("$1")+`
		) as each
		group by event_id`, s.holdDay())
	all := make(map[uuid.UUID]Staying, len(rows))
	for _, r := range rows {
		all[r.Event] = r.Staying
	}
	return all, quiet("look who stays", err)
}

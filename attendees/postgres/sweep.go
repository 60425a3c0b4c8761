package postgres

import (
	"context"

	"lethe/attendees"
)

// DueToBlock lists the events whose block date has come and that still have readable
// people, or whose blocking was cut off; the oldest first.
func (s *Store) DueToBlock(ctx context.Context) ([]attendees.EventID, error) {
	events, err := s.Events(ctx)
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
		if e.State == attendees.Blocked && e.BlockedAt == nil || e.State == attendees.Active && late && readable[room(e.Key)] {
			due = append(due, e.ID)
		}
	}
	return due, nil
}

// DueToDelete lists the blocked events whose delete date has come, or whose deletion
// was cut off, and that no hold keeps as a whole; the oldest first.
func (s *Store) DueToDelete(ctx context.Context) ([]attendees.EventID, error) {
	var events []Event
	err := s.db.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events e
		where deleted_at is null and (state = 'deleted' or state = 'blocked' and blocked_at is not null)
		  and not exists (select from holds h where h.event_id = e.id and h.attendee_id is null and `+standing("$1")+`)
		order by ends_on, source_id`, s.today())
	if err != nil {
		return nil, quiet("list what is due", err)
	}
	var due []attendees.EventID
	for _, e := range events {
		if e.State == attendees.Deleted || !e.Today(s.now()).Before(e.DeleteOn.Date) {
			due = append(due, e.ID)
		}
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
	if t.Rewritten, err = s.rewriteRooms(ctx); err != nil {
		return t, err
	}
	_, err = s.FlushWAL(ctx)
	return t, err
}

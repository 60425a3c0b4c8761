package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// littleDays is how far an event's dates may move, either way, and count at once. A larger
// change counts only when somebody has accepted it; until then the later of the old and
// the new dates holds.
const littleDays = 30

// Pending tells that the event's dates have moved so far that somebody has to accept it.
func (e Event) Pending() bool {
	return e.State == attendees.Active && e.PlannedBlockOn != e.AcceptedBlockOn || e.PlannedDeleteOn != e.AcceptedDeleteOn
}

// plan gives an event what policy and source would have now. What is blocked stays
// blocked: of it only the delete date moves, never before the day it was blocked.
func (e *Event) plan(p attendees.Schedule) {
	e.PlannedDeleteOn, e.PlannedRule = day{p.DeleteOn}, p.Rule.Name
	if e.State == attendees.Active {
		e.EndsOn, e.PlannedBlockOn = day{p.EndsOn}, day{p.BlockOn}
	} else {
		e.PlannedDeleteOn = later(e.PlannedDeleteOn, e.BlockOn)
	}
	far := func(a, b day) bool { n := a.Days(b.Date); return n > littleDays || n < -littleDays }
	if !far(e.PlannedDeleteOn, e.AcceptedDeleteOn) && (e.State != attendees.Active || !far(e.PlannedBlockOn, e.AcceptedBlockOn)) {
		e.accept()
		return
	}
	if e.State == attendees.Active {
		e.BlockOn = later(e.PlannedBlockOn, e.AcceptedBlockOn)
	}
	e.DeleteOn, e.Rule = e.AcceptedDeleteOn, e.AcceptedRule
	if e.AcceptedDeleteOn.Before(e.PlannedDeleteOn.Date) {
		e.DeleteOn, e.Rule = e.PlannedDeleteOn, e.PlannedRule
	}
}

// accept lets the planned dates count, with their rule.
func (e *Event) accept() {
	e.AcceptedDeleteOn, e.AcceptedRule = e.PlannedDeleteOn, e.PlannedRule
	e.DeleteOn, e.Rule = e.PlannedDeleteOn, e.PlannedRule
	if e.State == attendees.Active {
		e.AcceptedBlockOn, e.BlockOn = e.PlannedBlockOn, e.PlannedBlockOn
	}
}

func later(a, b day) day {
	if a.Before(b.Date) {
		return b
	}
	return a
}

// replan plans an event by what is known of it; one that is deleted stays as it was.
func (s *Store) replan(e *Event) error {
	if e.State == attendees.Deleted {
		return nil
	}
	known := attendees.Event{ID: e.ID, Zone: e.Zone}
	for to, from := range map[*time.Time]*time.Time{&known.Start: e.StartsAt, &known.End: e.EndsAt} {
		if from != nil {
			*to = *from
		}
	}
	p, err := s.policy.Schedule(known, e.FirstSeenOn.Date)
	if err != nil {
		return fmt.Errorf("schedule event %s: %w", e.ID, err)
	}
	e.plan(p)
	return nil
}

// planned lists all events as Replan would leave them, and writes nothing.
func (s *Store) planned(ctx context.Context) ([]Event, error) {
	events, err := s.Events(ctx)
	if err != nil {
		return nil, err
	}
	for i := range events {
		if err := s.replan(&events[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// Replan makes the plan again by the policy and the rules as they are now, for every event
// that is not deleted, whether or not its source still lists it. Dates that move by more
// than 30 days wait for AcceptPlan. It returns how many events have other dates, or
// another rule, to count or to accept.
func (s *Store) Replan(ctx context.Context) (n int, err error) {
	events, err := s.Events(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range events {
		was := e
		if err := s.replan(&e); err != nil {
			return n, err
		}
		if e == was {
			continue
		}
		err := s.InTx(ctx, func(tx *sqlx.Tx) error {
			// Again, with nobody between: it may have been blocked, or discovered anew.
			if err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where id = $1 for update`, e.Key); err != nil {
				return quiet("lock an event", err)
			}
			before := e
			if err := s.replan(&e); err != nil {
				return err
			}
			return s.savePlan(ctx, tx, before, e)
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// savePlan keeps an event's dates; before is the event as it stood.
func (s *Store) savePlan(ctx context.Context, tx *sqlx.Tx, before, e Event) error {
	_, err := tx.ExecContext(ctx, `
		update events
		set ends_on = $2, rule = $3, block_on = $4, delete_on = $5,
		    planned_rule = $6, planned_block_on = $7, planned_delete_on = $8,
		    accepted_rule = $9, accepted_block_on = $10, accepted_delete_on = $11
		where id = $1`, e.Key, e.EndsOn, e.Rule, e.BlockOn, e.DeleteOn,
		e.PlannedRule, e.PlannedBlockOn, e.PlannedDeleteOn, e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn)
	if err != nil {
		return quiet("plan an event", err)
	}
	return s.reopen(ctx, tx, before, e.Key)
}

// reopen has an event read anew that was past its block date and, not blocked yet, is open
// again: what came meanwhile went nowhere.
func (s *Store) reopen(ctx context.Context, tx *sqlx.Tx, before Event, key uuid.UUID) error {
	if before.State != attendees.Active || before.Open(s.now()) {
		return nil
	}
	open, err := s.lockOpen(ctx, tx, []uuid.UUID{key})
	if err != nil || len(open) == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, `update events set history = false where id = $1`, key); err != nil {
		return quiet("open an event again", err)
	}
	if err := s.forgetEnded(ctx, tx, key); err != nil {
		return err
	}
	return s.readAnew(ctx, tx, open[key])
}

// readAnew has an event's listing and its forms read from their beginnings.
func (s *Store) readAnew(ctx context.Context, tx *sqlx.Tx, e Event) error {
	if _, err := tx.ExecContext(ctx, `update events set pulled_at = null where id = $1`, e.Key); err != nil {
		return quiet("have an event read again", err)
	}
	if err := s.readAgain(ctx, tx, EventFeed(e.ID)); err != nil {
		return err
	}
	return s.readFormsAgain(ctx, tx, e.Key)
}

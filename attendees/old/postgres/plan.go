package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Planned is one event in the plan.
type Planned struct {
	Event
	People int    // readable or sealed
	Held   []Hold // that stand
	Staying
}

// HeldWhole tells that a hold stands on the event as a whole.
func (p Planned) HeldWhole() bool {
	return slices.ContainsFunc(p.Held, func(h Hold) bool { return h.Attendee == "" })
}

// DueToDelete tells whether the event's delete date has come and somebody of it may go, or
// its deletion was cut off.
func (p Planned) DueToDelete(now time.Time) bool {
	switch {
	case p.DeletedAt != nil || p.BlockedAt == nil && p.State != attendees.Deleted || p.HeldWhole():
		return false
	case p.State == attendees.Deleted:
		return true
	}
	return !p.Today(now).Before(p.DeleteOn.Date) && (p.People == 0 || p.People > p.Staying.Held+p.Restricted)
}

// Plan is when each event is blocked and deleted, under which rule.
type Plan struct {
	Events []Planned // those that are not deleted yet, the next to end last
}

// Headcount is how many people are held of each event, by its key.
type Headcount map[uuid.UUID]int

// Headcount counts everybody: a query that reads an index from end to end.
func (s *Store) Headcount(ctx context.Context) (Headcount, error) {
	var counts []struct {
		Event uuid.UUID `db:"event_id"`
		N     int       `db:"n"`
	}
	if err := s.db.SelectContext(ctx, &counts, `select event_id, count(*) as n from attendees group by event_id`); err != nil {
		return nil, quiet("count people", err)
	}
	people := make(Headcount, len(counts))
	for _, c := range counts {
		people[c.Event] = c.N
	}
	return people, nil
}

// Plan makes the plan: every event that still has people, or will have, by the policy and
// the rules as they are now. It writes nothing.
func (s *Store) Plan(ctx context.Context) (Plan, error) {
	people, err := s.Headcount(ctx)
	if err != nil {
		return Plan{}, err
	}
	return s.PlanOf(ctx, people)
}

// PlanOf is Plan for who has counted already.
func (s *Store) PlanOf(ctx context.Context, people Headcount) (Plan, error) {
	events, err := s.planned(ctx)
	if err != nil {
		return Plan{}, err
	}
	holds, err := s.Holds(ctx)
	if err != nil {
		return Plan{}, err
	}
	held := map[attendees.EventID][]Hold{}
	for _, h := range holds {
		held[h.Event] = append(held[h.Event], h)
	}
	staying, err := s.staying(ctx)
	if err != nil {
		return Plan{}, err
	}
	var p Plan
	for _, e := range events {
		if e.DeletedAt == nil {
			p.Events = append(p.Events, Planned{Event: e, People: people[e.Key], Held: held[e.ID], Staying: staying[e.Key]})
		}
	}
	return p, nil
}

// AcceptPlan lets the plan of that hash count: dates that have moved by more than 30 days
// are what policy and source would have. It returns how many events that concerned, and
// fails where the plan is another one by now.
func (s *Store) AcceptPlan(ctx context.Context, hash string) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `lock table events in share row exclusive mode`); err != nil {
			return quiet("lock the events", err)
		}
		plan, err := s.Plan(ctx)
		if err != nil {
			return err
		}
		var accepted []ledger.Entry
		if plan.Hash() != hash {
			return fmt.Errorf("the plan is %s now, not %s: look at it again with `lethe retention plan`", plan.Hash(), hash)
		}
		for _, e := range plan.Events {
			if !e.Pending() {
				continue
			}
			before := e.Event
			e.accept()
			if err := s.savePlan(ctx, tx, before, e.Event); err != nil {
				return err
			}
			accepted = append(accepted, ledger.Entry{
				Kind: ledger.Accepted, Event: string(e.ID), Rule: e.Rule, Reason: "plan " + hash,
				BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(),
			})
		}
		n = len(accepted)
		if n == 0 {
			return nil
		}
		_, err = s.record(ctx, tx, accepted...)
		return err
	})
	return n, err
}

// Hash names the plan by what it decides: events, dates, rules and holds, not how many
// people there are, nor the day it is looked at.
func (p Plan) Hash() string {
	lines := make([]string, 0, len(p.Events))
	for _, e := range p.Events {
		line := fmt.Sprintf("%q %s %s %s %s %s %s", e.ID, e.BlockOn, e.DeleteOn, e.Rule, e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule)
		for _, h := range e.Held {
			line += fmt.Sprintf(" %d %q %s", h.ID, h.Attendee, h.UntilDate())
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		_, _ = io.WriteString(h, l+"\n")
	}
	sum := hex.EncodeToString(h.Sum(nil))
	return sum[:4] + "-" + sum[4:8]
}

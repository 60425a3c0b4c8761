package retention

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
)

// Planned is one event in the plan.
type Planned struct {
	events.Event
	People           int // stored
	Holds            []Hold
	Restricted, Held int // who stay when the others are deleted
}

// DueToDelete tells whether the event's delete date has come and somebody may be deleted.
func (p Planned) DueToDelete(now time.Time) bool {
	return p.State != attendees.Deleted && p.Expired(now) && !p.Event.Held &&
		(p.People == 0 && p.Restricted+p.Held == 0 || p.People > p.Restricted+p.Held)
}

// Plan is when each event is blocked and deleted, under which rule.
type Plan struct {
	Events []Planned // those that are not deleted yet, the next to end last
}

// Plan makes the plan, by the policy as it is now. It writes nothing.
func (s *Store) Plan(ctx context.Context) (p Plan, err error) {
	defer db.Wrap(&err, "plan")
	all, err := s.events.List(ctx)
	if err != nil {
		return p, err
	}
	var counts []struct {
		Event uuid.UUID `db:"event_id"`
		N     int       `db:"n"`
	}
	if err := db.Select(ctx, s.pool, &counts, `select event_id, count(*) as n from attendees group by event_id`); err != nil {
		return p, err
	}
	people := map[uuid.UUID]int{}
	for _, c := range counts {
		people[c.Event] = c.N
	}
	holds, err := s.Holds.List(ctx)
	if err != nil {
		return p, err
	}
	for _, e := range all {
		if e.State == attendees.Deleted {
			continue
		}
		if err := s.events.Preview(&e); err != nil {
			return p, err
		}
		one := Planned{Event: e, People: people[e.Key]}
		for _, h := range holds {
			if h.Event == e.ID {
				one.Holds = append(one.Holds, h)
			}
		}
		if one.Restricted, one.Held, err = s.Staying(ctx, e.Key); err != nil {
			return p, err
		}
		p.Events = append(p.Events, one)
	}
	return p, nil
}

// Hash names the plan by what it decides: events, dates, rules and holds, not how many
// people there are, nor the day it is looked at.
func (p Plan) Hash() string {
	lines := make([]string, 0, len(p.Events))
	for _, e := range p.Events {
		line := fmt.Sprintf("%q %s %s %s %s %s %s", e.ID, e.BlockOn, e.DeleteOn, e.Rule, e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule)
		for _, h := range e.Holds {
			line += fmt.Sprintf(" %d %q %s", h.ID, h.Attendee, h.Until)
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

// Accept puts the dates of the plan of that hash in force that have moved by more than 30
// days. It returns how many events that concerned, and fails where the plan is another by now.
func (s *Store) Accept(ctx context.Context, hash string) (n int, err error) {
	p, err := s.Plan(ctx)
	if err != nil {
		return 0, err
	}
	if p.Hash() != hash {
		return 0, fmt.Errorf("the plan is %s now, not %s: look at it again with `lethe retention plan`", p.Hash(), hash)
	}
	for _, one := range p.Events {
		if !one.Pending() {
			continue
		}
		n++
		err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
			e, err := s.events.WriteOne(ctx, tx, one.ID)
			if err != nil {
				return err
			}
			if e.PlannedBlockOn != one.PlannedBlockOn || e.PlannedDeleteOn != one.PlannedDeleteOn {
				return fmt.Errorf("event %s has other dates by now: look at the plan again", e.ID)
			}
			if e, err = s.events.Accept(ctx, tx, e); err != nil {
				return err
			}
			_, err = s.ledger.Record(ctx, tx, ledger.Entry{
				Kind: ledger.Accepted, Event: string(e.ID), Rule: e.Rule, Reason: "plan " + hash, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(),
			})
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

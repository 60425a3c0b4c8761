package retention

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/seal"
)

// Planned is one event in the plan.
type Planned struct {
	events.Event
	People  int // stored
	Holds   []Hold
	Staying       // when the others are deleted
	Leaving bool  // its deletion has begun
	Waits   error // why it is not blocked although its block date has come
}

// DueToBlock tells whether the event can be blocked now; one that is due to be deleted is
// deleted straight away.
func (p Planned) DueToBlock(now time.Time) bool {
	return p.State == attendees.Open && p.Past(now) && !p.Expired(now) && p.Waits == nil
}

// DueToDelete tells whether the event's delete date has come and somebody may be deleted, or
// its deletion was cut off.
func (p Planned) DueToDelete(now time.Time) bool {
	return p.Leaving || p.State != attendees.Deleted && p.Expired(now) && !p.Event.Held && (p.People == 0 || p.People > p.Staying.all())
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
	var numbers []struct {
		Event   uuid.UUID `db:"id"`
		People  int       `db:"people"`
		Leaving bool      `db:"leaving"`
		Staying
	}
	err = db.Select(ctx, s.pool, &numbers, `
		select e.id, n.people, s.restricted, s.held, s.kept, exists (select from deletions d where d.event_id = e.id) as leaving
		from events e
		cross join lateral (select count(*) as people from attendees where event_id = e.id) as n
		cross join lateral (
			select count(*) filter (where restricted) as restricted, count(*) filter (where not restricted) as held,
				count(*) filter (where not restricted and not recorded) as kept
			from staying(e.id)
		) as s
		where e.state <> 'deleted'`)
	if err != nil {
		return p, err
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
		one := Planned{Event: e}
		for _, n := range numbers {
			if n.Event == e.Key {
				one.People, one.Staying, one.Leaving = n.People, n.Staying, n.Leaving
			}
		}
		for _, h := range holds {
			if h.Event == e.ID {
				one.Holds = append(one.Holds, h)
			}
		}
		if e.State == attendees.Open && e.Past(s.now()) {
			may := s.mayBlock
			if e.Expired(s.now()) {
				may = s.mayDelete
			}
			if one.Waits = may(ctx, s.pool, e); one.Waits != nil && !waits(one.Waits) {
				return p, one.Waits
			}
		}
		p.Events = append(p.Events, one)
	}
	return p, nil
}

// waits tells an event that waits from one that failed.
func waits(err error) bool {
	return errors.As(err, new(*NotYetError)) || errors.As(err, new(*HeldError)) || errors.Is(err, ErrNotStarted) || errors.Is(err, ErrChanged) ||
		errors.Is(err, seal.ErrNoOfficer) || errors.Is(err, ledger.ErrClock)
}

func (p Plan) dueToDelete(now time.Time) (due []Planned) {
	for _, e := range p.Events {
		if e.DueToDelete(now) && e.Waits == nil {
			due = append(due, e)
		}
	}
	return due
}

// Hash names the plan by what it decides: events, dates, rules and holds, not how many
// people there are, nor the day it is looked at.
func (p Plan) Hash() string {
	lines := make([]string, 0, len(p.Events))
	for _, e := range p.Events {
		line := fmt.Sprintf("%q %s %s %s %s %s %s", e.ID, e.BlockOn, e.DeleteOn, e.Rule, e.Planned.BlockOn, e.Planned.DeleteOn, e.Planned.Rule)
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
			if e.Planned.BlockOn != one.Planned.BlockOn || e.Planned.DeleteOn != one.Planned.DeleteOn {
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

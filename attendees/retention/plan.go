package retention

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
)

// Staying are the attendees of an event who outlive its delete date: restricted, until that
// is lifted or they are erased, or on hold by themselves.
type Staying struct {
	Restricted int `db:"restricted"`
	Held       int `db:"held"`
	// Kept is how many of the held have no record of their own: a hold that was added after
	// blocking, so that the other keys live as long as it does.
	Kept int `db:"kept"`
}

func (s Staying) all() int { return s.Restricted + s.Held }

// remaining are the people of one event.
type remaining struct {
	Of      uuid.UUID `db:"event_id"`
	People  int       `db:"people"` // stored
	Staying           // when the others are deleted
	Leaving bool      `db:"leaving"` // its deletion has begun
}

// leave is how many people go when the event is deleted.
func (r remaining) leave() int { return r.People - r.Staying.all() }

// Planned is one event in the plan.
type Planned struct {
	events.Event
	remaining
	Holds []Hold
	Waits error // why it is not blocked, or deleted, although the day has come
}

// DueToBlock tells whether the event can be blocked now; one that is due to be deleted is
// deleted straight away.
func (p Planned) DueToBlock(now time.Time) bool {
	return p.State == attendees.Open && p.Past(now) && !p.Expired(now) && p.Waits == nil
}

// DueToDelete tells whether the event's delete date has come and somebody may be deleted, or
// its deletion was cut off.
func (p Planned) DueToDelete(now time.Time) bool {
	return p.Leaving || p.State != attendees.Deleted && p.Expired(now) && !p.Event.Held && (p.People == 0 || p.leave() > 0)
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
	var rows []remaining
	if err := db.Select(ctx, s.pool, &rows, `select event_id, people, restricted, held, kept, leaving from remaining`); err != nil {
		return p, err
	}
	left := map[uuid.UUID]remaining{}
	for _, r := range rows {
		left[r.Of] = r
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
		one := Planned{Event: e, remaining: left[e.Key]}
		for _, h := range holds {
			if h.Event == e.ID {
				one.Holds = append(one.Holds, h)
			}
		}
		if e.State == attendees.Open && e.Past(s.now()) {
			if one.Waits = s.mayEnd(ctx, s.pool, e); one.Waits != nil && !waits(one.Waits) {
				return p, one.Waits
			}
		}
		p.Events = append(p.Events, one)
	}
	return p, nil
}

// due are the events that can be deleted now.
func (p Plan) due(now time.Time) (due []Planned) {
	for _, e := range p.Events {
		if e.DueToDelete(now) && e.Waits == nil {
			due = append(due, e)
		}
	}
	return due
}

// cutOff are the events, except those that are due anyway, whose deletion was cut off.
func (p Plan) cutOff(due []Planned) []Planned {
	return slices.DeleteFunc(slices.Clone(p.Events), func(e Planned) bool {
		return !e.Leaving || slices.ContainsFunc(due, func(d Planned) bool { return d.Key == e.Key })
	})
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
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return fmt.Sprintf("%x-%x", sum[:2], sum[2:4])
}

func (p Plan) is(hash string) error {
	if now := p.Hash(); now != hash {
		return fmt.Errorf("the plan is %s now, not %s: look at it again with `lethe retention plan`", now, hash)
	}
	return nil
}

// Accept puts the dates of the plan of that hash in force that have moved by more than 30
// days. It returns how many events that concerned, and fails where the plan is another by now.
func (s *Store) Accept(ctx context.Context, hash string) (n int, err error) {
	p, err := s.Plan(ctx)
	if err == nil {
		err = p.is(hash)
	}
	for _, one := range p.Events {
		if err != nil || !one.Pending() {
			continue
		}
		n++
		err = s.write(ctx, one.ID, func(tx db.Tx, e events.Event) (err error) {
			if e.Planned.BlockOn != one.Planned.BlockOn || e.Planned.DeleteOn != one.Planned.DeleteOn {
				return fmt.Errorf("event %s has other dates by now: look at the plan again", e.ID)
			}
			if e, err = s.events.Accept(ctx, tx, e); err != nil {
				return err
			}
			return s.record(ctx, tx, e, ledger.Entry{
				Kind: ledger.Accepted, Rule: e.Rule, Reason: "plan " + hash, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(),
			})
		})
	}
	return n, err
}

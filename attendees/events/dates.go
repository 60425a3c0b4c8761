package events

import (
	"time"

	"lethe/attendees"
)

// freeDays is how far an event's dates may move, either way, and apply at once. A larger
// change applies only when somebody has accepted it; until then the later of the old and
// the new dates does.
const freeDays = 30

// Pending tells that the event's dates have moved so far that somebody has to accept it.
func (e Event) Pending() bool { return e.State != attendees.Deleted && e.far() }

// far tells that the planned dates are far from those that a person accepted, or that
// applied 30 days ago.
func (e Event) far() bool {
	days := func(a, b attendees.Date) bool { n := a.Days(b); return n > freeDays || n < -freeDays }
	return days(e.PlannedDeleteOn, e.AcceptedDeleteOn) || e.State == attendees.Open && days(e.PlannedBlockOn, e.AcceptedBlockOn)
}

// plan gives an event what source and policy say now. What is blocked stays blocked: only
// its delete date moves, never before the day it was blocked.
func (e *Event) plan(p attendees.Schedule, now time.Time) {
	// Small steps add up: what they are compared with moves only with what applied for a while.
	if now.Sub(e.AppliedAt) >= freeDays*24*time.Hour {
		e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn = e.Rule, e.BlockOn, e.DeleteOn
	}
	e.PlannedDeleteOn, e.PlannedRule = p.DeleteOn, p.Rule.Name
	if e.State == attendees.Open {
		e.EndsOn, e.PlannedBlockOn = p.EndsOn, p.BlockOn
	} else {
		e.PlannedDeleteOn = later(e.PlannedDeleteOn, e.BlockOn)
	}
	block, delete, rule := e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule
	if e.far() {
		block = later(block, e.AcceptedBlockOn)
		if delete.Before(e.AcceptedDeleteOn) {
			delete, rule = e.AcceptedDeleteOn, e.AcceptedRule
		}
	}
	e.apply(block, delete, rule, now)
}

// apply puts dates in force.
func (e *Event) apply(block, delete attendees.Date, rule string, now time.Time) {
	if e.State != attendees.Open {
		block = e.BlockOn
	}
	if block != e.BlockOn || delete != e.DeleteOn || rule != e.Rule {
		e.BlockOn, e.DeleteOn, e.Rule, e.AppliedAt = block, delete, rule, now
	}
}

// accept puts the planned dates in force; later changes are compared with them.
func (e *Event) accept(now time.Time) {
	if e.State != attendees.Open { // it may have been blocked since it was planned
		e.PlannedDeleteOn = later(e.PlannedDeleteOn, e.BlockOn)
	}
	e.apply(e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule, now)
	e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn = e.Rule, e.BlockOn, e.DeleteOn
	e.AppliedAt = now
}

// dates are a block date, and a delete date with its rule.
type dates struct {
	block, delete attendees.Date
	rule          string
}

func (e Event) inForce() dates  { return dates{e.BlockOn, e.DeleteOn, e.Rule} }
func (e Event) planned() dates  { return dates{e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule} }
func (e Event) accepted() dates { return dates{e.AcceptedBlockOn, e.AcceptedDeleteOn, e.AcceptedRule} }

func sameDates(a, b Event) bool {
	return a.EndsOn == b.EndsOn && a.inForce() == b.inForce() && a.planned() == b.planned() && a.accepted() == b.accepted()
}

func later(a, b attendees.Date) attendees.Date {
	if a.Before(b) {
		return b
	}
	return a
}

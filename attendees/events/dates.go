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
	return days(e.Planned.DeleteOn, e.Accepted.DeleteOn) || e.State == attendees.Open && days(e.Planned.BlockOn, e.Accepted.BlockOn)
}

// plan gives an event what source and policy say now. What is blocked stays blocked: only
// its delete date moves, never before the day it was blocked.
func (e *Event) plan(p attendees.Schedule, now time.Time) {
	// Small steps add up: what they are compared with moves only with what applied for a while.
	if now.Sub(e.AppliedAt) >= freeDays*24*time.Hour {
		e.Accepted = e.Dates
	}
	planned := Dates{p.Rule.Name, p.BlockOn, p.DeleteOn}
	if e.State == attendees.Open {
		e.EndsOn = p.EndsOn
	} else {
		planned.BlockOn, planned.DeleteOn = e.Planned.BlockOn, later(p.DeleteOn, e.BlockOn)
	}
	e.Planned = planned
	if e.far() {
		planned.BlockOn = later(planned.BlockOn, e.Accepted.BlockOn)
		if planned.DeleteOn.Before(e.Accepted.DeleteOn) {
			planned.DeleteOn, planned.Rule = e.Accepted.DeleteOn, e.Accepted.Rule
		}
	}
	e.apply(planned, now)
}

// apply puts dates in force.
func (e *Event) apply(d Dates, now time.Time) {
	if e.State != attendees.Open {
		d.BlockOn = e.BlockOn
	}
	if d != e.Dates {
		e.Dates, e.AppliedAt = d, now
	}
}

// accept puts the planned dates in force; later changes are compared with them.
func (e *Event) accept(now time.Time) {
	if e.State != attendees.Open { // it may have been blocked since it was planned
		e.Planned.DeleteOn = later(e.Planned.DeleteOn, e.BlockOn)
	}
	e.apply(e.Planned, now)
	e.Accepted, e.AppliedAt = e.Dates, now
}

func sameDates(a, b Event) bool {
	return a.EndsOn == b.EndsOn && a.Dates == b.Dates && a.Planned == b.Planned && a.Accepted == b.Accepted
}

func later(a, b attendees.Date) attendees.Date {
	if a.Before(b) {
		return b
	}
	return a
}

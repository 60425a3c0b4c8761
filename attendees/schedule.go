package attendees

import (
	"fmt"
	"strings"
	"time"
)

// Schedule is when an event's people are blocked and deleted, and under which rule.
type Schedule struct {
	EndsOn, BlockOn, DeleteOn Date
	Rule                      Rule
}

// longestOpen bounds in days how long an event stays open of which nobody says when
// it takes place, counted from the day it was first seen: a year and a month.
const longestOpen = 400

// Schedule plans an event. block_on is its end, in its own zone, and the grace days;
// delete_on comes from its retention rule, and never before block_on.
//
// An event without an end ends a day after its start; one without either is open
// for 400 days from firstSeen. A zone that is not known counts as UTC: its end may then be
// a day off, and over a year's end the delete date of most rules a year. The error says
// that the policy names a rule that does not exist.
func (p *Policy) Schedule(e Event, firstSeen Date) (Schedule, error) {
	name := p.Rule
	if own, ok := p.EventRules[e.ID]; ok {
		name = own
	}
	if name == "" {
		name = DefaultRule
	}
	rule, ok := p.RuleNamed(name)
	if !ok {
		return Schedule{}, fmt.Errorf("plan event %s: no retention rule is called %q; there are %s", e.ID, name, strings.Join(p.RuleNames(), ", "))
	}
	zone := ZoneOf(e.Zone)
	var s Schedule
	switch {
	case !e.End.IsZero():
		s.EndsOn = DateOf(e.End.In(zone))
	case !e.Start.IsZero():
		s.EndsOn = DateOf(e.Start.In(zone)).AddDays(1)
	default:
		s.EndsOn = firstSeen.AddDays(longestOpen - p.GraceDays)
	}
	s.BlockOn = s.EndsOn.AddDays(p.GraceDays)
	s.DeleteOn = rule.DeleteOn(s.EndsOn, p.FinancialYearEnd)
	if s.DeleteOn.Before(s.BlockOn) {
		s.DeleteOn = s.BlockOn
	}
	s.Rule = rule
	return s, nil
}

// ZoneOf is the time zone of an IANA name, or UTC where it is not known. "Local", which Go
// takes for the machine's own zone, names none: two machines would plan two days.
func ZoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	return zone
}

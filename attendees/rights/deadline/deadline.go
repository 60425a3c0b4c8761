// Package deadline counts until when a request must be answered, GDPR Art. 12(3), by the rules
// for periods of Regulation (EEC, Euratom) 1182/71.
package deadline

import (
	"time"

	"lethe/attendees"
)

const (
	// answerMonths is for how long an answer may take (GDPR Art. 12(3)), and extendMonths by
	// how much that may be extended, once, with a reason sent to the person.
	answerMonths = 1
	extendMonths = 2
	// PauseWithin is within how many days of a request proof of identity must be asked for to
	// stop the deadline (Art. 12(6) without delay; EDPB Guidelines 01/2022, 157).
	PauseWithin = 14
)

// Pause is the time in which a request waited for proof of identity: from the day it was
// asked for to the day it was given. A zero Until: not yet.
type Pause struct{ From, Until attendees.Date }

// Days are how many days the pause lasted by a day.
func (p Pause) Days(today attendees.Date) int {
	end := p.Until
	if end.IsZero() {
		end = today
	}
	return max(0, end.Days(p.From))
}

// Of is the last day on which a request that came on a day may be answered.
//
// A period of months ends with the same day of its last month, or with that month's end
// (Regulation (EEC, Euratom) 1182/71 Art. 3(2)(c)); it counts from the day of receipt (EDPB
// Guidelines 01/2022, 159). Days of a pause are added. Where the last day is a Saturday,
// a Sunday or a public holiday it ends with the next working day (Art. 3(4)).
func Of(received attendees.Date, pause Pause, extended bool, today attendees.Date, holidays Holidays) attendees.Date {
	months := answerMonths
	if extended {
		months += extendMonths
	}
	last := received.AddMonths(months)
	if !pause.From.IsZero() {
		last = last.AddDays(pause.Days(today))
	}
	for !holidays.Working(last) {
		last = last.AddDays(1)
	}
	return last
}

// weekday is the date's day of the week.
func weekday(d attendees.Date) time.Weekday {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Weekday()
}

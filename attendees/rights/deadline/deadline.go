// Package deadline counts until when a request must be answered, GDPR Art. 12(3), by the rules
// for periods of Regulation (EEC, Euratom) 1182/71.
package deadline

import "lethe/attendees"

const (
	// answerMonths is for how long an answer may take (GDPR Art. 12(3)), and extendMonths by
	// how much that may be extended, once, with a reason sent to the person.
	answerMonths = 1
	extendMonths = 2
	// PauseWithin is within how many days of a request proof of identity must be asked for to
	// stop the deadline (Art. 12(6) without delay; EDPB Guidelines 01/2022, 157).
	PauseWithin = 14
)

// Of is the last day on which a request that came on a day may be answered.
//
// A period of months ends with the same day of its last month, or with that month's end
// (Regulation (EEC, Euratom) 1182/71 Art. 3(2)(c)); it counts from the day of receipt (EDPB
// Guidelines 01/2022, 159). Days between paused and resumed are added, while proof of identity
// is waited for those until today; a zero paused means that it never was. Where the last day
// is a Saturday, a Sunday or a public holiday it ends with the next working day (Art. 3(4)).
func Of(received, paused, resumed attendees.Date, extended bool, today attendees.Date, holidays Holidays) attendees.Date {
	months := answerMonths
	if extended {
		months += extendMonths
	}
	last := received.AddMonths(months)
	if resumed.IsZero() {
		resumed = today
	}
	if !paused.IsZero() {
		last = last.AddDays(max(0, resumed.Days(paused)))
	}
	for !holidays.Working(last) {
		last = last.AddDays(1)
	}
	return last
}

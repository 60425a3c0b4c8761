package attendees

import "time"

// Answer is what somebody answered to one question: one text, or one for each
// choice taken. A yes-or-no answer is "true" or "false".
type Answer []Personal

// Registration is what a source says of one person's ticket. It lives in memory
// only: Policy.Minimise makes of it what may be stored.
type Registration struct {
	ID    AttendeeID
	Event EventID

	Name, Email Personal
	Ticket      string // the ticket kind's name
	Status      string // as the source words it; Cancelled and Refunded decide
	Cancelled   bool
	Refunded    bool
	Attended    bool
	Answers     map[QuestionID]Answer // only of the questions that were asked for

	Created, Changed time.Time
}

// Response is what one submitted form says. It lives in memory only:
// Policy.MinimiseResponse makes of it what may be stored.
type Response struct {
	Form      FormID
	ID        ResponseID
	Attendee  AttendeeID // the hidden field attendee_id; empty where the form has none
	Submitted time.Time
	Answers   map[QuestionID]Answer // keyed by the question's ref where it has one, and by its id
}

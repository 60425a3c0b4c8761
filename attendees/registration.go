package attendees

import "time"

// Answer is what somebody answered to one question: one text, or one for each choice. A
// yes-or-no answer is "true" or "false".
type Answer []Personal

// Standing tells what has become of a registration at its source.
type Standing string

// Only attendees who are attending are on lists by default.
const (
	Attending Standing = "attending"
	Cancelled Standing = "cancelled"
	Refunded  Standing = "refunded"
	Gone      Standing = "gone" // no longer known at the source, or handed to somebody else
)

// Registration is what a source says about one ticket. It is in memory only:
// Policy.Minimise makes of it what may be stored.
type Registration struct {
	ID    AttendeeID
	Event EventID

	Name, Email Personal
	Ticket      string // the ticket type's name
	Status      string // as the source words it; Cancelled and Refunded decide
	Cancelled   bool
	Refunded    bool
	Attended    bool
	Answers     map[QuestionID]Answer // only of the questions that were asked for

	Created, Changed time.Time
}

// Response is what one submitted form says. It is in memory only: Policy.MinimiseResponse
// makes of it what may be stored.
type Response struct {
	Form      FormID
	ID        ResponseID
	Attendee  AttendeeID // the hidden field attendee_id; empty where the form has none
	Submitted time.Time
	Answers   map[QuestionID]Answer // keyed by the question's ref where it has one, and by its id
}

// standing is decided by what Eventbrite says in two flags; its status is being retired and
// takes values that nobody announced.
func (r Registration) standing() Standing {
	switch {
	case r.Refunded:
		return Refunded
	case r.Cancelled:
		return Cancelled
	}
	return Attending
}

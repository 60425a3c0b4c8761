package attendees

import "lethe/attendees"

// Ids, roles and personal data have the types of the core that replaces this one.
type (
	SourceName     = attendees.SourceName
	OrganizationID = attendees.OrganizationID
	EventID        = attendees.EventID
	AttendeeID     = attendees.AttendeeID
	FormID         = attendees.FormID
	ResponseID     = attendees.ResponseID
	QuestionID     = attendees.QuestionID
	Role           = attendees.Role
	Personal       = attendees.Personal
)

// The sources, the form of an event's own questions, and the roles.
const (
	Eventbrite     = attendees.Eventbrite
	Typeform       = attendees.Typeform
	EventbriteForm = attendees.EventbriteForm
	Organiser      = attendees.Organiser
	Operator       = attendees.Operator
	Officer        = attendees.Officer
)

const redacted = "[personal]"

// Roles are all roles there are.
func Roles() []Role { return attendees.Roles() }

package attendees

// Ids from outside are types of their own, so that two cannot be swapped. All are
// the source's ids, as text: Eventbrite's run beyond 32 bits and may carry a suffix.
type (
	// SourceName names a service that registrations come from: "eventbrite" or "typeform".
	SourceName string
	// OrganizationID is an Eventbrite organisation's id.
	OrganizationID string
	// EventID is the source's id of an event; commands and URLs use it.
	EventID string
	// AttendeeID is the source's id of one registration.
	AttendeeID string
	// FormID is a Typeform form's id, or EventbriteForm.
	FormID string
	// ResponseID is the id of one submitted form; unique within its form only.
	ResponseID string
	// QuestionID is a question's ref (its author's, stable) or id, at its source.
	QuestionID string
)

// The sources that are built in.
const (
	Eventbrite SourceName = "eventbrite"
	Typeform   SourceName = "typeform"
)

// EventbriteForm is the "form" that stands for an event's own questions at Eventbrite.
const EventbriteForm FormID = "eventbrite"

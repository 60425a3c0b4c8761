package attendees

import "time"

// Attendee is one person's registration for one event, with the fields that some
// purpose allows and nothing else.
type Attendee struct {
	ID    AttendeeID
	Event EventID

	Name, Email         Personal
	Ticket              string
	Status              Standing
	SourceStatus        string // as the source words it, for people to read
	Attended            bool
	AgreementVersion    string
	AgreedAt            time.Time // zero: never
	Affiliation         Personal
	Forums              []Personal
	Answers             map[string]Answer // by the name that the organiser gave
	Registered, Changed time.Time
}

// Standing tells whether a registration stands.
type Standing string

// Only who is attending is on the default lists.
const (
	Attending Standing = "attending"
	Cancelled Standing = "cancelled"
	Refunded  Standing = "refunded"
	Gone      Standing = "gone" // no longer known upstream
)

// Minimised is a registration of which only what the policy names is left. Only
// Policy.Minimise makes one, and the store takes nothing else: the first promise
// is kept by the compiler.
type Minimised struct{ a Attendee }

// Attendee shows what is left.
func (m Minimised) Attendee() Attendee { return m.a }

// FormAnswers is what is left of one response.
type FormAnswers struct {
	Form      FormID
	ID        ResponseID
	Attendee  AttendeeID // from the hidden field; empty where there was none
	Submitted time.Time

	Name, Email      Personal
	AgreementVersion string
	AgreedAt         time.Time // zero: this response says no yes
	Affiliation      Personal
	Forums           []Personal
	Answers          map[string]Answer
}

// MinimisedResponse is a response of which only what the policy names is left.
// Only Policy.MinimiseResponse makes one.
type MinimisedResponse struct{ r FormAnswers }

// Response shows what is left.
func (m MinimisedResponse) Response() FormAnswers { return m.r }

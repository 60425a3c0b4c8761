package attendees

import (
	"fmt"
	"io"
	"time"
)

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
//
// It holds a func because package fmt prints what lies in unexported fields past every
// Format method, Personal's included, but cannot look into a func.
type Minimised struct{ reveal func() Attendee }

// Attendee shows what is left: of the zero Minimised, nothing.
func (m Minimised) Attendee() Attendee {
	if m.reveal == nil {
		return Attendee{}
	}
	return m.reveal()
}

// Format hides the registration from every verb of package fmt.
func (m Minimised) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

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
type MinimisedResponse struct{ reveal func() FormAnswers } // a func, as in Minimised

// Response shows what is left: of the zero MinimisedResponse, nothing.
func (m MinimisedResponse) Response() FormAnswers {
	if m.reveal == nil {
		return FormAnswers{}
	}
	return m.reveal()
}

// Format hides the response from every verb of package fmt.
func (m MinimisedResponse) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

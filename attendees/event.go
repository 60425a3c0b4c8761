package attendees

import "time"

// Event is one gathering, as its source describes it.
type Event struct {
	ID           EventID
	Organization OrganizationID
	Name         string
	Status       string // as the source words it
	Start, End   time.Time
	Zone         string // IANA name; empty where the source gave none
	Changed      time.Time
}

// State is the state of an event, or of one attendee.
type State string

// The states of an event, in their order; only staff can reopen one that is blocked. An
// attendee of an open event may be restricted.
const (
	Open       State = "open"
	Blocked    State = "blocked"
	Deleted    State = "deleted"
	Restricted State = "restricted"
)

// Reason is why an attendee is restricted. The zero Reason: they are not.
type Reason string

// The reasons.
const (
	// ErasureAsked: what no duty keeps is erased, the rest sealed early (GDPR Art. 17(3)(b)).
	ErasureAsked Reason = "erasure"
	// RestrictionAsked: all is sealed and nothing dropped until it is lifted (Art. 18).
	RestrictionAsked Reason = "restriction"
	// Objected is a restriction while an objection is looked into (Art. 21, 18(1)(d)).
	Objected Reason = "objection"
)

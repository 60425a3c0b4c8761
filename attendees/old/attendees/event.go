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

// State is where an event, or one registration, stands in its life.
type State string

// The states, in their order. There is no way back from deleted.
const (
	Active  State = "active"
	Blocked State = "blocked"
	Deleted State = "deleted"
)

// Reason is why one registration is blocked for itself, while its event's others are
// not. The zero Reason: it is not.
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

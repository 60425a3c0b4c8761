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

package life

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Driver is a store under test, or rather the stores together: it does acts, and tells what
// each role sees. Everything is a plain value, so that a driver translates and decides
// nothing. It belongs to one life and one goroutine.
type Driver interface {
	// Do does one act. ErrRefused where the store does not do it, for a reason that it
	// knows; ErrClock where the clock is behind what was recorded; ErrUnsupported where the
	// store has no such act. Any other error ends the life.
	Do(a Act) error

	// Plan is what is planned for an event.
	Plan(event string) (Plan, error)
	// Listed is what an organiser's list and export for a purpose have. ErrRefused where
	// an organiser may not read the event.
	Listed(event, purpose string) ([]Row, error)
	// Own is what somebody who has proved an address sees.
	Own(address string) ([]Own, error)
	// Officer is what the data protection officer opens of an event, with all officers'
	// keys that there ever were.
	Officer(event string) ([]Record, error)
	// Person is what opens of an event with one address, the database and the secret.
	Person(event, address string) ([]Record, error)
	// Server is who opens with the database and the secret.
	Server(event string) ([]Who, error)
	// Counts are those that are left of an event once it is blocked, by what was counted:
	// registered, attended, agreed.
	Counts(event string) (map[string]int, error)
	// Stored tells which people anything is stored of, and which answers the server can
	// open.
	Stored(event string) (Stored, error)
	// Tasks is what staff are asked.
	Tasks() ([]Task, error)

	// End gives back what the life took: there are hundreds of them.
	End()
}

// What Do may return.
var (
	ErrUnsupported = errors.New("the store has no such act")
	ErrRefused     = errors.New("refused")
	ErrClock       = errors.New("the clock is behind the ledger")
)

// Setup is how a life begins: with events that are open, known, read and announced, and one
// form that is linked to all of them. The link of every event fills name and email of
// participation_agreement, and affiliation and forums of forum; that of one that asks fills
// agreed and agreement_version too. The forum names name, email, affiliation and forums,
// and is dropped when the event is blocked. Retention has been started.
type Setup struct {
	Now    time.Time
	Events []Event
	Asks   []string // events whose link fills agreed
	// Consent tells that the forum rests on consent: a link fills consented. Otherwise it
	// rests on the contract.
	Consent bool
}

// Event is an event as its source describes it, in Europe/Berlin.
type Event struct {
	ID  string
	End time.Time
}

// Ticket is a registration as its source has it.
type Ticket struct {
	ID, Event, Name, Address string
	Kind                     string // of ticket
	Standing                 string // attending, cancelled or refunded
	Attended                 bool
	Bought, Changed          time.Time
}

// Answer is one response of the form.
type Answer struct {
	ID                   string
	Claims               string // the ticket that the hidden field names; empty: none
	Name, Address        string // Address is empty where the form asks for none
	Yes, Consent         bool   // to the agreement; to the forum
	Version, Affiliation string
	Forums               []string
	Submitted            time.Time
}

// Who is one attendee: a holder of a ticket, the first one 0.
type Who struct {
	Ticket string
	Holder int
}

func (w Who) String() string { return fmt.Sprintf("%s/%d", w.Ticket, w.Holder) }

// Kind is what an act does.
type Kind string

// What sources say.
const (
	Describe  Kind = "describe"  // Event ends at End
	Save      Kind = "save"      // a page of Tickets
	Answers   Kind = "answers"   // a page of Answers
	Reconcile Kind = "reconcile" // a complete listing of Event names Listed; who is missing is not known by id either
)

// What people and staff do.
const (
	Restrict       Kind = "restrict" // Who, at their request
	Object         Kind = "object"
	Lift           Kind = "lift"     // by Address, or, where it is empty, by an officer
	Withdraw       Kind = "withdraw" // Who, from Purpose
	Erase          Kind = "erase"    // as far as no duty stops it
	Forget         Kind = "forget"   // now, whatever a duty says
	Correct        Kind = "correct"  // Who's Field to Value, asked for from Address
	Hold           Kind = "hold"     // Event as a whole, or Who; it has Number
	Release        Kind = "release"  // the hold of Number
	Keep           Kind = "keep"     // the agreement question of Event is answered
	Drop           Kind = "drop"
	Accept         Kind = "accept" // the plan, of all events
	Reopen         Kind = "reopen" // Event
	Match          Kind = "match"  // Answer of Event to Who, by hand
	Narrow         Kind = "narrow" // the policy's forum names affiliation no more, and stored layers are minimised again
	Widen          Kind = "widen"  // it does again
	AddOfficer     Kind = "add officer"
	ChangeOfficers Kind = "change officers" // all others leave
	AddSecret      Kind = "add secret"
)

// What becomes due.
const (
	SetClock Kind = "clock" // to Now
	Night    Kind = "night" // the sweep: what ends by time
	// Block and Delete are of Event. With Cut they are cut off: after that many of the steps
	// prepare, commit and clean up; or, 1, in the middle of the first.
	Block  Kind = "block"
	Delete Kind = "delete"
)

// Act is one step of a life.
type Act struct {
	Kind    Kind
	Event   string
	Who     Who
	End     time.Time
	Now     time.Time
	Tickets []Ticket
	Answers []Answer
	Listed  []string
	Answer  string
	Purpose string
	Field   string
	Value   string
	Address string
	Number  int
	Cut     int
}

// String names the act by ids.
func (a Act) String() string {
	var b strings.Builder
	b.WriteString(string(a.Kind))
	add := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	if a.Event != "" {
		add("event %s", a.Event)
	}
	if a.Who.Ticket != "" {
		add("attendee %s", a.Who)
	}
	if !a.End.IsZero() {
		add("until %s", a.End.Format(time.DateOnly))
	}
	if !a.Now.IsZero() {
		add("to %s", a.Now.Format(time.DateTime))
	}
	for _, t := range a.Tickets {
		add("[ticket %s of event %s %s]", t.ID, t.Event, t.Standing)
	}
	for _, r := range a.Answers {
		add("[answer %s", r.ID)
		if r.Claims != "" {
			add("names %s", r.Claims)
		}
		if r.Address != "" {
			add("with address")
		}
		if r.Yes {
			add("yes")
		}
		b.WriteString("]")
	}
	if a.Kind == Reconcile {
		add("%v", a.Listed)
	}
	if a.Answer != "" {
		add("answer %s", a.Answer)
	}
	if a.Field != "" {
		add("field %s", a.Field)
	}
	if a.Kind == Hold || a.Kind == Release {
		add("hold %d", a.Number)
	}
	if a.Kind == Lift && a.Address != "" {
		add("by the person")
	}
	if a.Cut > 0 {
		add("cut off in step %d", a.Cut)
	}
	return b.String()
}

// Plan is what is planned for an event.
type Plan struct {
	State    string // open, blocked or deleted
	BlockOn  string // 2006-01-02
	DeleteOn string
	Pending  bool // its planned dates wait for somebody to accept them
	Asked    bool // the agreement question is open
}

// Row is one attendee on a list: the fields of its purpose that have a value, as a person
// writes them, several values with "; " between, times as RFC 3339 in UTC, attended as yes
// or no.
type Row struct {
	Who      Who
	Standing string
	Fields   map[string]string
}

// Own is what is stored of one event under an address. Either Shared, or Who with the
// rest, or a response under the address that is unmatched or somebody else's.
type Own struct {
	Event  string
	Shared bool // several people have the address, and staff help
	Who    Who
	State  string            // open, restricted, erased (what a duty keeps of it) or blocked
	Opens  bool              // it can be shown
	Fields map[string]string // of somebody whose state is open: those of all purposes
	Answer string            // the id of such a response
}

// Record is one sealed record that opens.
type Record struct {
	Who Who
	// Kind is kept, doubt (while the question is open), held, restricted (all of its numbers
	// merged), lifted or corrected (the newest of each field). Several of one kind come in
	// the order in which they were made.
	Kind   string
	Fields map[string]string // as of a Row
	Also   []string          // values besides, such as earlier readings under a hold
}

// Stored is which people anything is stored of, and which answers open.
type Stored struct {
	People  []Who
	Answers []string
}

// Task is a question to staff: claim (a response that names somebody is not believed), gone
// (a listing lacks more than a handful) or unsaid (a form would take agreements away). The
// agreement question is in Plan.
type Task struct{ Kind, Event string }

package life

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// The purposes of the policy.
const (
	Participation = "participation_agreement"
	Forum         = "forum"
)

// States of events and of attendees.
const (
	Open       = "open"
	Blocked    = "blocked"
	Deleted    = "deleted"
	Restricted = "restricted"
	Erased     = "erased" // as far as a duty allows: what it keeps is sealed
)

// Standings.
const (
	Attending = "attending"
	gone      = "gone"
)

// berlin is where the events take place.
var berlin = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err) // the tests' machine has no time zones
	}
	return zone
}()

// date is the day, as its midnight in UTC, that an instant is in Berlin.
func date(t time.Time) time.Time {
	y, m, d := t.In(berlin).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// Model is what must be true, by DESIGN.md.
type Model struct {
	setup    Setup
	Now      time.Time
	recorded time.Time // the newest entry of the ledger
	Events   []*Gathering
	officers int
	Narrow   bool // the forum does not name affiliation
	Holds    map[int]*hold
	extra    int // the number of the last hold that nobody added by hand
	tasks    map[Task]bool
	// Ids that were erased: they never come in again, in any event.
	ErasedTickets, ErasedAnswers map[string]bool
}

type Gathering struct {
	ID       string
	Asks     bool // a link fills agreed
	State    string
	partly   bool // deleted but for those who stay
	Asked    bool // the agreement question is open
	dropped  bool // it was answered so
	Ends     time.Time
	Dates    dates // that apply
	planned  dates
	accepted dates // what changes are compared with
	applied  time.Time
	blocked  time.Time // when it was blocked last
	People   []*Attendee
	Answers  map[string]*answer
	records  []*record
	counts   map[string]int
}

// dates are a block and a delete date.
type dates struct{ Block, Delete time.Time }

// Attendee is one holder of a ticket in an event.
type Attendee struct {
	Who
	Event    *Gathering
	State    string // open, restricted, erased or blocked
	standing string
	Layer    *Ticket // the registration's layer; nil once nothing opens it
	since    time.Time
	moved    time.Time // when their ticket was seen in another event; zero: it is here
	stays    bool      // and it was handed over with that
	// What indexes and hashes tell, whatever opens.
	Named, Address string
	shared         bool // somebody else of the event has had the address
	Said           bool // had agreed when the event was blocked
	counted        bool // counts as agreed in a reopened event
	withdrawn      bool // the consent to the forum
	correction     map[string]string
	halves         []string        // the address of each number that is sealed while restricted; "": none
	Must           map[string]bool // values that a hold or a restriction keeps
}

// answer is one response as it is stored in an event.
type answer struct {
	Answer
	Owner  *Attendee // nil: unmatched
	claims *Attendee // the attendee it names, where it is not believed
	byHand bool
}

// record is one sealed record of a blocked event, or a sealed correction.
type record struct {
	who    *Attendee
	kind   string
	fields map[string]string
	half   string // the address that opens it
}

type hold struct {
	event *Gathering
	who   *Attendee // nil: the event as a whole
	late  bool      // added after the event was blocked
	// restricts: it was a restriction that somebody asked for after blocking.
	restricts bool
}

// NewModel is the beginning of a life.
func NewModel(s Setup) *Model {
	m := &Model{setup: s, Now: s.Now, Holds: map[int]*hold{}, tasks: map[Task]bool{}, ErasedTickets: map[string]bool{}, ErasedAnswers: map[string]bool{}}
	for _, from := range s.Events {
		e := &Gathering{ID: from.ID, Asks: slices.Contains(s.Asks, from.ID), State: Open, applied: s.Now, Answers: map[string]*answer{}}
		m.Events = append(m.Events, e)
		m.plan(e, from.End)
		e.Dates, e.accepted = e.planned, e.planned
	}
	return m
}

func (m *Model) Event(id string) *Gathering {
	i := slices.IndexFunc(m.Events, func(e *Gathering) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return m.Events[i]
}

func (e *Gathering) Find(w Who) *Attendee {
	i := slices.IndexFunc(e.People, func(a *Attendee) bool { return a.Who == w })
	if i < 0 {
		return nil
	}
	return e.People[i]
}

// holders are those of a ticket who are stored, the first one first.
func (e *Gathering) holders(ticket string) (all []*Attendee) {
	for _, a := range e.People {
		if a.Ticket == ticket {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *Attendee) int { return a.Holder - b.Holder })
	return all
}

// present is the present holder of a ticket, or nil.
func (e *Gathering) present(ticket string) *Attendee {
	all := e.holders(ticket)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (m *Model) Today() time.Time { return date(m.Now) }

// writable tells whether what sources say of an event is stored.
func (m *Model) writable(e *Gathering) bool {
	return e.State == Open && !e.partly && m.Today().Before(e.Dates.Delete)
}

// Readable tells whether an organiser may read an event.
func (m *Model) Readable(e *Gathering) bool {
	return e.State == Open && m.Today().Before(e.Dates.Block)
}

// Behind tells that nothing can be recorded: the clock is behind what was.
func (m *Model) Behind() bool { return m.Now.Before(m.recorded) }

func (m *Model) record() { m.recorded = latest(m.recorded, m.Now) }

// AnswersOf are the responses of an attendee, the newest first.
func (a *Attendee) AnswersOf() (all []*answer) {
	for _, r := range a.Event.Answers {
		if r.Owner == a {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y *answer) int {
		return cmp.Or(y.Submitted.Compare(x.Submitted), strings.Compare(x.ID, y.ID))
	})
	return all
}

// merge: each field from the correction, else the registration, else the newest response
// that has it. The latest yes counts, with its own version and time. Only those responses
// count that from takes.
func (m *Model) merge(a *Attendee, from func(*answer) bool) map[string]string {
	f := map[string]string{}
	set := func(field, value string) {
		if f[field] == "" && value != "" {
			f[field] = value
		}
	}
	t := a.Layer
	set("name", t.Name)
	set("email", t.Address)
	set("ticket", t.Kind)
	set("attended", map[bool]string{true: "yes", false: "no"}[t.Attended])
	var yes, consent *answer
	for _, r := range a.AnswersOf() {
		if from != nil && !from(r) {
			continue
		}
		set("name", r.Name)
		set("email", r.Address)
		set("affiliation", r.Affiliation)
		set("forums", strings.Join(r.Forums, "; "))
		if r.Yes && yes == nil {
			yes = r
		}
		if r.Consent && consent == nil {
			consent = r
		}
	}
	if yes != nil {
		set("agreed_at", yes.Submitted.UTC().Format(time.RFC3339))
		set("agreement_version", yes.Version)
	} else {
		for _, r := range a.AnswersOf() {
			if from == nil || from(r) {
				set("agreement_version", r.Version)
			}
		}
	}
	if consent != nil {
		f["consented"] = consent.Submitted.UTC().Format(time.RFC3339)
	}
	for field, value := range a.correction {
		f[field] = value
	}
	return f
}

// settle derives what columns tell, and ends corrections that the source agrees with.
func (m *Model) settle(a *Attendee) {
	if a.Layer == nil || a.State != Open {
		return
	}
	before := a.Address
	own := maps.Clone(a.correction)
	a.correction = nil
	source := m.merge(a, nil)
	for field, value := range own {
		if source[field] == value && !m.Held(a) {
			delete(own, field)
		}
	}
	a.correction = own
	f := m.merge(a, nil)
	a.Named, a.Address, a.standing = f["name"], f["email"], a.Layer.Standing
	if before != "" && before != a.Address {
		m.leaveAddress(a.Event, before, a)
	}
	if m.Held(a) {
		a.keep()
	}
}

// leaveAddress notes that somebody who had an address leaves it: whose it is, it does not
// say any more.
func (m *Model) leaveAddress(e *Gathering, address string, who *Attendee) {
	for _, b := range e.People {
		if b != who && b.Address == address && !b.samePerson(who) {
			b.shared = true
		}
	}
}

// samePerson tells that one of two tickets under one address is not attending and names
// the same person: cancelled and bought again.
func (a *Attendee) samePerson(b *Attendee) bool {
	return a.Named == b.Named && (a.standing != Attending || b.standing != Attending)
}

// SharesAddress tells that several people of the event have, or have had, the address.
func (a *Attendee) SharesAddress() bool {
	return a.shared || slices.ContainsFunc(a.Event.People, func(b *Attendee) bool {
		return b != a && b.Address == a.Address && !a.samePerson(b)
	})
}

// agreed tells whether somebody said yes.
func (m *Model) agreed(a *Attendee) bool {
	return a.counted || a.Said || slices.ContainsFunc(a.AnswersOf(), func(r *answer) bool { return r.Yes })
}

// Held tells whether a hold on the attendee or on the event is active.
func (m *Model) Held(a *Attendee) bool {
	return m.heldBy(func(h *hold) bool { return h.who == a || h.who == nil && h.event == a.Event })
}

func (m *Model) heldBy(by func(*hold) bool) bool {
	for _, h := range m.Holds {
		if by(h) {
			return true
		}
	}
	return false
}

// keep notes what is stored of somebody, which a hold or a restriction keeps.
func (a *Attendee) keep() {
	if a.Must == nil {
		a.Must = map[string]bool{}
	}
	note := func(values ...string) {
		for _, v := range values {
			if v != "" {
				a.Must[v] = true
			}
		}
	}
	if a.Layer != nil {
		note(a.Layer.Name, a.Layer.Address, a.Layer.Kind)
	}
	for _, r := range a.AnswersOf() {
		note(r.Name, r.Address, r.Affiliation)
		note(r.Forums...)
		if r.Yes {
			note(r.Submitted.UTC().Format(time.RFC3339))
		}
	}
	for _, v := range a.correction {
		note(v)
	}
}

// For tells whether the forum has a reason for somebody: they attend, and chose a forum or
// answered a question mapped for it; where it rests on consent, the consent is stored.
func (m *Model) inForum(a *Attendee, f map[string]string) bool {
	if a.standing != Attending {
		return false
	}
	if m.setup.Consent {
		return f["consented"] != ""
	}
	return f["affiliation"] != "" || f["forums"] != ""
}

var dutyFields = []string{"name", "email", "ticket", "attended", "agreement_version", "agreed_at"}
var forumFields = []string{"name", "email", "affiliation", "forums"}

func pick(f map[string]string, fields []string) map[string]string {
	some := map[string]string{}
	for _, field := range fields {
		if f[field] != "" {
			some[field] = f[field]
		}
	}
	return some
}

// remove removes an attendee with all that is stored of them.
func (m *Model) remove(a *Attendee) {
	if a.Address != "" && a.standing != "cancelled" && a.standing != "refunded" {
		m.leaveAddress(a.Event, a.Address, a)
	}
	e := a.Event
	e.People = slices.DeleteFunc(e.People, func(b *Attendee) bool { return b == a })
	e.records = slices.DeleteFunc(e.records, func(r *record) bool { return r.who == a })
	maps.DeleteFunc(e.Answers, func(_ string, r *answer) bool { return r.Owner == a })
	maps.DeleteFunc(m.Holds, func(_ int, h *hold) bool { return h.who == a })
	for _, r := range e.Answers {
		if r.claims == a {
			r.claims = nil
		}
	}
}

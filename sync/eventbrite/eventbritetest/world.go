package eventbritetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"lethe/attendees/old/attendees"
)

// Event is an event of the sandbox.
type Event struct {
	Name         string
	Status       string // empty: live
	Start, End   time.Time
	Zone         string // IANA; empty: UTC
	Changed      time.Time
	SeriesParent bool
}

// Question is one that an event asks.
type Question struct {
	ID      attendees.QuestionID
	Title   string
	Type    string // text, paragraph, radio, dropdown, checkbox
	Choices []string
}

type organization struct {
	id     attendees.OrganizationID
	name   string
	events []attendees.EventID
	listing
}

type event struct {
	Event
	id        attendees.EventID
	org       attendees.OrganizationID
	questions []Question
	listing
}

type attendee struct {
	Person
	id    attendees.AttendeeID
	event attendees.EventID
	json  []byte // rendered once for each change
}

// ErrUnknown says that the sandbox has no such event or attendee.
var ErrUnknown = errors.New("eventbritetest: no such event or attendee")

// AddOrganization adds one that the token sees.
func (s *Server) AddOrganization(name string) attendees.OrganizationID {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := attendees.OrganizationID(s.nextID("3"))
	s.organizations = append(s.organizations, &organization{id: id, name: name})
	return id
}

// AddEvent adds an event, with questions if there are any.
func (s *Server) AddEvent(org attendees.OrganizationID, e Event, questions ...Question) (attendees.EventID, []attendees.QuestionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Status == "" {
		e.Status = "live"
	}
	if e.Zone == "" {
		e.Zone = "UTC"
	}
	if e.Changed.IsZero() {
		e.Changed = s.now()
	}
	made := &event{Event: e, id: attendees.EventID(s.nextID("71")), org: org}
	var ids []attendees.QuestionID
	for _, q := range questions {
		q.ID = attendees.QuestionID(s.nextID("2"))
		ids = append(ids, q.ID)
		made.questions = append(made.questions, q)
	}
	s.events[made.id] = made
	if o := s.organization(org); o != nil {
		o.events = append(o.events, made.id)
	}
	return made.id, ids
}

// AddPeople invents n attendees of an event. They registered one after the other,
// seven a second, up to about now.
func (s *Server) AddPeople(id attendees.EventID, n int) []attendees.AttendeeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.events[id]
	if !ok {
		return nil
	}
	s.crowd++
	base := s.now().Add(-time.Duration(n/7+3600) * time.Second).Truncate(time.Second)
	ids := make([]attendees.AttendeeID, 0, n)
	for i := range n {
		suffix := ""
		if i%50 == 3 {
			suffix = "-1"
		}
		ids = append(ids, s.add(e, s.invent(i, e.questions, base), suffix))
	}
	return ids
}

// Add adds one attendee; times that are zero are now.
func (s *Server) Add(id attendees.EventID, p Person) (attendees.AttendeeID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.events[id]
	if !ok {
		return "", ErrUnknown
	}
	if p.Created.IsZero() {
		p.Created = s.now()
	}
	if p.Changed.IsZero() {
		p.Changed = p.Created
	}
	return s.add(e, p, ""), nil
}

func (s *Server) add(e *event, p Person, suffix string) attendees.AttendeeID {
	a := &attendee{Person: p, id: attendees.AttendeeID(s.nextID("13") + suffix), event: e.id}
	a.json = s.render(a, e)
	s.attendees[a.id] = a
	e.people = append(e.people, a)
	s.shifted(e)
	return a.id
}

// Change changes an attendee as an organiser or a buyer would: Changed becomes now,
// unless change sets it.
func (s *Server) Change(id attendees.AttendeeID, change func(*Person)) error {
	return s.change(id, true, change)
}

// CheckIn lets somebody in; as at Eventbrite, that does not move Changed.
func (s *Server) CheckIn(id attendees.AttendeeID) error {
	return s.change(id, false, func(p *Person) { p.CheckedIn, p.Status = true, "Checked In" })
}

// Cancel takes a ticket back.
func (s *Server) Cancel(id attendees.AttendeeID) error {
	return s.Change(id, func(p *Person) { p.Cancelled, p.Status = true, "Not Attending" })
}

// Refund gives the money back, too.
func (s *Server) Refund(id attendees.AttendeeID) error {
	return s.Change(id, func(p *Person) { p.Cancelled, p.Refunded, p.Status = true, true, "Not Attending" })
}

func (s *Server) change(id attendees.AttendeeID, moves bool, change func(*Person)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.attendees[id]
	if !ok {
		return ErrUnknown
	}
	before := a.Changed
	change(&a.Person)
	if moves && a.Changed.Equal(before) {
		a.Changed = s.now()
	}
	e := s.events[a.event]
	a.json = s.render(a, e)
	s.shifted(e)
	return nil
}

// Move transfers a ticket to another event; its id stays.
func (s *Server) Move(id attendees.AttendeeID, to attendees.EventID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.attendees[id]
	target, known := s.events[to]
	if !ok || !known {
		return ErrUnknown
	}
	s.leave(a)
	a.event, a.Changed = to, s.now()
	a.json = s.render(a, target)
	target.people = append(target.people, a)
	s.shifted(target)
	return nil
}

// Remove makes an attendee unknown, in listings and by id.
func (s *Server) Remove(id attendees.AttendeeID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.attendees[id]
	if !ok {
		return ErrUnknown
	}
	s.leave(a)
	delete(s.attendees, id)
	return nil
}

func (s *Server) leave(a *attendee) {
	e := s.events[a.event]
	e.people = slices.DeleteFunc(e.people, func(other *attendee) bool { return other == a })
	s.shifted(e)
}

// ChangeEvent changes an event; its Changed becomes now.
func (s *Server) ChangeEvent(id attendees.EventID, change func(*Event)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.events[id]
	if !ok {
		return ErrUnknown
	}
	change(&e.Event)
	e.Changed = s.now()
	return nil
}

// Attendees is the truth about an event, by id: what a client must come to know, with
// the answers to the questions that it asks for.
func (s *Server) Attendees(id attendees.EventID, questions map[attendees.QuestionID]bool) []attendees.Registration {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.events[id]
	if !ok {
		return nil
	}
	all := make([]attendees.Registration, 0, len(e.people))
	for _, a := range e.people {
		all = append(all, a.registration(a.id, id, questions))
	}
	slices.SortFunc(all, func(a, b attendees.Registration) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Events are those of an organisation, in the order they were added.
func (s *Server) Events(org attendees.OrganizationID) []attendees.EventID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.organization(org); o != nil {
		return slices.Clone(o.events)
	}
	return nil
}

func (s *Server) organization(id attendees.OrganizationID) *organization {
	i := slices.IndexFunc(s.organizations, func(o *organization) bool { return o.id == id })
	if i < 0 {
		return nil
	}
	return s.organizations[i]
}

// nextID gives ids beyond 32 bits, as Eventbrite's are.
func (s *Server) nextID(prefix string) string {
	s.ids++
	return fmt.Sprintf("%s%09d", prefix, s.ids)
}

package life

import (
	"slices"
	"strings"
	"time"
)

// plan gives an event the dates that its end means: blocked 30 days after it, deleted six
// years after the end of its year (de-ao-6). A change of more than 30 days against the dates
// that a person accepted, or that applied 30 days ago, counts only when accepted; until
// then the later of old and new dates applies. What is blocked stays blocked.
func (m *Model) plan(e *Gathering, end time.Time) {
	if m.Now.Sub(e.applied) >= 30*24*time.Hour {
		e.accepted = e.Dates
	}
	day := date(end)
	was := e.planned.Block
	e.planned = dates{day.AddDate(0, 0, 30), time.Date(day.Year()+7, time.January, 1, 0, 0, 0, 0, time.UTC)}
	e.Ends = end
	if e.State != Open {
		e.planned = dates{was, latest(e.planned.Delete, e.Dates.Block)}
	}
	next := e.planned
	if m.far(e) {
		next = dates{latest(next.Block, e.accepted.Block), latest(next.Delete, e.accepted.Delete)}
	}
	m.apply(e, next)
}

func (m *Model) apply(e *Gathering, next dates) {
	if e.State != Open {
		next.Block = e.Dates.Block
	}
	if next != e.Dates {
		e.Dates, e.applied = next, m.Now
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// far tells that the planned dates are far from those that changes are compared with.
func (m *Model) far(e *Gathering) bool {
	far := func(a, b time.Time) bool { return a.Sub(b).Abs() > 30*24*time.Hour }
	return far(e.planned.Delete, e.accepted.Delete) || e.State == Open && far(e.planned.Block, e.accepted.Block)
}

func (m *Model) pending(e *Gathering) bool {
	return e.State != Deleted && (e.State == Open && e.planned.Block != e.Dates.Block || e.planned.Delete != e.Dates.Delete || m.far(e))
}

func (m *Model) describe(a Act) {
	if e := m.Event(a.Event); e.State != Deleted {
		m.plan(e, a.End)
	}
}

// save takes a page of registrations in.
func (m *Model) save(page []Ticket) {
	for _, t := range page {
		e := m.Event(t.Event)
		from := m.elsewhere(t)
		if m.ErasedTickets[t.ID] {
			continue // it stays out, whoever the source says it is
		}
		if !m.writable(e) {
			if from != nil && from.State == Open && m.writable(from.Event) {
				m.leave(from) // it is not here, wherever it is
			}
			continue
		}
		a := m.register(e, t)
		if from != nil && a != nil {
			m.move(from, a)
		}
		if a != nil {
			m.rematch(e)
		}
	}
}

// elsewhere is the present holder of a ticket in another open event, who has left it if the
// ticket is seen in one.
func (m *Model) elsewhere(t Ticket) *Attendee {
	for _, e := range m.Events {
		if e.ID == t.Event || e.State != Open {
			continue
		}
		if a := e.present(t.ID); a != nil && (a.standing != gone || a.State == Restricted) {
			return a
		}
	}
	return nil
}

// register takes one registration into an event. It gives its present holder.
func (m *Model) register(e *Gathering, t Ticket) *Attendee {
	p := e.present(t.ID)
	another := func(name, address string) bool {
		return name != "" && address != "" && fold(name) != fold(t.Name) && address != t.Address
	}
	switch {
	case p == nil:
		return m.come(e, Who{t.ID, 0}, t, time.Time{})
	case p.Layer == nil || p.State == Restricted || p.State == Erased: // nobody can read who it was
		if another(p.Named, p.Address) {
			p.standing = gone
			return m.come(e, Who{t.ID, p.Holder + 1}, t, t.Changed)
		}
		if p.State != Blocked {
			return p
		}
		p.State = Open
	case another(p.Layer.Name, p.Layer.Address):
		p.Layer.Standing, p.standing = gone, gone
		return m.come(e, Who{t.ID, p.Holder + 1}, t, t.Changed)
	}
	p.Layer, p.moved = &t, time.Time{}
	m.settle(p)
	return p
}

func (m *Model) come(e *Gathering, w Who, t Ticket, since time.Time) *Attendee {
	a := &Attendee{Who: w, Event: e, State: Open, Layer: &t, since: since}
	e.People = append(e.People, a)
	m.settle(a)
	return a
}

func fold(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// leave makes somebody gone.
func (m *Model) leave(a *Attendee) {
	a.standing = gone
	if a.Layer != nil {
		left := *a.Layer
		left.Standing, a.Layer = gone, &left
	}
	m.settle(a)
}

// move takes a ticket from the event that it was in. What is decided about its holder,
// their correction and their responses of the form that both events share go along.
func (m *Model) move(from, to *Attendee) {
	name, address := from.Named, from.Address
	if from.Layer != nil {
		name, address = from.Layer.Name, from.Layer.Address
	}
	m.leave(from)
	from.moved = to.Layer.Changed
	if fold(name) != fold(to.Layer.Name) && address != to.Layer.Address {
		from.stays, to.since = true, to.Layer.Changed // moved, and handed over
		return
	}
	to.since = latest(to.since, from.since)
	to.withdrawn = to.withdrawn || from.withdrawn
	to.counted = to.counted || from.counted
	for _, h := range m.Holds {
		if h.who == from {
			m.Holds[m.free()] = &hold{event: to.Event, who: to}
		}
	}
	if from.State == Restricted || from.State == Erased {
		if to.State == Open {
			m.seal(to, from.State)
		}
		return
	}
	if from.correction != nil {
		to.correction, from.correction = from.correction, nil
	}
	for _, r := range from.AnswersOf() {
		copied := to.Event.Answers[r.ID]
		if copied == nil {
			copied = &answer{}
		}
		yes := *copied
		copied.Answer, copied.Owner, copied.claims, copied.byHand = m.minimise(to.Event, r.Answer, to), to, nil, r.byHand
		copied.keepYes(yes.Answer)
		to.Event.Answers[r.ID] = copied
		if !m.Held(from) {
			delete(from.Event.Answers, r.ID)
		}
	}
	m.settle(from)
	m.settle(to)
}

// free is a number for a hold that nobody added by hand.
func (m *Model) free() int {
	m.extra--
	return m.extra
}

// minimise leaves of a response what the links of an event, the policy and a withdrawal let.
func (m *Model) minimise(e *Gathering, r Answer, owner *Attendee) Answer {
	r.Forums = slices.Clone(r.Forums)
	if !e.Asks {
		r.Yes, r.Version = false, ""
	}
	if m.Narrow {
		r.Affiliation = ""
	}
	r.Consent = r.Consent && m.setup.Consent
	if owner != nil && owner.withdrawn {
		r.Affiliation, r.Forums, r.Consent = "", nil, false
	}
	return r
}

// keepYes keeps what the same response said yes to before.
func (r *answer) keepYes(before Answer) {
	if before.Yes {
		r.Yes = true
	}
	if before.Consent {
		r.Consent = true
	}
	if (before.Yes || before.Consent) && r.Version == "" {
		r.Version = before.Version
	}
}

// handful is how many changes of a kind are believed without asking.
func handful(of int) int { return max(3, min(20, of/20)) }

// read takes a page of responses in. It refuses one that would take more than a handful of
// agreements away.
func (m *Model) read(page []Answer) bool {
	unsaid, size := map[string]bool{}, 0
	for _, e := range m.Events {
		if !m.writable(e) {
			continue
		}
		n := 0
		for _, a := range e.People {
			if a.standing == Attending {
				n++
			}
		}
		size = max(size, n)
		for _, r := range page {
			if s := e.Answers[r.ID]; s != nil && (s.Owner == nil || s.Owner.State == Open) && s.Yes && !r.Yes {
				unsaid[r.ID] = true
			}
		}
	}
	if len(unsaid) > handful(size) {
		for _, e := range m.Events {
			m.tasks[Task{"unsaid", e.ID}] = true
		}
		return false
	}
	for _, e := range m.Events {
		if m.writable(e) {
			for _, r := range page {
				m.answer(e, r)
			}
		}
	}
	m.leaveOthers()
	return true
}

// answer takes one response into an event.
func (m *Model) answer(e *Gathering, r Answer) {
	s := e.Answers[r.ID]
	switch {
	case s == nil && (m.ErasedAnswers[r.ID] || m.namesErased(r) || m.OwnedElsewhere(e, r)):
		return
	case s == nil:
		s = &answer{Answer: m.minimise(e, r, nil)}
		e.Answers[r.ID] = s
	case s.Owner != nil && (s.Owner.State == Restricted || s.Owner.State == Erased):
		return
	default:
		before := s.Answer
		s.Answer = m.minimise(e, r, s.Owner)
		if s.Owner == nil || !s.Owner.withdrawn {
			s.keepYes(before)
		} else {
			yes := before
			yes.Consent = false
			s.keepYes(yes)
		}
	}
	if s.Owner == nil {
		m.place(e, s)
		return
	}
	m.settle(s.Owner)
}

// namesErased tells that a response names a registration that was erased: it is that
// person's, too.
func (m *Model) namesErased(r Answer) bool { return m.ErasedTickets[r.Claims] }

// OwnedElsewhere tells that a response belongs to an attendee of a blocked event, whose
// answers are readable nowhere.
func (m *Model) OwnedElsewhere(e *Gathering, r Answer) bool {
	for _, b := range m.Events {
		if b == e || b.State != Blocked {
			continue
		}
		for _, a := range b.People {
			if a.Ticket == r.Claims || r.Claims == "" && r.Address != "" && r.Address == a.Address {
				return true
			}
		}
	}
	return false
}

// reconcile compares an event with a complete listing of it. More than a handful of missing
// registrations are never believed, but put before staff.
func (m *Model) reconcile(a Act) {
	e := m.Event(a.Event)
	if !m.writable(e) {
		return
	}
	var missing []*Attendee
	of := 0
	for _, p := range e.People {
		if p.standing == gone || p != e.present(p.Ticket) {
			continue
		}
		of++
		if p.State == Open && p.Layer != nil && !slices.Contains(a.Listed, p.Ticket) {
			missing = append(missing, p)
		}
	}
	if len(missing) > handful(of) {
		m.tasks[Task{"gone", e.ID}] = true
		return
	}
	delete(m.tasks, Task{"gone", e.ID})
	for _, p := range missing {
		m.leave(p)
	}
}

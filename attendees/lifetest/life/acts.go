package life

import (
	"maps"
	"slices"
)

// Outcome is whether an act is done. Either: it changes nothing, refused or not.
type Outcome string

const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
	either  Outcome = "nothing"
)

// Do does one act on the model.
func (m *Model) Do(a Act) Outcome {
	switch a.Kind {
	case SetClock:
		m.Now = a.Now
	case Night:
		m.night()
	case Describe:
		m.describe(a)
	case Save:
		m.save(a.Tickets)
	case Answers:
		if !m.read(a.Answers) {
			return Refused
		}
	case Reconcile:
		m.reconcile(a)
	case Narrow, Widen:
		m.setPolicy(a.Kind == Narrow)
	case AddOfficer:
		m.officers++
	case ChangeOfficers:
		m.officers = 1
	case AddSecret:
	case Accept:
		return m.accept()
	case Reopen:
		return m.reopen(m.Event(a.Event))
	case Keep, Drop:
		return m.settleQuestion(m.Event(a.Event), a.Kind == Drop)
	case Block:
		return m.block(m.Event(a.Event), a.Cut)
	case Delete:
		return m.delete(m.Event(a.Event), a.Cut)
	case Hold:
		return m.hold(a)
	case Release:
		return m.release(a.Number)
	default:
		return m.about(a)
	}
	return Done
}

// about is what people and staff do about one attendee.
func (m *Model) about(a Act) Outcome {
	e := m.Event(a.Event)
	p := e.Find(a.Who)
	if p == nil {
		return Refused
	}
	switch a.Kind {
	case Restrict, Object:
		return m.restrict(p)
	case Lift:
		return m.lift(p, a.Address)
	case Withdraw:
		return m.withdraw(p, a.Purpose)
	case Erase:
		return m.erase(p)
	case Forget:
		return m.forget(p)
	case Correct:
		return m.correct(p, a)
	case Match:
		return m.match(p, a.Answer)
	}
	return Refused
}

// restrict seals all layers of somebody to the officers and the person. Of a blocked event
// it is a hold on that attendee.
func (m *Model) restrict(p *Attendee) Outcome {
	switch {
	case m.RestrictedLate(p), p.State == Restricted, p.State == Erased:
		return either
	case p.State == Blocked:
		m.Holds[m.free()] = &hold{event: p.Event, who: p, late: true, restricts: true}
		m.record()
		return Done
	case m.officers == 0:
		return Refused
	}
	m.seal(p, Restricted)
	m.record()
	return Done
}

// seal seals somebody early: restricted, or erased as far as a duty allows.
func (m *Model) seal(p *Attendee, state string) {
	half := p.Address
	if p.SharesAddress() {
		half = ""
	}
	p.State, p.halves = state, []string{half}
	if state == Restricted {
		p.keep()
		return
	}
	p.Must = nil
	for _, r := range p.AnswersOf() {
		r.Affiliation, r.Forums, r.Consent = "", nil, false
	}
	delete(p.correction, "affiliation")
}

// lift ends a restriction. A person can do so only where every number opens with their
// address.
func (m *Model) lift(p *Attendee, address string) Outcome {
	for n, h := range m.Holds {
		if h.restricts && h.who == p {
			m.record()
			delete(m.Holds, n)
			m.released(p)
			return Done
		}
	}
	if p.State != Restricted {
		return Refused
	}
	if address != "" && slices.ContainsFunc(p.halves, func(half string) bool { return half != address || !m.peppered(p.Event) }) {
		return Refused
	}
	m.record()
	e := p.Event
	p.Must, p.halves = nil, nil
	e.records = slices.DeleteFunc(e.records, func(r *record) bool { // sealed corrections come back, too
		if r.who != p || r.kind != "corrected" || e.State != Open {
			return false
		}
		p.correction = maps.Clone(p.correction)
		if p.correction == nil {
			p.correction = map[string]string{}
		}
		maps.Copy(p.correction, r.fields)
		return true
	})
	p.State = Open
	m.again(p)
	if e.State == Open && !e.partly {
		m.settle(p)
		return Done
	}
	if e.Asks && !m.agreed(p) || !m.Today().Before(e.Dates.Delete) {
		m.remove(p) // no duty keeps them
		return Done
	}
	m.keepRecord(p, "lifted", pick(m.merge(p, nil), dutyFields))
	m.shut(p)
	return Done
}

// withdraw takes the consent to a purpose back: what only that purpose names is gone, and
// no sync brings it back. Under a hold it is gone once that ends.
func (m *Model) withdraw(p *Attendee, purpose string) Outcome {
	if purpose != Forum || !m.setup.Consent {
		return Refused
	}
	if p.withdrawn {
		return either
	}
	p.withdrawn = true
	m.record()
	if p.State == Open {
		m.again(p)
		m.settle(p)
	}
	return Done
}

// again minimises the layers of somebody by the policy and the withdrawals as they are.
func (m *Model) again(p *Attendee) {
	for _, r := range p.AnswersOf() {
		r.Answer = m.minimise(p.Event, r.Answer, p)
	}
	if p.withdrawn || m.Narrow {
		delete(p.correction, "affiliation")
	}
}

// setPolicy takes affiliation from the forum, or gives it back.
func (m *Model) setPolicy(narrow bool) {
	m.Narrow = narrow
	for _, e := range m.Events {
		for _, r := range e.Answers {
			if r.Owner == nil {
				r.Answer = m.minimise(e, r.Answer, nil)
			}
		}
		for _, p := range e.People {
			if p.State == Open && p.Layer != nil {
				m.again(p)
				m.settle(p)
			}
		}
	}
}

// duty tells whether a duty keeps somebody.
func (m *Model) duty(p *Attendee) bool {
	return p.Event.Dates.Block.Before(p.Event.Dates.Delete) && (!p.Event.Asks || m.agreed(p))
}

// erase erases somebody as far as no duty stops it (Art. 17(3)(b)).
func (m *Model) erase(p *Attendee) Outcome {
	switch {
	case m.Held(p):
		return Refused
	case !m.duty(p):
		return m.forget(p)
	case p.State == Erased, p.State == Blocked:
		return either
	case m.officers == 0, p.State == Restricted:
		return Refused
	}
	m.seal(p, Erased)
	for _, r := range p.AnswersOf() {
		m.ErasedAnswers[r.ID] = true
	}
	m.record()
	return Done
}

// forget erases somebody now. The present holder's ticket stays out; a former one's
// responses do.
func (m *Model) forget(p *Attendee) Outcome {
	if m.Held(p) {
		return Refused
	}
	if p.Event.present(p.Ticket) == p {
		m.ErasedTickets[p.Ticket] = true
	}
	for _, r := range p.AnswersOf() {
		m.ErasedAnswers[r.ID] = true
	}
	m.remove(p)
	m.record()
	return Done
}

// correct puts a value over what the source says. Of somebody sealed it is sealed.
func (m *Model) correct(p *Attendee, a Act) Outcome {
	if p.State != Open || p.Layer == nil {
		if m.officers == 0 {
			return Refused
		}
		r := &record{who: p, kind: "corrected", fields: map[string]string{a.Field: a.Value}}
		if a.Address == p.Address && !p.SharesAddress() {
			r.half = a.Address
		}
		p.Event.records = append(slices.DeleteFunc(p.Event.records, func(o *record) bool {
			return o.who == p && o.kind == "corrected" && o.fields[a.Field] != ""
		}), r)
		m.record()
		return Done
	}
	if p.correction = maps.Clone(p.correction); p.correction == nil {
		p.correction = map[string]string{}
	}
	p.correction[a.Field] = a.Value
	m.record()
	m.settle(p)
	m.rematch(p.Event)
	return Done
}

// match gives a waiting response to somebody, by hand.
func (m *Model) match(p *Attendee, id string) Outcome {
	r := p.Event.Answers[id]
	if r == nil || r.Owner != nil || !m.Readable(p.Event) || p.State != Open {
		return Refused
	}
	m.give(r, p)
	r.byHand = true
	m.leaveOthers()
	return Done
}

// hold puts a hold on an event or on somebody: nothing leaves a layer any more.
func (m *Model) hold(a Act) Outcome {
	e := m.Event(a.Event)
	h := &hold{event: e, late: e.State == Blocked}
	if a.Who.Ticket != "" {
		if h.who = e.Find(a.Who); h.who == nil {
			return Refused
		}
	}
	if e.State == Deleted {
		return Refused
	}
	m.Holds[a.Number] = h
	m.record()
	for _, p := range e.People {
		if m.Held(p) {
			p.keep()
			for _, r := range e.records { // a late hold keeps the records
				if r.who == p {
					for _, v := range r.fields {
						p.Must[v] = true
					}
				}
			}
		}
	}
	return Done
}

// release ends a hold. What only the hold had kept is gone.
func (m *Model) release(number int) Outcome {
	h := m.Holds[number]
	if h == nil {
		return Refused
	}
	delete(m.Holds, number)
	m.record()
	if h.who != nil {
		m.released(h.who)
		return Done
	}
	for _, p := range slices.Clone(h.event.People) {
		m.released(p)
	}
	return Done
}

// released minimises the layers of somebody whose last hold has ended, or drops what was
// kept only by it.
func (m *Model) released(p *Attendee) {
	if m.Held(p) || p.Event.Find(p.Who) != p {
		return
	}
	if p.State != Restricted {
		p.Must = nil
	}
	if p.State != Blocked {
		return
	}
	e := p.Event
	e.records = slices.DeleteFunc(e.records, func(r *record) bool {
		return r.who == p && (r.kind == "held" || r.kind == "doubt" && !e.Asked && e.dropped)
	})
	if e.State == Blocked && !slices.ContainsFunc(e.records, func(r *record) bool { return r.who == p && r.kind != "corrected" }) {
		m.remove(p)
	}
}

// RestrictedLate tells that somebody asked for a restriction after blocking.
func (m *Model) RestrictedLate(p *Attendee) bool {
	return m.heldBy(func(h *hold) bool { return h.restricts && h.who == p })
}

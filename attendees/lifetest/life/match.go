package life

import (
	"maps"
	"slices"
)

// leaveOthers drops the copies of responses that are unmatched where another event has
// found their attendee.
func (m *Model) leaveOthers() {
	matched := map[string]bool{}
	for _, e := range m.Events {
		for id, r := range e.Answers {
			matched[id] = matched[id] || r.Owner != nil
		}
	}
	for _, e := range m.Events {
		maps.DeleteFunc(e.Answers, func(id string, r *answer) bool { return r.Owner == nil && matched[id] && e.State == Open })
	}
}

// rematch looks again whose the waiting responses of an event are.
func (m *Model) rematch(e *Gathering) {
	for _, id := range slices.Sorted(maps.Keys(e.Answers)) {
		if r := e.Answers[id]; r.Owner == nil {
			m.place(e, r)
		}
	}
	m.leaveOthers()
}

// place gives a response to the attendee that it is judged to be of.
func (m *Model) place(e *Gathering, r *answer) {
	owner, claims := e.judge(r.Answer)
	r.claims = nil
	if owner != nil {
		m.give(r, owner)
		return
	}
	if claims != nil {
		r.claims = claims
	}
}

func (m *Model) give(r *answer, owner *Attendee) {
	r.Owner, r.claims = owner, nil
	r.Answer = m.minimise(owner.Event, r.Answer, owner)
	if owner.State == Restricted || owner.State == Erased { // it is one number more
		half := r.Address
		if owner.SharesAddress() {
			half = ""
		}
		owner.halves = append(owner.halves, half)
		if owner.State == Restricted {
			owner.keep()
		} else {
			r.Affiliation, r.Forums, r.Consent = "", nil, false
		}
		return
	}
	m.settle(owner)
}

// judge says whose a response is, and, where it names somebody and is not believed, who.
func (e *Gathering) judge(r Answer) (owner, claims *Attendee) {
	var named *Attendee
	for _, a := range e.holders(r.Claims) { // who had the ticket when it was submitted
		if named == nil || !r.Submitted.Before(a.since) {
			named = a
		}
	}
	if named == nil || r.Submitted.Before(named.since) { // it was somebody else's then
		return e.byAddress(r, r.Name, nil), nil
	}
	if !named.takes(r) {
		return nil, nil
	}
	if r.Address == "" || r.Address == named.Address || named.Layer != nil && named.State == Open && r.Address == named.Layer.Address {
		return named, nil
	}
	if other := e.byAddress(r, "", named); other != nil {
		return other, nil
	}
	return nil, named
}

// takes tells whether a response may be somebody's at all: of one who has moved to another
// event it is theirs there; one who moved and handed the ticket over keeps what was earlier.
func (a *Attendee) takes(r Answer) bool {
	return a.moved.IsZero() || a.stays && r.Submitted.Before(a.moved)
}

// byAddress is whose an address is, but is not asked for: where several people have it, or
// have had it, theirs who has the name. Of one person's tickets it is the one that attends,
// else the only one.
func (e *Gathering) byAddress(r Answer, name string, but *Attendee) *Attendee {
	if r.Address == "" {
		return nil
	}
	some := slices.DeleteFunc(slices.Clone(e.People), func(a *Attendee) bool { return a == but || a.Address != r.Address })
	if slices.ContainsFunc(some, func(a *Attendee) bool { return a.shared || fold(a.Named) != fold(some[0].Named) }) {
		some = slices.DeleteFunc(some, func(a *Attendee) bool { return name == "" || fold(a.Named) != fold(name) })
	}
	some = slices.DeleteFunc(some, func(a *Attendee) bool { return !a.takes(r) })
	if attending := slices.DeleteFunc(slices.Clone(some), func(a *Attendee) bool { return a.standing != Attending }); len(attending) > 0 {
		some = attending
	}
	if len(some) == 1 {
		return some[0]
	}
	return nil
}

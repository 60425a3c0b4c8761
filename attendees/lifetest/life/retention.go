package life

import (
	"slices"
	"time"
)

// personOpens is for how long a record opens with the person's address.
const personOpens = 24

// peppered tells whether halves of an event still open.
func (m *Model) peppered(e *Gathering) bool {
	return e.blocked.IsZero() || e.State == Open || m.Today().Before(date(e.blocked).AddDate(0, personOpens, 1))
}

// night is the sweep. What it ends is derived here, from the time.
func (m *Model) night() {}

// block blocks an event whose day has come. Cut off before its commit nothing of it can be
// seen; after it everything.
func (m *Model) block(e *Gathering, cut int) Outcome {
	switch {
	case e.State != Open:
		return either
	case m.Today().Before(e.Dates.Block), m.Behind(), m.officers == 0:
		return Refused
	case cut == 1 || cut == 2:
		return Done
	}
	m.record()
	e.State, e.blocked, e.Asked, e.dropped = Blocked, m.Now, false, false
	// The old question is replaced, and the old doubt key destroyed.
	e.records = slices.DeleteFunc(e.records, func(r *record) bool { return r.kind == "doubt" })
	agreed, strayed := 0, 0
	for _, p := range e.People {
		if m.agreed(p) {
			agreed++
		}
	}
	for _, r := range e.Answers {
		if r.Owner == nil && r.Yes {
			strayed++
		}
	}
	all := e.Asks && (2*agreed < len(e.People) || strayed > handful(len(e.People)))
	m.count(e)
	for _, p := range e.People {
		if p.State == Open && p.Layer != nil {
			m.sealOne(p, all)
		}
	}
	for _, p := range slices.Clone(e.People) {
		if p.State == Open {
			m.shut(p)
		}
		if p.State == Blocked && !slices.ContainsFunc(e.records, func(r *record) bool { return r.who == p && r.kind != "corrected" }) {
			m.remove(p)
		}
	}
	for id, r := range e.Answers {
		if r.Owner == nil || r.Owner.State != Restricted && r.Owner.State != Erased {
			delete(e.Answers, id)
		}
	}
	for task := range m.tasks {
		if task.Event == e.ID {
			delete(m.tasks, task)
		}
	}
	return Done
}

// sealOne seals what is kept of one attendee under the keys that apply.
func (m *Model) sealOne(p *Attendee, doubted bool) {
	f := m.merge(p, nil)
	kept := pick(f, dutyFields)
	switch {
	case !p.Event.Asks || m.agreed(p):
		m.keepRecord(p, "kept", kept)
	case doubted || m.claimed(p):
		m.keepRecord(p, "doubt", kept)
		p.Event.Asked = true
	}
	if m.Held(p) {
		p.keep()
		m.keepRecord(p, "held", f)
	}
}

// claimed tells that an open claim says yes for somebody.
func (m *Model) claimed(p *Attendee) bool {
	for _, r := range p.Event.Answers {
		if r.claims == p && r.Yes {
			return true
		}
	}
	return false
}

func (m *Model) keepRecord(p *Attendee, kind string, fields map[string]string) {
	r := &record{who: p, kind: kind, fields: fields, half: p.Address}
	if p.SharesAddress() {
		r.half = ""
	}
	p.Event.records = append(p.Event.records, r)
}

// shut leaves of somebody what columns tell.
func (m *Model) shut(p *Attendee) {
	p.Said = m.agreed(p)
	p.State, p.Layer, p.correction = Blocked, nil, nil
}

// count takes the counts that may be kept: those under five tell of persons.
func (m *Model) count(e *Gathering) {
	n := map[string]int{}
	for _, p := range e.People {
		n["registered"]++
		if p.State != Open || p.Layer == nil {
			continue
		}
		if m.agreed(p) {
			n["agreed"]++
		}
		if p.Layer.Attended {
			n["attended"]++
		}
	}
	e.counts = map[string]int{}
	for what, count := range n {
		if count >= 5 {
			e.counts[what] = count
		}
	}
}

// settleQuestion answers the agreement question of a blocked event. What a hold keeps that
// was added after blocking stays as long as it does.
func (m *Model) settleQuestion(e *Gathering, drop bool) Outcome {
	if e.State != Blocked || !e.Asked {
		return Refused
	}
	m.record()
	e.Asked, e.dropped = false, drop
	if !drop {
		for _, r := range e.records {
			if r.kind == "doubt" {
				r.kind, r.who.Said = "kept", true
			}
		}
		return Done
	}
	e.records = slices.DeleteFunc(e.records, func(r *record) bool { return r.kind == "doubt" && !m.heldLate(r.who) })
	for _, p := range slices.Clone(e.People) {
		if p.State == Blocked && !slices.ContainsFunc(e.records, func(r *record) bool { return r.who == p && r.kind != "corrected" }) {
			m.remove(p)
		}
	}
	return Done
}

func (m *Model) heldLate(p *Attendee) bool {
	return m.heldBy(func(h *hold) bool { return h.late && (h.who == p || h.who == nil && h.event == p.Event) })
}

// delete deletes the people of an event whose day has come, but those who are restricted or
// on hold by themselves. Cut off it is as good as begun: see Life.look.
func (m *Model) delete(e *Gathering, cut int) Outcome {
	switch {
	case e.State == Deleted:
		return either
	case m.Today().Before(e.Dates.Delete), m.Behind(), m.heldBy(func(h *hold) bool { return h.who == nil && h.event == e }):
		return Refused
	case cut > 0:
		return Done
	}
	m.record()
	for _, p := range slices.Clone(e.People) {
		if p.State != Restricted && !m.heldBy(func(h *hold) bool { return h.who == p }) {
			m.remove(p)
		}
	}
	for id, r := range e.Answers {
		if r.Owner == nil {
			delete(e.Answers, id)
		}
	}
	if len(e.People) > 0 {
		e.partly = true
		return Done
	}
	e.State, e.Asked = Deleted, false
	for task := range m.tasks {
		if task.Event == e.ID {
			delete(m.tasks, task)
		}
	}
	return Done
}

// accept puts the planned dates in force.
func (m *Model) accept() Outcome {
	if m.Behind() {
		return either
	}
	for _, e := range m.Events {
		if m.pending(e) {
			m.apply(e, e.planned)
			e.accepted, e.applied = e.Dates, m.Now
			m.record()
		}
	}
	return Done
}

// reopen makes a blocked event open again: it is read whole again. Bars and the old records
// stay, and who counted as agreed still does.
func (m *Model) reopen(e *Gathering) Outcome {
	if e.State != Blocked || e.partly || !m.Today().Before(e.Dates.Delete) {
		return Refused
	}
	e.State = Open
	m.plan(e, e.Ends)
	m.apply(e, e.planned)
	e.accepted, e.applied = e.Dates, m.Now
	for _, p := range e.People {
		if p.State == Blocked {
			p.counted, p.Said = p.counted || p.Said, false
		}
	}
	m.record()
	return Done
}

// midnight is a day as views tell it.
func midnight(t time.Time) string { return t.Format(time.DateOnly) }

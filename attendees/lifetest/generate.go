package lifetest

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"lethe/attendees/lifetest/life"
)

// step is one thing that may happen in a life: an act, or a few that belong together.
type step struct {
	name string
	odds int
	calm bool // it touches none of the faults found in use, and the old core has it
	do   func(*Life)
}

// steps are what may happen. What the marks say, see Life.Had.
var steps = []step{
	{"read again", 2, true, (*Life).readAgain},
	{"buy", 6, true, (*Life).buy},
	{"buy for several", 2, true, (*Life).buyGroup},
	{"name changes", 2, true, (*Life).rename},
	{"address changes", 2, false, (*Life).readdress},
	{"hand over", 2, false, (*Life).handOver},
	{"move", 2, false, (*Life).move},
	{"cancel", 2, true, (*Life).cancel},
	{"reinstate", 2, true, (*Life).reinstate},
	{"cancel and buy again", 1, false, (*Life).buyAgain},
	{"attend", 1, true, (*Life).attend},
	{"vanish", 2, true, (*Life).vanish},
	{"empty listing", 1, true, (*Life).emptyListing},
	{"fill in", 8, true, (*Life).fillIn},
	{"fill in without address", 2, true, (*Life).fillInWithout},
	{"fill in by address", 3, true, (*Life).fillInByAddress},
	{"fill in early", 2, true, (*Life).fillInEarly},
	{"fill in with no", 1, false, (*Life).fillInNo},
	{"fill in from another address", 1, false, (*Life).fillInElsewhere},
	{"stranger", 2, false, (*Life).stranger},
	{"prune", 2, false, (*Life).prune},
	{"prune all", 1, false, (*Life).pruneAll},
	{"postpone", 2, true, (*Life).postpone},
	{"accept", 1, true, (*Life).accept},
	{"restrict", 3, true, func(l *Life) { l.one(life.Restrict) }},
	{"object", 1, true, func(l *Life) { l.one(life.Object) }},
	{"lift", 4, true, (*Life).lift},
	{"withdraw", 2, true, func(l *Life) { l.one(life.Withdraw) }},
	{"erase", 2, true, func(l *Life) { l.one(life.Erase) }},
	{"forget", 2, true, func(l *Life) { l.one(life.Forget) }},
	{"correct", 3, true, (*Life).correct},
	{"hold", 3, true, (*Life).hold},
	{"release", 3, true, (*Life).release},
	{"match", 1, false, (*Life).match},
	{"policy", 1, false, (*Life).policy},
	{"officer", 1, true, (*Life).officer},
	{"secret", 1, true, func(l *Life) { l.do(life.Act{Kind: life.AddSecret}) }},
	{"answer the question", 6, true, (*Life).answerQuestion},
	{"reopen", 3, false, (*Life).reopen},
	{"wait", 3, true, (*Life).wait},
	{"wait for the block date", 3, true, (*Life).waitToBlock},
	{"wait for the delete date", 1, true, (*Life).waitToDelete},
	{"clock steps back", 1, true, (*Life).stepBack},
	{"block", 6, true, (*Life).block},
	{"delete", 2, true, (*Life).delete},
}

// live lives one life.
func (l *Life) live() {
	var some []string
	by := map[string]step{}
	for _, s := range steps {
		by[s.name] = s
		for range s.odds {
			if s.calm || !l.o.Calm {
				some = append(some, s.name)
			}
		}
	}
	l.do(life.Act{Kind: life.AddOfficer})
	for range 20 + l.below(41, "steps") {
		if l.over {
			return
		}
		by[oneOf(l, "step", some)].do(l)
	}
}

// below draws a number below n, all as likely: rapid's own integers are mostly small.
func (l *Life) below(n int, what string) (k int) {
	for bit := 1; bit < 8*n; bit *= 2 {
		if rapid.Bool().Draw(l.T, what) {
			k += bit
		}
	}
	return k % n
}

func oneOf[T any](l *Life, what string, all []T) T { return all[l.below(len(all), what)] }

func (l *Life) drawEvent() string { return oneOf(l, "event", l.events) }
func (l *Life) drawBody() somebody {
	return oneOf(l, "who", everybody)
}

// drawTicket draws a ticket at the source, or nil.
func (l *Life) drawTicket(fits func(*life.Ticket) bool) *life.Ticket {
	var some []*life.Ticket
	for _, id := range slices.Sorted(maps.Keys(l.source.tickets)) {
		if t := l.source.tickets[id]; fits == nil || fits(t) {
			some = append(some, t)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return oneOf(l, "ticket", some)
}

// drawAttendee draws an attendee who is stored, or nil.
func (l *Life) drawAttendee(fits func(*life.Attendee) bool) *life.Attendee {
	var some []*life.Attendee
	for _, e := range l.model.Events {
		for _, p := range e.People {
			if fits == nil || fits(p) {
				some = append(some, p)
			}
		}
	}
	if len(some) == 0 {
		return nil
	}
	return oneOf(l, "attendee", some)
}

func (l *Life) saveNow(all ...*life.Ticket) {
	var page []life.Ticket
	for _, t := range all {
		page = append(page, *t)
	}
	l.do(life.Act{Kind: life.Save, Tickets: page})
}

func (l *Life) answerNow(all ...*life.Answer) {
	var page []life.Answer
	for _, r := range all {
		page = append(page, *r)
	}
	l.do(life.Act{Kind: life.Answers, Answers: page})
}

// readAgain reads all that the sources have once more, as a pull does whose feeds are rewound.
func (l *Life) readAgain() {
	tickets, answers := l.source.all()
	if len(tickets) > 0 {
		l.do(life.Act{Kind: life.Save, Tickets: tickets})
	}
	if len(answers) > 0 {
		l.do(life.Act{Kind: life.Answers, Answers: answers})
	}
}

func (l *Life) buy() {
	event, p := l.drawEvent(), l.drawBody()
	if l.o.Calm && (l.source.ticketOf(event, p.one) || slices.ContainsFunc(l.model.Event(event).People, func(a *life.Attendee) bool { return a.Address == p.one })) {
		return // one who has, or had, one buys no second
	}
	t := l.source.buy(event, p, p.one)
	for _, a := range l.model.Event(event).People {
		if a.Address == p.one {
			l.mark("bought again", l.source.around(p.one, a.Ticket)...)
		}
	}
	l.saveNow(t)
}

func (u *source) ticketOf(event, address string) bool {
	for _, t := range u.tickets {
		if t.Event == event && t.Address == address {
			return true
		}
	}
	return false
}

func (l *Life) buyGroup() {
	event := l.drawEvent()
	a, b := l.drawBody(), l.drawBody()
	if a == b {
		return
	}
	x, y := l.source.buy(event, a, groups), l.source.buy(event, b, groups)
	l.mark("group order", x.ID, y.ID)
	l.saveNow(x, y)
}

func (l *Life) change(t *life.Ticket) {
	t.Changed = l.source.tick()
	l.source.has(t)
	l.saveNow(t)
}

func (l *Life) rename() {
	if t := l.drawTicket(nil); t != nil {
		p := l.source.authors[t.Name]
		t.Name += " II"
		l.source.said(p, "name", t.Name)
		l.change(t)
	}
}

func (l *Life) readdress() {
	t := l.drawTicket(func(t *life.Ticket) bool { return t.Address != groups })
	if t == nil {
		return
	}
	for _, p := range everybody {
		if p.id == l.source.authors[t.Name] {
			to := p.two
			if t.Address == to {
				to = p.one
			}
			l.leavesAddress(t.ID, t.Address)
			t.Address = to
			l.leavesAddress(t.ID, to)
		}
	}
	l.change(t)
}

func (l *Life) leavesAddress(ticket, address string) {
	l.mark("address changed", l.source.around(address, ticket)...)
}

func (l *Life) handOver() {
	t, p := l.drawTicket(nil), l.drawBody()
	if t == nil || l.source.authors[t.Name] == p.id || t.Address == p.one {
		return
	}
	l.mark("handed over", l.source.around(t.Address, t.ID)...)
	l.unseen(t)
	t.Name, t.Address, t.Attended = p.name, p.one, false
	l.mark("handed over", l.source.around(t.Address)...)
	l.change(t)
}

// unseen notes that nobody may see when a ticket changed hands, or who had it before: an
// event is not read.
func (l *Life) unseen(t *life.Ticket) {
	for _, e := range l.model.Events {
		if e.State != life.Open {
			l.mark("given another's answer", t.ID)
		}
	}
}

func (l *Life) move() {
	t := l.drawTicket(nil)
	if t == nil {
		return
	}
	l.unseen(t)
	l.mark("moved", l.source.around(t.Address, t.ID)...)
	for _, id := range l.events {
		if id != t.Event {
			t.Event = id
			break
		}
	}
	l.change(t)
}

func (l *Life) cancel() {
	if t := l.drawTicket(func(t *life.Ticket) bool { return t.Standing == life.Attending }); t != nil {
		l.mark("cancelled", t.ID)
		t.Standing = oneOf(l, "how", []string{"cancelled", "refunded"})
		l.change(t)
	}
}

func (l *Life) reinstate() {
	if t := l.drawTicket(func(t *life.Ticket) bool { return t.Standing != life.Attending }); t != nil {
		t.Standing = life.Attending
		l.change(t)
		l.readAgain()
	}
}

func (l *Life) buyAgain() {
	t := l.drawTicket(func(t *life.Ticket) bool { return t.Address != groups })
	if t == nil {
		return
	}
	t.Standing = "cancelled"
	l.change(t)
	again := *t
	l.source.issued++
	again.ID, again.Standing, again.Bought = fmt.Sprint(l.source.issued), life.Attending, l.source.tick()
	again.Changed = again.Bought
	l.source.tickets[again.ID] = &again
	l.source.has(&again)
	l.mark("bought again", l.source.around(t.Address, again.ID)...)
	l.saveNow(&again)
}

func (l *Life) attend() {
	if t := l.drawTicket(nil); t != nil {
		t.Attended = true
		l.change(t)
	}
}

// vanish removes a ticket at the source, which a complete listing shows.
func (l *Life) vanish() {
	if t := l.drawTicket(nil); t != nil {
		delete(l.source.tickets, t.ID)
		l.do(life.Act{Kind: life.Reconcile, Event: t.Event, Listed: l.source.listing(t.Event)})
	}
}

func (l *Life) emptyListing() {
	l.do(life.Act{Kind: life.Reconcile, Event: l.drawEvent(), Listed: nil})
}

// drawAnswer fills in what a response says besides.
func (l *Life) drawAnswer(p somebody, claims, address string) *life.Answer {
	r := l.source.fill(p, claims, address)
	r.Yes = l.below(6, "yes") > 0
	if !r.Yes && l.o.Calm {
		r.Version = ""
	}
	r.Consent = rapid.Bool().Draw(l.T, "consent")
	if l.o.Calm {
		r.Consent = true
	}
	if l.o.Calm || rapid.Bool().Draw(l.T, "affiliation") {
		r.Affiliation = "Lab " + r.ID
		l.source.said(p.id, "affiliation", r.Affiliation)
	}
	if rapid.Bool().Draw(l.T, "forums") {
		r.Forums = []string{"Rivers " + r.ID, "Lakes"}
		l.source.said(p.id, "forums", r.Forums[0])
		l.source.fields[r.Forums[1]] = "forums" // which many choose
	}
	return r
}

// holder is who holds a ticket at its source, and whether they have filled in the form.
func (l *Life) holder(t *life.Ticket) somebody {
	i := slices.IndexFunc(everybody, func(p somebody) bool { return p.id == l.source.authors[t.Name] })
	return everybody[i]
}

func (l *Life) fillIn() {
	if t := l.drawTicket(nil); t != nil {
		l.answerNow(l.drawAnswer(l.holder(t), t.ID, t.Address))
	}
}

func (l *Life) fillInWithout() {
	if t := l.drawTicket(nil); t != nil {
		l.answerNow(l.drawAnswer(l.holder(t), t.ID, ""))
	}
}

func (l *Life) fillInByAddress() {
	t := l.drawTicket(func(t *life.Ticket) bool { return !l.o.Calm || t.Address != groups })
	if t != nil {
		r := l.drawAnswer(l.holder(t), "", t.Address)
		l.mark("filled in by address", t.ID, r.ID)
		l.answerNow(r)
	}
}

// fillInEarly fills in the form before there is a ticket.
func (l *Life) fillInEarly() {
	p := l.drawBody()
	r := l.drawAnswer(p, "", p.one)
	l.mark("filled in by address", r.ID)
	l.answerNow(r)
}

// fillInNo says yes to one version, and no to the next.
func (l *Life) fillInNo() {
	if t := l.drawTicket(nil); t != nil {
		first := l.drawAnswer(l.holder(t), t.ID, t.Address)
		second := l.drawAnswer(l.holder(t), t.ID, t.Address)
		first.Yes, second.Yes, second.Version = true, false, "2027-2"
		l.mark("yes, then no", l.source.around(t.Address, t.ID)...)
		l.answerNow(first, second)
	}
}

func (l *Life) fillInElsewhere() {
	t := l.drawTicket(func(t *life.Ticket) bool { return t.Address != groups })
	if t == nil {
		return
	}
	p := l.holder(t)
	address := p.two
	if t.Address == address {
		address = p.one
	}
	r := l.drawAnswer(p, t.ID, address)
	l.mark("another address", l.source.around(r.Address, t.ID)...)
	l.answerNow(r)
}

// stranger fills in the form and names somebody else's ticket.
func (l *Life) stranger() {
	t, p := l.drawTicket(nil), l.drawBody()
	if t == nil || l.holder(t) == p {
		return
	}
	r := l.drawAnswer(p, t.ID, p.two)
	l.mark("named by a stranger", l.source.around(r.Address, t.ID)...)
	l.answerNow(r)
}

// prune takes answers away at the source: a question is made again under a new id, or
// removed. Then the form is read again.
func (l *Life) prune() {
	ids := slices.Sorted(maps.Keys(l.source.answers))
	if len(ids) == 0 {
		return
	}
	l.pruneThese(oneOf(l, "answer", ids))
}

func (l *Life) pruneAll() { l.pruneThese(slices.Sorted(maps.Keys(l.source.answers))...) }

func (l *Life) pruneThese(ids ...string) {
	var page []*life.Answer
	for _, id := range ids {
		r := l.source.answers[id]
		r.Yes, r.Consent, r.Version = false, false, ""
		page = append(page, r)
		l.mark("pruned", id)
		for _, e := range l.model.Events {
			if s := e.Answers[id]; s != nil && s.Owner != nil {
				l.mark("pruned", s.Owner.Ticket)
			}
		}
	}
	if len(page) > 0 {
		l.answerNow(page...)
	}
}

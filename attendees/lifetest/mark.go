package lifetest

import "lethe/attendees/lifetest/life"

// mark notes that something has happened to a ticket, answer or event.
func (l *Life) mark(what string, ids ...string) {
	for _, id := range ids {
		if l.marks[id] == nil {
			l.marks[id] = map[string]bool{}
		}
		l.marks[id][what] = true
	}
}

// Had tells whether something has happened to what a difference is about: handed over,
// moved, pruned, named by a stranger, …; see generate.go.
func (l *Life) Had(d Difference, what ...string) bool {
	ids := append([]string{d.Answer, d.Event}, d.Tickets...)
	for _, id := range ids {
		for _, w := range what {
			if l.marks[id][w] {
				return true
			}
		}
	}
	return false
}

// markLate notes what comes for an event between its block date and its blocking.
func (l *Life) markLate(a life.Act) {
	for _, e := range l.model.Events {
		if e.State != life.Open || l.model.Readable(e) {
			continue
		}
		for _, t := range a.Tickets {
			l.mark("late", l.source.around(t.Address, t.ID)...)
		}
		for _, r := range a.Answers {
			l.mark("late", l.source.around(r.Address, r.ID, r.Claims)...)
		}
		if a.Event == e.ID && a.Who.Ticket != "" {
			l.mark("late", l.source.around("", a.Who.Ticket)...)
		}
		if len(a.Tickets)+len(a.Answers) > 0 || a.Event == e.ID && a.Kind == life.Reconcile {
			l.mark("something late", e.ID)
		}
	}
}

// spreads are the marks of a ticket that are about its address, too: what has the address
// later inherits them.
var spreads = []string{
	"late", "answered while restricted", "of a blocked event", "address changed", "handed over", "moved", "bought again",
	"another address", "named by a stranger", "group order", "yes, then no", "pruned", "given another's answer",
}

// inherit gives a ticket or an answer the marks of what its address has seen before.
func (l *Life) inherit(id, address, claims string) {
	for _, before := range l.source.around(address, claims) {
		for _, what := range spreads {
			if l.marks[before][what] {
				l.mark(what, id)
			}
		}
	}
}

package lifetest

import (
	"maps"
	"slices"

	"lethe/attendees/lifetest/life"
)

// claimOfOne: nobody inherits another's layer. Values tell who said them.
func (l *Life) claimOfOne(a life.Act, e *life.Gathering, rows life.View) {
	for i, f := range rows {
		of := map[string]bool{}
		for field, value := range f {
			if p := l.source.author(field, value); p != "" {
				of[p] = true
			}
		}
		if len(of) > 1 && !l.marks[i.Who.Ticket]["given another's answer"] {
			l.differ(Difference{Act: a, Event: e.ID, View: "claim", About: "nobody inherits another's layer", Who: i.Who, Tickets: []string{i.Who.Ticket}})
		}
	}
}

// claimKept: nothing of a held or restricted attendee is lost, and nobody who said yes is
// deleted for want of it.
func (l *Life) claimKept(a life.Act, e *life.Gathering, records []life.Record) {
	values := map[life.Who]map[string]bool{}
	for _, r := range records {
		if values[r.Who] == nil {
			values[r.Who] = map[string]bool{}
		}
		for _, v := range slices.AppendSeq(slices.Clone(r.Also), maps.Values(r.Fields)) {
			values[r.Who][v] = true
			for part := range splitValues(v) {
				values[r.Who][part] = true
			}
		}
	}
	for _, p := range e.People {
		d := Difference{Act: a, Event: e.ID, View: "claim", Who: p.Who, Tickets: []string{p.Ticket}}
		if e.State != life.Open && e.Asks && p.Said && values[p.Who] == nil {
			d.About = "nobody who said yes is deleted for want of it"
			l.differ(d)
			continue
		}
		if p.State == life.Open || e.State == life.Open && p.State == life.Blocked {
			continue
		}
		for v := range p.Must {
			if !values[p.Who][v] {
				d.About, d.Field = "nothing of a held or restricted attendee is lost", l.source.field(v)
				l.differ(d)
			}
		}
	}
}

// claimGone: an erased id never returns, and deleted means nothing at all.
func (l *Life) claimGone(a life.Act, e *life.Gathering, stored life.View) {
	for i := range stored {
		d := Difference{Act: a, Event: e.ID, View: "claim", Who: i.Who, Answer: i.Answer, Tickets: []string{i.Who.Ticket}}
		if e.State == life.Deleted {
			d.About = "deleted means nothing at all"
			l.differ(d)
		}
		if i.Who.Ticket != "" && l.model.ErasedTickets[i.Who.Ticket] && e.Find(i.Who) == nil || i.Answer != "" && l.model.ErasedAnswers[i.Answer] && e.Answers[i.Answer] == nil {
			d.About = "an erased id never returns"
			l.differ(d)
		}
	}
}

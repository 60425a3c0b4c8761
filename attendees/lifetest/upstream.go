package lifetest

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"lethe/attendees/lifetest/life"
)

// source is what the sources have at present, and who said what.
type source struct {
	tickets map[string]*life.Ticket
	answers map[string]*life.Answer
	ends    map[string]time.Time
	clock   time.Time // the sources' own, which is right
	issued  int       // tickets and answers so far
	authors map[string]string
	fields  map[string]string // what a value was given for
	had     map[string]bool   // which address and ticket ever belonged together
}

// somebody is an invented person, with two addresses.
type somebody struct{ id, name, one, two string }

var everybody = func() (all []somebody) {
	for _, first := range []string{"Ada", "Bo", "Cy", "Dee", "Eli", "Fay"} {
		id := strings.ToLower(first)
		all = append(all, somebody{id, first + " Example", id + "@example.org", id + "@example.net"})
	}
	return all
}()

// groups is the address under which somebody buys for several.
const groups = "office@example.com"

func newSource(s life.Setup) *source {
	u := &source{
		tickets: map[string]*life.Ticket{}, answers: map[string]*life.Answer{}, ends: map[string]time.Time{},
		clock: s.Now.AddDate(0, 0, -20), authors: map[string]string{}, fields: map[string]string{}, had: map[string]bool{},
	}
	for _, e := range s.Events {
		u.ends[e.ID] = e.End
	}
	for _, p := range everybody {
		u.said(p.id, "name", p.name)
		u.said(p.id, "email", p.one)
		u.said(p.id, "email", p.two)
	}
	return u
}

func (u *source) said(by, field, value string) {
	u.fields[value] = field
	if field != "email" { // two may use one
		u.authors[value] = by
	}
}

// author is who said a value of a field; empty where nobody in particular did.
func (u *source) author(field, value string) string {
	if field == "forums" {
		value, _, _ = strings.Cut(value, ";")
	}
	return u.authors[value]
}

func (u *source) field(value string) string { return u.fields[value] }

func splitValues(v string) iter.Seq[string] { return strings.SplitSeq(v, "; ") }

func (u *source) addresses() (all []string) {
	for _, p := range everybody {
		all = append(all, p.one, p.two)
	}
	return append(all, groups)
}

// under are the tickets that have, or have had, an address, and those that an answer under
// it names.
func (u *source) under(address string) (all []string) {
	for n := range u.issued {
		if id := fmt.Sprint(n + 1); u.had[address+" "+id] {
			all = append(all, id)
		}
	}
	return all
}

// around are ids with the tickets and answers under an address, and the answers that name
// one of them.
func (u *source) around(address string, ids ...string) []string {
	ids = append(ids, u.under(address)...)
	for id, r := range u.answers {
		if r.Address == address && address != "" || r.Claims != "" && slices.Contains(ids, r.Claims) {
			ids = append(ids, id)
		}
	}
	return ids
}

// has notes that a ticket has an address.
func (u *source) has(t *life.Ticket) { u.had[t.Address+" "+t.ID] = true }

func (u *source) tick() time.Time {
	u.clock = u.clock.Add(time.Minute)
	return u.clock
}

func (u *source) buy(event string, p somebody, address string) *life.Ticket {
	u.issued++
	now := u.tick()
	t := &life.Ticket{ID: fmt.Sprint(u.issued), Event: event, Name: p.name, Address: address, Kind: "Standard", Standing: life.Attending, Bought: now, Changed: now}
	u.tickets[t.ID] = t
	u.has(t)
	return t
}

// fill fills in the form.
func (u *source) fill(p somebody, claims, address string) *life.Answer {
	u.issued++
	r := &life.Answer{ID: fmt.Sprint("r", u.issued), Claims: claims, Name: p.name, Address: address, Submitted: u.tick(), Version: "2027-1"}
	u.answers[r.ID] = r
	u.said(p.id, "agreed_at", r.Submitted.UTC().Format(time.RFC3339))
	if address != "" && claims != "" {
		u.had[address+" "+claims] = true
	}
	return r
}

// all are pages of all that the sources have.
func (u *source) all() (tickets []life.Ticket, answers []life.Answer) {
	for _, id := range slices.Sorted(maps.Keys(u.tickets)) {
		tickets = append(tickets, *u.tickets[id])
	}
	for _, id := range slices.Sorted(maps.Keys(u.answers)) {
		answers = append(answers, *u.answers[id])
	}
	return tickets, answers
}

// listing is a complete listing of an event.
func (u *source) listing(event string) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(u.tickets)) {
		if u.tickets[id].Event == event {
			ids = append(ids, id)
		}
	}
	return ids
}

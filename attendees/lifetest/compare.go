package lifetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lethe/attendees/lifetest/life"
)

// Difference is one thing that a store shows otherwise than the model does. It holds ids
// and names of fields, no values.
type Difference struct {
	Act    life.Act // after which it was seen
	Event  string   // empty: of none
	View   string   // plan, listed, own, officer, person, server, counts, stored, tasks, outcome, or claim
	About  string   // the purpose of a list, or the claim that is broken
	Who    life.Who
	Kind   string // of record or state
	Answer string
	Field  string // empty: the thing as a whole
	How    string // missing, extra or differs
	// Tickets are those that it may be about: Who's, or those of the address that asked.
	Tickets []string
}

func (d Difference) String() string {
	parts := []string{d.View, d.About, "event " + d.Event}
	if d.Who.Ticket != "" {
		parts = append(parts, "attendee "+d.Who.String())
	}
	if d.Answer != "" {
		parts = append(parts, "answer "+d.Answer)
	}
	if len(d.Tickets) > 0 && d.Who.Ticket == "" {
		parts = append(parts, "under an address of tickets "+strings.Join(d.Tickets, ", "))
	}
	parts = append(parts, d.Kind, d.Field, d.How, "after: "+d.Act.String())
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// compare finds the differences between what a store shows of one view and what it should.
func compare(want, got life.View, base Difference) (all []Difference) {
	differ := func(i life.Item, field, how string) {
		d := base
		d.Who, d.Kind, d.Answer, d.Field, d.How = i.Who, i.Kind, i.Answer, field, how
		if i.Who.Ticket != "" {
			d.Tickets = append(slices.Clone(d.Tickets), i.Who.Ticket)
		}
		all = append(all, d)
	}
	for i, w := range want {
		g, ok := got[i]
		if !ok {
			if _, optional := w[life.Whatever]; !optional {
				differ(i, "", "missing")
			}
			continue
		}
		for f, v := range w {
			if f == life.Whatever || v == life.Whatever {
				continue // DESIGN.md leaves it open
			}
			switch other, ok := g[f]; {
			case !ok:
				differ(i, f, "missing")
			case other != v:
				differ(i, f, "differs")
			}
		}
		for f := range g {
			if _, ok := w[f]; !ok && base.View != "plan" && !life.Loose(strings.TrimRight(i.Kind, "+")) {
				differ(i, f, "extra")
			}
		}
	}
	for i := range got {
		if _, ok := want[i]; !ok {
			differ(i, "", "extra")
		}
	}
	slices.SortFunc(all, func(a, b Difference) int { return cmp.Compare(a.String(), b.String()) })
	return all
}

// seen are the views that a driver gives, as the model gives them.
type seen struct{ life.Driver }

func (s seen) plan(event string) (life.View, error) {
	p, err := s.Plan(event)
	return life.View{{}: {
		"state": p.State, "block_on": p.BlockOn, "delete_on": p.DeleteOn, "pending": life.YesNo(p.Pending), "asked": life.YesNo(p.Asked),
	}}, err
}

func (s seen) listed(event, purpose string) (life.View, error) {
	rows, err := s.Listed(event, purpose)
	if errors.Is(err, life.ErrRefused) {
		return life.View{life.Refusal: {}}, nil
	}
	v := life.View{}
	for _, r := range rows {
		f := withValue(r.Fields)
		f["standing"] = r.Standing
		v.Add(life.Item{Who: r.Who}, f)
	}
	return v, err
}

func withValue(f map[string]string) map[string]string {
	some := map[string]string{}
	for field, value := range f {
		if value != "" {
			some[field] = value
		}
	}
	return some
}

func ownOf(all []life.Own, event string) life.View {
	v := life.View{}
	for _, o := range all {
		switch {
		case o.Event != event:
		case o.Shared:
			v[life.Item{Kind: "shared"}] = map[string]string{}
		case o.Answer != "":
			v.Add(life.Item{Answer: o.Answer}, nil)
		default:
			f := map[string]string{}
			if o.State == life.Open {
				f = withValue(o.Fields)
			}
			f["opens"] = life.YesNo(o.Opens)
			v.Add(life.Item{Who: o.Who, Kind: o.State}, f)
		}
	}
	return v
}

func recordsOf(all []life.Record, fields bool) life.View {
	v := life.View{}
	for _, r := range all {
		if fields && !life.Loose(r.Kind) {
			v.Add(life.Item{Who: r.Who, Kind: life.KindOf(r.Kind)}, withValue(r.Fields))
			continue
		}
		v.Add(life.Item{Who: r.Who, Kind: life.KindOf(r.Kind)}, nil)
	}
	return v
}

func (s seen) server(event string) (life.View, error) {
	all, err := s.Server(event)
	v := life.View{}
	for _, w := range all {
		v.Add(life.Item{Who: w}, nil)
	}
	return v, err
}

func (s seen) counts(event string) (life.View, error) {
	n, err := s.Counts(event)
	f := map[string]string{}
	for _, what := range []string{"registered", "agreed", "attended"} {
		if n[what] > 0 {
			f[what] = fmt.Sprintf("%02d", n[what])
		}
	}
	return life.View{{}: f}, err
}

func (s seen) stored(event string, answers bool) (life.View, error) {
	all, err := s.Stored(event)
	v := life.View{}
	for _, w := range all.People {
		v.Add(life.Item{Who: w}, nil)
	}
	for _, id := range all.Answers {
		if answers {
			v.Add(life.Item{Answer: id}, nil)
		}
	}
	return v, err
}

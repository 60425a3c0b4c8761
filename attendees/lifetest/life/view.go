package life

import (
	"maps"
	"slices"
)

// Item is one thing that a role sees.
type Item struct {
	Who    Who
	Kind   string // of record, state, or what is told instead of people
	Answer string
}

// Whatever is in the place of a value, or as a field for a thing as a whole, that a store may show or
// not: DESIGN.md leaves it open.
const Whatever = "?"

// View is what a role sees: things with their fields.
type View map[Item]map[string]string

func (v View) Add(i Item, fields map[string]string) {
	for v[i] != nil { // several records of one kind
		i.Kind += "+"
	}
	if fields == nil {
		fields = map[string]string{}
	}
	v[i] = fields
}

var Refusal = Item{Kind: "refused"}

func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (m *Model) ViewPlan(e *Gathering) View {
	f := map[string]string{
		"state": e.State, "block_on": midnight(e.Dates.Block), "delete_on": midnight(e.Dates.Delete),
		"pending": YesNo(m.pending(e)), "asked": YesNo(e.Asked && e.State == Blocked),
	}
	if e.partly { // it is neither
		delete(f, "state")
	}
	return View{{}: f}
}

func (m *Model) ViewListed(e *Gathering, purpose string) View {
	if !m.Readable(e) {
		return View{Refusal: {}}
	}
	v := View{}
	for _, a := range e.People {
		if a.State != Open || a.Layer == nil {
			continue
		}
		f := m.merge(a, nil)
		if purpose == Forum && !m.inForum(a, f) {
			continue
		}
		fields := forumFields
		if purpose == Participation {
			fields = dutyFields
		}
		f = pick(f, fields)
		f["standing"] = a.standing
		v.Add(Item{Who: a.Who}, f)
	}
	return v
}

// ViewOwn is what somebody sees under an address: what was given under it, unless several
// people have it.
func (m *Model) ViewOwn(e *Gathering, address string) View {
	v := View{}
	if e.State == Deleted {
		return v
	}
	var own []*Attendee
	for _, a := range e.People {
		if a.Address != address {
			continue
		}
		if a.SharesAddress() {
			return View{{Kind: "shared"}: {}}
		}
		own = append(own, a)
	}
	for _, a := range own {
		f := map[string]string{}
		if a.State == Open && a.Layer != nil && e.State == Open {
			all := m.merge(a, func(r *answer) bool { return r.Address == "" || r.Address == address })
			f = pick(all, dutyFields)
			if m.inForum(a, all) {
				maps.Copy(f, pick(all, forumFields))
			} else { // what is stored may be shown, whether or not a list has it
				f["affiliation"], f["forums"] = Whatever, Whatever
			}
		}
		f["opens"] = YesNo(m.opensFor(a, address))
		v.Add(Item{Who: a.Who, Kind: a.State}, f)
	}
	for id, r := range e.Answers {
		mine := r.Owner != nil && (slices.Contains(own, r.Owner) || r.Owner.State != Open)
		if e.State == Open && r.Address == address && !mine {
			v.Add(Item{Answer: id}, nil)
		}
	}
	return v
}

// opensFor tells whether what is stored of somebody opens with an address.
func (m *Model) opensFor(a *Attendee, address string) bool {
	switch a.State {
	case Open:
		return true
	case Blocked:
		return m.peppered(a.Event) && slices.ContainsFunc(a.Event.records, func(r *record) bool {
			return r.who == a && r.kind != "corrected" && r.half == address
		})
	}
	return m.peppered(a.Event) && !slices.ContainsFunc(a.halves, func(half string) bool { return half != address })
}

// Loose tells that only what a record must have is compared: how earlier readings lie in
// it is the store's.
func Loose(kind string) bool { return kind == "held" || kind == Restricted }

func (m *Model) ViewOfficer(e *Gathering) View {
	v := View{}
	for _, a := range e.People {
		if a.State == Restricted || a.State == Erased {
			v.Add(Item{Who: a.Who, Kind: Restricted}, nil)
		}
	}
	for _, r := range e.records {
		if Loose(r.kind) {
			v.Add(Item{Who: r.who.Who, Kind: r.kind}, noMore(r))
			continue
		}
		v.Add(Item{Who: r.who.Who, Kind: KindOf(r.kind)}, r.fields)
	}
	return v
}

// KindOf takes what was sealed when a restriction ended like what is kept.
func KindOf(kind string) string {
	if kind == "lifted" {
		return "kept"
	}
	return kind
}

func (m *Model) ViewPerson(e *Gathering, address string) View {
	v := View{}
	if !m.peppered(e) {
		return v
	}
	for _, a := range e.People {
		if (a.State == Restricted || a.State == Erased) && slices.Contains(a.halves, address) {
			v.Add(Item{Who: a.Who, Kind: Restricted}, sinceShared(a))
		}
	}
	for _, r := range e.records {
		if r.half == address {
			f := sinceShared(r.who)
			maps.Copy(f, noMore(r))
			v.Add(Item{Who: r.who.Who, Kind: KindOf(r.kind)}, f)
		}
	}
	return v
}

// sinceShared leaves open whether a half still opens whose address somebody else has got
// since.
func sinceShared(a *Attendee) map[string]string {
	if a.SharesAddress() {
		return map[string]string{Whatever: Whatever}
	}
	return map[string]string{}
}

// noMore leaves open whether there is a record under a hold that says no more than the
// duty's.
func noMore(r *record) map[string]string {
	f := map[string]string{}
	if r.kind == "held" && len(pick(r.fields, []string{"affiliation", "forums", "consented"})) == 0 {
		f[Whatever] = Whatever
	}
	return f
}

func (m *Model) ViewServer(e *Gathering) View {
	v := View{}
	for _, a := range e.People {
		if e.State == Open && a.State == Open && a.Layer != nil {
			v.Add(Item{Who: a.Who}, nil)
		}
	}
	return v
}

func (m *Model) ViewCounts(e *Gathering) View {
	v := View{}
	if e.State != Open {
		f := map[string]string{}
		for what, n := range e.counts {
			f[what] = string(rune('0'+n/10)) + string(rune('0'+n%10))
		}
		v.Add(Item{}, f)
	}
	return v
}

func (m *Model) ViewStored(e *Gathering) View {
	v := View{}
	for _, a := range e.People {
		v.Add(Item{Who: a.Who}, nil)
	}
	if e.State == Open {
		for id, r := range e.Answers {
			if r.Owner == nil || r.Owner.State == Open || r.Owner.State == Blocked {
				v.Add(Item{Answer: id}, nil)
			}
		}
	}
	return v
}

// asked is what staff must have been asked by now.
func (m *Model) Questions() []Task {
	all := slices.Collect(maps.Keys(m.tasks))
	for _, e := range m.Events {
		for _, r := range e.Answers {
			if t := (Task{"claim", e.ID}); r.claims != nil && e.State == Open && !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all
}

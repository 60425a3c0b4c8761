package lifetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lethe/attendees/lifetest/life"
)

// mirror is a store that is right by definition: a model of its own. broken makes it err.
type mirror struct {
	*life.Model
	broken func(m *mirror, a life.Act)
}

func (m *mirror) Do(a life.Act) error {
	if m.Model.Do(a) == life.Refused {
		return life.ErrRefused
	}
	if m.broken != nil {
		m.broken(m, a)
	}
	return nil
}

func (m *mirror) Plan(event string) (life.Plan, error) {
	f := m.ViewPlan(m.Event(event))[life.Item{}]
	return life.Plan{State: f["state"], BlockOn: f["block_on"], DeleteOn: f["delete_on"], Pending: f["pending"] == "yes", Asked: f["asked"] == "yes"}, nil
}

func (m *mirror) Listed(event, purpose string) (rows []life.Row, err error) {
	for i, f := range m.ViewListed(m.Event(event), purpose) {
		if i == life.Refusal {
			return nil, life.ErrRefused
		}
		rows = append(rows, life.Row{Who: i.Who, Standing: f["standing"], Fields: f})
	}
	return rows, nil
}

func (m *mirror) Own(address string) (all []life.Own, err error) {
	for _, e := range m.Events {
		for i, f := range m.ViewOwn(e, address) {
			all = append(all, life.Own{Event: e.ID, Shared: i.Kind == "shared", Who: i.Who, State: i.Kind, Opens: f["opens"] == "yes", Fields: f, Answer: i.Answer})
		}
	}
	return all, nil
}

func (m *mirror) Officer(event string) ([]life.Record, error) {
	e := m.Event(event)
	all := m.records(m.ViewOfficer(e))
	for i, r := range all {
		if p := e.Find(r.Who); p != nil {
			all[i].Also = slices.Collect(maps.Keys(p.Must))
		}
	}
	return all, nil
}

func (m *mirror) Person(event, address string) ([]life.Record, error) {
	return m.records(m.ViewPerson(m.Event(event), address)), nil
}

func (m *mirror) records(v life.View) (all []life.Record) {
	for _, i := range slices.SortedFunc(maps.Keys(v), func(a, b life.Item) int { return strings.Compare(a.Kind, b.Kind) }) {
		all = append(all, life.Record{Who: i.Who, Kind: strings.TrimRight(i.Kind, "+"), Fields: v[i]})
	}
	return all
}

func (m *mirror) Server(event string) (all []life.Who, err error) {
	for i := range m.ViewServer(m.Event(event)) {
		all = append(all, i.Who)
	}
	return all, nil
}

func (m *mirror) Counts(event string) (map[string]int, error) {
	n := map[string]int{}
	for _, f := range m.ViewCounts(m.Event(event)) {
		for what, text := range f {
			n[what] = int(text[0]-'0')*10 + int(text[1]-'0')
		}
	}
	return n, nil
}

func (m *mirror) Stored(event string) (s life.Stored, err error) {
	for i := range m.ViewStored(m.Event(event)) {
		if i.Answer != "" {
			s.Answers = append(s.Answers, i.Answer)
		} else {
			s.People = append(s.People, i.Who)
		}
	}
	return s, nil
}

func (m *mirror) Tasks() ([]life.Task, error) { return m.Questions(), nil }
func (m *mirror) End()                        {}

func TestTheModelAgreesWithItselfThroughEveryAct(t *testing.T) {
	Run(t, func(_ *rapid.T, s life.Setup) life.Driver { return &mirror{life.NewModel(s), nil} }, Options{Lives: 300})
}

// Each of these stores breaks one promise, and is found out.
func TestAStoreThatBreaksAPromiseIsFoundOut(t *testing.T) {
	each := func(m *mirror, do func(*life.Gathering, *life.Attendee)) {
		for _, e := range m.Events {
			for _, p := range slices.Clone(e.People) {
				do(e, p)
			}
		}
	}
	for name, c := range map[string]struct {
		view, about string
		broken      func(m *mirror, a life.Act)
	}{
		"a reading takes a yes away": {"listed", "", func(m *mirror, a life.Act) {
			for _, r := range a.Answers {
				for _, e := range m.Events {
					if s := e.Answers[r.ID]; s != nil && !r.Yes {
						s.Yes = false
					}
				}
			}
		}},
		"who said yes is deleted at blocking": {"claim", "nobody who said yes is deleted for want of it", func(m *mirror, a life.Act) {
			each(m, func(e *life.Gathering, p *life.Attendee) {
				if a.Kind == life.Block && e.State == life.Blocked && p.Said {
					m.Model.Do(life.Act{Kind: life.Forget, Event: e.ID, Who: p.Who})
				}
			})
		}},
		"a new holder has the former one's answers": {"claim", "nobody inherits another's layer", func(m *mirror, _ life.Act) {
			each(m, func(e *life.Gathering, p *life.Attendee) {
				for _, r := range e.Answers {
					if r.Owner != nil && r.Owner.Ticket == p.Ticket && r.Owner.Holder < p.Holder {
						r.Owner = p
					}
				}
			})
		}},
		"a restricted attendee's values are lost": {"claim", "nothing of a held or restricted attendee is lost", func(m *mirror, _ life.Act) {
			each(m, func(_ *life.Gathering, p *life.Attendee) {
				if p.State == life.Restricted {
					p.Must = nil
				}
			})
		}},
		"who is erased comes back": {"claim", "an erased id never returns", func(m *mirror, _ life.Act) { clear(m.ErasedTickets) }},
		"the server opens a blocked event": {"server", "", func(m *mirror, _ life.Act) {
			each(m, func(e *life.Gathering, p *life.Attendee) {
				if e.State == life.Blocked && p.State == life.Blocked {
					e.State, p.State, p.Layer = life.Open, life.Open, &life.Ticket{ID: p.Ticket, Name: p.Named, Standing: life.Attending}
				}
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			found := false
			all := Known{Name: name, Seen: name, Ends: true, Is: func(d Difference, _ *Life) bool {
				found = found || d.View == c.view && (c.about == "" || d.About == c.about)
				return true
			}}
			Run(t, func(_ *rapid.T, s life.Setup) life.Driver { return &mirror{life.NewModel(s), c.broken} }, Options{Lives: 150, Known: []Known{all}})
			if !found {
				t.Errorf("nobody notices that %s", name)
			}
		})
	}
}

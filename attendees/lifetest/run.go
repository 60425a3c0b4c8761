package lifetest

import (
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lethe/attendees/lifetest/life"
)

// Options say how lives are run.
type Options struct {
	// Lives is how many; 0: 10, or 300 with LETHE_TEST_MORE. Those of one seed are the same
	// each time, so that nothing fails by chance that a change did not break; with
	// -rapid.checks they are others, to find what nobody has thought of.
	Lives int
	Seed  int // 0: 1
	// Calm leaves out acts that touch any of the faults found in use, and those that only
	// the new core has.
	Calm bool
	// Known are differences that are known; each that is seen is counted, with what follows
	// from it. A life continues after one.
	Known []Known
}

// Known is a difference that is known.
type Known struct {
	Name string // FAULTS.md's letter and number, or D and a number of a rule that is new
	Seen string // what is seen
	Is   func(Difference, *Life) bool
	// Parts tells that from here on the store and the model tell different things of the
	// ticket, or of this view of the event; Ends, that they do of the whole life.
	Parts, Ends bool
}

// start is when lives begin.
var start = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// Run lives lives on stores that begin makes, one for each, and on the model. Acts that a
// store does not have are skipped; with -v they are listed at the end, and so are the known
// differences that were seen.
func Run(t *testing.T, begin func(rt *rapid.T, s life.Setup) life.Driver, o Options) {
	t.Helper()
	given := slices.ContainsFunc(os.Args, func(arg string) bool { // flag.Visit would see those that an earlier Run has set
		return strings.Contains(arg, "rapid.checks") || strings.Contains(arg, "rapid.failfile")
	})
	if o.Lives == 0 {
		if o.Lives = 10; os.Getenv("LETHE_TEST_MORE") != "" {
			o.Lives = 300
		}
	}
	if !given {
		for name, value := range map[string]int{"rapid.checks": o.Lives, "rapid.seed": max(1, o.Seed)} {
			if err := flag.Set(name, strconv.Itoa(value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	total := &tally{skipped: map[life.Kind]int{}, acts: map[life.Kind]int{}, known: map[string]int{}, follows: map[string]int{}}
	rapid.Check(t, func(rt *rapid.T) {
		s := life.Setup{Now: start, Consent: rapid.Bool().Draw(rt, "forum rests on consent")}
		for i, id := range []string{"4711", "4712"} {
			s.Events = append(s.Events, life.Event{ID: id, End: time.Date(2027, 6, 20+10*i, 16, 0, 0, 0, time.UTC)})
		}
		if s.Asks = []string{"4711", "4712"}; rapid.Bool().Draw(rt, "one asks for no agreement") && rapid.Bool().Draw(rt, "indeed") {
			s.Asks = s.Asks[1:]
		}
		d := begin(rt, s)
		defer d.End()
		l := newLife(rt, s, d, o, total)
		l.live()
	})
	total.print(t, o)
}

// tally counts over all lives.
type tally struct {
	lives          int
	acts, skipped  map[life.Kind]int
	known, follows map[string]int
}

func (n *tally) print(t *testing.T, o Options) {
	t.Logf("%d lives", n.lives)
	for _, k := range slices.Sorted(maps.Keys(n.acts)) {
		t.Logf("  %-16s %5d", k, n.acts[k])
	}
	for _, k := range slices.Sorted(maps.Keys(n.skipped)) {
		t.Logf("  %-16s %5d times skipped: the store has no such act", k, n.skipped[k])
	}
	for _, k := range o.Known {
		t.Logf("  %-4s %4d (and %d that follow): %s", k.Name, n.known[k.Name], n.follows[k.Name], k.Seen)
	}
}

// Life is one life under way.
type Life struct {
	*rapid.T
	model  *life.Model
	store  seen
	setup  life.Setup
	o      Options
	total  *tally
	source *source
	past   []life.Act
	marks  map[string]map[string]bool // what has happened, by ticket, answer or event
	follow map[string]string          // the known difference that a ticket or event has been part of
	over   bool
	number int // of the last hold
	events []string
}

func newLife(rt *rapid.T, s life.Setup, d life.Driver, o Options, total *tally) *Life {
	total.lives++
	l := &Life{T: rt, model: life.NewModel(s), store: seen{d}, setup: s, o: o, total: total, source: newSource(s), marks: map[string]map[string]bool{}, follow: map[string]string{}}
	for _, e := range s.Events {
		l.events = append(l.events, e.ID)
	}
	return l
}

// Consent tells whether the forum rests on consent.
func (l *Life) Consent() bool { return l.setup.Consent }

// do does one act on both, and compares.
func (l *Life) do(a life.Act) {
	if l.over {
		return
	}
	l.markLate(a)
	if a.Kind == life.Reconcile {
		for _, p := range l.model.Event(a.Event).People {
			if !slices.Contains(a.Listed, p.Ticket) {
				l.mark("vanished", p.Ticket)
			}
		}
	}
	for _, t := range a.Tickets {
		l.inherit(t.ID, t.Address, "")
	}
	for _, r := range a.Answers {
		if r.Address == groups { // one who buys for several may be taken for any of them
			l.mark("given another's answer", l.source.around(groups)...)
		}
		l.inherit(r.ID, r.Address, r.Claims)
		if r.Claims != "" {
			l.inherit(r.Claims, r.Address, "")
		}
	}
	err := l.store.Do(a)
	if errors.Is(err, life.ErrUnsupported) {
		l.total.skipped[a.Kind]++
		return
	}
	l.Logf("%s", a)
	l.total.acts[a.Kind]++
	if errors.Is(err, life.ErrClock) && l.model.Behind() {
		return // it waits until the clock is right
	}
	if err != nil && !errors.Is(err, life.ErrRefused) && !errors.Is(err, life.ErrClock) {
		l.Fatalf("%s: %v", a, err)
	}
	if a.Kind == life.Block {
		for _, p := range l.model.Event(a.Event).People {
			if p.State == life.Restricted || p.State == life.Erased {
				l.mark("blocked with restricted", a.Event)
			}
		}
	}
	want := l.model.Do(a)
	for _, r := range a.Answers {
		for _, e := range l.model.Events {
			if e.Answers[r.ID] == nil && l.model.OwnedElsewhere(e, r) {
				l.mark("of a blocked event", l.source.around(r.Address, r.ID)...)
			}
			if s := e.Answers[r.ID]; s != nil && s.Owner != nil && (s.Owner.State == life.Restricted || s.Owner.State == life.Erased) {
				l.mark("answered while restricted", l.source.around(r.Address, s.Owner.Ticket, r.ID)...)
			}
		}
	}
	d := Difference{Act: a, Event: a.Event, View: "outcome", Who: a.Who, Answer: a.Answer}
	if a.Who.Ticket != "" {
		d.Tickets = []string{a.Who.Ticket}
	}
	for _, t := range a.Tickets {
		d.Tickets = append(d.Tickets, t.ID)
	}
	switch {
	case want == life.Done && err != nil:
		d.How = "missing"
		l.differ(d)
		l.rebuild() // the model stays with the store
	case want == life.Refused && err == nil:
		d.How = "extra"
		l.differ(d)
	default:
		l.past = append(l.past, a)
	}
	l.look(a)
}

// rebuild lives the life again without the last act.
func (l *Life) rebuild() {
	l.model = life.NewModel(l.setup)
	for _, a := range l.past {
		l.model.Do(a)
	}
}

// differ takes a difference, which is known or ends the test.
func (l *Life) differ(all ...Difference) {
	for _, d := range all {
		known := ""
		for _, k := range l.o.Known {
			if known == "" && k.Is(d, l) {
				known = k.Name
				l.total.known[known]++
				l.over = l.over || k.Ends
				l.part(d, k)
			}
		}
		if known != "" {
			continue
		}
		if first := l.follows(d); first != "" {
			l.total.follows[first]++
			continue
		}
		l.Fatalf("%s", d)
	}
}

func (l *Life) part(d Difference, k Known) {
	if !k.Parts {
		return
	}
	for _, id := range append(d.Tickets, d.Answer) {
		if id != "" {
			l.follow[id] = k.Name
		}
	}
	if len(d.Tickets) == 0 {
		l.follow[d.Event+d.View] = k.Name
	}
}

// follows names the known difference that one follows from: once a store and the model have
// parted about a ticket, they tell different things of it.
func (l *Life) follows(d Difference) string {
	for _, id := range append(slices.Clone(d.Tickets), d.Answer, d.Event+d.View) {
		if known := l.follow[id]; id != "" && known != "" {
			return known
		}
	}
	return ""
}

// look compares what everybody sees.
func (l *Life) look(a life.Act) {
	if a.Kind == life.Delete && a.Cut > 0 || a.Kind == life.Block && a.Cut == 3 || a.Kind == life.SetClock || a.Kind == life.Release {
		return // what is left is removed when it is resumed, or in the night
	}
	own := map[string][]life.Own{}
	for _, address := range l.source.addresses() {
		all, err := l.store.Own(address)
		l.must(err)
		own[address] = all
	}
	for _, id := range l.events {
		e := l.model.Event(id)
		check := func(name, about string, want life.View, got life.View, err error, tickets ...string) {
			l.must(err)
			l.differ(compare(want, got, Difference{Act: a, Event: id, View: name, About: about, Tickets: tickets})...)
		}
		got, err := l.store.plan(id)
		check("plan", "", l.model.ViewPlan(e), got, err)
		for _, purpose := range []string{life.Participation, life.Forum} {
			got, err := l.store.listed(id, purpose)
			check("listed", purpose, l.model.ViewListed(e, purpose), got, err)
			l.claimOfOne(a, e, got)
		}
		records, err := l.store.Officer(id)
		check("officer", "", l.model.ViewOfficer(e), recordsOf(records, true), err)
		l.claimKept(a, e, records)
		for _, address := range l.source.addresses() {
			tickets := l.source.under(address)
			check("own", "", l.model.ViewOwn(e, address), ownOf(own[address], id), nil, tickets...)
			records, err := l.store.Person(id, address)
			check("person", "", l.model.ViewPerson(e, address), recordsOf(records, false), err, tickets...)
		}
		got, err = l.store.server(id)
		check("server", "", l.model.ViewServer(e), got, err)
		if e.State != life.Open {
			got, err = l.store.counts(id)
			check("counts", "", l.model.ViewCounts(e), got, err)
		}
		got, err = l.store.stored(id, e.State == life.Open)
		check("stored", "", l.model.ViewStored(e), got, err)
		l.claimGone(a, e, got)
	}
	tasks, err := l.store.Tasks()
	l.must(err)
	for _, t := range l.model.Questions() {
		if !slices.Contains(tasks, t) {
			l.differ(Difference{Act: a, Event: t.Event, View: "tasks", About: t.Kind, How: "missing"})
		}
	}
}

func (l *Life) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// String names a life by its acts.
func (l *Life) String() string {
	var acts []string
	for _, a := range l.past {
		acts = append(acts, a.String())
	}
	return strings.Join(acts, "\n")
}

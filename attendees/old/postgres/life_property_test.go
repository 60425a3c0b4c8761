package postgres_test

import (
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// soul is somebody who is held, as the promises would have it.
type soul struct {
	moved     bool // has left another event
	event     attendees.EventID
	why       attendees.Reason // why she alone is sealed
	early     bool             // she was sealed before her event was blocked
	agreed    bool
	stays     bool // whether she agreed is asked no more
	withdrawn bool // her consent to the forum
	lab       string
	unsure    bool // what became of her lab depends on what her sources still say
}

func (s *soul) restricted() bool {
	return s.why == attendees.RestrictionAsked || s.why == attendees.Objected
}

// life is what must be true of the two events, kept beside the store. Of 4712 a form asks
// whether people agree.
type life struct {
	*rapid.T
	world
	officer   seal.Officer
	sealer    *seal.Sealer
	souls     map[string]*soul // who is held, by id
	forgotten map[string]bool
	sealed    map[string]bool // who was ever sealed for herself: a replay may have that wait for her
	holds     map[int]postgres.Hold
	ends      map[attendees.EventID]time.Time
	earliest  map[attendees.EventID]attendees.Date // to be deleted, by any plan that ever was
	doubted   map[attendees.EventID]bool
	upstream  time.Time // the source's clock, which is right
	labs      int
	copy      ledger.File
	backup    *past
}

// past is a backup, and what was true then.
type past struct {
	name string
	life
}

var bothEvents = []attendees.EventID{"4711", "4712"}

const asksAgreement = attendees.EventID("4712")

// end gives back what a life took of the server: there are hundreds of them.
func (l *life) end() {
	name := pgtest.Name(l.world.t, l.DB())
	_ = l.DB().Close()
	pgtest.Drop(l.world.t, name)
	if l.backup != nil {
		pgtest.Drop(l.world.t, l.backup.name)
	}
}

func (l *life) event() attendees.EventID { return rapid.SampledFrom(bothEvents).Draw(l.T, "event") }

// anyone draws an id, of somebody who is held or not.
func (l *life) anyone() string { return rapid.StringMatching(`[0-9]`).Draw(l.T, "who") }

func (l *life) look(id attendees.EventID) postgres.Event {
	e, err := l.Event(l.world.t.Context(), id)
	l.must(err)
	return e
}

func (l *life) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// done tells whether a step was done: one is not while the clock stands before the ledger.
func (l *life) done(err error) bool {
	l.Helper()
	if errors.Is(err, postgres.ErrClock) {
		return false
	}
	l.must(err)
	// As every command does before it ends.
	l.must(l.CopyLedger(l.world.t.Context(), l.copy))
	return true
}

// stands tells whether a hold stands on somebody, or on the event as a whole. One that waits
// for its registration is on nobody who is there.
func (l *life) stands(id attendees.EventID, who string) bool {
	for _, h := range l.holds {
		if h.Attendee == "" && !h.Waits && h.Event == id || h.Attendee != "" && string(h.Attendee) == who {
			return true
		}
	}
	return false
}

// leave takes those of an event whom go names out of the model.
func (l *life) leave(id attendees.EventID, go_ func(who string, s *soul) bool) (n int) {
	for who, s := range l.souls {
		if s.event == id && go_(who, s) {
			delete(l.souls, who)
			n++
		}
	}
	return n
}

// check is what must hold after each step.
func (l *life) check(*rapid.T) {
	var ids []string
	l.must(l.DB().Select(&ids, `select source_id from attendees`))
	for _, who := range ids {
		if l.forgotten[who] {
			l.Fatalf("%s was forgotten and is back", who)
		}
		if l.souls[who] == nil {
			l.Fatalf("%s is held, and nobody knows why", who)
		}
	}
	if len(ids) != len(l.souls) {
		l.Fatalf("%v are held, want %v: somebody is lost", ids, slices.Sorted(maps.Keys(l.souls)))
	}
	for _, id := range bothEvents {
		e := l.look(id)
		for row, err := range l.Attending(l.world.t.Context(), id, attendees.ParticipationAgreement, postgres.AnyStatus) {
			if err != nil {
				break // refused
			}
			if !e.Open(l.clock.now) {
				l.Fatalf("%s of event %s is shown after its block date", row.ID, id)
			}
		}
		if e.BlockedAt != nil && l.count(`select count(*) from personal where event_id = $1`, e.Key) > 0 {
			l.Fatalf("event %s is blocked and has readable rows", id)
		}
	}
	var rows []struct {
		Who string `db:"source_id"`
		Lab string `db:"affiliation"`
	}
	l.must(l.DB().Select(&rows, `select source_id, affiliation from personal where part = 'registration'`))
	readable := map[string]string{}
	for _, r := range rows {
		readable[r.Who] = r.Lab
	}
	events := map[attendees.EventID]postgres.Event{"4711": l.look("4711"), "4712": l.look("4712")}
	for who, s := range l.souls {
		lab, there := readable[who]
		l.checkSoul(who, s, events[s.event], there, lab)
	}
	if l.count(`select count(*) from ledger_entries`) > 0 {
		l.ledgerIsSound()
	}
}

func (l *life) checkSoul(who string, s *soul, e postgres.Event, readable bool, lab string) {
	switch {
	case s.why != "" && readable:
		l.Fatalf("%s is sealed for herself (%s) and readable", who, s.why)
	case readable && !s.unsure:
		if lab != s.lab {
			l.Fatalf("%s is of %q, want %q", who, lab, s.lab)
		}
	case !readable && e.Open(l.clock.now) && s.why == "" && !s.early: // lifted when it was over, she stays sealed if it is postponed
		l.Fatalf("%s is not readable, and her event is open", who)
	case !readable:
		name, lab := l.opens(who, e)
		if name != "Person "+who {
			l.Fatalf("%s is sealed under the name %q", who, name)
		}
		if s.restricted() && s.lab != "" && !s.unsure && lab != s.lab {
			l.Fatalf("%s is restricted and lost what was held of her: %q, want %q", who, lab, s.lab)
		}
		if s.why == "" && !l.stands(s.event, who) && e.BlockedAt == nil && lab != "" && !s.early {
			l.Fatalf("%s is sealed with more than a duty keeps", who)
		}
	}
}

// opens opens a sealed record with the officer's key.
func (l *life) opens(who string, e postgres.Event) (name, lab string) {
	for r, err := range l.StillSealed(l.world.t.Context(), e, attendees.AttendeeID(who)) {
		l.must(err)
		record, err := l.officer.Open(r.Officers, string(e.ID), who, r.Part)
		l.must(err)
		var fields struct{ Name, Affiliation string }
		l.must(json.Unmarshal(record.Fields, &fields))
		switch r.Part {
		case "registration":
			name = fields.Name
		case "held":
			lab = fields.Affiliation
		}
	}
	return name, lab
}

// sequences are how many lives each half lives: LETHE_TEST_MORE raises it, -rapid.checks
// sets it.
func sequences() string {
	if os.Getenv("LETHE_TEST_MORE") != "" {
		return "150"
	}
	return "5"
}

// The lives are the same each time, so that nothing fails by chance that a change did not
// break; with -rapid.checks they are others each time, to find what nobody has thought of.
func TestAnyOrderOfStepsKeepsThePromises(t *testing.T) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" || f.Name == "rapid.failfile" })
	if !given {
		for name, value := range map[string]string{"rapid.checks": sequences(), "rapid.seed": "1"} {
			if err := flag.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	for half, name := range []string{"one", "the other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anyOrder(t, half)
		})
	}
}

func anyOrder(t *testing.T, half int) {
	o := officer(t)
	rapid.Check(t, func(rt *rapid.T) {
		for range half { // from here on the two differ, though their seeds are the same
			rapid.Uint64().Draw(rt, "half")
		}
		w := newWorld(t)
		w.Policy().Purposes[1].Basis = "a"
		end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
		l := &life{
			T: rt, world: w, officer: o, sealer: sealer(t, o), souls: map[string]*soul{}, forgotten: map[string]bool{}, sealed: map[string]bool{},
			holds: map[int]postgres.Hold{}, ends: map[attendees.EventID]time.Time{"4711": end, "4712": end},
			earliest: map[attendees.EventID]attendees.Date{}, doubted: map[attendees.EventID]bool{},
			upstream: june, copy: ledger.File{Path: filepath.Join(t.TempDir(), "copy")},
		}
		defer l.end()
		l.must(l.SaveLink(t.Context(), l.look(asksAgreement), postgres.Link{Event: asksAgreement, Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
			Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agreed", ID: "agreed"}}}))
		for _, id := range bothEvents {
			l.plan(id)
		}
		l.list("4711", "0", "1", "2", "3", "4")
		l.list("4712", "5", "6", "7")
		rt.Repeat(map[string]func(*rapid.T){
			"pull": l.pull, "answer": l.answer, "gone": l.gone, "block": l.block, "delete": l.delete, "doubt": l.doubt,
			"forget": l.forget, "erase": l.erase, "restrict": l.restrict, "lift": l.lift, "withdraw": l.withdraw,
			"hold": l.hold, "release": l.release, "wait": l.wait, "back": l.back, "postpone": l.postpone, "rule": l.rule, "tidy": l.tidy,
			"backup": l.backUp, "restore": l.restore, "": l.check,
		})
	})
}

package postgres_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"lethe/attendees"
	"lethe/attendees/postgres"
	"lethe/attendees/seal"
)

// life is what must be true of the two events, kept beside the store.
type life struct {
	*rapid.T
	world
	sealer    *seal.Sealer
	held      map[string]attendees.EventID // who is held, by id
	forgotten map[string]bool
	holds     map[int]postgres.Hold
	ends      map[attendees.EventID]time.Time
}

var bothEvents = []attendees.EventID{"4711", "4712"}

func (l *life) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *life) event() attendees.EventID { return rapid.SampledFrom(bothEvents).Draw(l.T, "event") }

func (l *life) look(id attendees.EventID) postgres.Event {
	e, err := l.Event(l.world.t.Context(), id)
	l.ok(err)
	return e
}

// stands tells whether a hold stands on somebody, or on the event as a whole.
func (l *life) stands(id attendees.EventID, who string) bool {
	for _, h := range l.holds {
		if h.Event == id && (h.Attendee == "" || string(h.Attendee) == who) {
			return true
		}
	}
	return false
}

// pull lets the source list some people: known ones, new ones, and forgotten ones.
func (l *life) pull(*rapid.T) {
	id := l.event()
	open := l.look(id).Open(l.clock.now)
	var regs []attendees.Registration
	for range rapid.IntRange(1, 4).Draw(l.T, "people") {
		who := fmt.Sprint(rapid.IntRange(0, 11).Draw(l.T, "who"))
		if at, known := l.held[who]; known && at != id {
			continue
		}
		r := person(who, string(id), "Person "+who, who+"@example.org")
		r.Changed = l.clock.now
		regs = append(regs, r)
		if open && !l.forgotten[who] {
			l.held[who] = id
		}
	}
	l.saveQuietly(regs)
}

func (l *life) saveQuietly(regs []attendees.Registration) {
	var batch []attendees.Minimised
	for _, r := range regs {
		batch = append(batch, l.Policy().Minimise(r, nil))
	}
	ctx := l.world.t.Context()
	l.ok(l.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := l.Save(ctx, tx, attendees.Eventbrite, batch)
		return err
	}))
}

func (l *life) block(*rapid.T) {
	_, err := l.Block(l.world.t.Context(), l.event(), l.sealer)
	var early *postgres.TooEarlyError
	if !errors.As(err, &early) {
		l.ok(err)
	}
}

func (l *life) delete(*rapid.T) {
	id := l.event()
	before := l.look(id)
	n, err := l.Delete(l.world.t.Context(), id)
	if err != nil {
		if n > 0 {
			l.Fatalf("%d went although it failed: %v", n, err)
		}
		return
	}
	if n > 0 && before.Today(l.clock.now).Before(before.DeleteOn.Date) {
		l.Fatalf("%d of event %s went before %s", n, id, before.DeleteOn)
	}
	for who, at := range l.held {
		if at == id && !l.stands(id, who) {
			delete(l.held, who)
		}
	}
}

func (l *life) forget(*rapid.T) {
	who := fmt.Sprint(rapid.IntRange(0, 11).Draw(l.T, "who"))
	_, err := l.Forget(l.world.t.Context(), attendees.AttendeeID(who), "asked")
	var unknown *postgres.UnknownAttendeeError
	var held *postgres.HeldError
	at, known := l.held[who]
	switch {
	case errors.As(err, &unknown):
		if known {
			l.Fatalf("%s is held and cannot be forgotten", who)
		}
	case errors.As(err, &held):
		if !l.stands(at, who) {
			l.Fatalf("%s is under no hold and cannot be forgotten", who)
		}
	default:
		l.ok(err)
		if l.stands(at, who) {
			l.Fatalf("%s was forgotten under a hold", who)
		}
		delete(l.held, who)
		l.forgotten[who] = true
	}
}

func (l *life) hold(*rapid.T) {
	id, who := l.event(), ""
	if rapid.Bool().Draw(l.T, "one person") {
		ids := slices.Sorted(maps.Keys(l.held))
		if len(ids) == 0 {
			return
		}
		who = rapid.SampledFrom(ids).Draw(l.T, "who")
		id = l.held[who]
	}
	if l.look(id).State == attendees.Deleted {
		return
	}
	h, err := l.AddHold(l.world.t.Context(), id, attendees.AttendeeID(who), "a claim", "ops", attendees.Date{})
	l.ok(err)
	l.holds[h.ID] = h
}

func (l *life) release(*rapid.T) {
	ids := slices.Sorted(maps.Keys(l.holds))
	if len(ids) == 0 {
		return
	}
	id := rapid.SampledFrom(ids).Draw(l.T, "hold")
	l.ok(l.ReleaseHold(l.world.t.Context(), id))
	delete(l.holds, id)
}

func (l *life) wait(*rapid.T) {
	days := rapid.SampledFrom([]int{1, 20, 60, 400, 3000}).Draw(l.T, "days")
	l.clock.now = l.clock.now.AddDate(0, 0, days)
}

func (l *life) postpone(*rapid.T) {
	id := l.event()
	l.ends[id] = l.ends[id].AddDate(0, 0, rapid.SampledFrom([]int{-200, -10, 10, 200}).Draw(l.T, "days"))
	_, err := l.SaveEvents(l.world.t.Context(), attendees.Eventbrite, []attendees.Event{{
		ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: l.ends[id].Add(-8 * time.Hour), End: l.ends[id],
	}})
	l.ok(err)
}

func (l *life) tidy(*rapid.T) {
	_, err := l.Tidy(l.world.t.Context())
	l.ok(err)
}

// check is what must hold after each step.
func (l *life) check(*rapid.T) {
	var ids []string
	l.ok(l.DB().Select(&ids, `select source_id from attendees`))
	for _, who := range ids {
		if l.forgotten[who] {
			l.Fatalf("%s was forgotten and is back", who)
		}
		if _, known := l.held[who]; !known {
			l.Fatalf("%s is held, and nobody knows why", who)
		}
	}
	if len(ids) != len(l.held) {
		l.Fatalf("%v are held, want %v: somebody is lost", ids, slices.Sorted(maps.Keys(l.held)))
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
	if l.count(`select count(*) from ledger_entries`) > 0 {
		l.ledgerIsSound()
	}
}

// sequences are how many lives are lived: LETHE_TEST_MORE raises it.
func sequences() string {
	if os.Getenv("LETHE_TEST_MORE") != "" {
		return "300"
	}
	return "30"
}

func TestAnyOrderOfStepsKeepsThePromises(t *testing.T) {
	if err := flag.Set("rapid.checks", sequences()); err != nil {
		t.Fatal(err)
	}
	o := officer(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		defer func() { _ = w.DB().Close() }() // hundreds of lives would use up the server's connections
		end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
		l := &life{
			T: rt, world: w, sealer: sealer(t, o), held: map[string]attendees.EventID{}, forgotten: map[string]bool{},
			holds: map[int]postgres.Hold{}, ends: map[attendees.EventID]time.Time{"4711": end, "4712": end},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"pull": l.pull, "block": l.block, "delete": l.delete, "forget": l.forget, "hold": l.hold, "release": l.release,
			"wait": l.wait, "postpone": l.postpone, "tidy": l.tidy, "": l.check,
		})
	})
}

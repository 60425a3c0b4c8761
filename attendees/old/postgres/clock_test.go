package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// real is the world by the real clock, on a database that holds no invented people.
func (w world) real(ahead time.Duration) *postgres.Store {
	w.t.Helper()
	if _, err := w.DB().Exec(`delete from marks where name = 'simulated'`); err != nil {
		w.t.Fatal(err)
	}
	return w.At(func() time.Time { return time.Now().Add(ahead) })
}

func TestNothingIsRecordedByAClockThatIsAhead(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if _, err := w.real(2*postgres.MaxSkew).Forget(t.Context(), "1", "asked"); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("twenty minutes ahead of the database it gives %v", err)
	}
	if _, err := w.real(postgres.MaxSkew/2).Forget(t.Context(), "1", "asked"); err != nil {
		t.Errorf("five minutes ahead it gives %v", err)
	}
}

func TestATimeThatWasAheadIsAdopted(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	now := w.clock.now
	w.clock.now = now.AddDate(20, 0, 0)
	if _, err := w.AddHold(t.Context(), "4712", "", "a claim", "ops", attendees.Date{}); err != nil {
		t.Fatal(err)
	}
	w.clock.now = now
	if _, err := w.Forget(t.Context(), "1", "asked"); !errors.Is(err, postgres.ErrClock) {
		t.Errorf("before the ledger's newest entry it gives %v", err)
	}
	if err := w.AdoptLedger(t.Context(), "the clock was wrong"); err != nil {
		t.Fatal(err)
	}
	w.forget("1")
	if err := w.CheckClock(t.Context(), true); err != nil {
		t.Error(err)
	}
	w.ledgerIsSound()
}

// Host and database may stand on one machine, and jump together.
func TestAClockThatNoSourceConfirmsIsNotBelievedForADay(t *testing.T) {
	w := newWorld(t)
	real := w.real(0)
	if err := real.CheckClock(t.Context(), false); err != nil {
		t.Errorf("where no source was ever asked: %v", err)
	}
	if err := real.NoteSkew(t.Context(), attendees.Eventbrite, 0); err != nil {
		t.Fatal(err)
	}
	age := func(name, by string) {
		if _, err := w.DB().Exec(`update marks set at = at - $2::interval where starts_with(name, $1)`, name, by); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, ok bool) {
		t.Helper()
		if err := real.CheckClock(t.Context(), false); (err == nil) != ok {
			t.Errorf("%s it gives %v", when, err)
		}
	}
	check("just asked", true)
	age("clock/", "2 years")
	check("after a jump", false)
	age("unasked", "23 hours")
	check("not a day later", false)
	age("unasked", "2 hours")
	check("a day later", true)
	age("unasked", "8 days")
	check("long after that", false)
	if err := real.NoteSkew(t.Context(), attendees.Eventbrite, 0); err != nil {
		t.Fatal(err)
	}
	check("asked again", true)
	if n := w.count(`select count(*) from marks where name = 'unasked'`); n > 0 {
		t.Error("it still waits")
	}
}

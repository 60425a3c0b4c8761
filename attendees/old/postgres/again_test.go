package postgres_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// accept lets the plan as it is now count.
func (w world) accept() {
	w.t.Helper()
	plan, err := w.Plan(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.AcceptPlan(w.t.Context(), plan.Hash()); err != nil {
		w.t.Fatal(err)
	}
}

// discover lets the source describe an event that ends on that day.
func (w world) discover(id attendees.EventID, end time.Time) {
	w.t.Helper()
	e := attendees.Event{ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end}
	if _, err := w.SaveEvents(w.t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) comesIn(id attendees.EventID) {
	w.t.Helper()
	if !w.look(id).SealsAsItComes(w.clock.now) {
		w.t.Errorf("event %s is not read again", id)
	}
}

var nextYear = time.Date(2027, 12, 20, 16, 0, 0, 0, time.UTC)

// What came in between a backup and a blocking is at the sources alone.
func TestAfterAReplayABlockedEventIsReadOnceMoreSealingAsItComes(t *testing.T) {
	o := officer(t)
	s := sealer(t, o)
	t.Run("who came in since the backup", func(t *testing.T) {
		w := newWorld(t)
		ada, bo := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org")
		w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
		w.wasRead(old)
		w.save(ada)
		if _, err := w.Correct(t.Context(), "1", attendees.Name, "Augusta Example", "ada@example.org", s); err != nil {
			t.Fatal(err)
		}
		before := w.backup()
		w.save(bo)
		w.clock.now = july
		w.block(old, s)
		f := w.copied()
		w.restore(before)
		w.replay(f, s)
		w.comesIn(old)
		equal(t, "read again", w.sealed(s, ada, bo), postgres.Changes{New: 1, Unchanged: 1})
		w.read()
		w.dry()
		w.block(old, s)
		records := w.opened(old, o)
		if records["2 registration"]["name"] != "Bo Example" || records["1 registration"]["name"] != "Augusta Example" {
			t.Errorf("sealed are %v", records)
		}
		w.ledgerIsSound()
	})
	t.Run("an event that the backup does not know", func(t *testing.T) {
		w := newWorld(t)
		before := w.backup()
		w.discover(old, time.Date(2027, 4, 1, 16, 0, 0, 0, time.UTC))
		hers := person("1", string(old), "Ada Example", "ada@example.org")
		w.sealed(s, hers)
		if _, err := w.AddHold(t.Context(), old, "", "a claim", "ops", attendees.Date{}); err != nil {
			t.Fatal(err)
		}
		w.read()
		w.block(old, s)
		f := w.copied()
		w.restore(before)
		w.replay(f, s)
		w.discover(old, time.Date(2027, 4, 1, 16, 0, 0, 0, time.UTC))
		w.comesIn(old)
		w.sealed(s, hers)
		w.read()
		w.block(old, s)
		if w.opened(old, o)["1 registration"] == nil {
			t.Error("what is held is lost")
		}
	})
	t.Run("who moved there since the backup", func(t *testing.T) {
		w := newWorld(t)
		w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
		w.wasRead(old)
		w.discover("5000", nextYear)
		hers := person("1", "5000", "Ada Example", "ada@example.org")
		w.save(hers)
		before := w.backup()
		hers.Event, hers.Changed = old, june
		w.save(hers)
		w.clock.now = july
		w.block(old, s)
		f := w.copied()
		w.restore(before)
		w.replay(f, s)
		w.sealed(s, hers)
		w.read()
		w.block(old, s)
		if n := w.count(`select count(*) from personal where part = 'registration'`); n > 0 || w.opened(old, o)["1 registration"] == nil {
			t.Errorf("%d rows are readable", n)
		}
	})
	t.Run("who agreed, and whose answer is gone at its source", func(t *testing.T) {
		w := newWorld(t)
		w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
		w.wasRead(old)
		w.linkAgreement(old)
		ada, bo := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org")
		w.save(ada, bo)
		w.answer(old, response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"yes"}}))
		before := w.backup()
		w.clock.now = july
		equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 1, Dropped: 1})
		f := w.copied()
		w.restore(before)
		w.replay(f, s)
		w.sealed(s, ada, bo)
		w.read()
		w.dry()
		equal(t, "blocked again", w.block(old, s), postgres.Blocking{Sealed: 1, Dropped: 1})
		if w.opened(old, o)["1 registration"] == nil {
			t.Error("she agreed, and is gone")
		}
	})
}

func TestAReplayEndsByTheDatesThatWereAcceptedLast(t *testing.T) {
	s := sealer(t, officer(t))
	t.Run("and deletes an event that was sealed as it came", func(t *testing.T) {
		w := newOldWorld(t)
		before := w.backup()
		w.sealed(s, person("1", string(old), "Ada Example", "ada@example.org"))
		w.read()
		w.block(old, s)
		w.Policy().EventRules = map[attendees.EventID]string{old: "us-tx-4"}
		w.accept()
		w.clock.now = time.Date(2031, 4, 3, 12, 0, 0, 0, time.UTC)
		if n, err := w.Delete(t.Context(), old); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		f := w.copied()
		w.restore(before)
		w.replay(f, s)
		w.mayRun(f, nil)
		if e := w.look(old); e.DeletedAt == nil {
			t.Errorf("it is %s", e.State)
		}
	})
	t.Run("whatever the backup has", func(t *testing.T) {
		w := newWorld(t)
		w.save(person("1", "4711", "Ada Example", "ada@example.org"))
		open := w.backup()
		w.clock.now = july
		w.block("4711", s)
		blocked := w.backup()
		w.Policy().EventRules = map[attendees.EventID]string{"4711": "us-tx-4"}
		w.accept()
		want := w.look("4711").DeleteOn
		f := w.copied()
		for what, b := range map[string][]byte{"open": open, "blocked": blocked} {
			w.restore(b)
			w.replay(f, s)
			if e := w.look("4711"); e.DeleteOn != want || e.Pending() {
				t.Errorf("of a backup with the event %s it is to be deleted on %s, want %s", what, e.DeleteOn, want)
			}
		}
	})
}

func TestAReplayWithoutOpeningsDeletesNobodyWhomTheDeletionKept(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	before := w.backup()
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", s)
	w.clock.now = later
	if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	f := w.copied()
	bare := ledger.File{Path: f.Path + ".elsewhere"}
	text, err := os.ReadFile(f.Path)
	if err == nil {
		err = os.WriteFile(bare.Path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.restore(before)
	r, err := w.Replay(t.Context(), bare, s)
	if err != nil || len(r.Kept) != 1 || w.count(`select count(*) from sealed where part = 'registration'`) != 2 {
		t.Errorf("the replay did %+v (%v)", r, err)
	}
	var held *postgres.HeldError
	if _, err := w.Delete(t.Context(), "4711"); !errors.As(err, &held) {
		t.Errorf("then deleting gives %v", err)
	}
}

func TestAHoldThatWaitsMeetsWhoIsSealedAsSheComes(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	before := w.backup()
	hers := person("1", string(old), "Ada Example", "ada@example.org")
	w.sealed(s, hers)
	if _, err := w.AddHold(t.Context(), "", "1", "a claim", "ops", attendees.Date{}); err != nil {
		t.Fatal(err)
	}
	w.read()
	w.block(old, s)
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.sealed(s, hers)
	var held *postgres.HeldError
	if _, err := w.Forget(t.Context(), "1", "asked"); !errors.As(err, &held) {
		t.Errorf("forgetting gives %v", err)
	}
}

func TestWhatWasWithdrawnBeforeARestrictionIsNotSealedAgain(t *testing.T) {
	w, _ := ada(t)
	w.Policy().Purposes[1].Basis = "a"
	o := officer(t)
	s := sealer(t, o)
	before := w.backup()
	if _, err := w.Withdraw(t.Context(), "1", attendees.Forum); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	if held := w.opened("4711", o)["1 held"]; held["affiliation"] != nil {
		t.Errorf("sealed is %v", held)
	}
}

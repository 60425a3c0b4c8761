package postgres_test

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

var inJune = time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)

// four are ada, bo and cy, who agree, and di, who does not; cy's yes comes after the backup.
func four() (people []attendees.Registration, before, since []attendees.Response) {
	return []attendees.Registration{person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"),
			person("3", string(old), "Cy Example", "cy@example.org"), person("4", string(old), "Di Example", "di@example.org")},
		[]attendees.Response{response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}}), response("r2", "2", "", "", nil)},
		[]attendees.Response{response("r3", "3", "", "", nil)}
}

// Both parts of a record go with a hold: the ledger counts people.
func TestAReleaseLetsNoMoreGoInAReplayThanPeopleWent(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, inJune)
	w.wasRead(old)
	w.linkAgreement(old)
	people, answers, since := four()
	w.save(people...)
	w.answer(old, answers...)
	before := w.backup()
	h := w.hold(old, "")
	w.answer(old, since...)
	w.clock.now = july
	equal(t, "under the hold", w.block(old, s), postgres.Blocking{Sealed: 4})
	w.release(h)
	if got := w.opened(old, o); got["3 registration"] == nil || got["4 registration"] != nil {
		t.Fatal("it is not as it should be before", got)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.comesIn(old)
	w.comesWhole(s, people)
	n := w.block(old, s)
	w.tidy()
	if w.opened(old, o)["3 registration"] == nil {
		t.Errorf("%+v: one had gone, and now cy, who agreed, has gone too; nobody was asked", n)
	}
}

// The hold still stands when the event is read again, and is released later.
func TestUnderAHoldStaffAreAskedBeforeItsReleaseDropsWhoAgreed(t *testing.T) {
	for _, alone := range []attendees.AttendeeID{"", "3"} {
		t.Run("hold on "+string(alone), func(t *testing.T) {
			w := newWorld(t)
			o := officer(t)
			s := sealer(t, o)
			w.discover(old, inJune)
			w.wasRead(old)
			w.linkAgreement(old)
			people, answers, since := four()
			w.save(people...)
			w.answer(old, answers...)
			event := old
			if alone != "" {
				event = ""
			}
			h := w.hold(event, alone)
			before := w.backup()
			w.answer(old, since...)
			w.clock.now = july
			w.block(old, s)
			f := w.copied()
			w.restore(before)
			w.replay(f, s)
			w.comesIn(old)
			w.comesWhole(s, people)
			n := w.block(old, s)
			w.release(h)
			if w.opened(old, o)["3 registration"] == nil {
				t.Errorf("%+v: cy agreed and is gone with the hold", n)
			}
		})
	}
}

// She is in the backup, without her yes, and is restricted after it.
func TestRestrictedWhomTheBackupHasIsKeptOnceLifted(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, inJune)
	w.wasRead(old)
	w.linkAgreement(old)
	people, answers, since := four()
	w.save(people...)
	w.answer(old, answers...)
	before := w.backup()
	w.answer(old, since...)
	if _, err := w.Restrict(t.Context(), "3", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block(old, s)
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.comesIn(old)
	w.comesWhole(s, people)
	n := w.block(old, s)
	if err := w.Lift(t.Context(), "3", openedWith(o), "told"); err != nil {
		t.Fatal(err)
	}
	w.tidy()
	if w.opened(old, o)["3 registration"] == nil {
		t.Errorf("%+v: cy agreed, was restricted, and is gone once that is lifted", n)
	}
}

// She answers while she is restricted, which is lifted before the block date; Typeform is
// down from then on.
func TestAYesWhileRestrictedCountsThoughItsFormIsNotReadAgain(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkAgreement("4711")
	a, b := person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org")
	w.save(a, b)
	w.answer("4711", response("r2", "2", "", "", nil))
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	w.answer("4711", response("r1", "1", "", "", nil)) // "Late": it went nowhere
	w.dry()
	w.clock.now = july.AddDate(0, 0, -2)
	if err := w.Lift(t.Context(), "1", openedWith(o), "told"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	n := w.block("4711", s)
	w.tidy()
	if w.opened("4711", o)["1 registration"] == nil {
		t.Errorf("%+v: she agreed, her form was still to be read again, and she is gone", n)
	}
}

// She answers while she is restricted, and that is lifted after the block date.
func TestAYesWhileRestrictedCountsWhenThatIsLiftedLater(t *testing.T) {
	for _, own := range []bool{false, true} {
		w := newWorld(t)
		o := officer(t)
		s := sealer(t, o)
		w.linkAgreement("4711")
		a, b := person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org")
		w.save(a, b)
		w.answer("4711", response("r2", "2", "", "", nil))
		if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
			t.Fatal(err)
		}
		if !own {
			w.answer("4711", response("r1", "1", "", "", nil)) // she agrees all the same: "Late"
		} else {
			w.answer("4711", response("r1", "", "Ada Example", "ada@example.org", nil))
		}
		w.clock.now = july
		n := w.block("4711", s)
		if err := w.Lift(t.Context(), "1", openedWith(o), "told"); err != nil {
			t.Fatal(err)
		}
		w.tidy()
		if w.opened("4711", o)["1 registration"] == nil {
			t.Errorf("%+v: she agreed while she was restricted, and is gone once that is lifted", n)
		}
	}
}

// An event was read in part, and a ticket is somebody else's before the rest comes.
func TestWhoHoldsTheTicketByNowIsKept(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, inJune)
	w.save(person("1", string(old), "Ada Example", "ada@example.org")) // by a webhook
	w.clock.now = june.AddDate(0, 0, 3)
	bo := person("1", string(old), "Bo Example", "bo@example.org")
	bo.Changed = w.clock.now // she hands it on; the webhook is lost, the listing never read
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Coming: true})
	w.sealed(s, bo)
	w.read()
	w.block(old, s)
	if got := w.opened(old, o)["1 registration"]["name"]; got != "Bo Example" {
		t.Errorf("he holds the ticket since June, and sealed until 2034 is %v; under his address: %v; under hers: %v", got, w.seen("bo@example.org"), w.seen("ada@example.org"))
	}
}

// Typeform works, Eventbrite's token is gone, and staff tick the event off.
func TestAYesOfAnEventThatStaffEndCounts(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4711", "Cy Example", "cy@example.org"))
	w.answer("4711", response("r1", "1", "", "", nil), response("r2", "2", "", "", nil))
	w.halfRead("4711")
	w.clock.now = july
	equal(t, "blocked", w.block("4711", s), postgres.Blocking{Coming: true})
	batch := map[attendees.EventID][]attendees.Response{"4711": {response("r3", "3", "", "", nil)}}
	w.oldAnswersOf(s, batch) // Typeform is read, and shows her yes
	w.dry()
	w.clock.now = july.AddDate(0, 0, 31)
	w.tidy()
	if err := w.FinishTask(t.Context(), w.task().ID, "ops"); err != nil {
		t.Fatal(err)
	}
	n := w.block("4711", s)
	if w.opened("4711", o)["3 registration"] == nil {
		t.Errorf("%+v: cy agreed, Typeform said so, and she is gone", n)
	}
}

func (w world) oldAnswersOf(s *seal.Sealer, of map[attendees.EventID][]attendees.Response) {
	w.t.Helper()
	batch := map[attendees.EventID][]attendees.MinimisedResponse{}
	for id, responses := range of {
		for _, r := range responses {
			batch[id] = append(batch[id], w.Policy().MinimiseResponse(r, formLinks))
		}
	}
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) error {
		if _, err := w.SealResponses(w.t.Context(), tx, s, batch); err != nil {
			return err
		}
		_, err := w.SaveResponses(w.t.Context(), tx, batch)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// As many would go as had gone, and they are others: di, who never agreed, came after the
// backup and is gone at Eventbrite by now; cy's yes is gone at Typeform.
func TestAReplayAsksBeforeOthersGoThanHadGone(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, inJune)
	w.wasRead(old)
	w.linkAgreement(old)
	people, answers, since := four()
	w.save(people[:3]...)
	w.answer(old, answers...)
	before := w.backup()
	w.save(people[3])
	w.answer(old, since...)
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 3, Dropped: 1})
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.comesIn(old)
	w.comesWhole(s, people[:3], answers...)
	n := w.block(old, s)
	w.tidy()
	if w.opened(old, o)["3 registration"] == nil {
		t.Errorf("%+v: cy agreed, was sealed, and has gone in di's stead; nobody was asked", n)
	}
}

// Staff had ended it; then a longer grace opens it again, and it is due before it is read.
func TestAnEventThatStaffEndedAndThatIsOpenAgainComesIn(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.halfRead("4711")
	w.clock.now = july
	equal(t, "never read", w.block("4711", s), postgres.Blocking{Coming: true})
	w.clock.now = july.AddDate(0, 0, 31)
	w.tidy()
	if err := w.FinishTask(t.Context(), w.task().ID, "ops"); err != nil {
		t.Fatal(err)
	}
	w.Policy().GraceDays += 60
	if _, err := w.Replan(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.accept()
	if !w.look("4711").Open(w.clock.now) {
		t.Fatal("it is not open")
	}
	w.clock.now = july.AddDate(0, 0, 61) // Eventbrite is down all the while
	for range 2 {
		if n := w.block("4711", s); !n.Coming {
			t.Errorf("%+v: it ended with nobody, by a tick of before it was opened again", n)
		}
	}
}

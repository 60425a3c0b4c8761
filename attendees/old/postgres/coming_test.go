package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// She agreed, was erased as far as a duty allows, and the backup does not have her yet.
func TestErasedInPartIsKeptThroughAReplayThatReadsTheEventAgain(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	before := w.backup()
	ada, bo, cy := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"), person("3", string(old), "Cy Example", "cy@example.org")
	w.save(ada, bo, cy)
	answers := []attendees.Response{response("r1", "1", "", "", nil), response("r2", "2", "", "", nil), response("r3", "3", "", "", nil)}
	w.answer(old, answers...)
	e, err := w.Erase(t.Context(), "1", "asked", s)
	if err != nil || e.Whole {
		t.Fatal(e, err)
	}
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 3})
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.comesIn(old)
	equal(t, "listing", w.sealed(s, ada, bo, cy), postgres.Changes{New: 3})
	w.read()
	w.oldAnswers(s, nil, answers...)
	w.dry()
	equal(t, "blocked again", w.block(old, s), postgres.Blocking{Sealed: 3})
	if w.opened(old, o)["1 registration"] == nil {
		t.Errorf("a duty keeps her until %s, and she is gone", e.Until)
	}
}

// She is restricted, the backup does not have her, and her answer is gone at its source.
func TestRestrictedIsKeptOnceLiftedThoughHerAnswerIsGoneAtItsSource(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	bo, cy := person("2", string(old), "Bo Example", "bo@example.org"), person("3", string(old), "Cy Example", "cy@example.org")
	w.save(bo, cy)
	w.answer(old, response("r2", "2", "", "", nil), response("r3", "3", "", "", nil))
	before := w.backup()
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada)
	w.answer(old, response("r1", "1", "", "", nil))
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 3})
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.comesIn(old)
	w.sealed(s, ada, bo, cy)
	w.read()
	w.dry() // upstream "when_blocked": Typeform has nothing any more
	equal(t, "blocked again", w.block(old, s), postgres.Blocking{Sealed: 3})
	if err := w.Lift(t.Context(), "1", openedWith(o), "told"); err != nil {
		t.Fatal(err)
	}
	w.tidy()
	if w.opened(old, o)["1 registration"] == nil {
		t.Error("lifted after the block date, she is gone as one who never agreed")
	}
}

// An answer that is nobody's yet is readable no longer than any other.
func TestNothingIsReadableOfAnEventThatWasNeverReadAfterItsBlockDate(t *testing.T) {
	for _, held := range []bool{false, true} {
		for _, begun := range []bool{false, true} {
			t.Run(fmt.Sprint("held ", held, ", run begun ", begun), func(t *testing.T) {
				w := newWorld(t)
				s := sealer(t, officer(t))
				w.halfRead("4711")
				if begun {
					if _, err := w.DB().Exec(`insert into feeds (name, run_started_at) values ('eventbrite/event/4711', now())`); err != nil {
						t.Fatal(err)
					}
				}
				if held {
					w.hold("4711", "")
				}
				w.clock.now = july.AddDate(0, 0, -3)
				w.answer("4711", response("r1", "1", "Zephyrine Quillington", "zephyrine@example.org", nil))
				w.clock.now = july
				n := w.block("4711", s)
				w.tidy()
				if files := w.found("Quillington"); len(files) > 0 {
					t.Errorf("%+v, event %s: after the block date %v hold her name", n, w.look("4711").State, files)
				}
				w.clock.now = july.AddDate(3, 0, 0)
				w.block("4711", s)
				if _, err := w.DropUnmatched(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.tidy()
				if c := w.count(`select count(*) from personal where part = 'response' and name <> ''`); c > 0 {
					t.Errorf("three years later %d are readable", c)
				}
			})
		}
	}
}

// A blocking of an event that was read in part is cut off, and its only person erased.
func TestTheRestComesThoughTheOnlyOneIsErasedWhileTheBlockingIsCutOff(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.halfRead("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	tx := w.DB().MustBegin()
	var room string
	if err := tx.Get(&room, `select 'personal_' || replace(id::text, '-', '') from events where source_id = '4711'`); err != nil {
		t.Fatal(err)
	}
	tx.MustExec(`lock table ` + room + ` in access share mode`)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	if _, err := w.Block(ctx, "4711", s); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	cancel()
	_ = tx.Rollback()
	w.forget("1")
	n := w.block("4711", s)
	if e := w.look("4711"); !n.Coming || !e.SealsAsItComes(w.clock.now) {
		t.Errorf("%+v: pulled at %v, blocked at %v: the rest is never read", n, e.PulledAt, e.BlockedAt)
	}
}

// An event that was never read is due, and a longer grace opens it again.
func TestAnEventThatALongerGraceOpensAgainIsSealedOnItsNewDay(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.halfRead("4711")
	w.clock.now = july
	equal(t, "never read", w.block("4711", s), postgres.Blocking{Coming: true})
	w.Policy().GraceDays += 20
	if _, err := w.Replan(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := w.look("4711")
	if !e.Open(w.clock.now) {
		t.Fatal("it is not open", e.BlockOn)
	}
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Zephyrine Quillington", "zephyrine@example.org"))
	w.wasRead("4711")
	w.clock.now = july.AddDate(0, 0, 60)
	n := w.block("4711", s)
	w.tidy()
	if files := w.found("Quillington"); len(files) > 0 {
		t.Errorf("%+v: after the block date it is %s, and %v hold her name", n, w.look("4711").State, files)
	}
}

// What was corrected before the rest came stands, whatever the source says later.
func TestACorrectionOutlivesAChangeAtTheSourceWhileTheRestComes(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada) // by a webhook
	if _, err := w.Correct(t.Context(), "1", attendees.Name, "Augusta Example", "ada@example.org", s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Coming: true})
	ada.Changed, ada.Attended = july.Add(time.Hour), true // somebody ticks her off, late
	w.clock.now = july.Add(2 * time.Hour)
	w.sealed(s, ada)
	w.read()
	w.block(old, s)
	if got := w.opened(old, o)["1 registration"]["name"]; got != "Augusta Example" {
		t.Errorf("sealed is %v", w.opened(old, o))
	}
}

// What was counted before the rest came counts with it.
func TestCountsOfAnEventThatWasReadInPart(t *testing.T) {
	for first, want := range map[int]string{3: "registered 12", 6: "registered 12"} {
		w := newWorld(t)
		s := sealer(t, officer(t))
		w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
		w.linkAgreement(old)
		var people []attendees.Registration
		var answers []attendees.Response
		for i := range 12 {
			id := fmt.Sprint(i)
			people = append(people, person(id, string(old), "Person", id+"@example.org"))
			answers = append(answers, response("r"+id, id, "", "", nil))
		}
		w.save(people[:first]...)
		w.answer(old, answers[:first]...)
		w.clock.now = july
		w.block(old, s)
		w.comesWhole(s, people, answers...)
		w.block(old, s)
		var counts []string
		if err := w.DB().Select(&counts, `select what || ' ' || people from tallies order by 1`); err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint(first, " first"), counts, []string{"agreed 12", want, "ticket: Standard 12"})
	}
}

// Erased in part while it seals as it comes, her yes is still to come.
func TestErasedInPartWhileHerYesIsStillToCome(t *testing.T) {
	w := newOldWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkOld()
	ada, bo, cy := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"), person("3", string(old), "Cy Example", "cy@example.org")
	w.sealed(s, ada, bo, cy)
	e, err := w.Erase(t.Context(), "1", "asked", s)
	if err != nil || e.Whole {
		t.Fatal(e, err)
	}
	w.read()
	w.oldAnswers(s, nil, response("r1", "1", "", "", nil), response("r2", "2", "", "", nil), response("r3", "3", "", "", nil))
	w.dry()
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 3})
	if w.opened(old, o)["1 registration"] == nil {
		t.Errorf("she was told that a duty keeps her until %s, she agreed, and she is gone", e.Until)
	}
}

// Her restriction is lifted while the event seals as it comes, and her yes comes after that.
func TestLiftedWhileTheRestComesSheIsKeptForSheAgreed(t *testing.T) {
	for _, half := range []bool{false, true} {
		t.Run(fmt.Sprint("half ", half), func(t *testing.T) {
			w := newOldWorld(t)
			id := old
			if half {
				w = newWorld(t)
				w.discover(id, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
			}
			o := officer(t)
			s := sealer(t, o)
			w.linkOld()
			ada, bo, cy := person("1", string(id), "Ada Example", "ada@example.org"), person("2", string(id), "Bo Example", "bo@example.org"), person("3", string(id), "Cy Example", "cy@example.org")
			if half {
				w.save(ada)
			} else {
				w.sealed(s, ada)
			}
			if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
				t.Fatal(err)
			}
			if half {
				w.clock.now = july
				equal(t, "blocked", w.block(id, s), postgres.Blocking{Coming: true})
			}
			if err := w.Lift(t.Context(), "1", openedWith(o), "told"); err != nil {
				t.Fatal(err)
			}
			w.comesWhole(s, []attendees.Registration{ada, bo, cy}, response("r1", "1", "", "", nil), response("r2", "2", "", "", nil), response("r3", "3", "", "", nil))
			equal(t, "the end", w.block(id, s), postgres.Blocking{Sealed: 3})
			if w.opened(id, o)["1 registration"] == nil {
				t.Error("she agreed, and is gone")
			}
		})
	}
}

// Read to its end long ago; a restriction is lifted three days before the block date, which
// has the event read anew; Eventbrite is not to be had any more.
func TestWhoNeverAgreedDoesNotStayForYears(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.linkAgreement("4711")
	people := []attendees.Registration{}
	var answers []attendees.Response
	for i := range 10 {
		id := fmt.Sprint(i)
		people = append(people, person(id, "4711", "Person", id+"@example.org"))
		if i < 8 {
			answers = append(answers, response("r"+id, id, "", "", nil))
		}
	}
	w.save(people...)
	w.answer("4711", answers...)
	listed := &postgres.Listing{}
	listed.Saw(attendees.Eventbrite, "1")
	r := postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Rows: 1, SHA256: []byte{1}, By: "ops@example.org", At: june}
	if err := w.SaveReceipt(t.Context(), r, listed); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july.AddDate(0, 0, -3)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Lift(t.Context(), "1", w.OpenedBy("1@example.org"), "told"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", s)
	w.clock.now = july.AddDate(5, 0, 0)
	w.block("4711", s)
	w.tidy()
	tasks, err := w.Tasks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from sealed where agreed = false`); n > 0 {
		t.Errorf("five years later %d are kept who never agreed; ledger entries of the blocking: %d; staff are asked %v",
			n, w.count(`select count(*) from ledger_entries where leaf like '%"blocked"%'`), tasks)
	}
}

// So does what an answer said that staff had linked by hand.
func TestAnAnswerLinkedByHandOutlivesAChangeAtTheSource(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.linkAgreement(old)
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada) // by a webhook
	hers := response("r1", "", "A. Example", "elsewhere@example.net", nil)
	w.answer(old, hers)
	if err := w.LinkByHand(t.Context(), old, "u6nXL7", "r1", "1"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block(old, s)
	if w.opened(old, o)["1 registration"]["agreed_at"] == nil {
		t.Fatal("it is lost before")
	}
	ada.Changed, ada.Attended = july.Add(time.Hour), true
	w.clock.now = july.Add(2 * time.Hour)
	w.comesWhole(s, []attendees.Registration{ada}, hers)
	w.block(old, s)
	if got := w.opened(old, o); got["1 registration"]["agreed_at"] == nil {
		t.Errorf("when she agreed is lost: %v", got)
	}
}

// An event's own question is linked, which has its listing read again; the block date comes first.
func TestAYesThatTheListingBringsCountsForWhoWasThereBefore(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	ada, bo, cy := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"), person("3", string(old), "Cy Example", "cy@example.org")
	for _, r := range []*attendees.Registration{&ada, &bo, &cy} {
		r.Answers = map[attendees.QuestionID]attendees.Answer{"agree": {"yes"}}
	}
	w.save(ada)
	err := w.SaveLink(t.Context(), w.look(old), postgres.Link{Event: old, Form: attendees.EventbriteForm, Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Coming: true})
	links := attendees.FieldLinks{{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agree"}}
	var batch []attendees.Minimised
	for _, r := range []attendees.Registration{ada, bo, cy} {
		batch = append(batch, w.Policy().Minimise(r, links))
	}
	if _, err := w.BeginHistory(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	err = w.InTx(t.Context(), func(tx *sqlx.Tx) error {
		_, err := w.SealRegistrations(t.Context(), tx, s, attendees.Eventbrite, old, batch)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.read()
	equal(t, "the end", w.block(old, s), postgres.Blocking{Sealed: 3})
	if w.opened(old, o)["1 registration"] == nil {
		t.Error("she agreed, and is gone")
	}
}

// An event whose sources have no more to say is ended by staff.
func TestStaffEndAnEventThatNeverComesInWhole(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", nil))
	w.halfRead("4711")
	w.clock.now = july
	equal(t, "blocked", w.block("4711", s), postgres.Blocking{Coming: true})
	w.tidy()
	if n := w.count(`select count(*) from tasks where kind = 'coming'`); n != 0 {
		t.Fatal("staff are asked at once")
	}
	w.clock.now = july.AddDate(0, 0, 31)
	w.tidy()
	w.tidy()
	task := w.task()
	equal(t, "not ended", w.block("4711", s), postgres.Blocking{Coming: true})
	if err := w.FinishTask(t.Context(), task.ID, "ops"); err != nil {
		t.Fatal(err)
	}
	equal(t, "ended", w.block("4711", s), postgres.Blocking{Sealed: 1, Dropped: 1})
	w.tidy()
	if n := w.count(`select count(*) from tasks where kind = 'coming' and done_at is null`); n != 0 {
		t.Error("staff are asked once more")
	}
}

// Typeform is away over the block date: who agreed in the last hours is not there yet.
func TestAFormThatFailsOverTheBlockDateIsReadAfterIt(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, inJune)
	w.wasRead(old)
	w.linkAgreement(old)
	people, before, since := four()
	w.save(people...)
	w.answer(old, before...)
	w.dry()
	if err := w.FailFeed(t.Context(), postgres.FormFeed("u6nXL7"), "away"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Coming: true})
	w.comesIn(old)
	w.comesWhole(s, people, append(before, since...)...)
	equal(t, "read to its end", w.block(old, s), postgres.Blocking{Sealed: 3, Dropped: 1})
	if w.opened(old, o)["3 registration"] == nil {
		t.Error("she agreed in time, and is gone")
	}
}

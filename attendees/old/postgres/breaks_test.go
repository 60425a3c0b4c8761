package postgres_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestABuyerDoesNotSeeAGuestOnceSheIsSealed(t *testing.T) {
	for _, how := range []string{"restricted", "blocked", "blocked under a hold"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			s := sealer(t, officer(t))
			w.save(person("1", "4711", "", "buyer@example.org")) // the order has no name: the form asks for it
			w.answer("4711", response("r1", "1", "Guest Example", "guest@example.com", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Guest Lab"}, "forums": {"Rivers"}}))
			if got := strings.Join(w.seen("buyer@example.org"), "\n"); strings.Contains(got, "Guest") {
				t.Errorf("while it is open she sees %s", got)
			}
			switch how {
			case "restricted":
				if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
					t.Fatal(err)
				}
			case "blocked under a hold":
				w.hold("4711", "")
				fallthrough
			default:
				w.clock.now = july
				w.block("4711", s)
			}
			if got := strings.Join(w.seen("buyer@example.org"), "\n"); strings.Contains(got, "Guest") {
				t.Errorf("sealed, the buyer sees %s", got)
			}
		})
	}
}

func TestAReplayDeletesAnEventThatTheBackupHadReadInPart(t *testing.T) {
	for _, half := range []bool{false, true} {
		w := newWorld(t)
		s := sealer(t, officer(t))
		ada := person("1", "4711", "Ada Example", "ada@example.org")
		if half {
			w.save(ada)
			w.halfRead("4711")
		}
		before := w.backup()
		w.save(ada)
		w.wasRead("4711")
		w.clock.now = july
		w.block("4711", s)
		w.clock.now = later
		if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		f := w.copied()
		w.restore(before)
		for range 2 {
			if _, err := w.Replay(t.Context(), f, s); err != nil {
				t.Errorf("half read %v: %v", half, err)
			}
		}
		w.mayRun(f, nil)
	}
}

func TestAReplayOfADayThatBeginsBeforeUTCsEnds(t *testing.T) {
	for _, known := range []bool{true, false} {
		w := newWorld(t)
		s := sealer(t, officer(t))
		w.Policy().EventRules = map[attendees.EventID]string{"4711": "none", "5000": "none"}
		w.accept()
		id := attendees.EventID("4711")
		before := w.backup()
		if !known {
			id = "5000"
			w.discover(id, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
		}
		w.save(person("1", string(id), "Ada Example", "ada@example.org"))
		w.clock.now = time.Date(2027, 7, 19, 22, 30, 0, 0, time.UTC) // in Berlin the 20th
		w.block(id, s)
		if n, err := w.Delete(t.Context(), id); err != nil {
			t.Fatal(n, err)
		}
		f := w.copied()
		w.restore(before)
		for range 2 {
			if _, err := w.Replay(t.Context(), f, s); err != nil {
				t.Errorf("known %v: %v", known, err)
			}
		}
		w.mayRun(f, nil)
	}
}

func TestAReplayOfADeletionInTwoStepsDeletesAll(t *testing.T) {
	for _, how := range []string{"release", "forget"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			s := sealer(t, officer(t))
			w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
			before := w.backup()
			h := postgres.Hold{}
			if how == "release" {
				h = w.hold("", "1")
			} else if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
				t.Fatal(err)
			}
			w.clock.now = july
			w.block("4711", s)
			w.clock.now = later
			if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			if how == "release" {
				w.release(h)
			} else {
				w.forget("1")
			}
			if _, err := w.Delete(t.Context(), "4711"); err != nil {
				t.Fatal(err)
			}
			if n := w.count(`select count(*) from sealed`); n != 0 || w.look("4711").DeletedAt == nil {
				t.Fatal("not gone before", n)
			}
			f := w.copied()
			w.restore(before)
			w.replay(f, s)
			w.mayRun(f, nil)
			if n := w.count(`select count(*) from sealed`); n != 0 {
				t.Errorf("%d records are back; held: %d", n, w.count(`select count(*) from holds where released_at is null`))
			}
		})
	}
}

func TestTheProofOfAnAgreementOutlivesAReplay(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada)
	w.answer(old, response("r1", "1", "", "", nil))
	before := w.backup()
	w.clock.now = july
	w.block(old, s)
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.sealed(s, ada)
	w.read()
	w.dry() // Typeform has nothing any more: upstream "when_blocked"
	w.block(old, s)
	if w.opened(old, o)["1 registration"]["agreed_at"] == nil {
		t.Error("when she agreed is lost")
	}
}

// Who agreed after the backup, and whose answer Typeform has no more, is not told from
// those who never agreed: staff are asked before more of them go than had gone.
func TestAReplayAsksBeforeMoreGoThanHadGone(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	ada, bo, cy, di := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"),
		person("3", string(old), "Cy Example", "cy@example.org"), person("4", string(old), "Di Example", "di@example.org")
	w.save(ada, bo, cy, di)
	w.answer(old, response("r1", "1", "", "", nil), response("r2", "2", "", "", nil))
	before := w.backup()
	w.answer(old, response("r3", "3", "", "", nil))
	w.clock.now = july
	if n := w.block(old, s); n.Dropped != 1 || n.Sealed != 3 {
		t.Fatalf("blocked: %+v", n)
	}
	f := w.copied()
	for _, again := range []struct {
		answers []attendees.Response
		doubted bool
		sealed  int
	}{
		{nil, true, 4},
		{[]attendees.Response{response("r3", "3", "", "", nil)}, false, 3},
	} {
		w.restore(before)
		w.replay(f, s)
		w.comesWhole(s, []attendees.Registration{ada, bo, cy, di}, again.answers...)
		if n := w.block(old, s); n.Doubted != again.doubted || n.Sealed != again.sealed {
			t.Errorf("with %d answers left: %+v", len(again.answers), n)
		}
	}
	w.ledgerIsSound()
}

func TestNothingIsDeletedAtTypeformThatIsStillToBeRead(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.Policy().Upstream = attendees.UpstreamWhenBlocked
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada)
	w.answer(old, response("r1", "1", "", "", nil))
	w.halfRead(old)
	w.clock.now = july
	w.block(old, s)
	equal(t, "to be deleted at Typeform", w.upstream(), []attendees.ResponseID(nil))
	w.sealed(s, ada)
	w.read()
	w.dry() // nothing is there any more
	w.block(old, s)
	if r := w.opened(old, o)["1 registration"]; r["agreed_at"] == nil {
		t.Errorf("sealed is %v", r)
	}
}

// upstream are the responses that Typeform is told to delete now.
func (w world) upstream() (ids []attendees.ResponseID) {
	w.t.Helper()
	due, err := w.DueUpstream(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, u := range due {
		untold, _, err := w.UpstreamBatch(w.t.Context(), u, 10)
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, untold...)
	}
	return ids
}

func TestNothingIsDeletedAtTypeformOfWhoIsReadableAgain(t *testing.T) {
	w, _ := ada(t)
	w.linkAgreement("4711")
	w.Policy().Upstream = attendees.UpstreamWhenBlocked
	chief := officer(t)
	s := sealer(t, chief)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	equal(t, "to be deleted at Typeform under a restriction", w.upstream(), []attendees.ResponseID(nil))
	if err := w.Lift(t.Context(), "1", openedWith(chief), "over"); err != nil {
		t.Fatal(err)
	}
	equal(t, "once it is lifted", w.upstream(), []attendees.ResponseID(nil))
	w.clock.now = july
	w.block("4711", s)
	equal(t, "once she is blocked with the others", w.upstream(), []attendees.ResponseID{"r1"})
}

func TestNothingIsDeletedAtTypeformWhileItsFormIsInDoubt(t *testing.T) {
	w := newWorld(t)
	w.Policy().Upstream = attendees.UpstreamWhenBlocked
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"no"}}))
	w.clock.now = july
	if n := w.block("4711", sealer(t, officer(t))); !n.Doubted {
		t.Fatalf("nobody agreed, and it is in no doubt: %+v", n)
	}
	equal(t, "to be deleted at Typeform in doubt", w.upstream(), []attendees.ResponseID(nil))
	if _, err := w.AnswerDoubt(t.Context(), "4711", false, "the form is right", "ops"); err != nil {
		t.Fatal(err)
	}
	equal(t, "once it is settled", w.upstream(), []attendees.ResponseID{"r1"})
}

func TestACorrectionOutlivesTheReadingOfTheRest(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	ada := person("1", string(old), "Ada Example", "ada@example.org")
	w.save(ada)
	w.halfRead(old)
	if _, err := w.Correct(t.Context(), "1", attendees.Name, "Augusta Example", "ada@example.org", s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block(old, s)
	w.sealed(s, ada)
	w.read()
	w.block(old, s)
	if got := w.opened(old, o)["1 registration"]["name"]; got != "Augusta Example" {
		t.Errorf("sealed is %v", w.opened(old, o))
	}
}

func TestNothingUnmatchedGoesByAWrongClock(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.clock.now = now
	w.discover("5000", now.AddDate(0, 2, 0))
	early := response("r1", "", "Ada Example", "ada@example.org", nil) // she answers before she registers
	w.answer("5000", early)
	ahead := w.real(20 * 24 * time.Hour)
	n, err := ahead.DropUnmatched(t.Context()) // as the job drop_unmatched and `lethe sync` do
	if err == nil && n > 0 {
		t.Errorf("%d responses of today were dropped by a clock that is 20 days ahead", n)
	}
	w.save(person("1", "5000", "Ada Example", "ada@example.org"))
	w.answer("5000", early)
	if c := w.count(`select count(*) from personal where part = 'registration' and agreed_at is not null`); c != 1 {
		t.Error("she agreed, and it is not known any more")
	}
}

func TestAnErasureReachesTheEventThatSheWasMovedOutOf(t *testing.T) {
	for _, claims := range []string{"1", ""} {
		w := newWorld(t)
		hers := person("1", "4711", "Zephyrine Quillington", "zephyrine@example.org")
		w.save(hers)
		r1 := response("r1", claims, "Zephyrine Quillington", "zephyrine@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quill Lab"}})
		w.answer("4711", r1)
		hers.Event, hers.Changed = "4712", june
		w.save(hers)
		w.forget("1")
		w.tidy()
		if files := w.found("Quillington"); len(files) > 0 {
			t.Errorf("claims %q: after her erasure %v hold her name; unmatched %v", claims, files, w.seen("zephyrine@example.org"))
		}
		w.answer("4711", r1)
		if n := w.count(`select count(*) from personal where part = 'response'`); n > 0 {
			t.Errorf("claims %q: %d responses of hers", claims, n)
		}
	}
}

func TestListsOfTheEventThatSheWasMovedOutOfAreRecalled(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers)
	listed := &postgres.Listing{}
	listed.Saw(attendees.Eventbrite, "1")
	r := postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Rows: 1, SHA256: []byte{1}, By: "ops@example.org", At: june}
	if err := w.SaveReceipt(t.Context(), r, listed); err != nil {
		t.Fatal(err)
	}
	hers.Event, hers.Changed = "4712", june
	w.save(hers)
	f, err := w.Erase(t.Context(), "1", "asked", s)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.Receipts(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Exports) != 1 || all[0].Recalled == nil {
		t.Errorf("%d exports are named, and it was recalled at %v", len(f.Exports), all[0].Recalled)
	}
}

func TestWhoCameSinceTheBackupComesThoughAnAnswerKeptAll(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	before := w.backup()
	w.save(person("2", "4711", "Bo Example", "bo@example.org"))
	w.clock.now = july
	w.block("4711", s)
	if _, err := w.AnswerDoubt(t.Context(), "4711", false, "looked", "ops"); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	if !w.look("4711").SealsAsItComes(w.clock.now) {
		t.Errorf("%d of 2 are left and nobody is read again", w.count(`select count(*) from sealed`))
	}
}

func TestAnAnswerThatKeptAllOutlivesTwoReplays(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	w.wasRead(old)
	w.linkAgreement(old)
	a, b, c, d := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"),
		person("3", string(old), "Cy Example", "cy@example.org"), person("4", string(old), "Di Example", "di@example.org")
	w.save(a, b)
	w.answer(old, response("r1", "1", "", "", nil))
	before := w.backup()
	w.clock.now = july
	w.block(old, s) // one of two agreed: no doubt, Bo goes
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	w.sealed(s, a, b, c, d)
	w.read()
	w.dry()
	w.block(old, s) // doubt
	if _, err := w.AnswerDoubt(t.Context(), old, false, "looked", "ops"); err != nil {
		t.Fatal(err)
	}
	w.copyTo(f)
	w.restore(before)
	w.replay(f, s)
	e := w.look(old)
	if n := w.count(`select count(distinct attendee_id) from sealed`); n != 4 && !e.SealsAsItComes(w.clock.now) {
		t.Errorf("%d of 4 are left, and nobody is read again", n)
	}
}

func TestStaffAreToldOfEachErasureThatCannotBeDoneAgain(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	before := w.backup()
	w.forget("1")
	w.clock.now = june.AddDate(0, 0, 5)
	w.forget("2")
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
	if _, err := w.Replay(t.Context(), bare, nil); err != nil {
		t.Fatal(err)
	}
	if tasks, err := w.Tasks(t.Context()); err != nil || len(tasks) != 2 {
		t.Errorf("%d of 2 are asked for (%v)", len(tasks), err)
	}
}

func TestAnEventThatWasNeverReadIsReadThoughItsBlockingIsCutOff(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.halfRead("4711")
	w.clock.now = july
	tx := w.DB().MustBegin() // somebody reads the room, for longer than this try lasts
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
	n := w.block("4711", s)
	if e := w.look("4711"); !n.Coming || !e.SealsAsItComes(w.clock.now) {
		t.Errorf("%+v: pulled at %v, blocked at %v", n, e.PulledAt, e.BlockedAt)
	}
}

// Somebody came by herself, as a webhook brings her, before the event's listing was read.
func TestWhoComesAloneIsNotTheWholeEvent(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
	ada, bo := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org")
	w.save(ada)
	w.clock.now = july
	equal(t, "blocked", w.block(old, s), postgres.Blocking{Coming: true})
	w.comesIn(old)
	equal(t, "the listing", w.sealed(s, ada, bo), postgres.Changes{New: 1, Unchanged: 1})
	w.read()
	equal(t, "the end", w.block(old, s).Coming, false)
	if records := w.opened(old, o); len(records) != 2 {
		t.Errorf("%d of 2 are sealed", len(records))
	}
}

func TestListsOfAnEventThatWasReadInPartAreRecalled(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	listed := &postgres.Listing{}
	listed.Saw(attendees.Eventbrite, "1")
	r := postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Rows: 1, SHA256: []byte{1}, By: "ops@example.org", At: june}
	if err := w.SaveReceipt(t.Context(), r, listed); err != nil {
		t.Fatal(err)
	}
	w.halfRead("4711")
	w.clock.now = july
	w.block("4711", s)
	f, err := w.Forget(t.Context(), "1", "asked")
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.Receipts(t.Context(), "4711")
	if err != nil || all[0].Recalled == nil {
		t.Errorf("the list is not recalled by the blocking, and the erasure names %d (%v)", len(f.Exports), err)
	}
}

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// backup is a dump of the database, as an operator makes it.
func (w world) backup() []byte {
	w.t.Helper()
	bin, err := pgtest.Server(w.t).Bin("pg_dump")
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := exec.Command(bin, "--dbname="+pgtest.URL(w.t, w.DB())).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// restore puts a backup into the emptied database.
func (w world) restore(backup []byte) {
	w.t.Helper()
	if _, err := w.DB().Exec(`drop schema public cascade; create schema public`); err != nil {
		w.t.Fatal(err)
	}
	bin, err := pgtest.Server(w.t).Bin("psql")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(bin, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+pgtest.URL(w.t, w.DB()))
	cmd.Stdin = bytes.NewReader(backup)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// copied is a fresh copy of the ledger.
func (w world) copied() ledger.File {
	w.t.Helper()
	f := ledger.File{Path: filepath.Join(w.t.TempDir(), "copy")}
	w.copyTo(f)
	return f
}

func (w world) copyTo(f ledger.File) {
	w.t.Helper()
	if err := w.CopyLedger(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) replay(f ledger.File, s *seal.Sealer) postgres.Replayed {
	w.t.Helper()
	r, err := w.Replay(w.t.Context(), f, s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.copyTo(f)
	w.ledgerIsSound()
	return r
}

func (w world) forget(id attendees.AttendeeID) {
	w.t.Helper()
	if _, err := w.Forget(w.t.Context(), id, "asked"); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) mayRun(f ledger.File, want error) {
	w.t.Helper()
	if err := w.CheckCopy(w.t.Context(), f); !errors.Is(err, want) {
		w.t.Errorf("whether workers may run: %v, want %v", err, want)
	}
}

func TestAReplayThatIsCutOffAnywhereGoesOnAndNothingRunsBefore(t *testing.T) {
	w := newWorld(t)
	var people []attendees.Registration
	for i := range 1200 {
		people = append(people, person(fmt.Sprint(i), "4711", fmt.Sprint("Unmistakable Person ", i), fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	w.save(person("a", "4712", "Also Unmistakable", "a@example.org"))
	s := sealer(t, officer(t))
	before := w.backup()
	w.forget("7")
	w.clock.now = july
	w.block("4711", s)
	w.block("4712", s)
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	f := w.copied()

	w.restore(before)
	w.mayRun(f, postgres.ErrRestored)
	if _, err := w.Replay(t.Context(), f, nil); !errors.Is(err, seal.ErrNoOfficer) {
		t.Errorf("without an officer's key: %v", err)
	}
	w.mayRun(f, postgres.ErrRestored)
	if n := w.count(`select count(*) from ledger_entries`); n != 0 {
		t.Errorf("%d entries were put back before it was known whether all could be done again", n)
	}
	cut, begun := 0, 0
	for wait := 2 * time.Millisecond; ; wait += wait / 4 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := w.Replay(ctx, f, s)
		cancel()
		if err == nil {
			break
		}
		cut++
		switch err := w.CheckCopy(t.Context(), f); {
		case errors.Is(err, postgres.ErrReplaying):
			begun++
			if err := w.CheckConfirmed(t.Context()); !errors.Is(err, postgres.ErrReplaying) {
				t.Fatalf("a machine without a copy: %v", err)
			}
		case !errors.Is(err, postgres.ErrRestored):
			t.Fatalf("cut off, workers may run: %v", err)
		}
	}
	if begun < 3 {
		t.Errorf("of %d replays that were cut off %d had begun to write: too few to show anything", cut, begun)
	}
	w.mayRun(f, nil)
	w.copyTo(f)
	w.ledgerIsSound()
	if n := w.count(`select (select count(*) from personal) + (select count(*) from attendees where source_id <> 'a')`); n != 0 {
		t.Errorf("%d rows are readable or of a deleted event", n)
	}
	if n := w.count(`select count(*) from sealed`); n != 1 {
		t.Errorf("%d are sealed, want the one of the other event", n)
	}
	if files := w.found("Unmistakable"); len(files) > 0 {
		t.Errorf("%v hold a name", files)
	}
}

func TestAReplayGoesByTheLedgersDatesNotTheBackups(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.reschedule(end.AddDate(0, 0, 25)) // then the backup, then the source takes it back
	before := w.backup()
	w.reschedule(end)
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("4711", s)
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	e, err := w.Event(t.Context(), "4711")
	if err != nil || e.State != attendees.Blocked || e.BlockOn.String() != "2027-07-20" || w.count(`select count(*) from personal`) != 0 {
		t.Errorf("after the replay: %+v (%v)", e, err)
	}
}

func TestAcceptedDatesAndAnswersAreRedone(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	w.reschedule(end.AddDate(-1, 0, 0))
	before := w.backup()
	plan, err := w.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptPlan(t.Context(), plan.Hash()); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, nil)
	e, err := w.Event(t.Context(), "4711")
	if err != nil || e.Pending() || fmt.Sprint(e.BlockOn, e.DeleteOn) != "2026-07-20 2033-01-01" {
		t.Errorf("the dates are %s and %s, pending %v (%v)", e.BlockOn, e.DeleteOn, e.Pending(), err)
	}
	for _, drop := range []bool{true, false} {
		w := newWorld(t)
		e, err := w.Event(t.Context(), "4711")
		if err != nil {
			t.Fatal(err)
		}
		link := postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
			Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}}
		if err := w.SaveLink(t.Context(), e, link); err != nil {
			t.Fatal(err)
		}
		w.save(person("1", "4711", "Ada Example", "ada@example.org"))
		w.answer("4711", response("r1", "1", "", "", nil))
		before := w.backup() // one of one has agreed: no doubt yet
		w.save(person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4711", "Cy Example", "cy@example.org"))
		early := w.backup()
		w.clock.now = july
		s := sealer(t, officer(t))
		w.block("4711", s)
		if _, err := w.AnswerDoubt(t.Context(), "4711", drop, "looked", "ops"); err != nil {
			t.Fatal(err)
		}
		f := w.copied()
		w.restore(early)
		w.replay(f, s)
		if n, want := w.count(`select count(*) from sealed`), map[bool]int{true: 1, false: 3}[drop]; n != want {
			t.Errorf("drop %v: %d are sealed, want %d", drop, n, want)
		}
		w.restore(before)
		w.replay(f, s)
		if n := w.count(`select count(*) from sealed`) + 10*w.count(`select count(*) from events where doubted`); n != 1 {
			t.Errorf("drop %v, from an older backup: %d, want one sealed and no doubt", drop, n)
		}
	}
}

func TestAHoldOfSomebodyWhomTheBackupDoesNotHaveWaitsForThePull(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	before := w.backup()
	late := person("2", "4711", "Bo Example", "bo@example.org")
	w.save(late)
	hold := func(id attendees.AttendeeID) postgres.Hold {
		t.Helper()
		h, err := w.AddHold(t.Context(), "", id, "a claim", "ops", attendees.Date{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	hold("2")
	hold("1")
	twice := hold("1")
	if err := w.ReleaseHold(t.Context(), twice.ID); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	r := w.replay(f, nil)
	holds, err := w.Holds(t.Context())
	if err != nil || r.Waiting != 1 || len(holds) != 2 || !holds[0].Waits || holds[1].Attendee != "1" {
		t.Fatalf("%+v waits, %+v stand (%v)", r, holds, err)
	}
	w.save(late)
	for _, id := range []attendees.AttendeeID{"1", "2"} {
		var held *postgres.HeldError
		if _, err := w.Forget(t.Context(), id, "asked"); !errors.As(err, &held) {
			t.Errorf("%s is held, and forgetting says %v", id, err)
		}
	}
	// The same again, from a backup that has one of them released.
	if err := w.ReleaseHold(t.Context(), holds[0].ID); err != nil {
		t.Fatal(err)
	}
	w.copyTo(f)
	w.restore(before)
	w.replay(f, nil)
	w.save(late)
	w.forget("2")
}

func TestAnErasedPersonsResponsesStayOutAfterAReplay(t *testing.T) {
	w := newWorld(t)
	// In the backup the first response is nobody's yet; the second comes in after it.
	first, second := response("r1", "", "Ada Example", "ada@example.org", nil), response("r2", "", "Ada Example", "ada@example.org", nil)
	w.answer("4711", first)
	before := w.backup()
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.answer("4711", second)
	w.forget("1")
	f := w.copied()
	w.restore(before)
	w.replay(f, nil)
	w.answer("4711", first, second)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if n := w.count(`select count(*) from personal`); n != 0 {
		t.Errorf("%d rows of her are back", n)
	}
}

func TestAnEventThatTheBackupDoesNotKnowStaysOver(t *testing.T) {
	w := newWorld(t)
	before := w.backup()
	ends := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	discover := func(id attendees.EventID, end time.Time) {
		t.Helper()
		_, err := w.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{{
			ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-time.Hour), End: end}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []attendees.EventID{"5000", "5001"} {
		discover(id, ends)
		w.wasRead(id)
	}
	w.save(person("1", "5000", "Ada Example", "ada@example.org"), person("2", "5001", "Bo Example", "bo@example.org"))
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("5000", s)
	w.block("5001", s)
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "5000"); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	for _, id := range []attendees.EventID{"5000", "5001"} {
		discover(id, later.AddDate(1, 0, 0)) // upstream it was postponed
		equal(t, "a late registration", w.save(person("3", string(id), "Cy Example", "cy@example.org"))[id], postgres.Changes{Late: 1})
	}
}

func TestAnErasureWhoseOpeningIsGoneIsAskedForAndTheRestIsDone(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4712", "Cy Example", "cy@example.org"))
	before := w.backup()
	w.forget("1")
	f := w.copied()
	if err := os.Remove(f.Path + ".openings"); err != nil {
		t.Fatal(err)
	}
	w.copyTo(f) // nothing new, yet what is missing beside it comes back
	if openings, err := f.Openings(); err != nil || len(openings) != 1 {
		t.Errorf("beside the copy are %d openings (%v), want the one that the database keeps", len(openings), err)
	}
	if err := os.Remove(f.Path + ".openings"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = june.AddDate(0, 0, 5)
	kept := ledger.File{Path: f.Path}
	w.forget("3")
	w.copyTo(kept)
	if err := os.WriteFile(f.Path+".openings", openingOf(t, f, 2), 0o600); err != nil {
		t.Fatal(err)
	}
	w.clock.now = june.AddDate(0, 0, 9)
	w.restore(before)
	r := w.replay(f, nil)
	if r.Lost != 1 || r.Erased != 1 || w.count(`select count(*) from attendees`) != 2 {
		t.Errorf("%+v, want one lost, one erased", r)
	}
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Event != "4711" || !strings.Contains(tasks[0].Says, "lethe forget") {
		t.Errorf("tasks %+v (%v)", tasks, err)
	}
	// The opening counts from the day of its entry, not from that of the replay.
	for _, c := range []struct{ days, left int }{{5, 1}, {6, 0}} {
		w.clock.now = june.AddDate(3, 0, c.days)
		w.tidy()
		equal(t, "openings", w.count(`select count(*) from openings`), c.left)
	}
}

// openingOf is the line of one entry's opening.
func openingOf(t *testing.T, f ledger.File, index int64) []byte {
	t.Helper()
	text, err := os.ReadFile(f.Path + ".openings")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, fmt.Appendf(nil, "%d ", index)) {
			return line
		}
	}
	t.Fatalf("entry %d has no opening in %q", index, text)
	return nil
}

// A crash or a full disk while the first copy is made leaves a file of nothing, or of a
// piece of its first line.
func TestACopyThatWasNeverBegunIsBegunAnew(t *testing.T) {
	for _, left := range []string{"", "lethe le"} {
		w := newWorld(t)
		w.save(person("1", "4711", "Ada Example", "ada@example.org"))
		w.forget("1")
		f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
		if err := os.WriteFile(f.Path, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		w.copyTo(f)
		w.mayRun(f, nil)
		if err := os.WriteFile(f.Path, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		w.mayRun(f, postgres.ErrNoCopy) // one that was whole is missing
		if err := w.RestoreCopy(t.Context(), f); err != nil {
			t.Error(err)
		}
		w.mayRun(f, nil)
	}
}

func TestARestoredBackupSignsNobodyInAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	u, err := w.SaveUser(ctx, "ada@example.org", []attendees.Role{attendees.Officer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	link, err := w.NewSignIn(ctx, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	mailed, err := w.NewVisitLink(ctx, "ada@example.org")
	if err != nil {
		t.Fatal(err)
	}
	sessions := w.Sessions(time.Hour)
	if err := sessions.CommitCtx(postgres.BeginsSession(ctx), "token", []byte("hers"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	backup := w.backup()
	for _, use := range []func() error{
		func() error { _, err := w.UseSignIn(ctx, link); return err },
		func() error { _, _, err := w.UseVisitLink(ctx, mailed); return err },
		func() error { return sessions.DeleteCtx(ctx, "token") },
	} {
		if err := use(); err != nil {
			t.Fatal(err)
		}
	}
	w.forget("1")
	f := w.copied()
	w.restore(backup)
	w.replay(f, nil)
	if _, err := w.UseSignIn(ctx, link); !errors.Is(err, postgres.ErrLink) {
		t.Errorf("a link that was used signs in again (%v)", err)
	}
	if _, _, err := w.UseVisitLink(ctx, mailed); !errors.Is(err, postgres.ErrLink) {
		t.Errorf("a mailed link that was used is good again (%v)", err)
	}
	if _, found, err := sessions.FindCtx(ctx, "token"); err != nil || found {
		t.Errorf("who signed out is signed in again (%v)", err)
	}
}

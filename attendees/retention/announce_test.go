package retention_test

import (
	"errors"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/retention"
)

// noonOf is noon of a day that is so many days after an event's delete date.
func noonOf(w *coretest.World, days int) time.Time {
	w.Helper()
	d := w.Stored("1").DeleteOn.AddDays(days)
	return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC)
}

// daily runs each noon, from one day to another, counted from the delete date.
func daily(w *coretest.World, from, to int) (done retention.Done) {
	w.Helper()
	for day := from; day <= to; day++ {
		w.Now = noonOf(w, day)
		var err error
		if done, err = w.Retention.Run(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
	return done
}

// blocked makes a world whose event of three people is blocked.
func blocked(t *testing.T) *coretest.World {
	t.Helper()
	w := started(t)
	four(w)
	block(w, "1")
	return w
}

func TestADeletionThatWasAnnouncedAWeekBeforeComesOnItsDay(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	if daily(w, -9, -8); count(w, `select count(*) from announcements`) != 0 {
		t.Error("it is announced more than a week before")
	}
	if done := daily(w, -7, -1); len(done.Deleted) != 0 || count(w, `select people from announcements`) != 3 {
		t.Errorf("before its day: %+v, %d people announced", done, count(w, `select people from announcements`))
	}
	if done := daily(w, 0, 0); len(done.Deleted) != 1 || done.People != 3 || done.Fuse != nil {
		t.Errorf("on its day: %+v, want three people deleted", done)
	}
	if n := count(w, `select count(*) from announcements`); n != 0 {
		t.Errorf("%d announcements are left", n)
	}
}

func TestAfterAStandstillADeletionIsAnnouncedAgain(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	daily(w, -7, -1)
	if done := daily(w, 3, 3); len(done.Deleted) != 0 {
		t.Error("it is deleted by an announcement from before the standstill")
	}
	if done := daily(w, 4, 4); len(done.Deleted) != 1 {
		t.Errorf("a day after it was announced again: %+v", done)
	}
}

func TestADeletionThatWasOnHoldIsAnnouncedWhenTheHoldEnds(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	daily(w, -7, -6)
	h := hold(w, retention.Hold{Event: "1"})
	if done := daily(w, -5, 1); len(done.Deleted) != 0 || count(w, `select count(*) from announcements`) != 0 {
		t.Errorf("under a hold: %+v, and it is announced", done)
	}
	release(w, h)
	if done := daily(w, 2, 8); len(done.Deleted) != 0 || done.Fuse == nil {
		t.Errorf("within a week: %+v, want the fuse, since it was not announced a week ago", done)
	}
	if done := daily(w, 9, 9); len(done.Deleted) != 1 {
		t.Errorf("a week after the hold: %+v", done)
	}
}

func TestARunThatWouldDeleteFarMoreThanWasAnnouncedDeletesNothing(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	daily(w, -9, -1)
	if _, err := w.Pool.Exec(`update announcements set people = 1`); err != nil {
		t.Fatal(err)
	}
	done := daily(w, 0, 0)
	if done.Fuse == nil || done.Fuse.People != 3 || done.Fuse.Announced != 1 || len(done.Deleted) != 0 {
		t.Fatalf("%+v, want the fuse", done)
	}
	if w.Tasks(events.TaskFuse) != 1 {
		t.Error("staff are not asked")
	}
	if would, err := w.Retention.Forecast(t.Context()); err != nil || would.Fuse == nil || len(would.Deleted) != 1 || would.People != 3 {
		t.Errorf("the forecast says %+v, %v", would, err)
	}
	if done, err := w.Retention.RunNow(t.Context(), ""); err != nil || done.Fuse == nil || len(done.Deleted) != 0 {
		t.Errorf("while somebody looks: %+v, %v, want the fuse", done, err)
	}
	if _, err := w.Retention.RunNow(t.Context(), "0000-0000"); err == nil {
		t.Error("another plan is accepted")
	}
	if done, err := w.Retention.RunNow(t.Context(), done.Fuse.Plan); err != nil || len(done.Deleted) != 1 {
		t.Errorf("once accepted: %+v, %v", done, err)
	}
	if daily(w, 1, 1); w.Tasks(events.TaskFuse) != 0 {
		t.Error("staff are still asked")
	}
}

func TestNothingIsBlockedOrDeletedByAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	if _, err := w.Pool.Exec(`delete from marks where name = $1`, db.Simulated); err != nil {
		t.Fatal(err)
	}
	right := func() error {
		_, err := w.Retention.Run(t.Context())
		return err
	}
	now := time.Now()
	said := func(ahead time.Duration) {
		w.Now = now
		if err := w.Retention.NoteSkew(t.Context(), attendees.Eventbrite, ahead); err != nil {
			t.Fatal(err)
		}
	}
	for off, want := range map[time.Duration]bool{0: true, 9 * time.Minute: true, 11 * time.Minute: false, -11 * time.Minute: false, 400 * 24 * time.Hour: false} {
		w.Now = now.Add(off)
		if err := w.Retention.CheckClock(t.Context()); (err == nil) != want {
			t.Errorf("%s off: %v", off, err)
		}
	}
	said(20 * time.Minute)
	if right() == nil {
		t.Error("a source says another time, and nothing stops")
	}
	if said(0); right() != nil {
		t.Errorf("all say the same: %v", right())
	}
	// Host and database jump together: the source's word is old then.
	if _, err := w.Pool.Exec(`update marks set at = at - interval '2 days' where name like 'clock/%'`); err != nil {
		t.Fatal(err)
	}
	if right() == nil {
		t.Error("no source has told the time for a day, and nothing waits")
	}
	if _, err := w.Pool.Exec(`update marks set at = at - interval '25 hours' where name = 'unasked'`); err != nil {
		t.Fatal(err)
	}
	if err := right(); err != nil {
		t.Errorf("sources that never answer are waited for longer than a day: %v", err)
	}
}

func TestNothingIsDoneByAClockBehindTheLedger(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	w.Now = w.Now.Add(-time.Hour)
	if _, err := w.Retention.Run(t.Context()); !errors.Is(err, ledger.ErrClock) {
		t.Errorf("got %v, want ErrClock", err)
	}
	w.Now = w.Now.Add(2 * time.Hour)
	if _, err := w.Retention.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMovedDatesCountOnceTheirPlanIsAccepted(t *testing.T) {
	t.Parallel()
	w := started(t)
	_, err := w.Events.Save(t.Context(), attendees.Eventbrite, []attendees.Event{{ID: "1", Organization: "900", Name: "Congress", End: w.Now.AddDate(0, 4, 0), Zone: "UTC"}})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := w.Retention.Plan(t.Context())
	if err != nil || len(plan.Events) != 1 || !plan.Events[0].Pending() {
		t.Fatalf("%+v, %v, want dates to accept", plan, err)
	}
	if _, err := w.Retention.Accept(t.Context(), "0000-0000"); err == nil {
		t.Error("another plan is accepted")
	}
	if n, err := w.Retention.Accept(t.Context(), plan.Hash()); err != nil || n != 1 || w.Stored("1").Pending() {
		t.Errorf("%d accepted, %v", n, err)
	}
}

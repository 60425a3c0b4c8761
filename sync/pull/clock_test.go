package pull_test

import (
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

func TestASourcesClockStopsBlockingAndDeletingForADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	event := w.event(3)
	w.discover()
	w.link(event, typeformtest.AgreementForm())
	check := func(what, want string, store *postgres.Store) {
		t.Helper()
		err := store.CheckClock(t.Context(), false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	pullAll := func() {
		t.Helper()
		must[pull.Report](t)(w.Event(t.Context(), event))
		must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID))
	}
	pullAll()
	check("all agree", "", w.Store)

	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = -15 * time.Minute })
	pullAll()
	check("Eventbrite's is behind", "the source eventbrite are 15m", w.Store)
	if err := w.Store.CheckClock(t.Context(), true); err != nil {
		t.Errorf("a simulated clock is compared: %v", err)
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = 5 * time.Minute })
	pullAll()
	check("it is set right, nearly", "", w.Store)

	w.typeform.SetFaults(typeformtest.Faults{Ahead: time.Hour})
	pullAll()
	check("Typeform's is ahead", "the source typeform are", w.Store)
	// The mark says what that clock and the database's differ by, so a machine whose own
	// clock is wrong in the same way is not excused.
	ahead := w.Store.At(func() time.Time { return time.Now().Add(time.Hour) })
	check("so is this machine's", "the database are 1h0m", ahead)

	if _, err := w.Store.DB().Exec(`update marks set at = at - interval '25 hours' where name like 'clock/%'`); err != nil {
		t.Fatal(err)
	}
	check("what was said a day ago counts no more, and for a day another word is waited for", "no source has told the time", w.Store)
	if _, err := w.Store.DB().Exec(`update marks set at = at - interval '25 hours' where name = 'unasked'`); err != nil {
		t.Fatal(err)
	}
	check("then it is done without", "", w.Store)
}

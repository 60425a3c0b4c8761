package pull_test

import (
	"testing"

	"lethe/sync/eventbrite/eventbritetest"
)

func TestNobodyOfABlockedEventIsAskedFor(t *testing.T) {
	w := newWorld(t, eventbritetest.Options{})
	event := w.event(3)
	if _, err := w.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	who := w.eventbrite.Attendees(event, nil)[0].ID
	if _, err := w.Store.DB().Exec(`update events set ends_on = '2020-01-01', block_on = '2020-02-01'`); err != nil {
		t.Fatal(err)
	}
	w.eventbrite.ForgetCalls()
	r, err := w.Attendee(t.Context(), event, who)
	if err != nil || r.Skipped == "" || len(w.eventbrite.Calls()) > 0 {
		t.Errorf("the report is %+v (%v) after %d calls, want none", r, err, len(w.eventbrite.Calls()))
	}
}

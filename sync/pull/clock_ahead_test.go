package pull_test

import (
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

// An event of six years ago seals as it comes; its form, which an open event shares, is read by
// a clock that is ahead beyond its delete date.
func TestAnEventThatSealsAsItComesIsNotPassedOverByAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	now := time.Now()
	ended := time.Date(now.Year()-6, 3, 1, 12, 0, 0, 0, time.UTC) // de-ao-6: deleted on the next 1 January
	a := w.past(3, int(now.Sub(ended).Hours()/24))
	later, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{Name: "Later", Zone: "Europe/Berlin", Start: now.AddDate(2, 0, 0), End: now.AddDate(2, 0, 1)}, eventbritetest.Questions()...)
	w.discover()
	w.sealer()
	form := typeformtest.AgreementForm()
	for _, id := range []attendees.EventID{a, later} {
		w.link(id, form)
	}
	must[pull.Report](t)(w.Event(t.Context(), later))
	var people []typeformtest.Person
	for _, r := range w.eventbrite.Attendees(a, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	w.typeform.Fill(form.ID, people, now.Add(-30*time.Hour))
	must[pull.Report](t)(w.Event(t.Context(), a)) // its listing has run dry, its form is to come
	e := must[postgres.Event](t)(w.Store.Event(t.Context(), a))
	ahead := int(time.Until(time.Date(now.Year()+1, 1, 3, 0, 0, 0, 0, time.UTC)).Hours()/24) + 1
	w.typeform.SetFaults(typeformtest.Faults{Ahead: -time.Duration(ahead) * 24 * time.Hour})
	if r, err := w.at(ahead).Form(t.Context(), form.ID); err == nil {
		t.Errorf("a clock %d days ahead, past the delete date %s, reads %+v", ahead, e.DeleteOn, r.Answers)
	}
	w.typeform.SetFaults(typeformtest.Faults{}) // it was set right
	last := must[pull.Report](t)(w.Form(t.Context(), form.ID))
	var answered int
	if err := w.Store.DB().Get(&answered, `select count(*) from sealed where part like 'response:%'`); err != nil {
		t.Fatal(err)
	}
	if answered != len(people) {
		t.Errorf("%d of %d answers are sealed; the event ended with %+v", answered, len(people), last.Sealed[a])
	}
}

// One who came alone makes her event half read; Eventbrite's token is taken away; an open event
// shares the form.
func TestAnOpenEventsFormDoesNotWaitForAnEventThatNobodyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	a, form, people := w.soonAndLater()
	w.sealer()
	if _, err := w.Store.DB().Exec(`update events set pulled_at = null where source_id = $1`, a); err != nil { // as Lift, or an Eventbrite link, leaves it
		t.Fatal(err)
	}
	later := w.at(60)
	later.Simulated, later.Eventbrite = true, nil
	if n, err := later.Store.Block(t.Context(), a, w.Puller.Sealer); err != nil || !n.Coming {
		t.Fatal(n, err)
	}
	w.typeform.Fill(form.ID, people, time.Now().AddDate(0, 0, 55))
	for range 3 {
		r, err := later.Form(t.Context(), form.ID)
		if err != nil || r.Skipped != "" {
			t.Errorf("the open event's form is not read: %q (%v)", r.Skipped, err)
		}
	}
}

// The same at Eventbrite: the organisation's listing is read by a clock that is ahead.
func TestWhoRegistersWhileTheClockIsAheadIsNotPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	a, _, _ := w.soonAndLater()
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	feed := func() time.Time {
		f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.OrganizationFeed(w.org)))
		return *f.Watermark
	}
	before, who := feed(), w.arrive(a, 1)
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = -60 * 24 * time.Hour })
	if r, err := w.at(60).Organization(t.Context(), w.org); err == nil || !feed().Equal(before) {
		t.Errorf("a clock 60 days ahead reads %+v, from %v to %v", r.Events, before, feed())
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = 0 })
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	if _, err := w.Store.EventOf(t.Context(), who[0]); err != nil {
		t.Errorf("whoever registered meanwhile is not here: %v", err)
	}
}

package pull_test

import (
	"testing"
	"time"

	"lethe/attendees"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
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

// It was past its block date and nobody had blocked it; its form, which another event shares,
// was read on meanwhile.
func TestAnEventThatIsPostponedIntoTheFutureIsReadAnew(t *testing.T) {
	w := newWorld(t, eventbritetest.Options{})
	a := w.event(3) // ends in 21 days, is blocked in 51
	b, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{Name: "Later", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 200), End: time.Now().AddDate(0, 0, 201)}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(b, 1)
	w.discover()
	form := typeformtest.AgreementForm()
	w.link(a, form)
	w.link(b, form)
	at := func(days int) *pull.Puller {
		p := *w.Puller
		now := func() time.Time { return time.Now().AddDate(0, 0, days) }
		p.Now, p.Store = now, w.Store.At(now)
		return &p
	}
	must[pull.Report](t)(at(0).Event(t.Context(), a))
	must[pull.Report](t)(at(0).Event(t.Context(), b))
	var people []typeformtest.Person
	for _, r := range w.eventbrite.Attendees(a, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	must[pull.Report](t)(at(0).Form(t.Context(), form.ID))
	w.typeform.Fill(form.ID, people, time.Now().AddDate(0, 0, 58))
	must[pull.Report](t)(at(60).Form(t.Context(), form.ID)) // event a is past its block date, and nobody has blocked it
	end := time.Now().AddDate(0, 0, 75)
	e := attendees.Event{ID: a, Organization: w.org, Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-time.Hour), End: end}
	if _, err := at(61).Store.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		t.Fatal(err)
	}
	must[pull.Report](t)(at(62).Event(t.Context(), a))
	must[pull.Report](t)(at(62).Form(t.Context(), form.ID))
	must[pull.Report](t)(at(62).Reconcile(t.Context(), a))
	var agreed int
	if err := w.Store.DB().Get(&agreed, `select count(*) from personal where part = 'registration' and agreed_at is not null`); err != nil {
		t.Fatal(err)
	}
	if agreed != len(people) {
		t.Errorf("%d of %d have agreed, as far as is known", agreed, len(people))
	}
}

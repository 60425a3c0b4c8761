package pull_test

import (
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

func TestNobodyOfABlockedEventIsAskedFor(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	a, form, people := w.soonAndLater()
	at := func(days int) *pull.Puller {
		p := w.at(days)
		p.Simulated = true
		return p
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
	if agreed := w.agreed(); agreed != len(people) {
		t.Errorf("%d of %d have agreed, as far as is known", agreed, len(people))
	}
}

func TestAnEventThatIsOverByAClockThatIsAheadIsNotPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{})
	a, form, people := w.soonAndLater()
	w.typeform.Fill(form.ID, people, time.Now().Add(-time.Minute))
	w.typeform.SetFaults(typeformtest.Faults{Ahead: -60 * 24 * time.Hour}) // as seen from a machine that is as much ahead
	if _, err := w.at(60).Form(t.Context(), form.ID); err == nil || !strings.Contains(err.Error(), "event "+string(a)+" is past its dates") {
		t.Fatalf("a form is read by a clock that is two months ahead: %v", err)
	}
	if err := w.at(60).Store.CheckClock(t.Context(), false); err == nil || !strings.Contains(err.Error(), "apart") {
		t.Errorf("the clock is believed: %v", err)
	}
	w.typeform.SetFaults(typeformtest.Faults{}) // it was set right
	must[pull.Report](t)(w.Form(t.Context(), form.ID))
	if agreed := w.agreed(); agreed != len(people) {
		t.Errorf("%d of %d have agreed, as far as is known", agreed, len(people))
	}
}

// soonAndLater is an event that ends in 21 days and is blocked in 51, read, with a form that
// one which ends in half a year shares; of its people none has answered.
func (w world) soonAndLater() (soon attendees.EventID, form typeformtest.Form, people []typeformtest.Person) {
	w.t.Helper()
	soon = w.event(3)
	later, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{Name: "Later", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 200), End: time.Now().AddDate(0, 0, 201)}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(later, 1)
	w.discover()
	form = typeformtest.AgreementForm()
	for _, id := range []attendees.EventID{soon, later} {
		w.link(id, form)
		must[pull.Report](w.t)(w.Event(w.t.Context(), id))
	}
	for _, r := range w.eventbrite.Attendees(soon, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	return soon, form, people
}

// at is the same puller with a clock that is some days ahead.
func (w world) at(days int) *pull.Puller {
	p := *w.Puller
	now := func() time.Time { return time.Now().AddDate(0, 0, days) }
	p.Now, p.Store = now, w.Store.At(now)
	return &p
}

// agreed is how many are known to have agreed.
func (w world) agreed() (n int) {
	w.t.Helper()
	if err := w.Store.DB().Get(&n, `select count(*) from personal where part = 'registration' and agreed_at is not null`); err != nil {
		w.t.Fatal(err)
	}
	return n
}

package pull_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform"
	"lethe/sync/typeform/typeformtest"
)

func TestAFormThatLivesElsewhereIsNotBelievedEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(30)
	w.discover()
	w.link(event, typeformtest.AgreementForm())
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.discover()
	must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID))

	w.typeform.SetFaults(typeformtest.Faults{WrongRegion: "api.eu.typeform.com"})
	var people []typeformtest.Person
	for _, r := range w.eventbrite.Attendees(event, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	w.typeform.Fill(typeformtest.AgreementFormID, people, time.Now().Add(-30*time.Hour))
	must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID)) // nobody knows yet
	w.discover()
	for range 2 {
		_, err := w.Form(t.Context(), typeformtest.AgreementFormID)
		var region *typeform.WrongRegion
		if !errors.As(err, &region) || region.URL() != "https://api.eu.typeform.com" {
			t.Fatalf("a form in another region: %v, want *WrongRegion", err)
		}
		f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.FormFeed(typeformtest.AgreementFormID)))
		if f.Watermark != nil || !strings.Contains(f.Failure, "api.eu.typeform.com") {
			t.Errorf("the watermark is %v, the failure %q", f.Watermark, f.Failure)
		}
	}
	w.typeform.SetFaults(typeformtest.Faults{})
	w.discover()
	report := must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID))
	if report.Answers.New != len(people) {
		t.Errorf("back at home %d responses are new, want all %d", report.Answers.New, len(people))
	}
}

func TestAFormReadByAClockThatIsAheadHidesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(5)
	w.discover()
	w.link(event, typeformtest.AgreementForm())
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.typeform.SetFaults(typeformtest.Faults{Ahead: -3 * time.Hour})
	must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID))
	w.Now = func() time.Time { return time.Now().Add(-3 * time.Hour) }
	w.typeform.AddResponse(typeformtest.AgreementFormID, typeformtest.Person{Name: "Ada Example", Email: "ada@example.org"}, w.Now())
	if r := must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID)); r.Answers.New != 1 {
		t.Errorf("%d responses are new, want 1", r.Answers.New)
	}
}

func TestAnOrganizationThatRefusesItsEventsStopsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	closed := w.org
	w.event(3)
	w.org = w.eventbrite.AddOrganization("Example Art Foundation")
	event := w.event(7)
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.EventsRefusedBy = closed })
	d := must[pull.Discovery](t)(w.Discover(t.Context()))
	if d.New != 1 || len(d.Refused) != 1 {
		t.Errorf("%d events are new, the operator is told %q", d.New, d.Refused)
	}
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.same(event)
	feed := postgres.EventsFeed(closed)
	if f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), feed)); !strings.Contains(f.Attention, string(closed)) {
		t.Errorf("the feed says %q", f.Attention)
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.EventsRefusedBy = "" })
	w.discover()
	if f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), feed)); f.Attention != "" {
		t.Errorf("it refuses no more, and the feed says %q", f.Attention)
	}
}

func TestAnEventWhoseNameHoldsNULIsDiscoveredWithTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	id, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example\x00 Days", Status: "li\x00ve", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	})
	w.event(1)
	if d := must[pull.Discovery](t)(w.Discover(t.Context())); d.New != 2 {
		t.Errorf("%d events are new, want 2", d.New)
	}
	if e := must[postgres.Event](t)(w.Store.Event(t.Context(), id)); e.Name != "Example Days" || e.Status != "live" {
		t.Errorf("the event is %q, %q", e.Name, e.Status)
	}
}

func TestOneEventThatFailsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	gone, event := attendees.EventID("7100000000"), w.event(10)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	// An event that is not known at Eventbrite any more sorts before the other.
	_, err := w.Store.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{{
		ID: gone, Organization: w.org, Name: "Deleted there", Zone: "UTC", Start: time.Now().AddDate(0, 0, 30), End: time.Now().AddDate(0, 0, 31),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.DB().Exec(`update events set pulled_at = now()`); err != nil {
		t.Fatal(err)
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.OrganizationListingRefused = true })
	w.arrive(event, 3)
	if _, err := w.Organization(t.Context(), w.org); err == nil || !strings.Contains(err.Error(), string(gone)) {
		t.Errorf("error %v, want one about event %s", err, gone)
	}
	w.same(event)
}

package pull_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
)

func (w world) ownQuestions(event attendees.EventID, questions []attendees.QuestionID) {
	w.t.Helper()
	e := must[postgres.Event](w.t)(w.Store.Event(w.t.Context(), event))
	err := w.Store.SaveLink(w.t.Context(), e, postgres.Link{
		Event: event, Form: attendees.EventbriteForm, Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: questions[0], ID: questions[0]}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) agreedOf(event attendees.EventID) (n int) {
	w.t.Helper()
	err := w.Store.DB().Get(&n, `select count(*) from personal p join events e on e.id = p.event_id where e.source_id = $1 and agreed_at is not null`, event)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// While an organisation's changes are being read, somebody links the event's own question,
// and the event is read anew, to its end. The other reading goes on by what was linked before.
func TestAnOrganisationsReadingTakesNoAgreementAwayThatWasLinkedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event, questions := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(event, 10)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.changed(event, 200, postgres.OrganizationFeed(w.org))
	other := w.another(w.Store, w.Log)
	once, before := false, 0
	w.Progress = func(pull.Progress) {
		if once {
			return
		}
		once = true
		w.ownQuestions(event, questions)
		must[pull.Report](t)(other.Event(t.Context(), event))
		before = w.agreedOf(event)
	}
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.Progress = nil
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	ids, err := w.Unpulled(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		must[pull.Report](t)(other.Event(t.Context(), id))
	}
	if after := w.agreedOf(event); after != before || before == 0 {
		t.Errorf("%d agreed when the event had been read; %d after the organisation was", before, after)
	}
}

// The event's own questions are unlinked; one who is gone upstream comes in no listing.
func TestWhatAnEventsOwnQuestionsFilledGoesWithTheirLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event, questions := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	ids := w.eventbrite.AddPeople(event, 30)
	w.discover()
	w.ownQuestions(event, questions)
	must[pull.Report](t)(w.Event(t.Context(), event))
	before := w.agreedOf(event)
	if err := w.eventbrite.Remove(ids[1]); err != nil {
		t.Fatal(err)
	}
	must[pull.Report](t)(w.Reconcile(t.Context(), event))
	e := must[postgres.Event](t)(w.Store.Event(t.Context(), event))
	if _, err := w.Store.Unlink(t.Context(), e, attendees.EventbriteForm); err != nil {
		t.Fatal(err)
	}
	now := w.agreedOf(event)
	must[pull.Report](t)(w.Event(t.Context(), event))
	must[pull.Report](t)(w.Reconcile(t.Context(), event))
	if n := w.agreedOf(event); n > 0 || now > 0 {
		t.Errorf("of %d agreements by the question %d are held when it is unlinked, and %d after everything was read anew", before, now, n)
	}
}

// Eventbrite fails to expand for an hour, and gives attendees without answers meanwhile.
func TestAFailedExpansionTakesNoAgreementAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event, questions := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(event, 30)
	w.discover()
	w.ownQuestions(event, questions)
	must[pull.Report](t)(w.Event(t.Context(), event))
	before := w.agreedOf(event)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("expand") {
			rw.WriteHeader(500)
			_, _ = rw.Write([]byte(`{"status_code":500,"error":"EXPANSION_FAILED","error_description":"x"}`))
			return
		}
		out := httptest.NewRecorder()
		w.eventbrite.ServeHTTP(out, r)
		rw.WriteHeader(out.Code)
		_, _ = rw.Write(bytes.ReplaceAll(out.Body.Bytes(), []byte(`"answers":`), []byte(`"unexpanded":`)))
	}))
	defer proxy.Close()
	w.urls[0] = proxy.URL + "/v3"
	other := w.another(w.Store, w.Log)
	if _, err := other.Reconcile(t.Context(), event); err == nil {
		t.Error("a reading without answers is taken for one")
	}
	if after := w.agreedOf(event); after != before || before == 0 {
		t.Errorf("%d had agreed; after a reading without answers %d have", before, after)
	}
}

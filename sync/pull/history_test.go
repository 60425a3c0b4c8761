package pull_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

// past adds an event with n people that ended so many days ago.
func (w world) past(n, days int) attendees.EventID {
	end := time.Now().AddDate(0, 0, -days)
	id, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Status: "completed", Start: end.Add(-8 * time.Hour), End: end,
	}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(id, n)
	return id
}

// sealer gives the puller an officer to seal to.
func (w world) sealer() seal.Officer {
	w.t.Helper()
	o := must[seal.Officer](w.t)(seal.NewOfficer())
	w.Puller.Sealer = must[*seal.Sealer](w.t)(seal.NewSealer(must[*seal.Officers](w.t)(seal.ParseOfficers(o.Public())), w.Store.Keys()))
	return o
}

// fill answers the form for everybody of the event.
func (w world) fill(event attendees.EventID, form attendees.FormID) (people []typeformtest.Person) {
	for _, r := range w.eventbrite.Attendees(event, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	w.typeform.Fill(form, people, time.Now().Add(-30*time.Hour))
	return people
}

// sealed are the event's records as the officer reads them, by attendee and part.
func (w world) sealed(event attendees.EventID, o seal.Officer) map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for r, err := range w.Store.SealedRecords(w.t.Context(), event, "", "", "a test") {
		if err != nil {
			w.t.Fatal(err)
		}
		record := must[seal.Record](w.t)(o.Open(r.Officers, string(event), string(r.Attendee), r.Part))
		all[record.Attendee+" "+record.Part] = string(record.Fields)
	}
	return all
}

// unread looks for anybody of the event in a dump, and for readable rows.
func (w world) unread(event attendees.EventID) {
	w.t.Helper()
	dump := must[string](w.t)(pgtest.Server(w.t).Bin("pg_dump"))
	text := must[[]byte](w.t)(exec.Command(dump, "--dbname", pgtest.URL(w.t, w.Store.DB())).Output())
	for _, r := range w.eventbrite.Attendees(event, nil) {
		for _, p := range []attendees.Personal{r.Name, r.Email} {
			if !p.Empty() && bytes.Contains(text, []byte(p.Reveal())) {
				w.t.Fatalf("the dump holds a name or an address of attendee %s", r.ID)
			}
			if !p.Empty() && strings.Contains(w.log.String(), p.Reveal()) {
				w.t.Fatalf("the log holds a name or an address of attendee %s", r.ID)
			}
		}
	}
}

func TestAnEventOfLongAgoIsPulledOnceWithItsFormsThoughItIsKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const people = 600
	w := newWorld(t, eventbritetest.Options{Limit: -1, PageSize: 20})
	event := w.past(people, 100)
	w.discover()
	form := typeformtest.AgreementForm()
	w.link(event, form)
	w.fill(event, form.ID)
	o := w.sealer()
	kills := 0
	// A kill leaves no time to remember anything: a panic in the middle of a page.
	killed := func(do func() (pull.Report, error)) (report pull.Report, dead bool) {
		page, at := 0, 3+kills*2
		w.Puller.Progress = func(pull.Progress) {
			if page++; page == at && kills < 8 {
				panic("killed")
			}
		}
		defer func() {
			if p := recover(); p != nil {
				if p != "killed" {
					panic(p)
				}
				kills++
				report, dead = pull.Report{}, true
			}
		}()
		report = must[pull.Report](t)(do())
		return report, false
	}
	var last pull.Report
	for _, do := range []func() (pull.Report, error){
		func() (pull.Report, error) { return w.Event(t.Context(), event) },
		func() (pull.Report, error) { return w.Form(t.Context(), form.ID) },
	} {
		for {
			var dead bool
			if last, dead = killed(do); !dead {
				break
			}
			w.unread(event)
			if _, err := w.Store.Block(t.Context(), event, w.Puller.Sealer); err != nil {
				t.Fatal(err)
			}
		}
	}
	if kills < 4 {
		t.Errorf("it was killed %d times only: this test shows little", kills)
	}
	if n := last.Sealed[event]; n.Sealed+n.Dropped != people || n.Sealed < people/2 {
		t.Errorf("the last feed to run dry ended it with %+v, want %d people", n, people)
	}
	registrations, answers := 0, 0
	for what, fields := range w.sealed(event, o) {
		if strings.HasSuffix(what, " registration") {
			registrations++
		}
		if strings.Contains(what, " response:") && strings.Contains(fields, "agreed_at") {
			answers++
		}
	}
	if registrations != last.Sealed[event].Sealed || answers < registrations {
		t.Errorf("the officer opens %d registrations and %d agreements, want %d of each", registrations, answers, last.Sealed[event].Sealed)
	}
	var counted int
	if err := w.Store.DB().Get(&counted, `select people from tallies where what = 'registered'`); err != nil || counted != people {
		t.Errorf("%d registered, as is counted (%v), want %d", counted, err, people)
	}
	w.unread(event)

	w.Puller.Progress = nil
	calls := len(w.eventbrite.Calls())
	w.arrive(event, 3)
	for _, do := range []func() (pull.Report, error){
		func() (pull.Report, error) { return w.Event(t.Context(), event) },
		func() (pull.Report, error) { return w.Reconcile(t.Context(), event) },
		func() (pull.Report, error) { return w.Form(t.Context(), form.ID) },
	} {
		if report := must[pull.Report](t)(do()); report.Skipped == "" {
			t.Errorf("it is pulled again: %+v", report)
		}
	}
	if n := len(w.eventbrite.Calls()) - calls; n > 0 {
		t.Errorf("it is asked for again, %d times", n)
	}
	if ids := must[[]attendees.EventID](t)(w.Unpulled(t.Context())); len(ids) > 0 {
		t.Errorf("%v are still to be pulled", ids)
	}
	w.unread(event)
}

func TestEventsOfLongAgoWaitForAnOfficersKeyAndTheirFormsForThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event, open, gone := w.past(30, 100), w.event(30), w.past(30, 9*365)
	w.discover()
	form := typeformtest.AgreementForm()
	w.link(event, form)
	w.link(open, form)
	w.fill(event, form.ID)
	w.fill(open, form.ID)
	report := must[pull.Report](t)(w.Event(t.Context(), event))
	if !strings.Contains(report.Skipped, "there is no officer's key") {
		t.Errorf("without an officer's key it is skipped because %q", report.Skipped)
	}
	if ids := must[[]attendees.EventID](t)(w.Unpulled(t.Context())); fmt.Sprint(ids) != fmt.Sprint([]attendees.EventID{open}) {
		t.Errorf("without an officer's key %v are to be pulled, want %s", ids, open)
	}
	w.sealer()
	if report = must[pull.Report](t)(w.Event(t.Context(), gone)); !strings.Contains(report.Skipped, "past its delete date") {
		t.Errorf("an event past its delete date is skipped because %q", report.Skipped)
	}
	if ids := must[[]attendees.EventID](t)(w.Unpulled(t.Context())); fmt.Sprint(ids) != fmt.Sprint([]attendees.EventID{open, event}) {
		t.Errorf("%v are to be pulled, want %s and %s", ids, open, event)
	}
	for _, id := range []attendees.EventID{open, event} {
		if report = must[pull.Report](t)(w.Event(t.Context(), id)); len(report.Sealed) > 0 {
			t.Errorf("event %s is ended before its form is read", id)
		}
	}
	officers := w.Puller.Sealer
	w.Puller.Sealer = nil
	if report = must[pull.Report](t)(w.Form(t.Context(), form.ID)); !strings.Contains(report.Skipped, "are to be sealed") {
		t.Errorf("without an officer's key a machine reads a form that has answers to seal: %+v", report)
	}
	w.Puller.Sealer = officers
	typeform := w.Puller.Typeform
	w.Puller.Typeform = nil
	if report = must[pull.Report](t)(w.Event(t.Context(), event)); !strings.Contains(report.Attention, "TYPEFORM_TOKEN is not set") {
		t.Errorf("without a token of Typeform the operator is told %q", report.Attention)
	}
	w.Puller.Typeform = typeform
	if report = must[pull.Report](t)(w.Form(t.Context(), form.ID)); report.Sealed[event].Sealed == 0 {
		t.Errorf("its form is read and it is not ended: %+v", report)
	}
	for r, err := range w.Store.Attending(t.Context(), open, attendees.ParticipationAgreement, attendees.Attending) {
		if err != nil {
			t.Fatal(err)
		}
		if r.AgreedAt.IsZero() {
			continue
		}
		return // the open event has its answers, too
	}
	t.Error("nobody of the open event has agreed")
}

func TestARateLimitInTheMiddleOfAnEventOfLongAgoIsNoFailure(t *testing.T) {
	t.Parallel()
	// Large enough that what it keeps in reserve covers the pages that are under way.
	w := newWorld(t, eventbritetest.Options{Limit: 100, Window: 10 * time.Second, PageSize: 10})
	event := w.past(1500, 100) // 150 pages
	w.discover()
	o := w.sealer()
	limits := 0
	for {
		_, err := w.Event(t.Context(), event)
		var limited *pull.RateLimited
		if !errors.As(err, &limited) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if limits++; limits > 10 {
			t.Fatal("the pull does not come to an end")
		}
		time.Sleep(time.Until(limited.Until))
	}
	if got := len(w.sealed(event, o)); got != 1500 || limits == 0 {
		t.Errorf("%d are sealed after %d limits, want 1500", got, limits)
	}
}

func TestTwoWorkersSealAnEventOfLongAgoOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.past(700, 100)
	w.discover()
	o := w.sealer()
	done := make(chan error)
	for range 3 {
		p := w.another(w.Store, w.Log)
		p.Sealer = w.Puller.Sealer
		go func() {
			done <- func(ctx context.Context) error { _, err := p.Event(ctx, event); return err }(t.Context())
		}()
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var entries int
	if err := w.Store.DB().Get(&entries, `select count(*) from ledger_entries where leaf like '%"as_it_came":700%'`); err != nil || entries != 1 || len(w.sealed(event, o)) != 700 {
		t.Errorf("%d entries (%v) and %d records, want 1 and 700", entries, err, len(w.sealed(event, o)))
	}
}

package eventbrite_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
	"lethe/sync/eventbrite"
	"lethe/sync/eventbrite/eventbritetest"
)

var reveal = cmp.Transformer("reveal", func(p attendees.Personal) string { return p.Reveal() })

// sandbox starts a server and a client of it that is in a hurry.
func sandbox(t testing.TB, o eventbritetest.Options, set ...func(*eventbrite.Options)) (*eventbritetest.Server, *eventbrite.Client) {
	t.Helper()
	s := eventbritetest.New(o)
	u, stop, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	co := eventbrite.Options{URL: u, Token: eventbritetest.Token, MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond, Timeout: 5 * time.Second}
	for _, f := range set {
		f(&co)
	}
	c, err := eventbrite.New(co)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// crowd makes an event with n people and gives its questions, all but the diet.
func crowd(s *eventbritetest.Server, n int) (attendees.OrganizationID, attendees.EventID, map[attendees.QuestionID]bool) {
	org := s.AddOrganization("Harbour Lights")
	event, q := s.AddEvent(org, eventbritetest.Event{Name: "Forum"}, eventbritetest.Questions()...)
	s.AddPeople(event, n)
	return org, event, map[attendees.QuestionID]bool{q[0]: true, q[1]: true, q[2]: true}
}

// collect reads a listing to its end, keeping the latest of each id, sorted.
func collect(t *testing.T, pages func(func(eventbrite.Page, error) bool)) (all []attendees.Registration, read []eventbrite.Page) {
	t.Helper()
	byID := map[attendees.AttendeeID]attendees.Registration{}
	for p, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, p)
		for _, r := range p.Registrations {
			byID[r.ID] = r
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		all = append(all, byID[id])
	}
	return all, read
}

func numbers(pages []eventbrite.Page) (n []int) {
	for _, p := range pages {
		n = append(n, p.Number)
	}
	return n
}

func TestListingEqualsTheTruthHoweverItIsPaged(t *testing.T) {
	for name, quirks := range map[string]eventbritetest.Quirks{
		"page by number":            {},
		"page=N ignored":            {IgnorePages: true},
		"BAD_PAGE":                  {BadPages: true},
		"continuation alone":        {NoPageNumbers: true},
		"newest first":              {NewestFirst: true},
		"forgotten continuations":   {NoPageNumbers: true, ForgottenContinuations: 2},
		"expansion fails":           {ExpansionFails: true},
		"cut, web page, 500":        {FaultEvery: 3, Faults: []eventbritetest.Fault{eventbritetest.CutBody, eventbritetest.WebPage, eventbritetest.ServerError}},
		"429 and broken connection": {FaultEvery: 3, Faults: []eventbritetest.Fault{eventbritetest.TooMany, eventbritetest.BrokenConnection}},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := sandbox(t, eventbritetest.Options{})
			_, event, questions := crowd(s, 523)
			s.Misbehave(func(q *eventbritetest.Quirks) { *q = quirks })
			got, pages := collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{Questions: questions}))
			if diff := cmp.Diff(s.Attendees(event, questions), got, reveal); diff != "" {
				t.Errorf("(-truth +got)\n%s", diff)
			}
			if len(pages) < 11 {
				t.Errorf("%d pages, want 11", len(pages))
			}
			if strings.Contains(fmt.Sprint(revealed(got)), eventbritetest.Secret) {
				t.Error("what nobody asked for was decoded")
			}
		})
	}
}

// revealed is all text of what came out.
func revealed(rs []attendees.Registration) (all []string) {
	for _, r := range rs {
		all = append(all, r.Name.Reveal(), r.Email.Reveal(), r.Ticket, r.Status)
		for _, a := range r.Answers {
			for _, p := range a {
				all = append(all, p.Reveal())
			}
		}
	}
	return all
}

func TestPagesComeInOrderAndTellWhatTheyAre(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 170)
	_, pages := collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{}))
	if got, want := numbers(pages), []int{1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("pages %v, want %v", got, want)
	}
	for _, p := range pages {
		if p.Pages != 4 || p.Total != 170 || p.Bytes < 1500*len(p.Registrations) || p.Kept == 0 || p.Kept > p.Bytes/5 {
			t.Errorf("page %d: %d pages, %d in all, %d bytes, %d kept", p.Number, p.Pages, p.Total, p.Bytes, p.Kept)
		}
	}
	if calls := len(s.Calls()); calls != 4 {
		t.Errorf("%d calls, want 4", calls)
	}
	for _, r := range pages[0].Registrations {
		if r.Answers != nil {
			t.Fatal("an answer came though none was asked for")
		}
	}
}

func TestReadingGoesOnAtAPage(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 170)
	for from, want := range map[int][]int{0: {1, 2, 3, 4}, 1: {1, 2, 3, 4}, 3: {3, 4}, 4: {4}, 5: nil, 99: nil} {
		_, pages := collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{FromPage: from}))
		if got := numbers(pages); !slices.Equal(got, want) {
			t.Errorf("from %d: pages %v, want %v", from, got, want)
		}
	}
}

func TestEmptyListingIsOnePageOfNobody(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 0)
	got, pages := collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{}))
	if len(got) != 0 || len(pages) != 1 || pages[0].Total != 0 {
		t.Errorf("got %d people on %v", len(got), pages)
	}
}

func TestSinceIsInclusiveAndInWholeSeconds(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 60)
	at := time.Now().Add(time.Hour).Truncate(time.Second)
	ids := map[attendees.AttendeeID]bool{}
	for i := range 3 {
		id, err := s.Add(event, eventbritetest.Person{Name: "Late Comer", Changed: at.Add(time.Duration(i-1) * 600 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = i > 0
	}
	since := at.Add(900 * time.Millisecond).In(time.FixedZone("", 3*3600))
	got, _ := collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{Since: since}))
	if len(got) != 2 || !ids[got[0].ID] || !ids[got[1].ID] {
		t.Errorf("%d people, want the two of that second", len(got))
	}
	if q := s.Calls()[0].Query; q != "changed_since="+url.QueryEscape(at.UTC().Format("2006-01-02T15:04:05Z")) {
		t.Errorf("query %q", q)
	}
}

func TestOrganizationListingHoldsAllEvents(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	org, first, _ := crowd(s, 120)
	second, _ := s.AddEvent(org, eventbritetest.Event{Name: "Second"})
	s.AddPeople(second, 70)
	got, _ := collect(t, c.OrganizationAttendees(t.Context(), org, eventbrite.Query{}))
	want := append(s.Attendees(first, nil), s.Attendees(second, nil)...)
	slices.SortFunc(want, func(a, b attendees.Registration) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if diff := cmp.Diff(want, got, reveal); diff != "" {
		t.Errorf("(-truth +got)\n%s", diff)
	}
	s.Misbehave(func(q *eventbritetest.Quirks) { q.OrganizationListingRefused = true })
	for _, id := range []attendees.OrganizationID{org, "404404"} {
		if err := first1(c.OrganizationAttendees(t.Context(), id, eventbrite.Query{})); !errors.Is(err, eventbrite.ErrRefused) {
			t.Errorf("refused listing of %s: error %v", id, err)
		}
	}
}

// first1 is the first error of a listing.
func first1(pages func(func(eventbrite.Page, error) bool)) (first error) {
	for _, err := range pages {
		if err != nil {
			return err
		}
	}
	return nil
}

// Whoever changed jumps to the listing's end, and all behind move up: over a page's
// border too, and there they are missed, changed or not.
func TestWhoChangedWhileReadingIsFoundByReadingAgain(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{}, func(o *eventbrite.Options) { o.Parallel = 1 })
	_, event, questions := crowd(s, 300)
	people := s.Attendees(event, nil)
	began := time.Now()
	seen := map[attendees.AttendeeID]attendees.Registration{}
	var changed []attendees.AttendeeID
	for _, q := range []eventbrite.Query{{Questions: questions}, {Questions: questions, Since: began}} {
		for p, err := range c.EventAttendees(t.Context(), event, q) {
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Registrations {
				seen[r.ID] = r
			}
			for range 5 {
				if q.Since.IsZero() {
					id := people[len(changed)].ID
					changed = append(changed, id)
					if err := s.Cancel(id); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for _, want := range s.Attendees(event, questions) {
		if !slices.Contains(changed, want.ID) {
			continue
		}
		if diff := cmp.Diff(want, seen[want.ID], reveal); diff != "" {
			t.Errorf("(-truth +got)\n%s", diff)
		}
	}
	if len(changed) < 25 {
		t.Errorf("only %d changes", len(changed))
	}
}

func TestEndlessContinuationIsAnErrorAndNoLoop(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 170)
	s.Misbehave(func(q *eventbritetest.Quirks) { q.EndlessContinuation, q.NoPageNumbers = true, true })
	if err := first1(c.EventAttendees(t.Context(), event, eventbrite.Query{})); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("error %v", err)
	}
	if n := len(s.Calls()); n > 5 {
		t.Errorf("%d calls", n)
	}
}

func TestRestartsAreBounded(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 170)
	s.Misbehave(func(q *eventbritetest.Quirks) { q.NoPageNumbers, q.ForgottenContinuations = true, 1000 })
	if err := first1(c.EventAttendees(t.Context(), event, eventbrite.Query{})); err == nil || !strings.Contains(err.Error(), "BAD_CONTINUATION_TOKEN") {
		t.Errorf("error %v", err)
	}
	if n := len(s.Calls()); n != 6 {
		t.Errorf("%d calls, want 6", n)
	}
}

func TestBreakStopsAllThatWasFetchedAhead(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, _ := crowd(s, 1000)
	s.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 20 * time.Millisecond })
	for range c.EventAttendees(t.Context(), event, eventbrite.Query{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for p, err := range c.EventAttendees(ctx, event, eventbrite.Query{}) {
		last = err
		if p.Number == 2 {
			cancel()
		}
	}
	cancel()
	if !errors.Is(last, context.Canceled) {
		t.Errorf("error %v", last)
	}
	ours := func() int { // kept connections have goroutines too, but not of this package
		stacks := make([]byte, 1<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "lethe/sync/eventbrite.(")
	}
	for range 100 {
		if ours() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines still fetch", ours())
}

// together counts the calls that are under way at once.
type together struct{ now, most atomic.Int32 }

func (c *together) RoundTrip(r *http.Request) (*http.Response, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestPagesAreFetchedSideBySide(t *testing.T) {
	var calls together
	s, c := sandbox(t, eventbritetest.Options{}, func(o *eventbrite.Options) { o.Transport, o.Parallel = &calls, 4 })
	_, event, _ := crowd(s, 850) // 17 pages
	s.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 50 * time.Millisecond })
	collect(t, c.EventAttendees(t.Context(), event, eventbrite.Query{}))
	if n := calls.most.Load(); n != 4 {
		t.Errorf("at most %d pages were fetched at once, want 4", n)
	}
}

func TestRateLimitIsHandedBackAndReadingGoesOnThere(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{Limit: 6, Window: time.Second}, func(o *eventbrite.Options) { o.Parallel = 1 })
	_, event, questions := crowd(s, 500)
	got := map[attendees.AttendeeID]bool{}
	from, limited := 1, 0
	for done := false; !done; {
		done = true
		for p, err := range c.EventAttendees(t.Context(), event, eventbrite.Query{FromPage: from, Questions: questions}) {
			if l, ok := errors.AsType[*eventbrite.RateLimited](err); ok {
				limited, done = limited+1, false
				time.Sleep(time.Until(l.Until))
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			from = p.Number + 1
			for _, r := range p.Registrations {
				got[r.ID] = true
			}
		}
	}
	if len(got) != 500 || limited == 0 {
		t.Errorf("%d people, limited %d times", len(got), limited)
	}
}

func TestAttendeeByID(t *testing.T) {
	s, c := sandbox(t, eventbritetest.Options{})
	_, event, questions := crowd(s, 20)
	other, _ := s.AddEvent("", eventbritetest.Event{})
	for _, want := range s.Attendees(event, questions) {
		got, err := c.Attendee(t.Context(), event, want.ID, questions)
		if diff := cmp.Diff(want, got, reveal); err != nil || diff != "" {
			t.Errorf("error %v (-truth +got)\n%s", err, diff)
		}
	}
	id := s.Attendees(event, nil)[0].ID
	if err := s.Move(id, other); err != nil {
		t.Fatal(err)
	}
	s.Misbehave(func(q *eventbritetest.Quirks) { q.ExpansionFails = true })
	if got, err := c.Attendee(t.Context(), event, id, questions); err != nil || got.Event != other {
		t.Errorf("moved: event %v, error %v", got.Event, err)
	}
	if err := s.Remove(id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attendee(t.Context(), event, id, nil); !errors.Is(err, eventbrite.ErrNotFound) {
		t.Errorf("removed: error %v", err)
	}
	if _, err := c.Attendee(t.Context(), event, "../../users/me", nil); err == nil || strings.Contains(err.Error(), "users") {
		t.Errorf("a path as an id: error %v", err)
	}
}

func TestRefusedTokenSaysWhichAndWhereToGetAnother(t *testing.T) {
	const wrong = "WRONG-99"
	var log bytes.Buffer
	s, c := sandbox(t, eventbritetest.Options{}, func(o *eventbrite.Options) {
		o.Token = wrong
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	_, event, _ := crowd(s, 1)
	_, err := c.Organizations(t.Context())
	for _, err := range []error{err, first1(c.EventAttendees(t.Context(), event, eventbrite.Query{}))} {
		if !errors.Is(err, eventbrite.ErrToken) || !strings.Contains(err.Error(), "EVENTBRITE_TOKEN") ||
			!strings.Contains(err.Error(), "https://www.eventbrite.com/platform/api-keys") || strings.Contains(err.Error()+log.String(), wrong) {
			t.Errorf("error %v", err)
		}
	}
	if n := len(s.Calls()); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestOrganizationsEventsAndQuestions(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	s, c := sandbox(t, eventbritetest.Options{Now: func() time.Time { return now }})
	got, err := c.Organizations(t.Context())
	if diff := cmp.Diff([]eventbrite.Organization{{ID: "3000000000", Name: "Sandbox Organiser"}}, got); err != nil || diff != "" {
		t.Errorf("without any: error %v (-want +got)\n%s", err, diff)
	}
	d := s.Fill(3)
	got, err = c.Organizations(t.Context())
	if diff := cmp.Diff([]eventbrite.Organization{{ID: d.Organization, Name: "Harbour Lights Association"}}, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	var events []attendees.Event
	for page, err := range c.Events(t.Context(), d.Organization) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page...)
	}
	var ids []attendees.EventID
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	if want := []attendees.EventID{d.Old, d.Past, d.Cancelled, d.Coming, d.Far}; !slices.Equal(ids, want) {
		t.Errorf("events %v, want %v", ids, want)
	}
	e, err := c.Event(t.Context(), d.Coming)
	want := attendees.Event{ID: d.Coming, Organization: d.Organization, Name: "Winter Forum on Tides", Status: "live", Zone: "Europe/Berlin",
		Start: now.AddDate(0, 0, 21), End: now.AddDate(0, 0, 21).Add(8 * time.Hour), Changed: now}
	if diff := cmp.Diff(want, e); err != nil || diff != "" || e != events[3] {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
	if _, err := c.Event(t.Context(), "404"); !errors.Is(err, eventbrite.ErrNotFound) {
		t.Errorf("error %v", err)
	}
	questions, err := c.Questions(t.Context(), d.Coming)
	wantQuestions := []attendees.Question{
		{ID: d.Questions.Agreement, Title: "I have read the participation agreement, version 3, and agree", Type: "checkbox", Choices: []string{"I agree"}},
		{ID: d.Questions.Forums, Title: "Which forums would you like to join?", Type: "checkbox", Choices: []string{"Tides", "Lighthouses", "Knots & Splices"}},
		{ID: d.Questions.Affiliation, Title: "Whom do you come from?", Type: "text"},
		{ID: d.Questions.Diet, Title: "Diet and allergies", Type: "paragraph", FreeText: true},
	}
	if diff := cmp.Diff(wantQuestions, questions); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
}

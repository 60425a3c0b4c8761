package typeform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
	"lethe/sync/typeform/typeformtest"
)

const (
	agreement = typeformtest.AgreementFormID
	forum     = typeformtest.ForumFormID
)

func first() time.Time { return time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC) }

// people are invented.
func people(n int) []typeformtest.Person {
	all := make([]typeformtest.Person, n)
	for i := range all {
		all[i] = typeformtest.Person{
			AttendeeID: attendees.AttendeeID(fmt.Sprintf("45773%05d-1", i)),
			Name:       fmt.Sprintf("Ada Náiad the %dth", i),
			Email:      fmt.Sprintf("ada%d@example.org", i),
		}
	}
	return all
}

// sandbox starts a Typeform with both forms, and a client of it.
func sandbox(t *testing.T, o typeformtest.Options, options ...func(*Options)) (*typeformtest.Server, *Client) {
	t.Helper()
	s := typeformtest.New(o)
	s.AddForm(typeformtest.AgreementForm())
	s.AddForm(typeformtest.ForumForm())
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	co := Options{URL: url, Token: typeformtest.Token, PerSecond: 1e6, MinWait: time.Millisecond, MaxWait: 5 * time.Millisecond, Timeout: 5 * time.Second}
	for _, f := range options {
		f(&co)
	}
	c, err := New(co)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// get asks the sandbox without a client.
func get(t testing.TB, s *typeformtest.Server, path string) []byte {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+typeformtest.Token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// everything reads a whole listing.
func everything(t *testing.T, c *Client, form attendees.FormID, q Query) ([]attendees.Response, []Page, error) {
	t.Helper()
	var all []attendees.Response
	var pages []Page
	for p, err := range c.Responses(t.Context(), form, q) {
		if err != nil {
			return all, pages, err
		}
		all = append(all, p.Responses...)
		pages = append(pages, p)
	}
	return all, pages, nil
}

func ids(rs []attendees.Response) []attendees.ResponseID {
	var all []attendees.ResponseID
	for _, r := range rs {
		all = append(all, r.ID)
	}
	return all
}

func truth(s *typeformtest.Server, form attendees.FormID) []attendees.ResponseID {
	var all []attendees.ResponseID
	for _, r := range s.Responses(form) {
		all = append(all, r.ID)
	}
	return all
}

func TestAllResponsesCome(t *testing.T) {
	for name, f := range map[string]typeformtest.Faults{
		"from a healthy server":             {},
		"though a fifth of the calls fails": {Share: 0.2},
		"though large pages are too heavy":  {HeavyOver: 300},
		"though large pages time out":       {HeavyOver: 300, HeavyStatus: http.StatusGatewayTimeout},
		"though pages come shorter":         {MostPerPage: 170},
		"though it is asked to wait":        {Limited: 2, RetryAfter: "0"},
		"though it is not told how long":    {Limited: 3},
		"though bodies break off":           {Cut: 2},
		"though a proxy sends its own page": {HTML: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := sandbox(t, typeformtest.Options{})
			s.Fill(forum, people(1234), first())
			s.AddPartial(forum, people(1)[0], first().Add(time.Hour))
			s.SetFaults(f)
			got, _, err := everything(t, c, forum, Query{PageSize: 500})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(truth(s, forum), ids(got)); d != "" {
				t.Errorf("responses (-want +got):\n%s", d)
			}
			if c.Date().IsZero() || c.Calls() < 3 {
				t.Errorf("date %v after %d calls", c.Date(), c.Calls())
			}
		})
	}
}

func TestPagesThatEndOnTheDotAreFollowedByAnEmptyOne(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(400), first())
	got, pages, err := everything(t, c, forum, Query{PageSize: 200})
	if err != nil || len(got) != 400 {
		t.Fatalf("got %d responses, %v; want 400", len(got), err)
	}
	if len(pages) != 3 || pages[0].Total != 400 {
		t.Errorf("got %d pages, total %d; want 3, 400", len(pages), pages[0].Total)
	}
}

func TestOnlyLinkedAnswersTravelAndOnlyTheyAreDecoded(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	p := typeformtest.Person{AttendeeID: "457731909-1", Name: "Ada Náiad", Email: "ada@example.org"}
	s.AddResponse(agreement, p, first())
	s.AddResponse(agreement, typeformtest.Person{Name: "Bo Styx", Email: "bo@example.org"}, first(),
		typeformtest.Answer{Question: typeformtest.Agree, Value: false},
		typeformtest.Answer{Question: typeformtest.AgreementVersion, Value: nil})
	linked := ask(typeformtest.Email, typeformtest.Agree, typeformtest.AgreementVersion)

	got, pages, err := everything(t, c, agreement, Query{Questions: linked, Fields: []string{"c0nMa1laaaa1", "legalaaaaa01", "ver5ionaaa01"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []shown{
		{got[0].ID, "", "2026-05-01T10:00:00Z", map[attendees.QuestionID][]string{"email": {"bo@example.org"}, "agree": {"false"}}},
		{got[1].ID, "457731909-1", "2026-05-01T10:00:00Z", map[attendees.QuestionID][]string{"email": {"ada@example.org"}, "agree": {"true"}, "agreement-version": {"2026-1"}}},
	}
	if d := cmp.Diff(want, show(got)); d != "" {
		t.Errorf("responses (-want +got):\n%s", d)
	}
	if pages[0].Bytes <= pages[0].Kept || pages[0].Kept == 0 || len(pages[0].Unknown) > 0 {
		t.Errorf("%d bytes, %d kept, unknown %v", pages[0].Bytes, pages[0].Kept, pages[0].Unknown)
	}

	// With no questions, no answer travels.
	_, none, err := everything(t, c, agreement, Query{})
	if err != nil {
		t.Fatal(err)
	}
	if none[0].Bytes >= pages[0].Bytes {
		t.Errorf("%d bytes without answers, %d with three", none[0].Bytes, pages[0].Bytes)
	}
	for _, call := range s.Log() {
		if strings.HasSuffix(call.Path, "/responses") && call.Query.Get("fields") == "" {
			t.Errorf("a call asked for all fields: %v", call.Query)
		}
	}

	// Sent all the same, they are skipped.
	all, err := decode(get(t, s, "/forms/"+string(agreement)+"/responses"), agreement, linked)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, show(all.Responses)); d != "" {
		t.Errorf("responses with all fields sent (-want +got):\n%s", d)
	}
}

func TestNoForbiddenValueIsDecoded(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(agreement, people(30), first())
	s.Fill(forum, people(30), first())
	for _, form := range []typeformtest.Form{typeformtest.AgreementForm(), typeformtest.ForumForm()} {
		def, err := c.Form(t.Context(), form.ID)
		if err != nil {
			t.Fatal(err)
		}
		linkable := map[attendees.QuestionID]bool{}
		for _, q := range def.Questions {
			if own, _ := form.Question(q.Ref); !own.Unlinked {
				linkable[q.Ref] = true
			}
		}
		body := get(t, s, "/forms/"+string(form.ID)+"/responses")
		if !bytes.Contains(body, []byte(typeformtest.Secret)) {
			t.Fatal("the sandbox sends nothing forbidden")
		}
		got, err := decode(body, form.ID, linkable)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Unknown) > 0 {
			t.Errorf("linkable fields that were not decoded: %v", got.Unknown)
		}
		if text := fmt.Sprintf("%v", show(got.Responses)); strings.Contains(text, typeformtest.Secret) || len(got.Responses) == 0 {
			t.Errorf("form %s: a forbidden value was decoded, or nothing was", form.ID)
		}
	}
}

func TestSinceAndUntilAreInclusiveAndInUTC(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	for i := range 10 {
		s.AddResponse(forum, people(10)[i], first().Add(time.Duration(i)*time.Second))
	}
	zone := time.FixedZone("somewhere", 2*60*60)
	got, _, err := everything(t, c, forum, Query{
		Since: first().Add(3*time.Second + 400*time.Millisecond).In(zone), Until: first().Add(6 * time.Second).In(zone),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := truth(s, forum)[3:7]; !slices.Equal(want, ids(got)) {
		t.Errorf("got %v, want %v", ids(got), want)
	}
	q := s.Log()[0].Query
	if q.Get("since") != "2026-05-01T10:00:03Z" || q.Get("until") != "2026-05-01T10:00:06Z" || q.Has("sort") {
		t.Errorf("asked with %v", q)
	}
}

func TestAWalkThatGoesRoundIsAnError(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(300), first())
	s.SetFaults(typeformtest.Faults{Endless: true})
	_, pages, err := everything(t, c, forum, Query{PageSize: 200})
	if !errors.Is(err, ErrEndless) {
		t.Fatalf("got %v after %d pages, want ErrEndless", err, len(pages))
	}
	if n := s.Calls(""); n > 2 {
		t.Errorf("%d calls before it was seen", n)
	}
}

func TestAnIdlePullCostsOneCall(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(10), first())
	late := Query{Since: first().Add(time.Hour)}
	for i, want := range []int{2, 1, 1} { // the first one asks for the region besides
		s.ResetLog()
		if got, _, err := everything(t, c, forum, late); err != nil || len(got) > 0 {
			t.Fatalf("got %d responses, %v; want none", len(got), err)
		}
		if n := s.Calls(""); n != want {
			t.Errorf("pull %d: %d calls, want %d", i+1, n, want)
		}
	}
	s.ResetLog()
	late.RegionKnown = true
	if _, _, err := everything(t, c, agreement, late); err != nil || s.Calls("") != 1 {
		t.Errorf("with the region known: %d calls, %v; want 1", s.Calls(""), err)
	}
}

func TestAnEmptyListFromTheWrongRegionIsNotBelieved(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	ids := s.Fill(forum, people(10), first())
	s.SetFaults(typeformtest.Faults{WrongRegion: "api.eu.typeform.com"})
	ask := func() error { _, _, err := everything(t, c, forum, Query{}); return err }
	look := func() error { _, err := c.Lookup(t.Context(), forum, ids); return err }
	for name, do := range map[string]func() error{"list": ask, "look up": look, "list again": ask} {
		err := do()
		wrong, ok := errors.AsType[*WrongRegion](err)
		if !ok || wrong.Want != "api.eu.typeform.com" || wrong.Form != forum {
			t.Fatalf("%s: got %v, want *WrongRegion", name, err)
		}
		if !strings.Contains(err.Error(), "set TYPEFORM_URL to https://api.eu.typeform.com") {
			t.Errorf("%s: the way out is missing: %v", name, err)
		}
	}
	s.SetFaults(typeformtest.Faults{WrongRegion: "evil.example"})
	if err := ask(); err == nil || strings.Contains(err.Error(), "set TYPEFORM_URL") {
		t.Errorf("a foreign host is recommended: %v", err)
	}
	for _, call := range s.Log() {
		if !strings.HasPrefix(call.Path, "/forms/") {
			t.Errorf("strange call %v", call)
		}
	}
}

func TestEndpointsThatLackAreNoFailure(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.SetFaults(typeformtest.Faults{Lacking: true})
	if _, err := c.Forms(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Forms: got %v, want ErrUnsupported", err)
	}
	if _, err := c.Me(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Me: got %v, want ErrUnsupported", err)
	}
	if _, _, err := everything(t, c, forum, Query{}); err != nil {
		t.Errorf("an empty form without _links: %v", err)
	}
	s.SetFaults(typeformtest.Faults{})
	if a, err := c.Me(t.Context()); err != nil || a.Alias != "Sandbox" {
		t.Errorf("Me: got %+v, %v", a, err)
	}
}

func TestAllFormsAreListed(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	for i := range 450 {
		s.AddForm(typeformtest.Form{ID: attendees.FormID(fmt.Sprintf("f%03d", i)), Title: "Another"})
	}
	got, err := c.Forms(t.Context())
	if err != nil || len(got) != 452 || got[0].ID != agreement || got[0].Title != "Participation agreement" {
		t.Errorf("got %d forms, %v; want 452, the agreement first", len(got), err)
	}
	if n := s.Calls("/forms"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestABadTokenNamesTheWayOut(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		s, c := sandbox(t, typeformtest.Options{})
		s.SetFaults(typeformtest.Faults{Refused: status})
		_, _, err := everything(t, c, forum, Query{})
		if !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), "TYPEFORM_TOKEN") ||
			!strings.Contains(err.Error(), "https://admin.typeform.com/user/tokens") {
			t.Errorf("status %d: got %v", status, err)
		}
		if n := s.Calls(""); n != 1 {
			t.Errorf("status %d: asked %d times", status, n)
		}
	}
	_, c := sandbox(t, typeformtest.Options{}, func(o *Options) { o.Token = "tfp_other" })
	if _, err := c.Form(t.Context(), forum); !errors.Is(err, ErrToken) || strings.Contains(err.Error(), "tfp_other") {
		t.Errorf("got %v, want ErrToken without the token", err)
	}
	if _, err := New(Options{}); !errors.Is(err, ErrToken) {
		t.Errorf("no token: got %v, want ErrToken", err)
	}
}

func TestALongRateLimitComesBackAsOne(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.SetFaults(typeformtest.Faults{Limited: 1, RetryAfter: "3600"})
	_, _, err := everything(t, c, forum, Query{})
	limited, ok := errors.AsType[*RateLimited](err)
	if !ok || time.Until(limited.Until) < 50*time.Minute {
		t.Errorf("got %v, want rate limited for an hour", err)
	}
}

func TestAnOutageIsSeenAsOne(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{}, func(o *Options) { o.Attempts = 2 })
	s.SetFaults(typeformtest.Faults{Share: 1})
	if _, _, err := everything(t, c, forum, Query{}); err == nil {
		t.Fatal("no error")
	}
	if n := s.Calls(""); n != 8 { // four sizes, twice each
		t.Errorf("%d calls, want 8", n)
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{}, func(o *Options) { o.Timeout = 50 * time.Millisecond; o.Attempts = 2 })
	s.Fill(forum, people(3), first())
	s.SetFaults(typeformtest.Faults{Silent: 1})
	if got, _, err := everything(t, c, forum, Query{}); err != nil || len(got) != 3 {
		t.Errorf("silent once: got %d, %v; want 3", len(got), err)
	}
	s.SetFaults(typeformtest.Faults{Silent: 9})
	if _, _, err := everything(t, c, forum, Query{}); err == nil {
		t.Error("silent for good: no error")
	}
}

func TestTheCallerMayStopAnyTime(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(500), first())
	for range c.Responses(t.Context(), forum, Query{PageSize: 200}) {
		break
	}
	if n := s.Calls(""); n != 1 {
		t.Errorf("%d calls after the loop was left on the first page", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.Responses(ctx, forum, Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want cancelled", err)
		}
	}
}

func TestDeletedResponsesAreSeenToBeGone(t *testing.T) {
	now := first().Add(24 * time.Hour)
	s, c := sandbox(t, typeformtest.Options{DeleteDelay: time.Hour, Now: func() time.Time { return now }})
	all := s.Fill(forum, people(2300), first())
	doomed := all[:1200]
	if err := c.Delete(t.Context(), forum, append(slices.Clone(doomed), "never-there")); err != nil {
		t.Fatal(err)
	}
	if n := s.Calls(""); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
	if got, err := c.Lookup(t.Context(), forum, all[1100:1300]); err != nil || len(got) != 200 {
		t.Fatalf("before it is carried out: got %d, %v; want 200", len(got), err)
	}
	now = now.Add(2 * time.Hour)
	got, err := c.Lookup(t.Context(), forum, all[1100:1300])
	slices.Sort(got)
	want := slices.Sorted(slices.Values(all[1200:1300]))
	if err != nil || !slices.Equal(want, got) {
		t.Fatalf("afterwards: got %d, %v; want the 100 that were not deleted", len(got), err)
	}
	if got, err := c.Lookup(t.Context(), forum, doomed); err != nil || len(got) > 0 {
		t.Errorf("got %d of the deleted, %v; want none", len(got), err)
	}
	// Few ids go into the query.
	s.ResetLog()
	if err := c.Delete(t.Context(), forum, all[2298:]); err != nil {
		t.Fatal(err)
	}
	if q := s.Log()[0].Query.Get("included_response_ids"); q != string(all[2298]+","+all[2299]) {
		t.Errorf("asked with %q", q)
	}
}

func TestNothingIsDeletedWithoutAnId(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	if err := c.Delete(t.Context(), forum, nil); err != nil {
		t.Errorf("no ids: %v", err)
	}
	if err := c.Delete(t.Context(), forum, []attendees.ResponseID{"a", ""}); err == nil {
		t.Error("an empty id went through")
	}
	if n := s.Calls(""); n != 0 {
		t.Errorf("%d calls went out", n)
	}
}

func TestStrangeFormIdsDoNotGoOut(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	for _, id := range []attendees.FormID{"", "..", "a/b", "a?b", "a b", "a%2fb"} {
		_, errForm := c.Form(t.Context(), id)
		_, _, errList := everything(t, c, id, Query{})
		if errForm == nil || errList == nil || c.Delete(t.Context(), id, []attendees.ResponseID{"x"}) == nil {
			t.Errorf("%q went through", id)
		}
	}
	if n := s.Calls(""); n != 0 {
		t.Errorf("%d calls went out", n)
	}
	if _, err := c.Form(t.Context(), "unknown"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestLogsNameNobody(t *testing.T) {
	var out bytes.Buffer
	s, c := sandbox(t, typeformtest.Options{}, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	s.Fill(forum, people(300), first())
	s.SetFaults(typeformtest.Faults{HeavyOver: 200})
	if _, _, err := everything(t, c, forum, Query{Questions: ask(typeformtest.Name)}); err != nil {
		t.Fatal(err)
	}
	for _, no := range []string{"Ada", "example.org", "45773", typeformtest.Secret, typeformtest.Token, "page_size"} {
		if strings.Contains(out.String(), no) {
			t.Errorf("%q is in the log:\n%s", no, out.String())
		}
	}
	if !strings.Contains(out.String(), "too heavy") {
		t.Errorf("the smaller pages are not told:\n%s", out.String())
	}
}

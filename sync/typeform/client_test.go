package typeform

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
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

func TestTheVendorsPaceIsKept(t *testing.T) {
	_, c := sandbox(t, typeformtest.Options{}, func(o *Options) { o.PerSecond = 0 })
	start := time.Now()
	for range 3 {
		if _, err := c.Me(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 900*time.Millisecond {
		t.Errorf("three calls took %v; two a second are allowed", took)
	}
}

package eventbritetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
)

// ask makes one call past the network.
func ask(s *Server, path string, header ...string) *http.Response {
	r := httptest.NewRequest("GET", "/v3"+path, nil)
	r.Header.Set("Authorization", "Bearer "+Token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(resp *http.Response) string {
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

func TestForbiddenFieldsAreAllFilledAndMarked(t *testing.T) {
	s := New(Options{})
	event, _ := s.AddEvent(s.AddOrganization("Org"), Event{Name: "E"}, Questions()...)
	id := s.AddPeople(event, 100)[1]
	text := body(ask(s, fmt.Sprintf("/events/%s/attendees/%s/", event, id)))
	if n := len(text); n < 1700 || n > 2700 {
		t.Errorf("an attendee has %d bytes", n)
	}
	var a struct {
		Affiliate, Notes string
		InvitedBy        string `json:"invited_by"`
		Promo            struct {
			Code string
		} `json:"promotional_code"`
		Barcodes []struct{ Barcode string }
		Costs    map[string]struct{ Display string }
		Profile  struct {
			Prefix, Company, Website, Blog, Gender string
			Job                                    string `json:"job_title"`
			Birth                                  string `json:"birth_date"`
			Cell                                   string `json:"cell_phone"`
			Work                                   string `json:"work_phone"`
			Addresses                              map[string]struct {
				Street string `json:"address_1"`
				City   string
			}
		}
		Answers []struct{ Answer any }
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	p := a.Profile
	for i, v := range []string{
		a.Affiliate, a.Notes, a.InvitedBy, a.Promo.Code, a.Barcodes[0].Barcode, a.Costs["gross"].Display,
		p.Prefix, p.Company, p.Website, p.Blog, p.Gender, p.Job, p.Birth, p.Cell, p.Work,
		p.Addresses["home"].Street, p.Addresses["bill"].City, fmt.Sprint(a.Answers[3].Answer),
	} {
		if !strings.HasPrefix(v, Secret) {
			t.Errorf("forbidden value %d is %q", i, v)
		}
	}
	if !strings.Contains(body(ask(s, "/events/"+string(event)+"/")), Secret) {
		t.Error("the event has no marked password")
	}
}

func TestTheSameSeedInventsTheSamePeople(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC) }
	people := func(seed uint64) []attendees.Registration {
		s := New(Options{Seed: seed, Now: now})
		return s.Attendees(s.Fill(300).Coming, nil)
	}
	reveal := cmp.Transformer("reveal", func(p attendees.Personal) string { return p.Reveal() })
	if diff := cmp.Diff(people(1), people(1), reveal); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(people(1), people(2), reveal) {
		t.Error("another seed, the same people")
	}
}

func TestCrowdHoldsTheOddOnes(t *testing.T) {
	s := New(Options{})
	event, _ := s.AddEvent(s.AddOrganization("Org"), Event{})
	s.AddPeople(event, 300)
	all := s.Attendees(event, nil)
	for name, is := range map[string]func(attendees.Registration) bool{
		"cancelled":      func(r attendees.Registration) bool { return r.Cancelled && !r.Refunded },
		"refunded":       func(r attendees.Registration) bool { return r.Refunded },
		"checked in":     func(r attendees.Registration) bool { return r.Attended },
		"empty status":   func(r attendees.Registration) bool { return r.Status == "" },
		"odd status":     func(r attendees.Registration) bool { return r.Status == "Guests Attending" },
		"suffixed id":    func(r attendees.Registration) bool { return strings.HasSuffix(string(r.ID), "-1") },
		"Info Requested": func(r attendees.Registration) bool { return r.Name == "Info Requested" },
		"no profile":     func(r attendees.Registration) bool { return r.Name == "" && r.Email == "" },
		"group order": func(r attendees.Registration) bool {
			return r.Email != "" && slices.ContainsFunc(all, func(o attendees.Registration) bool { return o.ID != r.ID && o.Email == r.Email })
		},
		"a tie": func(r attendees.Registration) bool {
			return slices.ContainsFunc(all, func(o attendees.Registration) bool { return o.ID != r.ID && o.Changed.Equal(r.Changed) })
		},
	} {
		if !slices.ContainsFunc(all, is) {
			t.Errorf("nobody is %s", name)
		}
	}
}

func TestSandboxRefusesAsEventbriteDoes(t *testing.T) {
	s := New(Options{})
	d := s.Fill(60)
	attendeesOf := "/events/" + string(d.Coming) + "/attendees/"
	for path, want := range map[string]string{
		"/events/404/": `404 "NOT_FOUND"`, "/nothing/": `404 "NOT_FOUND"`,
		attendeesOf + "1/": `404 "NOT_FOUND"`, attendeesOf + "?page=3": `400 "BAD_PAGE"`, attendeesOf + "?page=0": `400 "BAD_PAGE"`,
		attendeesOf + "?continuation=x":                           `400 "BAD_CONTINUATION_TOKEN"`,
		attendeesOf + "?changed_since=2026-05-01T10:00:00.5Z":     `400 "ARGUMENTS_ERROR"`,
		attendeesOf + "?changed_since=2026-05-01T10:00:00%2B0200": `400 "ARGUMENTS_ERROR"`,
	} {
		resp := ask(s, path)
		if got := body(resp); fmt.Sprint(resp.StatusCode) != want[:3] || !strings.Contains(got, `"error":`+want[4:]) {
			t.Errorf("%s: %d %.120s, want %s", path, resp.StatusCode, got, want)
		}
	}
	for token, code := range map[string]string{"": "NO_AUTH", "Bearer x": "INVALID_AUTH"} {
		if resp := ask(s, "/users/me/", "Authorization", token); resp.StatusCode != 401 || !strings.Contains(body(resp), code) {
			t.Errorf("token %q: %d", token, resp.StatusCode)
		}
	}
	if resp := ask(s, "/users/me?a=b"); resp.StatusCode != 301 || resp.Header.Get("Location") != "/v3/users/me/?a=b" {
		t.Errorf("no slash: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
}

func TestBudgetIsToldAndEnds(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	s := New(Options{Limit: 2, Now: func() time.Time { return now }})
	for i, want := range []int{200, 200, 429} {
		resp := ask(s, "/users/me/")
		header := fmt.Sprintf("token:SANDBOX %d/2 reset=3600s, key:SANDBOX %[1]d/2 reset=3600s", min(i+1, 2))
		if got := resp.Header.Get("X-Rate-Limit"); resp.StatusCode != want || got != header {
			t.Errorf("call %d: %d with %q, want %d with %q", i+1, resp.StatusCode, got, want, header)
		}
	}
	now = now.Add(time.Hour)
	if resp := ask(s, "/users/me/"); resp.StatusCode != 200 {
		t.Errorf("after the reset: %d", resp.StatusCode)
	}
	if n := s.CallsTo("/users/me/"); n != 4 {
		t.Errorf("%d calls logged, want 4", n)
	}
}

func TestHalfListedPeopleStillAnswerByID(t *testing.T) {
	s := New(Options{})
	event, _ := s.AddEvent(s.AddOrganization("Org"), Event{})
	ids := s.AddPeople(event, 40)
	s.Misbehave(func(q *Quirks) { q.HalfListed = true })
	list := body(ask(s, "/events/"+string(event)+"/attendees/"))
	listed := 0
	for _, id := range ids {
		if strings.Contains(list, `"id":"`+string(id)+`"`) {
			listed++
		}
		if resp := ask(s, fmt.Sprintf("/events/%s/attendees/%s/", event, id)); resp.StatusCode != 200 {
			t.Errorf("attendee %s: %d", id, resp.StatusCode)
		}
	}
	if listed != 20 {
		t.Errorf("%d listed, want 20", listed)
	}
}

func TestCheckInDoesNotMoveChanged(t *testing.T) {
	s := New(Options{})
	event, _ := s.AddEvent(s.AddOrganization("Org"), Event{})
	id := s.AddPeople(event, 1)[0]
	before := s.Attendees(event, nil)[0].Changed
	if err := s.CheckIn(id); err != nil {
		t.Fatal(err)
	}
	if a := s.Attendees(event, nil)[0]; !a.Attended || !a.Changed.Equal(before) {
		t.Errorf("attended %v, changed %v, before %v", a.Attended, a.Changed, before)
	}
	if err := s.Cancel(id); err != nil {
		t.Fatal(err)
	}
	if a := s.Attendees(event, nil)[0]; !a.Cancelled || !a.Changed.After(before) {
		t.Errorf("cancelled %v, changed %v, before %v", a.Cancelled, a.Changed, before)
	}
}

package web

import (
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// access is what a route is known to be for: written down a second time, so that one
// slip in the route table opens nothing unseen.
type access struct {
	may    string // roles; "everybody" signed in or not; "" nobody
	path   string // an example; EVENT stands for an event's id
	form   url.Values
	status int // where somebody is let in; 0: 200
}

const everyRole = "organiser operator officer"

var known = map[string]access{
	"/":                                        {may: "everybody", path: "/nowhere", status: 404},
	"GET /{$}":                                 {may: everyRole, path: "/", status: 303},
	"GET /healthz":                             {may: "everybody", path: "/healthz"},
	"GET /readyz":                              {may: "everybody", path: "/readyz"},
	"GET /look.css":                            {may: "everybody", path: "/look.css"},
	"GET /river.css":                           {may: "everybody", path: "/river.css"},
	"GET /river.js":                            {may: "everybody", path: "/river.js"},
	"GET /icon.svg":                            {may: "everybody", path: "/icon.svg"},
	"GET /signin":                              {may: "everybody", path: "/signin"},
	"POST /signin":                             {may: "everybody", path: "/signin", form: url.Values{"email": {"nobody@example.org"}}},
	"GET /signin/{token}":                      {may: "everybody", path: "/signin/x"},
	"POST /signin/{token}":                     {may: "everybody", path: "/signin/x", status: 410},
	"POST /signout":                            {may: everyRole, path: "/signout", status: 303},
	"POST /signout/everywhere":                 {may: everyRole, path: "/signout/everywhere", status: 303},
	"GET /account":                             {may: everyRole, path: "/account"},
	"GET /events":                              {may: everyRole, path: "/events"},
	"GET /events/{event}":                      {may: everyRole, path: "/events/EVENT"},
	"POST /events/{event}/pull":                {may: "organiser", path: "/events/EVENT/pull", status: 303},
	"GET /events/{event}/pull":                 {may: "organiser", path: "/events/EVENT/pull?since=0"},
	"GET /events/{event}/link":                 {may: "organiser", path: "/events/EVENT/link"},
	"POST /events/{event}/link":                {may: "organiser", path: "/events/EVENT/link", status: 422},
	"GET /events/{event}/attendees":            {may: "organiser", path: "/events/EVENT/attendees"},
	"POST /events/{event}/attendees":           {may: "organiser", path: "/events/EVENT/attendees", form: url.Values{"q": {"testperson"}}, status: 303},
	"GET /events/{event}/attendees/{attendee}": {may: "organiser", path: "/events/EVENT/attendees/4711000"},
	"POST /events/{event}/attendees/{attendee}/answers": {may: "organiser", path: "/events/EVENT/attendees/4711000/answers", status: 422},
	"GET /events/{event}/export":                        {may: "organiser", path: "/events/EVENT/export?purpose=forum&format=csv"},
	"GET /exports":                                      {may: "organiser", path: "/exports"},
	"GET /participation":                                {may: "organiser", path: "/participation"},
	"GET /participation/{event}":                        {may: "organiser", path: "/participation/EVENT"},
	"GET /participation/{event}/list.csv":               {may: "organiser", path: "/participation/EVENT/list.csv"},
	"GET /plan":                                         {may: everyRole, path: "/plan"},
	"POST /events/{event}/tasks":                        {may: everyRole, path: "/events/EVENT/tasks", form: url.Values{"task": {"0"}}, status: 422},
	"GET /ledger":                                       {may: "officer", path: "/ledger"},
	"POST /ledger/verify":                               {may: "officer", path: "/ledger/verify"},
	"GET /ledger/checkpoint":                            {may: "officer", path: "/ledger/checkpoint"},
	"GET /ledger/certificates/{entry}":                  {may: "officer", path: "/ledger/certificates/1"},
	"GET /requests":                                     {may: "officer", path: "/requests"},
	"GET /requests/add":                                 {may: "officer", path: "/requests/add"},
	"POST /requests/add":                                {may: "officer", path: "/requests/add", status: 422},
	"GET /requests/{number}":                            {may: "officer", path: "/requests/999", status: 404},
	"POST /requests/{number}/decide":                    {may: "officer", path: "/requests/999/decide", status: 422},
	"POST /requests/{number}/extend":                    {may: "officer", path: "/requests/999/extend", status: 422},
	"POST /requests/{number}/pause":                     {may: "officer", path: "/requests/999/pause", status: 422},
	"POST /requests/{number}/verify":                    {may: "officer", path: "/requests/999/verify", status: 404},
	"GET /my-data":                                      {may: "everybody", path: "/my-data"},
	"POST /my-data":                                     {may: "everybody", path: "/my-data", form: url.Values{"email": {"nobody@example.org"}}},
	"GET /my-data/link/{token}":                         {may: "everybody", path: "/my-data/link/x"},
	"POST /my-data/link/{token}":                        {may: "everybody", path: "/my-data/link/x", status: 410},
	"POST /my-data/close":                               {may: "everybody", path: "/my-data/close"},
	"GET /my-data/data.json":                            {may: "everybody", path: "/my-data/data.json", status: 303},
	"GET /my-data/data.zip":                             {may: "everybody", path: "/my-data/data.zip", status: 303},
	"GET /my-data/ask":                                  {may: "everybody", path: "/my-data/ask", status: 303},
	"GET /my-data/requests":                             {may: "everybody", path: "/my-data/requests", status: 303},
	"POST /my-data/requests":                            {may: "everybody", path: "/my-data/requests", status: 303},
	"POST /my-data/lift":                                {may: "everybody", path: "/my-data/lift", status: 303},
	"GET /operations":                                   {may: "operator", path: "/operations"},
	"/operations/jobs/":                                 {may: "operator", path: "/operations/jobs/"},
}

func TestEveryRouteLetsInExactlyThoseItIsFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const own, another = "4711", "4712"
	users := map[string]postgres.User{}
	for _, role := range attendees.Roles() {
		users[string(role)] = h.user(string(role)+"@example.org", []attendees.EventID{own}, role)
	}
	users["of no role"] = h.user("none@example.org", nil)
	seen := map[string]bool{}
	for _, route := range h.table {
		k, ok := known[route.pattern]
		if !ok {
			t.Errorf("%s has no row in the test that says who may have it", route.pattern)
			continue
		}
		seen[route.pattern] = true
		method, _, ok := strings.Cut(route.pattern, " ")
		if !ok {
			method = "GET"
		}
		events := []string{own}
		if strings.Contains(k.path, "EVENT") {
			events = []string{own, another, "nonsense"}
		}
		for _, event := range events {
			path := strings.ReplaceAll(k.path, "EVENT", event)
			want := func(who string) (int, string) {
				in := k.status
				if in == 0 {
					in = http.StatusOK
				}
				switch {
				case k.may == "everybody":
					return in, ""
				case who == "signed out", who == "of no role":
					return http.StatusSeeOther, "/signin"
				case !slices.Contains(strings.Fields(k.may), who), event == "nonsense", who == "organiser" && event != own:
					return http.StatusNotFound, ""
				}
				return in, ""
			}
			check := func(who string, b *browser) {
				t.Helper()
				a := b.ask(method, path, k.form)
				status, to := want(who)
				if a.status != status || to != "" && a.to != to {
					t.Errorf("%s %s for %s answers %d %s, want %d %s", method, path, who, a.status, a.to, status, to)
				}
				if status == http.StatusNotFound && strings.Contains(a.body, "Testperson") {
					t.Errorf("%s %s for %s names somebody", method, path, who)
				}
			}
			check("signed out", h.browser())
			for who, u := range users {
				if who == "of no role" {
					continue
				}
				check(who, h.signedIn(u))
			}
		}
	}
	for pattern := range known {
		if !seen[pattern] {
			t.Errorf("%s is tested, and there is no such route", pattern)
		}
	}
	// Somebody without a role signs in and gets nowhere.
	if a := h.signedIn(users["of no role"]).get("/plan"); a.status != http.StatusSeeOther || a.to != "/signin" {
		t.Errorf("without a role the plan answers %d %s", a.status, a.to)
	}
}

func TestAnOrganiserOfAllEventsSeesEach(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	if a := b.get("/plan"); !strings.Contains(a.body, "Open Science Forum") || !strings.Contains(a.body, "Array Summit") {
		t.Error("the plan lacks an event")
	}
	b = h.signedIn(h.user("eve@example.org", []attendees.EventID{"4711"}, attendees.Organiser))
	if a := b.get("/plan"); !strings.Contains(a.body, "Open Science Forum") || strings.Contains(a.body, "Array Summit") {
		t.Error("the plan of one event's organiser shows another's, or not her own")
	}
}

func TestEveryAnswerCarriesSafeHeadersAndRefusesOtherSites(t *testing.T) {
	t.Parallel()
	plain := newHouse(t)
	for _, route := range plain.table {
		k := known[route.pattern]
		method, _, ok := strings.Cut(route.pattern, " ")
		if !ok {
			method = "GET"
		}
		path := strings.ReplaceAll(k.path, "EVENT", "4711")
		u := plain.user("all@example.org", nil, attendees.Roles()...)
		for _, b := range []*browser{plain.browser(), plain.signedIn(u)} {
			a := b.ask(method, path, k.form)
			policy := a.header.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s %s: the policy is %q, without %s", method, path, policy, part)
				}
			}
			river := strings.HasPrefix(path, "/operations/jobs/")
			if strings.Contains(policy, "unsafe-inline") != river || strings.Contains(policy, "script-src") != river {
				t.Errorf("%s %s: the policy is %q", method, path, policy)
			}
			cache := "no-store"
			if slices.Contains([]string{".css", ".svg", ".js"}, filepath.Ext(path)) {
				cache = "public, max-age=3600"
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": cache, "Strict-Transport-Security": "",
			} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, path, name, got, want)
				}
			}
			r, err := http.NewRequestWithContext(t.Context(), "POST", plain.server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if a := b.do(r); a.status != http.StatusForbidden {
				t.Errorf("a cross-site POST %s answers %d", path, a.status)
			}
		}
	}
}

func TestBehindHTTPSNothingGoesInPlain(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, "https://lethe.test")
	token, err := h.Store.NewSignIn(t.Context(), h.user("ada@example.org", nil, attendees.Operator).ID)
	if err != nil {
		t.Fatal(err)
	}
	a := h.browser().post("/signin/"+token, nil)
	if a.status != http.StatusSeeOther {
		t.Fatalf("signing in answers %d: %s", a.status, h.log)
	}
	if got := a.header.Get("Strict-Transport-Security"); !strings.HasPrefix(got, "max-age=63072000") {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-lethe=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q lacks %s", cookie[:20], part)
		}
	}
	if strings.Contains(cookie, token) {
		t.Error("the link's token is the session's, too")
	}
}

func TestWhatNoDatabaseTakesIsNotThere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser, attendees.Officer, attendees.Operator))
	for _, path := range []string{"/events/%00", "/events/4711%ff/attendees", "/plan?as_of=%00", "/events?q=%ff", "/events/4711/attendees/%00", "/requests/2147483648"} {
		if a := b.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
	for path, form := range map[string]url.Values{
		"/signin":                                email("\x00"),
		"/requests/add":                          {"received": {"2026-01-01"}, "email": {"a@\x00"}, "came_by": {"mail"}, "right": {"access"}, "event": {"4711"}},
		"/requests/999/extend":                   {"reason": {"\xff"}},
		"/events/4711/link":                      {"form": {"\x00"}, "do": {"remove"}},
		"/events/4711/attendees/4711000/answers": {"form": {"\x00"}, "answer": {"\xff"}},
	} {
		if a := b.post(path, form); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s with %q answers %d", path, form, a.status)
		}
	}
	for _, path := range []string{"/requests/2147483648/extend", "/requests/9223372036854775807/verify"} {
		if a := b.post(path, url.Values{"reason": {"It is late."}}); a.status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, a.status)
		}
	}
	if a := b.get("/plan?as_of=0000-01-01"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("the plan of a day that no calendar has answers %d", a.status)
	}
}

func TestAPageBehindTheLastIsTheLast(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	for _, page := range []string{"2", "200000000000000000", "99999999999999999999", "-1", "nonsense"} {
		if a := b.get("/events?page=" + page); a.status != 200 || !strings.Contains(a.body, "Open Science Forum") {
			t.Errorf("page %s of one answers %d", page, a.status)
		}
	}
}

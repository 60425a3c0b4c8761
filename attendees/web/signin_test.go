package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func email(address string) url.Values { return url.Values{"email": {address}} }

func TestALinkSignsInOnceAndOnlyByItsButton(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.user("ada@example.org", nil, attendees.Organiser)
	h.browser().post("/signin", email("  ADA@Example.ORG "))
	link := h.link()
	if !strings.HasPrefix(link, "/signin/") {
		t.Fatalf("the link is %q", link)
	}
	scanner := h.browser()
	for range 3 {
		if a := scanner.get(link); a.status != 200 || strings.Count(a.body, "<button") != 1 || a.header.Get("Set-Cookie") != "" {
			t.Errorf("opening the link answers %d with %d buttons", a.status, strings.Count(a.body, "<button"))
		}
	}
	if a := scanner.get("/account"); a.to != "/signin" {
		t.Error("opening the link has signed somebody in")
	}
	ada := h.browser()
	if a := ada.post(link, nil); a.status != http.StatusSeeOther || a.to != "/" {
		t.Errorf("the button answers %d %s", a.status, a.to)
	}
	if a := ada.get("/account"); a.status != 200 || !strings.Contains(a.body, "ada@example.org") {
		t.Errorf("after the button her account answers %d", a.status)
	}
	if a := ada.get("/"); a.to != "/events" {
		t.Errorf("her first page is %q", a.to)
	}
	if a := h.browser().post(link, nil); a.status != http.StatusGone || a.header.Get("Set-Cookie") != "" {
		t.Errorf("the second press answers %d", a.status)
	}
	var kept string
	err := h.Store.DB().Get(&kept, `select coalesce(string_agg(s::text, ' '), '') || (select string_agg(t::text, ' ') from sessions t) from signins s`)
	token := strings.TrimPrefix(link, "/signin/")
	if err != nil || strings.Contains(kept, token) {
		t.Errorf("the token stands in the database (%v)", err)
	}
	for _, c := range ada.client.Jar.Cookies(must(url.Parse(h.server.URL))) {
		if strings.Contains(kept, c.Value) {
			t.Error("the cookie stands in the database")
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestALinkThatIsOldOrAlteredOpensNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.user("ada@example.org", nil, attendees.Organiser)
	b := h.browser()
	b.post("/signin", email("ada@example.org"))
	link := h.link()
	last := link[len(link)-1]
	other := byte('A')
	if last == 'A' {
		other = 'B'
	}
	for what, altered := range map[string]string{
		"altered": link[:len(link)-1] + string(other), "cut": link[:len(link)-1], "longer": link + "A",
		"in lower case": strings.ToLower(link), "empty": "/signin/%20", "another's": "/signin/" + strings.Repeat("A", 26),
	} {
		if a := b.post(altered, nil); a.status != http.StatusGone {
			t.Errorf("a link that is %s answers %d", what, a.status)
		}
	}
	h.clock.advance(postgres.SignInFor)
	if a := b.post(link, nil); a.status != http.StatusGone {
		t.Errorf("after a quarter of an hour it answers %d", a.status)
	}
	if a := b.get("/account"); a.to != "/signin" {
		t.Error("somebody is signed in")
	}
	b.post("/signin", email("ada@example.org"))
	link = h.link()
	h.clock.advance(postgres.SignInFor - time.Second)
	if a := b.post(link, nil); a.status != http.StatusSeeOther {
		t.Errorf("a second before that it answers %d", a.status)
	}
}

func TestTheAnswerIsTheSameBytesWhoeverAsksAndComesBeforeTheMail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.user("ada@example.org", nil, attendees.Organiser)
	h.post.held = make(chan struct{})
	var first answer
	for i, form := range []url.Values{
		email("ada@example.org"), email("nobody@example.org"), email(""), {}, email("ada@example.org"), email(strings.Repeat("x", 2000)),
		email("ADA@example.org"), email("ada@example.org\r\nBcc: eve@example.org"),
	} {
		a := h.browser().post("/signin", form) // the mailer is held up, and it answers
		a.header.Del("Date")
		if i == 0 {
			first = a
		}
		if a.status != first.status || a.body != first.body || len(a.header) != len(first.header) {
			t.Errorf("answer %d differs: %d %v", i, a.status, a.header)
		}
		for name := range first.header {
			if a.header.Get(name) != first.header.Get(name) {
				t.Errorf("answer %d: %s is %q, not %q", i, name, a.header.Get(name), first.header.Get(name))
			}
		}
	}
	close(h.post.held)
	if n := h.settled(); n != 3 {
		t.Errorf("%d letters went, want 3: none to unknown addresses", n)
	}
	if strings.Contains(h.log.String(), "@") {
		t.Error("the log has an address: ", h.log)
	}
}

func TestAskingAHundredTimesMailsNobodyFull(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.user("ada@example.org", nil, attendees.Organiser)
	b := h.browser()
	ask := func(times int) (mails int) {
		before := h.settled()
		for range times {
			if a := b.post("/signin", email("ada@example.org")); a.status != 200 {
				t.Errorf("asking answers %d", a.status)
			}
		}
		return h.settled() - before
	}
	if n := ask(100); n != 3 {
		t.Errorf("a hundred times at once: %d mails, want 3", n)
	}
	day := 3
	for range 20 {
		h.clock.advance(time.Hour)
		day += ask(5)
	}
	if day != 10 {
		t.Errorf("in a day: %d mails, want 10", day)
	}
	h.clock.advance(25 * time.Hour)
	if n := ask(5); n != 3 {
		t.Errorf("the day after: %d mails, want 3", n)
	}
	h.clock.advance(25 * time.Hour)
	if err := h.Store.DropSpent(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from limits`); err != nil || left != 0 {
		t.Errorf("after a day %d keyed hashes are left (%v)", left, err)
	}
}

// askFrom fills the form at path in, behind a proxy that says from where.
func (h *house) askFrom(path, address, forwarded string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "POST", h.server.URL+path, strings.NewReader(email(address).Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", forwarded)
	if a := h.browser().do(r); a.status != 200 {
		h.t.Errorf("asking answers %d", a.status)
	}
}

func TestAnOfficeBehindOneAddressSignsInAndAFloodDoesNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	people := make([]string, 40)
	for i := range people {
		people[i] = "p" + string(rune('a'+i/10)) + string(rune('a'+i%10)) + "@example.org"
		h.user(people[i], nil, attendees.Organiser)
	}
	for i, p := range people {
		// One network, and each time another lie in front.
		h.askFrom("/signin", p, "10.0.0."+string(rune('0'+i%10))+", 198.51.100."+string(rune('0'+i%10)))
	}
	if n := h.settled(); n != 30 {
		t.Errorf("%d of 40 in one minute got a mail, want 30", n)
	}
	h.askFrom("/signin", people[35], "203.0.113.7")
	if n := h.settled(); n != 31 {
		t.Error("another network has to wait, too")
	}
	h.clock.advance(time.Minute)
	h.askFrom("/signin", people[36], "198.51.100.1")
	if n := h.settled(); n != 32 {
		t.Error("a minute later the office still has to wait")
	}
}

func TestAFloodFromOneNetworkShutsNobodyElseOut(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/signin", "/my-data"} {
		h := newPortal(t, "http://lethe.test")
		h.user("ada@example.org", nil, attendees.Organiser)
		h.user("eve@example.org", nil, attendees.Organiser)
		h.post.held = make(chan struct{})
		h.askFrom(path, "eve@example.org", "203.0.113.7") // her mail holds up what comes after
		for range maxLater + 50 {
			h.askFrom(path, "", "203.0.113.8")
		}
		h.askFrom(path, "ada@example.org", "198.51.100.1")
		close(h.post.held)
		got := map[string]bool{h.letter().To: true, h.letter().To: true}
		if !got["ada@example.org"] {
			t.Errorf("%s: while another network floods, she gets no mail", path)
		}
		h.settled()
		h.mailed()
		if len(h.later.asks.has)+len(h.mails.asks.has) > 0 {
			t.Errorf("%s: networks hold shares of what is done", path)
		}
	}
}

func TestTheNetworkIsTheConnectionsUnlessOneOfOursStandsBetween(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ remote, forwarded, want string }{
		{"198.51.100.7:1", "", "198.51.100.0/24"},
		{"198.51.100.7:1", "203.0.113.9", "198.51.100.0/24"}, // a stranger's own words
		{"127.0.0.1:1", "203.0.113.9", "203.0.113.0/24"},
		{"10.1.2.3:1", "1.2.3.4, 203.0.113.9", "203.0.113.0/24"},
		{"10.1.2.3:1", "nonsense", "10.1.2.0/24"},
		{"[::1]:1", "2001:db8:1:2345::1", "2001:db8:1:2300::/56"},
		{"[2001:db8:1:2345::1]:1", "", "2001:db8:1:2300::/56"},
		{"[::ffff:198.51.100.7]:1", "", "198.51.100.0/24"},
		{"[fe80::1%eth0]:1", "", "fe80::/56"},
		{"nonsense", "", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := network(r); got != c.want {
			t.Errorf("from %s, forwarded for %q: %q, want %q", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestSigningOutHereAndEverywhereAndBeingRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.user("ada@example.org", nil, attendees.Organiser)
	one, two, three := h.signedIn(u), h.signedIn(u), h.signedIn(u)
	in := func(b *browser) bool { return b.get("/account").status == 200 }
	cookie := one.client.Jar.Cookies(must(url.Parse(h.server.URL)))
	one.post("/signout", nil)
	one.client.Jar.SetCookies(must(url.Parse(h.server.URL)), cookie) // a copy of it is worth nothing
	if in(one) || !in(two) {
		t.Error("signing out ends another session than its own")
	}
	two.post("/signout/everywhere", nil)
	if in(two) || in(three) {
		t.Error("signing out everywhere leaves somebody in")
	}
	four := h.signedIn(u)
	if !in(four) {
		t.Error("after signing out everywhere nobody gets in any more")
	}
	h.user("ada@example.org", nil, attendees.Operator)
	if in(four) {
		t.Error("a changed user stays signed in")
	}
	five := h.signedIn(u)
	if a := five.get("/operations"); a.status != 200 {
		t.Errorf("an operator's page answers %d", a.status)
	}
	if err := h.Store.RemoveUser(t.Context(), "Ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if in(five) {
		t.Error("a removed user stays signed in")
	}
}

func TestALinkInTheMailboxSignsInNoMoreAfterSigningOutEverywhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u, eve := h.user("ada@example.org", nil, attendees.Organiser), h.user("eve@example.org", nil, attendees.Organiser)
	for what, end := range map[string]func(){
		"signing out everywhere": func() { h.signedIn(u).post("/signout/everywhere", nil) },
		"a change of roles":      func() { h.user("ada@example.org", nil, attendees.Operator) },
	} {
		token, others := must(h.Store.NewSignIn(t.Context(), u.ID)), must(h.Store.NewSignIn(t.Context(), eve.ID))
		end()
		if a := h.browser().post("/signin/"+token, nil); a.status != http.StatusGone {
			t.Errorf("after %s a link from before answers %d", what, a.status)
		}
		if a := h.browser().post("/signin/"+others, nil); a.status != http.StatusSeeOther {
			t.Errorf("after %s another's link answers %d", what, a.status)
		}
	}
}

// slowForms holds a form's list up until it is let go.
type slowForms struct {
	sources
	began, goOn chan struct{}
}

func (f slowForms) Forms(ctx context.Context) ([]attendees.Form, error) {
	close(f.began)
	<-f.goOn
	return f.sources.Forms(ctx)
}

// slowPage is a page of a browser's that is under way until it is let go, and done then.
func (h *house) slowPage(b *browser) (letGo func()) {
	h.t.Helper()
	slow := slowForms{h.sources, make(chan struct{}), make(chan struct{})}
	h.Options.Forms = slow
	var page sync.WaitGroup
	page.Go(func() { b.get("/events/4711/link") })
	<-slow.began
	return func() {
		close(slow.goOn)
		page.Wait()
	}
}

func TestSigningOutIsNotUndoneByAPageStillUnderWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	letGo := h.slowPage(b)
	at := must(url.Parse(h.server.URL))
	cookies := b.client.Jar.Cookies(at)
	if a := b.post("/signout", nil); a.to != "/signin" {
		t.Fatalf("signing out answers %d %s", a.status, a.to)
	}
	letGo()
	b.client.Jar.SetCookies(at, cookies)
	if a := b.get("/events/4711/attendees"); a.to != "/signin" {
		t.Errorf("after signing out, the people answer %d", a.status)
	}
}

func TestWhatASessionHoldsComesBackForNobodyOnceItIsSignedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	token := b.client.Jar.Cookies(must(url.Parse(h.server.URL)))[0].Value
	ctx := must(h.sessions.Load(t.Context(), token)) // a page that is about to keep a search
	b.post("/signout", nil)
	must(h.keepSearch(ctx, "4711", "somebody"))
	if _, _, err := h.sessions.Commit(ctx); err != nil {
		t.Error(err)
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from sessions`); err != nil || left != 0 {
		t.Errorf("%d sessions are back (%v)", left, err)
	}
}

func TestASlowPageForgetsNoSearchThatWasMadeMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	letGo := h.slowPage(b)
	to := b.post("/events/4711/attendees", url.Values{"q": {"Testperson 7"}}).to
	letGo()
	if a := b.get(to); strings.Contains(a.body, "That search has ended") {
		t.Error("a page in another tab ended the search")
	}
}

func TestASessionEndsByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	var ends time.Time
	if err := h.Store.DB().Get(&ends, `select expires_at from sessions`); err != nil {
		t.Fatal(err)
	}
	if d := time.Until(ends); d > idleFor || d < idleFor-time.Minute {
		t.Errorf("an idle session ends in %s", d)
	}
	if _, err := h.Store.DB().Exec(`update sessions set expires_at = now() + interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/account"); a.status != 200 {
		t.Errorf("after a lunch her account answers %d", a.status)
	}
	if err := h.Store.DB().Get(&ends, `select expires_at from sessions`); err != nil {
		t.Fatal(err)
	}
	if d := time.Until(ends); d > idleFor || d < idleFor-time.Minute {
		t.Errorf("a session that was used ends in %s", d)
	}
	if _, err := h.Store.DB().Exec(`update sessions set expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/account"); a.to != "/signin" {
		t.Error("an ended session still signs in")
	}
	if err := h.Store.DropSpent(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from sessions where expires_at < now()`); err != nil || left != 0 {
		t.Errorf("%d ended sessions are left (%v)", left, err)
	}
}

func TestASessionEndsAfterAWeekHoweverOftenItIsUsed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	var data []byte
	if err := h.Store.DB().Get(&data, `select data from sessions`); err != nil {
		t.Fatal(err)
	}
	ends, values, err := scs.GobCodec{}.Decode(data)
	if d := time.Until(ends); err != nil || d > signedInFor || d < signedInFor-time.Minute {
		t.Errorf("it ends in %s (%v)", d, err)
	}
	weekOld := must(scs.GobCodec{}.Encode(time.Now().Add(-time.Second), values))
	if _, err := h.Store.DB().Exec(`update sessions set data = $1`, weekOld); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/account"); a.to != "/signin" {
		t.Errorf("a week later her account answers %d", a.status)
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from sessions`); err != nil || left != 0 {
		t.Errorf("%d sessions are left (%v)", left, err)
	}
}

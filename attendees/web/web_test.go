package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"riverqueue.com/riverui"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/jobs"
	"lethe/sync/pull"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// house is a site on a database of its own, served over HTTP. Its events are 4711, open;
// 4712, open; 4713, to be blocked for days; 4714, blocked.
type house struct {
	*Site
	t       testing.TB
	clock   *clock
	post    *caught
	server  *httptest.Server
	log     *pgtest.Log
	queue   *jobs.Queue
	url     string // of the database
	active  sync.WaitGroup
	sources sources
}

// clock is the time, moved.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// caught keeps letters instead of sending them. While it is held up it takes none.
type caught struct {
	letters chan mail.Letter
	held    chan struct{} // nil: nothing holds it up
}

func (c *caught) Post(_ context.Context, l mail.Letter) error {
	if c.held != nil {
		<-c.held
	}
	c.letters <- l
	return nil
}

// link waits for a letter and gives its link's path.
func (h *house) link() string {
	h.t.Helper()
	select {
	case l := <-h.post.letters:
		return strings.TrimPrefix(l.Link, h.BaseURL)
	case <-time.After(time.Minute):
		h.t.Fatal("no letter came within ten seconds")
		return ""
	}
}

// settled waits until everything put off is done, and counts the letters. An answer is
// complete before its request puts anything off, so the requests have to end first.
func (h *house) settled() int {
	h.active.Wait()
	done := make(chan struct{})
	for {
		select {
		case h.later.work <- func(context.Context) error { close(done); return nil }:
			<-done
			return len(h.post.letters)
		case <-time.After(time.Millisecond):
		}
	}
}

func newHouse(t testing.TB) *house { return newHouseAt(t, "http://lethe.test") }

// newHouseAt is a house that people come to by base; "": by its own address.
func newHouseAt(t testing.TB, base string) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}, post: &caught{letters: make(chan mail.Letter, 1000)}, log: &pgtest.Log{}}
	h.server = httptest.NewUnstartedServer(nil)
	if base == "" {
		base = "http://" + h.server.Listener.Addr().String()
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	db := pgtest.New(t)
	h.url = pgtest.URL(t, db)
	store := postgres.New(db, keys, &policy, h.clock.now)
	h.queue, err = jobs.NewQueue(store, log)
	if err != nil {
		t.Fatal(err)
	}
	river, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: riverui.NewEndpoints(h.queue.Client(), nil), Logger: log, Prefix: "/operations/jobs"})
	if err != nil {
		t.Fatal(err)
	}
	if err := river.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.sources = newSources(t, &pull.Puller{Store: store, Now: h.clock.now, Log: log})
	h.Site, err = New(Options{
		Store: store, BaseURL: base, Post: h.post, Pull: h.queue, Forms: h.sources, Jobs: river, Now: h.clock.now, Log: log,
		Ready:     func(context.Context) error { return nil },
		CheckCopy: func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.fill()
	h.answerForms()
	served := h.Handler()
	h.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.active.Add(1)
		defer h.active.Done()
		served.ServeHTTP(w, r)
	})
	h.server.Start()
	t.Cleanup(func() {
		h.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// fill makes events, one of them blocked, a hold, a task, receipts and feeds.
func (h *house) fill() {
	h.t.Helper()
	ctx := h.t.Context()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	for id, e := range map[attendees.EventID]struct {
		name string
		ends int // days from now
	}{"4711": {"Open Science Forum", 20}, "4712": {"Array Summit", -12}, "4713": {"Notebook Days", -10}, "4714": {"Community Workshop", -8}} {
		end := time.Now().AddDate(0, 0, e.ends)
		_, err := h.Store.SaveEvents(ctx, attendees.Eventbrite, []attendees.Event{{
			ID: id, Organization: "900", Name: e.name, Status: "live", Zone: "Europe/Berlin", Start: end.AddDate(0, 0, -1), End: end,
		}})
		must(err)
		var batch []attendees.Minimised
		for i := range 30 {
			batch = append(batch, h.Store.Policy().Minimise(attendees.Registration{
				ID: attendees.AttendeeID(fmt.Sprintf("%s%03d", id, i)), Event: id, Name: attendees.Personal(fmt.Sprintf("Nørre Testperson %d", i)),
				Email: attendees.Personal(fmt.Sprintf("norre%d@example.org", i)), Ticket: "Standard", Created: end.AddDate(0, -1, 0), Changed: end.AddDate(0, 0, -7),
			}, nil))
		}
		must(h.Store.InTx(ctx, func(tx *sqlx.Tx) error {
			_, err := h.Store.Save(ctx, tx, nil, attendees.Eventbrite, batch)
			return err
		}))
	}
	late := attendees.DateOf(time.Now()).AddDays(-3)
	_, err := h.Store.DB().Exec(`update events set block_on = $1, accepted_block_on = $1, planned_block_on = $1 where source_id in ('4713', '4714')`, late.String())
	must(err)
	officer, err := seal.NewOfficer()
	must(err)
	officers, err := seal.ParseOfficers(officer.Public())
	must(err)
	sealer, err := seal.NewSealer(officers, h.Store.Keys())
	must(err)
	_, err = h.Store.Block(ctx, "4714", sealer)
	must(err)
	_, err = h.Store.AddHold(ctx, "4712", "", "open claim", "operator", attendees.Date{})
	must(err)
	_, err = h.Store.DB().Exec(`
		insert into tasks (event_id, kind, says, made_at)
		select id, 'upstream', 'Delete its people at Eventbrite by hand', now() from events where source_id in ('4711', '4714')`)
	must(err)
	must(h.Store.SaveReceipt(ctx, postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Format: "csv", Rows: 30, SHA256: []byte{1}, By: "ada@example.org", At: time.Now()}, &postgres.Listing{}))
	must(h.Store.FailFeed(ctx, postgres.OrganizationFeed("900"), "eventbrite: list attendees: the token was refused"))
	must(h.Store.NoteBudget(ctx, 229, 2000))
}

// user lets somebody sign in.
func (h *house) user(address string, events []attendees.EventID, roles ...attendees.Role) postgres.User {
	h.t.Helper()
	u, err := h.Store.SaveUser(h.t.Context(), address, roles, events)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// browser is somebody's, without scripts.
type browser struct {
	h      *house
	client *http.Client
}

func (h *house) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{h, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a browser in which somebody has signed in.
func (h *house) signedIn(u postgres.User) *browser {
	h.t.Helper()
	token, err := h.Store.NewSignIn(h.t.Context(), u.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	b := h.browser()
	if a := b.post("/signin/"+token, nil); a.status != http.StatusSeeOther || a.to != "/" {
		h.t.Fatalf("signing in answers %d to %q", a.status, a.to)
	}
	return b
}

// answer is what came back.
type answer struct {
	status int
	to     string // where it leads
	header http.Header
	body   string
}

func (b *browser) get(path string) answer { return b.ask("GET", path, nil) }

func (b *browser) post(path string, form url.Values) answer { return b.ask("POST", path, form) }

func (b *browser) ask(method, path string, form url.Values) answer {
	b.h.t.Helper()
	r, err := http.NewRequestWithContext(b.h.t.Context(), method, b.h.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.h.t.Fatal(err)
	}
	if method != "GET" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return b.do(r)
}

func (b *browser) do(r *http.Request) answer {
	b.h.t.Helper()
	response, err := b.client.Do(r)
	if err != nil {
		b.h.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.h.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header.Get("Location"), response.Header, string(body)}
}

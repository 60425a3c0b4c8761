package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"lethe/attendees/old/attendees"
)

// shownPage is one page as somebody meets it: every page of the site has a line in
// shownPages, so that all are looked at for accessibility and have their pictures taken.
type shownPage struct {
	name string
	path string // from the site's beginning
	out  bool   // met by who is not signed in
	then []step
}

var shownPages = []shownPage{
	{name: "signin", path: "/signin", out: true},
	{name: "signin-sent", path: "/signin", out: true, then: []step{
		chromedp.SendKeys(chromedp.CSS("#email"), "nobody@example.org\r"), chromedp.WaitVisible(`//h1[text()="Look into your mailbox"]`),
	}},
	{name: "signin-link", path: "/signin/nonsense", out: true},
	{name: "signin-old", path: "/signin/nonsense", out: true, then: []step{
		chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(`//h1[contains(text(),"not good any more")]`),
	}},
	{name: "not-found-out", path: "/nowhere", out: true},
	{name: "not-found", path: "/nowhere"},
	{name: "account", path: "/account"},
	{name: "events", path: "/events"},
	{name: "events-none", path: "/events?q=nothing+of+that+name"},
	{name: "event", path: "/events/4711"},
	{name: "event-empty", path: "/events/4715"},
	{name: "event-late", path: "/events/4713"},
	{name: "event-blocked", path: "/events/4714"},
	{name: "people", path: "/events/4711/attendees"},
	{name: "people-found", path: "/events/4711/attendees", then: []step{
		chromedp.SendKeys(chromedp.CSS("#q"), "norre7\r"), chromedp.WaitVisible(`//a[text()="Show everyone"]`),
	}},
	{name: "people-none", path: "/events/4715/attendees"},
	{name: "people-blocked", path: "/events/4714/attendees"},
	{name: "unmatched", path: "/events/4711/attendees?show=unmatched"},
	{name: "person", path: "/events/4711/attendees/4711001"},
	{name: "forms", path: "/events/4711/link"},
	{name: "link", path: "/events/4711/link?purpose=participation_agreement&form=" + string(agreementForm)},
	{name: "link-counted", path: "/events/4711/link?purpose=forum&form=" + string(forumForm), then: []step{
		chromedp.Click(`//button[text()="Count first"]`), chromedp.WaitVisible(chromedp.CSS("[role=status]")),
	}},
	{name: "pull", path: "/events/4711/pull?since=1"},
	{name: "export", path: "/events/4711/export"},
	{name: "exports", path: "/exports"},
	{name: "participation", path: "/participation"},
	{name: "unagreed", path: "/participation/4711"},
	{name: "plan", path: "/plan"},
	{name: "plan-ahead", path: "/plan?as_of=2040-01-01"},
	{name: "ledger", path: "/ledger"},
	{name: "ledger-verified", path: "/ledger", then: []step{
		chromedp.Click(chromedp.CSS("main form button")), chromedp.WaitVisible(chromedp.CSS("[role=status]")),
	}},
	{name: "requests", path: "/requests"},
	{name: "request-add", path: "/requests/add"},
	{name: "operations", path: "/operations"},
}

// walk opens every page in turn, signed in with all roles where the page wants it.
func (h *house) walk(t *testing.T, window context.Context, look func(p shownPage)) {
	t.Helper()
	u := h.user("everybody@example.org", nil, attendees.Roles()...)
	in := false
	for _, p := range shownPages {
		if !p.out && !in {
			if err := h.enter(window, u); err != nil {
				t.Fatal(err)
			}
			in = true
		}
		run(t, window, chromedp.Navigate(h.BaseURL+p.path), chromedp.WaitVisible(chromedp.CSS("main h1")))
		run(t, window, p.then...)
		look(p)
	}
}

// Widths of a small telephone and of a desk.
var widths = []int64{320, 1280}

// axe's rules are asked in light, and in dark those of them that look at colours.
var schemes = []scheme{
	{"light", `{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}`},
	{"dark", `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`},
}

// riverSchemes ask nothing of River's pages but WCAG: how it writes headings and landmarks
// beyond that is its own.
var riverSchemes = []scheme{
	{"light", `{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}`}, schemes[1],
}

type scheme struct{ name, rules string }

// as shows the page as a device of that width and scheme would.
func as(width int64, scheme string) step {
	return chromedp.Steps(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

func TestInABrowserNoPageShutsAnybodyOut(t *testing.T) {
	window := chromium(t)
	script := axeFor(t)
	h := newHouseAt(t, "")
	h.walk(t, window, func(p shownPage) {
		run(t, window, chromedp.Evaluate[chromedp.Void](script))
		accessible(t, window, p.name, schemes)
		if n := tell[int](t, window, `document.querySelectorAll("script, style, [style], [onclick]").length`); n > 0 {
			t.Errorf("%s has %d scripts or styles of its own", p.name, n)
		}
		if lang, heads := tell[string](t, window, `document.documentElement.lang`), tell[int](t, window, `document.querySelectorAll("h1").length`); lang == "" || heads != 1 {
			t.Errorf("%s is in language %q and has %d main headings", p.name, lang, heads)
		}
	})
}

// accessible says what breaks WCAG 2.2 AA on the page that is shown, in a line each, and
// where it is wider than the window. axe is loaded, or what comes first, in each scheme,
// loads it.
func accessible(t *testing.T, window context.Context, page string, schemes []scheme, first ...step) {
	t.Helper()
	for _, scheme := range schemes {
		run(t, window, as(widths[0], scheme.name))
		run(t, window, first...)
		for _, width := range widths {
			run(t, window, as(width, scheme.name))
			faults := tell[[]string](t, window, `axe.run(document, {runOnly: `+scheme.rules+`, resultTypes: ["violations"]}).then(r =>
				r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary.replace(/\s+/g, " "))))`)
			for _, fault := range faults {
				t.Errorf("%s, %s, %d px: %s", page, scheme.name, width, fault)
			}
			if wide := tell[int64](t, window, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s, %d px: the page is %d px wide", page, width, wide)
			}
		}
	}
}

// Whoever makes an event, or answers a form, writes words as long as she likes.
func TestInABrowserLongWordsMakeNoPageWider(t *testing.T) {
	window := chromium(t)
	h := newHouseAt(t, "")
	name := strings.Repeat("Donaudampfschifffahrt", 4)
	if _, err := h.Store.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{{
		ID: "4716", Organization: "900", Name: name, Status: "live", Zone: "Europe/Berlin", Start: time.Now(), End: time.Now().AddDate(0, 0, 2),
	}}); err != nil {
		t.Fatal(err)
	}
	h.save(attendees.Registration{ID: "1", Event: "4716", Name: attendees.Personal(name), Email: attendees.Personal(name), Ticket: name})
	for i, word := range []string{name, "https://example.org/forums/archives-and-memory/2026", strings.Repeat("W", 1000)} {
		h.respond(forumForm, "4711", fmt.Sprint("long", i), fmt.Sprint("471100", 1+2*i), map[attendees.QuestionID]attendees.Answer{"forums": {attendees.Personal(word)}})
		h.respond(agreementForm, "4711", fmt.Sprint("word", i), fmt.Sprint("471100", 1+2*i), map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {attendees.Personal(word)}})
	}
	if err := h.enter(window, h.user("everybody@example.org", nil, attendees.Roles()...)); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{
		"/events", "/events/4711", "/events/4711/attendees", "/events/4716", "/events/4716/attendees", "/events/4716/attendees?show=unmatched", "/events/4716/attendees/1",
		"/events/4716/link", "/events/4716/export", "/events/4716/pull?since=1", "/participation", "/participation/4716", "/plan", "/exports", "/operations",
	} {
		run(t, window, chromedp.Navigate(h.BaseURL+page), chromedp.WaitVisible(chromedp.CSS("main h1")))
		for _, width := range widths {
			run(t, window, as(width, "light"))
			if wide := tell[int64](t, window, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s, %d px: the page is %d px wide", page, width, wide)
			}
		}
	}
}

// River's pages are somebody else's, and so are most of their faults: river.css and
// river.js mend them.
func TestInABrowserRiversPagesShutNobodyOut(t *testing.T) {
	window := chromium(t)
	script := axeFor(t)
	h := newHouseAt(t, "")
	pages := []string{"jobs", "jobs?state=available", "jobs?state=discarded", "queues", "queues/default", "settings"}
	for i, state := range []string{"available", "running", "retryable", "completed", "cancelled", "discarded"} {
		pages = append(pages, "jobs/"+h.job(attendees.EventID(fmt.Sprint("471", i)), state))
	}
	h.Store.DB().MustExec(`insert into river_queue (name, updated_at) values ('default', now())`) // as a worker does
	if err := h.enter(window, h.user("op@example.org", nil, attendees.Operator)); err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		ready := `//h1[not(@class) or @class!=""]`
		if strings.HasPrefix(page, "jobs/") {
			ready = `//*[contains(text(), "pull_event")]`
		}
		// Its scheme is the one that it began with.
		accessible(t, window, page, riverSchemes, chromedp.Navigate(h.BaseURL+paths{}.Jobs()+page), chromedp.WaitReady(ready), chromedp.Sleep(settles), chromedp.Evaluate[chromedp.Void](script))
	}
	run(t, window, noScripts, chromedp.Navigate(h.BaseURL+paths{}.Jobs()), chromedp.Click(`//a[text()="Operations"]`), chromedp.WaitVisible(`//td[text()="the source refused"]`))
}

// settles is how long River's pages may go on changing after their heading is there.
const settles = 500 * time.Millisecond

// job lets River have one in a state, and gives its id.
func (h *house) job(event attendees.EventID, state string) (id string) {
	h.t.Helper()
	if err := h.queue.Pull(h.t.Context(), event); err != nil {
		h.t.Fatal(err)
	}
	err := h.Store.DB().Get(&id, `
		update river_job
		set state = $2::text::river_job_state, attempted_by = '{here}',
			attempt = case when $2 = 'available' then 0 else 1 end,
			attempted_at = case when $2 <> 'available' then now() end,
			finalized_at = case when $2 in ('completed', 'cancelled', 'discarded') then now() end,
			errors = case when $2 in ('retryable', 'discarded') then array['{"at": "2026-11-28T10:00:00Z", "attempt": 1, "error": "the source refused", "trace": ""}'::jsonb] end
		where kind = 'pull_event' and args ->> 'event' = $1
		returning id`, event, state)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// Screenshots of every page, for people to look at:
//
//	LETHE_SCREENSHOTS=/tmp/look go test ./attendees/web -run Screenshots
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("LETHE_SCREENSHOTS")
	if dir == "" {
		t.Skip("LETHE_SCREENSHOTS names no folder to put pictures into")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	window := chromium(t)
	h := newHouseAt(t, "")
	h.walk(t, window, func(p shownPage) {
		for _, device := range []struct {
			name, scheme string
			width        int64
		}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 320}} {
			run(t, window, as(device.width, device.scheme))
			picture, err := chromedp.Run(window, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%s-%s.png", strings.ReplaceAll(p.name, "/", "-"), device.name)
			if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
}

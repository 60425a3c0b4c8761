package web

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/rights"
)

// sending lets /my-data send by real SMTP.
func (h *house) sending(t *testing.T, box *mailbox) {
	t.Helper()
	sender, err := mail.New(fmt.Sprintf("smtp://127.0.0.1:%d", box.port), "Lethe <lethe@example.org>", nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Site.Send = sender
}

func TestAPersonSeesTakesCorrectsAndErasesWhatIsHeldOfHer(t *testing.T) {
	window := chromium(t)
	h := newPortal(t, "")
	h.Post, h.desk.Post = h.queue, h.queue
	box := newMailbox(t)
	h.sending(t, box)
	h.work(t, box, h.url)
	const name, address = "Zaphira Quillfeather", "zaphira@example.org"
	// One that is open, one under another spelling, one that is blocked.
	open, other := registration("9001", "4711", name, address), registration("9002", "4712", name, " Zaphira@EXAMPLE.org")
	h.save(open, other)
	if _, err := h.Store.Restrict(t.Context(), "9002", attendees.RestrictionAsked, h.desk.Sealer); err != nil {
		t.Fatal(err)
	}
	run(t, window, noScripts, chromedp.Navigate(h.BaseURL+"/my-data"), chromedp.WaitVisible(chromedp.CSS("#email")),
		chromedp.SendKeys(chromedp.CSS("#email"), "Zaphira@example.org"+kb.Enter), chromedp.WaitVisible(`//h1[text()="Look into your mailbox"]`))
	run(t, window, chromedp.Navigate(box.link(t)), chromedp.WaitVisible(chromedp.CSS("main button")),
		chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(`//h1[text()="What we hold about you"]`))
	text := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(window, stepTimeout)
		defer cancel()
		s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if page := text(); strings.Count(page, name) != 2 || !strings.Contains(page, "Open Science Forum") || !strings.Contains(page, "Array Summit") {
		t.Errorf("she sees %s", page)
	}
	run(t, window, chromedp.Click(`//article[contains(., "Open Science Forum")]//a[contains(., "Correct something")]`),
		chromedp.WaitVisible(chromedp.CSS("#value")), chromedp.SendKeys(chromedp.CSS("#value"), "Zaphira Q. Quillfeather"),
		chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(`//td[text()="waiting for an answer"]`))
	if _, err := h.desk.Decide(t.Context(), 1, decided); err != nil {
		t.Fatal(err)
	}
	run(t, window, chromedp.Navigate(h.BaseURL+"/my-data"), chromedp.WaitVisible(chromedp.CSS("article")))
	if page := text(); !strings.Contains(page, "Zaphira Q. Quillfeather") || !strings.Contains(page, "corrected at your request") {
		t.Errorf("corrected she sees %s", page)
	}
	wait := downloads(t, window)
	for what, file := range map[string]string{"Take it all": "my-data.zip", "Just the data": "my-data.json"} {
		run(t, window, chromedp.Click(`//a[contains(., "`+what+`")]`))
		if text := wait(file); file == "my-data.json" && !strings.Contains(string(text), "Zaphira Q. Quillfeather") {
			t.Errorf("%s lacks the correction", file)
		}
	}
	for _, event := range []string{"Open Science Forum", "Array Summit"} {
		run(t, window, chromedp.Navigate(h.BaseURL+"/my-data"), chromedp.WaitVisible(chromedp.CSS("article")),
			chromedp.Click(`//article[contains(., "`+event+`")]//a[contains(., "Erase it")]`), chromedp.WaitVisible(chromedp.CSS("main button.grave")),
			chromedp.Click(chromedp.CSS("main button.grave")), chromedp.WaitVisible(chromedp.CSS("table")))
	}
	h.waitForPost(t)
	// A duty keeps her agreement, sealed; what may be read is gone, and once that duty has
	// run out nothing is left.
	if _, err := h.Store.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Quillfeather", "zaphira@"} {
		if where := h.lies(text); len(where) > 0 {
			t.Errorf("after the night's sweep a text of hers lies in %v", where)
		}
	}
	h.save(open, other)
	h.save(registration("9003", "4711", name, address))
	for _, attendee := range []string{"9001", "9003"} {
		var there bool
		err := h.Store.DB().Get(&there, `select exists (select from personal where part = 'registration' and source_id = $1)`, attendee)
		if err != nil || there != (attendee == "9003") {
			t.Errorf("after the next pull %s is readable: %v (%v)", attendee, there, err)
		}
	}
}

var decided = rights.Decision{Grant: true, Reason: "as proposed", By: "test"}

// waitForPost waits until the outbox is empty.
func (h *house) waitForPost(t *testing.T) {
	t.Helper()
	for range 300 {
		var waiting int
		if err := h.Store.DB().Get(&waiting, `select count(*) from outbox`); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatal("letters still wait after a minute")
}

// The pages that only somebody who has proved an address meets.
var visitedPages = []string{
	"/my-data", "/my-data/requests", "/my-data/ask?right=erasure&event=4711", "/my-data/ask?right=rectification&event=4711",
	"/my-data/ask?right=objection&event=", "/my-data/ask?right=nonsense",
}

// TestNoAttendeesPageShutsAnybodyOut looks at one language; LETHE_TEST_LANGUAGES=all at
// the four. It leaves pictures in the folder that LETHE_SCREENSHOTS names.
func TestNoAttendeesPageShutsAnybodyOut(t *testing.T) {
	window := chromium(t)
	script := axeFor(t)
	h := newPortal(t, "")
	languages := []string{"en"}
	if os.Getenv("LETHE_TEST_LANGUAGES") == "all" {
		languages = rights.Languages()
	}
	pictures := 0
	look := func(path, language string) {
		t.Helper()
		run(t, window, chromedp.Evaluate[chromedp.Void](script))
		if dir := os.Getenv("LETHE_SCREENSHOTS"); dir != "" {
			for device, width := range map[string]int64{"desk": 1280, "phone": 320} {
				run(t, window, as(width, "light"))
				picture, err := chromedp.Run(window, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(dir, fmt.Sprintf("my-data-%02d-%s-%s.png", pictures, language, device))
				if err := os.WriteFile(name, picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			pictures++
		}
		accessible(t, window, path+" in "+language, schemes)
		if lang := tell[string](t, window, `document.documentElement.lang`); lang != language {
			t.Errorf("%s is in %q, want %q", path, lang, language)
		}
	}
	with := func(path, language string) string {
		mark := "?"
		if strings.Contains(path, "?") {
			mark = "&"
		}
		return h.BaseURL + path + mark + "lang=" + language
	}
	for _, language := range languages {
		for _, path := range []string{"/my-data", "/my-data/link/nonsense"} {
			run(t, window, chromedp.Navigate(with(path, language)), chromedp.WaitVisible(chromedp.CSS("main h1")))
			look(path, language)
		}
		run(t, window, chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(chromedp.CSS("main a.button")))
		look("an old link", language)
		run(t, window, chromedp.Navigate(with("/my-data", language)), chromedp.WaitVisible(chromedp.CSS("#email")),
			chromedp.SendKeys(chromedp.CSS("#email"), "norre3@example.org"+kb.Enter), chromedp.WaitNotPresent(chromedp.CSS("#email")))
		look("the answer", language)
		link := h.letter().Link
		run(t, window, chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("main button")),
			chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(chromedp.CSS("article")))
		for _, path := range visitedPages {
			run(t, window, chromedp.Navigate(with(path, language)), chromedp.WaitVisible(chromedp.CSS("main h1")))
			look(path, language)
		}
		run(t, window, chromedp.Click(chromedp.CSS("header .leave button")), chromedp.WaitNotPresent(chromedp.CSS("header .leave")))
		look("a closed visit", language)
	}
}

package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/xuri/excelize/v2"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// crowd is an event of 2,000 at Eventbrite, one of them with a name of her own, of whom
// the first 1,500 have answered a form that is not linked yet.
func (h *house) crowd() attendees.EventID {
	h.t.Helper()
	ctx := h.t.Context()
	org := h.sources.eventbrite.AddOrganization("Example Science Foundation")
	event, _ := h.sources.eventbrite.AddEvent(org, eventbritetest.Event{
		Name: "River Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	ids := h.sources.eventbrite.AddPeople(event, 1999)
	if _, err := h.sources.eventbrite.Add(event, eventbritetest.Person{Name: "Zaphira Quillfeather", Email: "zaphira@example.org", Ticket: "Regular", Status: "Attending"}); err != nil {
		h.t.Fatal(err)
	}
	for _, id := range ids[:1500] {
		h.sources.typeform.AddResponse(agreementForm, typeformtest.Person{AttendeeID: id}, time.Now().Add(-2*time.Hour))
	}
	if _, err := h.sources.Discover(ctx); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.sources.Event(ctx, event); err != nil {
		h.t.Fatal(err)
	}
	return event
}

// command runs the program itself on the house's database.
func (h *house) command(t *testing.T) func(args ...string) {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "lethe"), "lethe/cmd/lethe")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	return func(args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(dir, "lethe"), args...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME=", "DATABASE_URL="+h.url, "LETHE_SECRET=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("lethe %s: %v: %s", args[0], err, out)
		}
	}
}

// downloads has the window put files into a folder, and waits for one.
func downloads(t *testing.T, window context.Context) (wait func(name string) []byte) {
	t.Helper()
	dir := t.TempDir()
	run(t, window, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
			Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
		})
		return err
	}))
	return func(name string) []byte {
		t.Helper()
		for range 600 {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(b) > 0 {
				return b // it gets its name when it is whole
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("%s was not downloaded within a minute", name)
		return nil
	}
}

var exportedAt = regexp.MustCompile(`"exported_at":"[^"]*"`)

func TestAnOrganiserHoldsTheListSheNeeds(t *testing.T) {
	window := chromium(t)
	h := newHouseAt(t, "")
	h.Post = h.queue
	box := newMailbox(t)
	event := h.crowd()
	h.work(t, box, h.url)
	h.user("ada@example.org", []attendees.EventID{event, "4711"}, attendees.Organiser) // who sees the form's other event, too
	at := func(text string) step { return chromedp.WaitVisible(fmt.Sprintf(`//h1[contains(., %q)]`, text)) }
	press := func(text string) step { return chromedp.Click(fmt.Sprintf(`//main//button[text()=%q]`, text)) }
	follow := func(text string) step { return chromedp.Click(fmt.Sprintf(`//main//a[text()=%q]`, text)) }

	run(t, window, noScripts, chromedp.Navigate(h.BaseURL+"/"), chromedp.SendKeys(chromedp.CSS("#email"), "ada@example.org"+kb.Enter), at("Look into your mailbox"))
	run(t, window, chromedp.Navigate(box.link(t)), chromedp.Click(chromedp.CSS("main button")), at("Events"), follow("River Days"), at("River Days"))

	// Link a form: what is proposed by the titles is right, and the sample says so.
	run(t, window, follow("Link a form"), at("Link a form"), press("See its questions"), at("Participation agreement"),
		press("Count first"), chromedp.WaitVisible(`//p[@role="status"][contains(., "50 answers")]`),
		chromedp.WaitVisible(`//label[contains(., "Agreed")]/span[text()="45 of 50"]`), // each tenth says no
		press("Save and pull"), at("Pulled"), follow("Back to the event"), at("River Days"))
	if n := tell[string](t, window, `[...document.querySelectorAll(".figures li")].map(l => l.innerText.replace(/\s+/g, " ")).join("; ")`); !strings.Contains(n, " agreed; ") {
		t.Errorf("the event's page says %q", n)
	}

	// Find one of 2,000. Her name stands in no address.
	run(t, window, chromedp.Navigate(h.BaseURL+"/events/"+string(event)+"/attendees"), chromedp.SendKeys(chromedp.CSS("#q"), "QUILLF zaph"+kb.Enter),
		chromedp.WaitVisible(`//p[@role="status"][contains(., "1 person of 2,000")]`))
	if where := tell[string](t, window, `document.location.href`); strings.Contains(strings.ToLower(where), "quill") {
		t.Errorf("the name stands in the address %s", where)
	}
	run(t, window, chromedp.Click(`//main//tbody//a`), at("Zaphira Quillfeather"))

	// Those who have not agreed.
	missing, err := h.Store.CountPeople(t.Context(), event, postgres.Filter{Status: attendees.Attending, NotAgreed: true})
	if err != nil || missing < 400 {
		t.Fatalf("%d have not agreed (%v)", missing, err)
	}
	run(t, window, chromedp.Navigate(h.BaseURL+"/events/"+string(event)+"/attendees"), chromedp.SendKeys(chromedp.CSS("#show"), "not agreed"),
		press("Find"), chromedp.WaitVisible(fmt.Sprintf(`//p[@role="status"][contains(., "%s people of 2,000")]`, count(missing))))

	// The list, in all formats, as the command writes it.
	wait := downloads(t, window)
	run(t, window, chromedp.Navigate(h.BaseURL+"/events/"+string(event)+"/export?purpose=participation_agreement"), at("Take a list"))
	got := map[string][]byte{}
	for format, button := range map[string]string{"xlsx": "Excel", "csv": "CSV", "json": "JSON"} {
		run(t, window, press(button))
		got[format] = wait(string(event) + "-participation_agreement." + format)
	}
	want := map[string][]byte{}
	lethe := h.command(t)
	for _, format := range []string{"csv", "json", "xlsx"} {
		file := filepath.Join(t.TempDir(), "list")
		lethe("export", string(event), "--purpose", "participation_agreement", "--format", format, "--out", file)
		if want[format], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got["csv"], want["csv"]) {
		t.Error("the CSV differs from the command's")
	}
	if !bytes.Equal(exportedAt.ReplaceAll(got["json"], nil), exportedAt.ReplaceAll(want["json"], nil)) {
		t.Error("the JSON differs from the command's")
	}
	if diff := cmp.Diff(sheet(t, want["xlsx"]), sheet(t, got["xlsx"])); diff != "" {
		t.Errorf("the workbook differs from the command's (-want +got):\n%s", diff)
	}
	lines, err := csv.NewReader(bytes.NewReader(got["csv"])).ReadAll()
	if err != nil || len(lines) < 1500 || len(lines) != len(sheet(t, got["xlsx"])) {
		t.Errorf("%d lines, %d rows (%v)", len(lines), len(sheet(t, got["xlsx"])), err)
	}
	run(t, window, chromedp.Navigate(h.BaseURL+"/exports"), at("Lists that left"))
	if n := tell[int](t, window, `document.querySelectorAll("tbody tr").length`); n != 7 {
		t.Errorf("%d receipts, want 7: three from here, three of the command's, one of the other event", n)
	}

	// Pull now, and sign out.
	if _, err := h.sources.eventbrite.Add(event, eventbritetest.Person{Name: "Late Comer", Email: "late@example.org", Ticket: "Regular", Status: "Attending"}); err != nil {
		t.Fatal(err)
	}
	run(t, window, chromedp.Navigate(h.BaseURL+"/events/"+string(event)), press("Pull now"), at("Pulled"),
		chromedp.Navigate(h.BaseURL+"/events/"+string(event)+"/attendees"), chromedp.SendKeys(chromedp.CSS("#q"), "late comer"+kb.Enter),
		chromedp.WaitVisible(`//p[@role="status"][contains(., "1 person of 2,001")]`),
		chromedp.Click(chromedp.CSS(".leave button")), chromedp.WaitVisible(chromedp.CSS("#email")),
		chromedp.Navigate(h.BaseURL+"/events/"+string(event)+"/attendees"), chromedp.WaitVisible(chromedp.CSS("#email")))
}

func sheet(t *testing.T, b []byte) [][]string {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := f.GetRows("People")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestNastyNamesAreHarmless(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	names := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `=cmd|'/c calc'!A1`, "\u202egnp.evil\u202c", strings.Repeat("Ж", 10_000), "a\x00b\x1fc",
	}
	var batch []attendees.Minimised
	for i, name := range names {
		batch = append(batch, h.Store.Policy().Minimise(attendees.Registration{
			ID: attendees.AttendeeID(fmt.Sprint("nasty", i)), Event: "4715", Name: attendees.Personal(name), Email: attendees.Personal(name), Ticket: name[:min(len(name), 40)],
		}, nil))
	}
	err := h.Store.InTx(t.Context(), func(tx *sqlx.Tx) error {
		_, err := h.Store.Save(t.Context(), tx, nil, attendees.Eventbrite, batch)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	pages := []string{"/events", "/events/4715", "/events/4715/attendees", "/events/4715/attendees?sort=email&down=1", "/participation/4715"}
	for i := range names {
		pages = append(pages, fmt.Sprintf("/events/4715/attendees/nasty%d", i))
	}
	for _, name := range names { // whoever searches for it meets it in the search's own field
		name = strings.ReplaceAll(name, "\x00", "") // which no form's field holds: it is refused
		a := b.post("/events/4715/attendees", url.Values{"q": {name}})
		if a.status != http.StatusSeeOther || len(a.to) > 100 {
			t.Errorf("a search leads to %q with %d", a.to, a.status)
		}
		pages = append(pages, a.to)
		if got := b.get(a.to); strings.Contains(got.body, "<script") || strings.Contains(got.body, "<img") {
			t.Errorf("a search for %.40q brings it to life", name)
		}
	}
	for _, page := range pages {
		a := b.get(page)
		if a.status != http.StatusOK || strings.Contains(a.body, "<script") || strings.Contains(a.body, "<img") || strings.ContainsAny(a.body, "\x00\x1f") {
			t.Errorf("%s answers %d and brings a name to life", page, a.status)
		}
		if i := strings.Index(a.body, "\u202e"); i >= 0 && !strings.HasSuffix(a.body[:i], "<bdi>") && !strings.HasSuffix(a.body[:i], `"`) && !strings.Contains(a.body[max(i-60, 0):i], "ption") && !strings.Contains(a.body[max(i-30, 0):i], "<td>") {
			t.Errorf("%s lets a name turn the text around it: …%q", page, a.body[max(i-60, 0):i])
		}
	}
	a := b.get("/events/4715/export?purpose=participation_agreement&format=csv")
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(lines) != len(names)+1 {
		t.Fatalf("%d lines (%v)", len(lines), err)
	}
	for _, line := range lines[1:] {
		for _, cell := range line {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("a spreadsheet would run %q", cell)
			}
		}
	}
	a = b.get("/events/4715/export?purpose=participation_agreement&format=xlsx")
	for i, row := range sheet(t, []byte(a.body))[1:] {
		if want := strings.TrimPrefix(lines[i+1][1], "'"); row[1] != want {
			t.Errorf("row %d of the workbook differs from the CSV's", i)
		}
	}
}

// TestAfterTheBlockDateNoPageShowsAName: the sweep is off, nothing was sealed.
func TestAfterTheBlockDateNoPageShowsAName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.user("ada@example.org", nil, attendees.Roles()...)
	if a := h.signedIn(u).get("/events/4711/attendees"); !strings.Contains(a.body, "Testperson") {
		t.Fatal("before its block date the list shows nobody")
	}
	// The session and what was searched for go by the real clock; the event by this one.
	h.clock.advance(60 * 24 * time.Hour)
	b := h.signedIn(u)
	asked := 0
	for _, route := range h.table {
		k := known[route.pattern]
		if !strings.Contains(k.path, "EVENT") && k.path != "/events" && k.path != "/exports" && k.path != "/participation" && k.path != "/plan" {
			continue
		}
		method, _, _ := strings.Cut(route.pattern, " ")
		for _, event := range []string{"4711", "4712", "4713", "4714"} {
			for _, more := range []string{"", "&format=json", "&format=xlsx"} {
				path := strings.ReplaceAll(k.path, "EVENT", event)
				if more != "" && !strings.Contains(path, "format=csv") {
					continue
				}
				path = strings.Replace(path, "&format=csv", more, 1)
				a := b.ask(method, path, k.form)
				asked++
				if strings.Contains(a.body, "Testperson") || strings.Contains(a.body, "norre") || a.status >= 500 {
					t.Errorf("%s %s answers %d and names somebody", method, path, a.status)
				}
				if strings.Contains(path, "/export") && strings.Contains(path, "EVENT") && a.status != http.StatusGone {
					t.Errorf("%s answers %d, want 410", path, a.status)
				}
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d pages were asked for", asked)
	}
	a := b.get("/events/4711")
	for _, says := range []string{"Its names are not shown any more", "data-protection officer", "lethe unseal", "has not done it yet"} {
		if !strings.Contains(a.body, says) {
			t.Errorf("the event's page does not say %q", says)
		}
	}
	if a := b.get("/exports"); !strings.Contains(a.body, "recalled") || strings.Contains(a.body, "in use") {
		t.Error("a list of an event past its block date is not recalled")
	}
}

func TestAListThatFailsHalfWayIsCutOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	event := h.crowd()
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	if _, err := h.Store.DB().Exec(`alter table receipts rename to elsewhere`); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"csv", "json", "xlsx"} {
		response, err := b.client.Get(h.server.URL + "/events/" + string(event) + "/export?purpose=participation_agreement&format=" + format)
		if err != nil {
			continue // cut off before the first byte
		}
		_, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil && response.StatusCode == http.StatusOK {
			t.Errorf("a %s whose receipt could not be kept came whole", format)
		}
	}
	// A short one fails before anything is sent: that is a page.
	a := b.get("/events/4712/export?purpose=forum&format=csv")
	if a.status != http.StatusInternalServerError || strings.Contains(a.body, "Testperson") {
		t.Errorf("a short list whose receipt could not be kept answers %d", a.status)
	}
}

func TestWhatWasSearchedForLiesNowhereInPlain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.user("ada@example.org", nil, attendees.Organiser)
	b := h.signedIn(u)
	a := b.post("/events/4711/attendees", url.Values{"q": {"Testperson 7"}, "show": {"agreed"}, "sort": {"email"}})
	if strings.Contains(a.to, "7") && strings.Contains(strings.ToLower(a.to), "testperson") {
		t.Errorf("the address is %s", a.to)
	}
	found := b.get(a.to)
	if !strings.Contains(found.body, "Nørre Testperson 7<") || strings.Contains(found.body, "Nørre Testperson 8<") {
		t.Error("the search finds others, or not the one")
	}
	var data [][]byte
	if err := h.Store.DB().Select(&data, `select data from sessions`); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(data, func(d []byte) bool { return bytes.Contains(bytes.ToLower(d), []byte("testperson")) }) {
		t.Error("the session holds the name in plain")
	}
	if strings.Contains(strings.ToLower(h.log.String()), "testperson") {
		t.Error("the log holds the name")
	}
	// Another browser, another event, and a newer search do not see it.
	if got := h.signedIn(u).get(a.to); !strings.Contains(got.body, "That search has ended") {
		t.Error("another browser opens the search")
	}
	if got := b.get(strings.Replace(a.to, "4711", "4712", 1)); !strings.Contains(got.body, "That search has ended") {
		t.Error("the search works in another event")
	}
	b.post("/events/4711/attendees", url.Values{"q": {"somebody else"}})
	if got := b.get(a.to); !strings.Contains(got.body, "That search has ended") {
		t.Error("an older search still works")
	}
}

// What somebody answers as "other" is a forum, too.
func TestAForumStandsInNoAddressAndIsFoundWhole(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	long := strings.Repeat("Архивы и память ", 20) + "1"
	for i, forum := range []string{"Ada Lovelace, ada.lovelace@example.org", long, long[:len(long)-1] + "2"} {
		h.respond(forumForm, "4711", fmt.Sprint("other", i), fmt.Sprint("471100", 1+2*i), map[attendees.QuestionID]attendees.Answer{"forums": {attendees.Personal(forum)}})
	}
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	options := regexp.MustCompile(`<option value="([^"]+)">(?:Ada Lovelace|Архивы)`).FindAllStringSubmatch(b.get("/events/4711/attendees").body, -1)
	if len(options) != 3 {
		t.Fatalf("%d forums are offered, want 3", len(options))
	}
	for _, o := range options {
		a := b.post("/events/4711/attendees", url.Values{"forum": {o[1]}})
		if strings.Contains(a.to, "ovelace") || !strings.Contains(a.to, "forum=") || len(a.to) > 100 {
			t.Errorf("the filter leads to %s", a.to)
		}
		if got := b.get(a.to); !strings.Contains(got.body, ">1 person of 30") || !strings.Contains(got.body, `value="`+o[1]+`" selected`) {
			t.Error("who chose the forum is not found by it, or others are")
		}
	}
	if a := b.post("/events/4711/attendees", url.Values{"forum": {"Ada Lovelace, ada.lovelace@example.org"}}); strings.Contains(a.to, "ovelace") {
		t.Errorf("what a form should not send leads to %s", a.to)
	}
	if a := b.get("/events/4711/attendees?forum=gone&ticket=gone"); a.status != http.StatusOK || !strings.Contains(a.body, "Nobody matches") {
		t.Errorf("by a forum that is gone the list answers %d and finds somebody", a.status)
	}
	// Of one event nobody can tell what was chosen in another.
	if x, y := h.names("4711", "forum", nil), h.names("4712", "forum", nil); x.token("Rivers") == y.token("Rivers") {
		t.Error("a forum has one token in two events")
	}
}

func TestAnOperatorReadsNothingThatAnAttendeeTyped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const typed = "Ada Lovelace, ada.lovelace@example.org"
	h.respond(agreementForm, "4711", "typed", "4711003", map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {typed}})
	h.respond(forumForm, "4711", "other", "4711003", map[attendees.QuestionID]attendees.Answer{"forums": {typed}})
	if a := h.signedIn(h.user("op@example.org", nil, attendees.Operator, attendees.Officer)).get("/events/4711"); a.status != http.StatusOK || strings.Contains(a.body, "Lovelace") || strings.Contains(a.body, "by version") {
		t.Errorf("the event's page answers %d and tells an operator what an attendee typed", a.status)
	}
	if a := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser)).get("/events/4711"); strings.Count(a.body, typed) != 2 {
		t.Error("the organiser does not see the version and the forum")
	}
}

func TestAnAnswerIsLinkedByHandOnThePersonsPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.user("ada@example.org", nil, attendees.Organiser)
	b := h.signedIn(u)
	who := "/events/4711/attendees/4711000"
	if a := b.get(who); !strings.Contains(a.body, "Is one of these") || !strings.Contains(a.body, "Example University") || !strings.Contains(a.body, "the form Forums") {
		t.Error("the page lacks what is nobody's, or where a field came from")
	}
	form := url.Values{"form": {string(agreementForm)}, "answer": {"nobody1"}, "do": {"link"}}
	if a := b.post(who+"/answers", form); a.status != http.StatusSeeOther || a.to != who {
		t.Fatalf("linking answers %d to %q", a.status, a.to)
	}
	if a := b.get(who); !strings.Contains(a.body, "linked by hand") || !strings.Contains(a.body, "Not this person&#39;s") && !strings.Contains(a.body, "Not this person's") {
		t.Error("the answer is not shown as linked by hand")
	}
	form.Set("do", "take back")
	if a := b.post(who+"/answers", form); a.status != http.StatusSeeOther {
		t.Fatalf("taking back answers %d", a.status)
	}
	if a := b.post(who+"/answers", form); a.status != http.StatusUnprocessableEntity {
		t.Errorf("taking back twice answers %d", a.status)
	}
	looks, err := h.Store.Looks(t.Context(), "4711", "4711000")
	if err != nil || len(looks) != 2 || looks[0].By != u.ID {
		t.Errorf("%d looks are recorded (%v), want 2 of hers", len(looks), err)
	}
}

func TestTheListOfEventsSaysWhoIsMissingAndWhenAllIsDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e, err := h.Store.SummaryOf(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	a := h.signedIn(h.user("ada@example.org", []attendees.EventID{"4711"}, attendees.Organiser)).get("/events")
	today := e.Today(h.clock.now())
	for _, says := range []string{
		fmt.Sprintf(`<td class="n">%d<span class="sub d">%d missing</span></td>`, e.Agreed, e.Attending-e.Agreed),
		fmt.Sprintf("blocked in %d days, deleted %s<", e.BlockOn.Days(today), roughly(e.DeleteOn.Date, today)),
	} {
		if e.Agreed == 0 || e.Agreed == e.Attending || !strings.Contains(a.body, says) {
			t.Errorf("the list of events does not say %q", says)
		}
	}
	day := attendees.Date{Year: 2027, Month: 6, Day: 14}
	for days, want := range map[int]string{-400: "on 10 May 2026", 60: "in 60 days", 61: "in 2 months", 365: "in 12 months", 729: "in 24 months", 731: "in 2 years", 2420: "in 7 years"} {
		if got := roughly(day.AddDays(days), day); got != want {
			t.Errorf("%d days ahead: %q, want %q", days, got, want)
		}
	}
}

func TestOperatorsSeeWhoLookedAndNotAtWhom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.signedIn(h.user("curious@example.org", nil, attendees.Organiser)).get("/events/4711/attendees/4711001")
	h.signedIn(h.user("gone@example.org", nil, attendees.Organiser)).get("/events/4712/attendees/4712002")
	if err := h.Store.RemoveUser(t.Context(), "gone@example.org"); err != nil {
		t.Fatal(err)
	}
	body := h.signedIn(h.user("op@example.org", nil, attendees.Operator)).get("/operations").body
	_, body, _ = strings.Cut(body, "Who looked at a person")
	body, _, _ = strings.Cut(body, "Who may sign in")
	for _, says := range []string{`<th scope="row">curious@example.org</th><td>Open Science Forum</td>`, `<th scope="row">a user who was removed</th><td>Array Summit</td>`} {
		if !strings.Contains(body, says) {
			t.Errorf("the audit of accesses does not say %s", says)
		}
	}
	if strings.Contains(body, "Testperson") || strings.Contains(body, "4711001") {
		t.Error("the audit of accesses says at whom")
	}
}

// A form that is linked to an event shows who answered it and is nobody's there.
func TestNobodyLinksAFormOfEventsThatSheDoesNotSee(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	save := url.Values{"form": {string(agreementForm)}, "purpose": {string(attendees.ParticipationAgreement)}, "fill-agreed": {"agree"}, "do": {"save"}}
	page := "/events/4712/link"
	preview := page + "?purpose=participation_agreement&form=" + string(agreementForm)
	curious := h.signedIn(h.user("curious@example.org", []attendees.EventID{"4712"}, attendees.Organiser))
	if a := curious.get(page); a.status != http.StatusOK || strings.Contains(a.body, string(agreementForm)) {
		t.Errorf("the page of forms answers %d and lists a form of 4711 to who does not see 4711", a.status)
	}
	for _, a := range []answer{curious.get(preview), curious.post(page, save)} {
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "could not be read") {
			t.Errorf("a form of 4711 answers %d to who does not see 4711", a.status)
		}
	}
	own := postgres.Link{Event: "4711", Form: attendees.EventbriteForm, Purpose: attendees.Forum, Fields: []postgres.LinkedField{{Field: attendees.Affiliation, Question: "q", ID: "q"}}}
	e, err := h.Store.Event(t.Context(), "4711")
	if err == nil {
		err = h.Store.SaveLink(t.Context(), e, own)
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := h.othersForms(t.Context(), postgres.User{Roles: []attendees.Role{attendees.Organiser}, Events: []attendees.EventID{"4712"}})
	if err != nil || theirs[attendees.EventbriteForm] || !theirs[forumForm] {
		t.Errorf("others' forms are %v (%v): an event's own questions are nobody else's", theirs, err)
	}
	for _, events := range [][]attendees.EventID{nil, {"4711", "4712"}} {
		her := h.signedIn(h.user("ada@example.org", events, attendees.Organiser))
		if a := her.get(page); !strings.Contains(a.body, string(agreementForm)) {
			t.Errorf("who sees %v is not offered the form", events)
		}
		if a := her.get(preview); a.status != http.StatusOK {
			t.Errorf("who sees %v gets %d for the form", events, a.status)
		}
		if a := her.post(page, save); a.status != http.StatusSeeOther {
			t.Errorf("who sees %v links the form with %d", events, a.status)
		}
	}
}

func TestLongListsComeInPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var events []attendees.Event
	for i := range 120 {
		end := time.Now().AddDate(0, 0, i+1)
		events = append(events, attendees.Event{ID: attendees.EventID(fmt.Sprint(50_000 + i)), Organization: "900", Name: fmt.Sprint("Meeting ", i), Status: "live", Zone: "Europe/Berlin", Start: end, End: end})
		if err := h.Store.SaveReceipt(t.Context(), postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Format: "csv", SHA256: make([]byte, 32), By: "ada@example.org", At: time.Now()}, &postgres.Listing{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Store.SaveEvents(t.Context(), attendees.Eventbrite, events); err != nil {
		t.Fatal(err)
	}
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	for path, want := range map[string]int{"/exports": 121, "/participation": 123, "/events": 125, "/plan": 125 + 3*3} { // three tasks stand on each page of the plan
		rows := 0
		for page := 1; page <= 3; page++ {
			a := b.get(fmt.Sprint(path, "?page=", page))
			_, body, _ := strings.Cut(a.body, "<tbody>")
			rows += strings.Count(body, "<tr>")
			if a.status != http.StatusOK || len(a.body) > 60<<10 || strings.Contains(a.body, `rel="next"`) != (page < 3) || strings.Contains(a.body, `rel="prev"`) != (page > 1) {
				t.Errorf("page %d of %s answers %d with %d bytes, or leads elsewhere", page, path, a.status, len(a.body))
			}
		}
		if rows != want {
			t.Errorf("%s lists %d in all, want %d", path, rows, want)
		}
		for _, odd := range []string{"-1", "x", "9223372036854775807", "200000000000000000"} {
			if a := b.get(path + "?page=" + odd); a.status != http.StatusOK {
				t.Errorf("page %s of %s answers %d", odd, path, a.status)
			}
		}
	}
}

func TestEveryAnswerThatIsNobodysIsWithinReach(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.answers(agreementForm, "4711", "", 600)
	h.clock.advance(time.Hour)
	h.respond(agreementForm, "4711", "hers", "", map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "email": {"norre3@private.example"}})
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	if a := b.get("/events/4711/attendees/4711003"); !strings.Contains(a.body, "norre3@private.example") {
		t.Error("the likeliest answer is not proposed on the person's page")
	}
	next, seen := "/events/4711/attendees?show=unmatched", map[string]bool{}
	pages := 0
	for ; next != "" && pages < 20; pages++ {
		a := b.get(next)
		if a.status != http.StatusOK || len(a.body) > 60<<10 || !strings.Contains(a.body, ">604 answers") {
			t.Fatalf("%s answers %d with %d bytes, and does not count 604 answers", next, a.status, len(a.body))
		}
		for _, m := range regexp.MustCompile(`name="q" value="([^"]+)"><button`).FindAllStringSubmatch(a.body, -1) {
			seen[m[1]] = true
		}
		next = ""
		if m := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(a.body); m != nil {
			next = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if pages != 13 || len(seen) != 604 {
		t.Errorf("%d answers on %d pages, want 604 on 13", len(seen), pages)
	}
	for _, odd := range []string{"x", "1.x", "-1.6ba7b810-9dad-11d1-80b4-00c04fd430c8", "9223372036854775807.6ba7b810-9dad-11d1-80b4-00c04fd430c8"} {
		if a := b.get("/events/4711/attendees?show=unmatched&after=" + odd); a.status != http.StatusOK || !strings.Contains(a.body, ">604 answers") {
			t.Errorf("after %s the list answers %d", odd, a.status)
		}
	}
}

func TestAFormIsTakenFromItsEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	page, form := "/events/4711/link", url.Values{"form": {string(agreementForm)}, "do": {"remove"}}
	if a := b.get(page); !strings.Contains(a.body, `value="`+string(agreementForm)+`"><span>`) {
		t.Fatal("the form is not shown as linked")
	}
	if a := b.post(page, form); a.status != http.StatusSeeOther || a.to != page {
		t.Fatalf("removing answers %d to %q", a.status, a.to)
	}
	if a := b.get(page); strings.Contains(a.body, `value="`+string(agreementForm)+`"><span>`) {
		t.Error("the form is shown as linked still")
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from personal where form_id = $1`, agreementForm); err != nil || left > 0 {
		t.Errorf("%d answers are left (%v)", left, err)
	}
	if a := b.post(page, form); a.status != http.StatusUnprocessableEntity {
		t.Errorf("removing twice answers %d", a.status)
	}
}

func TestTheMailMergeHasThoseWhoHaveNotAgreed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	a := b.get("/participation/4711/list.csv")
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(lines) < 2 || strings.Join(lines[0][:3], ",") != "attendee_id,name,email" {
		t.Fatalf("%d lines (%v)", len(lines), err)
	}
	missing, err := h.Store.CountPeople(t.Context(), "4711", postgres.Filter{Status: attendees.Attending, NotAgreed: true})
	if err != nil || len(lines)-1 != missing {
		t.Errorf("%d lines for %d people (%v)", len(lines)-1, missing, err)
	}
	if a := b.get("/exports"); !strings.Contains(a.body, "csv, not agreed") {
		t.Error("the mail merge left no receipt")
	}
}

// cutting is a reader who takes so many pieces of a list and cuts the connection.
type cutting struct {
	header http.Header
	bytes.Buffer
	left int
}

func (c *cutting) Header() http.Header { return c.header }
func (c *cutting) WriteHeader(int)     {}
func (c *cutting) Write(p []byte) (int, error) {
	if c.left--; c.left < 0 {
		return 0, errors.New("connection reset by peer")
	}
	return c.Buffer.Write(p)
}

func TestSlowListsKeepNobodyWaitingWithNothingOnScreen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const list = "/events/4711/export?purpose=forum&format=csv"
	u := h.user("ada@example.org", nil, attendees.Organiser)
	ada, eve := h.signedIn(u), h.signedIn(h.user("eve@example.org", nil, attendees.Organiser))
	for range maxOwnExports { // hers are on a slow line
		if !h.takers.take(u.ID.String()) {
			t.Fatal("she cannot take a list")
		}
		h.exports <- struct{}{}
	}
	if a := ada.get(list); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one list more of hers answers %d", a.status)
	}
	if a := eve.get(list); a.status != 200 {
		t.Errorf("another's list answers %d", a.status)
	}
	for len(h.exports) < maxExports { // and somebody else's
		h.exports <- struct{}{}
	}
	began := time.Now()
	if a := eve.get(list); a.status != http.StatusServiceUnavailable || time.Since(began) < exportWait {
		t.Errorf("after %s a list that finds no room answers %d", time.Since(began), a.status)
	}
	<-h.exports
	if a := eve.get(list); a.status != 200 {
		t.Errorf("once a list has left, the next answers %d", a.status)
	}
}

func TestAskingForAListsHeadersTakesNoList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	for path, status := range map[string]int{
		"/events/4711/export?purpose=forum&format=csv":   200,
		"/participation/4711/list.csv":                   200,
		"/events/4711/export?purpose=nothing&format=csv": 404,
		"/events/4711/export?purpose=forum&format=odt":   422,
		"/events/4714/export?purpose=forum&format=csv":   410,
	} {
		before := len(must(h.Store.ReceiptsOf(t.Context(), nil)))
		head := b.ask("HEAD", path, nil)
		if len(must(h.Store.ReceiptsOf(t.Context(), nil))) != before {
			t.Errorf("HEAD %s leaves a receipt", path)
		}
		if head.status != status {
			t.Errorf("HEAD %s answers %d, want %d", path, head.status, status)
		}
		whole := b.get(path)
		for _, name := range []string{"Content-Type", "Content-Disposition", "Cache-Control"} {
			if head.header.Get(name) != whole.header.Get(name) {
				t.Errorf("HEAD %s: %s is %q, want %q", path, name, head.header.Get(name), whole.header.Get(name))
			}
		}
	}
}

// Somebody takes a list and cuts the connection just before its end: she has the people.
func TestAListThatIsCutOffByItsReaderLeavesATrace(t *testing.T) {
	h := newHouse(t)
	h.many(20_000)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.server.URL+"/events/4715/export?purpose=forum&format=csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	w := &cutting{header: http.Header{}, left: 10}
	func() {
		defer func() { _ = recover() }() // http.ErrAbortHandler
		h.Handler().ServeHTTP(w, r)
	}()
	var n int
	if err := h.Store.DB().Get(&n, `select count(*) from receipts r join events e on e.id = r.event_id where e.source_id = '4715'`); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Errorf("%d people left with her, and no receipt says so", strings.Count(w.String(), "@example.org"))
	}
}

// The worker's own pull tells the console nothing.
func TestFiguresAreNoOlderThanWhatStandsBesideThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	if a := b.get("/events/4715"); !strings.Contains(a.body, "Nobody has registered yet") {
		t.Fatal("somebody has registered")
	}
	h.many(120)
	if a := b.get("/events/4715/attendees"); !strings.Contains(a.body, ">120 people<") {
		t.Error("the list does not say that it shows 120 people")
	}
	a := b.get("/events/4715")
	for _, says := range []string{"<b>120</b>", "120 registrations", "120 in all"} {
		if !strings.Contains(a.body, says) {
			t.Errorf("the event's page does not say %q", says)
		}
	}
	// An answer changes no count that is kept beside the room, but its feed was read to its end.
	h.answers(agreementForm, "4711", "a", 1)
	b.get("/events/4711")
	h.answers(agreementForm, "4711", "b", 2)
	finished := h.clock.now()
	err := h.Store.InTx(t.Context(), func(tx *sqlx.Tx) error {
		_, err := h.Store.SaveFeed(t.Context(), tx, postgres.Feed{Name: postgres.FormFeed(agreementForm), Generation: 1, Finished: &finished})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := b.get("/events/4711"); !strings.Contains(a.body, "6 answers") {
		t.Error("the event's page does not say that six answers are nobody's")
	}
}

// In a large event that changes, what is exact stands over what was counted a moment ago,
// and nobody who looks often has it counted each time.
func TestALargeEventIsNotCountedForEachLook(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e, err := h.Store.Event(t.Context(), "4715")
	if err != nil {
		t.Fatal(err)
	}
	h.many(100)
	times := 0
	h.numbers = newCounts[attendees.EventID, standing](h.later, func(ctx context.Context, id attendees.EventID) (postgres.Numbers, error) {
		times++
		return h.Store.Numbers(ctx, id)
	}, func(n postgres.Numbers) bool { return n.Registered < 100 })
	for _, people := range []int{100, 300, 700} {
		h.many(people)
		n, err := h.numbersOf(t.Context(), e)
		if err != nil || n.Registered != people || n.Attending() != people {
			t.Errorf("%d attend, %d registered (%v), want %d", n.Attending(), n.Registered, err, people)
		}
	}
	if times != 1 {
		t.Errorf("it was counted %d times, want once", times)
	}
	h.numbers.mu.Lock()
	h.numbers.kept["4715"].at = time.Now().Add(-2 * changedFor)
	h.numbers.mu.Unlock()
	if n, err := h.numbersOf(t.Context(), e); err != nil || n.Kept[attendees.Name] != 700 || times != 2 {
		t.Errorf("after a while %d names are kept, counted %d times (%v)", n.Kept[attendees.Name], times, err)
	}
}

package web

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	netmail "net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/attendees/old/seal"
)

// Send sends at once what /my-data says.
func (c *caught) Send(ctx context.Context, l mail.Letter) error { return c.Post(ctx, l) }

// newPortal is a house whose /my-data can send, and seal.
func newPortal(t testing.TB, base string) *house {
	h := newHouseAt(t, base)
	h.Site.Send = h.post
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	officers, err := seal.ParseOfficers(officer.Public())
	if err != nil {
		t.Fatal(err)
	}
	if h.desk.Sealer, err = seal.NewSealer(officers, h.Store.Keys()); err != nil {
		t.Fatal(err)
	}
	return h
}

// letter waits for the next letter.
func (h *house) letter() mail.Letter {
	h.t.Helper()
	select {
	case l := <-h.post.letters:
		return l
	case <-time.After(20 * time.Second):
		h.t.Fatal("no letter came within twenty seconds")
		return mail.Letter{}
	}
}

// mailed waits until everything that /my-data puts off is done, and counts the letters.
func (h *house) mailed() int {
	done := make(chan struct{})
	h.mails.work <- func(context.Context) error { close(done); return nil }
	<-done
	return len(h.post.letters)
}

// visit is the browser of somebody who has proved an address.
func (h *house) visitor(address string) *browser {
	h.t.Helper()
	b := h.browser()
	if a := b.post("/my-data", email(address)); a.status != http.StatusOK {
		h.t.Fatalf("asking for a link answers %d", a.status)
	}
	link := strings.TrimPrefix(h.letter().Link, h.BaseURL)
	if a := b.post(link, nil); a.status != http.StatusSeeOther || !strings.HasPrefix(a.to, "/my-data") {
		h.t.Fatalf("the button answers %d %s", a.status, a.to)
	}
	return b
}

// request asks for a right and gives what the letter to the person says.
func (b *browser) request(right, event string, more url.Values) (letter mail.Letter) {
	b.h.t.Helper()
	form := url.Values{"right": {right}, "event": {event}}
	for k, v := range more {
		form[k] = v
	}
	if a := b.post("/my-data/requests", form); a.status != http.StatusSeeOther {
		b.h.t.Fatalf("asking for %s answers %d: %s %s", right, a.status, a.body, b.h.log)
	}
	return b.h.letter()
}

// lies tells where a text lies: in the cluster's files, a dump of the database, the log.
func (h *house) lies(text string) (where []string) {
	h.t.Helper()
	if _, err := h.Store.FlushWAL(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	var dir string
	if err := h.Store.DB().Get(&dir, `show data_directory`); err != nil {
		h.t.Fatal(err)
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files come and go below a running server
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			where = append(where, strings.TrimPrefix(path, dir))
		}
		return nil
	})
	if bytes.Contains(h.dump(), []byte(text)) {
		where = append(where, "a dump")
	}
	if strings.Contains(h.log.String(), text) {
		where = append(where, "the log")
	}
	return where
}

func (h *house) dump() []byte {
	h.t.Helper()
	bin, err := pgtest.Server(h.t).Bin("pg_dump")
	if err != nil {
		h.t.Fatal(err)
	}
	dump, err := exec.Command(bin, "--dbname="+h.url).Output()
	if err != nil || len(dump) == 0 {
		h.t.Fatalf("pg_dump: %v", err)
	}
	return dump
}

func (h *house) save(regs ...attendees.Registration) {
	h.t.Helper()
	var batch []attendees.Minimised
	for _, r := range regs {
		batch = append(batch, h.Store.Policy().Minimise(r, nil))
	}
	err := h.Store.InTx(h.t.Context(), func(tx *sqlx.Tx) error {
		_, err := h.Store.Save(h.t.Context(), tx, nil, attendees.Eventbrite, batch)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func registration(id, event, name, address string) attendees.Registration {
	return attendees.Registration{
		ID: attendees.AttendeeID(id), Event: attendees.EventID(event), Name: attendees.Personal(name), Email: attendees.Personal(address),
		Ticket: "Standard", Created: time.Now().AddDate(0, -1, 0), Changed: time.Now().AddDate(0, 0, -1),
	}
}

func TestWhatIsSealedOpensForItsOwnAddressAloneAndNobodySeesItMeanwhile(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	const name, address = "Ottilie Marrowgate", "ottilie@example.org" // no other test's: the cluster is one
	// Of 4714, which is blocked, and of 4711, where she has it sealed.
	h.save(registration("9001", "4711", name, address))
	if _, err := h.Store.Restrict(t.Context(), "9001", attendees.RestrictionAsked, h.desk.Sealer); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Store.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := h.visitor(" Ottilie@Example.ORG")
	page := b.get("/my-data")
	for _, says := range []string{name, address, "Open Science Forum", "restricted", "Art. 18", "Art. 77"} {
		if !strings.Contains(page.body, says) {
			t.Errorf("her page does not say %q", says)
		}
	}
	if got := page.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("her page may be kept: %q", got)
	}
	for _, text := range []string{name, address} {
		if where := h.lies(text); len(where) > 0 {
			t.Errorf("while she looks, a text of hers lies in %v", where)
		}
	}
	staff := h.signedIn(h.user("all@example.org", nil, attendees.Roles()...))
	for _, path := range []string{"/events/4711", "/events/4711/attendees", "/requests", "/ledger", "/operations", "/plan"} {
		if strings.Contains(staff.get(path).body, "Ottilie") {
			t.Errorf("%s shows her", path)
		}
	}
	if strings.Contains(h.visitor("norre3@example.org").get("/my-data").body, "Ottilie") {
		t.Error("somebody else sees her")
	}
	sealed := h.visitor("norre3@example.org").get("/my-data").body
	if !strings.Contains(sealed, "Community Workshop") || !strings.Contains(sealed, "Nørre Testperson 3") || strings.Contains(sealed, "Testperson 4") {
		t.Error("a blocked record does not open for its own person alone")
	}
	if a := b.post("/my-data/lift", url.Values{"event": {"4711"}}); a.status != http.StatusSeeOther {
		t.Errorf("lifting it answers %d", a.status)
	}
	if held, err := h.Store.HeldUnder(t.Context(), address); err != nil || held[0].Own.State != attendees.Active {
		t.Errorf("it is not lifted (%v)", err)
	}
	b.post("/my-data/close", nil)
	if a := b.get("/my-data"); strings.Contains(a.body, name) {
		t.Error("the closed visit still shows her")
	}
}

func TestOnlyTheExactAddressOpensAnything(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	h.save(registration("9001", "4711", "Own Person", "a.b@gmail.com"), registration("9002", "4711", "Idn Person", "x@bücher.example"),
		registration("9003", "4711", "First Of Order", "buyer@example.org"), registration("9004", "4711", "Second Of Order", "buyer@example.org"),
		registration("9005", "4711", "Colleague Herself", "colleague@example.org"))
	for _, other := range []string{"a.b@gma\u0130l.com", "ab@gmail.com", "a.b+c@gmail.com", "\u0430.b@gmail.com", "a.b@gmail.co", "x@bucher.example"} {
		h.browser().post("/my-data", email(other))
		if l := h.letter(); l.Link != "" || strings.Contains(strings.Join(l.Text, " "), "Something is") {
			t.Errorf("%q gets a link", other)
		}
	}
	if body := h.visitor("X@xn--bcher-kva.example").get("/my-data").body; !strings.Contains(body, "Idn Person") {
		t.Error("the domain's other spelling does not open her own")
	}
	buyer := h.visitor("buyer@example.org")
	body := buyer.get("/my-data").body + buyer.get("/my-data/data.json").body
	if strings.Contains(body, "Of Order") || !strings.Contains(body, "2 registration") || !strings.Contains(body, `"shared": 2`) {
		t.Error("a buyer sees names of a group, or not that there are two")
	}
	if l := buyer.request("erasure", "4711", nil); !strings.Contains(strings.Join(l.Text, " "), "has to look at it") {
		t.Errorf("the buyer's letter says %q", l.Text)
	}
	var left int
	if err := h.Store.DB().Get(&left, `select count(*) from personal where name like '%Of Order'`); err != nil || left != 2 {
		t.Errorf("%d of the order are left (%v), want both", left, err)
	}
	if !strings.Contains(h.visitor("colleague@example.org").get("/my-data").body, "Colleague Herself") {
		t.Error("a colleague with an address of her own does not see herself")
	}
}

func TestKnownAndUnknownAddressesGetTheSameBytesBeforeAnythingIsLookedUp(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	h.post.held = make(chan struct{})
	known := h.browser().post("/my-data", email("norre3@example.org"))
	unknown := h.browser().post("/my-data", email("nobody@example.org"))
	known.header.Del("Date")
	unknown.header.Del("Date")
	if known.status != http.StatusOK || known.body != unknown.body || !slices.Equal(known.header.Values("Set-Cookie"), unknown.header.Values("Set-Cookie")) ||
		len(known.header) != len(unknown.header) {
		t.Error("the answers differ, or wait for the mailer")
	}
	close(h.post.held)
	with, without := h.letter(), h.letter()
	if with.Link == "" || without.Link != "" || without.To != "nobody@example.org" || !strings.Contains(without.Text[0], "Nothing is held") {
		t.Errorf("the letters are %q and %q", with.Text, without.Text)
	}
	for _, table := range []string{"visits", "outbox", "cases", "river_job"} {
		var rows int
		if err := h.Store.DB().Get(&rows, `select count(*) from `+table); err != nil || rows > 1 || table != "visits" && rows > 0 {
			t.Errorf("%s has %d rows of somebody unknown (%v)", table, rows, err)
		}
	}
	if where := h.lies("nobody@example"); len(where) > 0 {
		t.Errorf("an unknown address lies in %v", where)
	}
	for range 10 {
		h.browser().post("/my-data", email("Norre3@example.org"))
		h.browser().post("/my-data", email("nobody@example.org"))
	}
	if n := h.mailed(); n != 4 {
		t.Errorf("%d more letters went within the hour, want two for each", n)
	}
	for range 4 {
		<-h.post.letters
	}
	for range 8 {
		h.clock.advance(time.Hour + time.Minute)
		for range 3 {
			h.browser().post("/my-data", email("nobody@example.org"))
		}
		h.mailed()
	}
	if n := h.mailed(); n != 7 {
		t.Errorf("%d more went within the day, want seven", n)
	}
}

func TestALinkShowsOnceAndOnlyByItsButton(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	ask := func() string {
		h.browser().post("/my-data?lang=de", email("norre3@example.org"))
		return strings.TrimPrefix(h.letter().Link, h.BaseURL)
	}
	nothing := func(what string, b *browser, link string) {
		t.Helper()
		if a := b.post(link, nil); a.status != http.StatusGone || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: the button answers %d", what, a.status)
		}
		for _, path := range []string{"/my-data", "/my-data/data.json", "/my-data/data.zip", "/my-data/requests", "/my-data/ask?right=erasure"} {
			if a := b.get(path); strings.Contains(a.body, "Testperson") || path != "/my-data" && a.status != http.StatusSeeOther {
				t.Errorf("%s: %s answers %d", what, path, a.status)
			}
		}
		if a := b.post("/my-data/requests", url.Values{"right": {"erasure"}, "event": {"4711"}}); a.status != http.StatusSeeOther || strings.Contains(a.to, "requests") {
			t.Errorf("%s: a request answers %d %s", what, a.status, a.to)
		}
	}
	link := ask()
	if !strings.HasPrefix(link, "/my-data/link/") || !strings.HasSuffix(link, "?lang=de") {
		t.Fatalf("the link is %q", link)
	}
	scanner := h.browser()
	for range 3 {
		if a := scanner.get(link); a.status != http.StatusOK || strings.Contains(a.body, "Testperson") || a.header.Get("Set-Cookie") != "" || !strings.Contains(a.body, `lang="de"`) {
			t.Errorf("opening the link answers %d", a.status)
		}
	}
	if a := scanner.get("/my-data"); strings.Contains(a.body, "Testperson") {
		t.Error("opening the link has shown something")
	}
	nothing("guessed", h.browser(), "/my-data/link/AAAAAAAAAAAAAAAAAAAAAAAAAA")
	nothing("altered", h.browser(), strings.Replace(link, "?", "A?", 1))
	if a := scanner.post(link, nil); a.status != http.StatusSeeOther {
		t.Fatalf("the button answers %d", a.status)
	}
	if a := scanner.get("/my-data?lang=de"); !strings.Contains(a.body, "Was über Sie gespeichert ist") {
		t.Error("the page is not in the language that was chosen")
	}
	nothing("used twice", h.browser(), link)
	late := ask()
	h.clock.advance(postgres.VisitLinkFor)
	nothing("expired", h.browser(), late)
	if a := scanner.get("/my-data"); strings.Contains(a.body, "Testperson") {
		t.Error("a visit that nobody used for 15 minutes still shows something")
	}
}

func TestErasedAtHerOwnRequestSheIsNowhereAndMayComeBack(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	const name, address = "Ignatia Thistlewood", "ignatia@example.org" // no other test's: the cluster is one
	hers := registration("9001", "4711", name, address)
	h.save(hers)
	// A form asks for the agreement, and she never agreed: no duty keeps anything.
	e, err := h.Store.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	err = h.Store.SaveLink(t.Context(), e, postgres.Link{Event: "4711", Form: "eventbrite", Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "q", ID: "q"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := h.visitor(address)
	if a := b.get("/my-data/ask?right=erasure&event=4711"); a.status != http.StatusOK || !strings.Contains(a.body, "cannot be taken back") {
		t.Errorf("the page that asks once more answers %d", a.status)
	}
	if a := b.get("/my-data/ask?right=erasure&event=4712"); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, "Array Summit") {
		t.Errorf("an event that she has nothing to do with answers %d", a.status)
	}
	began := time.Now()
	letter := b.request("erasure", "4711", url.Values{"message": {"please"}})
	t.Logf("erased within %s", time.Since(began))
	if !strings.Contains(strings.Join(letter.Text, " "), "is erased") || !strings.HasPrefix(letter.Quoted, "lethe certificate") || letter.To != address {
		t.Errorf("the letter says %q", letter.Text)
	}
	if a := b.get("/my-data/requests"); !strings.Contains(a.body, ">done<") || !strings.Contains(a.body, "Open Science Forum") {
		t.Error("her request does not show as done")
	}
	if a := b.get("/my-data"); !strings.Contains(a.body, "Nothing is held") {
		t.Error("something is still shown")
	}
	if _, err := h.Store.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{name, address} {
		if where := h.lies(text); len(where) > 0 {
			t.Errorf("after the night's sweep a text of hers lies in %v", where)
		}
	}
	h.save(hers, registration("9002", "4711", name, address))
	held, err := h.Store.HeldUnder(t.Context(), address)
	if err != nil || len(held) != 1 || held[0].Own == nil || held[0].Own.ID != "9002" {
		t.Errorf("after the next pull is held %+v (%v), want the new registration alone", held, err)
	}
}

func TestWhatSheTakesAlongIsWhatTheSchemaSays(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	b := h.visitor("norre3@example.org")
	b.request("rectification", "4711", url.Values{"field": {"name"}, "value": {"=Norre"}})
	a := b.get("/my-data/data.json")
	if a.header.Get("Content-Type") != "application/json" || !strings.Contains(a.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the file comes as %v", a.header)
	}
	schema, err := os.ReadFile("../old/rights/my-data.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var rules map[string]any
	var file any
	if err := errors.Join(json.Unmarshal(schema, &rules), json.Unmarshal([]byte(a.body), &file)); err != nil {
		t.Fatal(err)
	}
	for _, fault := range breaks(rules, rules, file, "") {
		t.Error(fault)
	}
	var f rights.File
	if err := json.Unmarshal([]byte(a.body), &f); err != nil || len(f.Events) != 4 || len(f.Requests) != 1 || f.Requests[0].Asks != attendees.Rectification {
		t.Errorf("the file has %d events and %v", len(f.Events), f.Requests)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", h.server.URL+"/my-data/requests", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	if a := b.do(r); !strings.HasPrefix(a.body, `[{"number":1,"asks":"rectification","event":"4711"`) {
		t.Errorf("scripts read of her requests %s", a.body)
	}
	z := b.get("/my-data/data.zip")
	archive, err := zip.NewReader(strings.NewReader(z.body), int64(len(z.body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range archive.File {
		names = append(names, one.Name)
		text, err := fs.ReadFile(archive, one.Name)
		if err != nil || one.Name != "uses.csv" && !bytes.Contains(text, []byte("Nørre Testperson 3")) {
			t.Errorf("%s does not have her (%v)", one.Name, err)
		}
		if strings.HasSuffix(one.Name, ".html") && (bytes.Contains(text, []byte("<form")) || bytes.Contains(text, []byte("<a "))) {
			t.Error("the readable page has something to press")
		}
	}
	if !slices.Equal(names, []string{"my-data.json", "my-data.html", "fields.csv", "uses.csv"}) {
		t.Errorf("the archive has %v", names)
	}
}

// breaks tells what of a value breaks a schema: of JSON Schema just what ours uses.
func breaks(all, rules map[string]any, v any, at string) (faults []string) {
	if ref, ok := rules["$ref"].(string); ok {
		rules = all["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	if c, ok := rules["const"]; ok && c != v {
		faults = append(faults, at+" is not the constant")
	}
	if e, ok := rules["enum"].([]any); ok && !slices.Contains(e, v) {
		faults = append(faults, at+" is none of the values")
	}
	kind := rules["type"]
	switch v := v.(type) {
	case map[string]any:
		if kind != "object" {
			return append(faults, at+" is an object")
		}
		properties := rules["properties"].(map[string]any)
		for _, name := range rules["required"].([]any) {
			if _, ok := v[name.(string)]; !ok {
				faults = append(faults, at+" lacks "+name.(string))
			}
		}
		for name, value := range v {
			p, ok := properties[name].(map[string]any)
			if !ok {
				faults = append(faults, at+" has "+name)
				continue
			}
			faults = append(faults, breaks(all, p, value, at+"/"+name)...)
		}
	case []any:
		if kind != "array" {
			return append(faults, at+" is a list")
		}
		for _, one := range v {
			faults = append(faults, breaks(all, rules["items"].(map[string]any), one, at+"[]")...)
		}
	case string:
		if kind != nil && kind != "string" {
			faults = append(faults, at+" is a text")
		}
	case bool:
		if kind != "boolean" {
			faults = append(faults, at+" is a boolean")
		}
	case float64:
		if kind != nil && kind != "integer" {
			faults = append(faults, at+" is a number")
		}
	default:
		faults = append(faults, at+" is null")
	}
	return faults
}

func TestAVisitMayDoOnlyWhatIsForItsOwnAddress(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	h.save(registration("9001", "4711", "Zaphira Quillfeather", "zaphira@example.org"))
	b := h.visitor("norre3@example.org")
	for _, form := range []url.Values{
		{"right": {"nonsense"}, "event": {"4711"}}, {"right": {"rectification"}, "event": {"4711"}, "field": {"agreed_at"}, "value": {"x"}},
		{"right": {"rectification"}, "event": {"4711"}, "field": {"name"}, "value": {""}}, {},
		{"right": {"erasure"}, "event": {"nonsense"}},
	} {
		if a := b.post("/my-data/requests", form); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%v answers %d", form, a.status)
		}
	}
	l := h.visitor("zaphira@example.org").request("erasure", "4712", nil)
	if !strings.Contains(strings.Join(l.Text, " "), "Nothing is held") {
		t.Errorf("of an event that she has nothing to do with the letter says %q", l.Text)
	}
	b.post("/my-data/lift", url.Values{"event": {"4711"}})
	held, err := h.Store.HeldUnder(t.Context(), "zaphira@example.org")
	if err != nil || len(held) != 1 || held[0].Own.State != attendees.Active {
		t.Error("somebody else's record was touched")
	}
}

func TestAnOfficerAnswersWhatWaits(t *testing.T) {
	t.Parallel()
	h := newPortal(t, "http://lethe.test")
	h.save(registration("9001", "4711", "Zaphira Quilfeather", "zaphira@example.org"))
	b := h.visitor("zaphira@example.org")
	b.request("rectification", "4711", url.Values{"field": {"name"}, "value": {"Zaphira Quillfeather"}, "message": {"two l"}})
	staff := h.signedIn(h.user("officer@example.org", nil, attendees.Officer))
	list := staff.get("/requests")
	if list.status != http.StatusOK || strings.Contains(list.body, "Zaphira") || !strings.Contains(list.body, "/requests/1") {
		t.Errorf("the list answers %d, or names somebody", list.status)
	}
	one := staff.get("/requests/1").body
	for _, says := range []string{"zaphira@example.org", "Zaphira Quillfeather", "two l", "{result}"} {
		if !strings.Contains(one, says) {
			t.Errorf("the request's page lacks %q", says)
		}
	}
	if looks, err := h.Store.Looks(t.Context(), "4711", "9001"); err != nil || len(looks) != 1 {
		t.Errorf("%d looks at her are recorded (%v), want the officer's", len(looks), err)
	}
	if a := staff.post("/requests/1/decide", url.Values{"decision": {"grant"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason it answers %d", a.status)
	}
	a := staff.post("/requests/1/decide", url.Values{"decision": {"grant"}, "reason": {"she says so"}, "letter": {"Dear you,\n\n{result}\n\nYours"}, "extra": {"See you there"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("granting answers %d %s", a.status, a.body)
	}
	if l := h.letter(); l.Text[0] != "Dear you," || !strings.Contains(l.Text[1], "corrected as you proposed") || l.Text[2] != "Yours" || l.Text[3] != "See you there" {
		t.Errorf("the letter says %q", l.Text)
	}
	if body := b.get("/my-data").body; !strings.Contains(body, "Zaphira Quillfeather") || !strings.Contains(body, "corrected at your request") {
		t.Error("her page does not show the correction")
	}
	if body := staff.get("/requests/1").body; strings.Contains(body, "Zaphira") || strings.Contains(body, "zaphira") {
		t.Error("the answered request still names her")
	}
	// One by letter, answered when she proves her address.
	a = staff.post("/requests/add", url.Values{"right": {"restriction"}, "email": {"zaphira@example.org"}, "event": {"4711"}, "came_by": {"letter"},
		"received": {attendees.DateOf(time.Now().UTC()).AddDays(-40).String()}, "language": {"fr"}})
	if a.status != http.StatusSeeOther {
		t.Fatalf("entering one answers %d %s", a.status, a.body)
	}
	invited := h.letter()
	if !strings.Contains(invited.Text[0], "Appuyez") && !strings.Contains(invited.Text[0], "appuyez") || invited.Language != "fr" {
		t.Errorf("the mail that asks who she is says %q", invited.Text)
	}
	if body := staff.get("/requests").body; !strings.Contains(body, "Overdue") {
		t.Error("one that came forty days ago is not overdue")
	}
	if a := staff.post("/requests/2/decide", url.Values{"decision": {"grant"}, "reason": {"x"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("granting before she proved it answers %d", a.status)
	}
	h.visitor("zaphira@example.org") // a visit of her own says nothing of what somebody wrote in her name
	if c, _, err := h.Store.Case(t.Context(), 2); err != nil || !c.Verified.IsZero() || !c.Open() {
		t.Errorf("a visit has settled what she did not ask for: %+v (%v)", c, err)
	}
	h.browser().post(strings.TrimPrefix(invited.Link, h.BaseURL), nil)
	if l := h.letter(); !strings.Contains(strings.Join(l.Text, " "), "scellé") {
		t.Errorf("after she proved it the letter says %q", l.Text)
	}
}

// A stranger writes one mailbox in many ways, each with limits of its own.
func TestAStrangerCannotFillAMailboxUnderManySpellings(t *testing.T) {
	h := newPortal(t, "http://lethe.test")
	n := 0
	for i := range 8 {
		for _, as := range []string{"x%d<victim@example.org>", "victim@example.org(%d)"} {
			if i > 3 && as[0] == 'v' {
				continue
			}
			h.browser().post("/my-data", email(fmt.Sprintf(as, i)))
		}
	}
	h.mailed()
	for len(h.post.letters) > 0 {
		l := <-h.post.letters
		if a, err := netmail.ParseAddress(l.To); err == nil && a.Address == "victim@example.org" { // as go-mail's To does
			n++
		}
	}
	if n > 3 {
		t.Errorf("%d mails went to victim@example.org within the hour, at most 3 may", n)
	}
}

// Requests of the same person for the same thing are one case.
func TestTheSameRequestIsOneCaseWhateverElseIsSentAlong(t *testing.T) {
	h := newPortal(t, "http://lethe.test")
	h.save(registration("b2", "4711", "Zaphira Quillfeather", "zaphira@example.org"))
	b := h.visitor("zaphira@example.org")
	go func() {
		for range h.post.letters { // nobody reads them here
		}
	}()
	for i := range 5 {
		b.post("/my-data/requests", url.Values{"right": {"access"}, "event": {"4711"}, "field": {fmt.Sprint("any", i)}, "value": {strings.Repeat("x", 20000)}})
	}
	cases, err := h.Store.Cases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 1 {
		t.Errorf("%d cases are open, want 1", len(cases))
	}
}

// Each request stays in the ledger for good, which is not hers to fill.
func TestARequestIsTakenSoManyTimesADay(t *testing.T) {
	h := newPortal(t, "http://lethe.test")
	h.save(registration("b2", "4711", "Zaphira Quillfeather", "zaphira@example.org"))
	b := h.visitor("zaphira@example.org")
	go func() {
		for range h.post.letters { // nobody reads them here
		}
	}()
	taken := 0
	for range 60 {
		if b.post("/my-data/requests", url.Values{"right": {"access"}, "event": {"4712"}}).status == http.StatusSeeOther {
			taken++
		}
	}
	if taken != 50 {
		t.Errorf("%d requests are taken in a day, want 50", taken)
	}
}

func TestOddInputIsRefusedNotAFailure(t *testing.T) {
	h := newPortal(t, "http://lethe.test")
	h.save(registration("b2", "4711", "Zaphira Quillfeather", "zaphira@example.org"))
	b := h.visitor("zaphira@example.org")
	go func() {
		for range h.post.letters { // nobody reads them here
		}
	}()
	for _, odd := range []string{"\x00", "\xff", "4711\x00"} {
		for _, form := range []url.Values{{"right": {"access"}, "event": {odd}}, {"right": {"rectification"}, "event": {"4711"}, "field": {"name"}, "value": {"A" + odd}}, {"right": {"access"}, "event": {"4711"}, "message": {odd}}} {
			if a := b.post("/my-data/requests", form); a.status >= 500 {
				t.Errorf("%q answers %d", form, a.status)
			}
		}
		if a := b.post("/my-data/lift", url.Values{"event": {odd}}); a.status >= 500 {
			t.Errorf("lift %q answers %d", odd, a.status)
		}
		if a := b.get("/my-data/ask?right=erasure&event=" + url.QueryEscape(odd)); a.status >= 500 {
			t.Errorf("ask %q answers %d", odd, a.status)
		}
	}
	cases, err := h.Store.Cases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.Asks == "rectification" {
			if _, err := h.desk.Decide(t.Context(), c.Number, rights.Decision{Grant: true, Reason: "right", By: "x"}); err != nil {
				t.Errorf("granting it fails for good: %v", err)
			}
		}
	}
}

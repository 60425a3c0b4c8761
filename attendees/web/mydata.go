package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/attendees/old/seal"
)

//go:embed mydata/*.html
var myDataFiles embed.FS

// What one address and one network may ask /my-data for, and all together: a stranger
// cannot fill somebody's mailbox, and staff have another way in for who is shut out.
var (
	visitsPerNetwork   = []postgres.Limit{{Most: 30, Within: time.Minute}, {Most: 200, Within: 24 * time.Hour}}
	visitsPerAddress   = []postgres.Limit{{Most: 3, Within: time.Hour}, {Most: 10, Within: 24 * time.Hour}}
	requestsPerAddress = []postgres.Limit{{Most: 50, Within: 24 * time.Hour}}
	// In total, within one hour of the clock: far above any event's, far below what a mail
	// provider would take for a flood.
	visitsInTotal = []postgres.Limit{{Most: 600, Within: time.Hour}}
)

const (
	visitOfNetwork = "my-data from a network"
	visitOfAddress = "my-data of an address"
	visitOfAll     = "my-data in the hour of"
)

func (paths) MyData(lang string) string { return "/my-data" + inLanguage(lang) }
func (paths) Visit(token, l string) string {
	return "/my-data/link/" + url.PathEscape(token) + inLanguage(l)
}
func (paths) EndVisit(lang string) string { return "/my-data/close" + inLanguage(lang) }
func (paths) MyFile() string              { return "/my-data/data.json" }
func (paths) MyZip(lang string) string    { return "/my-data/data.zip" + inLanguage(lang) }
func (paths) MyRequests(l string) string  { return "/my-data/requests" + inLanguage(l) }
func (paths) LiftMine(lang string) string { return "/my-data/lift" + inLanguage(lang) }

// Ask is the page that asks once more before a right is used.
func (paths) Ask(right string, event attendees.EventID, lang string) string {
	return "/my-data/ask?" + url.Values{"right": {right}, "event": {string(event)}, "lang": {lang}}.Encode()
}

func inLanguage(lang string) string { return "?lang=" + url.QueryEscape(lang) }

func (s *Site) myDataRoutes() []route {
	return []route{
		{pattern: "GET /my-data", bare: true, do: s.myData},
		{pattern: "POST /my-data", bare: true, do: s.askForVisit},
		{pattern: "GET /my-data/link/{token}", bare: true, do: s.visitButton},
		{pattern: "POST /my-data/link/{token}", bare: true, do: s.useVisitLink},
		{pattern: "POST /my-data/close", bare: true, do: s.endVisit},
		{pattern: "GET /my-data/data.json", bare: true, do: s.visited(s.myFile)},
		{pattern: "GET /my-data/data.zip", bare: true, do: s.visited(s.myZip)},
		{pattern: "GET /my-data/ask", bare: true, do: s.visited(s.askOnceMore)},
		{pattern: "GET /my-data/requests", bare: true, do: s.visited(s.myRequests)},
		{pattern: "POST /my-data/requests", bare: true, do: s.visited(s.takeRequest)},
		{pattern: "POST /my-data/lift", bare: true, do: s.visited(s.liftMine)},
	}
}

// spokenPage is what the attendee's layout shows around a page, in her language.
type spokenPage struct {
	rights.Words
	Title   string
	Visited bool // somebody is in
	Others  []otherLanguage
	Page    any
}

type otherLanguage struct {
	Language, Name, Path string
	Current              bool
}

func (s *Site) words(r *http.Request) rights.Words {
	return s.desk.Catalogue.In(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
}

// speak answers with one of the attendee's pages, under the title of a key.
func (s *Site) speak(w http.ResponseWriter, r *http.Request, status int, name, title string, visited bool, page any) error {
	b, err := s.spoken(r, name, title, visited, page)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Content-Language", s.words(r).Language)
	h.Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(b) // who has gone away needs no answer
	return nil
}

func (s *Site) spoken(r *http.Request, name, title string, visited bool, page any) ([]byte, error) {
	p := spokenPage{Words: s.words(r), Title: s.words(r).Say(title), Visited: visited, Page: page}
	for _, l := range rights.Languages() {
		q := r.URL.Query()
		q.Set("lang", l)
		at := r.URL.Path
		if r.Method != http.MethodGet {
			at = paths{}.MyData("")
			at, _, _ = strings.Cut(at, "?")
		}
		p.Others = append(p.Others, otherLanguage{
			l, s.desk.Catalogue.In(l, "").Say("language"), at + "?" + q.Encode(), l == p.Language,
		})
	}
	var b bytes.Buffer
	if err := s.mydata[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// visitCookie is the cookie that keeps a visit. It goes with the browser's session.
func (s *Site) visitCookie(token string, age int) *http.Cookie {
	c := &http.Cookie{Name: "lethe-visit", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: age}
	if s.secure() {
		c.Name, c.Secure = "__Host-lethe-visit", true
	}
	return c
}

// visit is the visit of the browser that asks; its token is empty where there is none.
func (s *Site) visit(r *http.Request) (token string, v postgres.Visit, err error) {
	c, err := r.Cookie(s.visitCookie("", 0).Name)
	if err != nil || c.Value == "" {
		return "", v, nil
	}
	v, err = s.Store.Visit(r.Context(), c.Value)
	if errors.Is(err, postgres.ErrLink) {
		return "", v, nil
	}
	return c.Value, v, err
}

type visitKey struct{}

type visiting struct {
	postgres.Visit
	token string
}

// visited lets only somebody in who has proved an address; others start at the form.
func (s *Site) visited(do handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		token, v, err := s.visit(r)
		if err != nil {
			return err
		}
		if token == "" {
			http.Redirect(w, r, paths{}.MyData(s.words(r).Language), http.StatusSeeOther)
			return nil
		}
		return do(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, visiting{v, token})))
	}
}

func visitOf(r *http.Request) visiting {
	v, _ := r.Context().Value(visitKey{}).(visiting)
	return v
}

// myData is the form for who is not in, and everything that is held for who is.
func (s *Site) myData(w http.ResponseWriter, r *http.Request) error {
	token, v, err := s.visit(r)
	if err != nil {
		return err
	}
	if token == "" {
		return s.speak(w, r, http.StatusOK, "ask.html", "ask.title", false, nil)
	}
	page, err := s.overview(r, v.Address)
	if err != nil {
		return err
	}
	return s.speak(w, r, http.StatusOK, "held.html", "page.title", true, page)
}

// askForVisit answers the same bytes whoever asks, and looks only then.
func (s *Site) askForVisit(w http.ResponseWriter, r *http.Request) error {
	address, from, words := r.PostFormValue("email"), network(r), s.words(r)
	if err := s.speak(w, r, http.StatusOK, "sent.html", "sent.title", false, nil); err != nil {
		return err
	}
	_ = http.NewResponseController(w).Flush() // where it cannot, the answer goes when this returns
	if len(address) <= maxAddress {
		s.mails.doFor(from, func(ctx context.Context) error { return s.mailVisit(ctx, address, from, words) })
	}
	return nil
}

// mailVisit mails whoever has that address what there is to say. It counts known and
// unknown ones alike. The letter goes to the normalised address, from memory.
func (s *Site) mailVisit(ctx context.Context, address, from string, words rights.Words) error {
	to := seal.Normalise(address)
	// Limits and records are of the mailbox that the mail goes to, and of no other spelling of it.
	if box, err := netmail.ParseAddress(to); err != nil || box.Address != to {
		return nil
	}
	if at := strings.LastIndexByte(to, '@'); at < 1 || at == len(to)-1 || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil // nobody's mailbox
	}
	for _, l := range []struct {
		what, who string
		limits    []postgres.Limit
	}{
		{visitOfNetwork, from, visitsPerNetwork},
		{visitOfAddress, to, visitsPerAddress},
		{visitOfAll, s.Now().UTC().Format("2006-01-02T15"), visitsInTotal},
	} {
		if ok, err := s.Store.Allow(ctx, l.what, l.who, l.limits...); err != nil || !ok {
			return err
		}
	}
	if s.Send == nil {
		s.Log.Warn("somebody asks for her data and no mail can be sent", "set", "SMTP_URL")
		return nil
	}
	letter, err := s.desk.Invitation(ctx, attendees.Personal(to), words)
	if err != nil {
		return err
	}
	return s.Send.Send(ctx, letter)
}

// VisitLink makes a link to what is held under an address, for the terminal's demo.
func (s *Site) VisitLink(ctx context.Context, address attendees.Personal) (string, error) {
	return s.desk.VisitLink(ctx, address, s.desk.Catalogue.In("en", ""))
}

// visitButton shows one button and does nothing: mail scanners open links.
func (s *Site) visitButton(w http.ResponseWriter, r *http.Request) error {
	return s.speak(w, r, http.StatusOK, "link.html", "link.title", false, paths{}.Visit(r.PathValue("token"), s.words(r).Language))
}

func (s *Site) useVisitLink(w http.ResponseWriter, r *http.Request) error {
	token, v, err := s.Store.UseVisitLink(r.Context(), r.PathValue("token"))
	if errors.Is(err, postgres.ErrLink) {
		return s.speak(w, r, http.StatusGone, "old.html", "old.title", false, nil)
	}
	if err != nil {
		return err
	}
	// The link is used up: whatever becomes of her requests, she is in.
	http.SetCookie(w, s.visitCookie(token, 0))
	if err := s.desk.Proved(r.Context(), v.Address, v.Cases); err != nil {
		s.Log.Error("requests that were proved are not all settled", "err", err)
	}
	http.Redirect(w, r, paths{}.MyData(s.words(r).Language), http.StatusSeeOther)
	return nil
}

func (s *Site) endVisit(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(s.visitCookie("", 0).Name); err == nil {
		if err := s.Store.EndVisit(r.Context(), c.Value); err != nil {
			return err
		}
	}
	http.SetCookie(w, s.visitCookie("", -1))
	return s.speak(w, r, http.StatusOK, "closed.html", "closed.title", false, nil)
}

// askOncePage asks once more.
type askOncePage struct {
	rights.Words
	Right    string
	Event    attendees.EventID
	Name     string // the event's, or that of all
	Says     string
	Action   string
	Fields   []ownChoice // of a rectification
	Message  bool
	Grave    bool
	Language string
}

type ownChoice struct {
	Field attendees.Field
	Name  string
}

// rightLift is no right of the regulation's list, and is asked for like one.
const rightLift = "lift"

func (s *Site) askOnceMore(w http.ResponseWriter, r *http.Request) error {
	words, right, event := s.words(r), r.URL.Query().Get("right"), attendees.EventID(r.URL.Query().Get("event"))
	if right != rightLift && !attendees.Right(right).Known() {
		return s.notTaken(w, r)
	}
	p := askOncePage{
		Words: words, Right: right, Event: event, Name: words.Say("sure.all"), Action: paths{}.MyRequests(words.Language),
		Says:    words.Say("sure."+right+".says", "deadline", words.Date(s.desk.AnswerBy())),
		Message: right != rightLift && right != string(attendees.Withdrawal), Grave: right == string(attendees.ErasureRight),
		Language: words.Language,
	}
	if event != "" {
		held, err := s.Store.HeldUnder(r.Context(), visitOf(r).Address)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(held, func(h postgres.Holding) bool { return h.Event.ID == event })
		if i < 0 {
			return s.notTaken(w, r)
		}
		p.Name = held[i].Event.Name
	}
	if right == rightLift {
		p.Action = paths{}.LiftMine(words.Language)
	}
	if right == string(attendees.Rectification) {
		for _, f := range attendees.Correctable() {
			if s.Store.Policy().Allows(f) {
				p.Fields = append(p.Fields, ownChoice{f, words.Field(f)})
			}
		}
	}
	return s.speak(w, r, http.StatusOK, "sure.html", "sure."+right, true, p)
}

func (s *Site) notTaken(w http.ResponseWriter, r *http.Request) error {
	return s.speak(w, r, http.StatusUnprocessableEntity, "wrong.html", "wrong.title", true, nil)
}

// takeRequest is final: what asks once more comes before it.
func (s *Site) takeRequest(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	words := s.words(r)
	// Each request stays in the ledger for good: nobody needs more of them in a day.
	if ok, err := s.Store.Allow(r.Context(), "request", seal.Normalise(v.Address.Reveal()), requestsPerAddress...); err != nil || !ok {
		return errors.Join(err, s.notTaken(w, r))
	}
	event := attendees.EventID(strings.TrimSpace(r.PostFormValue("event")))
	cases, err := s.desk.Take(r.Context(), v.Address, rights.Request{
		Asks: attendees.Right(r.PostFormValue("right")), Event: event, Message: attendees.Personal(r.PostFormValue("message")),
		Field: attendees.Field(r.PostFormValue("field")), Value: attendees.Personal(strings.TrimSpace(r.PostFormValue("value"))),
		Language: words.Language, CameBy: "page",
	})
	for _, c := range cases {
		v.Cases = append(v.Cases, c.Number)
	}
	if len(cases) > 0 {
		err = errors.Join(err, s.Store.KeepVisit(r.Context(), v.token, v.Visit))
	}
	if errors.Is(err, rights.ErrRequest) {
		return s.notTaken(w, r)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, paths{}.MyRequests(words.Language), http.StatusSeeOther)
	return nil
}

func (s *Site) liftMine(w http.ResponseWriter, r *http.Request) error {
	err := s.desk.Lift(r.Context(), visitOf(r).Address, attendees.EventID(r.PostFormValue("event")))
	if errors.Is(err, rights.ErrRequest) {
		return s.notTaken(w, r)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, paths{}.MyData(s.words(r).Language), http.StatusSeeOther)
	return nil
}

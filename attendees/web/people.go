package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) peopleRoutes() []route {
	return []route{
		{pattern: "GET /events/{event}/attendees", may: organisers, do: s.ofOpen(s.listPeople)},
		{pattern: "POST /events/{event}/attendees", may: organisers, do: s.ofOpen(s.search)},
		{pattern: "GET /events/{event}/attendees/{attendee}", may: organisers, do: s.ofOpen(s.person)},
		{pattern: "POST /events/{event}/attendees/{attendee}/answers", may: organisers, do: s.ofOpen(s.linkAnswer)},
	}
}

// peoplePage lists an event's people, or, with Unmatched, answers that are nobody's yet.
type peoplePage struct {
	Event     postgres.Event
	Badge     badge
	Search    string
	SearchID  string
	Ended     bool // the search that the address names has ended
	Show      string
	Shows     []choice
	Forum     string
	Forums    []choice
	Ticket    string
	Tickets   []choice
	Clear     string // the address without a search and filters; empty: there are none
	Count     string
	Columns   []column
	People    []personShown
	Unmatched []answerShown
	Asks      bool
	Sort      string
	Down      bool
	Links     bool // some form is linked

	Newer, Older, NewerSays, OlderSays string
}

// choice is one of a list to choose from.
type choice struct {
	Value, Says string
	Chosen      bool
}

// personShown is somebody in a list.
type personShown struct {
	Path              string
	Name, Email       string
	Ticket, Standing  string
	Class             string // of the standing
	Agreed, Version   string
	Attended          bool
	Affiliation, Also string
}

// answerShown is an answer to a form.
type answerShown struct {
	Form        attendees.FormID
	Title       string
	ID          attendees.ResponseID
	Name, Email string
	Agreed      bool
	Submitted   time.Time
	Drops       string
	How         string
	ByHand      bool
}

// briefly bounds what a list shows of one text, in letters; a person's own page shows all.
const briefly = 120

func brief(p attendees.Personal) string {
	letters := []rune(p.Reveal())
	if len(letters) <= briefly {
		return string(letters)
	}
	return string(letters[:briefly]) + "…"
}

// filterOf is the filter that an address names, but for the search.
func filterOf(q url.Values, forums, tickets names) postgres.Filter {
	f := postgres.Filter{Forum: forums.filter(q.Get("forum")), Ticket: tickets.filter(q.Get("ticket"))}
	switch q.Get("show") {
	case "attending":
		f.Status = attendees.Attending
	case "cancelled":
		f.Status = attendees.Cancelled
	case "agreed":
		f.Status, f.Agreed = attendees.Attending, true
	case "missing":
		f.Status, f.NotAgreed = attendees.Attending, true
	}
	return f
}

func (s *Site) listPeople(w http.ResponseWriter, r *http.Request) error {
	e, q, ctx := asked(r).event, r.URL.Query(), r.Context()
	n, err := s.numbersOf(ctx, e)
	if err != nil {
		return err
	}
	links, err := s.Store.EventLinks(ctx, e.ID)
	if err != nil {
		return err
	}
	p := peoplePage{
		Event: e, Badge: badgeOf(e, s.Now()), Show: q.Get("show"), Forum: q.Get("forum"), Ticket: q.Get("ticket"), Links: len(links) > 0,
		NewerSays: "Previous page", OlderSays: "Next page",
	}
	p.Shows = choices(p.Show, "", "everyone", "attending", "attending", "cancelled", "cancelled", "agreed", "agreed", "missing", "not agreed", "unmatched", "answers that are nobody's")
	forums, tickets := s.names(e.ID, "forum", n.Forums), s.names(e.ID, "ticket", n.Tickets)
	p.Forums, p.Tickets = named(p.Forum, "any forum", forums), named(p.Ticket, "any ticket", tickets)
	if p.Show == "unmatched" {
		return s.unmatched(w, r, p)
	}
	f := filterOf(q, forums, tickets)
	if id := q.Get("search"); id != "" {
		text, ok := s.searched(ctx, e.ID, id)
		if p.Ended = !ok; ok {
			f.Search, p.Search, p.SearchID = text, text.Reveal(), id
		}
	}
	if f != (postgres.Filter{}) {
		p.Clear = paths{}.People(e.ID)
	}
	p.Sort, p.Down = sortedBy(q, "name", false)
	p.Columns = columns(q, p.Sort, p.Down, func(q url.Values) string { return paths{}.PeopleBy(e.ID, q) },
		"name", "Name", "email", "E-mail address", "ticket", "Ticket", "status", "Registration", "agreed", "Agreed")
	c := postgres.Cursor{At: attendees.AttendeeID(q.Get("after"))}
	if before := q.Get("before"); before != "" {
		c = postgres.Cursor{At: attendees.AttendeeID(before), Back: true}
	}
	page, before, behind, err := s.Store.People(ctx, e.ID, f, postgres.Order{By: p.Sort, Down: p.Down}, c)
	if err != nil {
		return err
	}
	for _, one := range page {
		p.People = append(p.People, showPerson(e.ID, one))
	}
	if len(page) > 0 {
		turn := func(key string, at attendees.AttendeeID) string {
			next := with(q, key, string(at))
			next.Del(map[string]string{"after": "before", "before": "after"}[key])
			return paths{}.PeopleBy(e.ID, next)
		}
		if before {
			p.Newer = turn("before", page[0].ID)
		}
		if behind {
			p.Older = turn("after", page[len(page)-1].ID)
		}
	}
	found := len(page)
	if before || behind {
		if found, err = s.countPeople(r, e, f, n.Numbers); err != nil {
			return err
		}
	}
	p.Count = plural(found, "person", "people")
	if n.Registered > found {
		p.Count += " of " + count(n.Registered)
	}
	return s.show(w, r, "people.html", "People of "+e.Name, p)
}

// countPeople counts whom a filter finds; what was counted a moment ago is not again.
func (s *Site) countPeople(r *http.Request, e postgres.Event, f postgres.Filter, n postgres.Numbers) (int, error) {
	switch f {
	case postgres.Filter{}:
		return n.Registered, nil
	case postgres.Filter{Status: attendees.Attending}, postgres.Filter{Status: attendees.Cancelled}:
		return n.Status[f.Status], nil
	case postgres.Filter{Status: attendees.Attending, Agreed: true}:
		return n.Agreed, nil
	case postgres.Filter{Status: attendees.Attending, NotAgreed: true}:
		return n.Attending() - n.Agreed, nil
	}
	return s.Store.CountPeople(r.Context(), e.ID, f)
}

// search takes whom to look for, keeps it in the session and leads to the list.
func (s *Site) search(w http.ResponseWriter, r *http.Request) error {
	e := asked(r).event
	q := url.Values{}
	for _, key := range []string{"show", "sort", "down"} {
		if v := r.PostForm.Get(key); v != "" {
			q.Set(key, v)
		}
	}
	n, err := s.numbersOf(r.Context(), e)
	if err != nil {
		return err
	}
	for key, all := range map[string][]postgres.Named{"forum": n.Forums, "ticket": n.Tickets} {
		if v := r.PostForm.Get(key); v != "" {
			q.Set(key, s.names(e.ID, key, all).posted(v))
		}
	}
	if text := clean(r.PostForm.Get("q")); text != "" {
		id, err := s.keepSearch(r.Context(), e.ID, text)
		if err != nil {
			return err
		}
		q.Set("search", id)
	}
	http.Redirect(w, r, paths{}.PeopleBy(e.ID, q), http.StatusSeeOther)
	return nil
}

func choices(chosen string, pairs ...string) []choice {
	var all []choice
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, choice{pair[0], pair[1], pair[0] == chosen})
	}
	return all
}

// named are choices with how many there are of each; where there is one alone there is
// nothing to choose.
func named(chosen, all string, some names) []choice {
	if len(some.all) < 2 && chosen == "" {
		return nil
	}
	list := []choice{{"", all, chosen == ""}}
	for _, n := range some.all {
		if n.Name != "" {
			token := some.token(n.Name)
			list = append(list, choice{token, brief(attendees.Personal(n.Name)) + " (" + count(n.N) + ")", token == chosen})
		}
	}
	return list
}

func showPerson(e attendees.EventID, p postgres.Person) personShown {
	shown := personShown{
		Path: paths{}.Person(e, p.ID), Name: brief(p.Name), Email: brief(p.Email), Ticket: p.Ticket, Standing: string(p.Status),
		Version: p.AgreementVersion, Attended: p.Attended, Affiliation: brief(p.Affiliation), Also: brief(p.Chosen()),
	}
	if shown.Name == "" {
		shown.Name = "no name yet"
	}
	if p.Status != attendees.Attending {
		shown.Class = "over"
	}
	if !p.AgreedAt.IsZero() {
		shown.Agreed = shortDate(attendees.DateOf(p.AgreedAt.UTC()))
	}
	return shown
}

// unmatched lists answers that belong to nobody yet.
func (s *Site) unmatched(w http.ResponseWriter, r *http.Request, p peoplePage) error {
	page, before, behind, err := s.Store.UnmatchedResponses(r.Context(), p.Event.ID, answerCursor(r.URL.Query()))
	if err != nil {
		return err
	}
	found := len(page)
	if before || behind {
		if found, err = s.Store.CountUnmatched(r.Context(), p.Event.ID); err != nil {
			return err
		}
	}
	if p.Unmatched, err = s.showAnswers(r, p.Event, page); err != nil {
		return err
	}
	turn := func(key string, at postgres.Answered) string {
		return paths{}.PeopleBy(p.Event.ID, url.Values{"show": {p.Show}, key: {cursorText(at.Cursor())}})
	}
	if before && len(page) > 0 {
		p.Newer = turn("before", page[0])
	}
	if behind && len(page) > 0 {
		p.Older = turn("after", page[len(page)-1])
	}
	p.Count, p.Clear = plural(found, "answer", "answers"), paths{}.People(p.Event.ID)
	return s.show(w, r, "unmatched.html", "Answers that are nobody's, "+p.Event.Name, p)
}

// cursorText writes where a list of answers stands: when one came in, and its key.
func cursorText(c postgres.AnswerCursor) string {
	return itoa(c.Received.UnixMicro()) + "." + c.Key.String()
}

// answerCursor is where an address has a list of answers begin; what cannot be read is its
// beginning.
func answerCursor(q url.Values) postgres.AnswerCursor {
	text, back := q.Get("after"), false
	if before := q.Get("before"); before != "" {
		text, back = before, true
	}
	at, key, _ := strings.Cut(text, ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	id, wrong := uuid.Parse(key)
	if err != nil || wrong != nil || micros < 0 || micros > maxMicros {
		return postgres.AnswerCursor{}
	}
	return postgres.AnswerCursor{Received: time.UnixMicro(micros), Key: id, Back: back}
}

// maxMicros is the year 9999: PostgreSQL takes later ones, but not all of them.
const maxMicros = 253_402_300_799_000_000

func (s *Site) showAnswers(r *http.Request, e postgres.Event, answers []postgres.Answered) ([]answerShown, error) {
	links, err := s.Store.EventLinks(r.Context(), e.ID)
	if err != nil {
		return nil, err
	}
	titles := map[attendees.FormID]string{}
	for _, l := range links {
		titles[l.Form] = l.Title
	}
	today := e.Today(s.Now())
	shown := make([]answerShown, len(answers))
	for i, a := range answers {
		shown[i] = answerShown{
			Form: a.Form, Title: formTitle(titles, a.Form), ID: a.ID, Name: brief(a.Name), Email: brief(a.Email), Agreed: a.Agreed,
			Submitted: a.Submitted, Drops: when(e.Today(s.Store.DropsOn(a)), today), ByHand: a.MatchedBy == "hand",
			How: map[string]string{
				"hidden": "it names this registration", "address": "by its address", "name": "by its address and name", "hand": "linked by hand",
			}[a.MatchedBy],
		}
	}
	return shown, nil
}

func formTitle(titles map[attendees.FormID]string, form attendees.FormID) string {
	if t := titles[form]; t != "" {
		return t
	}
	return string(form)
}

package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
)

// heldPage is everything that is held under one address.
type heldPage struct {
	rights.Words
	Address, Organisation string
	Events                []heldEvent
	Processors            []attendees.Processor
	Complaint             string
	Plain                 bool // a file: nothing to press
}

// heldEvent is one event on it.
type heldEvent struct {
	Name  string
	Badge badge
	Life  lifeLine
	Rows  []heldRow
	Why   []string
	Lists string // what they are called
	Acts  []heldAct
}

// heldRow is one field, with a word on it.
type heldRow struct {
	Term, Value, Note string
}

type heldAct struct {
	Path, Says, Class string
}

func (s *Site) overview(r *http.Request, address attendees.Personal) (heldPage, error) {
	held, err := s.Store.HeldUnder(r.Context(), address)
	if err != nil {
		return heldPage{}, err
	}
	w := s.words(r)
	p := heldPage{
		Words: w, Address: address.Reveal(), Organisation: s.desk.Organisation(r.Context(), w), Complaint: s.desk.Complaint(w),
		Processors: s.Store.Policy().Processors,
	}
	for _, h := range held {
		p.Events = append(p.Events, s.heldEvent(w, h, p.Organisation))
	}
	return p, nil
}

func (s *Site) heldEvent(w rights.Words, h postgres.Holding, organisation string) heldEvent {
	e := heldEvent{Name: h.Event.Name, Life: lifeOf(h.Event, s.Now(), false)}
	if e.Name == "" {
		e.Name = string(h.Event.ID)
	}
	dates := []string{
		"ends", w.Date(h.Event.EndsOn.Date), "block", w.Date(h.Event.BlockOn.Date), "delete", w.Date(h.Event.DeleteOn.Date), "statute", w.Policy(s.statute(h.Event.Rule)),
		"organisation", organisation,
	}
	say := func(key string) string { return w.Say(key, slices.Clone(dates)...) }
	e.Life.Label = say("life.label")
	act := func(right, class string) {
		e.Acts = append(e.Acts, heldAct{paths{}.Ask(right, h.Event.ID, w.Language), w.Say("do." + right), class})
	}
	switch {
	case h.Shared > 0:
		e.Badge = badge{"over", w.Say("state.shared")}
		e.Why = append(e.Why, w.Say("why.shared", "count", strconv.Itoa(h.Shared)))
		act(string(attendees.Access), "second")
	case h.Closed:
		e.Badge = badge{"over", w.Say("state.closed")}
		e.Why = append(e.Why, say("why.closed"))
		act(string(attendees.Access), "second")
		act(string(attendees.ErasureRight), "grave")
	case h.Own != nil:
		s.ownEvent(w, h, &e, say)
		act(string(attendees.Rectification), "second")
		switch h.Own.Reason {
		case attendees.RestrictionAsked, attendees.Objected:
			act(rightLift, "second")
		case attendees.ErasureAsked: // sealed for good
		default:
			act(string(attendees.Restriction), "second")
			act(string(attendees.Objection), "second")
		}
		if s.consented(h.Own.Withdrawn) {
			act(string(attendees.Withdrawal), "second")
		}
		act(string(attendees.ErasureRight), "grave")
	default:
		e.Badge = badge{"", w.Say("state.answer")}
		act(string(attendees.Access), "second")
	}
	for _, a := range h.Answers {
		e.Why = append(e.Why, w.Say("why.answer"))
		if !a.DropsOn.IsZero() {
			e.Why = append(e.Why, w.Say("why.answer.drops", "date", w.Date(attendees.DateOf(a.DropsOn.UTC()))))
		}
		e.Rows = append(e.Rows, s.heldRows(w, a.Fields)...)
	}
	if h.OnHold {
		e.Why = append(e.Why, w.Say("why.hold"))
	}
	return e
}

// ownEvent tells of a registration that is hers alone.
func (s *Site) ownEvent(w rights.Words, h postgres.Holding, e *heldEvent, say func(string) string) {
	o := h.Own
	e.Badge = badge{"", w.Say("state.active")}
	sealed, kept := !o.SealedAt.IsZero(), o.Reason == attendees.RestrictionAsked || o.Reason == attendees.Objected
	switch {
	case o.Reason == attendees.RestrictionAsked:
		e.Badge = badge{"soon", w.Say("state.restricted")}
		e.Why = append(e.Why, w.Say("why.restricted"))
	case o.Reason == attendees.Objected:
		e.Badge = badge{"soon", w.Say("state.restricted")}
		e.Why = append(e.Why, w.Say("why.objected"))
	case sealed:
		e.Badge = badge{"over", w.Say("state.sealed")}
	}
	e.Rows = append(e.Rows, s.heldRows(w, o.Fields)...)
	var lists, looks []string
	for _, l := range h.Lists {
		lists = append(lists, w.Say("lists.one", "purpose", w.Purpose(l.Purpose), "date", w.Date(attendees.DateOf(l.At.UTC()))))
	}
	for _, l := range h.Looks {
		looks = append(looks, w.Say("looks.one", "date", w.Date(attendees.DateOf(l.At.UTC()))))
	}
	title := w.Say("lists")
	if h.Event.State != attendees.Active {
		title = w.Say("lists.blocked")
	}
	e.Rows = append(e.Rows,
		heldRow{Term: title, Value: oneOr(lists, w.Say("lists.none"))},
		heldRow{Term: w.Say("looks"), Value: oneOr(looks, w.Say("looks.none"))})
	for _, u := range s.Store.Policy().Purposes {
		if sealed && !kept && !u.Sealed {
			continue // what it alone needed is gone
		}
		var fields []string
		for _, f := range o.Fields {
			if u.Allows(f.Field) {
				fields = append(fields, w.Field(f.Field))
			}
		}
		if len(fields) > 0 && !slices.Contains(o.Withdrawn, u.Name) {
			e.Why = append(e.Why, w.Say("why.purpose", "purpose", w.Purpose(u.Name), "fields", strings.Join(fields, ", "), "basis", w.Say("basis."+u.Basis)))
		}
	}
	switch {
	case sealed && kept:
		e.Why = append(e.Why, say("why.sealed"))
		return // for how long is hers to say
	case sealed:
		e.Why = append(e.Why, say("why.sealed"), say("why.deleted"))
	default:
		e.Why = append(e.Why, say("why.until"))
	}
	if rule, ok := s.Store.Policy().RuleNamed(h.Event.Rule); ok && rule.Years > 0 {
		e.Why = append(e.Why, w.Say("why.rule", "basis", w.Say("basis."+rule.Basis)))
	}
}

func oneOr(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, "; ")
}

// consented tells whether there is a consent left to take back.
func (s *Site) consented(withdrawn []attendees.PurposeName) bool {
	return slices.ContainsFunc(s.Store.Policy().Purposes, func(u attendees.Purpose) bool {
		return u.Basis == "a" && !slices.Contains(withdrawn, u.Name)
	})
}

func (s *Site) heldRows(w rights.Words, fields []postgres.OwnField) []heldRow {
	var rows []heldRow
	for _, f := range fields {
		var values []string
		for _, v := range f.Values {
			values = append(values, s.heldValue(w, f.Field, v))
		}
		row := heldRow{Term: w.Field(f.Field), Value: strings.Join(values, ", "), Note: map[attendees.SourceName]string{
			attendees.Eventbrite: "Eventbrite", attendees.Typeform: "Typeform"}[f.From]}
		if f.Corrected {
			row.Note = w.Say("corrected")
		}
		rows = append(rows, row)
	}
	return rows
}

// heldValue is a value as people read it.
func (s *Site) heldValue(w rights.Words, f attendees.Field, v attendees.Personal) string {
	text := v.Reveal()
	switch f {
	case attendees.Attended:
		return w.Or(text, text)
	case "status":
		return w.Or("status."+text, text)
	case attendees.AgreedAt:
		if day, _, ok := strings.Cut(text, "T"); ok {
			if d, err := attendees.ParseDate(day); err == nil {
				return w.Date(d)
			}
		}
	}
	return text
}

// requestsPage lists a person's requests.
type requestsPage struct {
	rights.Words
	Requests []shownRequest
}

type shownRequest struct {
	Number                      int
	What, Event, Came, Due, How string
}

func (s *Site) casesOf(r *http.Request, v postgres.Visit) ([]postgres.Case, error) {
	cases, err := s.Store.CasesOf(r.Context(), v.Address)
	if err != nil {
		return nil, err
	}
	for _, n := range v.Cases {
		if slices.ContainsFunc(cases, func(c postgres.Case) bool { return c.Number == n }) {
			continue
		}
		c, _, err := s.Store.Case(r.Context(), n)
		if err != nil {
			return nil, err
		}
		cases = append(cases, c)
	}
	slices.SortFunc(cases, func(a, b postgres.Case) int { return b.Number - a.Number })
	return cases, nil
}

func (s *Site) myRequests(w http.ResponseWriter, r *http.Request) error {
	cases, err := s.casesOf(r, visitOf(r).Visit)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") { // scripts
		text, err := s.desk.File(visitOf(r).Address, nil, cases).RequestsJSON()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // who has gone away needs no answer
		return nil
	}
	words := s.words(r)
	p := requestsPage{Words: words}
	for _, c := range cases {
		shown := shownRequest{
			Number: c.Number, What: words.Right(c.Asks), Event: string(c.Event), Came: words.Date(c.Received), Due: words.Date(s.desk.Deadline(c)),
			How: words.Say("outcome.open"),
		}
		if e, err := s.Store.Event(r.Context(), c.Event); err == nil {
			shown.Event = e.Name
		}
		if c.Event == "" {
			shown.Event = words.Say("sure.all")
		}
		if !c.Open() {
			shown.How = words.Say("outcome." + string(c.Outcome))
		}
		p.Requests = append(p.Requests, shown)
	}
	return s.speak(w, r, http.StatusOK, "requests.html", "page.requests", true, p)
}

func (s *Site) dataFile(r *http.Request) (rights.File, error) {
	v := visitOf(r)
	held, err := s.Store.HeldUnder(r.Context(), v.Address)
	if err != nil {
		return rights.File{}, err
	}
	cases, err := s.casesOf(r, v.Visit)
	return s.desk.File(v.Address, held, cases), err
}

func (s *Site) myFile(w http.ResponseWriter, r *http.Request) error {
	f, err := s.dataFile(r)
	if err != nil {
		return err
	}
	text, err := f.JSON()
	if err != nil {
		return err
	}
	return download(w, "application/json", "my-data.json", text)
}

func (s *Site) myZip(w http.ResponseWriter, r *http.Request) error {
	f, err := s.dataFile(r)
	if err != nil {
		return err
	}
	page, err := s.overview(r, visitOf(r).Address)
	if err != nil {
		return err
	}
	page.Plain = true
	readable, err := s.spoken(r, "file.html", "page.title", false, page)
	if err != nil {
		return err
	}
	text, err := f.Zip(readable)
	if err != nil {
		return err
	}
	return download(w, "application/zip", "my-data.zip", text)
}

func download(w http.ResponseWriter, kind, name string, text []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // who has gone away needs no answer
	return nil
}

package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
)

func (paths) Requests() string      { return "/requests" }
func (paths) Request(n int) string  { return "/requests/" + strconv.Itoa(n) }
func (paths) AddRequest() string    { return "/requests/add" }
func (p paths) Decide(n int) string { return p.Request(n) + "/decide" }
func (p paths) Extend(n int) string { return p.Request(n) + "/extend" }
func (p paths) Pause(n int) string  { return p.Request(n) + "/pause" }
func (p paths) Proved(n int) string { return p.Request(n) + "/verify" }

func (s *Site) requestRoutes() []route {
	return []route{
		{pattern: "GET /requests", nav: "Requests", may: officers, do: s.requests},
		{pattern: "GET /requests/add", may: officers, do: s.addRequestForm},
		{pattern: "POST /requests/add", may: officers, do: s.addRequest},
		{pattern: "GET /requests/{number}", may: officers, do: s.request},
		{pattern: "POST /requests/{number}/decide", may: officers, do: s.decideRequest},
		{pattern: "POST /requests/{number}/extend", may: officers, do: s.extendRequest},
		{pattern: "POST /requests/{number}/pause", may: officers, do: s.pauseRequest},
		{pattern: "POST /requests/{number}/verify", may: officers, do: s.verifyRequest},
	}
}

// caseRow is one request in the list.
type caseRow struct {
	postgres.Case
	Name  string // the event's
	Due   attendees.Date
	Badge badge
}

type requestsList struct{ Overdue, Open, Closed []caseRow }

// maxClosed bounds how many answered requests are listed: the newest.
const maxClosed = 100

func (s *Site) requests(w http.ResponseWriter, r *http.Request) error {
	cases, err := s.Store.Cases(r.Context())
	if err != nil {
		return err
	}
	names, err := s.eventNames(r)
	if err != nil {
		return err
	}
	var p requestsList
	for _, c := range cases {
		row := s.caseRow(c, names)
		switch {
		case !c.Open():
			p.Closed = append(p.Closed, row)
		case row.Badge.Class == "late":
			p.Overdue = append(p.Overdue, row)
		default:
			p.Open = append(p.Open, row)
		}
	}
	p.Closed = p.Closed[:min(len(p.Closed), maxClosed)]
	return s.show(w, r, "requests.html", "Requests", p)
}

func (s *Site) eventNames(r *http.Request) (map[attendees.EventID]string, error) {
	events, err := s.Store.Events(r.Context())
	names := make(map[attendees.EventID]string, len(events))
	for _, e := range events {
		names[e.ID] = e.Name
	}
	return names, err
}

func (s *Site) caseRow(c postgres.Case, names map[attendees.EventID]string) caseRow {
	row := caseRow{Case: c, Name: names[c.Event], Due: s.desk.Deadline(c)}
	if row.Name == "" {
		row.Name = string(c.Event)
	}
	if c.Event == "" {
		row.Name = "all events"
	}
	today := attendees.DateOf(s.Now().UTC())
	switch {
	case !c.RedoneAt.IsZero():
		row.Badge = badge{"over", string(c.Outcome) + ", done again after a backup was restored"}
	case !c.Open():
		row.Badge = badge{"over", strings.ReplaceAll(string(c.Outcome), "_", " ")}
	case row.Due.Before(today):
		row.Badge = badge{"late", "overdue since " + shortDate(row.Due)}
	case c.Paused():
		row.Badge = badge{"soon", "paused: who asks is doubted"}
	case c.Verified.IsZero():
		row.Badge = badge{"soon", "the address is not proved yet"}
	default:
		row.Badge = badge{"", "due " + when(row.Due, today)}
	}
	return row
}

type requestPage struct {
	caseRow
	Text        postgres.CaseText
	Contact     string
	Message     string
	Value       string
	Grant, Deny string // the letters' drafts
	Shared      int
	Held        bool
	MayPause    bool
}

func (s *Site) request(w http.ResponseWriter, r *http.Request) error {
	number, err := requestNumber(r)
	if err != nil {
		return err
	}
	c, text, err := s.Store.Case(r.Context(), number)
	if err != nil {
		return notThere(err)
	}
	names, err := s.eventNames(r)
	if err != nil {
		return err
	}
	p := requestPage{
		caseRow: s.caseRow(c, names), Text: text, Contact: text.Contact.Reveal(), Message: text.Message.Reveal(), Value: text.Value.Reveal(),
		MayPause: c.PausedOn.IsZero() && attendees.DateOf(s.Now().UTC()).Days(c.Received) <= rights.PauseWithin,
	}
	if c.Open() {
		if p.Grant, err = s.desk.Draft(r.Context(), number, true, ""); err != nil {
			return err
		}
		if p.Deny, err = s.desk.Draft(r.Context(), number, false, ""); err != nil {
			return err
		}
		held, err := s.Store.HeldUnder(r.Context(), text.Contact)
		if err != nil {
			return err
		}
		for _, h := range held {
			if h.Event.ID == c.Event {
				p.Shared, p.Held = h.Shared, h.OnHold
			}
			if h.Own != nil && (h.Event.ID == c.Event || c.Event == "") {
				if err := s.Store.Looked(r.Context(), h.Event.ID, h.Own.ID, asked(r).user.ID); err != nil {
					return err
				}
			}
		}
	}
	return s.show(w, r, "request.html", "Request "+strconv.Itoa(number), p)
}

func requestNumber(r *http.Request) (int, error) {
	n, err := strconv.ParseInt(r.PathValue("number"), 10, 32) // as the table counts them
	if err != nil {
		return 0, errNotFound
	}
	return int(n), nil
}

func notThere(err error) error {
	var unknown *postgres.UnknownCaseError
	if errors.As(err, &unknown) {
		return errNotFound
	}
	return err
}

// withReason does something with a request, for a reason that the form gives.
func (s *Site) withReason(w http.ResponseWriter, r *http.Request, wanted bool, do func(number int, reason string) error) error {
	number, err := requestNumber(r)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if wanted && reason == "" {
		return refused("A reason is wanted. It stands in the ledger and in the letter, so it names nobody.")
	}
	if len(reason) > maxReason {
		return refused("The reason is too long: a sentence or two.")
	}
	if err := do(number, reason); err != nil {
		return notThere(err)
	}
	http.Redirect(w, r, paths{}.Request(number), http.StatusSeeOther)
	return nil
}

// maxReason bounds a reason in bytes, as the ledger takes it.
const maxReason = 300

func (s *Site) decideRequest(w http.ResponseWriter, r *http.Request) error {
	return s.withReason(w, r, true, func(number int, reason string) error {
		var ids []attendees.AttendeeID
		for id := range strings.FieldsFuncSeq(r.PostFormValue("attendees"), func(c rune) bool { return c == ',' || c == ' ' }) {
			ids = append(ids, attendees.AttendeeID(id))
		}
		_, err := s.desk.Decide(r.Context(), number, rights.Decision{
			Grant: r.PostFormValue("decision") == "grant", Reason: reason, Letter: r.PostFormValue("letter"),
			Extra: strings.TrimSpace(r.PostFormValue("extra")), Attendees: ids, By: asked(r).user.ID.String(),
		})
		var held *postgres.HeldError
		switch {
		case errors.Is(err, rights.ErrUnproved), errors.Is(err, rights.ErrWhose), errors.Is(err, postgres.ErrCorrection):
			return refused(sentence(err))
		case errors.As(err, &held):
			return refused("A legal hold stands on it: release it first, or refuse (GDPR Art. 17(3)(e)).")
		}
		return err
	})
}

// sentence is an error as a page says it.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func (s *Site) extendRequest(w http.ResponseWriter, r *http.Request) error {
	return s.withReason(w, r, true, func(number int, reason string) error {
		_, err := s.desk.Extend(r.Context(), number, reason)
		return err
	})
}

func (s *Site) pauseRequest(w http.ResponseWriter, r *http.Request) error {
	return s.withReason(w, r, true, func(number int, reason string) error {
		_, err := s.desk.Pause(r.Context(), number, reason)
		return err
	})
}

func (s *Site) verifyRequest(w http.ResponseWriter, r *http.Request) error {
	return s.withReason(w, r, false, func(number int, _ string) error { return s.desk.Verify(r.Context(), number) })
}

type addRequestPage struct {
	Rights    []attendees.Right
	Fields    []attendees.Field
	Languages []string
	Today     attendees.Date
}

func (s *Site) addRequestForm(w http.ResponseWriter, r *http.Request) error {
	return s.show(w, r, "request-add.html", "Enter a request", addRequestPage{
		attendees.Rights(), attendees.Correctable(), rights.Languages(), attendees.DateOf(s.Now().UTC()),
	})
}

func (s *Site) addRequest(w http.ResponseWriter, r *http.Request) error {
	received, err := attendees.ParseDate(r.PostFormValue("received"))
	if err != nil {
		return refused("The day it came is no date.")
	}
	address := strings.TrimSpace(r.PostFormValue("email"))
	cameBy := r.PostFormValue("came_by")
	if !strings.Contains(address, "@") || len(address) > maxAddress || !slices.Contains([]string{"mail", "letter", "phone"}, cameBy) {
		return refused("An address and a way it came are wanted.")
	}
	_, err = s.desk.Add(r.Context(), attendees.Personal(address), rights.Request{
		Asks: attendees.Right(r.PostFormValue("right")), Event: attendees.EventID(strings.TrimSpace(r.PostFormValue("event"))),
		Message: attendees.Personal(r.PostFormValue("message")), Field: attendees.Field(r.PostFormValue("field")),
		Value: attendees.Personal(strings.TrimSpace(r.PostFormValue("value"))), Language: r.PostFormValue("language"), CameBy: cameBy, Received: received,
	})
	if errors.Is(err, rights.ErrRequest) {
		return refused(sentence(err))
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, paths{}.Requests(), http.StatusSeeOther)
	return nil
}

package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// eventPage is one event that is open: counts, dates, forms, nobody's name.
type eventPage struct {
	Event    postgres.Event
	Dates    string
	Badge    badge
	Life     lifeLine
	Statute  string
	May      bool // the user takes its lists and links its forms
	Numbers  postgres.Numbers
	Asks     bool // some form asks for the agreement
	Missing  int
	Others   int // cancelled, refunded, gone
	Versions []share
	Forums   []share
	Tickets  []share
	Plot     *plot
	Purposes []purposeShown
	Links    []linkShown
	Pulled   pulledShown
	Failure  string
	Kept     []keptShown
	Held     bool
}

// share is a count with what it is a share of, for a bar beside it.
type share struct {
	Name  string
	N, Of int
}

func sharesOf(some []postgres.Named, nameless string, of int) []share {
	shares := make([]share, len(some))
	for i, one := range some {
		if one.Name == "" {
			one.Name = nameless
		}
		shares[i] = share{brief(attendees.Personal(one.Name)), one.N, of}
	}
	return shares
}

type linkShown struct {
	Form     attendees.FormID
	Title    string
	Purposes string
	Answers  string
}

// keptShown is one field that may be kept, and why.
type keptShown struct {
	Field    string
	People   int
	Purposes string
	Basis    string
	Then     string
}

// blockedPage is an event whose names nobody here reads any more.
type blockedPage struct {
	Event   postgres.Event
	Dates   string
	Badge   badge
	Life    lifeLine
	Gone    bool // deleted
	Late    bool // its day has come, and the worker has not
	Statute string
	Tallies []postgres.Tally
	Lists   int // that left, and are to be destroyed
	Held    bool
	May     bool
	Person  bool // each person opens her own record
}

func (s *Site) event(w http.ResponseWriter, r *http.Request) error {
	a := asked(r)
	err := s.openEvent(w, r)
	var blocked *postgres.BlockedError
	if errors.As(err, &blocked) {
		return s.showBlocked(w, r, http.StatusOK, a.event)
	}
	return err
}

// ofOpen is for pages of an event whose people may still be read. Every read of the store
// asks again; this one answers with the page that says how things stand.
func (s *Site) ofOpen(do handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var blocked *postgres.BlockedError
		if e := asked(r).event; !e.Open(s.Now()) {
			return s.showBlocked(w, r, http.StatusGone, e)
		}
		err := do(w, r)
		if errors.As(err, &blocked) {
			return s.showBlocked(w, r, http.StatusGone, blocked.Event)
		}
		return err
	}
}

func (s *Site) openEvent(w http.ResponseWriter, r *http.Request) error {
	a, now := asked(r), s.Now()
	e := a.event
	n, err := s.numbersOf(r.Context(), e)
	if err != nil {
		return err
	}
	p := eventPage{
		Event: e, Dates: datesOf(n.sum), Badge: badgeOf(e, now), Life: lifeOf(e, now, true), Statute: s.statute(e.Rule),
		May: a.user.Sees(e.ID), Numbers: n.Numbers, Asks: n.sum.Asks, Missing: n.Attending() - n.Agreed, Others: n.Registered - n.Attending(),
		Purposes: s.purposes(), Pulled: showPulled(n.sum, n.pulled, now), Failure: n.pulled.Failure + n.pulled.Attention,
		Kept: s.kept(e, n.Numbers), Held: n.sum.Held,
	}
	p.Tickets = sharesOf(n.Tickets, "without a name", n.Attending())
	if p.May { // what somebody typed into a form may name a person
		p.Versions = sharesOf(n.Versions, "agreed, no version named", n.Attending())
		p.Forums = sharesOf(n.Forums, "", n.Attending())
	}
	until := e.Today(now)
	if e.EndsOn.Before(until) {
		until = e.EndsOn.Date
	}
	p.Plot = plotOf(n.Days, until)
	if p.Links, err = s.linksOf(r.Context(), e); err != nil {
		return err
	}
	return s.show(w, r, "event.html", e.Name, p)
}

// linksOf are an event's forms, each once.
func (s *Site) linksOf(ctx context.Context, e postgres.Event) ([]linkShown, error) {
	links, err := s.Store.EventLinks(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	answers, err := s.Store.AnswersOf(ctx, e)
	if err != nil {
		return nil, err
	}
	var shown []linkShown
	for _, l := range links {
		if n := len(shown); n > 0 && shown[n-1].Form == l.Form {
			shown[n-1].Purposes += ", " + spoken(l.Purpose)
			continue
		}
		one := linkShown{Form: l.Form, Title: l.Title, Purposes: spoken(l.Purpose), Answers: plural(answers[l.Form], "answer", "answers")}
		if l.Form == attendees.EventbriteForm {
			one.Title, one.Answers = "The event's own questions", ""
		}
		if one.Title == "" {
			one.Title = string(l.Form)
		}
		shown = append(shown, one)
	}
	return shown, nil
}

// kept tells of each field that some purpose names how many it is held of, why, and what
// becomes of it.
func (s *Site) kept(e postgres.Event, n postgres.Numbers) []keptShown {
	var all []keptShown
	dropped := s.Store.Policy().DroppedFields()
	for _, f := range s.Store.Policy().Fields() {
		k := keptShown{Field: fieldName(f), People: n.Kept[f], Then: "sealed until " + shortDate(e.DeleteOn.Date)}
		if slices.Contains(dropped, f) {
			k.Then = "deleted on " + shortDate(e.BlockOn.Date)
		}
		var purposes, bases []string
		for _, u := range s.Store.Policy().Purposes {
			if u.Allows(f) {
				purposes = append(purposes, spoken(u.Name))
				if basis := basisName(u.Basis); !slices.Contains(bases, basis) {
					bases = append(bases, basis)
				}
			}
		}
		k.Purposes, k.Basis = strings.Join(purposes, ", "), strings.Join(bases, "; ")
		all = append(all, k)
	}
	return all
}

// showBlocked says how a blocked event stands: counts, dates and the reason, no names.
func (s *Site) showBlocked(w http.ResponseWriter, r *http.Request, status int, e postgres.Event) error {
	now := s.Now()
	sum, err := s.Store.SummaryOf(r.Context(), e.ID)
	if err != nil {
		return err
	}
	p := blockedPage{
		Event: e, Dates: datesOf(sum), Badge: badgeOf(e, now), Life: lifeOf(e, now, true), Statute: s.statute(e.Rule),
		Gone: e.State == attendees.Deleted, Late: e.State == attendees.Active, Held: sum.Held, May: asked(r).user.Sees(e.ID),
		Person: !s.Store.Policy().OfficersOnly,
	}
	if p.Tallies, err = s.Store.TalliesOf(r.Context(), e); err != nil {
		return err
	}
	for i, t := range p.Tallies {
		p.Tallies[i].What = strings.TrimPrefix(t.What, "ticket: ")
	}
	receipts, err := s.Store.Receipts(r.Context(), e.ID)
	if err != nil {
		return err
	}
	p.Lists = len(receipts)
	return s.showAs(w, r, status, "blocked.html", e.Name, p)
}

// statute is what a retention rule rests on.
func (s *Site) statute(rule string) string {
	if r, ok := s.Store.Policy().RuleNamed(rule); ok {
		return r.Statute
	}
	return rule
}

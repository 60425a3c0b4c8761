package web

import (
	"net/http"
	"net/url"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
)

func (s *Site) participationRoutes() []route {
	return []route{
		{pattern: "GET /participation", nav: "Agreements", may: organisers, do: s.participation},
		{pattern: "GET /participation/{event}", may: organisers, do: s.ofOpen(s.unagreed)},
		{pattern: "GET /participation/{event}/list.csv", may: organisers, slow: true, do: s.ofOpen(s.unagreedFile)},
	}
}

// participationPage is how many have not agreed yet, event by event.
type participationPage struct {
	Events []agreements

	Newer, Older, NewerSays, OlderSays string
}

type agreements struct {
	ID        attendees.EventID
	Name      string
	Dates     string
	Attending int
	Agreed    int
	Missing   int
	Asks      bool
}

func (s *Site) participation(w http.ResponseWriter, r *http.Request) error {
	user, now := asked(r).user, s.Now()
	all, err := s.Store.Summaries(r.Context(), user.Events)
	if err != nil {
		return err
	}
	p := participationPage{NewerSays: "Previous page", OlderSays: "Next page"}
	for _, e := range all {
		if e.Open(now) {
			p.Events = append(p.Events, agreements{e.ID, e.Name, datesOf(e), e.Attending, e.Agreed, e.Attending - e.Agreed, e.Asks})
		}
	}
	p.Events, p.Newer, p.Older = pageOf(p.Events, r.URL.Query(), paths{}.ParticipationBy)
	return s.show(w, r, "participation.html", "Agreements", p)
}

// unagreedPage lists who attends and has not agreed.
type unagreedPage struct {
	Event  postgres.Event
	Until  string
	Count  string
	Asks   bool
	People []personShown

	Newer, Older, NewerSays, OlderSays string
}

func (s *Site) unagreed(w http.ResponseWriter, r *http.Request) error {
	e, ctx, q := asked(r).event, r.Context(), r.URL.Query()
	sum, err := s.Store.SummaryOf(ctx, e.ID)
	if err != nil {
		return err
	}
	p := unagreedPage{
		Event: e, Until: longDate(e.BlockOn.Date), Count: plural(sum.Attending-sum.Agreed, "person", "people"), Asks: sum.Asks,
		NewerSays: "Previous page", OlderSays: "Next page",
	}
	c := postgres.Cursor{At: attendees.AttendeeID(q.Get("after"))}
	if before := q.Get("before"); before != "" {
		c = postgres.Cursor{At: attendees.AttendeeID(before), Back: true}
	}
	page, before, behind, err := s.Store.People(ctx, e.ID, postgres.Filter{Status: attendees.Attending, NotAgreed: true}, postgres.Order{}, c)
	if err != nil {
		return err
	}
	for _, one := range page {
		p.People = append(p.People, showPerson(e.ID, one))
	}
	if before && len(page) > 0 {
		p.Newer = query(paths{}.Unagreed(e.ID), url.Values{"before": {string(page[0].ID)}})
	}
	if behind && len(page) > 0 {
		p.Older = query(paths{}.Unagreed(e.ID), url.Values{"after": {string(page[len(page)-1].ID)}})
	}
	return s.show(w, r, "unagreed.html", "Who has not agreed, "+e.Name, p)
}

// unagreedFile is the same as a list for a mail merge.
func (s *Site) unagreedFile(w http.ResponseWriter, r *http.Request) error {
	e := asked(r).event
	return s.send(w, r, export.List{
		Event: e.ID, Purpose: s.Store.Policy().Agreements(), Standing: attendees.Attending, Format: "csv", Unagreed: true,
	}, string(e.ID)+"-not-agreed")
}

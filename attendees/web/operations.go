package web

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) operationsRoutes() []route {
	return append(s.jobsRoutes(), route{pattern: "GET /operations", nav: "Operations", may: operators, do: s.operations})
}

// operationsPage is whether everything runs, and who used what. It names no attendee.
type operationsPage struct {
	Feeds    []feed
	Budget   *budget // nil: Eventbrite has not told one yet
	Receipts []use
	Looks    []looked
	Users    []userShown
	Swept    string
	Work     []postgres.Work
	Jobs     bool // River's own pages are there
}

// feed is one listing of a source, in words.
type feed struct {
	What, Name string
	Watermark  time.Time
	Lag        string
	Badge      badge
	Failure    string
	Attention  string
}

type budget struct {
	Left, Limit int
	Told        string
}

type use struct {
	postgres.Receipt
	Name string
}

// looked is a look at one person, who is not named.
type looked struct {
	postgres.LookIn
	Name string // of the event
	Who  string
}

const (
	// lateAfter is how far a feed that is pulled every ten minutes may lie behind: a
	// rate limit of an hour is no trouble yet.
	lateAfter = 90 * time.Minute
	// shownUses are as many lists that left, and looks, as one looks through at once.
	shownUses = 50
)

func (s *Site) operations(w http.ResponseWriter, r *http.Request) error {
	ctx, now := r.Context(), s.Now()
	p := operationsPage{Jobs: s.Jobs != nil}
	events, err := s.Store.Events(ctx)
	if err != nil {
		return err
	}
	named := map[string]postgres.Event{}
	for _, e := range events {
		named[string(e.ID)] = e
	}
	feeds, err := s.Store.Feeds(ctx)
	if err != nil {
		return err
	}
	for _, f := range feeds {
		p.Feeds = append(p.Feeds, feedShown(f, named, now))
	}
	b, err := s.Store.Budget(ctx)
	if err != nil {
		return err
	}
	if b.Limit > 0 {
		p.Budget = &budget{max(b.Limit-b.Used, 0), b.Limit, ago(b.At, now)}
	}
	receipts, err := s.Store.LastReceipts(ctx, shownUses)
	if err != nil {
		return err
	}
	for _, u := range receipts {
		p.Receipts = append(p.Receipts, use{u, named[string(u.Event)].Name})
	}
	users, err := s.Store.Users(ctx)
	if err != nil {
		return err
	}
	who := map[uuid.UUID]string{}
	for _, u := range users {
		p.Users = append(p.Users, shownUser(u))
		who[u.ID] = u.Email.Reveal()
	}
	looks, err := s.Store.LastLooks(ctx, shownUses)
	if err != nil {
		return err
	}
	for _, l := range looks {
		p.Looks = append(p.Looks, looked{l, named[string(l.Event)].Name, cmp.Or(who[l.By], "a user who was removed")})
	}
	if p.Work, err = s.Store.Work(ctx); err != nil {
		return err
	}
	swept, err := s.Store.Marked(ctx, postgres.Swept)
	if err != nil {
		return err
	}
	if p.Swept = "never"; !swept.IsZero() {
		p.Swept = ago(swept, now)
	}
	return s.show(w, r, "operations.html", "Operations", p)
}

// feedShown says in words how far a listing has been read.
func feedShown(f postgres.Feed, named map[string]postgres.Event, now time.Time) feed {
	parts := strings.SplitN(string(f.Name), "/", 3)
	shown := feed{What: string(f.Name), Failure: f.Failure, Attention: f.Attention, Badge: badge{"", "reads"}}
	once := false
	if len(parts) == 3 {
		shown.Name = parts[2]
		switch parts[1] {
		case "organization":
			shown.What = "Eventbrite, changes of an organisation"
		case "events": // it is read whole each time, and has no watermark
			shown.What, once = "Eventbrite, an organisation's events", true
		case "event":
			shown.What, once = "Eventbrite, an event's whole list", true
			if e, ok := named[parts[2]]; ok {
				shown.Name = e.Name
				once = e.Open(now) || e.State != attendees.Active
			}
		case "form":
			shown.What = "Typeform, answers to a form"
		}
	}
	if f.Watermark != nil {
		shown.Watermark, shown.Lag = *f.Watermark, ago(*f.Watermark, now)
	}
	switch {
	case f.Failure != "":
		shown.Badge = badge{"late", "failed"}
	case f.Attention != "" && f.Watermark == nil:
		shown.Badge = badge{"soon", "look at it"}
	case len(parts) == 3 && parts[1] == "events":
	case f.Watermark == nil && f.RunStarted != nil:
		shown.Badge = badge{"soon", "first reading"}
	case f.Watermark == nil:
		shown.Badge = badge{"soon", "not read yet"}
	case f.Attention != "":
		shown.Badge = badge{"soon", "look at it"}
	case !once && now.Sub(*f.Watermark) > lateAfter:
		shown.Badge = badge{"late", "behind"}
	}
	return shown
}

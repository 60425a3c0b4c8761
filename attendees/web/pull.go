package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// pullPage is how a pull comes along; it refreshes itself until all is read.
type pullPage struct {
	Event postgres.Event
	Feeds []feedRead
	Done  bool
	Slow  bool // nobody has begun
}

type feedRead struct {
	What  string
	Says  string
	Badge badge
}

const (
	// refreshEvery is in seconds: often enough to see it move.
	refreshEvery = 2
	// slowAfter is when a pull that nobody began points to a missing worker: one that
	// runs begins within seconds.
	slowAfter = 30 * time.Second
	// watchFor bounds how long a page refreshes itself: somebody forgot it.
	watchFor = 30 * time.Minute
)

// pull asks for a pull and leads to the page that shows how it comes along.
func (s *Site) pull(w http.ResponseWriter, r *http.Request) error {
	e := asked(r).event
	if err := s.Pull.Pull(r.Context(), e.ID); err != nil {
		return err
	}
	since := strconv.FormatInt(s.Now().Unix(), 10)
	http.Redirect(w, r, query(paths{}.Pull(e.ID), url.Values{"since": {since}}), http.StatusSeeOther)
	return nil
}

func (s *Site) pulling(w http.ResponseWriter, r *http.Request) error {
	e, now := asked(r).event, s.Now()
	seconds, err := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	if err != nil {
		return refused("The page of a pull names when it was asked for.")
	}
	since := time.Unix(seconds, 0)
	p := pullPage{Event: e, Done: true}
	began := false
	feeds, err := s.feedsOf(r.Context(), e)
	if err != nil {
		return err
	}
	for _, f := range feeds {
		done := f.Finished != nil && !f.Finished.Before(since)
		failed := f.FailedAt != nil && !f.FailedAt.Before(since)
		began = began || done || failed || f.RunStarted != nil
		shown := feedRead{What: f.what, Says: "waits for its turn", Badge: badge{"over", "waiting"}}
		switch {
		case done:
			shown.Says, shown.Badge = "read to its end", badge{"", "done"}
		case failed:
			shown.Says, shown.Badge = f.Failure, badge{"late", "failed"}
		case f.RunStarted != nil && f.RunPage > 0:
			shown.Says, shown.Badge = "page "+count(f.RunPage)+" is stored", badge{"soon", "reading"}
		case f.RunStarted != nil:
			shown.Says, shown.Badge = "begun", badge{"soon", "reading"}
		}
		p.Done = p.Done && (done || failed)
		p.Feeds = append(p.Feeds, shown)
	}
	p.Slow = !began && now.Sub(since) > slowAfter
	if p.Done {
		s.numbers.forget(e.ID)
	} else if now.Sub(since) < watchFor {
		w.Header().Set("Refresh", strconv.Itoa(refreshEvery))
	}
	return s.show(w, r, "pull.html", "Pulling "+e.Name, p)
}

// namedFeed is a feed with its name for people.
type namedFeed struct {
	postgres.Feed
	what string
}

// feedsOf are the listings that a pull of an event reads.
func (s *Site) feedsOf(ctx context.Context, e postgres.Event) ([]namedFeed, error) {
	f, err := s.Store.Feed(ctx, postgres.EventFeed(e.ID))
	if err != nil {
		return nil, err
	}
	all := []namedFeed{{f, "Registrations at Eventbrite"}}
	links, err := s.Store.EventLinks(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	last := attendees.EventbriteForm
	for _, l := range links {
		if l.Form == attendees.EventbriteForm || l.Form == last {
			continue
		}
		last = l.Form
		f, err := s.Store.Feed(ctx, postgres.FormFeed(l.Form))
		if err != nil {
			return nil, err
		}
		title := l.Title
		if title == "" {
			title = string(l.Form)
		}
		all = append(all, namedFeed{f, title + ", at Typeform"})
	}
	return all, nil
}

package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// route is one row of the table from which the mux is built, and the test of who may
// what. The zero route is for nobody.
type route struct {
	pattern string           // as http.ServeMux has it; an event stands in it as {event}
	nav     string           // its word in the head's navigation; empty: it has none
	may     []attendees.Role // who is let in. An organiser must be given the event that is named, too.
	open    bool             // for everybody, signed in or not
	bare    bool             // open, and the same bytes for everybody: no session is looked at
	slow    bool             // it may take longer than a page
	do      handler
}

// PageFor is how long a page may take: by then nobody has been there to read it for long,
// and what it still waits for would keep others waiting. Then an error's page is due, for
// which whoever serves leaves a moment. Lists take longer, and see to that themselves.
const PageFor = 30 * time.Second

// bounded lets a route take no longer than it may.
func (t route) bounded(h http.Handler) http.Handler {
	if t.slow {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), PageFor)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// handler answers a request, or says why it did not. It has written nothing then.
type handler func(w http.ResponseWriter, r *http.Request) error

// Everybody who is signed in, and some of them.
var (
	anyRole    = attendees.Roles()
	organisers = []attendees.Role{attendees.Organiser}
	operators  = []attendees.Role{attendees.Operator}
	officers   = []attendees.Role{attendees.Officer}
)

// routes is the table: what has no row here is not served. The navigation has its order.
func (s *Site) routes() []route {
	return slices.Concat(
		s.basicRoutes(),
		s.signInRoutes(),
		s.eventRoutes(),
		s.peopleRoutes(),
		s.linkRoutes(),
		s.participationRoutes(),
		s.exportRoutes(),
		s.planRoutes(),
		s.ledgerRoutes(),
		s.operationsRoutes(),
		s.requestRoutes(),
		s.myDataRoutes(),
	)
}

// names tells whether the route names an event.
func (t route) names() bool { return strings.Contains(t.pattern, "{event}") }

// allows tells whether a user is let in, to an event where the route names one.
func (t route) allows(u postgres.User, event attendees.EventID) bool {
	return slices.ContainsFunc(t.may, func(r attendees.Role) bool {
		if r == attendees.Organiser && t.names() {
			return u.Sees(event)
		}
		return u.Has(r)
	})
}

// asking is who asks, and for which event.
type asking struct {
	user  postgres.User // the zero user: nobody is signed in
	event postgres.Event
	route route
}

type askingKey struct{}

// asked tells who asks: nobody, where guard was not passed.
func asked(r *http.Request) *asking {
	a, _ := r.Context().Value(askingKey{}).(*asking)
	if a == nil {
		return &asking{}
	}
	return a
}

// guard lets in whom the route allows: who is not signed in is sent to sign in, and
// what somebody may not have is not there for her.
func (s *Site) guard(t route) http.Handler {
	if t.bare {
		return s.handle(t.do)
	}
	checked := s.handle(func(w http.ResponseWriter, r *http.Request) (err error) {
		a := asked(r)
		if a.user, err = s.visitor(r); err != nil {
			return err
		}
		if t.open {
			return t.do(w, r)
		}
		if len(a.user.Roles) == 0 {
			return errSignedOut
		}
		id := attendees.EventID(r.PathValue("event"))
		if !t.allows(a.user, id) {
			return errNotFound
		}
		if t.names() {
			if a.event, err = s.Store.Event(r.Context(), id); err != nil {
				return err
			}
		}
		return t.do(w, r)
	})
	return s.sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checked.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askingKey{}, &asking{route: t})))
	}))
}

// sees tells whether the user sees an event in a list: all but organisers see counts and
// dates of every event.
func sees(u postgres.User, e attendees.EventID) bool {
	return u.Has(attendees.Operator) || u.Has(attendees.Officer) || u.Sees(e)
}

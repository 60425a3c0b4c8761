package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/attendees/old/seal"
)

// Poster sees to it that a letter is sent, later.
type Poster interface {
	Post(ctx context.Context, l mail.Letter) error
}

// Sender sends a letter; *mail.Mailer is one.
type Sender interface {
	Send(ctx context.Context, l mail.Letter) error
}

// Puller asks for a pull of an event and of its forms, now.
type Puller interface {
	Pull(ctx context.Context, event attendees.EventID) error
}

// Forms reads forms where they are made: which there are, the questions of one, and how
// many of its newest answers would fill the fields of a link.
type Forms interface {
	Forms(ctx context.Context) ([]attendees.Form, error)
	Definition(ctx context.Context, e postgres.Event, form attendees.FormID) (attendees.Form, error)
	Sample(ctx context.Context, e postgres.Event, link postgres.Link) (filled map[attendees.Field]int, of int, err error)
}

// Options are what a site needs from outside.
type Options struct {
	Store   *postgres.Store
	BaseURL string // the address people see, without a slash at its end
	Post    Poster
	Pull    Puller
	Forms   Forms
	// Send sends a letter at once, from memory: at /my-data an address that may be unknown
	// has no business in a table. Nil: such letters are not sent.
	Send Sender
	// Sealer seals what somebody has restricted or erased; nil: that waits for staff.
	Sealer *seal.Sealer
	// KeepCopy lets the ledger's copy grow before an erasure is called done; nil: another
	// machine does.
	KeepCopy func(context.Context) error
	// Jobs is River's own pages below /operations/jobs/; nil: there are none.
	Jobs http.Handler
	// Ready tells whether the database answers and is up to date.
	Ready func(context.Context) error
	// CheckCopy tells whether the ledger agrees with its copy outside the database.
	CheckCopy func(context.Context) error
	Now       func() time.Time
	Log       *slog.Logger
}

// Site is the console.
type Site struct {
	Options
	pages    map[string]*template.Template
	sessions *scs.SessionManager
	later    *later
	numbers  *counts[attendees.EventID, standing, postgres.Numbers]
	people   *counts[struct{}, struct{}, postgres.Headcount] // of all events
	exports  chan struct{}                                   // bounds how many lists leave at once
	takers   *shares                                         // of users, in exports
	table    []route
	desk     *rights.Desk
	mydata   map[string]*template.Template
	mails    *later // those of /my-data, so that a slow server keeps nobody from signing in
}

// New makes a site. Close ends it.
func New(o Options) (*Site, error) {
	if o.Store == nil || o.Post == nil || o.Pull == nil || o.Forms == nil || o.Now == nil || o.Log == nil || o.BaseURL == "" {
		return nil, errors.New("web: a site wants a store, a poster, a puller, forms, a clock, a log and the address that people see")
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	pages, err := parsePages(pageFiles, "pages")
	if err != nil {
		return nil, err
	}
	mydata, err := parsePages(myDataFiles, "mydata")
	if err != nil {
		return nil, err
	}
	if o.KeepCopy == nil {
		o.KeepCopy = func(context.Context) error { return nil }
	}
	desk, err := rights.NewDesk(rights.Desk{Store: o.Store, Sealer: o.Sealer, Post: o.Post, KeepCopy: o.KeepCopy, BaseURL: o.BaseURL, Now: o.Now})
	if err != nil {
		return nil, err
	}
	s := &Site{
		Options: o, pages: pages, mydata: mydata, desk: desk, later: startLater(o.Log), mails: startLater(o.Log),
		exports: make(chan struct{}, maxExports), takers: newShares(maxOwnExports),
	}
	s.numbers = newCounts[attendees.EventID, standing](s.later, s.Store.Numbers, func(n postgres.Numbers) bool { return n.Registered+n.Answers < fewPeople })
	s.people = newCounts[struct{}, struct{}](s.later, func(ctx context.Context, _ struct{}) (postgres.Headcount, error) { return s.Store.Headcount(ctx) },
		func(postgres.Headcount) bool { return false })
	s.sessions = s.newSessions()
	s.table = s.routes()
	return s, nil
}

// secure tells whether people come by https.
func (s *Site) secure() bool { return strings.HasPrefix(s.BaseURL, "https://") }

// Close does what was put off, until ctx ends. Call it when requests have ended: what one
// puts off after that is dropped.
func (s *Site) Close(ctx context.Context) error {
	return errors.Join(s.later.close(ctx), s.mails.close(ctx))
}

// Handler serves the site.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.table {
		mux.Handle(r.pattern, r.bounded(s.guard(r)))
	}
	sameSite := http.NewCrossOriginProtection()
	sameSite.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errCrossSite) }))
	return s.safe(sameSite.Handler(http.MaxBytesHandler(mux, maxBody)))
}

// maxBody bounds what a form may send, in bytes: a page of text and to spare.
const maxBody = 64 << 10

package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"lethe/attendees/old/postgres"
)

var (
	errNotFound  = errors.New("there is no such page, or it is not for you")
	errSignedOut = errors.New("nobody is signed in")
	errCrossSite = errors.New("another site sent this form")
	errBusy      = errors.New("as many lists are leaving as may at once")
)

// refused is what somebody sent that cannot be taken, in words for that person.
type refused string

func (e refused) Error() string { return string(e) }

// errorPage says what went wrong and what to do.
type errorPage struct {
	Title, Says, Way string
	Where            string // the way's page
	ID               string // in the log, too
	Event            *postgres.Event
}

// handle turns what a handler says went wrong into a page.
func (s *Site) handle(do handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.try(do, w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// try makes an error of a panic, without its words: they could quote a person's.
func (s *Site) try(do handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic of %T at %s", p, debug.Stack())
		}
	}()
	if query, err := url.QueryUnescape(r.URL.RawQuery); err != nil || !storable(r.URL.Path) || !storable(query) {
		return errNotFound
	}
	if err := readForm(r); err != nil {
		return err
	}
	return do(w, r)
}

// readForm reads what a form sent, for r.PostForm. What is no form stays unread.
func readForm(r *http.Request) error {
	if r.Method != http.MethodPost {
		return nil
	}
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	for _, values := range r.PostForm {
		if !storable(strings.Join(values, " ")) {
			return badForm(nil)
		}
	}
	return nil
}

// badForm is for a form that cannot be read.
func badForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return refused("What was sent is not what the form sends.")
}

// storable tells whether PostgreSQL takes a text: what it does not names nothing here.
func storable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

// fail answers with the page that belongs to an error.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	var (
		blocked *postgres.BlockedError
		event   *postgres.UnknownEventError
		person  *postgres.UnknownAttendeeError
		purpose *postgres.UnknownPurposeError
		large   *http.MaxBytesError
		no      refused
	)
	home := errorPage{Way: "Go to your first page", Where: "/"}
	status, title, p := http.StatusInternalServerError, "Something went wrong", home
	switch {
	case errors.Is(err, errSignedOut):
		http.Redirect(w, r, paths{}.SignIn(), http.StatusSeeOther)
		return
	case errors.Is(r.Context().Err(), context.Canceled) && errors.Is(err, context.Canceled):
		return // nobody waits for an answer any more
	case errors.Is(err, errNotFound), errors.As(err, &event), errors.As(err, &person), errors.As(err, &purpose):
		status, title = http.StatusNotFound, "There is no such page"
		p.Says = "Either it does not exist, or it is not for you to see. Whoever runs Lethe can tell which, and change it."
	case errors.As(err, &blocked):
		status, title = http.StatusGone, "These names are sealed"
		p = errorPage{Event: &blocked.Event, Way: "Look at the plan", Where: paths{}.Plan()}
	case errors.Is(err, errCrossSite):
		status, title = http.StatusForbidden, "That came from another site"
		p.Says = "A form that changes something is taken from Lethe's own pages alone. Go to the page and send it from there."
	case errors.As(err, &large):
		status, title = http.StatusRequestEntityTooLarge, "That is too much"
		p.Says = "What was sent is larger than any form here. Go back and shorten it."
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "30") // seconds
		status, title = http.StatusServiceUnavailable, "Lists are leaving just now"
		p.Says = "As many as may leave at once, or two of your own. Nothing was taken: go back and try again in half a minute, or once those are there."
	case errors.As(err, &no):
		status, title = http.StatusUnprocessableEntity, "That cannot be taken"
		p.Says = no.Error() + " Go back and change it."
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		// Whatever err says: it comes of that, and the database calls it a cancelled query.
		s.Log.Warn("a page took too long", "route", asked(r).route.pattern, "err", err)
		status, title = http.StatusServiceUnavailable, "That took too long"
		p.Says = "It was given up after half a minute, and nothing of what you sent was half done. Lethe, or a service that it asks, is busy: try again in a few minutes. If it stays, tell whoever runs Lethe."
	default:
		p.ID = rand.Text()[:8]
		s.Log.Error("a page failed", "id", p.ID, "route", asked(r).route.pattern, "err", err)
		p.Says = "It is not your fault, and nothing of what you sent was half done. Try again in a moment; if it stays, tell whoever runs Lethe this number, under which the log says more:"
	}
	p.Title = title
	if err := s.showAs(w, r, status, "error.html", title, p); err != nil {
		s.Log.Error("an error's page failed", "err", err)
		http.Error(w, title, status)
	}
}

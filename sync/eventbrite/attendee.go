package eventbrite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"time"

	"lethe/attendees/old/attendees"
)

// Query narrows a listing of attendees. The zero Query lists them all, from the first
// page on, without any answers.
type Query struct {
	Since     time.Time // changed then or later, to the second; zero: all
	FromPage  int       // where an interrupted reading goes on; 0 and 1: at the beginning
	Questions map[attendees.QuestionID]bool
}

// Page is one page of attendees.
type Page struct {
	Registrations []attendees.Registration
	Number, Pages int // zero where they were not said
	Total         int // of the whole listing; -1 where it was not said
	Skipped       int // attendees without an id, or of no known event
	Bytes         int // of the reply
	Kept          int // bytes of text that were taken out of it
}

// EventAttendees lists the attendees of one event, the cancelled and the refunded
// included.
//
// Pages come in their order, but some are fetched ahead. Where the listing had to be
// started over they begin at 1 again. A page beyond the last ends it without an error.
// It ends at the first error: *RateLimited, ErrToken, ErrNotFound, ErrRefused or another.
func (c *Client) EventAttendees(ctx context.Context, event attendees.EventID, q Query) iter.Seq2[Page, error] {
	if err := checkID("event", event); err != nil {
		return failed[Page](err)
	}
	return c.attendees(ctx, fmt.Sprintf("attendees of event %s", event), "/events/"+string(event)+"/attendees/", event, q)
}

// OrganizationAttendees lists the attendees of all events of an organisation: the
// cheapest way to stay current. Where this listing is closed to the token the error is
// ErrRefused, and events are to be listed one by one. See EventAttendees for the rest.
func (c *Client) OrganizationAttendees(ctx context.Context, org attendees.OrganizationID, q Query) iter.Seq2[Page, error] {
	if err := checkID("organisation", org); err != nil {
		return failed[Page](err)
	}
	pages := c.attendees(ctx, fmt.Sprintf("attendees of organisation %s", org), "/organizations/"+string(org)+"/attendees/", "", q)
	return func(yield func(Page, error) bool) {
		for page, err := range pages {
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("%w: %w", ErrRefused, err)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

func (c *Client) attendees(ctx context.Context, what, path string, event attendees.EventID, q Query) iter.Seq2[Page, error] {
	query := expanding(q.Questions)
	if !q.Since.IsZero() {
		query.Set("changed_since", q.Since.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05Z"))
	}
	l := attendeeListing(c, path, query, event, q.Questions)
	return func(yield func(Page, error) bool) {
		for s, err := range l.walk(ctx, q.FromPage) {
			if err != nil {
				yield(Page{}, fmt.Errorf("eventbrite: list %s: %w", what, err))
				return
			}
			page := Page{
				Registrations: s.items.all, Skipped: s.items.skipped,
				Number: s.number, Pages: s.count, Total: s.objects,
				Bytes: s.bytes, Kept: s.kept,
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// attendeeListing takes registrations; event is theirs where they don't say it.
func attendeeListing(c *Client, path string, query url.Values, event attendees.EventID, questions map[attendees.QuestionID]bool) *listing[people] {
	return &listing[people]{client: c, path: path, query: query, member: "attendees",
		read: func(r *reader, s *sheet[people]) error {
			s.items.all = make([]attendees.Registration, 0, usualPage)
			return r.array(func() error {
				s.n++
				a, err := r.registration(event, questions)
				if a.ID == "" || a.Event == "" {
					s.items.skipped++
					return err
				}
				s.items.all = append(s.items.all, a)
				return err
			})
		},
	}
}

// usualPage is how many attendees a page mostly has; more or fewer happens.
const usualPage = 50

// people are the attendees of one page.
type people struct {
	all     []attendees.Registration
	skipped int
}

// expanding asks for the answers only where some are wanted. Clients in public use ask
// for them so; the reference shows them without: either way they come.
func expanding(questions map[attendees.QuestionID]bool) url.Values {
	q := url.Values{}
	if len(questions) > 0 {
		q.Set("expand", "answers")
	}
	return q
}

// Attendee asks for one attendee by its id; ErrNotFound where Eventbrite does not know
// it. Its event may be another than the one asked for: tickets are transferred.
func (c *Client) Attendee(ctx context.Context, event attendees.EventID, id attendees.AttendeeID, questions map[attendees.QuestionID]bool) (attendees.Registration, error) {
	if err := errors.Join(checkID("event", event), checkID("attendee", id)); err != nil {
		return attendees.Registration{}, err
	}
	var a attendees.Registration
	var answered bool
	ask := func(q url.Values) error {
		_, err := c.get(ctx, "/events/"+string(event)+"/attendees/"+string(id)+"/", q, func(r *reader) (err error) {
			a, err = r.registration(event, questions)
			if err == nil && a.ID == "" {
				err = missing("id")
			}
			answered = r.answered
			return err
		})
		return err
	}
	err := ask(expanding(questions))
	if failed := err; says(err, expansionFailed) {
		if err = ask(nil); err == nil && !answered {
			err = failed
		}
	}
	if err != nil {
		return attendees.Registration{}, fmt.Errorf("eventbrite: attendee %s of event %s: %w", id, event, err)
	}
	return a, nil
}

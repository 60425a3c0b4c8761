package eventbrite

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"time"

	"lethe/attendees/old/attendees"
)

// Events lists the events of an organisation, whatever their status: people registered
// for the cancelled ones too. Of a series its single dates come, not their parent.
func (c *Client) Events(ctx context.Context, org attendees.OrganizationID) iter.Seq2[[]attendees.Event, error] {
	if err := checkID("organisation", org); err != nil {
		return failed[[]attendees.Event](err)
	}
	l := &listing[[]attendees.Event]{
		client: c, path: "/organizations/" + string(org) + "/events/", member: "events",
		query: url.Values{"status": {"all"}, "order_by": {"start_asc"}},
		read: func(r *reader, s *sheet[[]attendees.Event]) error {
			return r.array(func() error {
				s.n++
				e, parent, err := r.event()
				if e.ID != "" && !parent {
					if e.Organization == "" {
						e.Organization = org
					}
					s.items = append(s.items, e)
				}
				return err
			})
		},
	}
	return func(yield func([]attendees.Event, error) bool) {
		for s, err := range l.walk(ctx, 1) {
			if err != nil {
				yield(nil, fmt.Errorf("eventbrite: list events of organisation %s: %w", org, err))
				return
			}
			if !yield(s.items, nil) {
				return
			}
		}
	}
}

// Event asks for one event: ErrNotFound, or ErrRefused where it is somebody else's.
func (c *Client) Event(ctx context.Context, id attendees.EventID) (attendees.Event, error) {
	if err := checkID("event", id); err != nil {
		return attendees.Event{}, err
	}
	var e attendees.Event
	_, err := c.get(ctx, "/events/"+string(id)+"/", nil, func(r *reader) (err error) {
		e, _, err = r.event()
		if err == nil && e.ID == "" {
			err = missing("id")
		}
		return err
	})
	if err != nil {
		return attendees.Event{}, fmt.Errorf("eventbrite: event %s: %w", id, err)
	}
	return e, nil
}

// event takes one event, and whether it is only the parent of a series.
func (r *reader) event() (e attendees.Event, parent bool, err error) {
	err = r.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text((*string)(&e.ID))
		case "organization_id":
			return r.text((*string)(&e.Organization))
		case "name":
			return r.inner("text", &e.Name)
		case "status":
			return r.text(&e.Status)
		case "changed":
			return r.stamp(&e.Changed)
		case "start":
			return r.moment(&e.Start, &e.Zone)
		case "end":
			return r.moment(&e.End, &e.Zone)
		case "is_series_parent":
			return r.flag(&parent)
		}
		return r.SkipValue()
	})
	return e, parent, err
}

// inner takes one text out of an object, or the text that stands in its place.
func (r *reader) inner(member string, to *string) error {
	if r.PeekKind() != '{' {
		return r.text(to)
	}
	return r.object(func(name []byte) error {
		if string(name) == member {
			return r.text(to)
		}
		return r.SkipValue()
	})
}

// moment takes an instant and the zone it was planned in: by utc, else by the local
// time in that zone, else in UTC.
func (r *reader) moment(to *time.Time, zone *string) error {
	var utc, local, name string
	if r.PeekKind() != '{' {
		return r.stamp(to)
	}
	err := r.object(func(member []byte) error {
		switch string(member) {
		case "utc":
			return r.text(&utc)
		case "local":
			return r.text(&local)
		case "timezone":
			return r.text(&name)
		}
		return r.SkipValue()
	})
	at := time.UTC
	// "" and "Local" would be this machine's idea of a zone.
	if l, bad := time.LoadLocation(name); bad == nil && name != "" && name != "Local" {
		at, *zone = l, name
	}
	if *to = parseTime(utc, time.UTC); to.IsZero() {
		*to = parseTime(local, at)
	}
	return err
}

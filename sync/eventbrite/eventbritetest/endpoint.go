package eventbritetest

import (
	"net/url"
	"slices"

	"lethe/attendees/old/attendees"
)

// ofOrganization answers below /organizations/{id}/.
func (s *Server) ofOrganization(body []byte, id attendees.OrganizationID, what string, q url.Values) ([]byte, error) {
	o := s.organization(id)
	if o == nil {
		return nil, errNotFound
	}
	switch what {
	case "events":
		if s.quirks.EventsRefusedBy == id {
			return nil, errRefused
		}
		var all []*event
		for _, id := range o.events {
			e := s.events[id]
			if status := q.Get("status"); status == "" || status == "all" || status == e.Status {
				all = append(all, e)
			}
		}
		slices.SortStableFunc(all, func(a, b *event) int { return a.Start.Compare(b.Start) })
		return s.list(body, q, "events", len(all), func(i int) []byte { return renderEvent(all[i]) })
	case "attendees":
		if s.quirks.OrganizationListingRefused {
			return nil, errRefused
		}
		s.gather(o)
		return s.people(body, &o.listing, q)
	}
	return nil, errNotFound
}

// ofEvent answers for /events/{id}/ and below.
func (s *Server) ofEvent(body []byte, id attendees.EventID, rest []string, q url.Values) ([]byte, error) {
	e, ok := s.events[id]
	if !ok {
		return nil, errNotFound
	}
	switch {
	case len(rest) == 0:
		return append(body, renderEvent(e)...), nil
	case len(rest) == 1 && rest[0] == "questions":
		return s.list(body, q, "questions", len(e.questions), func(i int) []byte { return renderQuestion(e.questions[i]) })
	case len(rest) == 1 && rest[0] == "attendees":
		return s.people(body, &e.listing, q)
	case len(rest) == 2 && rest[0] == "attendees":
		// A transferred ticket is still answered under the event it came from.
		a, ok := s.attendees[attendees.AttendeeID(rest[1])]
		if !ok {
			return nil, errNotFound
		}
		if q.Has("expand") && s.quirks.ExpansionFails {
			return nil, errExpansion
		}
		return append(body, a.json...), nil
	}
	return nil, errNotFound
}

func (s *Server) people(body []byte, l *listing, q url.Values) ([]byte, error) {
	if q.Has("expand") && s.quirks.ExpansionFails {
		return nil, errExpansion
	}
	people, err := s.listed(l, q)
	if err != nil {
		return nil, err
	}
	return s.list(body, q, "attendees", len(people), func(i int) []byte { return people[i].json })
}

package eventbritetest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listing is who is listed, in the listing's order once it was asked for.
type listing struct {
	people  []*attendee
	ordered bool
}

// shifted says that the order of an event, and of its organisation, may be another now.
func (s *Server) shifted(e *event) {
	e.ordered = false
	if o := s.organization(e.org); o != nil {
		o.ordered = false
	}
}

// order sorts by the time of change, so that a change during a reading shifts pages.
func (s *Server) order(l *listing) {
	if l.ordered {
		return
	}
	slices.SortFunc(l.people, func(a, b *attendee) int {
		return cmp.Or(a.Changed.Truncate(time.Second).Compare(b.Changed.Truncate(time.Second)), cmp.Compare(a.id, b.id))
	})
	if s.quirks.NewestFirst {
		slices.Reverse(l.people)
	}
	l.ordered = true
}

// gather collects the attendees of all events of an organisation.
func (s *Server) gather(o *organization) {
	if o.ordered {
		return
	}
	o.people = o.people[:0]
	for _, id := range o.events {
		o.people = append(o.people, s.events[id].people...)
	}
	s.order(&o.listing)
}

// listed is what a listing shows of its people.
func (s *Server) listed(l *listing, q url.Values) ([]*attendee, error) {
	s.order(l)
	people := l.people
	if since := q.Get("changed_since"); since != "" {
		// Eventbrite takes nothing else: no fractions, no other zone.
		const shape = "2006-01-02T15:04:05Z"
		t, err := time.Parse(shape, since)
		if err != nil || len(since) != len(shape) { // Parse lets fractions through
			return nil, errArguments
		}
		late := func(a *attendee) bool { return !a.Changed.Truncate(time.Second).Before(t) } // inclusive
		if s.quirks.NewestFirst {
			people = slices.Clone(people)
			people = slices.DeleteFunc(people, func(a *attendee) bool { return !late(a) })
		} else {
			from, _ := slices.BinarySearchFunc(people, true, func(a *attendee, _ bool) int {
				if late(a) {
					return 0
				}
				return -1
			})
			people = people[from:]
		}
	}
	if s.quirks.HalfListed {
		var half []*attendee
		for i, a := range people {
			if i%2 == 0 {
				half = append(half, a)
			}
		}
		people = half
	}
	return people, nil
}

// pageOf finds out which page is asked for.
func (s *Server) pageOf(q url.Values) (int, error) {
	if token := q.Get("continuation"); token != "" {
		if s.quirks.ForgottenContinuations > 0 {
			s.quirks.ForgottenContinuations--
			return 0, errContinuation
		}
		text, err := base64.RawURLEncoding.DecodeString(token)
		number, ok := strings.CutPrefix(string(text), "page:")
		number, _, _ = strings.Cut(number, ":")
		n, bad := strconv.Atoi(number)
		if err != nil || !ok || bad != nil || n < 1 {
			return 0, errContinuation
		}
		if s.quirks.EndlessContinuation {
			return 1, nil
		}
		return n, nil
	}
	if !q.Has("page") || s.quirks.IgnorePages {
		return 1, nil
	}
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 || s.quirks.BadPages {
		return 0, errPage
	}
	return n, nil
}

// page cuts one page out of n items: from, to, and what pagination says of it.
func (s *Server) page(q url.Values, n int) (from, to int, pagination []byte, err error) {
	number, err := s.pageOf(q)
	if err != nil {
		return 0, 0, nil, err
	}
	pages := max((n+s.pageSize-1)/s.pageSize, 1)
	if number > pages {
		if !q.Has("continuation") {
			return 0, 0, nil, errPage
		}
		// It has shrunk meanwhile: the next page is an empty one.
	}
	from, to = min((number-1)*s.pageSize, n), min(number*s.pageSize, n)
	more := to < n
	p := map[string]any{"page_size": s.pageSize, "has_more_items": more}
	if !s.quirks.NoPageNumbers {
		p["object_count"], p["page_number"], p["page_count"] = n+s.quirks.CountsMore, number, pages
	}
	if more || s.quirks.EndlessContinuation {
		s.ticket++
		next := fmt.Sprintf("page:%d:%d", number+1, s.ticket) // no two tokens are alike
		p["continuation"] = base64.RawURLEncoding.EncodeToString([]byte(next))
		if s.quirks.EndlessContinuation {
			p["has_more_items"] = true
		}
	}
	pagination, err = json.Marshal(p)
	return from, to, pagination, err
}

// list appends one page of a listing under the name member.
func (s *Server) list(body []byte, q url.Values, member string, n int, item func(i int) []byte) ([]byte, error) {
	from, to, pagination, err := s.page(q, n)
	if err != nil {
		return nil, err
	}
	body = append(body, `{"pagination":`...)
	body = append(body, pagination...)
	body = append(body, `,"`+member+`":[`...)
	for i := from; i < to; i++ {
		if i > from {
			body = append(body, ',')
		}
		body = append(body, item(i)...)
	}
	return append(body, "]}"...), nil
}

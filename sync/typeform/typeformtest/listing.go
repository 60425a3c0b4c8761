package typeformtest

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"lethe/attendees/old/attendees"
)

// What the vendor's reference says of GET /forms/{id}/responses.
const (
	responsesPerPage     = 25
	mostResponsesPerPage = 1000
)

// listing is what a caller asks for.
type listing struct {
	size          int
	since, until  time.Time
	before, after attendees.ResponseID
	ascending     bool
	kinds         []string
	fields        map[attendees.QuestionID]bool
	only          map[attendees.ResponseID]bool
}

// parseListing gives the listing, or what is wrong with it.
func parseListing(q url.Values) (listing, string) {
	l := listing{
		size:   responsesPerPage,
		before: attendees.ResponseID(q.Get("before")),
		after:  attendees.ResponseID(q.Get("after")),
		kinds:  split(q.Get("response_type")),
	}
	var err error
	if text := q.Get("page_size"); text != "" {
		if l.size, err = strconv.Atoi(text); err != nil || l.size < 1 || l.size > mostResponsesPerPage {
			return l, "page_size must be from 1 to 1000"
		}
	}
	for name, t := range map[string]*time.Time{"since": &l.since, "until": &l.until} {
		if text := q.Get(name); text != "" {
			if *t, err = instant(text); err != nil {
				return l, name + " is not a time"
			}
		}
	}
	if sort := q.Get("sort"); sort != "" {
		if l.before != "" || l.after != "" {
			return l, "sort cannot be used together with before or after"
		}
		if sort != "submitted_at,asc" && sort != "submitted_at,desc" {
			return l, "sort by submitted_at,asc or submitted_at,desc"
		}
		l.ascending = sort == "submitted_at,asc"
	}
	if len(l.kinds) == 0 {
		l.kinds = []string{"completed"}
		if q.Get("completed") == "false" { // the old word for it
			l.kinds = []string{"partial"}
		}
	}
	if ids := split(q.Get("fields")); len(ids) > 0 {
		l.fields = map[attendees.QuestionID]bool{}
		for _, id := range ids {
			l.fields[attendees.QuestionID(id)] = true
		}
	}
	if ids := split(q.Get("included_response_ids")); len(ids) > 0 {
		l.only = map[attendees.ResponseID]bool{}
		for _, id := range ids {
			l.only[attendees.ResponseID(id)] = true
		}
	}
	return l, ""
}

// instant reads ISO 8601, with or without a zone, or seconds since 1970.
func instant(text string) (time.Time, error) {
	if s, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(s, 0).UTC(), nil
	}
	if t, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

// pick gives a page, and how many there are in all from there on; false where before
// or after names a response that is not there.
func (l listing) pick(h *held) (page []*response, total int, ok bool) {
	walk := slices.Clone(h.responses)
	if !l.ascending {
		slices.Reverse(walk) // newest first
	}
	at := func(id attendees.ResponseID) int {
		return slices.IndexFunc(walk, func(r *response) bool { return r.ID == id })
	}
	if l.before != "" {
		i := at(l.before)
		if i < 0 {
			return nil, 0, false
		}
		walk = walk[i+1:]
	}
	if l.after != "" {
		i := at(l.after)
		if i < 0 {
			return nil, 0, false
		}
		walk = walk[:i]
	}
	for _, r := range walk {
		if !l.wants(r) {
			continue
		}
		total++
		page = append(page, r)
	}
	if l.after != "" { // those next to the cursor, still newest first
		return page[max(0, len(page)-l.size):], total, true
	}
	return page[:min(l.size, len(page))], total, true
}

func (l listing) wants(r *response) bool {
	switch {
	case !slices.Contains(l.kinds, r.kind()):
	case l.only != nil && !l.only[r.ID]:
	case r.Submitted.IsZero(): // since and until look at completed responses only
		return true
	case !l.since.IsZero() && r.Submitted.Before(l.since):
	case !l.until.IsZero() && r.Submitted.After(l.until):
	default:
		return true
	}
	return false
}

package roster

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"lethe/attendees"
)

// Query asks a roster for a page of its people. The zero Query asks for all who attend.
type Query struct {
	Standing attendees.Standing // empty: attending; AnyStanding: all
	Forum    string
	Ticket   string
	Purpose  attendees.PurposeName // only those that it has a reason for
	Agreed   bool                  // only those who have agreed
	Unagreed bool                  // only those who have not
	Attended bool                  // only those who did
	Words    string                // all of them are somewhere in what is shown
	Sort     string                // a name of Sorts; empty: name
	Reverse  bool
	After    uuid.UUID // the page begins after this attendee, or ends before the other:
	Before   uuid.UUID // stable while others come and go
	Offset   int
	Limit    int // at most MaxPage
}

// AnyStanding is a query for attendees of every standing.
const AnyStanding attendees.Standing = "any"

// MaxPage bounds how many people a page has.
const MaxPage = 500

// maxWords bounds how many words of a search count.
const maxWords = 20

// List gives a page of people, and how many there are in all. It is the first
// page where the attendee that it should be next to is gone.
func (r *Roster) List(q Query) (page []*Entry, total int) {
	if _, ok := orders[q.Sort]; !ok {
		q.Sort = "name"
	}
	hits, order := r.filter(q), r.order(q.Sort)
	total = hits.count()
	step := 1
	if q.Reverse {
		step = -1
	}
	at := 0
	if q.Reverse {
		at = len(order) - 1
	}
	back := q.Before != uuid.Nil
	next := cmp.Or(q.After, q.Before)
	if slot, ok := r.find(next); ok && next != uuid.Nil {
		at, _ = slices.BinarySearchFunc(order, slot, func(a, b uint32) int { return r.compare(q.Sort, a, b) })
		if back {
			step = -step
		}
		at += step
	} else {
		back = false
	}
	skip, limit := max(q.Offset, 0), min(max(q.Limit, 0), MaxPage)
	for ; at >= 0 && at < len(order) && len(page) < limit; at += step {
		if !hits.has(order[at]) {
			continue
		}
		if skip--; skip < 0 {
			page = append(page, r.view(order[at]).entry())
		}
	}
	if back {
		slices.Reverse(page)
	}
	return page, total
}

// filter finds everybody that a query is for.
func (r *Roster) filter(q Query) set {
	hits := slices.Clone(r.live)
	standing := cmp.Or(q.Standing, attendees.Attending)
	place := slices.IndexFunc(r.policy.Purposes, func(u attendees.Purpose) bool { return u.Name == q.Purpose })
	if q.Purpose != "" && place < 0 {
		clear(hits)
		return hits
	}
	r.each(func(n int, c *chunk) {
		for i := range c.rows {
			one := &c.rows[i]
			switch {
			case standing != AnyStanding && standings[one.standing] != standing,
				q.Ticket != "" && c.words[one.ticket] != q.Ticket,
				q.Purpose != "" && one.purposes>>place&1 == 0,
				q.Agreed && one.flags&agreed == 0,
				q.Unagreed && one.flags&agreed != 0,
				q.Attended && one.flags&attended == 0:
				hits.drop(uint32(n*chunkRows + i))
			}
		}
	})
	if q.Forum != "" {
		r.keep(hits, []byte(q.Forum), textsAt, func(c *chunk, i int) bool {
			v := c.view(i)
			return slices.ContainsFunc(r.policy.Purposes, func(u attendees.Purpose) bool {
				for value := range v.Values(u.Name, attendees.Forums) {
					if string(value) == q.Forum {
						return true
					}
				}
				return false
			})
		})
	}
	words := strings.Fields(Fold(q.Words))
	words = words[:min(len(words), maxWords)]
	if len(words) == 0 || len(r.chunks) == 0 {
		return hits
	}
	// Some people tell which word is the rarest: only where it is the others are looked for.
	slices.SortStableFunc(words, func(a, b string) int {
		return bytes.Count(r.chunks[0].found, []byte(a)) - bytes.Count(r.chunks[0].found, []byte(b))
	})
	others := words[1:]
	r.keep(hits, []byte(words[0]), foundAt, func(c *chunk, i int) bool {
		return !slices.ContainsFunc(others, func(w string) bool { return !bytes.Contains(c.search(i), []byte(w)) })
	})
	return hits
}

// keep keeps those hits in whose texts a word is, where is agrees.
func (r *Roster) keep(hits set, word []byte, which int, is func(c *chunk, i int) bool) {
	r.each(func(n int, c *chunk) {
		text := c.found
		if which == textsAt {
			text = c.texts
		}
		i, from := 0, 0 // those before row i are done, and so is the text before from
		for i < len(c.rows) {
			at := bytes.Index(text[from:], word)
			next := len(c.rows)
			if at >= 0 {
				for next = i; c.end(next, which) <= uint32(from+at); next++ {
				}
			}
			for ; i < next; i++ {
				hits.drop(uint32(n*chunkRows + i))
			}
			if i == len(c.rows) {
				return
			}
			if !is(c, i) {
				hits.drop(uint32(n*chunkRows + i))
			}
			from = int(c.end(i, which))
			i++
		}
	})
}

// each runs do for all chunks, on all processors: chunks share no word of a set.
func (r *Roster) each(do func(n int, c *chunk)) {
	parts := runtime.GOMAXPROCS(0)
	const little = 8 // not worth a goroutine
	if len(r.chunks) < little {
		parts = 1
	}
	var group sync.WaitGroup
	for p := range parts {
		part := func() {
			for n := len(r.chunks) * p / parts; n < len(r.chunks)*(p+1)/parts; n++ {
				do(n, &r.chunks[n])
			}
		}
		if p == parts-1 {
			part()
			break
		}
		group.Go(part)
	}
	group.Wait()
}

// Likely are attendees who may have given an unmatched response: by the attendee that it
// names, its address, or its name. There are at most limit.
func (r *Roster) Likely(l attendees.Layer, limit int) (some []*Entry) {
	email, name := Fold(l.Email().Reveal()), Fold(l.Name().Reveal())
	for n := range r.chunks {
		c := &r.chunks[n]
		for i := range c.rows {
			if len(some) == limit {
				return some
			}
			lines := bytes.SplitN(c.search(i), []byte{'\n'}, 3)
			if !r.live.has(uint32(n*chunkRows+i)) || len(lines) < 3 {
				continue
			}
			if email != "" && string(lines[1]) == email || name != "" && string(lines[0]) == name || l.Claims() != "" && string(c.view(i).id) == string(l.Claims()) {
				some = append(some, c.view(i).entry())
			}
		}
	}
	return some
}

// Claims are the unmatched responses that name an attendee's registration.
func (r *Roster) Claims(registration uuid.UUID) (all []attendees.Layer) {
	for _, a := range r.unmatched {
		if a.Claims == registration {
			all = append(all, a.Layer)
		}
	}
	return all
}

package roster

import (
	"cmp"
	"maps"
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
	Purpose  attendees.PurposeName // those for whom it has a reason
	Unagreed bool                  // those alone who have not agreed
	Attended bool                  // those alone who did
	Words    string                // all of them are somewhere in what is shown
	Sort     string                // a name of Sorts; empty: name
	Reverse  bool
	Offset   int
	Limit    int // at most MaxPage
}

// AnyStanding is a query for attendees of every standing.
const AnyStanding attendees.Standing = "any"

// MaxPage bounds how many people a page has.
const MaxPage = 500

// maxWords bounds how many words of a search count.
const maxWords = 20

// keys are what the orders of texts go by.
var keys = map[string]func(*Entry) string{
	"name":   func(e *Entry) string { return Fold(e.Name.Reveal()) },
	"email":  func(e *Entry) string { return Fold(e.Email.Reveal()) },
	"ticket": func(e *Entry) string { return Fold(e.Ticket) + "\x00" + Fold(e.Name.Reveal()) },
}

// sorts compare entries: by what pages offer, then by key, so that each order is one.
var sorts = map[string]func(a, b *Entry) int{
	"name": sorted("name"), "email": sorted("email"), "ticket": sorted("ticket"),
	"registered": func(a, b *Entry) int { return cmp.Or(a.Registered.Compare(b.Registered), byKey(a, b)) },
	"agreed":     func(a, b *Entry) int { return cmp.Or(a.AgreedAt.Compare(b.AgreedAt), byKey(a, b)) },
}

// Sorts are the names of the orders.
func Sorts() []string { return slices.Sorted(maps.Keys(sorts)) }

func sorted(name string) func(a, b *Entry) int {
	key := keys[name]
	return func(a, b *Entry) int { return cmp.Or(strings.Compare(key(a), key(b)), byKey(a, b)) }
}

// order gives the entries in an order, which is made once.
func (r *Roster) order(name string) []*Entry {
	compare, ok := sorts[name]
	if !ok {
		name, compare = "name", sorts["name"]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[name] == nil {
		type keyed struct {
			key string
			*Entry
		}
		if key := keys[name]; key != nil { // fold each text once
			all := make([]keyed, len(r.entries))
			for i, e := range r.entries {
				all[i] = keyed{key(e), e}
			}
			slices.SortFunc(all, func(a, b keyed) int { return cmp.Or(strings.Compare(a.key, b.key), byKey(a.Entry, b.Entry)) })
			order := make([]*Entry, len(all))
			for i, k := range all {
				order[i] = k.Entry
			}
			r.orders[name] = order
		} else {
			order := slices.Clone(r.entries)
			slices.SortFunc(order, compare)
			r.orders[name] = order
		}
	}
	return r.orders[name]
}

// List gives a page of people, and how many there are in all.
func (r *Roster) List(q Query) (page []*Entry, total int) {
	order := r.order(q.Sort)
	keep := r.filter(q)
	hits := scan(order, keep)
	if q.Reverse {
		slices.Reverse(hits)
	}
	total = len(hits)
	from := min(max(q.Offset, 0), total)
	return hits[from:min(from+min(max(q.Limit, 0), MaxPage), total)], total
}

// All gives everybody whom a query is for, in the order of their keys.
func (r *Roster) All(q Query) []*Entry { return scan(r.entries, r.filter(q)) }

// scan filters on all processors.
func scan(order []*Entry, keep func(*Entry) bool) []*Entry {
	n := runtime.GOMAXPROCS(0)
	const little = 4096 // not worth a goroutine
	if len(order) < little {
		n = 1
	}
	parts := make([][]*Entry, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			for _, e := range order[len(order)*i/n : len(order)*(i+1)/n] {
				if keep(e) {
					parts[i] = append(parts[i], e)
				}
			}
		})
	}
	group.Wait()
	return slices.Concat(parts...)
}

func (r *Roster) filter(q Query) func(*Entry) bool {
	words := strings.Fields(Fold(q.Words))
	words = words[:min(len(words), maxWords)]
	purpose, hasPurpose := r.policy.Purpose(q.Purpose)
	standing := cmp.Or(q.Standing, attendees.Attending)
	return func(e *Entry) bool {
		switch {
		case standing != AnyStanding && e.Standing != standing,
			q.Ticket != "" && e.Ticket != q.Ticket,
			q.Forum != "" && !slices.Contains(e.Forums(), attendees.Personal(q.Forum)),
			q.Purpose != "" && (!hasPurpose || !e.For(purpose)),
			q.Unagreed && !e.AgreedAt.IsZero(),
			q.Attended && !e.Attendee.Attended:
			return false
		}
		for _, w := range words {
			if !strings.Contains(e.folded, w) {
				return false
			}
		}
		return true
	}
}

// Counts are how many people of an event there are.
type Counts struct {
	Standing                     map[attendees.Standing]int
	Agreed, Attended             int // of those who attend
	Tickets, Forums              map[string]int
	Purposes                     map[attendees.PurposeName]int
	Unmatched, Claims, Corrected int
}

// Count counts the people of the roster.
func (r *Roster) Count() Counts {
	c := Counts{Standing: map[attendees.Standing]int{}, Tickets: map[string]int{}, Forums: map[string]int{}, Purposes: map[attendees.PurposeName]int{}, Unmatched: len(r.unmatched)}
	for _, e := range r.entries {
		c.Standing[e.Standing]++
		if len(e.Corrected) > 0 {
			c.Corrected++
		}
		for _, u := range r.policy.Purposes {
			if e.For(u) {
				c.Purposes[u.Name]++
			}
		}
		if e.Standing != attendees.Attending {
			continue
		}
		if !e.AgreedAt.IsZero() {
			c.Agreed++
		}
		if e.Attendee.Attended {
			c.Attended++
		}
		if e.Ticket != "" {
			c.Tickets[e.Ticket]++
		}
		for _, f := range e.Forums() {
			c.Forums[f.Reveal()]++
		}
	}
	for _, u := range r.unmatched {
		if u.Claims != uuid.Nil {
			c.Claims++
		}
	}
	return c
}

// Likely are attendees who may have given an unmatched response: by its address, its name, or
// the attendee that it names. There are at most limit.
func (r *Roster) Likely(l attendees.Layer, limit int) (some []*Entry) {
	email, name := Fold(l.Email().Reveal()), Fold(l.Name().Reveal())
	for _, e := range r.entries {
		if len(some) == limit {
			break
		}
		if l.Claims() != "" && e.Attendee.ID == l.Claims() || email != "" && Fold(e.Email.Reveal()) == email || name != "" && Fold(e.Name.Reveal()) == name {
			some = append(some, e)
		}
	}
	return some
}

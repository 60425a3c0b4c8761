// Package roster is an event's people, opened in memory: list, search, sort, count, one
// person. Nothing readable is in the database, so reading is decrypting: Store.Open loads an
// event's layers once, and later only what was written since.
//
// A Roster is as of one version of its event and never changes; what asks for an organiser
// opens one for each page, which costs a look at the event's row where nothing has changed.
// Everything else here are functions of a Roster.
package roster

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
)

// Entry is one attendee of a roster.
type Entry struct {
	ID uuid.UUID
	attendees.Attendee
	folded string // what a search looks in
	size   int
}

// Roster is an open event's people as of one version.
type Roster struct {
	Event     events.Event
	policy    *attendees.Policy
	entries   []*Entry // in the order of their keys; restricted attendees are not on it
	unmatched []reader.Response
	size      int // bytes, roughly

	mu     sync.Mutex
	orders map[string][]*Entry
}

// Len is how many attendees are on the roster.
func (r *Roster) Len() int { return len(r.entries) }

// entryOf makes the entry of a person.
func entryOf(p reader.Person, policy *attendees.Policy) *Entry {
	e := &Entry{ID: p.ID, Attendee: p.Merged(policy)}
	var text strings.Builder
	add := func(s string) {
		if s != "" {
			text.WriteString(Fold(s))
			text.WriteByte(0)
		}
	}
	add(e.Name.Reveal())
	add(e.Email.Reveal())
	add(e.Ticket)
	add(string(e.Attendee.ID))
	for _, g := range e.Given {
		for _, v := range g.Values {
			add(v.Reveal())
		}
		e.size += 96 + 40*len(g.Values)
	}
	e.folded = text.String()
	e.size += entrySize + 3*len(e.folded)
	return e
}

// entrySize is what an entry takes in memory besides its texts, in bytes.
const entrySize = 512

// At finds an attendee by key; nil where they are not on the roster.
func (r *Roster) At(id uuid.UUID) *Entry {
	i, found := slices.BinarySearchFunc(r.entries, id, func(e *Entry, id uuid.UUID) int { return bytes.Compare(e.ID[:], id[:]) })
	if !found {
		return nil
	}
	return r.entries[i]
}

// Find finds an attendee by the source's id, as pages name them: the present holder, or the
// former one that ID~N names; nil where there is none.
func (r *Roster) Find(id attendees.AttendeeID) *Entry {
	var present *Entry
	for _, e := range r.entries {
		switch {
		case e.Handle() == id:
			return e
		case e.Attendee.ID == id && (present == nil || present.Holder < e.Holder):
			present = e
		}
	}
	return present
}

// Handle is how pages and commands name an attendee: a former holder as ID~N.
func (e *Entry) Handle() attendees.AttendeeID {
	if e.Standing == attendees.Gone {
		return people.HolderID(e.Attendee.ID, e.Holder)
	}
	return e.Attendee.ID
}

// Unmatched are the responses that are matched to no attendee, claims included.
func (r *Roster) Unmatched() []reader.Response { return r.unmatched }

// with is the roster of a later version: without those who were removed, and with those who
// are new or have changed. Sorted orders are kept, and merged.
func (r *Roster) with(e events.Event, removed []uuid.UUID, changed []*Entry, gone map[uuid.UUID]bool, unmatched []reader.Response) *Roster {
	for _, id := range removed {
		gone[id] = true
	}
	for _, c := range changed {
		gone[c.ID] = true
	}
	next := &Roster{Event: e, policy: r.policy, unmatched: unmatched, orders: map[string][]*Entry{}}
	next.entries = mergeInto(r.entries, changed, gone, byKey)
	r.mu.Lock()
	for name, order := range r.orders {
		next.orders[name] = mergeInto(order, slices.Clone(changed), gone, sorts[name])
	}
	r.mu.Unlock()
	for _, e := range next.entries {
		next.size += e.size
	}
	return next
}

func byKey(a, b *Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// mergeInto merges changed entries into an ordered list, without those that are gone from it.
func mergeInto(old, changed []*Entry, gone map[uuid.UUID]bool, compare func(a, b *Entry) int) []*Entry {
	slices.SortFunc(changed, compare)
	out := make([]*Entry, 0, len(old)+len(changed))
	for _, e := range old {
		if len(gone) > 0 && gone[e.ID] {
			continue
		}
		for len(changed) > 0 && compare(changed[0], e) < 0 {
			out, changed = append(out, changed[0]), changed[1:]
		}
		out = append(out, e)
	}
	return append(out, changed...)
}

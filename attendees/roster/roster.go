// Package roster is an event's people, opened in memory: list, search, sort, count, one
// person. Nothing readable is in the database, so reading is decrypting: Store.Open loads an
// event's layers once, and later only what was written since.
//
// A Roster is as of one version of its event and never changes; what asks for an organiser
// opens one for each page, which costs a look at the event's row where nothing has changed.
// Lists and counts are functions of a Roster. Store.Walk gives the same people one by one, of
// an event of any size: what is exported.
package roster

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/reader"
)

// Roster is an open event's people as of one version, but for those who are restricted. It
// may be used by several goroutines.
type Roster struct {
	Event     events.Event
	policy    *attendees.Policy
	words     *words
	chunks    []chunk
	live      set      // who is on the roster: chunks also have earlier versions of people
	keyed     []uint32 // the same, in the order of their keys
	unmatched []reader.Response

	mu     sync.Mutex
	orders map[string][]uint32
	counts *Counts
}

// Of is a roster of people who are there already: Store.Open reads them.
func Of(policy *attendees.Policy, e events.Event, people ...*Entry) *Roster {
	r := &Roster{policy: policy, words: &words{at: map[string]uint32{}}}
	c := change{event: e}
	for some := range slices.Chunk(people, chunkRows) {
		var packed chunk
		for _, one := range some {
			packed.pack(policy, r.words, one)
		}
		packed.words = r.words.now()
		c.packed = append(c.packed, packed)
	}
	return r.with(c)
}

// A slot is where somebody is: in which chunk, and in which row of it.
func (r *Roster) at(slot uint32) *row { return &r.chunks[slot/chunkRows].rows[slot%chunkRows] }

func (r *Roster) view(slot uint32) View { return r.chunks[slot/chunkRows].view(int(slot % chunkRows)) }

// set is a set of slots.
type set []uint64

func (s set) has(slot uint32) bool { return s[slot/64]>>(slot%64)&1 != 0 }
func (s set) add(slot uint32)      { s[slot/64] |= 1 << (slot % 64) }
func (s set) drop(slot uint32)     { s[slot/64] &^= 1 << (slot % 64) }

func (s set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Len is how many attendees are on the roster.
func (r *Roster) Len() int { return len(r.keyed) }

// At finds an attendee by key; nil where they are not on the roster.
func (r *Roster) At(id uuid.UUID) *Entry {
	slot, ok := r.find(id)
	if !ok {
		return nil
	}
	return r.view(slot).entry()
}

func (r *Roster) find(key uuid.UUID) (uint32, bool) {
	i, ok := slices.BinarySearchFunc(r.keyed, key, func(slot uint32, key uuid.UUID) int { return bytes.Compare(r.at(slot).key[:], key[:]) })
	if !ok {
		return 0, false
	}
	return r.keyed[i], true
}

// Find finds an attendee by the source's id, as pages name them: the present holder, or the
// former one that ID~N names; nil where there is none.
func (r *Roster) Find(id attendees.AttendeeID) *Entry {
	var room []byte
	for _, slot := range r.keyed {
		if room = r.view(slot).AppendID(room[:0]); string(room) == string(id) {
			return r.view(slot).entry()
		}
	}
	return nil
}

// Unmatched are the responses that are matched to no attendee, claims included, the oldest
// first: they are the next to be dropped.
func (r *Roster) Unmatched() []reader.Response { return r.unmatched }

// size is what it takes in memory, in bytes, roughly.
func (r *Roster) size() (n int) {
	const slotSize, responseSize = 4 * 8, 1024
	for i := range r.chunks {
		n += r.chunks[i].size()
	}
	return n + len(r.keyed)*slotSize + len(r.unmatched)*responseSize
}

// change is what was read of an event after a version.
type change struct {
	event     events.Event
	packed    []chunk
	gone      []uuid.UUID // who is not there any more, or is restricted; responses that are not unmatched any more
	unmatched []reader.Response
}

// with is the roster after a change. It writes into chunks of r behind what r looks at, so
// that at most one roster may be made of another.
func (r *Roster) with(c change) *Roster {
	next := &Roster{Event: c.event, policy: r.policy, words: r.words, chunks: slices.Clone(r.chunks), live: slices.Clone(r.live), orders: map[string][]uint32{}}
	var fresh []uint32
	for i := range c.packed {
		fresh = next.take(&c.packed[i], fresh)
	}
	gone := make(map[uuid.UUID]bool, len(c.gone)+len(c.unmatched))
	for _, id := range c.gone {
		gone[id] = true
		if slot, ok := r.find(id); ok {
			next.live.drop(slot)
		}
	}
	for _, slot := range fresh {
		if old, ok := r.find(next.at(slot).key); ok {
			next.live.drop(old)
		}
	}
	next.keyed = next.merge(r.keyed, fresh, byKey)
	r.mu.Lock()
	for by, order := range r.orders {
		next.orders[by] = next.merge(order, fresh, by)
	}
	r.mu.Unlock()
	for _, a := range c.unmatched {
		gone[a.ID] = true
	}
	next.unmatched = append(slices.DeleteFunc(slices.Clone(r.unmatched), func(a reader.Response) bool { return gone[a.ID] }), c.unmatched...)
	slices.SortFunc(next.unmatched, older)
	const slack = 8 * chunkRows
	if len(next.chunks)*chunkRows > 2*len(next.keyed)+slack {
		return next.repacked()
	}
	return next
}

func older(a, b reader.Response) int {
	if c := a.CameOn.Compare(b.CameOn); c != 0 {
		return c
	}
	if c := a.Layer.Submitted().Compare(b.Layer.Submitted()); c != 0 {
		return c
	}
	return bytes.Compare(a.ID[:], b.ID[:])
}

// take takes the people of a chunk, and appends their slots to fresh.
func (r *Roster) take(c *chunk, fresh []uint32) []uint32 {
	last := len(r.chunks) - 1
	fits := last >= 0 && len(r.chunks[last].rows)+len(c.rows) <= chunkRows
	if !fits {
		r.chunks, r.live = append(r.chunks, *c), append(r.live, make(set, chunkRows/64)...)
		last++
	}
	for i := range c.rows {
		slot := uint32(last*chunkRows + i)
		if fits {
			slot = uint32(last*chunkRows + len(r.chunks[last].rows))
			r.chunks[last].add(c, i)
		}
		r.live.add(slot)
		fresh = append(fresh, slot)
	}
	return fresh
}

// repacked is the same roster without what chunks hold of people who have changed since.
func (r *Roster) repacked() *Roster {
	next := &Roster{Event: r.Event, policy: r.policy, words: r.words, unmatched: r.unmatched, orders: map[string][]uint32{}}
	moved := make([]uint32, len(r.chunks)*chunkRows)
	for slot := range uint32(len(moved)) {
		if !r.live.has(slot) {
			continue
		}
		last := len(next.chunks) - 1
		if last < 0 || len(next.chunks[last].rows) == chunkRows {
			next.chunks, next.live = append(next.chunks, chunk{}), append(next.live, make(set, chunkRows/64)...)
			last++
		}
		moved[slot] = uint32(last*chunkRows + len(next.chunks[last].rows))
		next.chunks[last].add(&r.chunks[slot/chunkRows], int(slot%chunkRows))
		next.live.add(moved[slot])
	}
	move := func(order []uint32) []uint32 {
		all := make([]uint32, len(order))
		for i, slot := range order {
			all[i] = moved[slot]
		}
		return all
	}
	next.keyed = move(r.keyed)
	for by, order := range r.orders {
		next.orders[by] = move(order)
	}
	return next
}

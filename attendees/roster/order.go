package roster

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// The orders: those that pages offer, and those of exports.
const (
	byKey = "key"
	byID  = "id" // the source's
)

// orders say what an order compares: a number, or a text; with the key behind it each order
// is one.
var orders = map[string]struct {
	number func(*row) int64
	text   func(c *chunk, i int) []byte
}{
	byKey:        {text: func(c *chunk, i int) []byte { return c.rows[i].key[:] }},
	byID:         {text: func(c *chunk, i int) []byte { return c.view(i).id }},
	"name":       {text: (*chunk).search}, // it begins with the name
	"email":      {text: func(c *chunk, i int) []byte { _, email, _ := bytes.Cut(c.search(i), []byte{'\n'}); return email }},
	"ticket":     {text: func(c *chunk, i int) []byte { return []byte(c.words[c.rows[i].ticket]) }},
	"status":     {number: func(r *row) int64 { return int64(r.standing) }},
	"registered": {number: func(r *row) int64 { return r.registered }},
	"agreed":     {number: func(r *row) int64 { return r.agreed }},
}

// Sorts are the names of the orders that pages offer.
func Sorts() []string { return []string{"agreed", "email", "name", "registered", "status", "ticket"} }

func (r *Roster) compare(by string, a, b uint32) int {
	o := orders[by]
	x, y := r.at(a), r.at(b)
	n := 0
	switch {
	case o.number != nil:
		n = cmp.Compare(o.number(x), o.number(y))
	case by == "ticket": // no copies
		n = strings.Compare(r.chunks[a/chunkRows].words[x.ticket], r.chunks[b/chunkRows].words[y.ticket])
	default:
		n = bytes.Compare(o.text(&r.chunks[a/chunkRows], int(a%chunkRows)), o.text(&r.chunks[b/chunkRows], int(b%chunkRows)))
	}
	if n == 0 {
		n = bytes.Compare(x.key[:], y.key[:])
	}
	return n
}

// front is a number that compares as the beginning of what an order compares does, so that
// most pairs are compared without a look at their texts.
func (r *Roster) front(by string, slot uint32) uint64 {
	o := orders[by]
	if o.number != nil {
		return uint64(o.number(r.at(slot))) ^ 1<<63
	}
	var b [8]byte
	copy(b[:], o.text(&r.chunks[slot/chunkRows], int(slot%chunkRows)))
	return binary.BigEndian.Uint64(b[:])
}

// sort sorts slots by an order.
func (r *Roster) sort(by string, slots []uint32) []uint32 {
	type pair struct {
		front uint64
		slot  uint32
	}
	pairs := make([]pair, len(slots))
	for i, slot := range slots {
		pairs[i] = pair{r.front(by, slot), slot}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.front != b.front {
			return cmp.Compare(a.front, b.front)
		}
		return r.compare(by, a.slot, b.slot)
	})
	for i, p := range pairs {
		slots[i] = p.slot
	}
	return slots
}

// merge brings fresh people into an order and takes those out who are not on the roster any
// more: what is sorted is not sorted again.
func (r *Roster) merge(order, fresh []uint32, by string) []uint32 {
	all := make([]uint32, 0, len(order)+len(fresh))
	live := func(slots []uint32) {
		for _, slot := range slots {
			if r.live.has(slot) {
				all = append(all, slot)
			}
		}
	}
	for _, slot := range r.sort(by, slices.Clone(fresh)) {
		i, _ := slices.BinarySearchFunc(order, slot, func(a, b uint32) int { return r.compare(by, a, b) })
		live(order[:i])
		all, order = append(all, slot), order[i:]
	}
	live(order)
	return all
}

// order gives everybody in an order, which is sorted when it is first asked for.
func (r *Roster) order(by string) []uint32 {
	if by == byKey {
		return r.keyed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[by] == nil {
		r.orders[by] = r.sort(by, slices.Clone(r.keyed))
	}
	return r.orders[by]
}

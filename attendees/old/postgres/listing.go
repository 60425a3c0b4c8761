package postgres

import (
	"bytes"
	"iter"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
)

// Listing is who a listing named, a source's or an export's: 16 bytes a person, so
// that a million fit into memory.
type Listing struct {
	ids    []uuid.UUID
	sorted bool
}

// Saw notes that the listing named a registration.
func (l *Listing) Saw(source attendees.SourceName, id attendees.AttendeeID) {
	l.ids, l.sorted = append(l.ids, attendeeKey(source, id)), false
}

// Len is how many different registrations were named.
func (l *Listing) Len() int {
	l.sort()
	return len(l.ids)
}

// Bytes are the listing as Feed.RunSeen keeps it.
func (l *Listing) Bytes() []byte {
	l.sort()
	out := make([]byte, 0, len(l.ids)*len(uuid.UUID{}))
	for _, id := range l.ids {
		out = append(out, id[:]...)
	}
	return out
}

// ListingOf makes a listing of what Bytes gave.
func ListingOf(b []byte) *Listing {
	l := &Listing{}
	for id := range slices.Chunk(b, len(uuid.UUID{})) {
		if key, err := uuid.FromBytes(id); err == nil {
			l.ids = append(l.ids, key)
		}
	}
	return l
}

func (l *Listing) sort() {
	if l.sorted {
		return
	}
	slices.SortFunc(l.ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	l.ids, l.sorted = slices.Compact(l.ids), true
}

func (l *Listing) has(id uuid.UUID) bool {
	l.sort()
	_, found := slices.BinarySearchFunc(l.ids, id, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return found
}

// chunkSize is how many people one row of an export's list names.
const chunkSize = 5000

// chunks are the people in the order of their keys, some at a time.
func (l *Listing) chunks() iter.Seq2[int, []uuid.UUID] {
	l.sort()
	return func(yield func(int, []uuid.UUID) bool) {
		i := 0
		for chunk := range slices.Chunk(l.ids, chunkSize) {
			if !yield(i, chunk) {
				return
			}
			i++
		}
	}
}

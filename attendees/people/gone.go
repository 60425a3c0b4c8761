package people

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
)

// Listing is which registrations of one event a complete listing named: 16 bytes each, so
// that a million fit into memory.
type Listing struct {
	hashes seal.Hashes
	event  events.Event
	keys   []uuid.UUID
	sorted bool
}

// NewListing begins a listing, or resumes one from its Bytes.
func (s *Store) NewListing(e events.Event, from []byte) (*Listing, error) {
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return nil, err
	}
	l := &Listing{hashes: h, event: e}
	for key := range slices.Chunk(from, len(uuid.UUID{})) {
		if k, err := uuid.FromBytes(key); err == nil {
			l.keys = append(l.keys, k)
		}
	}
	return l, nil
}

// Saw notes that the listing named a registration.
func (l *Listing) Saw(id attendees.AttendeeID) {
	l.keys, l.sorted = append(l.keys, l.hashes.Registration(string(l.event.ID), string(l.event.Source), string(id))), false
}

func (l *Listing) sort() {
	if l.sorted {
		return
	}
	slices.SortFunc(l.keys, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	l.keys, l.sorted = slices.Compact(l.keys), true
}

// Len is how many different registrations were named.
func (l *Listing) Len() int {
	l.sort()
	return len(l.keys)
}

// Bytes are the listing as a feed stores it.
func (l *Listing) Bytes() []byte {
	l.sort()
	out := make([]byte, 0, len(l.keys)*len(uuid.UUID{}))
	for _, k := range l.keys {
		out = append(out, k[:]...)
	}
	return out
}

func (l *Listing) has(base uuid.UUID) bool {
	l.sort()
	_, found := slices.BinarySearchFunc(l.keys, base, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return found
}

// Missing are the attendees of an open event that a complete listing did not name, by their
// ids at the source: each is to be asked for by its id before it is believed to be gone. of
// is how many attend.
func (s *Store) Missing(ctx context.Context, l *Listing) (missing []attendees.AttendeeID, of int, err error) {
	defer db.Wrap(&err, "compare a listing of event %s", l.event.ID)
	err = s.reader.Read(ctx, s.pool, l.event, 0, func(p reader.Person) error {
		if p.Standing == attendees.Gone {
			return nil
		}
		of++
		base, _ := seal.HolderOf(p.ID)
		if id, _ := p.Registration.Registration(); !l.has(base) && id != "" {
			missing = append(missing, id)
		}
		return nil
	})
	return missing, of, err
}

// Gone makes attendees gone that their source does not know any more. More than a handful
// is believed only where staff confirm it: otherwise they are asked, and nothing happens.
func (s *Store) Gone(ctx context.Context, event attendees.EventID, ids []attendees.AttendeeID, of int, confirmed bool) (n int, err error) {
	defer db.Wrap(&err, "let attendees of event %s be gone", event)
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, event)
		if err != nil || !e.Writable(s.now()) {
			return err
		}
		about := events.Task{Kind: events.TaskGone, Event: e.Key, Count: len(ids)}
		if len(ids) > Handful(of) && !confirmed {
			return s.events.Tasks.Ask(ctx, tx, about)
		}
		if err := s.events.Tasks.Settle(ctx, tx, about); err != nil {
			return err
		}
		sh, err := s.desk.Open(ctx, tx, e)
		if err != nil {
			return err
		}
		var left []*sheet.Person
		for _, id := range ids {
			if err := sh.Load(ctx, sh.Base(id)); err != nil {
				return err
			}
			if p := sh.Present(sh.Base(id)); p != nil && p.Standing != attendees.Gone {
				sh.Leave(p)
				left = append(left, p)
			}
		}
		n = len(left)
		if _, err := sh.Rematch(ctx, left); err != nil {
			return err
		}
		return sh.Flush(ctx)
	})
	return n, err
}

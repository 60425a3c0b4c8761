package people

import (
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
}

// NewListing begins a listing, or resumes one from its Bytes.
func (s *Store) NewListing(e events.Event, from []byte) (*Listing, error) {
	h, err := s.secrets.Hashes(e.Secret)
	l := &Listing{hashes: h, event: e}
	for key := range slices.Chunk(from, len(uuid.UUID{})) {
		if k, err := uuid.FromBytes(key); err == nil {
			l.keys = append(l.keys, k)
		}
	}
	return l, err
}

// Saw notes that the listing named a registration.
func (l *Listing) Saw(id attendees.AttendeeID) {
	l.keys = append(l.keys, l.hashes.Registration(string(l.event.ID), string(l.event.Source), string(id)))
}

// sorted are the keys in order, each once.
func (l *Listing) sorted() []uuid.UUID {
	slices.SortFunc(l.keys, sheet.Compare)
	l.keys = slices.Compact(l.keys)
	return l.keys
}

// Len is how many different registrations were named.
func (l *Listing) Len() int { return len(l.sorted()) }

// Bytes are the listing as a feed stores it.
func (l *Listing) Bytes() []byte {
	var out []byte
	for _, k := range l.sorted() {
		out = append(out, k[:]...)
	}
	return out
}

// Missing are the attendees of an open event that a complete listing did not name, by their
// ids at the source: each is to be asked for by its id before it is believed to be gone. of
// is how many attend.
func (s *Store) Missing(ctx context.Context, l *Listing) (missing []attendees.AttendeeID, of int, err error) {
	defer db.Wrap(&err, "compare a listing of event %s", l.event.ID)
	named := l.sorted()
	err = s.reader.Read(ctx, s.pool, l.event, 0, func(p reader.Person) error {
		if p.Standing == attendees.Gone {
			return nil
		}
		of++
		base, _ := seal.HolderOf(p.ID)
		_, found := slices.BinarySearchFunc(named, uuid.UUID(base), sheet.Compare)
		if id, _ := p.Registration.Registration(); !found && id != "" {
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
	err = s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
		about := events.Task{Kind: events.TaskGone, Event: sh.Event.Key, Count: len(ids)}
		if !sh.Event.Writable(s.now()) {
			return nil
		}
		if len(ids) > Handful(of) && !confirmed {
			return s.events.Tasks.Ask(ctx, sh.Tx, about)
		}
		bases := make([]uuid.UUID, len(ids))
		for i, id := range ids {
			bases[i] = sh.Base(id)
		}
		if err := sh.Load(ctx, bases...); err != nil {
			return err
		}
		for _, base := range bases {
			if p := sh.Present(base); p != nil && p.Standing != attendees.Gone {
				sh.Leave(p)
				n++
			}
		}
		return s.events.Tasks.Settle(ctx, sh.Tx, about)
	})
	return n, err
}

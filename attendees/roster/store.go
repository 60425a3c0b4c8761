package roster

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
)

const (
	// budget bounds what all rosters of a process take in memory, in bytes.
	budget = 200 << 20
	// idle is for how long a roster that nobody asks for is remembered.
	idle = 2 * time.Minute
	// MaxPeople is how many people a roster has at most: larger events are read page by page.
	MaxPeople = 200_000
)

// Store opens rosters and remembers them.
type Store struct {
	pool   *sqlx.DB
	events *events.Store
	reader *reader.Store
	policy *attendees.Policy
	now    func() time.Time
	most   int // people of a roster
	bytes  int // of all rosters

	batches sync.Pool // of Walk, used again

	mu      sync.Mutex
	rosters map[uuid.UUID]*remembered
	tallies map[uuid.UUID]tallied
}

// remembered is one event's roster. Store.mu guards all but loading.
type remembered struct {
	loading chan struct{} // has room for the one who loads
	roster  *Roster       // nil: none is loaded yet
	size    int
	used    time.Time
	end     *time.Timer
}

// New makes a store of rosters.
func New(pool *sqlx.DB, e *events.Store, r *reader.Store, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{pool: pool, events: e, reader: r, policy: policy, now: now, most: MaxPeople, bytes: budget, rosters: map[uuid.UUID]*remembered{}, tallies: map[uuid.UUID]tallied{}}
}

// TooLargeError says that an event has more people than a roster holds.
type TooLargeError struct {
	Event  attendees.EventID
	People int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("event %s has %d people, more than the %d that can be searched and sorted: it is listed in stored order", e.Event, e.People, MaxPeople)
}

// Open gives an open event's roster as it is now, or newer. *events.BlockedError from its
// block date on, *TooLargeError where it has too many people.
func (s *Store) Open(ctx context.Context, id attendees.EventID) (*Roster, error) {
	e, err := s.readable(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	m := s.remember(e)
	if r := s.roster(m); r.is(e) {
		return r, nil
	}
	select {
	case m.loading <- struct{}{}:
		defer func() { <-m.loading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	old := s.roster(m)
	if old.is(e) { // somebody else has loaded it meanwhile
		return old, nil
	}
	var r *Roster
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.readable(ctx, tx, id)
		if err == nil {
			r, err = s.load(ctx, tx, e, old)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.keep(m, r)
	return r, nil
}

// readable is an event whose people may be read; what is remembered of another is forgotten.
func (s *Store) readable(ctx context.Context, q db.Queryer, id attendees.EventID) (events.Event, error) {
	e, err := s.events.Get(ctx, q, id)
	if err != nil {
		return e, err
	}
	if err = e.Readable(s.now()); err != nil {
		s.Forget(e.Key)
	}
	return e, err
}

// is tells whether a roster is of an event's version, or of a later one.
func (r *Roster) is(e events.Event) bool { return r.follows(e) && r.Event.Version >= e.Version }

// follows tells whether a roster was opened with the key that the event has now.
func (r *Roster) follows(e events.Event) bool {
	return r != nil && bytes.Equal(r.Event.Generation, e.Generation)
}

// ErrChanged says that an event's people have changed since a roster was opened.
var ErrChanged = fmt.Errorf("the event has changed meanwhile")

// Current is nil where a roster still is as its event: asked before the first byte of a page.
// ErrChanged where another has to be opened.
func (s *Store) Current(ctx context.Context, r *Roster) error {
	e, err := s.readable(ctx, s.pool, r.Event.ID)
	if err == nil && !r.is(e) {
		err = ErrChanged
	}
	return err
}

// remember gives what is remembered of an event, for as long as nobody needs it for a while
// or its block date comes.
func (s *Store) remember(e events.Event) *remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.rosters[e.Key]
	if m == nil {
		m = &remembered{loading: make(chan struct{}, 1)}
		s.rosters[e.Key] = m
	}
	m.used = time.Now() // of this process's memory, whatever time it is
	if m.end != nil {
		m.end.Stop()
	}
	m.end = time.AfterFunc(min(idle, max(e.BlockedFrom().Sub(s.now()), 0)), func() { s.Forget(e.Key) })
	return m
}

func (s *Store) roster(m *remembered) *Roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.roster
}

// Forget drops an event's roster from memory.
func (s *Store) Forget(event uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.rosters[event]; m != nil {
		m.end.Stop()
		delete(s.rosters, event)
	}
}

// keep remembers a roster, and forgets those that were not used for the longest until all are
// within the budget.
func (s *Store) keep(m *remembered, r *Roster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.roster, m.size = r, r.size()
	for {
		total := 0
		var oldest uuid.UUID
		for key, o := range s.rosters {
			total += o.size
			if oldest == uuid.Nil || o.used.Before(s.rosters[oldest].used) {
				oldest = key
			}
		}
		if total <= s.bytes {
			return
		}
		s.rosters[oldest].end.Stop()
		delete(s.rosters, oldest)
	}
}

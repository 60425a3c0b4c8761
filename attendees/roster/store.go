package roster

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

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
	// batchSize is how many people are opened at a time by one processor.
	batchSize = 500
)

// Store opens rosters and remembers them.
type Store struct {
	pool   *sqlx.DB
	events *events.Store
	reader *reader.Store
	policy *attendees.Policy
	now    func() time.Time

	mu      sync.Mutex
	rosters map[uuid.UUID]*remembered
}

// remembered is one event's roster, and who loads it.
type remembered struct {
	loading sync.Mutex // one load at a time
	roster  atomic.Pointer[Roster]
	used    time.Time
	end     *time.Timer
}

// New makes a store of rosters.
func New(pool *sqlx.DB, e *events.Store, r *reader.Store, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{pool: pool, events: e, reader: r, policy: policy, now: now, rosters: map[uuid.UUID]*remembered{}}
}

// TooLargeError says that an event has more people than a roster holds.
type TooLargeError struct {
	Event  attendees.EventID
	People int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("event %s has %d people, more than the %d that can be searched and sorted: it is listed in stored order", e.Event, e.People, MaxPeople)
}

// Open gives an open event's roster as it is now. *events.BlockedError from its block date
// on, *TooLargeError where it has too many people.
func (s *Store) Open(ctx context.Context, id attendees.EventID) (*Roster, error) {
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	if err := e.Readable(s.now()); err != nil {
		s.Forget(e.Key)
		return nil, err
	}
	m := s.remember(e)
	m.loading.Lock()
	defer m.loading.Unlock()
	if r := m.roster.Load(); r != nil && r.Event.Version == e.Version && slices.Equal(r.Event.Generation, e.Generation) {
		return r, nil
	}
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.Get(ctx, tx, id); err != nil {
			return err
		}
		if err := e.Readable(s.now()); err != nil {
			return err
		}
		r, err := s.load(ctx, tx, e, m.roster.Load())
		if err == nil {
			m.roster.Store(r)
			s.makeRoom(m)
		}
		return err
	})
	if err != nil {
		s.Forget(e.Key)
		return nil, err
	}
	return m.roster.Load(), nil
}

// Current tells whether a roster is as its event is now: asked before the first byte of a
// page, and before an export's receipt.
func (s *Store) Current(ctx context.Context, r *Roster) error {
	e, err := s.events.Get(ctx, s.pool, r.Event.ID)
	if err != nil {
		return err
	}
	return e.Readable(s.now())
}

func (s *Store) remember(e events.Event) *remembered {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.rosters[e.Key]
	if m == nil {
		m = &remembered{}
		s.rosters[e.Key] = m
	}
	m.used = time.Now() // of this process's memory, whatever time it is
	if m.end != nil {
		m.end.Stop()
	}
	lasts := min(idle, max(e.BlockedFrom().Sub(s.now()), 0))
	m.end = time.AfterFunc(lasts, func() { s.Forget(e.Key) })
	return m
}

// Forget drops an event's roster from memory.
func (s *Store) Forget(event uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.rosters[event]; m != nil && m.end != nil {
		m.end.Stop()
	}
	delete(s.rosters, event)
}

// makeRoom forgets the rosters that were not used for the longest, until all that are left are
// within the budget.
func (s *Store) makeRoom(keep *remembered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		total := 0
		var oldest uuid.UUID
		for key, m := range s.rosters {
			r := m.roster.Load()
			if r == nil {
				continue
			}
			total += r.size
			if m != keep && (oldest == uuid.Nil || m.used.Before(s.rosters[oldest].used)) {
				oldest = key
			}
		}
		if total <= budget || oldest == uuid.Nil {
			return
		}
		s.rosters[oldest].end.Stop()
		delete(s.rosters, oldest)
	}
}

// load reads an event's people, or, where an earlier roster of the same working key is there,
// what was written since.
func (s *Store) load(ctx context.Context, tx db.Tx, e events.Event, old *Roster) (*Roster, error) {
	since := int64(0)
	if old != nil && slices.Equal(old.Event.Generation, e.Generation) && old.Event.Version > 0 {
		since = old.Event.Version
	} else {
		old = &Roster{policy: s.policy}
		var n int
		if err := db.Get(ctx, tx, &n, `select count(*) from attendees where event_id = $1`, e.Key); err != nil {
			return nil, err
		}
		if n > MaxPeople {
			return nil, &TooLargeError{e.ID, n}
		}
	}
	gone := map[uuid.UUID]bool{}
	changed, err := s.read(ctx, tx, e, since, gone)
	if err != nil {
		return nil, err
	}
	removed, err := s.reader.Removed(ctx, tx, e, since)
	if err != nil {
		return nil, err
	}
	back := map[uuid.UUID]bool{} // removed, and there again
	for _, c := range changed {
		back[c.ID] = true
	}
	removed = slices.DeleteFunc(removed, func(id uuid.UUID) bool { return back[id] })
	var unmatched []reader.Response
	err = s.reader.ReadUnmatched(ctx, tx, e, 0, func(r reader.Response) error {
		unmatched = append(unmatched, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return old.with(e, removed, changed, gone, unmatched), nil
}

// read opens and merges people on all processors. Those who are not open any more are gone.
func (s *Store) read(ctx context.Context, tx db.Tx, e events.Event, since int64, gone map[uuid.UUID]bool) ([]*Entry, error) {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []reader.Row, 2)
	group.Go(func() error {
		defer close(batches)
		batch := make([]reader.Row, 0, batchSize)
		send := func() error {
			select {
			case batches <- batch:
				batch = make([]reader.Row, 0, batchSize)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := s.reader.Rows(ctx, tx, e, since, func(row reader.Row) error {
			if batch = append(batch, row); len(batch) < batchSize {
				return nil
			}
			return send()
		})
		if err != nil || len(batch) == 0 {
			return err
		}
		return send()
	})
	var mu sync.Mutex
	var all []*Entry
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for batch := range batches {
				var some []*Entry
				var left []uuid.UUID
				for _, row := range batch {
					p, err := row.Open()
					if err != nil {
						return err
					}
					if p.State != attendees.Open || p.Registration.IsZero() {
						left = append(left, p.ID)
						continue
					}
					some = append(some, entryOf(p, s.policy))
				}
				mu.Lock()
				all = append(all, some...)
				for _, id := range left {
					gone[id] = true
				}
				mu.Unlock()
			}
			return nil
		})
	}
	return all, group.Wait()
}

// Look records that a user looked at one attendee (the seventh promise: every use leaves a
// trace).
func (s *Store) Look(ctx context.Context, e events.Event, attendee, user uuid.UUID) (err error) {
	defer db.Wrap(&err, "record a look")
	_, err = db.Exec(ctx, s.pool, `insert into looks (event_id, attendee_id, looked_by, at) values ($1, $2, $3, $4)`, e.Key, attendee, user, s.now())
	return err
}

// LookIn is one look at somebody of an event. It does not tell at whom.
type LookIn struct {
	Event attendees.EventID `db:"event"`
	By    uuid.UUID         `db:"looked_by"`
	At    time.Time         `db:"at"`
}

// LastLooks lists the newest looks at people of open events.
func (s *Store) LastLooks(ctx context.Context, limit int) (all []LookIn, err error) {
	defer db.Wrap(&err, "list who looked")
	err = db.Select(ctx, s.pool, &all, `
		select e.source_id as event, l.looked_by, l.at
		from looks l
		join events e on e.id = l.event_id
		order by l.at desc
		limit $1`, limit)
	return all, err
}

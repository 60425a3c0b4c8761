package roster

import (
	"context"
	"runtime"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
)

// load reads an event's people, or, where an earlier roster of the same working key is there,
// what was written since.
func (s *Store) load(ctx context.Context, tx db.Tx, e events.Event, old *Roster) (*Roster, error) {
	c := change{event: e}
	since := int64(0)
	if old.follows(e) {
		since = old.Event.Version
	}
	if since == 0 {
		n, err := s.reader.Len(ctx, tx, e, s.most+1)
		if err != nil {
			return nil, err
		}
		if n > s.most {
			return nil, &TooLargeError{e.ID, n}
		}
		old = Of(s.policy, e)
	}
	err := s.read(ctx, tx, e, since, old.words, false, func(b *batch) error {
		c.packed, c.gone = append(c.packed, b.people), append(c.gone, b.gone...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if since > 0 {
		removed, err := s.reader.Removed(ctx, tx, e, since)
		if err != nil {
			return nil, err
		}
		c.gone = append(c.gone, removed...)
	}
	err = s.reader.ReadUnmatched(ctx, tx, e, since, func(r reader.Response) error {
		c.unmatched = append(c.unmatched, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return old.with(c), nil
}

// batch is what some people came to.
type batch struct {
	people chunk
	gone   []uuid.UUID // restricted attendees; and responses, which somebody has
}

// read opens, merges and packs people on all processors; only what was written after a
// version, where since is not 0. Plain people are not searched.
func (s *Store) read(ctx context.Context, q db.Queryer, e events.Event, since int64, w *words, plain bool, each func(*batch) error) error {
	type job struct {
		rows []reader.Row
		done chan *batch
	}
	processors := runtime.GOMAXPROCS(0)
	jobs, order := make(chan job), make(chan job, 2*processors)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(order)
		defer close(jobs)
		rows := make([]reader.Row, 0, chunkRows)
		send := func() error {
			j := job{rows, make(chan *batch, 1)}
			rows = make([]reader.Row, 0, chunkRows)
			for _, to := range []chan job{order, jobs} {
				select {
				case to <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
		err := s.reader.Rows(ctx, q, e, since, func(row reader.Row) error {
			if rows = append(rows, row); len(rows) < chunkRows {
				return nil
			}
			return send()
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		return send()
	})
	for range processors {
		group.Go(func() error {
			for j := range jobs {
				b, err := s.pack(j.rows, w, since > 0, plain)
				if err != nil {
					return err
				}
				j.done <- b
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range order {
			select {
			case b := <-j.done:
				if err := each(b); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

func (s *Store) pack(rows []reader.Row, w *words, later, plain bool) (*batch, error) {
	const texts, found = 160, 80 // of one attendee, mostly
	b, reused := s.batches.Get().(*batch)
	if !reused {
		b = &batch{people: chunk{rows: make([]row, 0, len(rows)), texts: make([]byte, 0, texts*len(rows)), found: make([]byte, 0, found*len(rows))}}
	}
	b.people.plain = plain
	for _, row := range rows {
		p, err := row.Open()
		if err != nil {
			return nil, err
		}
		if p.State != attendees.Open || p.Registration.IsZero() {
			b.gone = append(b.gone, p.ID)
			continue
		}
		one := entryOf(p, s.policy)
		b.people.pack(s.policy, w, &one)
		if later { // it may have been unmatched before
			for _, r := range p.Responses {
				b.gone = append(b.gone, r.ID)
			}
		}
	}
	b.people.words = w.now()
	return b, nil
}

// Source is what people are read from: a version of an event.
type Source struct {
	Event events.Event
	db.Queryer
}

// inOrder is up to how many people Walk gives in the order of the source's ids, roughly the
// order in which they registered. Of larger events that would take memory by their size.
const inOrder = 20_000

// Walk gives an open event's people, of a list of any size: begin gets what they are read
// from, then each gets one after the other. Small events come in the order of the source's
// ids, others as they are stored. A View is good until each returns.
func (s *Store) Walk(ctx context.Context, id attendees.EventID, begin func(Source) error, each func(View) error) error {
	e, err := s.readable(ctx, s.pool, id)
	if err != nil {
		return err
	}
	n, err := s.reader.Len(ctx, s.pool, e, inOrder+1)
	if err != nil {
		return err
	}
	s.mu.Lock()
	m := s.rosters[e.Key]
	kept := m != nil && m.roster.follows(e)
	s.mu.Unlock()
	if n > min(inOrder, s.most) && !kept {
		return db.Snapshot(ctx, s.pool, func(tx db.Tx) error { return s.stream(ctx, tx, id, begin, each) })
	}
	r, err := s.Open(ctx, id)
	if err != nil {
		return err
	}
	if err := begin(Source{r.Event, s.pool}); err != nil {
		return err
	}
	return r.Walk(each)
}

// Walk gives everybody, in the order of exports.
func (r *Roster) Walk(each func(View) error) error {
	if r.Len() <= inOrder {
		for _, slot := range r.order(byID) {
			if err := each(r.view(slot)); err != nil {
				return err
			}
		}
		return nil
	}
	for n := range r.chunks {
		for i := range r.chunks[n].rows {
			if !r.live.has(uint32(n*chunkRows + i)) {
				continue
			}
			if err := each(r.chunks[n].view(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) stream(ctx context.Context, tx db.Tx, id attendees.EventID, begin func(Source) error, each func(View) error) error {
	e, err := s.readable(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := begin(Source{e, tx}); err != nil {
		return err
	}
	return s.read(ctx, tx, e, 0, &words{at: map[string]uint32{}}, true, func(b *batch) error {
		for i := range b.people.rows {
			if err := each(b.people.view(i)); err != nil {
				return err
			}
		}
		c := &b.people
		c.rows, c.texts, c.found, b.gone = c.rows[:0], c.texts[:0], c.found[:0], b.gone[:0]
		s.batches.Put(b)
		return nil
	})
}

// Page gives people of an event of any size in stored order, behind the attendee of a key:
// what a page shows of one that is too large for a roster.
func (s *Store) Page(ctx context.Context, id attendees.EventID, after uuid.UUID, limit int) (page []*Entry, err error) {
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.readable(ctx, tx, id)
		if err != nil {
			return err
		}
		ids, err := s.reader.After(ctx, tx, e, after, min(max(limit, 1), MaxPage))
		if err != nil {
			return err
		}
		some, err := s.reader.These(ctx, tx, e, ids)
		for _, p := range some {
			one := entryOf(p, s.policy)
			page = append(page, &one)
		}
		return err
	})
	return page, err
}

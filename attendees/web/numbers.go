package web

import (
	"context"
	"maps"
	"sync"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

const (
	// freshFor is how old counts on a page may be: to count a hundred thousand people
	// anew for everybody who looks would keep the database from its pull.
	freshFor = 10 * time.Second
	// changedFor is how old they may be where they have changed: while somebody looks, new
	// ones are counted in the background; who comes after a while waits for them once.
	changedFor = time.Minute
	// staleFor is how long old counts are shown at once, while new ones are counted.
	staleFor = 10 * time.Minute
	// fewPeople are counted while somebody waits: that takes a few milliseconds.
	fewPeople = 2_000
)

// counts keeps what was counted lately, of each event or of all. It is counts alone,
// nobody's name. What it gives is shared: it is read, not changed.
//
// S is what is known without counting: where it differs from what was known then, the
// counts have changed.
type counts[K, S comparable, V any] struct {
	later *later
	count func(context.Context, K) (V, error)
	few   func(V) bool // they are counted at once

	mu   sync.Mutex
	kept map[K]*counted[S, V]
}

type counted[S comparable, V any] struct {
	value V
	known S
	at    time.Time // by this machine's clock, whatever the simulated one says
	again time.Time // when somebody last began to count anew; what is put off may be dropped
}

func newCounts[K, S comparable, V any](later *later, count func(context.Context, K) (V, error), few func(V) bool) *counts[K, S, V] {
	return &counts[K, S, V]{later: later, count: count, few: few, kept: map[K]*counted[S, V]{}}
}

// of counts, or tells what was counted a moment ago. It gives what was known then, too.
func (c *counts[K, S, V]) of(ctx context.Context, k K, known S) (V, S, error) {
	c.mu.Lock()
	one := c.kept[k]
	if one == nil {
		c.mu.Unlock()
		return c.anew(ctx, k, known)
	}
	now := time.Now()
	age, changed, idle := now.Sub(one.at), one.known != known, now.Sub(one.again) >= changedFor
	switch {
	case age < freshFor && !changed:
	case age >= staleFor, c.few(one.value), changed && age >= changedFor && idle:
		one.again = now
		c.mu.Unlock()
		return c.anew(ctx, k, known)
	case age >= freshFor && idle:
		one.again = now
		c.later.do(func(ctx context.Context) error {
			_, _, err := c.anew(ctx, k, known)
			return err
		})
	}
	c.mu.Unlock()
	return one.value, one.known, nil
}

// anew counts. What was known before it is older than what it finds, never newer.
func (c *counts[K, S, V]) anew(ctx context.Context, k K, known S) (V, S, error) {
	v, err := c.count(ctx, k)
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.kept, func(other K, one *counted[S, V]) bool { return other == k || time.Since(one.at) > staleFor })
	if err == nil {
		c.kept[k] = &counted[S, V]{value: v, known: known, at: time.Now()}
	}
	return v, known, err
}

// forget has it counted anew: somebody has just changed it.
func (c *counts[K, S, V]) forget(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, k)
}

// figures are an open event's numbers, with what is known of it without counting.
type figures struct {
	postgres.Numbers
	sum    postgres.Summary
	pulled postgres.Pulled
}

// standing is what changes when an event's people do: how many attend and agreed, which
// each writer keeps, and when a feed was last read to its end.
type standing struct {
	attending, agreed int
	pulled            int64
}

// numbersOf counts an open event's people. How many attend and agreed is exact; the rest
// may be as old as what is kept.
func (s *Site) numbersOf(ctx context.Context, e postgres.Event) (figures, error) {
	if !e.Open(s.Now()) {
		return figures{}, &postgres.BlockedError{Event: e}
	}
	sum, err := s.Store.SummaryOf(ctx, e.ID)
	if err != nil {
		return figures{}, err
	}
	pulled, err := s.Store.PulledOf(ctx, []postgres.Event{e})
	if err != nil {
		return figures{}, err
	}
	f := figures{sum: sum, pulled: pulled[e.ID]}
	now := standing{sum.Attending, sum.Agreed, f.pulled.At.UnixNano()}
	n, then, err := s.numbers.of(ctx, e.ID, now)
	if err != nil {
		return figures{}, err
	}
	if then != now {
		n.Status = maps.Clone(n.Status) // what is kept is shared
		n.Registered += sum.Attending - n.Attending()
		n.Status[attendees.Attending], n.Agreed = sum.Attending, sum.Agreed
	}
	f.Numbers = n
	return f, nil
}

package web

import (
	"context"
	"maps"
	"sync"
	"time"

	"lethe/attendees/postgres"
)

const (
	// freshFor is how old counts on a page may be: to count a hundred thousand people
	// anew for everybody who looks would keep the database from its pull.
	freshFor = 10 * time.Second
	// staleFor is how long old counts are shown at once, while new ones are counted.
	staleFor = 10 * time.Minute
)

// counts keeps what was counted lately, of each event or of all. It is counts alone,
// nobody's name. What it gives is shared: it is read, not changed.
type counts[K comparable, V any] struct {
	later *later
	count func(context.Context, K) (V, error)

	mu   sync.Mutex
	kept map[K]*counted[V]
}

type counted[V any] struct {
	value V
	at    time.Time // by this machine's clock, whatever the simulated one says
	again bool      // somebody counts anew
}

func newCounts[K comparable, V any](later *later, count func(context.Context, K) (V, error)) *counts[K, V] {
	return &counts[K, V]{later: later, count: count, kept: map[K]*counted[V]{}}
}

// of counts, or tells what was counted a moment ago.
func (c *counts[K, V]) of(ctx context.Context, k K) (V, error) {
	c.mu.Lock()
	one := c.kept[k]
	if one != nil && time.Since(one.at) < staleFor {
		defer c.mu.Unlock()
		if time.Since(one.at) >= freshFor && !one.again {
			one.again = true
			c.later.do(func(ctx context.Context) error {
				_, err := c.anew(ctx, k)
				return err
			})
		}
		return one.value, nil
	}
	c.mu.Unlock()
	return c.anew(ctx, k)
}

func (c *counts[K, V]) anew(ctx context.Context, k K) (V, error) {
	v, err := c.count(ctx, k)
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.kept, func(other K, one *counted[V]) bool { return other == k || time.Since(one.at) > staleFor })
	if err == nil {
		c.kept[k] = &counted[V]{value: v, at: time.Now()}
	}
	return v, err
}

// forget has it counted anew: somebody has just changed it.
func (c *counts[K, V]) forget(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kept, k)
}

// numbersOf counts an open event's people.
func (s *Site) numbersOf(ctx context.Context, e postgres.Event) (postgres.Numbers, error) {
	if !e.Open(s.Now()) {
		return postgres.Numbers{}, &postgres.BlockedError{Event: e}
	}
	return s.numbers.of(ctx, e.ID)
}

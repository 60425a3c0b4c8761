package web

import (
	"context"
	"maps"
	"sync"
	"time"

	"lethe/attendees"
	"lethe/attendees/postgres"
)

const (
	// freshFor is how old counts on a page may be: to count a hundred thousand people
	// anew for everybody who looks would keep the database from its pull.
	freshFor = 10 * time.Second
	// staleFor is how long old counts are shown at once, while new ones are counted.
	staleFor = 10 * time.Minute
)

// numbers keeps what was counted lately. They are counts alone, nobody's name.
type numbers struct {
	mu   sync.Mutex
	kept map[attendees.EventID]*counted
}

type counted struct {
	numbers postgres.Numbers
	at      time.Time // by this machine's clock, whatever the simulated one says
	again   bool      // somebody counts anew
}

// numbersOf counts an open event, or tells what was counted a moment ago.
func (s *Site) numbersOf(ctx context.Context, e postgres.Event) (postgres.Numbers, error) {
	if !e.Open(s.Now()) {
		return postgres.Numbers{}, &postgres.BlockedError{Event: e}
	}
	s.numbers.mu.Lock()
	c := s.numbers.kept[e.ID]
	if c != nil && time.Since(c.at) < staleFor {
		defer s.numbers.mu.Unlock()
		if time.Since(c.at) >= freshFor && !c.again {
			c.again = true
			s.later.do(func(ctx context.Context) error {
				_, err := s.countAnew(ctx, e.ID)
				return err
			})
		}
		return c.numbers, nil
	}
	s.numbers.mu.Unlock()
	return s.countAnew(ctx, e.ID)
}

func (s *Site) countAnew(ctx context.Context, id attendees.EventID) (postgres.Numbers, error) {
	n, err := s.Store.Numbers(ctx, id)
	s.numbers.mu.Lock()
	defer s.numbers.mu.Unlock()
	maps.DeleteFunc(s.numbers.kept, func(k attendees.EventID, c *counted) bool {
		return k == id || time.Since(c.at) > staleFor
	})
	if err != nil {
		return n, err
	}
	if s.numbers.kept == nil {
		s.numbers.kept = map[attendees.EventID]*counted{}
	}
	s.numbers.kept[id] = &counted{numbers: n, at: time.Now()}
	return n, nil
}

// forgetNumbers has an event counted anew: somebody has just changed it.
func (s *Site) forgetNumbers(id attendees.EventID) {
	s.numbers.mu.Lock()
	defer s.numbers.mu.Unlock()
	delete(s.numbers.kept, id)
}

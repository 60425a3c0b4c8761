package web

import (
	"context"
	"sync"
	"time"

	"lethe/attendees/postgres"
)

// headcount remembers for a moment how many people are held of each event: counting a
// hundred thousand for every page would cost more than the page.
type headcount struct {
	mu     sync.Mutex
	at     time.Time
	people postgres.Headcount
}

// countedFor is how old a count on a page may be.
const countedFor = 10 * time.Second

// of counts, or gives what was counted a moment before now. Of several who ask at once one
// counts. What it gives is shared: it is read, not changed.
func (h *headcount) of(ctx context.Context, store *postgres.Store, now time.Time) (postgres.Headcount, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.at).Abs() < countedFor {
		return h.people, nil
	}
	people, err := store.Headcount(ctx)
	if err != nil {
		return nil, err
	}
	h.at, h.people = now, people
	return people, nil
}

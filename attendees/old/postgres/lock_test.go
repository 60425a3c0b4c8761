package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
)

// Whoever waits keeps no connection from whoever works: else a few requests stop it all.
func TestManyRequestsAtOnceAreAllDone(t *testing.T) {
	w := newWorld(t)
	for _, event := range bothEvents {
		for i := range 12 {
			id := fmt.Sprint(event, "-", i)
			w.save(person(id, string(event), "Person", id+"@example.org"))
		}
	}
	s := sealer(t, officer(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for _, event := range bothEvents {
		for i := range 12 {
			all.Go(func() {
				if _, err := w.Restrict(ctx, attendees.AttendeeID(fmt.Sprint(event, "-", i)), attendees.RestrictionAsked, s); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
}

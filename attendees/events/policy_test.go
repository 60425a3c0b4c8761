package events_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// FAULTS B8.
func TestAFieldThatAPurposeNamesFromNowOnHasOpenEventsReadAgain(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.save("3", w.now.AddDate(0, 1, 0))
	w.link("1", form("f", "q1"))
	w.block("3", "")
	follow := func() (renewed []attendees.EventID) {
		t.Helper()
		err := w.store.FollowPolicy(t.Context(), func(_ context.Context, id attendees.EventID) error {
			renewed = append(renewed, id)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return renewed
	}
	follow() // as when Lethe first starts
	for _, id := range []attendees.EventID{"1", "2", "3"} {
		w.in(id, func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.MarkRead(ctx, tx, e, true) })
	}
	own, linked := w.generation(events.EventFeed("1")), w.generation(events.FormFeed("f"))
	same := func(what string, renewed []attendees.EventID) {
		t.Helper()
		if w.event("1").ReadAt == nil || w.generation(events.EventFeed("1")) != own || w.generation(events.FormFeed("f")) != linked || len(renewed) > 0 {
			t.Errorf("%s: it is read again, or %v are minimised again", what, renewed)
		}
	}
	same("the policy as it was", follow())

	w.policy.Purposes[1].Fields = append(slices.Clone(w.policy.Purposes[1].Fields), attendees.Ticket)
	if renewed := follow(); len(renewed) > 0 {
		t.Errorf("a wider policy has %v minimised again", renewed)
	}
	if w.event("1").ReadAt != nil || w.event("2").ReadAt != nil || w.generation(events.EventFeed("1")) != own+1 || w.generation(events.FormFeed("f")) != linked+1 {
		t.Error("another purpose names a field, and open events are not read again")
	}
	if w.event("3").ReadAt == nil {
		t.Error("a blocked event is read again")
	}

	w.policy.Purposes = w.policy.Purposes[:1]
	cut := errors.New("cut off")
	if err := w.store.FollowPolicy(t.Context(), func(context.Context, attendees.EventID) error { return cut }); !errors.Is(err, cut) {
		t.Errorf("got %v, want what the renewal ended with", err)
	}
	if renewed := follow(); !slices.Equal(slices.Sorted(slices.Values(renewed)), []attendees.EventID{"1", "2"}) {
		t.Errorf("after it was cut off %v are minimised again, want the open events", renewed)
	}
	if renewed := follow(); len(renewed) > 0 {
		t.Errorf("%v are minimised again once more", renewed)
	}
	*w.policy = attendees.BuiltIn()
	if follow(); w.generation(events.EventFeed("1")) != own+2 {
		t.Error("the purpose is back, and open events are not read again")
	}
}

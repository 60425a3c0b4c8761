package retention_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/retention"
)

func hold(w *coretest.World, h retention.Hold) retention.Hold {
	w.Helper()
	h.Reason, h.By = "a claim", "test"
	h, err := w.Retention.Holds.Add(w.Context(), h)
	if err != nil {
		w.Fatal(err)
	}
	return h
}

func release(w *coretest.World, h retention.Hold) {
	w.Helper()
	if err := w.Retention.Holds.Release(w.Context(), h.ID); err != nil {
		w.Fatal(err)
	}
}

func block(w *coretest.World, event attendees.EventID) {
	w.Helper()
	past(w, event)
	if err := w.Retention.Block(w.Context(), event); err != nil {
		w.Fatal(err)
	}
}

// longAfter is behind every delete date.
var longAfter = time.Date(2040, 1, 1, 12, 0, 0, 0, time.UTC)

func remove(w *coretest.World, event attendees.EventID) int {
	w.Helper()
	n, err := w.Retention.Delete(w.Context(), event)
	if err != nil {
		w.Fatal(err)
	}
	return n
}

func count(w *coretest.World, query string) (n int) {
	w.Helper()
	if err := w.Pool.Get(&n, query); err != nil {
		w.Fatal(err)
	}
	return n
}

// kinds are the kinds of records that the officer opens, by attendee.
func kinds(w *coretest.World, event attendees.EventID) string {
	w.Helper()
	of := map[attendees.AttendeeID][]string{}
	for _, kind := range []string{"kept", "doubt", "held"} {
		for i := range 9 {
			id := attendees.AttendeeID(fmt.Sprint(i + 1))
			if _, ok := opened(w, event)[fmt.Sprintf("%s/%s", id, kind)]; ok {
				of[id] = append(of[id], kind)
			}
		}
	}
	return fmt.Sprint(of)
}

func TestAHeldEventKeepsEveryoneWhole(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	h := hold(w, retention.Hold{Event: "1"})
	block(w, "1")
	if got, want := kinds(w, "1"), "map[1:[kept held] 2:[kept held] 3:[kept held] 4:[held]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	if r := opened(w, "1")["1/held"]; len(r.Fields) < 7 {
		t.Errorf("of who is held %v are kept, want the affiliation, too", fields(r))
	}
	w.Now = longAfter
	if _, err := w.Retention.Delete(t.Context(), "1"); !errors.As(err, new(*retention.HeldError)) {
		t.Errorf("deleting it: %v, want HeldError", err)
	}
	release(w, h)
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept]]"; got != want {
		t.Errorf("after the hold records %s, want %s", got, want)
	}
	if n := count(w, `select count(*) from attendees`) + count(w, `select count(*) from keys where name = 'held'`); n != 3 {
		t.Errorf("%d rows and held keys are left, want the three attendees", n)
	}
}

func TestWhatAHoldKeptEndsWithItAndNotWithAnothers(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	one, other := hold(w, retention.Hold{Attendee: "1"}), hold(w, retention.Hold{Attendee: "4"})
	block(w, "1")
	release(w, one)
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept] 4:[held]]"; got != want {
		t.Errorf("after one hold records %s, want %s", got, want)
	}
	release(w, other)
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept]]"; got != want {
		t.Errorf("after both records %s, want %s", got, want)
	}
	if err := w.Retention.Holds.Release(t.Context(), other.ID); err == nil {
		t.Error("a hold is released twice")
	}
}

func TestAHoldAddedAfterBlockingKeepsItsRecordsKey(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	block(w, "1")
	h := hold(w, retention.Hold{Attendee: "2"})
	w.Now = longAfter
	if n := remove(w, "1"); n != 2 {
		t.Errorf("%d were deleted, want 2", n)
	}
	if got, want := kinds(w, "1"), "map[2:[kept]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	plan, err := w.Retention.Plan(t.Context())
	if err != nil || len(plan.Events) != 1 || plan.Events[0].Kept != 1 || plan.Events[0].DueToDelete(w.Now) {
		t.Errorf("the plan says %+v, %v, want one who stays and keeps the key", plan.Events, err)
	}
	if left, err := w.Retention.Audit(t.Context()); err != nil || len(left) != 1 || left[0].Until != "its holds and restrictions end" || left[0].Fault != "" {
		t.Errorf("the audit says %+v, %v", left, err)
	}
	release(w, h)
	if n := remove(w, "1"); n != 1 || w.Stored("1").State != attendees.Deleted || count(w, `select count(*) from keys`) != 0 {
		t.Errorf("after the hold %d are deleted, %d keys are left", n, count(w, `select count(*) from keys`))
	}
}

func TestWhoIsOnHoldStaysWhenAnOpenEventIsDeleted(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	h := hold(w, retention.Hold{Attendee: "4"})
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, w.Key("1", "3"), attendees.RestrictionAsked)
	})
	w.Now = longAfter
	if n := remove(w, "1"); n != 2 {
		t.Errorf("%d were deleted, want 2", n)
	}
	if got, want := kinds(w, "1"), "map[4:[held]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	if _, ok := opened(w, "1")["restricted"]; !ok || count(w, `select count(*) from attendees where layer is not null`) != 0 {
		t.Error("who is restricted does not stay, or a layer does")
	}
	release(w, h)
	if e := w.Stored("1"); e.State != attendees.Blocked || count(w, `select count(*) from attendees`) != 1 {
		t.Errorf("after the hold the event is %s, want the restricted one left", e.State)
	}
}

func TestNobodyOnHoldIsDropped(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	doubtful(w)
	before := hold(w, retention.Hold{Attendee: "3"})
	block(w, "1")
	after := hold(w, retention.Hold{Attendee: "4"})
	if n, err := w.Retention.Answer(t.Context(), "1", events.Drop, "the right form"); err != nil || n != 3 {
		t.Errorf("%d records were dropped, %v, want those of 2 and 5, and of 3, of whom everything is held", n, err)
	}
	if got, want := kinds(w, "1"), "map[1:[kept] 3:[held] 4:[doubt]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	release(w, before)
	release(w, after)
	if got, want := kinds(w, "1"), "map[1:[kept]]"; got != want {
		t.Errorf("after the holds records %s, want %s", got, want)
	}
	if n := count(w, `select count(*) from keys where name in ('doubt', 'held')`); n != 0 {
		t.Errorf("%d keys are left under which nobody lies", n)
	}
}

func TestAHoldIsActiveUntilItsLastDayIsOverEverywhere(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	hold(w, retention.Hold{Event: "1", Until: attendees.Date{Year: 2026, Month: 11, Day: 10}})
	for at, active := range map[string]bool{"2026-11-10T23:00:00Z": true, "2026-11-11T11:59:00Z": true, "2026-11-11T12:01:00Z": false} {
		var err error
		if w.Now, err = time.Parse(time.RFC3339, at); err != nil {
			t.Fatal(err)
		}
		if got := !(attendees.Date{Year: 2026, Month: 11, Day: 10}).Before(retention.HoldDay(w.Now)); got != active {
			t.Errorf("at %s it is active: %v", at, got)
		}
	}
	w.Now = time.Date(2026, 11, 11, 12, 1, 0, 0, time.UTC)
	if _, err := w.Retention.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Retention.Holds.List(t.Context()); err != nil || len(all) != 0 || w.Stored("1").Held {
		t.Errorf("%d holds are active, %v", len(all), err)
	}
}

func TestALayerIsMinimisedAgainWhenItsLastHoldEnds(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	first, second := hold(w, retention.Hold{Event: "1"}), hold(w, retention.Hold{Attendee: "1"})
	said := coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "agreement_version": {"2026-1"}})
	w.Answer(said) // the affiliation is taken back at the source
	given := func() (n int) {
		for _, a := range w.Shown("1") {
			for _, g := range a.Given {
				if a.ID == "1" && g.Field == attendees.Affiliation {
					n++
				}
			}
		}
		return n
	}
	sizes := func() int { return count(w, `select sum(length(layer)) from responses`) }
	held := sizes()
	release(w, first)
	if sizes() != held {
		t.Error("something left a layer under a hold")
	}
	release(w, second)
	if given() != 0 {
		t.Error("after its last hold the layer is as it was")
	}
}

func TestNothingIsHeldOnceItsDeletionHasBegun(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	block(w, "1")
	w.Now = longAfter
	cut(w, func() {
		if _, err := w.Retention.Delete(t.Context(), "1"); err == nil {
			t.Fatal("it was not cut off")
		}
	})
	if _, err := w.Retention.Holds.Add(t.Context(), retention.Hold{Event: "1", Reason: "late", By: "test"}); err == nil {
		t.Error("what has lost its keys is held")
	}
}

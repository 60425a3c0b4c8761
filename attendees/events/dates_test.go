package events_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// dates are those in force with their rule, and whether others wait to be accepted.
func dates(e events.Event) string {
	return fmt.Sprint(e.State, " ", e.BlockOn, " ", e.DeleteOn, " ", e.Rule, " ", e.Pending())
}

func (w *world) accept(id attendees.EventID) {
	w.Helper()
	w.in(id, func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.store.Accept(ctx, tx, e)
		return err
	})
}

func (w *world) replan() int {
	w.Helper()
	n, err := w.store.Replan(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return n
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestDatesThatMoveFarApplyOnlyWhenAccepted(t *testing.T) {
	w := newWorld(t)
	was := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	const first = "open 2027-07-20 2034-01-01 de-ao-6 "
	want(t, "as it was", dates(w.save("1", was)), first+"false")
	want(t, "a month later", dates(w.save("1", was.AddDate(0, 0, 30))), "open 2027-08-19 2034-01-01 de-ao-6 false")
	want(t, "back", dates(w.save("1", was)), first+"false")
	want(t, "much later, over a year's end", dates(w.save("1", was.AddDate(1, 0, 0))), "open 2028-07-20 2035-01-01 de-ao-6 true")
	want(t, "and again, as each hour", dates(w.save("1", was.AddDate(1, 0, 0))), "open 2028-07-20 2035-01-01 de-ao-6 true")
	want(t, "it was a mistake", dates(w.save("1", was)), first+"false")
	want(t, "much earlier: the later ones apply", dates(w.save("1", was.AddDate(-1, 0, 0))), first+"true")
	w.accept("1")
	want(t, "accepted", dates(w.event("1")), "open 2026-07-20 2033-01-01 de-ao-6 false")
	want(t, "nothing to plan", w.replan(), 0)
}

func TestAnEndThatIsMovedInSmallStepsComesNoFurtherThanInOne(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 6, 0)
	first := w.save("1", end).BlockOn
	for _, days := range []int{-20, -30} {
		if e := w.save("1", end.AddDate(0, 0, days)); e.BlockOn != first.AddDays(days) || e.Pending() {
			t.Errorf("%d days: blocked on %s, pending %v, want it at once", days, e.BlockOn, e.Pending())
		}
	}
	w.now = w.now.AddDate(0, 0, 29)
	if e := w.save("1", end.AddDate(0, 0, -60)); e.BlockOn != first || !e.Pending() {
		t.Errorf("blocked on %s, pending %v, want the later %s until somebody accepts", e.BlockOn, e.Pending(), first)
	}
}

func TestWhatAppliedForThirtyDaysIsWhatChangesAreComparedWith(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 6, 0)
	first := w.save("1", end).BlockOn
	for i := 1; i <= 3; i++ {
		w.now = w.now.AddDate(0, 0, 31)
		w.save("1", end.AddDate(0, 0, 20*i))
	}
	if e := w.event("1"); e.BlockOn != first.AddDays(60) || e.Pending() {
		t.Errorf("blocked on %s, want %s: each step applied for a month", e.BlockOn, first.AddDays(60))
	}
	if n := w.replan(); n != 0 {
		t.Errorf("%d events have other dates, want none: only what is compared with has changed", n)
	}
}

func TestALongerRuleAppliesAtOnceAndAShorterOneWaitsOfOpenAndBlockedAlike(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	ids := map[attendees.EventID]string{"1": "blocked", "2": "open"}
	for id := range ids {
		w.save(id, end)
	}
	w.block("1", "")
	each := func(what, rest string) {
		t.Helper()
		for id, state := range ids {
			want(t, what+": event "+string(id), dates(w.event(id)), state+" 2027-07-20 "+rest)
		}
	}
	w.policy.Rule = "de-ao-8"
	each("before it is planned again", "2034-01-01 de-ao-6 false")
	preview := w.event("1")
	if err := w.store.Preview(&preview); err != nil {
		t.Fatal(err)
	}
	want(t, "what is planned", dates(preview), "blocked 2027-07-20 2036-01-01 de-ao-8 true")
	want(t, "planned again", w.replan(), 2)
	each("the later date, with its rule", "2036-01-01 de-ao-8 true")
	w.policy.Rule = "us-tx-4"
	w.replan()
	each("a shorter rule waits, and the old one applies", "2034-01-01 de-ao-6 true")
	w.accept("1")
	w.accept("2")
	each("accepted", "2031-06-21 us-tx-4 false")
	w.policy.GraceDays += 10
	want(t, "ten days more", w.replan(), 1)
	want(t, "what is blocked stays blocked", dates(w.event("1")), "blocked 2027-07-20 2031-06-21 us-tx-4 false")
	want(t, "what is open is blocked ten days later", dates(w.event("2")), "open 2027-07-30 2031-06-21 us-tx-4 false")
	want(t, "planned the same again", w.replan(), 0)
	w.policy.Rule = "none such"
	if _, err := w.store.Replan(t.Context()); err == nil || !strings.Contains(err.Error(), "de-ao-6") {
		t.Errorf("of a rule that does not exist: %v", err)
	}
}

func TestAnEventPostponedOnceItIsBlockedIsKeptByItsNewEnd(t *testing.T) {
	w := newWorld(t)
	was := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	w.save("1", was)
	w.block("1", "")
	const first, later = "blocked 2027-07-20 2034-01-01 de-ao-6 ", "blocked 2027-07-20 2035-01-01 de-ao-6 "
	want(t, "within the year", dates(w.save("1", was.AddDate(0, 2, 0))), first+"false")
	want(t, "into the next one: the later applies", dates(w.save("1", was.AddDate(1, 0, 0))), later+"true")
	want(t, "planned again", w.replan(), 0)
	w.accept("1")
	want(t, "accepted", dates(w.event("1")), later+"false")
	want(t, "it was a mistake, which waits", dates(w.save("1", was)), later+"true")
	want(t, "before its block date: it is not deleted before it was blocked", w.save("1", was.AddDate(-20, 0, 0)).Planned.DeleteOn.String(), "2027-07-20")
	w.save("1", was)
	w.accept("1")
	want(t, "put right", dates(w.event("1")), first+"false")
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.Delete(ctx, tx, e) })
	want(t, "deleted, its dates are final", dates(w.save("1", was.AddDate(9, 0, 0))), "deleted 2027-07-20 2034-01-01 de-ao-6 false")
	w.policy.Rule = "de-ao-10"
	want(t, "planned again, deleted", w.replan(), 0)
}

func TestOneEventThatCannotBeSavedStopsNoOther(t *testing.T) {
	w := newWorld(t)
	fresh, err := w.store.Save(t.Context(), attendees.Eventbrite, []attendees.Event{
		congress("1", time.Date(-40, 1, 1, 0, 0, 0, 0, time.UTC)), congress("2", w.now), congress("3", time.Date(9999, 12, 30, 23, 0, 0, 0, time.UTC)),
	})
	if err == nil || !strings.Contains(err.Error(), "save event 1") || fresh != 2 {
		t.Errorf("%d are new (%v), want events 2 and 3, and the error to name event 1", fresh, err)
	}
	if e := w.event("3"); e.DeleteOn.Year != 10006 {
		t.Errorf("an event of the year 9999 is deleted on %s", e.DeleteOn)
	}
}

func TestPlanningAgainWaitsForNoWriterOfAnEventThatStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 1, 0))
	w.in("1", func(ctx context.Context, _ db.Tx, _ events.Event) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := w.store.Replan(ctx)
		return err
	})
	if v := w.event("1").Version; v != 1 {
		t.Errorf("version %d, want 1: nothing was written but by the writer", v)
	}
	w.save("1", w.now.AddDate(0, 1, 3))
	if v := w.event("1").Version; v != 2 {
		t.Errorf("version %d, want 2: other dates undo a preparation", v)
	}
}

func TestADiscoveryThatFindsNothingNewWritesNothing(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 1, 0)
	row := func() (ctid string) {
		t.Helper()
		w.save("1", end)
		if err := w.pool.Get(&ctid, `select ctid from events`); err != nil {
			t.Fatal(err)
		}
		return ctid
	}
	if first, second := row(), row(); first != second {
		t.Errorf("the row moved from %s to %s", first, second)
	}
	e := congress("1", end)
	e.Name, e.Status, e.Zone = "Assembly", "live", "Pacific/Honolulu"
	if fresh, err := w.store.Save(t.Context(), attendees.Eventbrite, []attendees.Event{e}); fresh != 0 || err != nil {
		t.Fatal(fresh, err)
	}
	if e := w.event("1"); e.Name != "Assembly" || e.Status != "live" || e.Zone != "Pacific/Honolulu" {
		t.Errorf("its description is %q, %q, %q", e.Name, e.Status, e.Zone)
	}
}

func TestAnEventPostponedAfterItsBlockDateIsReadAgain(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 0, -20)
	w.save("1", end)
	w.link("1", form("f", "f1"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.MarkRead(ctx, tx, e, true) })
	w.now = w.now.AddDate(0, 0, 15) // past its block date, and nobody has blocked it
	before := w.generation(events.FormFeed("f"))
	if e := w.save("1", end.AddDate(0, 0, 3)); e.ReadAt == nil || w.generation(events.FormFeed("f")) != before {
		t.Error("it is read again while its block date is in the past")
	}
	if e := w.save("1", end.AddDate(0, 0, 25)); e.ReadAt != nil || w.generation(events.FormFeed("f")) != before+1 || w.generation(events.EventFeed("1")) != 1 {
		t.Error("it is open again, and is not read again")
	}
}

// Whatever a source says and whenever, the schedule runs forwards (the database would refuse
// it), and no date in force is far from what somebody accepted or what applied a month ago,
// except a later one.
func TestWhateverDatesASourceNamesTheScheduleRunsForwards(t *testing.T) {
	w := newWorld(t)
	first := w.now.AddDate(0, 3, 0)
	life := 0
	rapid.Check(t, func(r *rapid.T) {
		life++
		id := attendees.EventID(fmt.Sprint(life))
		w.now, w.policy.Rule = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), ""
		w.save(id, first)
		for range rapid.IntRange(3, 12).Draw(r, "acts") {
			before := w.event(id)
			switch act := rapid.SampledFrom([]string{"move", "move", "move", "wait", "rule", "accept", "block", "reopen"}).Draw(r, "act"); act {
			case "move":
				w.save(id, first.AddDate(0, 0, rapid.IntRange(-120, 400).Draw(r, "days")))
			case "wait":
				w.now = w.now.AddDate(0, 0, rapid.IntRange(1, 40).Draw(r, "days"))
			case "rule":
				w.policy.Rule = rapid.SampledFrom([]string{"de-ao-6", "de-ao-10", "none", "us-tx-4"}).Draw(r, "rule")
				w.replan()
			case "accept":
				w.accept(id)
				if w.event(id).Pending() {
					r.Fatal("accepted, its dates wait")
				}
				continue
			case "block":
				if before.State == attendees.Open {
					w.block(id, "")
				}
			case "reopen":
				if before.State == attendees.Blocked && !before.Expired(w.now) {
					if err := w.reopen(id); err != nil {
						r.Fatal(err)
					}
					continue
				}
			}
			e := w.event(id)
			if e.DeleteOn.Days(e.Accepted.DeleteOn) < -30 || e.State == attendees.Open && e.BlockOn.Days(e.Accepted.BlockOn) < -30 {
				r.Fatalf("in force is %s, far before what was accepted, %s and %s", dates(e), e.Accepted.BlockOn, e.Accepted.DeleteOn)
			}
			if e.State == attendees.Blocked && before.State == attendees.Blocked && e.BlockOn != before.BlockOn {
				r.Fatal("a blocked event has another block date")
			}
			if now, later := e.Planned.DeleteOn.Days(e.DeleteOn), e.Pending(); now > 0 || now < 0 && !later {
				r.Fatalf("in force is %s, planned %s", dates(e), e.Planned.DeleteOn)
			}
		}
	})
}

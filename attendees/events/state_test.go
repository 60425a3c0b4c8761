package events_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// FAULTS A14 (cases/09).
func TestABlockedEventThatEndsInTheFutureIsListedAskedAboutAndReopened(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, -4, 0))
	w.link("1", form("f", "q1"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.MarkRead(ctx, tx, e, true) })
	w.block("1", "")
	listed := func() int {
		t.Helper()
		wrong, err := w.misjudged()
		if err != nil {
			t.Fatal(err)
		}
		return len(wrong)
	}
	if w.save("1", w.now.AddDate(0, -4, 0)); listed() != 0 || len(w.tasks(events.TaskReopen)) != 0 {
		t.Error("it has ended, and is asked about")
	}
	for range 3 { // as each hour
		w.save("1", w.now.AddDate(0, 0, 25))
	}
	if tasks := w.tasks(events.TaskReopen); listed() != 1 || len(tasks) != 1 || tasks[0].Times != 1 || tasks[0].Event != key("1") {
		t.Errorf("listed are %d, staff are asked %+v, want once about event 1", listed(), tasks)
	}
	before := w.generation(events.FormFeed("f"))
	if err := w.reopen("1"); err != nil {
		t.Fatal(err)
	}
	e := w.event("1")
	if e.State != attendees.Open || e.Readable(w.now) != nil || e.Pending() || e.BlockOn != e.Today(w.now.AddDate(0, 0, 55)) || e.ReopenedAt == nil {
		t.Errorf("reopened it is %s, readable %v", dates(e), e.Readable(w.now))
	}
	if e.ReadAt != nil || e.ReconciledAt != nil || w.generation(events.EventFeed("1")) != 1 || w.generation(events.FormFeed("f")) != before+1 {
		t.Error("it is not read whole again")
	}
	if listed() != 0 || len(w.tasks(events.TaskReopen)) != 0 {
		t.Error("it is still asked about")
	}
	if err := w.reopen("1"); err == nil || !strings.Contains(err.Error(), "it is open, not blocked") {
		t.Errorf("reopened twice: %v", err)
	}
}

func TestABlockedEventIsNoLongerAskedAboutOnceItsSourceIsPutRight(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, -4, 0))
	w.block("1", "")
	w.save("1", w.now.AddDate(1, 0, 0))
	if n := len(w.tasks(events.TaskReopen)); n != 1 {
		t.Errorf("%d tasks, want 1", n)
	}
	w.save("1", w.now.AddDate(0, -4, 0))
	if n := len(w.tasks(events.TaskReopen)); n != 0 {
		t.Errorf("%d tasks, want none", n)
	}
	// One that only begins in the future ends there, too.
	_, err := w.store.Save(t.Context(), attendees.Eventbrite, []attendees.Event{{ID: "1", Start: w.now.Add(time.Hour)}})
	if n := len(w.tasks(events.TaskReopen)); err != nil || n != 1 {
		t.Errorf("%d tasks (%v), want 1", n, err)
	}
}

func TestADeletedEventThatEndsInTheFutureIsListedAndStaysDeleted(t *testing.T) {
	w := newWorld(t)
	w.policy.Rule = "none"
	w.save("1", w.now.AddDate(0, -4, 0))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.Delete(ctx, tx, e) })
	w.save("1", w.now.AddDate(0, 1, 0))
	if wrong, err := w.misjudged(); err != nil || len(wrong) != 1 || wrong[0].DeletedAt == nil {
		t.Errorf("listed are %d (%v), want it: new registrants are turned away", len(wrong), err)
	}
	if err := w.reopen("1"); err == nil || !strings.Contains(err.Error(), "it is deleted") {
		t.Errorf("reopened: %v", err)
	}
}

func TestAnEventThatHadEndedWhenItWasReopenedIsShownToNobody(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(-1, 0, 0))
	w.block("1", events.Asked)
	w.save("1", w.now.AddDate(0, 0, -3)) // a wrong year, seen late
	if err := w.reopen("1"); err != nil {
		t.Fatal(err)
	}
	e := w.event("1")
	if blocked := (*events.BlockedError)(nil); !errors.As(e.Readable(w.now), &blocked) || !strings.Contains(blocked.Error(), "had ended when it was reopened") {
		t.Errorf("readable: %v", e.Readable(w.now))
	}
	if !e.Writable(w.now) || e.Question != events.Asked {
		t.Errorf("it is to be read, and its question %q stays open until it is blocked again", e.Question)
	}
	if e := w.save("1", w.now.AddDate(0, 0, 10)); e.Readable(w.now) != nil {
		t.Errorf("postponed, it is not readable: %v", e.Readable(w.now))
	}
}

func TestNothingIsReopenedOnceItsDeleteDateHasCome(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now)
	w.block("1", "")
	w.now = w.now.AddDate(8, 0, 0)
	if err := w.reopen("1"); err == nil || !strings.Contains(err.Error(), "2033-01-01, has come") {
		t.Errorf("got %v", err)
	}
}

func TestABlockedEventsQuestionIsAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now)
	w.block("1", events.Asked)
	if e := w.event("1"); e.BlockedAt == nil || e.Question != events.Asked || e.Cleaned {
		t.Errorf("blocked at %v, question %q, cleaned %v", e.BlockedAt, e.Question, e.Cleaned)
	}
	answer := func(a events.Question) error {
		return db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
			e, err := w.store.WriteOne(t.Context(), tx, "1")
			if err != nil {
				return err
			}
			return w.store.Answer(t.Context(), tx, e, a)
		})
	}
	if err := answer(events.Keep); err != nil || w.event("1").Question != events.Keep {
		t.Errorf("the answer is %q (%v)", w.event("1").Question, err)
	}
	if err := answer(events.Drop); err == nil || w.event("1").Question != events.Keep {
		t.Error("it was answered twice")
	}
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		if err := w.store.Cleaned(ctx, tx, e); err != nil {
			return err
		}
		return w.store.Hold(ctx, tx, e, true)
	})
	if e := w.event("1"); !e.Cleaned || !e.Held {
		t.Errorf("cleaned %v, held %v", e.Cleaned, e.Held)
	}
}

func TestTheDatabaseRefusesAScheduleThatRunsBackwards(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now)
	for _, column := range []string{"block_on", "delete_on"} {
		if _, err := w.pool.Exec(`update events set ` + column + ` = ends_on - 1`); !db.Is(err, "23514") {
			t.Errorf("%s before its end: %v", column, err)
		}
	}
}

// misjudged are the events that end in the future and are blocked or deleted.
func (w *world) misjudged() (all []events.Event, err error) {
	all, err = w.store.List(w.Context())
	return slices.DeleteFunc(all, func(e events.Event) bool { return !e.Misjudged(w.now) }), err
}

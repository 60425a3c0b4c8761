package events_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type world struct {
	*testing.T
	pool   *sqlx.DB
	policy *attendees.Policy
	store  *events.Store
	now    time.Time
}

func newWorld(t *testing.T) *world {
	t.Parallel()
	policy := attendees.BuiltIn()
	w := &world{T: t, pool: pgtest.Next(t), policy: &policy, now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	w.store = events.New(w.pool, w.policy, "secret", func() time.Time { return w.now })
	return w
}

func (w *world) save(id attendees.EventID, end time.Time) {
	w.Helper()
	if _, err := w.store.Save(w.Context(), attendees.Eventbrite, []attendees.Event{{ID: id, Organization: "900", Name: "Congress", End: end, Zone: "Europe/Berlin"}}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) event(id attendees.EventID) events.Event {
	w.Helper()
	e, err := w.store.Get(w.Context(), w.pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *world) tx(do func(tx db.Tx) error) {
	w.Helper()
	if err := db.InTx(w.Context(), w.pool, do); err != nil {
		w.Fatal(err)
	}
}

func TestDatesThatMoveFarApplyOnlyWhenAccepted(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 3, 0)
	w.save("1", end)
	first := w.event("1").BlockOn
	w.save("1", end.AddDate(0, 0, -20))
	if e := w.event("1"); e.BlockOn != first.AddDays(-20) || e.Pending() {
		t.Errorf("blocked on %s, pending %v, want %s at once", e.BlockOn, e.Pending(), first.AddDays(-20))
	}
	// In steps that are small by themselves the dates come no further.
	w.save("1", end.AddDate(0, 0, -45))
	e := w.event("1")
	if e.BlockOn != first || !e.Pending() {
		t.Errorf("blocked on %s, pending %v, want the later %s until somebody accepts", e.BlockOn, e.Pending(), first)
	}
	w.tx(func(tx db.Tx) error {
		_, err := w.store.Accept(t.Context(), tx, e)
		return err
	})
	if e := w.event("1"); e.BlockOn != first.AddDays(-45) || e.Pending() {
		t.Errorf("accepted, it is blocked on %s, pending %v", e.BlockOn, e.Pending())
	}
}

func TestWhatAppliedForThirtyDaysIsWhatChangesAreComparedWith(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(0, 6, 0)
	w.save("1", end)
	first := w.event("1").BlockOn
	for i := 1; i <= 3; i++ {
		w.now = w.now.AddDate(0, 0, 31)
		w.save("1", end.AddDate(0, 0, 20*i))
	}
	if e := w.event("1"); e.BlockOn != first.AddDays(60) {
		t.Errorf("blocked on %s, want %s: each step applied for a month", e.BlockOn, first.AddDays(60))
	}
}

func TestEachWriterRaisesTheVersion(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 1, 0))
	w.save("2", w.now.AddDate(0, 1, 0))
	one, two := events.Key(attendees.Eventbrite, "1"), events.Key(attendees.Eventbrite, "2")
	w.tx(func(tx db.Tx) error {
		locked, err := w.store.Write(t.Context(), tx, two, one, one)
		if len(locked) != 2 || locked[one].Version != 1 {
			t.Errorf("%d events are locked, the first has version %d, want 2 and 1", len(locked), locked[one].Version)
		}
		return err
	})
}

func TestEveryIDThatALinkedQuestionHadIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 1, 0))
	form := attendees.Form{ID: "f", Title: "Agreement", Questions: []attendees.Question{{ID: "f3", Ref: "agree"}, {ID: "f9", Ref: "other"}}}
	fields := attendees.FieldLinks{{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agree"}}
	if err := w.store.Forms.Link(t.Context(), "1", form, attendees.ParticipationAgreement, fields); err != nil {
		t.Fatal(err)
	}
	generation := func() int {
		f, err := w.store.Feeds.Get(t.Context(), w.pool, events.FormFeed("f"))
		if err != nil {
			t.Fatal(err)
		}
		return f.Generation
	}
	linked := generation()
	form.Questions[0].ID = "nf3"
	gone, err := w.store.Forms.Refresh(t.Context(), form)
	if err != nil || len(gone) != 0 {
		t.Fatal(gone, err)
	}
	ids, err := w.store.Forms.QuestionIDs(t.Context(), "f")
	if err != nil || len(ids) != 2 || ids[0] != "f3" || ids[1] != "nf3" {
		t.Errorf("asked for are %v, %v, want f3 and nf3", ids, err)
	}
	if generation() == linked {
		t.Error("a question with a new id does not have the form read again")
	}
	form.Questions = form.Questions[1:]
	if gone, err = w.store.Forms.Refresh(t.Context(), form); err != nil || len(gone) != 1 {
		t.Errorf("gone are %v, %v, want the linked question", gone, err)
	}
	tasks, err := w.store.Tasks.List(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Kind != events.TaskQuestions {
		t.Errorf("staff are asked %v, %v", tasks, err)
	}
}

func TestProgressOfARewoundFeedIsRefused(t *testing.T) {
	w := newWorld(t)
	f, err := w.store.Feeds.Get(t.Context(), w.pool, "eventbrite/event/1")
	if err != nil {
		t.Fatal(err)
	}
	w.tx(func(tx db.Tx) error { return w.store.Feeds.Rewind(t.Context(), tx, f.Name) })
	err = db.InTx(t.Context(), w.pool, func(tx db.Tx) error { return w.store.Feeds.Save(t.Context(), tx, f) })
	if !errors.Is(err, events.ErrRewound) {
		t.Errorf("got %v, want ErrRewound", err)
	}
}

func TestABlockedEventThatEndsInTheFutureIsListedAndReopened(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, -4, 0))
	w.tx(func(tx db.Tx) error { return w.store.Block(t.Context(), tx, w.event("1"), "") })
	if blocked := (*events.BlockedError)(nil); !errors.As(w.event("1").Readable(w.now), &blocked) {
		t.Error("a blocked event is readable")
	}
	w.save("1", w.now.AddDate(0, 0, 25))
	wrong, err := w.store.Misjudged(t.Context())
	if err != nil || len(wrong) != 1 {
		t.Fatalf("listed are %v, %v, want event 1", len(wrong), err)
	}
	w.tx(func(tx db.Tx) error {
		_, err := w.store.Reopen(t.Context(), tx, w.event("1"))
		return err
	})
	e := w.event("1")
	if e.Readable(w.now) != nil || e.ReadAt != nil || e.Pending() {
		t.Errorf("reopened: readable %v, read at %v, pending %v", e.Readable(w.now), e.ReadAt, e.Pending())
	}
}

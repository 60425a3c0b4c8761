package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees/db"
	"lethe/attendees/events"
)

func (w *world) ask(t events.Task) {
	w.Helper()
	w.tx(func(ctx context.Context, tx db.Tx) error { return w.store.Tasks.Ask(ctx, tx, t) })
}

func (w *world) done(number int) (t events.Task, err error) {
	err = db.InTx(w.Context(), w.pool, func(tx db.Tx) error {
		t, err = w.store.Tasks.Done(w.Context(), tx, number, "user 7")
		return err
	})
	return t, err
}

func TestATaskIsAskedOnceHoweverOftenThereIsAReason(t *testing.T) {
	w := newWorld(t)
	about := events.Task{Kind: events.TaskResponses, Event: key("1"), Form: "f", Count: 2, Sealed: []byte("sealed")}
	w.ask(about)
	w.ask(about)
	if tasks := w.tasks(events.TaskResponses); len(tasks) != 1 || tasks[0].Times != 1 {
		t.Errorf("asked are %+v, want one task with one reason", tasks)
	}
	about.Count, about.Sealed = 3, []byte("more")
	w.ask(about)
	if tasks := w.tasks(events.TaskResponses); len(tasks) != 1 || tasks[0].Times != 2 || tasks[0].Count != 3 || string(tasks[0].Sealed) != "more" {
		t.Errorf("asked are %+v, want the newest count, and one more reason", tasks)
	}
	other, another := about, about
	other.Form, another.Attendee = "g", uuid.New()
	w.ask(other)
	w.ask(another)
	if n := len(w.tasks(events.TaskResponses)); n != 3 {
		t.Errorf("%d tasks, want one for each form and attendee", n)
	}
}

func TestADoneTaskKeepsNoIDAndIsAskedAgainForANewReason(t *testing.T) {
	w := newWorld(t)
	about := events.Task{Kind: events.TaskForgotten, Event: key("1"), Attendee: uuid.New(), Count: 1, Sealed: []byte("sealed")}
	w.ask(about)
	first := w.tasks(events.TaskForgotten)[0]
	done, err := w.done(first.Number)
	if err != nil || done.Kind != events.TaskForgotten || done.Event != key("1") || string(done.Sealed) != "sealed" || len(w.tasks(events.TaskForgotten)) != 0 {
		t.Errorf("done is %+v (%v), want what it was about", done, err)
	}
	var left, by int
	if err := w.pool.QueryRow(`select count(sealed), count(*) filter (where done_by = 'user 7' and done_at is not null) from tasks`).Scan(&left, &by); err != nil || left != 0 || by != 1 {
		t.Errorf("%d ids are left, %d were ticked off by the user (%v)", left, by, err)
	}
	if _, err := w.done(first.Number); err == nil || !strings.Contains(err.Error(), "lethe retention audit") {
		t.Errorf("done twice: %v", err)
	}
	w.ask(about)
	again := w.tasks(events.TaskForgotten)
	if len(again) != 1 || again[0].Number == first.Number {
		t.Errorf("asked are %+v, want a new task", again)
	}
	w.tx(func(ctx context.Context, tx db.Tx) error { return w.store.Tasks.Settle(ctx, tx, about) })
	if len(w.tasks(events.TaskForgotten)) != 0 {
		t.Error("its reason is gone, and it is asked still")
	}
}

func TestATaskIsDoneWithWhatElseThatDoesOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	w.ask(events.Task{Kind: events.TaskUpstream, Event: key("1")})
	refused := errors.New("refused")
	err := db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
		if _, err := w.store.Tasks.Done(t.Context(), tx, w.tasks(events.TaskUpstream)[0].Number, "user 7"); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) || len(w.tasks(events.TaskUpstream)) != 1 {
		t.Errorf("rolled back, %d are open (%v)", len(w.tasks(events.TaskUpstream)), err)
	}
}

func TestTheAgreementQuestionIsAnsweredNotTickedOff(t *testing.T) {
	w := newWorld(t)
	w.ask(events.Task{Kind: events.TaskAgreements, Event: key("1"), Count: 4})
	if _, err := w.done(w.tasks(events.TaskAgreements)[0].Number); !errors.Is(err, events.ErrAnswer) || len(w.tasks(events.TaskAgreements)) != 1 {
		t.Errorf("got %v, and %d are open", err, len(w.tasks(events.TaskAgreements)))
	}
}

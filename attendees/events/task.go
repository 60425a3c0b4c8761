package events

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/seal"
)

// TaskKind is what is to be done.
type TaskKind string

// What only people can do. There is one open task of a kind for one event, form and attendee.
const (
	TaskClaim       TaskKind = "claim"            // a response names an attendee and has another address
	TaskUnsaid      TaskKind = "unsaid"           // readings would have taken agreements away, so a form is not read
	TaskQuestions   TaskKind = "questions"        // linked questions do not exist any more
	TaskGone        TaskKind = "gone"             // far more attendees are gone than is believed
	TaskErased      TaskKind = "erased again"     // a registration changed upstream after it was erased
	TaskForgotten   TaskKind = "forgotten"        // an erased registration is to be deleted at Eventbrite
	TaskCorrect     TaskKind = "correct"          // a correction is to be entered at the source
	TaskCorrected   TaskKind = "correct again"    // of a reopened event: only the officer can open the correction
	TaskAgreements  TaskKind = "agreements"       // the agreement question
	TaskReopen      TaskKind = "reopen"           // a blocked event ends in the future
	TaskUpstream    TaskKind = "upstream"         // an event's people are to be deleted at the source
	TaskResponses   TaskKind = "responses"        // responses are to be deleted at Typeform
	TaskFuse        TaskKind = "unannounced"      // far more would be removed than was announced
	TaskLists       TaskKind = "destroy lists"    // exports were recalled when their event was blocked
	TaskDumps       TaskKind = "destroy dumps"    // sealed records were taken out
	TaskRestricted  TaskKind = "restricted"       // somebody outlives the event's delete date
	TaskLift        TaskKind = "lift"             // a restriction is to be lifted with an officer's key
	TaskLost        TaskKind = "lost"             // after a restored backup: what only the lost part knew
	TaskLostErasure TaskKind = "lost erasure"     // after a restored backup nobody knows who was erased
	TaskLostHold    TaskKind = "lost hold"        // … or held
	TaskLostLimit   TaskKind = "lost restriction" // … or restricted
)

// Task is what only people can do.
type Task struct {
	Number   int              `db:"number"`
	Kind     TaskKind         `db:"kind"`
	Event    uuid.UUID        `db:"event_id"`
	Form     attendees.FormID `db:"form_id"`
	Attendee uuid.UUID        `db:"attendee_id"`
	Count    int              `db:"count"`  // of registrations or responses
	Sealed   []byte           `db:"sealed"` // the ids at the source that it is about, under the text subkey
	Times    int              `db:"times"`
	MadeAt   time.Time        `db:"made_at"`
}

// Tasks keeps what only people can do.
type Tasks struct {
	pool *sqlx.DB
	now  func() time.Time
}

// Ask adds a task. It may be called again and again while the reason lasts: where the task is
// open already it is told the newest count and ids, and has one more reason where the count
// is another one.
func (s *Tasks) Ask(ctx context.Context, tx db.Tx, t Task) (err error) {
	defer db.Wrap(&err, "add a task")
	_, err = db.Exec(ctx, tx, `
		insert into tasks as t (kind, event_id, form_id, attendee_id, count, sealed, made_at)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (kind, event_id, form_id, attendee_id) where done_at is null do update set
			count = excluded.count,
			sealed = excluded.sealed,
			times = t.times + (t.count <> excluded.count)::integer`, t.Kind, t.Event, t.Form, t.Attendee, t.Count, t.Sealed, s.now())
	return err
}

// Settle ends an open task whose reason is gone.
func (s *Tasks) Settle(ctx context.Context, tx db.Tx, t Task) (err error) {
	defer db.Wrap(&err, "settle a task")
	_, err = db.Exec(ctx, tx, `
		update tasks
		set done_at = $5, done_by = 'lethe', sealed = null
		where kind = $1 and event_id = $2 and form_id = $3 and attendee_id = $4 and done_at is null`, t.Kind, t.Event, t.Form, t.Attendee, s.now())
	return err
}

// List lists the open tasks, oldest first.
func (s *Tasks) List(ctx context.Context) (all []Task, err error) {
	defer db.Wrap(&err, "list tasks")
	err = db.Select(ctx, s.pool, &all, `
		select number, kind, event_id, form_id, attendee_id, count, sealed, times, made_at
		from tasks
		where done_at is null
		order by number`)
	return all, err
}

// ErrAnswer says that a task wants an answer.
var ErrAnswer = errors.New("it wants an answer: lethe retention agreements EVENT --drop (or --keep) --reason …")

// Done ticks a task off, in the transaction of what else that does, and tells what it was
// about. ErrAnswer where only an answer settles it.
func (s *Tasks) Done(ctx context.Context, tx db.Tx, number int, by string) (t Task, err error) {
	defer db.Wrap(&err, "tick task %d off", number)
	err = db.Get(ctx, tx, &t, `
		select number, kind, event_id, form_id, attendee_id, count, sealed, times, made_at
		from tasks
		where number = $1 and done_at is null
		for update`, number)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t, fmt.Errorf("it is not open: `lethe retention audit` lists the open ones")
	case err != nil:
		return t, err
	case t.Kind == TaskAgreements:
		return t, ErrAnswer
	}
	_, err = db.Exec(ctx, tx, `update tasks set done_at = $2, done_by = $3, sealed = null where number = $1`, number, s.now(), by)
	return t, err
}

// IDs is where ids at a source are sealed under the text subkey, for a task or for deletion
// there.
func IDs(event uuid.UUID) seal.Place {
	return seal.Place{Event: event.String(), Key: "ids", Subject: event}
}

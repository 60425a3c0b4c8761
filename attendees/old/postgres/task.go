package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Task is what only people can do.
type Task struct {
	ID     int               `db:"id" json:"task"`
	Event  attendees.EventID `db:"event" json:"event"`
	Says   string            `db:"says" json:"says"`
	Times  int               `db:"times" json:"times"` // how often there was a reason for it
	MadeAt time.Time         `db:"made_at" json:"since"`
	// Responses are the ids of those that are to be deleted at Typeform, some of them
	// where there are many.
	Responses pq.StringArray `db:"responses" json:"responses,omitempty"`
}

// TaskResponses is how many ids a task names: who deletes more does it by the form.
const TaskResponses = 20

// What tasks are about: an event has one open task of each.
const (
	taskUpstream   = "upstream"      // its people are to be deleted at the source, too
	taskDoubt      = "doubt"         // too few agreed for it to be believed
	taskForgotten  = "forgotten"     // a registration that was erased is to be deleted there, too
	taskErased     = "erased again"  // a registration changed upstream after it was erased
	taskRestricted = "restricted"    // somebody outlives the event's delete date
	taskRecall     = "destroy dumps" // sealed records were taken out
	taskCorrect    = "correct"       // a correction stands over what the source says
	// After a restored backup nobody knows whom an erasure or a hold was about.
	taskLostErasure    = "lost erasure"
	taskLostHold       = "lost hold"
	taskLostCorrection = "lost correction" // the ledger does not say what was corrected
	// Nor what only people can do again.
	taskLostRestriction = "lost restriction"
	taskLists           = "destroy lists" // exports were recalled when it was blocked
	taskFuse            = "unannounced"   // far more would go than was announced
	taskComing          = "coming"        // it comes in, sealed, and has for long
)

// ask puts something before staff, once while it is open.
func (s *Store) ask(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, kind, says string) error {
	_, err := tx.ExecContext(ctx, `
		insert into tasks (event_id, kind, says, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id, kind) where done_at is null do nothing`, event, kind, says, s.now())
	return quiet("add a task", err)
}

// askAgain does the same, and where the task is open already, counts one more reason for
// it, in the newest words.
func (s *Store) askAgain(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, kind, says string) error {
	_, err := tx.ExecContext(ctx, `
		insert into tasks as t (event_id, kind, says, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id, kind) where done_at is null do update set
			says = excluded.says,
			times = t.times + 1`, event, kind, says, s.now())
	return quiet("add a task", err)
}

// Tasks lists what is to be done, the oldest first.
func (s *Store) Tasks(ctx context.Context) ([]Task, error) {
	var tasks []Task
	err := s.db.SelectContext(ctx, &tasks, `
		select t.id, e.source_id as event, t.says, t.times, t.made_at,
			array(
				select response_id
				from upstream u
				where u.event_id = t.event_id and $1 || u.form_id = t.kind and u.due_at is not null and not `+upstreamHeld("u", "$3")+`
				order by response_id
				limit $2) as responses
		from tasks t
		join events e on e.id = t.event_id
		where t.done_at is null
		order by t.id`, formTasks, TaskResponses, s.holdDay())
	return tasks, quiet("list tasks", err)
}

// FinishTask ticks a task off. Responses that it was about are taken to be gone at their
// source: their ids go. It refuses one that a command alone can settle.
func (s *Store) FinishTask(ctx context.Context, id int, by string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		var task struct {
			Kind    string            `db:"kind"`
			Key     uuid.UUID         `db:"event_id"`
			Event   attendees.EventID `db:"event"`
			Doubted bool              `db:"doubted"`
		}
		err := tx.GetContext(ctx, &task, `
			select t.kind, t.event_id, e.source_id as event, e.doubted
			from tasks t
			join events e on e.id = t.event_id
			where t.id = $1 and t.done_at is null
			for update of t`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("no task %d is open: `lethe retention audit` lists those that are", id)
		}
		if err != nil {
			return quiet("find a task", err)
		}
		if task.Kind == taskDoubt && task.Doubted {
			return fmt.Errorf("task %d wants an answer, not a tick: lethe retention agreements %s --drop (or --keep) --reason …", id, task.Event)
		}
		_, err = tx.ExecContext(ctx, `
			update tasks
			set done_at = $2, done_by = $3
			where id = $1`, id, s.now(), by)
		if err != nil {
			return quiet("tick a task off", err)
		}
		_, err = tx.ExecContext(ctx, `
			delete from upstream u
			where event_id = $1 and $2 || form_id = $3 and due_at is not null and not `+upstreamHeld("u", "$4"),
			task.Key, formTasks, task.Kind, s.holdDay())
		return quiet("tick a task off", err)
	})
}

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
)

// Task is what only people can do.
type Task struct {
	ID     int               `db:"id" json:"task"`
	Event  attendees.EventID `db:"event" json:"event"`
	Says   string            `db:"says" json:"says"`
	MadeAt time.Time         `db:"made_at" json:"since"`
}

// What tasks are about: an event has one open task of each.
const (
	taskUpstream = "upstream"      // its people are to be deleted at the source, too
	taskDoubt    = "doubt"         // too few agreed for it to be believed
	taskErased   = "erased again"  // a registration changed upstream after it was erased
	taskRecall   = "destroy dumps" // sealed records were taken out
	// After a restored backup nobody knows whom an erasure or a hold was about.
	taskLostErasure = "lost erasure"
	taskLostHold    = "lost hold"
)

// ask puts something before staff, once while it is open.
func (s *Store) ask(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, kind, says string) error {
	_, err := tx.ExecContext(ctx, `
		insert into tasks (event_id, kind, says, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id, kind) where done_at is null do nothing`, event, kind, says, s.now())
	return quiet("add a task", err)
}

// Tasks lists what is to be done, the oldest first.
func (s *Store) Tasks(ctx context.Context) ([]Task, error) {
	var tasks []Task
	err := s.db.SelectContext(ctx, &tasks, `
		select t.id, e.source_id as event, t.says, t.made_at
		from tasks t
		join events e on e.id = t.event_id
		where t.done_at is null
		order by t.id`)
	return tasks, quiet("list tasks", err)
}

// FinishTask ticks a task off.
func (s *Store) FinishTask(ctx context.Context, id int, by string) error {
	result, err := s.db.ExecContext(ctx, `
		update tasks
		set done_at = $2, done_by = $3
		where id = $1 and done_at is null`, id, s.now(), by)
	if err != nil {
		return quiet("tick a task off", err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return fmt.Errorf("no task %d is open: `lethe retention audit` lists those that are", id)
	}
	return quiet("tick a task off", err)
}

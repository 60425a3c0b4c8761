package retention

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"lethe/attendees/db"
	"lethe/attendees/events"
)

// walk runs a statement for one batch of an event's rows after the other, by key: a sweep by
// limit alone would step over its own dead rows each time. The statement takes the event, the
// last key and the size of a batch, and gives the batch's last key.
func (s *Store) walk(ctx context.Context, e events.Event, statement string) error {
	for after := uuid.Nil; ; {
		err := db.Get(ctx, s.pool, &after, statement, e.Key, after, cleanBatch)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

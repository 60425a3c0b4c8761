package postgres

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// decide closes a request again that the backup has open, or does not have. What was
// decided has entries of its own, but for a correction: the ledger knows that it was made,
// and not what it says.
func (r *redo) decide(ctx context.Context, e redoEntry) error {
	number := e.Counts["request"]
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, `
			insert into cases (number, asks, event_id, came_by, received_on, deadline, outcome, closed_at, decided_by, redone_at)
			values ($1, $2, $3, '', $4, $4, $5, $6, '', $7)
			on conflict (number) do update set
				outcome = excluded.outcome, closed_at = excluded.closed_at, redone_at = excluded.redone_at, key = '', sealed = null, whose = null
			where cases.closed_at is null`,
			number, e.Right, e.Event, e.Received, e.Outcome, e.At, r.now())
		if err != nil {
			return quiet("close a request again", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return quiet("close a request again", err) // it was, before the replay was cut off
		}
		_, err = tx.ExecContext(ctx, `
			select setval(pg_get_serial_sequence('cases', 'number'), greatest((select max(number) from cases), (select last_value from cases_number_seq)))`)
		if err != nil {
			return quiet("number requests on", err)
		}
		if e.Right != string(attendees.Rectification) || e.Outcome != string(attendees.Granted) {
			return nil
		}
		r.done.Lost++
		return r.ask(ctx, tx, eventKey(attendees.Eventbrite, e.event()), e.task(taskLostCorrection), fmt.Sprintf(
			"A restored backup has lost the correction of request %d, and the ledger does not know it: ask the person once more", number))
	})
}

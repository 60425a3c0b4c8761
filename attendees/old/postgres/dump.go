package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// A dump's task says, before dumpsDue, who took sealed records out, and behind it by when the
// copies are to be destroyed: the day that the event was to be deleted on then, or now, and why.
const dumpsDue, erasedSince = ": destroy every copy ", "somebody on it was erased"

// RecordDump notes that an event's sealed records were taken out, and asks staff to
// destroy the copy by the day they are deleted here. Of earlier copies that are due now it
// goes on to say so.
func (s *Store) RecordDump(ctx context.Context, e Event, records int, by string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		says := fmt.Sprintf("Sealed records of event %s were taken out, last on %s by %s"+dumpsDue+"by %s", e.ID, attendees.DateOf(s.now().UTC()), by, e.DeleteOn)
		var due bool
		err := tx.GetContext(ctx, &due, `
			select exists (
				select from tasks
				where event_id = $1 and kind = $2 and done_at is null and split_part(says, $3, 2) ~ 'now')`, e.Key, taskRecall, dumpsDue)
		if err != nil {
			return quiet("look for earlier dumps", err)
		}
		if due {
			says += ", and every earlier one now: " + erasedSince
		}
		if err := s.askAgain(ctx, tx, e.Key, taskRecall, says); err != nil {
			return err
		}
		_, err = s.record(ctx, tx, ledger.Entry{Kind: ledger.Dumped, Event: string(e.ID), Until: e.DeleteOn.String(), Counts: map[string]int64{"records": int64(records)}})
		return err
	})
}

// recallDumps has staff destroy the copies of an event's sealed records now, for a reason,
// and not by the day that they were asked for. It tells whether any are still to be destroyed:
// nobody can look into a copy, so it may carry whoever was sealed by then.
func (s *Store) recallDumps(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, why string) (bool, error) {
	result, err := tx.ExecContext(ctx, `
		update tasks
		set says = split_part(says, $3, 1) || $3 || $4, times = times + 1
		where event_id = $1 and kind = $2 and done_at is null`, event, taskRecall, dumpsDue, "now: "+why)
	if err != nil {
		return false, quiet("recall dumps", err)
	}
	n, err := result.RowsAffected()
	return n > 0, quiet("recall dumps", err)
}

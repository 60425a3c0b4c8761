package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/ledger"
)

// AnswerDoubt settles an event of which more than half never agreed, so that all were
// sealed: with drop, those who never did go, unopened; else all stay. Whom a hold keeps
// stays until it is released. It returns how many went.
func (s *Store) AnswerDoubt(ctx context.Context, id attendees.EventID, drop bool, reason, by string) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		var e Event
		err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 for update`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownEventError{Event: id}
		}
		if err != nil {
			return quiet("lock an event", err)
		}
		if !e.Doubted || e.BlockedAt == nil || e.State != attendees.Blocked {
			return fmt.Errorf("event %s is in no doubt: there is nothing to answer", id)
		}
		if drop {
			if n, err = s.dropUnagreed(ctx, tx, e); err != nil {
				return err
			}
		}
		// Of those who are held it stays to be known who goes with the hold.
		_, err = tx.ExecContext(ctx, `
			update sealed s
			set agreed = null
			where event_id = $1 and (not $2 or agreed)`, e.Key, drop)
		if err != nil {
			return quiet("settle a doubt", err)
		}
		if _, err := tx.ExecContext(ctx, `update events set doubted = false where id = $1`, e.Key); err != nil {
			return quiet("settle a doubt", err)
		}
		_, err = tx.ExecContext(ctx, `
			update tasks
			set done_at = $2, done_by = $3
			where event_id = $1 and kind = $4 and done_at is null`, e.Key, s.now(), by, taskDoubt)
		if err != nil {
			return quiet("settle a doubt", err)
		}
		answer := ledger.DoubtKeep
		if drop {
			answer = ledger.DoubtDrop
		}
		_, err = s.record(ctx, tx, ledger.Entry{
			Kind: ledger.Answered, Event: string(id), Reason: reason, Doubt: answer, Counts: map[string]int64{"dropped": int64(n)},
		})
		return err
	})
	return n, err
}

func (s *Store) dropUnagreed(ctx context.Context, tx *sqlx.Tx, e Event) (int, error) {
	var gone pq.StringArray
	err := tx.SelectContext(ctx, &gone, `
		delete from sealed s
		where s.event_id = $1 and s.agreed = false and not `+restricted+`
		  and not `+holding("$1", "s.attendee_id", "$2")+`
		returning attendee_id`, e.Key, s.today())
	if err != nil {
		return 0, quiet("drop those who never agreed", err)
	}
	if len(gone) == 0 {
		return 0, nil
	}
	_, err = tx.ExecContext(ctx, `delete from attendees where event_id = $1 and id = any($2::uuid[])`, e.Key, gone)
	if err != nil {
		return 0, quiet("drop those who never agreed", err)
	}
	if err := s.letGoUpstream(ctx, tx, e); err != nil {
		return 0, err
	}
	slices.Sort(gone)
	return len(slices.Compact(gone)), s.askRewrite(ctx, tx, sealedRooms, e.Key)
}

// RecordDump notes that an event's sealed records were taken out, and asks staff to
// destroy the copy by the day they are deleted here.
func (s *Store) RecordDump(ctx context.Context, e Event, records int, by string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		says := fmt.Sprintf("Sealed records of event %s were taken out, last on %s by %s: destroy every copy by %s",
			e.ID, attendees.DateOf(s.now().UTC()), by, e.DeleteOn)
		if err := s.askAgain(ctx, tx, e.Key, taskRecall, says); err != nil {
			return err
		}
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Dumped, Event: string(e.ID), Until: e.DeleteOn.String(), Counts: map[string]int64{"records": int64(records)}})
		return err
	})
}

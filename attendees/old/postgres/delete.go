package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// deleteBatch bounds how many rows one statement deletes: a fraction of a second's work
// on rows that nobody waits for.
const deleteBatch = 250_000

// HeldError says that a legal hold stands, so nothing may go.
type HeldError struct{ What string }

func (e *HeldError) Error() string {
	return e.What + " is under a legal hold: nothing of it is deleted before the hold is released (GDPR Art. 17(3)(e)). `lethe hold list` shows it"
}

// Delete deletes the people of a blocked event whose delete date has come: its sealed
// room with its file, their rows, the tombstones, who took which export. Counts stay.
// Registrations that are held one by one, or restricted, stay too, in a room that is
// written anew.
//
// It may be stopped at any point and goes on when it is called again; two calls at once
// are one after the other. It returns how many people went. *HeldError says that the
// event is held, *TooEarlyError that the day has not come.
func (s *Store) Delete(ctx context.Context, id attendees.EventID) (int, error) {
	unlock, err := s.lockLife(ctx, id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	var e Event
	var kept []uuid.UUID
	err = s.InTx(ctx, func(tx *sqlx.Tx) (err error) {
		if e, err = s.mayDelete(ctx, tx, id); err != nil || e.DeletedAt != nil {
			return err
		}
		if e.State == attendees.Deleted {
			return nil // it was cut off: going on
		}
		if kept, err = s.keptAlone(ctx, tx, e.Key); err != nil {
			return err
		}
		if len(kept) > 0 {
			return nil // people stay, so the event is not deleted as a whole
		}
		_, err = tx.ExecContext(ctx, `update events set state = 'deleted' where id = $1`, e.Key)
		return quiet("delete an event", err)
	})
	if err != nil || e.DeletedAt != nil {
		return 0, err
	}
	if len(kept) > 0 {
		return s.deleteOthers(ctx, e, kept)
	}
	if err := s.tearDown(ctx, sealedRooms, e.Key); err != nil {
		return 0, err
	}
	return s.finishDeletion(ctx, e)
}

// keptAlone are those of an event who stay when the others are deleted: held one by one,
// or restricted, whom staff are asked about.
func (s *Store) keptAlone(ctx context.Context, q sqlx.QueryerContext, event uuid.UUID) ([]uuid.UUID, error) {
	var kept []uuid.UUID
	err := sqlx.SelectContext(ctx, q, &kept, `
		select id
		from attendees
		where event_id = $1 and state = 'blocked' and reason in ('restriction', 'objection')
		union
		select s.attendee_id
		from sealed s
		join holds h on h.attendee_id = s.attendee_id
		where s.event_id = $1 and `+standing("$2"), event, s.holdDay())
	return kept, quiet("look who stays", err)
}

// askRestricted asks staff about those who outlive their event's delete date because they
// asked for a restriction, or objected.
func (s *Store) askRestricted(ctx context.Context) error {
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	for _, e := range plan.Events {
		if e.Restricted == 0 || e.BlockedAt == nil || e.Today(s.now()).Before(e.DeleteOn.Date) {
			continue
		}
		says := fmt.Sprintf("Event %s was to be deleted on %s, and %d of its people asked for a restriction or objected: ask them, "+
			"then lift it or erase them. Until then their records stay sealed", e.ID, e.DeleteOn, e.Restricted)
		err := s.InTx(ctx, func(tx *sqlx.Tx) error { return s.ask(ctx, tx, e.Key, taskRestricted, says) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) mayDelete(ctx context.Context, tx *sqlx.Tx, id attendees.EventID) (Event, error) {
	var e Event
	err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 for update`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return e, &UnknownEventError{Event: id}
	}
	if err != nil {
		return e, quiet("lock an event", err)
	}
	switch {
	case e.DeletedAt != nil || e.State == attendees.Deleted:
		return e, nil
	case e.Today(s.now()).Before(e.DeleteOn.Date):
		return e, &TooEarlyError{Event: id, What: "deleted", On: e.DeleteOn.Date}
	case e.BlockedAt == nil:
		return e, fmt.Errorf("event %s is not blocked yet: that comes first", id)
	}
	if err := s.behindLedger(ctx, tx, s.now()); err != nil {
		return e, err // what cannot be recorded is not begun
	}
	held, err := s.isHeld(ctx, tx, e.Key, uuid.Nil)
	if err == nil && held {
		err = &HeldError{What: "event " + string(id)}
	}
	return e, err
}

// deleteOthers deletes all but those who are held one by one.
func (s *Store) deleteOthers(ctx context.Context, e Event, kept []uuid.UUID) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		held := texts(kept)
		for _, statement := range []string{
			`delete from sealed where event_id = $1 and not attendee_id = any($2::uuid[])`,
			`delete from attendees where event_id = $1 and not id = any($2::uuid[])`,
		} {
			result, err := tx.ExecContext(ctx, statement, e.Key, pq.StringArray(held))
			if err != nil {
				return quiet("delete people", err)
			}
			rows, err := result.RowsAffected()
			if err != nil {
				return quiet("delete people", err)
			}
			n = int(rows) // of the last: attendees
		}
		if n == 0 {
			return nil
		}
		if err := s.askRewrite(ctx, tx, sealedRooms, e.Key); err != nil {
			return err
		}
		if err := s.askUpstream(ctx, tx, e, ", but for those who stay here by a hold or a restriction,"); err != nil {
			return err
		}
		if err := s.letGoUpstream(ctx, tx, e); err != nil {
			return err
		}
		if err := s.unannounce(ctx, tx, e.Key); err != nil {
			return err
		}
		if _, err := s.recallDumps(ctx, tx, e.Key, "all but those who are held or restricted are deleted"); err != nil {
			return err
		}
		_, err := s.record(ctx, tx, ledger.Entry{
			Kind: ledger.Deleted, Event: string(e.ID), Rule: e.Rule,
			Counts: map[string]int64{"deleted": int64(n), "held": int64(len(kept))},
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	_, err = s.rewriteRooms(ctx)
	return n, err
}

// finishDeletion takes the rows that lead to people, by their keys, then what else was
// kept of the event, and writes the ledger.
func (s *Store) finishDeletion(ctx context.Context, e Event) (deleted int, err error) {
	const rest = `delete from attendees where event_id = $1`
	// By key: a sweep by limit alone would step over its own dead rows each time.
	const piece = rest + ` and id <= (select id from attendees where event_id = $1 order by id offset $2 limit 1)`
	for more := true; more; {
		if err := s.db.GetContext(ctx, &more, `select exists (select from attendees where event_id = $1 offset $2)`, e.Key, deleteBatch); err != nil {
			return deleted, quiet("count attendees", err)
		}
		statement, args := rest, []any{e.Key}
		if more {
			statement, args = piece, append(args, deleteBatch)
		}
		result, err := s.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return deleted, quiet("delete attendees", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return deleted, quiet("delete attendees", err)
		}
		deleted += int(n)
	}
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		for _, statement := range []string{
			`delete from tombstones where event_id = $1`,
			`delete from rewrites where event_id = $1`,
			`update receipts set exported_by = '', sha256 = '' where event_id = $1`,
			`update holds set reason = '', attendee_id = null where event_id = $1 and released_at is not null`,
			`update holds set reason = '', attendee_id = null, released_at = until where event_id = $1 and released_at is null`,
		} {
			if _, err := tx.ExecContext(ctx, statement, e.Key); err != nil {
				return quiet("delete what led to people", err)
			}
		}
		if err := s.unannounce(ctx, tx, e.Key); err != nil {
			return err
		}
		// Nobody is left to ask about; at Eventbrite all of them are to go.
		over := pq.Array([]string{taskDoubt, taskForgotten, taskErased, taskRestricted, taskFuse})
		if _, err := tx.ExecContext(ctx, `update tasks set done_at = $2 where event_id = $1 and done_at is null and kind = any($3)`, e.Key, s.now(), over); err != nil {
			return quiet("tick tasks off", err)
		}
		// Hashes of the source's ids, which can be guessed.
		if _, err := tx.ExecContext(ctx, `update feeds set run_seen = null where name = $1`, EventFeed(e.ID)); err != nil {
			return quiet("delete what led to people", err)
		}
		_, err := tx.ExecContext(ctx, `
			delete from river_job
			where args ->> 'event' = $1 and finalized_at is not null`, e.ID)
		if err != nil {
			return quiet("delete an event's old jobs", err)
		}
		if _, err := s.recallDumps(ctx, tx, e.Key, "the event is deleted"); err != nil {
			return err
		}
		if err := s.askUpstream(ctx, tx, e, ""); err != nil {
			return err
		}
		if err := s.letGoUpstream(ctx, tx, e); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `update events set deleted_at = $2 where id = $1`, e.Key, s.now()); err != nil {
			return quiet("delete an event", err)
		}
		_, err = s.record(ctx, tx, ledger.Entry{
			Kind: ledger.Deleted, Event: string(e.ID), Rule: e.Rule, Counts: map[string]int64{"deleted": int64(deleted)},
		})
		return err
	})
	return deleted, err
}

// askUpstream asks staff to delete an event's people at Eventbrite, whose interface
// offers no way; but is for whom not, as the sentence goes on.
func (s *Store) askUpstream(ctx context.Context, tx *sqlx.Tx, e Event, but string) error {
	return s.askAgain(ctx, tx, e.Key, taskUpstream, fmt.Sprintf(
		"Delete the people of event %s%s at Eventbrite too: they were due on %s, %s", e.ID, but, e.DeleteOn, atEventbrite))
}

// atEventbrite ends a sentence about what is to be deleted there.
const atEventbrite = "and its interface offers no way. In Eventbrite: Manage attendees, or ask its support"

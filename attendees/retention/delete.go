package retention

import (
	"context"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// staying are the attendees of an event who outlive its delete date: restricted, until that
// is lifted or they are erased, or on hold by themselves.
type staying struct {
	Restricted int `db:"restricted"`
	Held       int `db:"held"`
	// Kept is how many of the held have no record of their own: a hold that was added after
	// blocking, so that the other keys live as long as it does.
	Kept int `db:"kept"`
}

func (s *Store) staying(ctx context.Context, q db.Queryer, e events.Event) (n staying, err error) {
	err = db.Get(ctx, q, &n, `
		select count(*) filter (where restricted) as restricted, count(*) filter (where not restricted) as held,
			count(*) filter (where not restricted and not recorded) as kept
		from staying($1)`, e.Key)
	return n, err
}

// Delete deletes the people of an event whose delete date has come, blocked or not: keys
// first, then rows in batches, then the ledger's entry. Those who are restricted or on hold
// by themselves stay. It may be cut off anywhere, and resumes when it is called again. It
// returns how many people it deleted; *HeldError, *TooEarlyError and ErrNotStarted say why it
// does not.
func (s *Store) Delete(ctx context.Context, id attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "delete event %s", id)
	var e events.Event
	var stay staying
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.WriteOne(ctx, tx, id); err != nil || e.State == attendees.Deleted {
			return err
		}
		if err := s.mayDelete(ctx, e); err != nil {
			return err
		}
		if stay, err = s.staying(ctx, tx, e); err != nil {
			return err
		}
		return s.destroyForDeletion(ctx, tx, e, stay)
	})
	if err != nil || e.State == attendees.Deleted {
		return 0, err
	}
	if n, err = s.deleteRows(ctx, e); err != nil {
		return n, err
	}
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.WriteOne(ctx, tx, id); err != nil || e.State == attendees.Deleted {
			return err
		}
		return s.finishDeletion(ctx, tx, e, n, stay)
	})
	if err != nil {
		return n, err
	}
	return n, s.vault.Rewrite(ctx)
}

func (s *Store) mayDelete(ctx context.Context, e events.Event) error {
	begun, err := s.Started(ctx)
	switch {
	case err != nil:
		return err
	case begun.IsZero():
		return ErrNotStarted
	case !e.Expired(s.now()):
		return &TooEarlyError{e.ID, "deleted", e.DeleteOn}
	case e.Held:
		return &HeldError{"event " + string(e.ID)}
	}
	last, err := s.ledger.Time(ctx)
	if err == nil && s.now().Before(last) {
		err = ledger.ErrClock // what cannot be recorded is not begun
	}
	return err
}

func (s *Store) destroyForDeletion(ctx context.Context, tx db.Tx, e events.Event, stay staying) error {
	names := []vault.Name{vault.Working}
	if stay.Kept == 0 {
		names = append(names, vault.Kept, vault.Doubt)
	}
	if stay.Held == 0 {
		names = append(names, vault.Held)
	}
	if stay.Held+stay.Restricted == 0 {
		names = append(names, vault.Lock)
	}
	if err := s.vault.Destroy(ctx, tx, reader.Ref(e), names...); err != nil {
		return err
	}
	if e.State != attendees.Open {
		return nil
	}
	return s.events.Block(ctx, tx, e, "") // nothing is stored of it any more
}

// deleteRows deletes the rows of an event's people but those who stay.
func (s *Store) deleteRows(ctx context.Context, e events.Event) (n int, err error) {
	var some bool
	if err := db.Get(ctx, s.pool, &some, `select exists (select from staying($1))`, e.Key); err != nil {
		return 0, err
	}
	if !some {
		return s.deleteAll(ctx, e)
	}
	for _, statement := range []string{
		`delete from records where event_id = $1 and not attendee_id in (select attendee_id from staying($1))`,
		`delete from corrections where event_id = $1`,
		`delete from responses where event_id = $1`,
	} {
		if _, err := db.Exec(ctx, s.pool, statement, e.Key); err != nil {
			return 0, err
		}
	}
	deleted, err := db.Exec(ctx, s.pool, `delete from attendees where event_id = $1 and not id in (select attendee_id from staying($1))`, e.Key)
	return int(deleted), err
}

// deleteBatch bounds how many rows one statement deletes: a fraction of a second's work on
// rows that nobody waits for.
const deleteBatch = 250_000

func (s *Store) deleteAll(ctx context.Context, e events.Event) (n int, err error) {
	for _, statement := range []string{
		`delete from records where event_id = $1`,
		`delete from responses where event_id = $1`,
		`delete from corrections where event_id = $1`,
		`delete from removed where event_id = $1`,
		`delete from looks where event_id = $1`,
		`delete from bars where event_id = $1`,
	} {
		if _, err := db.Exec(ctx, s.pool, statement, e.Key); err != nil {
			return 0, err
		}
	}
	const rest = `delete from attendees where event_id = $1`
	const piece = `delete from attendees where event_id = $1 and id <= (select id from attendees where event_id = $1 order by id offset $2 limit 1)`
	for more := true; more; {
		if err := db.Get(ctx, s.pool, &more, `select exists (select from attendees where event_id = $1 offset $2)`, e.Key, deleteBatch); err != nil {
			return n, err
		}
		statement, args := rest, []any{e.Key}
		if more {
			statement, args = piece, append(args, deleteBatch)
		}
		deleted, err := db.Exec(ctx, s.pool, statement, args...)
		if err != nil {
			return n, err
		}
		n += int(deleted)
	}
	return n, nil
}

func (s *Store) finishDeletion(ctx context.Context, tx db.Tx, e events.Event, n int, stay staying) error {
	counts := map[string]int64{"deleted": int64(n)}
	whole := stay.Held+stay.Restricted == 0
	if !whole {
		if counts["held"] = int64(stay.Held + stay.Restricted); n == 0 {
			return nil
		}
	}
	if err := s.unannounce(ctx, tx, e.Key); err != nil {
		return err
	}
	if _, err := s.exports.RecallAll(ctx, tx, e); err != nil {
		return err
	}
	if stay.Restricted > 0 {
		if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskRestricted, Event: e.Key, Count: stay.Restricted}); err != nil {
			return err
		}
	}
	if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskUpstream, Event: e.Key, Count: n}); err != nil {
		return err
	}
	if whole {
		if err := s.forget(ctx, tx, e); err != nil {
			return err
		}
		e.State = attendees.Deleted
	}
	if err := s.Upstream.letGo(ctx, tx, e); err != nil {
		return err
	}
	_, err := s.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.Deleted, Event: string(e.ID), Rule: e.Rule, Counts: counts})
	return err
}

// forget takes away what else leads to an event's people, or to those who had to do with them.
func (s *Store) forget(ctx context.Context, tx db.Tx, e events.Event) error {
	for _, statement := range []string{
		`delete from holds where event_id = $1`,
		`update tasks set done_at = now(), done_by = 'lethe', sealed = null where event_id = $1 and done_at is null and kind not in ('upstream', 'responses')`,
	} {
		if _, err := db.Exec(ctx, tx, statement, e.Key); err != nil {
			return err
		}
	}
	if _, err := db.Exec(ctx, tx, `update feeds set run_seen = null where name = $1`, events.EventFeed(e.ID)); err != nil {
		return err
	}
	if err := s.exports.Forget(ctx, tx, e); err != nil {
		return err
	}
	return s.events.Delete(ctx, tx, e)
}

// Staying tells how many attendees of an event outlive its delete date, restricted and on hold.
func (s *Store) Staying(ctx context.Context, event uuid.UUID) (restricted, held int, err error) {
	n, err := s.staying(ctx, s.pool, events.Event{Key: event})
	return n.Restricted, n.Held, err
}

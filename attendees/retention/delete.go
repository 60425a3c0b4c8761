package retention

import (
	"context"
	"errors"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// Staying are the attendees of an event who outlive its delete date: restricted, until that
// is lifted or they are erased, or on hold by themselves.
type Staying struct {
	Restricted int `db:"restricted"`
	Held       int `db:"held"`
	// Kept is how many of the held have no record of their own: a hold that was added after
	// blocking, so that the other keys live as long as it does.
	Kept int `db:"kept"`
}

func (s Staying) all() int { return s.Restricted + s.Held }

// Delete deletes the people of an event whose delete date has come, blocked or not: keys
// first, then rows, then the ledger's entry. Those who are restricted or on hold by
// themselves stay. It may be cut off anywhere, and resumes when it is called again. It
// returns how many people it deleted; *HeldError, *TooEarlyError and ErrNotStarted say why it
// does not.
func (s *Store) Delete(ctx context.Context, id attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "delete event %s", id)
	var stay Staying
	err = retried(func() error {
		stocked, err := s.takeStock(ctx, id)
		if err != nil {
			return err
		}
		stay, err = s.beginDeletion(ctx, id, stocked)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.vault.Rewrite(ctx); err != nil { // before there is much else for a checkpoint to write
		return 0, err
	}
	if stay.all() > 0 {
		if err := s.CleanUp(ctx, id); err != nil { // so that those who stay are blocked
			return 0, err
		}
	}
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State == attendees.Deleted {
		return 0, err
	}
	if err := s.deleteRows(ctx, e); err != nil {
		return 0, err
	}
	if stay.all() > 0 {
		if err := s.dropDead(ctx, e); err != nil {
			return 0, err
		}
	}
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.WriteOne(ctx, tx, id); err != nil {
			return err
		}
		n, err = s.finishDeletion(ctx, tx, &e, stay)
		return err
	})
	return n, err
}

// takeStock notes of an open event what is to outlive its working key: counts, what is to be
// deleted at sources, and people on hold. Where that key is gone there is nothing to note.
func (s *Store) takeStock(ctx context.Context, id attendees.EventID) (done bool, err error) {
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State != attendees.Open {
		return false, err
	}
	err = s.prepare(ctx, id, true)
	if errors.Is(err, vault.ErrDestroyed) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) mayDelete(ctx context.Context, q db.Queryer, e events.Event) error {
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
	_, last, err := s.ledger.Head(ctx, q)
	if err == nil && s.now().Before(last) {
		err = ledger.ErrClock // what cannot be recorded is not begun
	}
	return err
}

// beginDeletion destroys the keys of an event, and notes how many people are deleted.
func (s *Store) beginDeletion(ctx context.Context, id attendees.EventID, stocked bool) (stay Staying, err error) {
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, id)
		if err != nil || e.State == attendees.Deleted {
			return err
		}
		if err := s.mayDelete(ctx, tx, e); err != nil {
			return err
		}
		err = db.Get(ctx, tx, &stay, `
			select count(*) filter (where restricted) as restricted, count(*) filter (where not restricted) as held,
				count(*) filter (where not restricted and not recorded) as kept
			from staying($1)`, e.Key)
		if err != nil {
			return err
		}
		if e.State == attendees.Open {
			if _, err := s.prepared(ctx, tx, e); stocked && err != nil {
				return err
			}
			if err := s.events.Block(ctx, tx, e, ""); err != nil {
				return err
			}
		}
		_, err = db.Exec(ctx, tx, `
			insert into deletions (event_id, people, begun_at)
			select $1, count(*) - $2, $3
			from attendees
			where event_id = $1
			on conflict do nothing`, e.Key, stay.all(), s.now())
		if err != nil {
			return err
		}
		return s.destroyForDeletion(ctx, tx, e, stay)
	})
	return stay, err
}

func (s *Store) destroyForDeletion(ctx context.Context, tx db.Tx, e events.Event, stay Staying) error {
	names := []vault.Name{vault.Working}
	if stay.Kept == 0 {
		names = append(names, vault.Kept, vault.Doubt)
	}
	if stay.Held == 0 {
		names = append(names, vault.Held)
	}
	if stay.all() == 0 {
		names = append(names, vault.Lock)
	}
	if err := s.vault.Destroy(ctx, tx, reader.Ref(e), names...); err != nil {
		return err
	}
	return s.vault.EndUse(ctx, tx, reader.Ref(e))
}

// deleteRows deletes the rows of an event's people but those who stay: nobody waits for them.
func (s *Store) deleteRows(ctx context.Context, e events.Event) error {
	return s.sweep(ctx, e,
		`delete from records where event_id = $1 and attendee_id not in (select attendee_id from staying($1))`,
		`delete from responses where event_id = $1`,
		`delete from corrections where event_id = $1`,
		`delete from removed where event_id = $1`,
		`delete from looks where event_id = $1 and attendee_id not in (select attendee_id from staying($1))`,
		`delete from attendees where event_id = $1 and id not in (select attendee_id from staying($1))`)
}

// finishDeletion writes the ledger's entry, and, where nobody stays, takes away what else
// leads to an event's people. It returns how many were deleted.
func (s *Store) finishDeletion(ctx context.Context, tx db.Tx, e *events.Event, stay Staying) (n int, err error) {
	if e.State == attendees.Deleted {
		return 0, nil
	}
	var begun []int
	if err := db.Select(ctx, tx, &begun, `delete from deletions where event_id = $1 returning people`, e.Key); err != nil || len(begun) == 0 {
		return 0, err // another run has finished it
	}
	n = begun[0]
	if err := s.unannounce(ctx, tx, e.Key); err != nil {
		return n, err
	}
	if _, err := s.exports.RecallAll(ctx, tx, *e); err != nil {
		return n, err
	}
	counts := map[string]int64{"deleted": int64(n)}
	ask := map[events.TaskKind]int{events.TaskRestricted: stay.Restricted, events.TaskUpstream: n}
	if stay.all() == 0 {
		if err := s.forget(ctx, tx, *e); err != nil {
			return n, err
		}
		e.State = attendees.Deleted
	} else if counts["held"] = int64(stay.all()); n == 0 {
		return n, nil
	}
	for kind, of := range ask {
		if of == 0 {
			continue
		}
		if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: kind, Event: e.Key, Count: of}); err != nil {
			return n, err
		}
	}
	_, err = s.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.Deleted, Event: string(e.ID), Rule: e.Rule, Counts: counts})
	return n, err
}

// forget takes away what else leads to an event's people, or to those who had to do with them.
func (s *Store) forget(ctx context.Context, tx db.Tx, e events.Event) error {
	for _, statement := range []string{
		`delete from holds where event_id = $1`,
		`delete from bars where event_id = $1`,
		`update tasks set done_at = now(), done_by = 'lethe', sealed = null where event_id = $1 and done_at is null and kind not in ('upstream', 'responses')`,
	} {
		if _, err := db.Exec(ctx, tx, statement, e.Key); err != nil {
			return err
		}
	}
	// Hashes of the source's ids, which can be guessed.
	if _, err := db.Exec(ctx, tx, `update feeds set run_seen = null where name = $1`, events.EventFeed(e.ID)); err != nil {
		return err
	}
	if err := s.exports.Forget(ctx, tx, e); err != nil {
		return err
	}
	return s.events.Delete(ctx, tx, e)
}

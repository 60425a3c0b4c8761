package events

import (
	"context"
	"fmt"

	"lethe/attendees"
	"lethe/attendees/db"
)

// Block makes an event blocked, for a caller who has its row in tx and has destroyed its
// working key. The question is asked where question is Asked.
func (s *Store) Block(ctx context.Context, tx db.Tx, e Event, question Question) (err error) {
	defer db.Wrap(&err, "block event %s", e.ID)
	_, err = db.Exec(ctx, tx, `
		update events
		set state = 'blocked', blocked_at = $2, question = $3, cleaned = false
		where id = $1 and state = 'open'`, e.Key, s.now(), question)
	return err
}

// Cleaned records that the dead rows of a blocked event are deleted.
func (s *Store) Cleaned(ctx context.Context, tx db.Tx, e Event) (err error) {
	defer db.Wrap(&err, "clean event %s up", e.ID)
	_, err = db.Exec(ctx, tx, `update events set cleaned = true where id = $1`, e.Key)
	return err
}

// Answer answers the agreement question of a blocked event.
func (s *Store) Answer(ctx context.Context, tx db.Tx, e Event, answer Question) (err error) {
	defer db.Wrap(&err, "answer the agreement question of event %s", e.ID)
	if e.Question != Asked {
		return fmt.Errorf("it has no open agreement question")
	}
	_, err = db.Exec(ctx, tx, `update events set question = $2 where id = $1`, e.Key, answer)
	return err
}

// Delete makes an event deleted.
func (s *Store) Delete(ctx context.Context, tx db.Tx, e Event) (err error) {
	defer db.Wrap(&err, "delete event %s", e.ID)
	_, err = db.Exec(ctx, tx, `
		update events
		set state = 'deleted', deleted_at = $2, question = case question when 'open' then '' else question end
		where id = $1`, e.Key, s.now())
	return err
}

// Hold records whether a hold on the event is active.
func (s *Store) Hold(ctx context.Context, tx db.Tx, e Event, held bool) (err error) {
	defer db.Wrap(&err, "hold event %s", e.ID)
	_, err = db.Exec(ctx, tx, `update events set held = $2 where id = $1`, e.Key, held)
	return err
}

// Reopen makes a blocked event open again, for a caller who has its row in tx and enters it
// into the ledger: its planned dates apply, and it is read whole, since nothing that came
// meanwhile was stored. It refuses one whose delete date has come.
func (s *Store) Reopen(ctx context.Context, tx db.Tx, e Event) (_ Event, err error) {
	defer db.Wrap(&err, "reopen event %s", e.ID)
	if e.State != attendees.Blocked {
		return e, fmt.Errorf("it is %s, not blocked", e.State)
	}
	if e.Expired(s.now()) {
		return e, fmt.Errorf("its delete date, %s, has come", e.DeleteOn)
	}
	_, err = db.Exec(ctx, tx, `
		update events
		set state = 'open', reopened_at = $2, question = case question when 'open' then 'open' else '' end, read_at = null, reconciled_at = null
		where id = $1`, e.Key, s.now())
	if err != nil {
		return e, err
	}
	before, now := e, s.now()
	e.State, e.ReadAt, e.ReconciledAt, e.ReopenedAt = attendees.Open, nil, nil, &now
	if e.Question != Asked {
		e.Question = ""
	}
	if err := s.Preview(&e); err != nil {
		return e, err
	}
	e.accept(now)
	if err := s.write(ctx, tx, before, &e); err != nil {
		return e, err
	}
	if err := s.Tasks.Settle(ctx, tx, Task{Kind: TaskReopen, Event: e.Key}); err != nil {
		return e, err
	}
	return e, s.ReadAgain(ctx, tx, e)
}

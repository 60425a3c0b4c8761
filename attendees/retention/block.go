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

// blockTries is how often an event that changes meanwhile is prepared again at once: a sync
// that has just ended may be followed by one more.
const blockTries = 3

// Block blocks an event whose block date has come: what no duty keeps opens to nobody from
// its commit on (GDPR Art. 5(1)(e)), the rest to the officers and to its own person. It may
// be cut off anywhere, and resumes when it is called again.
func (s *Store) Block(ctx context.Context, id attendees.EventID) error {
	for try := 1; ; try++ {
		err := s.Prepare(ctx, id)
		if err == nil {
			err = s.Commit(ctx, id)
		}
		if errors.Is(err, ErrChanged) && try < blockTries {
			continue
		}
		if err != nil {
			return err
		}
		return s.CleanUp(ctx, id)
	}
}

// Commit blocks an event that is prepared, in one small transaction: its working key and the
// server's use of the others are destroyed. ErrChanged where somebody wrote since it was
// prepared.
func (s *Store) Commit(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "block event %s", id)
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, id)
		if err != nil {
			return err
		}
		if e.State != attendees.Open || e.Prepared == nil || *e.Prepared != e.Version-1 {
			return ErrChanged
		}
		if err := s.mayBlock(ctx, tx, e); err != nil {
			return err
		}
		var p struct {
			Ask     bool  `db:"ask"`
			Sealed  int64 `db:"sealed"`
			Doubted int64 `db:"doubted"`
			Dropped int64 `db:"dropped"`
		}
		if err := db.Get(ctx, tx, &p, `select ask, sealed, doubted, dropped from preparations where event_id = $1`, e.Key); err != nil {
			return err
		}
		if err := s.destroyForBlocking(ctx, tx, e, p.Doubted > 0); err != nil {
			return err
		}
		question := events.Question("")
		if p.Doubted > 0 {
			question = events.Asked
		}
		if err := s.events.Block(ctx, tx, e, question); err != nil {
			return err
		}
		recalled, err := s.exports.RecallAll(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := s.askAfterBlocking(ctx, tx, e, question, int(p.Doubted), int(recalled)); err != nil {
			return err
		}
		e.Question, e.State = question, attendees.Blocked
		if err := s.Upstream.letGo(ctx, tx, e); err != nil {
			return err
		}
		entry := ledger.Entry{Kind: ledger.Blocked, Event: string(e.ID), Rule: e.Rule, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(),
			Counts: map[string]int64{"sealed": p.Sealed, "dropped": p.Dropped, "recalled": recalled}}
		if question == events.Asked {
			entry.Doubt = ledger.DoubtOpen
		}
		_, err = s.ledger.Record(ctx, tx, entry)
		return err
	})
}

// destroyForBlocking destroys the working key and the server's use of the others. Of an event
// that is blocked once more the old doubt key goes, too: it is asked about anew, or not.
func (s *Store) destroyForBlocking(ctx context.Context, tx db.Tx, e events.Event, doubt bool) error {
	ref := reader.Ref(e)
	var fresh []byte
	err := db.Get(ctx, tx, &fresh, `select coalesce((select generation from keys where event_id = $1 and name = 'doubt' and server is not null), '')`, e.Key)
	if err != nil {
		return err
	}
	if !doubt {
		fresh = []byte{} // nobody lies under it
	}
	if err := s.vault.DestroyOlder(ctx, tx, ref, vault.Doubt, fresh); err != nil {
		return err
	}
	if err := s.vault.Destroy(ctx, tx, ref, vault.Working); err != nil {
		return err
	}
	return s.vault.EndUse(ctx, tx, ref)
}

// askAfterBlocking puts before staff what only people can do once an event is blocked, and
// settles what nobody can do any more.
func (s *Store) askAfterBlocking(ctx context.Context, tx db.Tx, e events.Event, question events.Question, doubted, recalled int) error {
	_, err := db.Exec(ctx, tx, `
		update tasks
		set done_at = $2, done_by = 'lethe', sealed = null
		where event_id = $1 and done_at is null and kind in ('claim', 'unsaid', 'questions', 'gone', 'agreements', 'reopen')`, e.Key, s.now())
	if err != nil {
		return err
	}
	if question == events.Asked {
		if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskAgreements, Event: e.Key, Count: doubted}); err != nil {
			return err
		}
	}
	if recalled > 0 {
		return s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskLists, Event: e.Key, Count: recalled})
	}
	return nil
}

// cleanBatch is how many rows are cleaned up in one transaction: a tenth of a second's work.
const cleanBatch = 10_000

// CleanUp deletes the dead rows of a blocked event: nobody opens them any more. It may be cut
// off, and resumes when it is called again.
func (s *Store) CleanUp(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "clean event %s up", id)
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State != attendees.Blocked || e.Cleaned {
		return err
	}
	if err := s.walk(ctx, e, `
		with batch as (
			select id from attendees where event_id = $1 and id > $2 order by id limit $3
		), kept as (
			update attendees a
			set layer = null, state = 'blocked', name_hash = r.name_hash, counts_as_agreed = a.agreed or a.counts_as_agreed
			from batch b, lateral (
				select name_hash
				from records r
				where r.event_id = $1 and r.attendee_id = b.id and r.kind in ('kept', 'doubt', 'held') and r.name_hash is not null
				order by r.recorded_on desc
				limit 1
			) as r
			where a.id = b.id and a.state = 'open' and a.layer is not null
			returning a.id
		), gone as (
			delete from attendees a
			using batch b
			where a.id = b.id and a.state = 'open' and not exists (select from records r where r.event_id = $1 and r.attendee_id = b.id)
		)
		select id from batch order by id desc limit 1`); err != nil {
		return err
	}
	for _, statement := range []string{
		`delete from responses where event_id = $1`,
		`delete from corrections where event_id = $1`,
		`delete from removed where event_id = $1`,
		`delete from looks where event_id = $1`,
	} {
		if _, err := db.Exec(ctx, s.pool, statement, e.Key); err != nil {
			return err
		}
	}
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.Look(ctx, tx, id); err != nil || e.State != attendees.Blocked {
			return err
		}
		return s.events.Cleaned(ctx, tx, e)
	})
	if err != nil {
		return err
	}
	return s.vault.Rewrite(ctx)
}

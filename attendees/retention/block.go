package retention

import (
	"context"
	"errors"

	"github.com/lib/pq"

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
	err := retried(func() error {
		if err := s.Prepare(ctx, id); err != nil {
			return err
		}
		return s.Commit(ctx, id)
	})
	if err != nil {
		return err
	}
	return s.CleanUp(ctx, id)
}

func retried(do func() error) (err error) {
	for range blockTries {
		if err = do(); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
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
		p, err := s.prepared(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := s.mayBlock(ctx, tx, e); err != nil {
			return err
		}
		asked, err := s.destroyForBlocking(ctx, tx, e, p)
		if err != nil {
			return err
		}
		entry := ledger.Entry{Kind: ledger.Blocked, Event: string(e.ID), Rule: e.Rule, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String()}
		question := events.Question("")
		if asked {
			question, entry.Doubt = events.Asked, ledger.DoubtOpen
		}
		if err := s.events.Block(ctx, tx, e, question); err != nil {
			return err
		}
		recalled, err := s.exports.RecallAll(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := s.askAfterBlocking(ctx, tx, e, asked, int(p.Doubted), int(recalled)); err != nil {
			return err
		}
		entry.Counts = map[string]int64{"sealed": p.Sealed, "dropped": p.Dropped, "recalled": recalled}
		_, err = s.ledger.Record(ctx, tx, entry)
		return err
	})
}

// destroyForBlocking destroys the working key and the server's use of the others, and tells
// whether staff are asked who agreed. Of an event that is blocked once more it destroys the
// old doubt key, too, unless staff have kept it, or somebody under it was not read again:
// their case is open as before.
func (s *Store) destroyForBlocking(ctx context.Context, tx db.Tx, e events.Event, p prepared) (asked bool, err error) {
	ref := reader.Ref(e)
	keep := append(p.Generations, p.Keeps...)
	if e.ReopenedAt != nil {
		var open pq.ByteaArray
		err := db.Select(ctx, tx, &open, `
			select distinct r.generation
			from records r
			join attendees a on a.id = r.attendee_id
			where r.event_id = $1 and r.kind = 'doubt' and a.state = 'blocked' and r.generation <> all($2)`, e.Key, p.Keeps)
		if err != nil {
			return false, err
		}
		keep, asked = append(keep, open...), len(open) > 0
	}
	if err := s.vault.DestroyBut(ctx, tx, ref, vault.Doubt, keep...); err != nil {
		return false, err
	}
	if err := s.vault.Destroy(ctx, tx, ref, vault.Working); err != nil {
		return false, err
	}
	return asked || p.Doubted > 0, s.vault.EndUse(ctx, tx, ref)
}

// askAfterBlocking puts before staff what only people can do once an event is blocked, and
// settles what nobody can do any more.
func (s *Store) askAfterBlocking(ctx context.Context, tx db.Tx, e events.Event, asked bool, doubted, recalled int) error {
	_, err := db.Exec(ctx, tx, `
		update tasks
		set done_at = $2, done_by = 'lethe', sealed = null
		where event_id = $1 and done_at is null and kind in ('claim', 'unsaid', 'questions', 'gone', 'agreements', 'reopen')`, e.Key, s.now())
	if err != nil {
		return err
	}
	if asked {
		if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskAgreements, Event: e.Key, Count: doubted}); err != nil {
			return err
		}
	}
	if recalled > 0 {
		return s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskLists, Event: e.Key, Count: recalled})
	}
	return nil
}

// CleanUp deletes the dead rows of a blocked event: nobody opens them any more. It may be cut
// off, and resumes when it is called again.
func (s *Store) CleanUp(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "clean event %s up", id)
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State != attendees.Blocked || e.Cleaned {
		return err
	}
	if err := s.vault.Rewrite(ctx); err != nil {
		return err
	}
	if err := s.dropDead(ctx, e); err != nil {
		return err
	}
	err = s.sweep(ctx, e,
		// Whoever has a record stays, without a layer; the others go, and who had the same
		// address is marked. Rows are written again: that is faster than to change them.
		`with old as (
				delete from attendees
				where event_id = $1 and state = 'open'
				returning id, source, standing, reason, address_index, shared, agreed or counts_as_agreed as agreed, version, came_on
			), recorded as (
				select distinct on (r.attendee_id) r.attendee_id as id, r.name_hash
				from records r
				join preparations p on p.event_id = r.event_id
				where r.event_id = $1 and r.kind <> 'corrected'
				order by r.attendee_id, r.generation = any(p.generations) desc, r.recorded_on desc
			), left_by as (
				select distinct address_index
				from old
				where address_index <> '' and id not in (select id from recorded)
			)
			insert into attendees (id, event_id, source, standing, state, reason, address_index, name_hash, shared, agreed, counts_as_agreed, version, came_on)
			select o.id, $1, o.source, o.standing, 'blocked', o.reason, o.address_index, r.name_hash,
				o.shared or o.address_index in (select address_index from left_by), o.agreed, o.agreed, o.version, o.came_on
			from old o
			join recorded r on r.id = o.id
			order by o.id`,
		`delete from responses where event_id = $1`,
		`delete from corrections where event_id = $1`,
		`delete from removed where event_id = $1`,
		`delete from looks where event_id = $1`)
	if err != nil {
		return err
	}
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if e, err = s.events.Look(ctx, tx, id); err != nil || e.State != attendees.Blocked {
			return err
		}
		return s.events.Cleaned(ctx, tx, e)
	})
}

// sweep runs statements about the rows of an event that nobody reads any more, one after the
// other: there is no need for batches, since nobody waits for them, and one that is cut off
// has done nothing.
func (s *Store) sweep(ctx context.Context, e events.Event, statements ...string) error {
	for _, statement := range statements {
		err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
			if _, err := db.Exec(ctx, tx, `set local work_mem = '64MB'`); err != nil { // rows are joined in memory
				return err
			}
			_, err := db.Exec(ctx, tx, statement, e.Key)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

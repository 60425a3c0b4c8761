package retention

import (
	"context"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// Block blocks an event whose block date has come: what no duty keeps opens to nobody from
// its commit on (GDPR Art. 5(1)(e)), the rest to the officers and to its own person. It may
// be cut off anywhere, and resumes when it is called again.
func (s *Store) Block(ctx context.Context, id attendees.EventID) error {
	if err := s.shut(ctx, id); err != nil {
		return err
	}
	return s.CleanUp(ctx, id)
}

// blockTries is how often an event that changes meanwhile is prepared again at once: a sync
// that has just ended may be followed by one more.
const blockTries = 3

// shut prepares and commits.
func (s *Store) shut(ctx context.Context, id attendees.EventID) (err error) {
	for range blockTries {
		if err = s.Prepare(ctx, id); err == nil {
			err = s.Commit(ctx, id)
		}
		if !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return err
}

// Commit blocks an event that is prepared, in one small transaction: its working key and the
// server's use of the others are destroyed. One whose delete date has come is being deleted
// from then on. ErrChanged where somebody wrote since it was prepared.
func (s *Store) Commit(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "block event %s", id)
	return s.write(ctx, id, func(tx db.Tx, e events.Event) error {
		p, err := s.prepared(ctx, tx, e)
		if err == nil {
			err = s.mayEnd(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		entry := ledger.Entry{Kind: ledger.Blocked, Rule: e.Rule, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String()}
		asked, err := s.destroyForBlocking(ctx, tx, e, p)
		if err != nil {
			return err
		}
		if e.Question = ""; asked {
			e.Question, entry.Doubt = events.Asked, ledger.DoubtOpen
		}
		if err := s.events.Block(ctx, tx, e, e.Question); err != nil {
			return err
		}
		recalled, err := s.exports.RecallAll(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := s.askAfterBlocking(ctx, tx, e, p.Doubted, int(recalled)); err != nil {
			return err
		}
		entry.Counts = map[string]int64{"sealed": int64(p.Sealed), "dropped": int64(p.Dropped), "recalled": recalled}
		if err := s.record(ctx, tx, e, entry); err != nil || !e.Expired(s.now()) {
			return err
		}
		_, err = s.beginDeletion(ctx, tx, e)
		return err
	})
}

// destroyForBlocking destroys the working key and the server's use of the others, and tells
// whether staff are asked who agreed. Of an event that is blocked once more it destroys the
// old doubt key, too, unless staff have kept it, or somebody under it was not read again:
// their case is open as before.
func (s *Store) destroyForBlocking(ctx context.Context, tx db.Tx, e events.Event, p prepared) (asked bool, err error) {
	ref := reader.Ref(e)
	var open pq.ByteaArray
	if e.ReopenedAt != nil {
		err := db.Select(ctx, tx, &open, `
			select distinct r.generation
			from records r
			join attendees a on a.id = r.attendee_id
			where r.event_id = $1 and r.kind = 'doubt' and a.state = 'blocked' and r.generation <> all($2)`, e.Key, p.Keeps)
		if err != nil {
			return false, err
		}
	}
	if err := s.vault.DestroyBut(ctx, tx, ref, vault.Doubt, append(append(open, p.Generations...), p.Keeps...)...); err != nil {
		return false, err
	}
	if err := s.vault.Destroy(ctx, tx, ref, vault.Working); err != nil {
		return false, err
	}
	return len(open) > 0 || p.Doubted > 0, s.vault.EndUse(ctx, tx, ref)
}

// askAfterBlocking puts before staff what only people can do once an event is blocked, and
// settles what nobody can do any more.
func (s *Store) askAfterBlocking(ctx context.Context, tx db.Tx, e events.Event, doubted, recalled int) error {
	_, err := db.Exec(ctx, tx, `
		update tasks
		set done_at = $2, done_by = 'lethe', sealed = null
		where event_id = $1 and done_at is null and kind in ('claim', 'unsaid', 'questions', 'gone', 'agreements', 'reopen')`, e.Key, s.now())
	if err == nil && e.Question == events.Asked {
		err = s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskAgreements, Event: e.Key, Count: doubted})
	}
	if err == nil && recalled > 0 {
		err = s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskLists, Event: e.Key, Count: recalled})
	}
	return err
}

// CleanUp deletes the dead rows of a blocked event: nobody opens them any more. It may be cut
// off, and resumes when it is called again.
func (s *Store) CleanUp(ctx context.Context, id attendees.EventID) (err error) {
	defer db.Wrap(&err, "clean event %s up", id)
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State != attendees.Blocked || e.Cleaned {
		return err
	}
	if err := s.vault.Rewrite(ctx); err != nil { // before there is much else for a checkpoint to write
		return err
	}
	err = s.sweep(ctx, e, dropDead,
		// An attendee who has a record stays, without a layer; the others go, and those who
		// had the same address are marked. Rows are written again: that is faster than to change them.
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

// dropDead deletes records whose key is destroyed.
const dropDead = `
	delete from records r
	where r.event_id = $1 and r.kind in ('kept', 'doubt', 'held')
	  and not exists (select from keys k where k.event_id = $1 and k.name = r.kind and k.generation = r.generation)`

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

// Reopen makes a blocked event open again, which ends in the future after all or whose
// failed source answers: it is read whole again under a new working key. Bars stay, the old
// records stay with the officers, and who counted as agreed still does.
func (s *Store) Reopen(ctx context.Context, id attendees.EventID, reason string) (err error) {
	return s.write(ctx, id, func(tx db.Tx, e events.Event) (err error) {
		if !e.Cleaned {
			return fmt.Errorf("event %s is still being cleaned up after its blocking: try again in a minute", id)
		}
		if e, err = s.events.Reopen(ctx, tx, e); err != nil {
			return err
		}
		// What only an officer or the person can open is to be entered again.
		_, err = db.Exec(ctx, tx, `
			insert into tasks (kind, event_id, attendee_id, count, made_at)
			select $2, $1, attendee_id, count(*), $3
			from records
			where event_id = $1 and kind = 'corrected'
			group by attendee_id
			on conflict (kind, event_id, form_id, attendee_id) where done_at is null do nothing`, e.Key, events.TaskCorrected, s.now())
		if err != nil {
			return err
		}
		return s.record(ctx, tx, e, ledger.Entry{Kind: ledger.Reopened, Reason: reason, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String()})
	})
}

package retention

import (
	"context"
	"fmt"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// Delete deletes the people of an event whose delete date has come, blocked or not: keys
// first, then rows, then the ledger's entry. Those who are restricted or on hold by
// themselves stay. It may be cut off anywhere, and resumes when it is called again. It
// returns how many people it deleted; *HeldError, *NotYetError and ErrNotStarted say why it
// does not.
func (s *Store) Delete(ctx context.Context, id attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "delete event %s", id)
	e, err := s.events.Get(ctx, s.pool, id)
	if err != nil || e.State == attendees.Deleted {
		return 0, err
	}
	if !e.Expired(s.now()) {
		return 0, &NotYetError{id, fmt.Sprintf("is to be deleted on %s, not before", e.DeleteOn)}
	}
	if e.State == attendees.Open {
		if err := s.shut(ctx, id); err != nil {
			return 0, err
		}
	}
	var stay Staying
	err = s.write(ctx, id, func(tx db.Tx, e events.Event) (err error) {
		stay, err = s.beginDeletion(ctx, tx, e)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.vault.Rewrite(ctx); err != nil { // before there is much else for a checkpoint to write
		return 0, err
	}
	if err := s.CleanUp(ctx, id); err != nil { // from then on those who stay are blocked
		return 0, err
	}
	err = s.sweep(ctx, e, dropDead,
		`delete from records where event_id = $1 and attendee_id not in (select attendee_id from staying where event_id = $1)`,
		`delete from looks where event_id = $1 and attendee_id not in (select attendee_id from staying where event_id = $1)`,
		`delete from attendees where event_id = $1 and id not in (select attendee_id from staying where event_id = $1)`)
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, id, func(tx db.Tx, e events.Event) (err error) {
		n, err = s.finishDeletion(ctx, tx, e, stay)
		return err
	})
	return n, err
}

// beginDeletion destroys the keys of an event that is not open any more, but those that
// somebody who stays needs, and notes, the first time, how many people are deleted.
func (s *Store) beginDeletion(ctx context.Context, tx db.Tx, e events.Event) (stay Staying, err error) {
	if err := s.mayEnd(ctx, tx, e); err != nil {
		return stay, err
	}
	var r remaining
	if err := db.Get(ctx, tx, &r, `select event_id, people, restricted, held, kept, leaving from remaining where event_id = $1`, e.Key); err != nil {
		return stay, err
	}
	_, err = db.Exec(ctx, tx, `
		insert into deletions (event_id, people, begun_at)
		values ($1, $2, $3)
		on conflict do nothing`, e.Key, r.leave(), s.now())
	if err != nil {
		return stay, err
	}
	names := []vault.Name{vault.Working}
	if r.Kept == 0 {
		names = append(names, vault.Kept, vault.Doubt)
	}
	if r.Held == 0 {
		names = append(names, vault.Held)
	}
	if r.Staying.all() == 0 {
		names = append(names, vault.Lock)
	}
	if err := s.vault.Destroy(ctx, tx, reader.Ref(e), names...); err != nil {
		return stay, err
	}
	return r.Staying, s.vault.EndUse(ctx, tx, reader.Ref(e))
}

// finishDeletion writes the ledger's entry, and, where nobody stays, takes away what else
// leads to an event's people. It returns how many were deleted.
func (s *Store) finishDeletion(ctx context.Context, tx db.Tx, e events.Event, stay Staying) (n int, err error) {
	var begun []int
	if err := db.Select(ctx, tx, &begun, `delete from deletions where event_id = $1 returning people`, e.Key); err != nil || len(begun) == 0 {
		return 0, err // another run has finished it
	}
	n = begun[0]
	if _, err := db.Exec(ctx, tx, `delete from announcements where event_id = $1`, e.Key); err != nil {
		return n, err
	}
	counts := map[string]int64{"deleted": int64(n)}
	if stay.all() == 0 {
		err = s.forget(ctx, tx, e)
	} else if counts["held"] = int64(stay.all()); n == 0 {
		return n, nil
	}
	for kind, of := range map[events.TaskKind]int{events.TaskRestricted: stay.Restricted, events.TaskUpstream: n} {
		if err == nil && of > 0 {
			err = s.events.Tasks.Ask(ctx, tx, events.Task{Kind: kind, Event: e.Key, Count: of})
		}
	}
	if err != nil {
		return n, err
	}
	return n, s.record(ctx, tx, e, ledger.Entry{Kind: ledger.Deleted, Rule: e.Rule, Counts: counts})
}

// forget takes away what else leads to an event's people, or to those who had to do with them.
func (s *Store) forget(ctx context.Context, tx db.Tx, e events.Event) error {
	for _, statement := range []string{
		`delete from holds where event_id = $1`,
		`delete from bars where event_id = $1`,
		`update tasks
			set done_at = now(), done_by = 'lethe', sealed = null
			where event_id = $1 and done_at is null and kind not in ('upstream', 'responses', 'destroy lists')`,
		// Hashes of the source's ids, which can be guessed.
		`update feeds set run_seen = null from events e where e.id = $1 and feeds.name = 'eventbrite/event/' || e.source_id`,
	} {
		if _, err := db.Exec(ctx, tx, statement, e.Key); err != nil {
			return err
		}
	}
	if err := s.exports.Forget(ctx, tx, e); err != nil {
		return err
	}
	return s.events.Delete(ctx, tx, e)
}

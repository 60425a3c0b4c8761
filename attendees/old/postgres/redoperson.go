package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// What is done again to one person hangs on the entry's opening. Without it nobody knows
// whom it was about, and staff are asked.

// keyOf is the id of the secret that an entry's keyed id was made with.
func (r *redo) keyOf(e redoEntry) string { return cmp.Or(e.opening.Key, r.keys.Newest()) }

// hold adds a hold again. One of a registration that the backup does not have waits for
// it; one whose opening is gone holds the whole event, so that nothing is lost.
func (r *redo) hold(ctx context.Context, e redoEntry) error {
	r.done.Holds++
	if !e.whole {
		return r.holdWhole(ctx, e, fmt.Sprintf(
			"A backup was restored, and it is not known any more which registration of event %s was put on hold on %s (ledger entry %d): "+
				"the whole event is held. Put the one on hold anew, then release this hold", e.Event, e.At.Format("2006-01-02"), e.index))
	}
	var whom, waits, until any
	key := ""
	if p, ok := r.held[string(e.opening.KeyedID)]; e.Person != nil && ok {
		whom = p.Key
	}
	if e.Person != nil && whom == nil {
		// The key is nobody's: without one the hold would be on the whole event.
		whom, waits, key = nobody(e.opening.KeyedID), e.opening.KeyedID, r.keyOf(e)
		r.done.Waiting++
	}
	if e.Until != "" {
		until = e.Until
	}
	event := eventKey(attendees.Eventbrite, e.event())
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into holds (event_id, attendee_id, reason, until, added_by, added_at, entry, keyed_id, key)
			values ($1, $2, $3, $4, '', $5, $6, $7, $8)
			on conflict (entry) do nothing`, event, whom, e.Reason, until, e.At, e.index, waits, key)
		return quiet("add a hold again", err)
	})
}

// holdWhole holds the whole event that an entry is about, since it is not known any more
// whom of it.
func (r *redo) holdWhole(ctx context.Context, e redoEntry, says string) error {
	event := eventKey(attendees.Eventbrite, e.event())
	r.done.Lost++
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			insert into holds (event_id, reason, until, added_by, added_at, entry)
			values ($1, $2, nullif($3, '')::date, '', $4, $5)
			on conflict (entry) do nothing`, event, cmp.Or(e.Reason, "a restored backup"), e.Until, e.At, e.index)
		if err != nil {
			return quiet("hold an event", err)
		}
		return r.ask(ctx, tx, event, e.task(taskLostHold), says)
	})
}

// release ends a hold again, by the entry that added it.
func (r *redo) release(ctx context.Context, e redoEntry) error {
	_, err := r.db.ExecContext(ctx, `
		update holds
		set released_at = $2
		where entry = $1 and released_at is null`, e.Hold, e.At)
	return quiet("release a hold again", err)
}

// erase sets the tombstone again, and erases who came back with the backup, whatever
// holds were added since.
func (r *redo) erase(ctx context.Context, e redoEntry) error {
	event, _, err := r.find(ctx, e.event())
	if err != nil {
		return err
	}
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		if !e.whole {
			return r.askWhom(ctx, tx, event, e)
		}
		if err := r.bar(ctx, tx, event, e, ""); err != nil {
			return err
		}
		r.done.Erased++
		p, ok := r.held[string(e.opening.KeyedID)]
		if !ok {
			return nil
		}
		at, err := r.Event(ctx, p.Event) // where the backup has her
		if err != nil {
			return err
		}
		if _, err := r.recall(ctx, tx, at, p.Key); err != nil {
			return err
		}
		if _, err := r.recallDumps(ctx, tx, at.Key, erasedSince); err != nil {
			return err
		}
		_, err = r.leaveForever(ctx, tx, at, p.ID)
		return err
	})
}

// bar sets an entry's tombstone again. Where why is given, its registration comes in sealed
// for that reason instead of staying out.
func (r *redo) bar(ctx context.Context, tx *sqlx.Tx, event Event, e redoEntry, why attendees.Reason) error {
	_, err := tx.ExecContext(ctx, `
		insert into tombstones (keyed_id, key, event_id, made_at, reason)
		values ($1, $2, $3, $4, $5)
		on conflict (keyed_id) do update set reason = excluded.reason
		where tombstones.reason <> ''`, e.opening.KeyedID, r.keyOf(e), event.Key, e.At, why)
	return quiet("set a tombstone again", err)
}

// eraseAnswer keeps a response out that went with its registration, and erases it where
// the backup has it, be it as nobody's. Its registration's own entry is asked about where
// the openings are gone.
func (r *redo) eraseAnswer(ctx context.Context, e redoEntry) error {
	event, known, err := r.find(ctx, e.event())
	if err != nil || !e.whole {
		return err
	}
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		if err := r.bar(ctx, tx, event, e, ""); err != nil || !known {
			return err
		}
		var responses []struct {
			Key  uuid.UUID `db:"id"`
			Form string    `db:"form_id"`
			ID   string    `db:"source_id"`
		}
		err := tx.SelectContext(ctx, &responses, `
			select id, form_id, source_id
			from personal
			where event_id = $1 and part = 'response'`, event.Key)
		if err != nil {
			return quiet("look for a response", err)
		}
		for _, response := range responses {
			ids := r.keys.KeyedIDs(responseSource(attendees.FormID(response.Form)), response.ID, "")
			if !slices.ContainsFunc(ids, func(id []byte) bool { return bytes.Equal(id, e.opening.KeyedID) }) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `delete from personal where event_id = $1 and id = $2`, event.Key, response.Key); err != nil {
				return quiet("erase a response", err)
			}
			return r.askRewrite(ctx, tx, personalRooms, event.Key)
		}
		return nil
	})
}

// askWhom asks staff to erase again whom the ledger cannot tell any more. Of an event that
// was deleted since nobody is left.
func (r *redo) askWhom(ctx context.Context, tx *sqlx.Tx, event Event, e redoEntry) error {
	for _, later := range r.entries {
		if later.Kind == ledger.Deleted && later.Event == e.Event && later.index > e.index && later.Counts["held"] == 0 {
			return nil
		}
	}
	r.done.Lost++
	return r.ask(ctx, tx, event.Key, e.task(taskLostErasure), fmt.Sprintf(
		"A backup was restored, and it is not known any more whom of event %s the erasure of %s was about (ledger entry %d): its opening is gone. "+
			"Look in your own letters who had asked by then, and erase them again: lethe forget ATTENDEE --reason …",
		e.Event, e.At.Format("2006-01-02"), e.index))
}

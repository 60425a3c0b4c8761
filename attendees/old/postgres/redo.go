package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// redo does again what a restored backup has forgotten.
type redo struct {
	*Store
	sealer  *seal.Sealer
	entries []redoEntry
	held    map[string]heldPerson // whom the backup has, by keyed id
	dates   map[string]dates      // an event's last ones
	done    Replayed
}

// dates are those that an event had last, by the entries that are done again.
type dates struct {
	block, remove, rule string
	deleted             bool // all of it, on the day of remove at the latest
}

// redoEntry is one entry that is done again.
type redoEntry struct {
	ledger.Entry
	index   int64
	opening ledger.Opening // opens it where whole is true
	whole   bool           // the entry is about no single person, or its opening is there
}

func (e redoEntry) event() attendees.EventID { return attendees.EventID(e.Event) }

// task is the kind of a task about this entry: each thing that is lost is told by itself.
func (e redoEntry) task(kind string) string { return fmt.Sprint(kind, " ", e.index) }

// heldPerson is a registration that an entry is about.
type heldPerson struct {
	Key    uuid.UUID            `db:"id"`
	ID     attendees.AttendeeID `db:"source_id"`
	Source attendees.SourceName `db:"source"`
	Event  attendees.EventID    `db:"event"`
}

// steps do again what was done, one kind after the other: what keeps or locks up goes
// before what takes away. Each walks over all entries, takes its own, and finds done what
// it did before it was cut off.
func (r *redo) steps() []func(context.Context) error {
	return []func(context.Context) error{
		r.each(r.accept, ledger.Accepted), // the dates, before anything is blocked by them
		r.each(r.hold, ledger.HoldAdded),
		r.each(r.release, ledger.HoldEnded),
		r.restrictions,
		r.each(r.withdraw, ledger.Withdrawn),
		r.each(r.sealEarly, ledger.SealedEarly),
		r.each(r.erase, ledger.Erased),
		r.each(r.eraseAnswer, ledger.ErasedAnswer),
		r.each(r.decide, ledger.Decided),
		r.each(r.block, ledger.Blocked),
		r.each(r.answer, ledger.Answered),
		r.each(r.delete, ledger.Deleted),
		r.each(r.comeAgain, ledger.Blocked),
	}
}

func (r *redo) each(again func(context.Context, redoEntry) error, kind ledger.Kind) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, e := range r.entries {
			if e.Kind != kind {
				continue
			}
			if err := again(ctx, e); err != nil {
				return fmt.Errorf("do entry %d again: %w", e.index, err)
			}
		}
		return nil
	}
}

// begin reads what is to be done again, and refuses what it could not end.
func (r *redo) begin(ctx context.Context, tx *sqlx.Tx, openings map[int64]ledger.Opening) error {
	from, until, err := r.replaying(ctx, tx)
	if err != nil {
		return err
	}
	var rows []struct {
		Index   int64  `db:"index"`
		Leaf    string `db:"leaf"`
		Salt    []byte `db:"salt"`
		KeyedID []byte `db:"keyed_id"`
		Key     string `db:"key"`
	}
	err = tx.SelectContext(ctx, &rows, `
		select e.index, e.leaf, coalesce(o.salt, '') as salt, coalesce(o.keyed_id, '') as keyed_id, coalesce(o.key, '') as key
		from ledger_entries e
		left join openings o on o.index = e.index
		where e.index >= $1 and e.index < $2
		order by e.index`, from, until)
	if err != nil {
		return quiet("read the ledger", err)
	}
	for _, row := range rows {
		e := redoEntry{index: row.Index, opening: ledger.Opening{Index: row.Index, Salt: row.Salt, KeyedID: row.KeyedID, Key: row.Key}}
		if e.Entry, err = ledger.ParseEntry([]byte(row.Leaf)); err != nil {
			return &ledger.Damage{Entry: row.Index, What: err.Error()}
		}
		if o, beside := openings[row.Index]; e.Person != nil && !e.opening.Opens(e.Entry) && beside && o.Opens(e.Entry) {
			e.opening = o
			if err := keepOpening(ctx, tx, o); err != nil {
				return err
			}
		}
		e.whole = e.Person == nil || e.opening.Opens(e.Entry)
		if k := e.opening.Key; e.Person != nil && e.whole && k != "" && !r.keys.Has(k) {
			return fmt.Errorf("entry %d is about somebody who is found with the secret %s alone, which LETHE_SECRET does not list: add it behind the newest", e.index, k)
		}
		r.entries = append(r.entries, e)
		r.date(e)
	}
	if r.done.Entries = len(rows); len(rows) == 0 {
		return nil
	}
	if r.now().Before(r.entries[len(r.entries)-1].At) {
		return ErrClock
	}
	if err := r.wantSealer(ctx, tx); err != nil {
		return err
	}
	return r.findHeld(ctx, tx)
}

// date notes an event's dates as an entry gives them.
func (r *redo) date(e redoEntry) {
	if r.dates == nil {
		r.dates = map[string]dates{}
	}
	d := r.dates[e.Event]
	switch {
	case (e.Kind == ledger.Accepted || e.Kind == ledger.Blocked) && e.BlockOn != "" && e.DeleteOn != "":
		d.block, d.remove, d.rule = e.BlockOn, e.DeleteOn, e.Rule
	case e.Kind == ledger.Deleted:
		d.deleted = d.deleted || e.Counts["held"] == 0
		if on := max(attendees.DateOf(e.At).String(), d.block); d.remove == "" || on < d.remove {
			d.remove = on
		}
	}
	r.dates[e.Event] = d
}

// wantSealer refuses to begin without an officer's key where one is needed.
func (r *redo) wantSealer(ctx context.Context, tx *sqlx.Tx) error {
	for _, e := range r.entries {
		if r.sealer != nil {
			break
		}
		if e.Kind == ledger.Restricted || e.Kind == ledger.Objected || e.Kind == ledger.SealedEarly {
			return fmt.Errorf("a registration is to be sealed again, and nothing is done before it can be: %w", seal.ErrNoOfficer)
		}
		if e.Kind != ledger.Blocked {
			continue
		}
		var readable bool
		err := tx.GetContext(ctx, &readable, `
			select exists (select from events where id = $1 and blocked_at is null and state <> 'deleted')`, eventKey(attendees.Eventbrite, e.event()))
		if err != nil {
			return quiet("look for an event", err)
		}
		if readable {
			return fmt.Errorf("event %s is to be blocked again, and nothing is done before it can be: %w", e.Event, seal.ErrNoOfficer)
		}
	}
	return nil
}

// findHeld finds whom the entries are about among those who came back with the backup,
// whatever event they are of by now.
func (r *redo) findHeld(ctx context.Context, tx *sqlx.Tx) error {
	r.held = map[string]heldPerson{}
	wanted := map[string]bool{}
	for _, e := range r.entries {
		if e.Person != nil && e.whole {
			wanted[string(e.opening.KeyedID)] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	rows, err := tx.QueryxContext(ctx, `
		select a.id, a.source, a.source_id, e.source_id as event
		from attendees a
		join events e on e.id = a.event_id`)
	if err != nil {
		return quiet("look through the backup", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p heldPerson
		if err := rows.StructScan(&p); err != nil {
			return quiet("look through the backup", err)
		}
		for _, purpose := range append(r.policy.PurposeNames(), "") { // of a withdrawal the purpose is in the keyed id
			for _, id := range r.keys.KeyedIDs(string(p.Source), string(p.ID), string(purpose)) {
				if wanted[string(id)] {
					r.held[string(id)] = p
				}
			}
		}
	}
	return quiet("look through the backup", rows.Err())
}

// find finds an event; where the backup does not know it, it was discovered since.
func (r *redo) find(ctx context.Context, id attendees.EventID) (e Event, known bool, err error) {
	e, err = r.Event(ctx, id)
	if errors.As(err, new(*UnknownEventError)) {
		return Event{ID: id, Key: eventKey(attendees.Eventbrite, id)}, false, nil
	}
	return e, err == nil, err
}

// bury notes an event that the backup does not know as one that is blocked or deleted:
// discovered anew, with dates of today's policy, it might be open.
func (r *redo) bury(ctx context.Context, e redoEntry, state attendees.State) error {
	at, d := attendees.DateOf(e.At), r.dates[e.Event]
	block, remove := dateOr(d.block, at), dateOr(d.remove, at)
	var deleted any
	if state == attendees.Deleted {
		deleted = e.At
	}
	_, err := r.db.ExecContext(ctx, `
		insert into events (id, source, source_id, organization_id, name, status, time_zone, ends_on, first_seen_on, state, rule,
			block_on, delete_on, planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on,
			blocked_at, deleted_at, address_key)
		values ($1, $2, $3, '', $4, '', 'UTC', $5, $5, $6, $7, $5, $8, $7, $5, $8, $7, $5, $8, $9, $10, $11)
		on conflict do nothing`,
		eventKey(attendees.Eventbrite, e.event()), attendees.Eventbrite, e.event(), "Event "+e.Event, day{block}, state, cmp.Or(d.rule, e.Rule),
		day{remove}, e.At, deleted, r.keys.Newest())
	return quiet("note an event that was over", err)
}

// dateOr reads an entry's date; older entries have none.
func dateOr(text string, otherwise attendees.Date) attendees.Date {
	if d, err := attendees.ParseDate(text); err == nil {
		return d
	}
	return otherwise
}

// accept lets the dates count that an operator had accepted last.
func (r *redo) accept(ctx context.Context, e redoEntry) error {
	d := r.dates[e.Event]
	if e.BlockOn == "" || e.DeleteOn == "" || d.deleted {
		return nil // it was about no event's dates, or they have come
	}
	_, err := r.db.ExecContext(ctx, `
		update events
		set ends_on = least(ends_on, $2), block_on = $2, delete_on = $3, rule = $4, planned_rule = $4, accepted_rule = $4,
		    accepted_block_on = $2, accepted_delete_on = $3, planned_block_on = $2, planned_delete_on = $3
		where id = $1 and state <> 'deleted'`, eventKey(attendees.Eventbrite, e.event()), d.block, d.remove, d.rule)
	return quiet("accept dates again", err)
}

// block blocks an event by its last dates, whatever the backup's are.
func (r *redo) block(ctx context.Context, e redoEntry) error {
	held, known, err := r.find(ctx, e.event())
	if err != nil {
		return err
	}
	if !known {
		return r.bury(ctx, e, attendees.Blocked)
	}
	if held.BlockedAt != nil || held.State == attendees.Deleted {
		return nil
	}
	d := r.dates[e.Event]
	block := dateOr(d.block, held.Today(e.At))
	_, err = r.db.ExecContext(ctx, `
		update events
		set ends_on = least(ends_on, $2), block_on = $2, delete_on = coalesce($3, greatest(delete_on, $2)), rule = $4,
		    accepted_rule = $4, accepted_delete_on = coalesce($3, greatest(delete_on, $2)), accepted_block_on = $2
		where id = $1`, held.Key, day{block}, dateOrNull(d.remove), cmp.Or(d.rule, e.Rule))
	if err != nil {
		return quiet("date an event's blocking", err)
	}
	// It was blocked again after an earlier replay, perhaps.
	doubted := slices.ContainsFunc(r.entries, func(o redoEntry) bool { return o.Event == e.Event && o.Doubt == ledger.DoubtOpen })
	n, err := r.Store.block(ctx, e.event(), blocker{Store: r.Store, sealer: r.sealer, doubts: doubted, again: true})
	if err == nil {
		r.done.Blocked = append(r.done.Blocked, Redone{e.event(), n.Sealed})
	}
	return err
}

func dateOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// comeAgain lets an event that was blocked again be read once more, sealing as it comes:
// who came in between the backup and the blocking is at the sources alone. Whom an answer
// kept has agreed from then on.
func (r *redo) comeAgain(ctx context.Context, e redoEntry) error {
	if r.dates[e.Event].deleted {
		return nil
	}
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		var held Event
		err := tx.GetContext(ctx, &held, `select `+eventColumns+` from events where source_id = $1 for update`, e.event())
		if err != nil || held.State != attendees.Blocked || held.BlockedAt == nil || held.Expired(r.now()) {
			return quiet("find an event", err)
		}
		return r.come(ctx, tx, held)
	})
}

// answer settles a doubt as an operator had settled it.
func (r *redo) answer(ctx context.Context, e redoEntry) error {
	held, known, err := r.find(ctx, e.event())
	if err != nil || !known || !held.Doubted || held.BlockedAt == nil || held.State != attendees.Blocked || e.Doubt == "" {
		return err
	}
	_, err = r.AnswerDoubt(ctx, e.event(), e.Doubt == ledger.DoubtDrop, e.Reason, "")
	return err
}

// delete deletes an event's people by the day on which they were deleted.
func (r *redo) delete(ctx context.Context, e redoEntry) error {
	held, known, err := r.find(ctx, e.event())
	if err != nil {
		return err
	}
	if !known {
		return r.bury(ctx, e, attendees.Deleted)
	}
	if held.DeletedAt != nil {
		return nil
	}
	// Where all openings are there, who is kept is known.
	lost := slices.ContainsFunc(r.entries, func(o redoEntry) bool { return o.Event == e.Event && o.Person != nil && !o.whole })
	if stay := int(e.Counts["held"]); stay > 0 && lost && !r.dates[e.Event].deleted {
		kept, err := r.keptAlone(ctx, r.db, held.Key)
		if err != nil {
			return err
		}
		if len(kept) < stay {
			return r.keepAll(ctx, e)
		}
	}
	_, err = r.db.ExecContext(ctx, `
		update events
		set ends_on = least(ends_on, $2), block_on = least(block_on, $2), delete_on = least(delete_on, $2),
		    accepted_block_on = least(accepted_block_on, $2), accepted_delete_on = least(accepted_delete_on, $2)
		where id = $1`, held.Key, day{held.Today(e.At)})
	if err != nil {
		return quiet("date an event's deletion", err)
	}
	n, err := r.Store.Delete(ctx, e.event())
	if errors.As(err, new(*HeldError)) {
		r.done.Kept = append(r.done.Kept, e.event())
		return nil
	}
	if err == nil && n > 0 {
		r.done.Deleted = append(r.done.Deleted, Redone{e.event(), n})
	}
	return err
}

// keepAll keeps an event whole, under a hold, from whose deletion somebody had been kept
// whom nobody knows any more.
func (r *redo) keepAll(ctx context.Context, e redoEntry) error {
	r.done.Kept = append(r.done.Kept, e.event())
	return r.holdWhole(ctx, e, fmt.Sprintf(
		"A backup was restored, and it is not known any more who of event %s stayed when the others were deleted on %s (ledger entry %d): "+
			"the whole event is held. Look in your own letters who asked for a restriction or is held, do that again, then release this hold",
		e.Event, e.At.Format("2006-01-02"), e.index))
}

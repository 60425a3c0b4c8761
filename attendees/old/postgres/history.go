package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// An event that is past its block date when it is first seen has no readable room. It
// is pulled once, and its people are sealed as they come: first its own listing, then
// its forms. When all of them have run dry, Block ends it as it ends every other.

// SealsAsItComes tells that the event was past its block date when it was first seen,
// and that its feeds have not run dry yet.
func (e Event) SealsAsItComes(now time.Time) bool {
	return e.History && e.BlockedAt == nil && !e.Open(now) && !e.Expired(now)
}

// noteHistory notes that an event is past its block date when it is first seen, and
// forgets it where it was postponed before the first of its people came.
func (s *Store) noteHistory(ctx context.Context, tx *sqlx.Tx, id uuid.UUID, fresh bool) error {
	events, err := s.lockEvents(ctx, tx, []uuid.UUID{id})
	if err != nil {
		return err
	}
	e, now := events[id], s.now()
	history := fresh && !e.Open(now) && !e.Expired(now) || e.History && !e.Open(now)
	if history == e.History {
		return nil
	}
	_, err = tx.ExecContext(ctx, `update events set history = $2 where id = $1`, id, history)
	return quiet("save an event", err)
}

// BeginHistory makes an event ready to be sealed as it comes: blocked before the first
// of its people is here, so that nothing readable gets in. It may be called again. What
// it gives is to be looked at: the event may be postponed, or ended by now.
func (s *Store) BeginHistory(ctx context.Context, id attendees.EventID) (e Event, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 for update`, id)
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownEventError{Event: id}
		}
		if err != nil {
			return quiet("lock an event", err)
		}
		if e.State != attendees.Active || !e.SealsAsItComes(s.now()) {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `update events set state = 'blocked' where id = $1`, e.Key); err != nil {
			return quiet("block an event", err)
		}
		e.State = attendees.Blocked
		return nil
	})
	if err != nil || !e.SealsAsItComes(s.now()) {
		return e, err
	}
	return e, s.buildRoom(ctx, sealedRooms, e.Key)
}

// MarkHistoryRead notes that the event's own listing has run dry. From here on its
// forms are read, each from its beginning: who their responses belong to is known now.
func (s *Store) MarkHistoryRead(ctx context.Context, tx *sqlx.Tx, e Event) error {
	if _, err := tx.ExecContext(ctx, `update events set pulled_at = $2 where id = $1`, e.Key, s.now()); err != nil {
		return quiet("mark an event as pulled", err)
	}
	return s.readFormsAgain(ctx, tx, e.Key)
}

// comesIn tells whether people or responses of an event that is sealed as it comes are
// still to come: a form has run dry once it was read to its end since it was linked.
// On the day of its deletion nothing comes in any more.
func (s *Store) comesIn(ctx context.Context, q sqlx.QueryerContext, e Event) (bool, error) {
	if e.Expired(s.now()) {
		return false, nil
	}
	var over, dry bool
	err := sqlx.GetContext(ctx, q, &over, `
		select exists (
			select from tasks
			where event_id = $1 and kind = $2 and done_at is not null and done_by <> '')`, e.Key, taskComing)
	if err != nil || over {
		return false, quiet("look whether staff end an event", err)
	}
	err = sqlx.GetContext(ctx, q, &dry, `select pulled_at is not null from events where id = $1`, e.Key)
	if err != nil || !dry {
		return true, quiet("look whether an event has run dry", err)
	}
	forms, err := s.undry(ctx, q, e)
	return len(forms) > 0, err
}

// Undry lists the forms of an event that were not read to their end since they were
// linked.
func (s *Store) Undry(ctx context.Context, e Event) ([]attendees.FormID, error) {
	return s.undry(ctx, s.db, e)
}

func (s *Store) undry(ctx context.Context, q sqlx.QueryerContext, e Event) ([]attendees.FormID, error) {
	var forms []attendees.FormID
	err := sqlx.SelectContext(ctx, q, &forms, `
		select distinct l.form_id
		from links l
		left join feeds f on f.name = $2 || l.form_id
		where l.event_id = $1 and l.form_id <> $3 and f.watermark is null
		order by l.form_id`, e.Key, FormFeed(""), attendees.EventbriteForm)
	return forms, quiet("look which forms have run dry", err)
}

// come has the feeds of an event whose people are sealed read once more, sealing as they
// come. Of whom nothing else is known, she agreed: a yes that its source shows no more
// still counts.
func (s *Store) come(ctx context.Context, tx *sqlx.Tx, e Event) error {
	asks, err := (&blocker{Store: s, event: e}).asksAgreement(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		update sealed
		set agreed = true
		where event_id = $1 and part = 'registration' and agreed is null and $2`, e.Key, asks)
	if err != nil {
		return quiet("have a sealed event read again", err)
	}
	// Her record has what the forms said and what she had corrected, which the listing does
	// not know: a version that was read before does not replace it.
	_, err = tx.ExecContext(ctx, `
		update attendees
		set changed_at = changed_at + interval '1 millisecond'
		where event_id = $1`, e.Key)
	if err != nil {
		return quiet("have a sealed event read again", err)
	}
	_, err = tx.ExecContext(ctx, `
		update receipts
		set recalled_at = $2
		where event_id = $1 and recalled_at is null`, e.Key, s.now())
	if err != nil {
		return quiet("recall exports", err)
	}
	if _, err := tx.ExecContext(ctx, `update events set history = true, blocked_at = null, doubted = false where id = $1`, e.Key); err != nil {
		return quiet("have a sealed event read again", err)
	}
	// Its sources are read from now on, whatever was decided about an earlier reading.
	if err := s.forgetEnded(ctx, tx, e.Key); err != nil {
		return err
	}
	// That waits for no source: an event may come in for long.
	if err := s.askLists(ctx, tx, e); err != nil {
		return err
	}
	return s.readAnew(ctx, tx, e)
}

// forgetEnded forgets that staff had ended an event: that was about an earlier reading.
func (s *Store) forgetEnded(ctx context.Context, tx *sqlx.Tx, event uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `
		delete from tasks
		where event_id = $1 and kind = $2 and done_at is not null`, event, taskComing)
	return quiet("have an event read again", err)
}

// comingDays is how long after its block date an event may come in before staff are asked.
const comingDays = 30

// askComing asks staff about events that have come in for long: a source that is gone, or
// whose token is, would keep who never agreed, and all copies of its lists, until the end.
func (s *Store) askComing(ctx context.Context) error {
	events, err := s.Events(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		since := e.BlockOn.Date
		if since.Before(e.FirstSeenOn.Date) {
			since = e.FirstSeenOn.Date
		}
		if !e.SealsAsItComes(s.now()) || e.Today(s.now()).Before(since.AddDays(comingDays)) {
			continue
		}
		says := fmt.Sprintf("Event %s was to be blocked on %s and is still not read to its end: until then it is sealed as it comes, "+
			"and nobody of it goes who never agreed. Where a source will not have the rest any more, tick this off: "+
			"the event ends with what is here", e.ID, e.BlockOn)
		if err := s.InTx(ctx, func(tx *sqlx.Tx) error { return s.ask(ctx, tx, e.Key, taskComing, says) }); err != nil {
			return err
		}
	}
	return nil
}

// keepRead lets no version of a registration that is read again replace what stands in the
// readable room alone, which is about to go: what was corrected, and what an answer that was
// linked by hand says.
func (b *blocker) keepRead(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		update attendees a
		set changed_at = '9999-12-31'
		from personal p
		where p.event_id = $1 and p.id = a.id and p.part = 'registration'
		  and (p.corrected <> '{}' or exists (
			select from personal r
			where r.event_id = $1 and r.part = 'response' and r.attendee_id = p.id and r.matched_by = 'hand'))`, b.event.Key)
	return quiet("keep what was read", err)
}

// halfRead tells that an event's own listing has not run dry, though its block date has
// come, or that a form fails that was not read up to it. Who is there is sealed, by a pull that was cut off or one by one, while the rest
// seals as it comes; where there is nothing, all of it is coming.
func (b *blocker) halfRead(ctx context.Context, tx *sqlx.Tx) (half bool, err error) {
	switch {
	case b.event.History || b.event.Expired(b.now()):
		return false, nil
	case b.event.PulledAt != nil:
		return b.staleForm(ctx, tx)
	case b.event.State != attendees.Active:
		return true, nil // a blocking was cut off, which found it so
	}
	err = tx.GetContext(ctx, &half, `
		select exists (select from attendees where event_id = $1)
			or exists (select from personal where event_id = $1)`, b.event.Key)
	if err != nil || half {
		return half, quiet("look whether an event was read", err)
	}
	b.coming = true
	_, err = tx.ExecContext(ctx, `update events set history = true where id = $1`, b.event.Key)
	return false, quiet("have an event sealed as it comes", err)
}

// staleForm tells that a form in which people agree fails, and was not read up to the block
// date: who agreed meanwhile would go as one who never did.
func (b *blocker) staleForm(ctx context.Context, tx *sqlx.Tx) (stale bool, err error) {
	err = tx.GetContext(ctx, &stale, `
		select exists (
			select from link_fields l
			join feeds f on f.name = $2 || l.form_id
			where l.event_id = $1 and l.field = 'agreed' and f.failed_at is not null and f.watermark < $3)`,
		b.event.Key, FormFeed(""), b.event.blockedFrom())
	return stale, quiet("look how far a form was read", err)
}

// CountSealed counts an event's people whose registrations are sealed.
func (s *Store) CountSealed(ctx context.Context, e Event) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `select count(*) from sealed where event_id = $1 and part = 'registration'`, e.Key)
	return n, quiet("count sealed records", err)
}

// settleHistory ends an event that was sealed as it came: it decides who of those without
// an agreement goes, as tally does for others, and drops what was kept to decide it. It
// does nothing but note so where something is still to come.
func (b *blocker) settleHistory(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, `select from events where id = $1 for update`, b.event.Key); err != nil {
		return quiet("lock an event", err)
	}
	var err error
	if b.coming, err = b.comesIn(ctx, tx, b.event); err != nil || b.coming {
		return err
	}
	event := b.event.Key
	// Who moved on to another event has her record there; under a hold what she answered here
	// stays, until dropReleased.
	_, err = tx.ExecContext(ctx, `
		delete from sealed s
		where s.event_id = $1
		  and exists (select from attendees a where a.id = s.attendee_id and a.event_id <> $1)
		  and not `+holding("$1", "s.attendee_id", "$2"), event, b.holdDay())
	if err != nil {
		return quiet("let go who moved on", err)
	}
	var all, agreed int // of those who were not sealed for themselves before, as tally counts
	err = tx.QueryRowxContext(ctx, `
		select count(*), count(*) filter (where yes)
		from (
			select coalesce(bool_or(s.agreed), false) as yes
			from attendees a
			left join sealed s on s.event_id = $1 and s.attendee_id = a.id
			where a.event_id = $1 and a.state = 'active'
			group by a.id) as each`, event).Scan(&all, &agreed)
	if err != nil {
		return quiet("count an event", err)
	}
	b.event.Doubted = b.agrees && 2*agreed < all
	if b.agrees && !b.event.Doubted {
		if b.lost, err = b.dropsMore(ctx, tx); err != nil {
			return err
		}
		b.event.Doubted = b.lost
	}
	if b.agrees && !b.event.Doubted && !b.held {
		if err := b.dropUnsaid(ctx, tx); err != nil {
			return err
		}
	}
	// Of who is left without a yes it stays to be known who goes: with the doubt's answer,
	// or with the hold.
	_, err = tx.ExecContext(ctx, `
		update sealed s
		set agreed = case when $2 or $3 and not a.yes then a.yes end
		from (
			select attendee_id, coalesce(bool_or(agreed), false) as yes
			from sealed
			where event_id = $1
			group by attendee_id) as a
		where s.event_id = $1 and s.attendee_id = a.attendee_id
		  and s.agreed is distinct from case when $2 or $3 and not a.yes then a.yes end
		  and exists (select from attendees t where t.id = s.attendee_id)`, event, b.event.Doubted, b.agrees)
	if err != nil {
		return quiet("settle who agreed", err)
	}
	_, err = tx.ExecContext(ctx, `
		with agreed as (
			insert into tallies (event_id, what, people)
			select $1, 'agreed', $2::integer
			where $2 >= $3
			on conflict do nothing
		)
		delete from tallies where event_id = $1 and people < $3`, event, agreed, tallyLeast)
	if err != nil {
		return quiet("keep an event's counts", err)
	}
	if err := b.hideRest(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		update tasks
		set done_at = $3
		where event_id = $1 and kind = $2 and done_at is null`, event, taskComing, b.now())
	if err != nil {
		return quiet("end an event that came in", err)
	}
	_, err = tx.ExecContext(ctx, `update events set doubted = $2 where id = $1`, event, b.event.Doubted)
	return quiet("block an event", err)
}

// unsaid is true of a sealed record "s" of somebody of event $1 who never said yes in any part.
const unsaid = `
	s.event_id = $1
	and exists (select from attendees a where a.id = s.attendee_id)
	and not exists (select from sealed o where o.event_id = $1 and o.attendee_id = s.attendee_id and o.agreed)`

// unkept is true of one whom neither a restriction nor, on the day $2, a hold on her alone keeps.
var unkept = `not ` + restricted + `
	and not exists (select from holds h where h.attendee_id = s.attendee_id and ` + standing("$2") + `)`

// dropsMore tells that an event that was blocked before, and is read again after a
// replay, would lose more people than the ledger says went, or be left with fewer than
// stayed: what somebody had agreed since the backup may be gone at its source by now. Whom a
// hold or a restriction keeps counts, too: she would go with its end, when nobody asks any
// more. What went is told by the entries until the event was blocked once more: from there
// on the same people go again.
func (b *blocker) dropsMore(ctx context.Context, tx *sqlx.Tx) (more bool, err error) {
	err = tx.GetContext(ctx, &more, `
		with entries as materialized (
			select index, leaf::json as entry
			from ledger_entries
			where substring(leaf from '"event":"([^"]+)"') = $2 and leaf ~ '"kind":"(blocked|answered|hold_dropped|erased)"'
		), once as (
			select index, entry, count(*) filter (where entry->>'kind' = 'blocked') over (order by index) as blockings,
				row_number() over (partition by entry->>'kind' order by index) as nth
			from entries
		), went as (
			select coalesce(sum(coalesce(entry->'counts'->>'dropped', entry->'counts'->>'people')::bigint), 0) as people,
				coalesce(sum(coalesce(entry->'counts'->>'dropped', entry->'counts'->>'people')::bigint) filter (where entry->>'kind' <> 'blocked'), 0) as later
			from once
			where blockings = 1 and (nth = 1 or entry->>'kind' = 'hold_dropped') and entry->>'kind' <> 'erased'
		), here as (
			select count(distinct s.attendee_id) as people,
				count(distinct s.attendee_id) filter (where not exists (
					select from sealed o where o.event_id = $1 and o.attendee_id = s.attendee_id and o.agreed)) as unsaid
			from sealed s
			where s.event_id = $1 and exists (select from attendees a where a.id = s.attendee_id)
		)
		select exists (select from entries where entry->>'kind' = 'blocked')
		  and (h.unsaid > w.people or h.unsaid > 0 and h.people - h.unsaid < (
			select (entry->'counts'->>'sealed')::bigint
			from once
			where entry->>'kind' = 'blocked' and nth = 1) - w.later - (
			select count(*) from entries where entry->>'kind' = 'erased'))
		from went w, here h`, b.event.Key, b.event.ID)
	return more, quiet("compare an event with the ledger", err)
}

// dropUnsaid drops, unopened, the records of those who never said yes; their rows go as
// those of everybody without a record do.
func (b *blocker) dropUnsaid(ctx context.Context, tx *sqlx.Tx) error {
	result, err := tx.ExecContext(ctx, `delete from sealed s where `+unsaid+` and `+unkept, b.event.Key, b.holdDay())
	if err != nil {
		return quiet("drop those without an agreement", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("drop those without an agreement", err)
	}
	return b.askRewrite(ctx, tx, sealedRooms, b.event.Key)
}

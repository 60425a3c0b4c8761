package postgres

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/seal"
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
	var dry bool
	err := sqlx.GetContext(ctx, q, &dry, `select pulled_at is not null from events where id = $1`, e.Key)
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

// CountSealed counts an event's people whose registrations are sealed.
func (s *Store) CountSealed(ctx context.Context, e Event) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `select count(*) from sealed where event_id = $1 and part = 'registration'`, e.Key)
	return n, quiet("count sealed records", err)
}

// sealing is the blocker of an event that takes people in sealed; nil: it does not.
func (s *Store) sealing(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, e Event) (*blocker, error) {
	if e.State != attendees.Blocked || !e.SealsAsItComes(s.now()) {
		return nil, nil
	}
	held, err := s.isHeld(ctx, tx, e.Key, uuid.Nil)
	return &blocker{Store: s, sealer: sealer, event: e, held: held}, err
}

// SealRegistrations seals what is left of an event's registrations after the policy has
// minimised them: of an event that SealsAsItComes and whose BeginHistory was called. Of
// any other, and of who was erased, nothing is kept, and it is counted as late.
//
// It may be called twice with the same batch, and with older versions after newer ones:
// what the source changed last stands. One that moved here from another event leaves its
// room there. It runs in the caller's transaction, as Save does.
func (s *Store) SealRegistrations(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, source attendees.SourceName, id attendees.EventID, batch []attendees.Minimised) (Changes, error) {
	var n Changes
	var parts []part
	for _, m := range batch {
		if p := s.registrationPart(source, m.Attendee()); p.outside == id {
			parts = append(parts, p)
			continue
		}
		n.Late++
	}
	parts = newestOnly(parts)
	key := eventKey(source, id)
	left, err := s.eventsOf(ctx, tx, keysOf(parts))
	if err != nil {
		return n, err
	}
	events, err := s.lockEvents(ctx, tx, append(left, key))
	if err != nil {
		return n, err
	}
	b, err := s.sealing(ctx, tx, sealer, events[key])
	if err != nil || b == nil {
		n.Late += len(parts)
		return n, err
	}
	known, err := s.held(ctx, tx, key, parts)
	if err != nil {
		return n, err
	}
	erased, err := s.barred(ctx, tx, key, unknown(parts, known))
	if err != nil {
		return n, err
	}
	var moved []uuid.UUID
	write := parts[:0]
	for _, p := range parts {
		h, there := known[p.id]
		switch {
		case erased[p.id] || there && h.State != attendees.Active:
			n.Late++
			continue
		case !there:
			n.New++
		case p.changed.Before(h.ChangedAt):
			n.Unchanged++
			continue
		case h.Event != key:
			moved = append(moved, p.id)
			n.New++
		case p.changed.After(h.ChangedAt):
			n.Changed++
		default:
			n.Unchanged++ // but other questions may be linked by now
		}
		write = append(write, p)
	}
	if err := s.leaveRooms(ctx, tx, moved, known); err != nil {
		return n, err
	}
	for _, id := range moved {
		if err := s.askRewrite(ctx, tx, personalRooms, known[id].Event); err != nil {
			return n, err
		}
	}
	return n, b.sealParts(ctx, tx, write, known)
}

// sealParts writes registrations: ids and index to attendees, the rest sealed.
func (b *blocker) sealParts(ctx context.Context, tx *sqlx.Tx, parts []part, known map[uuid.UUID]heldAttendee) error {
	if len(parts) == 0 {
		return nil
	}
	event, c := b.event.Key, columnsOf(parts)
	if err := b.upsertAttendees(ctx, tx, event, parts[0].source, c); err != nil {
		return err
	}
	var rows []struct {
		ID     uuid.UUID `db:"id"`
		Alone  bool      `db:"alone"`
		Held   bool      `db:"held"`
		Sealed bool      `db:"sealed"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select a.id,
			a.address_index <> '' and not exists (
				select from attendees o
				where o.event_id = a.event_id and o.address_index = a.address_index and o.id <> a.id) as alone,
			exists (select from holds h where h.attendee_id = a.id and `+standing("$3")+`) as held,
			exists (
				select from sealed s
				where s.event_id = $1 and s.attendee_id = a.id and s.part = 'registration') as sealed
		from attendees a
		where a.event_id = $1 and a.id = any($2::uuid[])
		order by a.id`, event, c.ids, b.today())
	if err != nil {
		return quiet("look who is sealed already", err)
	}
	byID := make(map[uuid.UUID]part, len(parts))
	for _, p := range parts {
		byID[p.id] = p
	}
	var batch []readable
	var shared [][]byte
	var elsewhere []uuid.UUID // whose address is another one now
	var fresh []part
	for _, r := range rows {
		p := byID[r.ID]
		seen := p.readable()
		seen.Alone, seen.Held = r.Alone, r.Held
		batch = append(batch, seen)
		if !r.Alone && len(p.addressIndex) > 0 {
			shared = append(shared, p.addressIndex)
		}
		if !r.Sealed {
			fresh = append(fresh, p)
		}
		if h, there := known[r.ID]; there && !slices.Equal(h.Index, p.addressIndex) {
			elsewhere = append(elsewhere, r.ID)
		}
	}
	sealed, err := b.sealBatch(batch)
	if err != nil {
		return err
	}
	if err := b.upsertSealed(ctx, tx, sealed); err != nil {
		return err
	}
	if err := b.closeHalves(ctx, tx, shared, elsewhere); err != nil {
		return err
	}
	return b.count(ctx, tx, fresh)
}

// readable is a part as a record is made of it.
func (p part) readable() readable {
	r := readable{
		ID: p.id, SourceID: p.sourceID, Name: p.name, Email: p.email, Ticket: p.ticket, Status: string(p.status),
		Attended: p.attended, Version: p.version, Affiliation: p.affiliation, Answers: []byte(p.answers),
	}
	if !p.agreed.IsZero() {
		agreed := p.agreed.UTC()
		r.AgreedAt = &agreed
	}
	for _, f := range p.forums {
		r.Forums = append(r.Forums, f.Reveal())
	}
	return r
}

// upsertSealed writes sealed rows; one that is there already is replaced.
func (b *blocker) upsertSealed(ctx context.Context, tx *sqlx.Tx, rows []sealedRow) error {
	if len(rows) == 0 {
		return nil
	}
	var ids, parts, keys, agreed pq.StringArray
	var officers, persons pq.ByteaArray
	for _, r := range rows {
		key, yes := "", ""
		if r.sealed.Person != nil {
			key = r.sealed.Key
		}
		switch r.agreed {
		case true:
			yes = "true"
		case false:
			yes = "false"
		}
		ids, parts, keys, agreed = append(ids, r.attendee.String()), append(parts, r.part), append(keys, key), append(agreed, yes)
		officers, persons = append(officers, r.sealed.Officers), append(persons, append([]byte{}, r.sealed.Person...))
	}
	_, err := tx.ExecContext(ctx, `
		insert into sealed (event_id, attendee_id, part, officers, person, person_key, officer_keys, agreed, sealed_at)
		select $1, attendee_id, part, officers, nullif(person, ''), person_key, $2, nullif(agreed, '')::boolean, $3
		from unnest($4::uuid[], $5::text[], $6::bytea[], $7::bytea[], $8::text[], $9::text[])
			as t (attendee_id, part, officers, person, person_key, agreed)
		on conflict (event_id, attendee_id, part) do update set
			officers = excluded.officers,
			person = excluded.person,
			person_key = excluded.person_key,
			officer_keys = excluded.officer_keys,
			agreed = excluded.agreed,
			sealed_at = excluded.sealed_at`,
		b.event.Key, pq.StringArray(b.sealer.Officers().IDs()), b.now(), ids, parts, officers, persons, keys, agreed)
	return quiet("keep sealed records", err)
}

// closeHalves drops the person's halves of those whose address is shared since another
// came, and those that stand under an address that the person has no more.
func (b *blocker) closeHalves(ctx context.Context, tx *sqlx.Tx, shared [][]byte, elsewhere []uuid.UUID) error {
	if len(shared)+len(elsewhere) == 0 {
		return nil
	}
	result, err := tx.ExecContext(ctx, `
		update sealed s
		set person = null, person_key = ''
		where s.event_id = $1 and s.person is not null
		  and (s.attendee_id in (select id from attendees where event_id = $1 and address_index = any($2::bytea[]))
		       or s.attendee_id = any($3::uuid[]) and s.part like 'response:%')`,
		b.event.Key, pq.ByteaArray(shared), pq.StringArray(texts(elsewhere)))
	if err != nil {
		return quiet("drop persons' halves", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("drop persons' halves", err)
	}
	return b.askRewrite(ctx, tx, sealedRooms, b.event.Key)
}

// count adds those who came for the first time to the event's counts, in the transaction
// that seals them: later nobody can tell any more.
func (b *blocker) count(ctx context.Context, tx *sqlx.Tx, fresh []part) error {
	var what pq.StringArray
	for _, p := range fresh {
		what = append(what, "registered")
		if p.attended {
			what = append(what, "attended")
		}
		if p.ticket != "" {
			what = append(what, "ticket: "+p.ticket)
		}
	}
	_, err := tx.ExecContext(ctx, `
		insert into tallies (event_id, what, people)
		select $1, what, count(*)
		from unnest($2::text[]) as t (what)
		group by what
		on conflict (event_id, what) do update set people = tallies.people + excluded.people`, b.event.Key, what)
	return quiet("keep an event's counts", err)
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
	// Who moved on to another event has her record there.
	_, err = tx.ExecContext(ctx, `
		delete from sealed s
		where s.event_id = $1 and exists (select from attendees a where a.id = s.attendee_id and a.event_id <> $1)`, event)
	if err != nil {
		return quiet("let go who moved on", err)
	}
	var all, agreed int
	err = tx.QueryRowxContext(ctx, `
		select count(*), count(*) filter (where yes)
		from (
			select coalesce(bool_or(s.agreed), false) as yes
			from attendees a
			left join sealed s on s.event_id = $1 and s.attendee_id = a.id
			where a.event_id = $1
			group by a.id) as each`, event).Scan(&all, &agreed)
	if err != nil {
		return quiet("count an event", err)
	}
	b.event.Doubted = b.agrees && 2*agreed < all
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
	_, err = tx.ExecContext(ctx, `update events set doubted = $2 where id = $1`, event, b.event.Doubted)
	return quiet("block an event", err)
}

// dropUnsaid drops, unopened, the records of those who never said yes in any part and
// whom no hold keeps; their rows go as those of everybody without a record do.
func (b *blocker) dropUnsaid(ctx context.Context, tx *sqlx.Tx) error {
	result, err := tx.ExecContext(ctx, `
		delete from sealed s
		where s.event_id = $1
		  and exists (select from attendees a where a.id = s.attendee_id)
		  and not exists (select from sealed o where o.event_id = $1 and o.attendee_id = s.attendee_id and o.agreed)
		  and not exists (select from holds h where h.attendee_id = s.attendee_id and `+standing("$2")+`)`, b.event.Key, b.today())
	if err != nil {
		return quiet("drop those without an agreement", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("drop those without an agreement", err)
	}
	return b.askRewrite(ctx, tx, sealedRooms, b.event.Key)
}

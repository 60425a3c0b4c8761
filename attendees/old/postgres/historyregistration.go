package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

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
	where, err := s.eventsOf(ctx, tx, keysOf(parts))
	if err != nil {
		return n, err
	}
	events, err := s.lockEvents(ctx, tx, append(rooms(where, keysOf(parts)), key))
	if err != nil {
		return n, err
	}
	b, err := s.sealing(ctx, tx, sealer, events[key])
	if err != nil || b == nil {
		n.Late += len(parts)
		return n, err
	}
	for i := range parts {
		s.index(&parts[i], b.event)
	}
	known, err := s.held(ctx, tx, where, parts)
	if err != nil {
		return n, err
	}
	erased, err := s.barred(ctx, tx, key, unknown(parts, known))
	if err != nil {
		return n, err
	}
	waits, err := s.waiting(ctx, tx, sealer, parts, erased)
	if err != nil {
		return n, err
	}
	fresh := unknown(parts, known)
	withdrawn, err := s.withdrawnBefore(ctx, tx, fresh)
	if err != nil {
		return n, err
	}
	if err := s.meetHolds(ctx, tx, key, fresh); err != nil {
		return n, err
	}
	var moved, agreed []uuid.UUID
	write := parts[:0]
	for _, p := range parts {
		h, there := known[p.id]
		if there && !p.agreed.IsZero() { // whether or not this version replaces hers
			agreed = append(agreed, p.id)
		}
		switch {
		case erased[p.id] || there && h.State != attendees.Active:
			n.Late++
			continue
		case !there:
			n.New++
			p.drop(s.withdrawnFields(withdrawn[p.id]))
		case p.changed.Before(h.ChangedAt):
			n.Unchanged++
			continue
		case h.Event != key && !events[h.Event].takesLeave(s.now()):
			n.Late++ // her old event is over: she is sealed there, or will be
			continue
		case h.Event != key:
			moved = append(moved, p.id)
			n.New++
		case p.changed.After(h.ChangedAt):
			n.Changed++
		default:
			n.Unchanged++ // but other questions may be linked by now
		}
		if there && len(h.Corrected) > len("{}") {
			if err := s.correct(&p, h.Corrected, events[h.Event].ID); err != nil {
				return n, err
			}
		}
		p.drop(s.withdrawnFields(h.Withdrawn))
		write = append(write, p)
	}
	if err := s.noteLeft(ctx, tx, b.event.Key, write, known); err != nil {
		return n, err
	}
	if err := s.leaveRooms(ctx, tx, b.event.Key, moved, known, false); err != nil {
		return n, err
	}
	for _, id := range moved {
		if err := s.askRewrite(ctx, tx, personalRooms, known[id].Event); err != nil {
			return n, err
		}
	}
	if err := s.noteAgreed(ctx, tx, key, agreed); err != nil {
		return n, err
	}
	if err := b.sealParts(ctx, tx, write, known, waits); err != nil {
		return n, err
	}
	if err := s.sealWaiting(ctx, tx, sealer, b.event, write, waits); err != nil {
		return n, err
	}
	return n, s.noteWithdrawn(ctx, tx, withdrawn)
}

// takesLeave tells whether people may move from an event to another one still.
func (e Event) takesLeave(now time.Time) bool { return e.Open(now) || e.SealsAsItComes(now) }

// sealParts writes registrations: ids and index to attendees, the rest sealed.
func (b *blocker) sealParts(ctx context.Context, tx *sqlx.Tx, parts []part, known map[uuid.UUID]heldAttendee, waits map[uuid.UUID]attendees.Reason) error {
	if len(parts) == 0 {
		return nil
	}
	event, c := b.event.Key, columnsOf(parts)
	if err := b.upsertAttendees(ctx, tx, event, parts[0], c); err != nil {
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
			a.address_index <> '' and not a.grouped and not exists (
				select from attendees o
				where o.event_id = a.event_id and o.address_index = a.address_index and o.id <> a.id) as alone,
			exists (select from holds h where h.attendee_id = a.id and `+standing("$3")+`) as held,
			exists (
				select from sealed s
				where s.event_id = $1 and s.attendee_id = a.id and s.part = 'registration') as sealed
		from attendees a
		where a.event_id = $1 and a.id = any($2::uuid[])
		order by a.id`, event, c.ids, b.holdDay())
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
		seen.Alone, seen.Held = r.Alone, r.Held || waits[r.ID] != "" // of what is sealed in part the rest is dropped
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
	r := readable{fieldRow: fieldRow{
		ID: p.id, SourceID: p.sourceID, Name: p.name, Email: p.email, Ticket: p.ticket, Status: string(p.status),
		Attended: p.attended, Version: p.version, Affiliation: p.affiliation, Answers: []byte(p.answers),
	}}
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
			agreed = sealed.agreed or excluded.agreed,
			sealed_at = excluded.sealed_at`,
		b.event.Key, pq.StringArray(b.sealer.Officers().IDs()), b.day(), ids, parts, officers, persons, keys, agreed)
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

package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// SealResponses seals one form's responses for those of its events whose people are
// sealed as they come, and takes them out of responses: what is left there is for
// SaveResponses, in the same transaction. A response of somebody who is sealed is left
// there only for an event that knows its person, too, so that nothing of it is readable.
//
// A response belongs to the attendee that its hidden field names, else to the one whose
// address it gives, where that address is one attendee's of the event. Names cannot tell
// any more: they are sealed. What belongs to nobody goes nowhere, but under a hold.
func (s *Store) SealResponses(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, responses map[attendees.EventID][]attendees.MinimisedResponse) (AnswerChanges, error) {
	var n AnswerChanges
	var keys []uuid.UUID
	for id := range responses {
		keys = append(keys, eventKey(attendees.Eventbrite, id))
	}
	events, err := s.lockEvents(ctx, tx, keys)
	if err != nil {
		return n, err
	}
	sealed := map[uuid.UUID]bool{}
	for _, e := range events {
		b, err := s.sealing(ctx, tx, sealer, e)
		if err != nil {
			return n, err
		}
		if b == nil {
			continue
		}
		if e.PulledAt != nil { // else its registrations come first, and the form is read again after them
			changes, ids, err := b.answers(ctx, tx, responses[e.ID])
			if err != nil {
				return n, err
			}
			n.New, n.Unchanged, n.Late = max(n.New, changes.New), max(n.Unchanged, changes.Unchanged), max(n.Late, changes.Late)
			maps.Copy(sealed, ids)
		} else if err := b.noteNamed(ctx, tx, responses[e.ID]); err != nil {
			return n, err
		}
		delete(responses, e.ID)
		delete(events, e.Key)
	}
	if len(sealed) == 0 {
		return n, nil
	}
	for _, e := range events {
		if responses[e.ID], err = s.leaveSealed(ctx, tx, e, responses[e.ID], sealed); err != nil {
			return n, err
		}
	}
	return n, nil
}

// noteNamed notes the yes of those whom responses name, while registrations are still to
// come: staff may end the event before they do.
func (b *blocker) noteNamed(ctx context.Context, tx *sqlx.Tx, responses []attendees.MinimisedResponse) error {
	var agreed []uuid.UUID
	for _, r := range responses {
		if p := b.responsePart(b.event, r.Response()); p.claimed != "" && !p.agreed.IsZero() {
			agreed = append(agreed, p.claims)
		}
	}
	return b.noteAgreed(ctx, tx, b.event.Key, agreed)
}

// found is the attendee whom a response belongs to.
type found struct {
	Response uuid.UUID `db:"response"`
	ID       uuid.UUID `db:"id"`
	SourceID string    `db:"source_id"`
	Opens    bool      `db:"opens"`   // she opens her record with the address that the response gives
	Held     bool      `db:"held"`    // or restricted: nothing of hers is dropped
	Sealed   bool      `db:"sealed"`  // it is there already
	Foreign  bool      `db:"foreign"` // it came from another address than the registration's
}

// answers seals an event's responses, each as a part of its attendee's record, and gives
// the keys of those that are.
func (b *blocker) answers(ctx context.Context, tx *sqlx.Tx, responses []attendees.MinimisedResponse) (AnswerChanges, map[uuid.UUID]bool, error) {
	var n AnswerChanges
	var parts []part
	for _, r := range responses {
		parts = append(parts, b.responsePart(b.event, r.Response()))
	}
	parts = newestOnly(parts)
	erased, err := b.barred(ctx, tx, b.event.Key, parts)
	if err != nil {
		return n, nil, err
	}
	owners, err := b.owners(ctx, tx, parts)
	if err != nil {
		return n, nil, err
	}
	var rows []sealedRow
	var guests []uuid.UUID // who answered from another address than the one that bought
	sealed := map[uuid.UUID]bool{}
	for _, p := range parts {
		owner, known := owners[p.id]
		var more []sealedRow
		switch {
		case erased[p.id]:
			n.Late++
			sealed[p.id] = true // nor does it stay anywhere else
		case known:
			if err := b.keepAnswer(ctx, tx, b.event.Key, owner.ID, answerID{string(p.form), p.sourceID}); err != nil {
				return n, nil, err
			}
			more, err = b.answer(p, owner)
			sealed[p.id] = true
			if owner.Foreign {
				guests = append(guests, owner.ID)
			}
			if owner.Sealed {
				n.Unchanged++
			} else {
				n.New++
			}
		case b.held:
			more, err = b.sealResponse(p.readable(), string(p.form), true, "")
		}
		if err != nil {
			return n, nil, err
		}
		rows = append(rows, more...)
	}
	if err := b.upsertSealed(ctx, tx, rows); err != nil {
		return n, nil, err
	}
	return n, sealed, b.closeGuests(ctx, tx, guests)
}

// closeGuests drops the halves by which an address would open the registration of a guest:
// whose it is, staff alone can say.
func (b *blocker) closeGuests(ctx context.Context, tx *sqlx.Tx, guests []uuid.UUID) error {
	if len(guests) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		update sealed
		set person = null, person_key = ''
		where event_id = $1 and attendee_id = any($2::uuid[]) and person is not null`, b.event.Key, pq.StringArray(texts(guests)))
	if err != nil {
		return quiet("drop persons' halves", err)
	}
	return b.askRewrite(ctx, tx, sealedRooms, b.event.Key)
}

// answer seals a response as a part of its attendee's record.
func (b *blocker) answer(p part, owner found) ([]sealedRow, error) {
	r := p.readable()
	r.ID, r.SourceID = owner.ID, owner.SourceID
	address := ""
	if owner.Opens {
		address = p.email.Reveal()
	}
	rows, err := b.sealResponse(r, string(p.form)+":"+p.sourceID, b.held || owner.Held, address)
	for i := range rows {
		rows[i].agreed = r.AgreedAt != nil
	}
	return rows, err
}

// owners finds whom responses belong to.
func (b *blocker) owners(ctx context.Context, tx *sqlx.Tx, parts []part) (map[uuid.UUID]found, error) {
	c := columnsOf(parts)
	var rows []found
	err := tx.SelectContext(ctx, &rows, `
		with r as materialized (
			select id, nullif(claims, '')::uuid as claims, address_index, 'response:' || form || ':' || source_id as part
			from unnest($2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::text[]) as t (id, claims, address_index, form, source_id)
		), verdict as materialized (
			select r.*, coalesce(
				(select a.id from attendees a where a.event_id = $1 and a.id = r.claims),
				(select case when count(*) = 1 then min(a.id::text)::uuid end
				 from attendees a
				 where a.event_id = $1 and r.address_index <> '' and a.address_index = r.address_index)) as attendee_id
			from r
		)
		select v.id as response, a.id, a.source_id,
			a.address_index <> '' and v.address_index <> '' and a.address_index <> v.address_index as foreign,
			a.address_index <> '' and a.address_index = v.address_index and exists (
				select from sealed s
				where s.event_id = $1 and s.attendee_id = a.id and s.part = 'registration' and s.person is not null) as opens,
			a.reason in ('restriction', 'objection') or exists (select from holds h where h.attendee_id = a.id and `+standing("$7")+`) as held,
			exists (select from sealed s where s.event_id = $1 and s.attendee_id = a.id and s.part = v.part) as sealed
		from verdict v
		join attendees a on a.id = v.attendee_id`,
		b.event.Key, c.ids, c.claims, c.indexes, c.forms, c.sourceIDs, b.holdDay())
	owners := make(map[uuid.UUID]found, len(rows))
	for _, f := range rows {
		owners[f.Response] = f
	}
	return owners, quiet("match responses", err)
}

// leaveSealed gives those of an event's responses that are not sealed elsewhere, or whose
// person the event knows as well. Copies of others that it held, as nobody's, go.
func (s *Store) leaveSealed(ctx context.Context, tx *sqlx.Tx, e Event, responses []attendees.MinimisedResponse, sealed map[uuid.UUID]bool) ([]attendees.MinimisedResponse, error) {
	var parts []part
	for _, r := range responses {
		if p := s.responsePart(e, r.Response()); sealed[p.id] {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return responses, nil
	}
	c := columnsOf(parts)
	var strangers []uuid.UUID
	err := tx.SelectContext(ctx, &strangers, `
		select r.id
		from unnest($2::uuid[], $3::text[], $4::bytea[]) as r (id, claims, address_index)
		where not exists (select from attendees a where a.event_id = $1 and a.id = nullif(r.claims, '')::uuid)
		  and not exists (
			select from attendees a
			where a.event_id = $1 and r.address_index <> '' and a.address_index = r.address_index)`,
		e.Key, c.ids, c.claims, c.indexes)
	if err != nil {
		return nil, quiet("look whose responses these are", err)
	}
	result, err := tx.ExecContext(ctx, `
		delete from personal
		where event_id = $1 and id = any($2::uuid[]) and part = 'response' and attendee_id is null`,
		e.Key, pq.StringArray(texts(strangers)))
	if err != nil {
		return nil, quiet("drop copies of sealed responses", err)
	}
	copies, err := result.RowsAffected()
	if err != nil {
		return nil, quiet("drop copies of sealed responses", err)
	}
	if copies > 0 {
		if err := s.askRewrite(ctx, tx, personalRooms, e.Key); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(responses, func(r attendees.MinimisedResponse) bool {
		answers := r.Response()
		return slices.Contains(strangers, responseKey(answers.Form, answers.ID))
	}), nil
}

package postgres

import (
	"bytes"
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// A group order is several registrations of an event under one address. Whose each is its
// address does not say, now or once the others have gone.

// alone is true of an attendee "a" of the event $1 whose address is hers alone: nobody else
// of the event has it, and none of her answers came from another one, as a guest's do whose
// ticket somebody else bought.
const alone = `a.address_index <> '' and not a.grouped and not exists (
		select from attendees o
		where o.event_id = a.event_id and o.address_index = a.address_index and o.id <> a.id)
	and not exists (
		select from personal q
		where q.event_id = $1 and q.part = 'response' and q.attendee_id = a.id
		  and q.address_index <> '' and q.address_index <> a.address_index)
	and not exists (
		select from personal q
		where q.event_id = $1 and q.part = 'response' and q.claims = a.id
		  and q.address_index <> '' and q.address_index <> a.address_index)`

// noteGrouped notes who has the same address as somebody who is about to leave it, or her
// event: which ticket of a group order is its buyer's is not known, whatever becomes of the
// others.
func (s *Store) noteGrouped(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, indexes pq.ByteaArray) error {
	if len(indexes) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		update attendees a
		set grouped = true
		where a.event_id = $1 and a.address_index = any($2) and a.address_index <> '' and not a.grouped and exists (
			select from attendees o
			where o.event_id = $1 and o.address_index = a.address_index and o.id <> a.id)`, event, indexes)
	return quiet("note a group order", err)
}

// noteLeaving does so for one who is about to go.
func (s *Store) noteLeaving(ctx context.Context, tx *sqlx.Tx, event, attendee uuid.UUID) error {
	var index []byte
	err := tx.GetContext(ctx, &index, `select coalesce((select address_index from attendees where id = $1), '')`, attendee)
	if err != nil {
		return quiet("look for an address", err)
	}
	return s.noteGrouped(ctx, tx, event, pq.ByteaArray{index})
}

// noteLeft does so for those of whom a newer version has another address, or event.
func (s *Store) noteLeft(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, newer []part, held map[uuid.UUID]heldAttendee) error {
	left := map[uuid.UUID]pq.ByteaArray{}
	for _, p := range newer {
		h, known := held[p.id]
		if known && len(h.Index) > 0 && (h.Event != event || !bytes.Equal(h.Index, p.addressIndex)) {
			left[h.Event] = append(left[h.Event], h.Index)
		}
	}
	for event, indexes := range left {
		if err := s.noteGrouped(ctx, tx, event, indexes); err != nil {
			return err
		}
	}
	return nil
}

// closeShared drops the person's half of those who were sealed early and whose address
// somebody else of the event has now, too: it is no longer one person's.
func (s *Store) closeShared(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, written []part) error {
	var some bool
	if err := tx.GetContext(ctx, &some, `select exists (select from attendees where event_id = $1 and state = 'blocked')`, event); err != nil || !some {
		return quiet("look for those who were sealed early", err)
	}
	indexes := make(pq.ByteaArray, 0, len(written))
	for _, p := range written {
		if len(p.addressIndex) > 0 {
			indexes = append(indexes, p.addressIndex)
		}
	}
	result, err := tx.ExecContext(ctx, `
		update sealed
		set person = null, person_key = ''
		where event_id = $1 and person is not null
		  and attendee_id in (select id from attendees where event_id = $1 and state = 'blocked' and address_index = any($2))`, event, indexes)
	if err != nil {
		return quiet("close a shared address", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("close a shared address", err)
	}
	return s.askRewrite(ctx, tx, sealedRooms, event)
}

// noteGroups notes all group orders, as noteGrouped does: from here on some of them may go,
// now or with a doubt's answer or a hold.
func (b *blocker) noteGroups(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		update attendees
		set grouped = true
		where event_id = $1 and not grouped and address_index in (
			select address_index
			from attendees
			where event_id = $1 and address_index <> ''
			group by address_index
			having count(*) > 1)`, b.event.Key)
	return quiet("note group orders", err)
}

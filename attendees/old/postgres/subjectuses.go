package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// uses reads which lists carry her, who looked at her, and whether a hold stands.
func (u *under) uses(ctx context.Context) error {
	events, ids := u.ownKeys(func(ownRow) bool { return true })
	rooms, _ := u.ownKeys(func(r ownRow) bool { return u.events[r.Event].State == attendees.Active })
	if len(ids) == 0 {
		return nil
	}
	var lists []struct {
		Receipt
		Room uuid.UUID `db:"event_id"`
	}
	err := u.db.SelectContext(ctx, &lists, `
		select r.id, r.event_id, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at
		from receipts r
		where r.event_id = any($1::uuid[]) and r.purpose <> 'unseal' and (not r.event_id = any($2::uuid[]) or r.id in (
			select receipt_id
			from personal
			where event_id = any($2::uuid[]) and part = 'receipt' and listed && $3::uuid[]))
		order by r.exported_at, r.id`, events, rooms, ids)
	if err != nil {
		return quiet("find a person's exports", err)
	}
	for _, l := range lists {
		h := u.of(l.Room)
		l.Event = h.Event.ID
		h.Lists = append(h.Lists, l.Receipt)
	}
	var looks []struct {
		Look
		Room uuid.UUID `db:"event_id"`
	}
	err = u.db.SelectContext(ctx, &looks, `
		select event_id, looked_by, received_at
		from personal
		where event_id = any($1::uuid[]) and part = 'look' and attendee_id = any($2::uuid[])
		order by received_at desc, id`, rooms, ids)
	if err != nil {
		return quiet("find who looked at a person", err)
	}
	for _, l := range looks {
		h := u.of(l.Room)
		h.Looks = append(h.Looks, l.Look)
	}
	if err := u.openings(ctx, events); err != nil {
		return err
	}
	var onHold []uuid.UUID
	err = u.db.SelectContext(ctx, &onHold, `
		select distinct h.event_id
		from holds h
		where h.event_id = any($1::uuid[]) and (h.attendee_id is null or h.attendee_id = any($2::uuid[])) and `+standing("$3"), events, ids, u.holdDay())
	for _, event := range onHold {
		u.of(event).OnHold = true
	}
	return quiet("look for holds", err)
}

// openings adds when an officer opened her sealed records: hers alone, or all of her event.
func (u *under) openings(ctx context.Context, events pq.StringArray) error {
	var ids pq.ByteaArray
	for _, r := range u.own {
		ids = append(ids, u.keys.KeyedIDs(string(attendees.Eventbrite), string(r.SourceID), "")...)
	}
	var opened []struct {
		Look
		Room uuid.UUID `db:"event_id"`
	}
	err := u.db.SelectContext(ctx, &opened, `
		select e.id as event_id, (l.leaf::json->>'at')::timestamptz as received_at
		from events e
		cross join lateral (
			select index, leaf
			from ledger_entries
			where substring(leaf from '"event":"([^"]+)"') = e.source_id
			offset 0
		) as l
		where e.id = any($1::uuid[]) and l.leaf ~ '"kind":"unsealed"'
		  and (l.leaf !~ '"person":' or exists (select from openings o where o.index = l.index and o.keyed_id = any($2)))
		order by l.index desc`, events, ids)
	for _, l := range opened {
		h := u.of(l.Room)
		h.Looks = append(h.Looks, l.Look)
	}
	return quiet("find who opened a person's records", err)
}

package export

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Receipt is one export that left.
type Receipt struct {
	ID         uuid.UUID             `db:"id"`
	Event      attendees.EventID     `db:"event"`
	Purpose    attendees.PurposeName `db:"purpose"`
	Format     string                `db:"format"`
	Rows       int                   `db:"rows"`
	SHA256     []byte                `db:"sha256"`
	By         string                `db:"exported_by"`
	At         time.Time             `db:"exported_at"`
	RecalledAt *time.Time            `db:"recalled_at"`
}

// chunkSize is how many people one row of receipt_people names: a page of 80 KB.
const chunkSize = 5000

// keep stores the receipt of an export that has just left, with who was on it, for a caller
// who has the event's row in tx. Somebody who was erased while the list was written recalls
// it at once: gone are their keys.
func (s *Store) keep(ctx context.Context, tx db.Tx, e events.Event, r Receipt, on []uuid.UUID) (err error) {
	defer db.Wrap(&err, "keep a receipt of event %s", e.ID)
	slices.SortFunc(on, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	var there int
	for chunk := range slices.Chunk(on, chunkSize) {
		var n int
		err := db.Get(ctx, tx, &n, `select count(*) from attendees where id = any($1::uuid[]) and state = 'open'`, texts(chunk))
		if err != nil {
			return err
		}
		there += n
	}
	if there < len(on) || e.Readable(s.now()) != nil {
		now := s.now()
		r.RecalledAt = &now
	}
	_, err = db.Exec(ctx, tx, `
		insert into receipts (id, event_id, purpose, format, rows, sha256, exported_by, exported_at, recalled_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, r.ID, e.Key, r.Purpose, r.Format, r.Rows, r.SHA256, r.By, r.At, r.RecalledAt)
	if err != nil || e.State != attendees.Open {
		return err
	}
	i := 0
	for chunk := range slices.Chunk(on, chunkSize) {
		_, err := db.Exec(ctx, tx, `
			insert into receipt_people (receipt_id, event_id, chunk, attendees)
			values ($1, $2, $3, $4::uuid[])`, r.ID, e.Key, i, texts(chunk))
		if err != nil {
			return err
		}
		i++
	}
	return nil
}

// Recall marks the exports that include an attendee, for a caller who has the event's row in
// tx, and names them: every copy is to be deleted, or replaced by a new export (GDPR Art. 19).
func (s *Store) Recall(ctx context.Context, tx db.Tx, e events.Event, attendee uuid.UUID) (all []Receipt, err error) {
	defer db.Wrap(&err, "recall exports of event %s", e.ID)
	err = db.Select(ctx, tx, &all, `
		update receipts r
		set recalled_at = coalesce(recalled_at, $3)
		where r.event_id = $1 and r.id in (
			select receipt_id
			from receipt_people
			where event_id = $1 and $2 = any(attendees))
		returning r.id, $4 as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at, r.recalled_at`,
		e.Key, attendee, s.now(), e.ID)
	return all, err
}

// RecallAll recalls all exports of an event that is blocked, and drops who was on them. It
// returns how many it recalled.
func (s *Store) RecallAll(ctx context.Context, tx db.Tx, e events.Event) (n int64, err error) {
	defer db.Wrap(&err, "recall the exports of event %s", e.ID)
	n, err = db.Exec(ctx, tx, `
		update receipts
		set recalled_at = $2
		where event_id = $1 and recalled_at is null`, e.Key, s.now())
	if err != nil {
		return n, err
	}
	_, err = db.Exec(ctx, tx, `delete from receipt_people where event_id = $1`, e.Key)
	return n, err
}

// Forget takes from an event's receipts what may lead to staff or people, when the event is
// deleted.
func (s *Store) Forget(ctx context.Context, tx db.Tx, e events.Event) (err error) {
	defer db.Wrap(&err, "forget who exported event %s", e.ID)
	if _, err := db.Exec(ctx, tx, `update receipts set exported_by = '', sha256 = '' where event_id = $1`, e.Key); err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `delete from receipt_people where event_id = $1`, e.Key)
	return err
}

// Receipts lists the exports of events, or of all, the newest first.
func (s *Store) Receipts(ctx context.Context, of ...uuid.UUID) (all []Receipt, err error) {
	defer db.Wrap(&err, "list exports")
	err = db.Select(ctx, s.pool, &all, `
		select r.id, e.source_id as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at, r.recalled_at
		from receipts r
		join events e on e.id = r.event_id
		where cardinality($1::uuid[]) = 0 or r.event_id = any($1::uuid[])
		order by r.exported_at desc, r.id`, texts(of))
	return all, err
}

// Of lists the exports that include an attendee, the oldest first.
func (s *Store) Of(ctx context.Context, q db.Queryer, e events.Event, attendee uuid.UUID) (all []Receipt, err error) {
	defer db.Wrap(&err, "list a person's exports")
	err = db.Select(ctx, q, &all, `
		select r.id, $3 as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at, r.recalled_at
		from receipts r
		where r.event_id = $1
		  and (not exists (select from receipt_people where receipt_id = r.id)
			or exists (select from receipt_people where receipt_id = r.id and $2 = any(attendees)))
		order by r.exported_at, r.id`, e.Key, attendee, e.ID)
	return all, err
}

func texts(ids []uuid.UUID) pq.StringArray {
	all := make(pq.StringArray, len(ids))
	for i, id := range ids {
		all[i] = id.String()
	}
	return all
}

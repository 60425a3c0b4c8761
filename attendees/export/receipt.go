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
	"lethe/attendees/reader"
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

const receiptColumns = `r.id, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at, r.recalled_at`

// chunkSize is how many people one row of receipt_people names: 80 KB.
const chunkSize = 5000

// overtaken tells whether somebody on a list was erased, restricted or corrected since the
// list was read, or is nobody for its purpose any more: what recalls the lists with them on
// it came before this one's receipt. It is for a caller who has the event's row.
func (s *Store) overtaken(ctx context.Context, tx db.Tx, e events.Event, p *passage) (is bool, err error) {
	since := p.event.Version
	if e.Version == since {
		return false, nil // as nearly always
	}
	for _, chunk := range p.on {
		slices.SortFunc(chunk, compareKeys)
	}
	on := func(id uuid.UUID) bool {
		return slices.ContainsFunc(p.on, func(chunk []uuid.UUID) bool {
			_, found := slices.BinarySearchFunc(chunk, id, compareKeys)
			return found
		})
	}
	removed, err := s.reader.Removed(ctx, tx, e, since)
	if err != nil || slices.ContainsFunc(removed, on) {
		return err == nil, err
	}
	var corrected []uuid.UUID
	err = db.Select(ctx, tx, &corrected, `select attendee_id from corrections where event_id = $1 and version > $2`, e.Key, since)
	if err != nil || slices.ContainsFunc(corrected, on) {
		return err == nil, err
	}
	err = s.reader.Read(ctx, tx, e, since, func(one reader.Person) error {
		is = is || on(one.ID) && (one.State != attendees.Open || one.Standing == attendees.Attending && !one.Merged(s.policy).For(p.purpose))
		return nil
	})
	return is, err
}

func compareKeys(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// save stores the receipt of a list with who was on it, for a caller who has the event's row.
func (s *Store) save(ctx context.Context, tx db.Tx, e events.Event, p *passage, recalled bool) (err error) {
	defer db.Wrap(&err, "keep a receipt of event %s", e.ID)
	r := &p.Receipt
	if recalled {
		now := s.now()
		r.RecalledAt = &now
	}
	if e.State == attendees.Deleted {
		r.By, r.SHA256 = "", []byte{} // as the deletion leaves the others
	}
	_, err = db.Exec(ctx, tx, `
		insert into receipts (id, event_id, purpose, format, rows, sha256, exported_by, exported_at, recalled_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, r.ID, e.Key, r.Purpose, r.Format, r.Rows, r.SHA256, r.By, r.At, r.RecalledAt)
	if err == nil && e.State == attendees.Blocked { // what asked to destroy the others may have been here
		err = s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskLists, Event: e.Key, Count: 1})
	}
	if err != nil || e.State != attendees.Open {
		return err
	}
	var room []byte
	for i, chunk := range p.on {
		slices.SortFunc(chunk, compareKeys) // the order of a list tells nothing here
		room = room[:0]
		for _, id := range chunk {
			room = append(room, id[:]...)
		}
		_, err := db.Exec(ctx, tx, `
			insert into receipt_people (receipt_id, event_id, chunk, attendees)
			values ($1, $2, $3, $4)`, r.ID, e.Key, i, room)
		if err != nil {
			return err
		}
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
			where event_id = $1 and position($2 in attendees) > 0)
		returning $4 as event, `+receiptColumns, e.Key, attendee[:], s.now(), e.ID)
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
	keys := make(pq.StringArray, len(of))
	for i, id := range of {
		keys[i] = id.String()
	}
	err = db.Select(ctx, s.pool, &all, `
		select e.source_id as event, `+receiptColumns+`
		from receipts r
		join events e on e.id = r.event_id
		where cardinality($1::uuid[]) = 0 or r.event_id = any($1::uuid[])
		order by r.exported_at desc, r.id`, keys)
	return all, err
}

// Of lists the exports that include an attendee, the oldest first: all where it is not known
// any more who was on them.
func (s *Store) Of(ctx context.Context, q db.Queryer, e events.Event, attendee uuid.UUID) (all []Receipt, err error) {
	defer db.Wrap(&err, "list a person's exports")
	err = db.Select(ctx, q, &all, `
		select $3 as event, `+receiptColumns+`
		from receipts r
		where r.event_id = $1
		  and (not exists (select from receipt_people where receipt_id = r.id)
			or exists (select from receipt_people where receipt_id = r.id and position($2 in attendees) > 0))
		order by r.exported_at, r.id`, e.Key, attendee[:], e.ID)
	return all, err
}

package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Receipt is what stays of an export: who took which list, when and what for.
type Receipt struct {
	ID      uuid.UUID             `db:"id"`
	Event   attendees.EventID     `db:"event"`
	Purpose attendees.PurposeName `db:"purpose"`
	Format  string                `db:"format"`
	Rows    int                   `db:"rows"`
	SHA256  []byte                `db:"sha256"`
	By      string                `db:"exported_by"`
	At      time.Time             `db:"exported_at"`
	// Recalled tells since when every copy is to be destroyed, or to be taken anew: it
	// carries somebody who was erased, or its event was blocked.
	Recalled *time.Time `db:"recalled_at"`
	// Begun is how many entries the ledger had before the list was read (LedgerSize): those
	// that were added while it was written may be about somebody on it.
	Begun int64 `db:"-"`
}

// SaveReceipt keeps the receipt of a whole list, and in the event's room who was on it: an
// erasure has to name the exports that still carry the person (GDPR Art. 19). One that came
// while the list was written found no receipt: the list is recalled at once. *BlockedError
// says that the event's block date came meanwhile: the list must not leave.
func (s *Store) SaveReceipt(ctx context.Context, r Receipt, listed *Listing) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		e, err := s.lockOpenEvent(ctx, tx, r.Event, "for no key update")
		if err != nil {
			return err
		}
		return s.keepReceipt(ctx, tx, e, r, listed)
	})
}

// SaveCutOff keeps the receipt of a list of which some has left already, whatever the date
// is by now. Who was on it goes with the event's room: once that has gone, nobody is noted.
func (s *Store) SaveCutOff(ctx context.Context, r Receipt, listed *Listing) error {
	r.Format += ", cut off"
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		e, err := s.lockOpenEvent(ctx, tx, r.Event, "for no key update")
		if blocked := (*BlockedError)(nil); err != nil && !errors.As(err, &blocked) {
			return err
		}
		return s.keepReceipt(ctx, tx, e, r, listed)
	})
}

// keepReceipt keeps a receipt of an event whose row is locked.
func (s *Store) keepReceipt(ctx context.Context, tx *sqlx.Tx, e Event, r Receipt, listed *Listing) error {
	overtaken, err := s.overtaken(ctx, tx, r.Begun, listed)
	if err != nil {
		return err
	}
	var recalled any
	if overtaken || e.State != attendees.Active { // the blocking that recalls the others may have been here
		recalled = s.now()
	}
	if e.State == attendees.Deleted {
		r.By, r.SHA256 = "", []byte{} // as the deletion leaves the others
	}
	_, err = tx.ExecContext(ctx, `
		insert into receipts (id, event_id, purpose, format, rows, sha256, exported_by, exported_at, recalled_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, e.Key, r.Purpose, r.Format, r.Rows, r.SHA256, r.By, r.At, recalled)
	if err != nil {
		return quiet("keep a receipt", err)
	}
	if e.State != attendees.Active {
		return s.askLists(ctx, tx, e)
	}
	for i, chunk := range listed.chunks() {
		_, err = tx.ExecContext(ctx, `
			insert into personal (event_id, id, part, receipt_id, listed, received_at)
			values ($1, $2, 'receipt', $3, $4, $5)`,
			e.Key, key("listed", r.ID.String(), strconv.Itoa(i)), r.ID, pq.StringArray(texts(chunk)), r.At)
		if err != nil {
			return quiet("keep who was on a list", err)
		}
	}
	return nil
}

// LedgerSize is how many entries the ledger has.
func (s *Store) LedgerSize(ctx context.Context) (size int64, err error) {
	err = s.db.GetContext(ctx, &size, `select coalesce(max(index) + 1, 0) from ledger_entries`)
	return size, quiet("read the ledger", err)
}

// overtaken tells whether somebody on a list was erased, restricted or corrected, or withdrew
// a consent, since the ledger had so many entries: what recalls the lists with her on them
// came before this one's receipt.
func (s *Store) overtaken(ctx context.Context, tx *sqlx.Tx, begun int64, listed *Listing) (bool, error) {
	var since []struct {
		KeyedID []byte `db:"keyed_id"`
		Purpose string `db:"purpose"`
	}
	err := tx.SelectContext(ctx, &since, `
		select o.keyed_id, coalesce(substring(e.leaf from '"purpose":"([^"]+)"'), '') as purpose
		from ledger_entries e
		join openings o on o.index = e.index
		where e.index >= $1 and e.leaf ~ '"kind":"(erased|sealed_early|restricted|objected|corrected|withdrawn)"'`, begun)
	if err != nil || len(since) == 0 { // as nearly always
		return false, quiet("look who was erased while a list was written", err)
	}
	about, purposes := map[string]bool{}, map[string]bool{}
	for _, entry := range since {
		about[string(entry.KeyedID)], purposes[entry.Purpose] = true, true
	}
	for _, chunk := range listed.chunks() {
		var here []string
		err := tx.SelectContext(ctx, &here, `select source_id from attendees where id = any($1::uuid[]) and state = 'active'`, pq.StringArray(texts(chunk)))
		if err != nil || len(here) < len(chunk) {
			return true, quiet("look who was erased while a list was written", err)
		}
		for _, id := range here {
			for purpose := range purposes {
				for _, keyed := range s.keys.KeyedIDs(string(attendees.Eventbrite), id, purpose) {
					if about[string(keyed)] {
						return true, nil
					}
				}
			}
		}
	}
	return false, nil
}

// Receipts lists an event's receipts, the newest first.
func (s *Store) Receipts(ctx context.Context, event attendees.EventID) ([]Receipt, error) {
	return s.ReceiptsOf(ctx, []attendees.EventID{event})
}

// ReceiptsOf lists the receipts of some events, the newest first; of nil, all.
func (s *Store) ReceiptsOf(ctx context.Context, events []attendees.EventID) ([]Receipt, error) {
	var receipts []Receipt
	err := s.db.SelectContext(ctx, &receipts, `
		select r.id, e.source_id as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at, r.recalled_at
		from receipts r
		join events e on e.id = r.event_id
		where $1::text[] is null or e.source_id = any($1)
		order by r.exported_at desc, r.id`, pq.Array(events))
	return receipts, quiet("list receipts", err)
}

// LastReceipts lists the newest n lists that left, of all events, the newest first.
func (s *Store) LastReceipts(ctx context.Context, n int) ([]Receipt, error) {
	var receipts []Receipt
	err := s.db.SelectContext(ctx, &receipts, `
		select r.id, e.source_id as event, r.purpose, r.format, r.rows, r.sha256, r.exported_by, r.exported_at
		from receipts r
		join events e on e.id = r.event_id
		order by r.exported_at desc, r.id
		limit $1`, n)
	return receipts, quiet("list receipts", err)
}

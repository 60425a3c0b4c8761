package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Missing tells whom an event holds and a complete listing did not name, by the
// source's ids, and how many the event holds in all; who is known to be gone counts
// in neither.
func (s *Store) Missing(ctx context.Context, e Event, l *Listing) (missing []attendees.AttendeeID, held int, err error) {
	rows, err := s.db.QueryContext(ctx, `
		select id, source_id
		from personal
		where event_id = $1 and part = 'registration' and status <> 'gone'`, e.Key)
	if err != nil {
		return nil, 0, quiet("compare an event with its listing", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uuid.UUID
		var sourceID attendees.AttendeeID
		if err := rows.Scan(&id, &sourceID); err != nil {
			return nil, 0, quiet("compare an event with its listing", err)
		}
		held++
		if !l.has(id) {
			missing = append(missing, sourceID)
		}
	}
	return missing, held, quiet("compare an event with its listing", rows.Err())
}

// Count counts the registrations of an event that stand so; AnyStatus counts all.
func (s *Store) Count(ctx context.Context, e Event, status attendees.Standing) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `
		select count(*)
		from personal
		where event_id = $1 and part = 'registration' and ($2 = '' or status = $2)`, e.Key, status)
	return n, quiet("count attendees", err)
}

// MarkGone notes that registrations are no longer known upstream. Like cancelled
// ones they keep their row, since a duty to keep them may stand, leave the lists and
// lose what only the forums needed, unless a hold stands. It returns how many there were.
func (s *Store) MarkGone(ctx context.Context, e Event, source attendees.SourceName, gone []attendees.AttendeeID) (int, error) {
	keys := make([]uuid.UUID, len(gone))
	for i, id := range gone {
		keys[i] = attendeeKey(source, id)
	}
	n := 0
	err := s.InTx(ctx, func(tx *sqlx.Tx) error {
		open, err := s.lockOpen(ctx, tx, []uuid.UUID{e.Key})
		if err != nil || len(open) == 0 {
			return err
		}
		n, err = s.markGone(ctx, tx, e.Key, keys)
		return err
	})
	return n, err
}

// markGone is MarkGone for an event whose row is locked.
func (s *Store) markGone(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, keys []uuid.UUID) (int, error) {
	result, err := tx.ExecContext(ctx, `
		update personal
		set status = 'gone'
		where event_id = $1 and id = any($2::uuid[]) and status <> 'gone'`, event, pq.StringArray(texts(keys)))
	if err != nil {
		return 0, quiet("mark attendees as gone", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, quiet("mark attendees as gone", err)
	}
	return int(n), s.fill(ctx, tx, event, keys)
}

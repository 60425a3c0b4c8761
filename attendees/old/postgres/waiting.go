package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// waiting tells who of the parts is to be sealed as she comes in, and why: she was restricted,
// or erased in part, after a backup that did not have her. Without a sealer they stay out.
func (s *Store) waiting(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, parts []part, erased map[uuid.UUID]bool) (map[uuid.UUID]attendees.Reason, error) {
	if sealer == nil || len(erased) == 0 {
		return nil, nil
	}
	waits := map[uuid.UUID]attendees.Reason{}
	for _, p := range parts {
		if !erased[p.id] {
			continue
		}
		var reasons []attendees.Reason
		err := tx.SelectContext(ctx, &reasons, `
			select reason
			from tombstones
			where keyed_id = any($1) and reason <> ''`, pq.ByteaArray(s.keys.KeyedIDs(string(p.source), p.sourceID, "")))
		if err != nil {
			return nil, quiet("look who comes in sealed", err)
		}
		if len(reasons) > 0 {
			waits[p.id] = reasons[0]
			delete(erased, p.id)
		}
	}
	return waits, nil
}

// sealWaiting seals those who waited for it, in the transaction that brought them in: nobody
// sees them readable.
func (s *Store) sealWaiting(ctx context.Context, tx *sqlx.Tx, sealer *seal.Sealer, e Event, parts []part, waits map[uuid.UUID]attendees.Reason) error {
	if len(waits) == 0 {
		return nil
	}
	if err := s.buildRoomIn(ctx, tx, sealedRooms, e.Key); err != nil {
		return err
	}
	for _, p := range parts {
		why, waited := waits[p.id]
		if !waited {
			continue
		}
		o := one{ID: attendees.AttendeeID(p.sourceID), Key: p.id, State: attendees.Active, event: e}
		var err error
		if why == attendees.ErasureAsked {
			_, err = s.eraseInPart(ctx, tx, o, sealer)
		} else {
			err = s.restrict(ctx, tx, o, why, sealer)
		}
		if err != nil {
			return err
		}
		// What she answered stayed out with her: that she never agreed cannot be told from
		// here. Where that is looked at in the end, as with come, she counts as one who did.
		_, err = tx.ExecContext(ctx, `
			update sealed
			set agreed = case when $3 then true end
			where event_id = $1 and attendee_id = $2`, e.Key, p.id, e.History)
		if err != nil {
			return quiet("keep who may have agreed", err)
		}
		_, err = tx.ExecContext(ctx, `delete from tombstones where keyed_id = any($1) and reason <> ''`,
			pq.ByteaArray(s.keys.KeyedIDs(string(p.source), p.sourceID, "")))
		if err != nil {
			return quiet("let a restriction find its registration", err)
		}
	}
	return nil
}

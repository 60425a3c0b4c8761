package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
)

// errAnswers says no more: what cannot be read is personal.
var errAnswers = errors.New("the answers cannot be read as JSON")

// Look is one look at a person.
type Look struct {
	By uuid.UUID `db:"looked_by"` // the user
	At time.Time `db:"received_at"`
}

// saveLook records, in the event's room, that a user looked at a person. It goes with the
// room, and with the person.
func (s *Store) saveLook(ctx context.Context, tx *sqlx.Tx, e Event, attendee, by uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `
		insert into personal (event_id, id, part, attendee_id, looked_by, received_at)
		values ($1, $2, 'look', $3, $4, $5)`, e.Key, uuid.New(), attendee, by, s.now())
	return quiet("record a look", err)
}

// Looked records that a user read what somebody asked for: her address, and her words. Once
// her event is blocked there is no room to keep that in, and nothing is recorded.
func (s *Store) Looked(ctx context.Context, event attendees.EventID, id attendees.AttendeeID, by uuid.UUID) error {
	err := s.InTx(ctx, func(tx *sqlx.Tx) error {
		e, err := s.lockOpenEvent(ctx, tx, event, "for key share")
		if err != nil {
			return err
		}
		return s.saveLook(ctx, tx, e, attendeeKey(attendees.Eventbrite, id), by)
	})
	if errors.As(err, new(*BlockedError)) {
		return nil
	}
	return err
}

// Looks lists who looked at a person, the newest first. *BlockedError from the block date
// on.
func (s *Store) Looks(ctx context.Context, event attendees.EventID, id attendees.AttendeeID) ([]Look, error) {
	e, err := s.openEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	var looks []Look
	err = s.db.SelectContext(ctx, &looks, `
		select looked_by, received_at
		from personal
		where event_id = $1 and part = 'look' and attendee_id = $2
		order by received_at desc, id`, e.Key, attendeeKey(attendees.Eventbrite, id))
	return looks, quiet("list who looked", err)
}

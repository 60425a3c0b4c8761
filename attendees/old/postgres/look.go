package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
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

// LookIn is a look at somebody of an event. It does not tell at whom.
type LookIn struct {
	Event attendees.EventID `db:"event"`
	Look
}

// roomsAtOnce bounds how many rooms one statement opens: it locks each with its indexes,
// of which PostgreSQL's own default has room for 6,400.
const roomsAtOnce = 100

// LastLooks lists the newest looks at people of open events, whoever looked. It reads
// every open room's looks, by an index: it is for those who watch, not for every page.
func (s *Store) LastLooks(ctx context.Context, limit int) ([]LookIn, error) {
	events, err := s.Events(ctx)
	if err != nil {
		return nil, err
	}
	var keys []uuid.UUID
	for _, e := range events {
		if e.Open(s.now()) {
			keys = append(keys, e.Key)
		}
	}
	var looks []LookIn
	for some := range slices.Chunk(keys, roomsAtOnce) {
		var newest []LookIn
		err := s.db.SelectContext(ctx, &newest, `
			select e.source_id as event, p.looked_by, p.received_at
			from personal p
			join events e on e.id = p.event_id
			where p.event_id = any($1::uuid[]) and p.part = 'look'
			order by p.received_at desc, p.id
			limit $2`, pq.Array(some), limit)
		if err != nil {
			return nil, quiet("list who looked", err)
		}
		looks = append(looks, newest...)
		slices.SortStableFunc(looks, func(a, b LookIn) int { return b.At.Compare(a.At) })
		looks = looks[:min(len(looks), limit)]
	}
	return looks, nil
}

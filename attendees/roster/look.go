package roster

import (
	"context"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Look records that a user looked at one attendee (the seventh promise: every use leaves a
// trace).
func (s *Store) Look(ctx context.Context, e events.Event, attendee, user uuid.UUID) (err error) {
	defer db.Wrap(&err, "record a look")
	_, err = db.Exec(ctx, s.pool, `insert into looks (event_id, attendee_id, looked_by, at) values ($1, $2, $3, $4)`, e.Key, attendee, user, s.now())
	return err
}

// LookIn is one look at somebody of an event. It does not say at which attendee.
type LookIn struct {
	Event attendees.EventID `db:"event"`
	By    uuid.UUID         `db:"looked_by"`
	At    time.Time         `db:"at"`
}

// LastLooks lists the newest looks at people of open events.
func (s *Store) LastLooks(ctx context.Context, limit int) (all []LookIn, err error) {
	defer db.Wrap(&err, "list who looked")
	err = db.Select(ctx, s.pool, &all, `
		select e.source_id as event, l.looked_by, l.at
		from looks l
		join events e on e.id = l.event_id
		order by l.at desc
		limit $1`, limit)
	return all, err
}

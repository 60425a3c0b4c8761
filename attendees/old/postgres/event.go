package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Event is one event as it is held.
type Event struct {
	Key          uuid.UUID                `db:"id"`
	ID           attendees.EventID        `db:"source_id"`
	Organization attendees.OrganizationID `db:"organization_id"`
	Name         string                   `db:"name"`
	Status       string                   `db:"status"`
	Zone         string                   `db:"time_zone"`
	State        attendees.State          `db:"state"`
	Rule         string                   `db:"rule"`
	EndsOn       day                      `db:"ends_on"`
	BlockOn      day                      `db:"block_on"`
	DeleteOn     day                      `db:"delete_on"`
	PulledAt     *time.Time               `db:"pulled_at"`
	ReconciledAt *time.Time               `db:"reconciled_at"`
	BlockedAt    *time.Time               `db:"blocked_at"`
	DeletedAt    *time.Time               `db:"deleted_at"`
	Doubted      bool                     `db:"doubted"`
	History      bool                     `db:"history"` // see SealsAsItComes
	// AddressKey is the secret that its addresses are hashed with: see Store.indexKey.
	AddressKey string `db:"address_key"`
	// What its dates come from.
	StartsAt    *time.Time `db:"starts_at"`
	EndsAt      *time.Time `db:"ends_at"`
	FirstSeenOn day        `db:"first_seen_on"`
	// What policy and source would have now; not yet BlockOn, DeleteOn and Rule where it is
	// far from what was accepted, and earlier.
	PlannedRule      string `db:"planned_rule"`
	PlannedBlockOn   day    `db:"planned_block_on"`
	PlannedDeleteOn  day    `db:"planned_delete_on"`
	AcceptedRule     string `db:"accepted_rule"`
	AcceptedBlockOn  day    `db:"accepted_block_on"`
	AcceptedDeleteOn day    `db:"accepted_delete_on"`
}

const eventColumns = `id, source_id, organization_id, name, status, time_zone, state, rule,
	ends_on, block_on, delete_on, pulled_at, reconciled_at, blocked_at, deleted_at, doubted, history, address_key,
	starts_at, ends_at, first_seen_on, planned_rule, planned_block_on, planned_delete_on,
	accepted_rule, accepted_block_on, accepted_delete_on`

// Today is the day that now is, where the event takes place: its own days are what
// its dates count.
func (e Event) Today(now time.Time) attendees.Date {
	return attendees.DateOf(now.In(attendees.ZoneOf(e.Zone)))
}

// blockedFrom is the moment in which the block date begins.
func (e Event) blockedFrom() time.Time {
	d := e.BlockOn.Date
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, attendees.ZoneOf(e.Zone))
}

// Open tells whether the event's people may be read and written. It is the second
// of three guards: it looks at the clock, not only at what a worker has done.
func (e Event) Open(now time.Time) bool {
	return e.State == attendees.Active && e.Today(now).Before(e.BlockOn.Date)
}

// NeverHeld tells that the event was past its delete date when it was first seen: nobody of
// it was ever taken in.
func (e Event) NeverHeld() bool {
	return e.State == attendees.Active && !e.FirstSeenOn.Before(e.DeleteOn.Date)
}

// Expired tells that the event's people are past the day of their deletion.
func (e Event) Expired(now time.Time) bool {
	return e.State == attendees.Deleted || !e.Today(now).Before(e.DeleteOn.Date)
}

// UnknownEventError says that no event of that id is held.
type UnknownEventError struct{ Event attendees.EventID }

func (e *UnknownEventError) Error() string {
	return fmt.Sprintf("event %s is not known. `lethe events list` shows those that are, `lethe events discover` looks for new ones", e.Event)
}

// BlockedError says that an event's people are not to be read any more.
type BlockedError struct{ Event Event }

func (e *BlockedError) Error() string {
	if e.Event.State == attendees.Active {
		return fmt.Sprintf("event %s was to be blocked on %s: its names are not shown any more, and deleted on %s", e.Event.ID, e.Event.BlockOn, e.Event.DeleteOn)
	}
	return fmt.Sprintf("event %s was blocked on %s: its names are sealed until %s. The data-protection officer can open them with `lethe unseal`", e.Event.ID, e.Event.BlockOn, e.Event.DeleteOn)
}

// SaveEvents stores events as their source describes them, with the dates that the
// policy gives them, and builds a room for each that may still be read. Of one that is
// blocked the delete date follows a new end, of one that is deleted nothing. It returns
// how many were new.
func (s *Store) SaveEvents(ctx context.Context, source attendees.SourceName, events []attendees.Event) (fresh int, err error) {
	today := attendees.DateOf(s.now().UTC())
	events = slices.Clone(events)
	slices.SortFunc(events, func(a, b attendees.Event) int {
		x, y := eventKey(source, a.ID), eventKey(source, b.ID)
		return slices.Compare(x[:], y[:]) // the order in which every writer locks events
	})
	for _, e := range events {
		isNew, err := s.saveEvent(ctx, source, e, today)
		if err != nil {
			return fresh, err
		}
		if isNew {
			fresh++
		}
	}
	return fresh, nil
}

func (s *Store) saveEvent(ctx context.Context, source attendees.SourceName, e attendees.Event, today attendees.Date) (fresh bool, err error) {
	id := eventKey(source, e.ID)
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		was := Event{State: attendees.Active, FirstSeenOn: day{today}}
		err := tx.GetContext(ctx, &was, `select `+eventColumns+` from events where id = $1 for update`, id)
		isNew := errors.Is(err, sql.ErrNoRows)
		if err != nil && !isNew {
			return quiet("look up an event", err)
		}
		before := was
		plan, err := s.policy.Schedule(e, was.FirstSeenOn.Date)
		if err != nil {
			return fmt.Errorf("schedule event %s: %w", e.ID, err)
		}
		was.plan(plan)
		if isNew {
			was.accept()
		}
		err = tx.GetContext(ctx, &fresh, `
			insert into events (id, source, source_id, organization_id, name, status, time_zone,
				starts_at, ends_at, ends_on, first_seen_on, changed_at, rule, block_on, delete_on,
				planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on, address_key)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
			on conflict (id) do update set
				organization_id = excluded.organization_id,
				name = excluded.name,
				status = excluded.status,
				time_zone = excluded.time_zone,
				starts_at = excluded.starts_at,
				ends_at = excluded.ends_at,
				ends_on = excluded.ends_on,
				changed_at = excluded.changed_at,
				rule = excluded.rule,
				block_on = excluded.block_on,
				delete_on = excluded.delete_on,
				planned_rule = excluded.planned_rule,
				planned_block_on = excluded.planned_block_on,
				planned_delete_on = excluded.planned_delete_on,
				accepted_rule = excluded.accepted_rule,
				accepted_block_on = excluded.accepted_block_on,
				accepted_delete_on = excluded.accepted_delete_on
			where events.state <> 'deleted'
			returning xmax = 0`,
			id, source, e.ID, e.Organization, e.Name, e.Status, e.Zone,
			moment(e.Start), moment(e.End), was.EndsOn, was.FirstSeenOn, moment(e.Changed), was.Rule, was.BlockOn, was.DeleteOn,
			was.PlannedRule, was.PlannedBlockOn, was.PlannedDeleteOn, was.AcceptedRule, was.AcceptedBlockOn, was.AcceptedDeleteOn, s.keys.Newest())
		if errors.Is(err, sql.ErrNoRows) {
			return nil // deleted: its dates stand
		}
		if err != nil {
			return quiet("save an event", err)
		}
		if err := s.noteHistory(ctx, tx, id, fresh); err != nil {
			return err
		}
		if !isNew {
			return s.reopen(ctx, tx, before, id)
		}
		was.Key, was.ID, was.Zone = id, e.ID, e.Zone
		if !was.Expired(s.now()) {
			return nil
		}
		return s.askUpstream(ctx, tx, was, "") // it is never pulled, so nobody asks later
	})
	if err != nil {
		return false, err
	}
	held, err := s.Event(ctx, e.ID)
	if err != nil {
		return fresh, err
	}
	if held.Open(s.now()) {
		err = s.buildRoom(ctx, personalRooms, id)
	}
	return fresh, err
}

// Event finds one event; *UnknownEventError where there is none.
func (s *Store) Event(ctx context.Context, id attendees.EventID) (Event, error) {
	var e Event
	err := s.db.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return e, &UnknownEventError{Event: id}
	}
	return e, quiet("find an event", err)
}

// EventOf is the event that a registration is held for; *UnknownAttendeeError where
// it is not held.
func (s *Store) EventOf(ctx context.Context, id attendees.AttendeeID) (attendees.EventID, error) {
	var event attendees.EventID
	err := s.db.GetContext(ctx, &event, `
		select e.source_id
		from attendees a
		join events e on e.id = a.event_id
		where a.id = $1`, attendeeKey(attendees.Eventbrite, id))
	if errors.Is(err, sql.ErrNoRows) {
		return "", &UnknownAttendeeError{id}
	}
	return event, quiet("find an attendee", err)
}

// Events lists all events, the next to end first, those that are over behind them.
func (s *Store) Events(ctx context.Context) ([]Event, error) {
	var events []Event
	err := s.db.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events
		order by ends_on desc, source_id`)
	return events, quiet("list events", err)
}

// KnownEvents tells which of the events are held, with their keys.
func (s *Store) KnownEvents(ctx context.Context, ids []attendees.EventID) (map[attendees.EventID]Event, error) {
	var events []Event
	err := s.db.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events
		where source_id = any($1)`, pq.Array(ids))
	known := make(map[attendees.EventID]Event, len(events))
	for _, e := range events {
		known[e.ID] = e
	}
	return known, quiet("look up events", err)
}

// MarkPulled notes that an event's own listing has been read to its end, and, where
// it was compared with what is held, that too.
func (s *Store) MarkPulled(ctx context.Context, tx *sqlx.Tx, e Event, reconciled bool) error {
	_, err := tx.ExecContext(ctx, `
		update events
		set pulled_at = coalesce(pulled_at, $2),
		    reconciled_at = case when $3 then $2 else reconciled_at end
		where id = $1`, e.Key, s.now(), reconciled)
	if err != nil {
		return quiet("mark an event as pulled", err)
	}
	// Autovacuum comes by in its own time; the first responses come at once.
	_, err = tx.ExecContext(ctx, `analyze `+room(e.Key))
	return quiet("let the planner look at a room", err)
}

// lockOpen takes the rows of events and gives those that may be written.
func (s *Store) lockOpen(ctx context.Context, tx *sqlx.Tx, keys []uuid.UUID) (map[uuid.UUID]Event, error) {
	open, err := s.lockEvents(ctx, tx, keys)
	maps.DeleteFunc(open, func(_ uuid.UUID, e Event) bool { return !e.Open(s.now()) })
	return open, err
}

// lockEvents takes the rows of events in the order of their keys, so that no two
// writers wait for each other, and holds them until the transaction ends. Blocking
// takes them for update: it waits for writers, and writers that come later find the
// event blocked.
func (s *Store) lockEvents(ctx context.Context, tx *sqlx.Tx, keys []uuid.UUID) (map[uuid.UUID]Event, error) {
	var events []Event
	err := tx.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events
		where id = any($1::uuid[])
		order by id
		for no key update`, pq.Array(keys))
	if err != nil {
		return nil, quiet("lock events", err)
	}
	locked := make(map[uuid.UUID]Event, len(events))
	for _, e := range events {
		locked[e.Key] = e
	}
	return locked, nil
}

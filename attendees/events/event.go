// Package events keeps events and their dates (Store), the forms that are linked to them
// (Forms), how far each source has been read (Feeds), and what only staff can do (Tasks).
//
// An event's row is the lock of all that is stored of it: a writer begins with Store.Write,
// which raises the version and returns the row. What reads for an organiser asks
// Event.Readable first. Nothing here is about a person: a task names one by a keyed id.
package events

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// Event is one event as it is stored.
type Event struct {
	Key          uuid.UUID                `db:"id"`
	ID           attendees.EventID        `db:"source_id"`
	Source       attendees.SourceName     `db:"source"`
	Organization attendees.OrganizationID `db:"organization_id"`
	Name         string                   `db:"name"`
	Status       string                   `db:"status"`
	Zone         string                   `db:"time_zone"`
	StartsAt     *time.Time               `db:"starts_at"`
	EndsAt       *time.Time               `db:"ends_at"`
	EndsOn       attendees.Date           `db:"ends_on"`
	FirstSeenOn  attendees.Date           `db:"first_seen_on"`
	State        attendees.State          `db:"state"`
	Dates                                 // that apply
	Planned      Dates                    `db:"planned"`  // by source and policy as they are now: they do not apply yet where they are far from Accepted
	Accepted     Dates                    `db:"accepted"` // what changes are compared with
	AppliedAt    time.Time                `db:"applied_at"`

	Secret     string   `db:"secret"`
	Version    int64    `db:"version"`
	Generation []byte   `db:"generation"`
	Held       bool     `db:"held"`
	Question   Question `db:"question"`

	ReadAt       *time.Time `db:"read_at"`
	ReconciledAt *time.Time `db:"reconciled_at"`
	BlockedAt    *time.Time `db:"blocked_at"`
	ReopenedAt   *time.Time `db:"reopened_at"`
	DeletedAt    *time.Time `db:"deleted_at"`
	Cleaned      bool       `db:"cleaned"`
}

const eventColumns = `id, source_id, source, organization_id, name, status, time_zone, starts_at, ends_at, ends_on, first_seen_on, state,
	rule, block_on, delete_on, planned_rule as "planned.rule", planned_block_on as "planned.block_on", planned_delete_on as "planned.delete_on",
	accepted_rule as "accepted.rule", accepted_block_on as "accepted.block_on", accepted_delete_on as "accepted.delete_on", applied_at, secret, version, generation, held, question, read_at, reconciled_at, blocked_at, reopened_at, deleted_at, cleaned`

// Dates are when an event is blocked and deleted, and by which rule.
type Dates struct {
	Rule     string         `db:"rule"`
	BlockOn  attendees.Date `db:"block_on"`
	DeleteOn attendees.Date `db:"delete_on"`
}

// Question is whether attendees who never agreed are kept, where so few agreed that the
// form may be the wrong one. The empty Question was not asked.
type Question string

// The question and its answers.
const (
	Asked Question = "open"
	Keep  Question = "keep"
	Drop  Question = "drop"
)

// Store keeps events; its fields keep what belongs to them.
type Store struct {
	Forms *Forms
	Feeds *Feeds
	Tasks *Tasks

	pool   *sqlx.DB
	policy *attendees.Policy
	secret string // id of the newest secret, with which a new event's hashes are made
	now    func() time.Time
}

// New makes a store of events on a migrated database.
func New(pool *sqlx.DB, policy *attendees.Policy, newestSecret string, now func() time.Time) *Store {
	s := &Store{pool: pool, policy: policy, secret: newestSecret, now: now}
	s.Forms, s.Feeds, s.Tasks = &Forms{s}, &Feeds{pool, now}, &Tasks{pool, now}
	return s
}

// Key is an event's row key: the same id always has the same, so that writing needs no
// look-up.
func Key(source attendees.SourceName, id attendees.EventID) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte("event\x00"+string(source)+"\x00"+string(id)), 8)
}

// Today is the day that now is where the event takes place.
func (e Event) Today(now time.Time) attendees.Date {
	return attendees.DateOf(now.In(attendees.ZoneOf(e.Zone)))
}

// BlockedFrom is the moment in which the block date begins.
func (e Event) BlockedFrom() time.Time {
	d := e.BlockOn
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, attendees.ZoneOf(e.Zone))
}

// Past tells that the event's block date has come.
func (e Event) Past(now time.Time) bool { return !e.Today(now).Before(e.BlockOn) }

// Expired tells that the day of the event's deletion has come.
func (e Event) Expired(now time.Time) bool {
	return e.State == attendees.Deleted || !e.Today(now).Before(e.DeleteOn)
}

// Late tells that the event had ended when it was reopened: it is read once more, and its
// people are shown to nobody.
func (e Event) Late() bool {
	return e.ReopenedAt != nil && e.EndsOn.Before(e.Today(*e.ReopenedAt))
}

// Misjudged tells that the event is blocked or deleted and ends in the future: new
// registrations for it are refused, until staff reopen it if it is blocked.
func (e Event) Misjudged(now time.Time) bool {
	from := e.described()
	return e.State != attendees.Open && (from.End.After(now) || from.End.IsZero() && from.Start.After(now))
}

// Readable is nil where an organiser may read the event's people, else a *BlockedError. It
// is the second of three guards: it looks at the clock, not at what a worker has done.
func (e Event) Readable(now time.Time) error {
	if e.State != attendees.Open || e.Past(now) || e.Late() {
		return &BlockedError{e}
	}
	return nil
}

// Writable tells whether what sources say of the event is stored: while it is open and its
// delete date has not come.
func (e Event) Writable(now time.Time) bool {
	return e.State == attendees.Open && !e.Expired(now)
}

// UnknownError says that there is no event of that id.
type UnknownError struct{ Event attendees.EventID }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("event %s is not known. `lethe events list` shows those that are, `lethe events discover` looks for new ones", e.Event)
}

// BlockedError says that an event's people are not to be read any more.
type BlockedError struct{ Event Event }

func (e *BlockedError) Error() string {
	switch e := e.Event; {
	case e.State == attendees.Deleted:
		return fmt.Sprintf("the people of event %s are deleted: records are left only of those who are restricted or on hold", e.ID)
	case e.State == attendees.Blocked:
		return fmt.Sprintf("event %s was blocked on %s: its records are sealed until %s. The data protection officer can open them with `lethe unseal`", e.ID, e.BlockOn, e.DeleteOn)
	case e.Late():
		return fmt.Sprintf("event %s had ended when it was reopened: it is read to the end and blocked again, and its people are shown to nobody", e.ID)
	default:
		return fmt.Sprintf("event %s has passed its block date, %s: its people are not shown any more, and are deleted on %s", e.ID, e.BlockOn, e.DeleteOn)
	}
}

// Get finds an event; *UnknownError where there is none.
func (s *Store) Get(ctx context.Context, q db.Queryer, id attendees.EventID) (e Event, err error) {
	defer db.Wrap(&err, "find event %s", id)
	err = db.Get(ctx, q, &e, `select `+eventColumns+` from events where id = $1`, Key(attendees.Eventbrite, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = &UnknownError{id}
	}
	return e, err
}

// Look takes the row of an event until tx ends and leaves its version as it is: for those
// who write nothing that others read.
func (s *Store) Look(ctx context.Context, tx db.Tx, id attendees.EventID) (e Event, err error) {
	defer db.Wrap(&err, "lock event %s", id)
	err = db.Get(ctx, tx, &e, `select `+eventColumns+` from events where id = $1 for no key update`, Key(attendees.Eventbrite, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = &UnknownError{id}
	}
	return e, err
}

// List lists all events, the next to end first.
func (s *Store) List(ctx context.Context) (all []Event, err error) {
	defer db.Wrap(&err, "list events")
	err = db.Select(ctx, s.pool, &all, `
		select `+eventColumns+`
		from events
		order by ends_on desc, source_id`)
	return all, err
}

// Write takes the rows of events for a writer until tx ends, and raises their versions.
// Those that are not known are missing from the result.
func (s *Store) Write(ctx context.Context, tx db.Tx, keys ...uuid.UUID) (locked map[uuid.UUID]Event, err error) {
	defer db.Wrap(&err, "lock events")
	var all []Event
	// An update of many rows takes them in an order of its own, so they are locked in the
	// order of their keys before: no two writers wait for each other.
	err = db.Select(ctx, tx, &all, `
		with locked as (
			select id as key
			from events
			where id = any($1::uuid[])
			order by id
			for no key update
		)
		update events
		set version = version + 1
		from locked
		where id = key
		returning `+eventColumns, uuids(keys))
	locked = make(map[uuid.UUID]Event, len(all))
	for _, e := range all {
		locked[e.Key] = e
	}
	return locked, err
}

// WriteOne is Write of one event; *UnknownError where it is not known.
func (s *Store) WriteOne(ctx context.Context, tx db.Tx, id attendees.EventID) (Event, error) {
	key := Key(attendees.Eventbrite, id)
	locked, err := s.Write(ctx, tx, key)
	if err != nil {
		return Event{}, err
	}
	e, ok := locked[key]
	if !ok {
		return e, &UnknownError{id}
	}
	return e, nil
}

// Known tells which of the events are known, by id.
func (s *Store) Known(ctx context.Context, q db.Queryer, ids []attendees.EventID) (known map[attendees.EventID]Event, err error) {
	defer db.Wrap(&err, "look up events")
	keys := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		keys[i] = Key(attendees.Eventbrite, id)
	}
	var all []Event
	err = db.Select(ctx, q, &all, `select `+eventColumns+` from events where id = any($1::uuid[])`, uuids(keys))
	known = make(map[attendees.EventID]Event, len(all))
	for _, e := range all {
		known[e.ID] = e
	}
	return known, err
}

func uuids(keys []uuid.UUID) pq.StringArray {
	texts := make(pq.StringArray, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return texts
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// Mark is something that is true of the database as a whole.
type Mark string

// The marks.
const (
	// Simulated databases hold invented people: made by demo or a test. Only there
	// may LETHE_CLOCK tell the time.
	Simulated Mark = "simulated"
	// Discovered is when the sources were last asked for events.
	Discovered Mark = "discovered"
	// Swept is when what was due was last blocked and deleted.
	Swept Mark = "swept"
	// Replaying is set while a restored backup is being brought up to date, and tells
	// which entries are done again: "FROM UNTIL".
	Replaying Mark = "replaying"
	// Witnessed is when the officers were last mailed the ledger's checkpoint.
	Witnessed Mark = "witnessed"
)

// SetMark notes that something is true as of now.
func (s *Store) SetMark(ctx context.Context, m Mark) error { return s.setMark(ctx, s.db, m, "") }

func (s *Store) setMark(ctx context.Context, db sqlx.ExecerContext, m Mark, value string) error {
	_, err := db.ExecContext(ctx, `
		insert into marks (name, value, at)
		values ($1, $2, $3)
		on conflict (name) do update set value = excluded.value, at = excluded.at`, m, value, s.now())
	return quiet("set a mark", err)
}

// Marked tells since when something is true; the zero time: it is not.
func (s *Store) Marked(ctx context.Context, m Mark) (time.Time, error) {
	var at time.Time
	err := s.db.GetContext(ctx, &at, `select at from marks where name = $1`, m)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return at, quiet("read a mark", err)
}

// Organization is an Eventbrite organisation that the token sees.
type Organization struct {
	ID   attendees.OrganizationID `db:"id"`
	Name string                   `db:"name"`
}

// SaveOrganizations keeps the organisations that the token sees at present, and
// forgets the others.
func (s *Store) SaveOrganizations(ctx context.Context, seen []Organization) error {
	now := s.now()
	for _, o := range seen {
		_, err := s.db.ExecContext(ctx, `
			insert into organizations (id, name, seen_at)
			values ($1, $2, $3)
			on conflict (id) do update set name = excluded.name, seen_at = excluded.seen_at`, o.ID, o.Name, now)
		if err != nil {
			return quiet("save an organisation", err)
		}
	}
	_, err := s.db.ExecContext(ctx, `delete from organizations where seen_at < $1`, now)
	return quiet("forget organisations", err)
}

// Organizations lists them by id.
func (s *Store) Organizations(ctx context.Context) ([]Organization, error) {
	var list []Organization
	err := s.db.SelectContext(ctx, &list, `select id, name from organizations order by id`)
	return list, quiet("list organisations", err)
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.GetContext(ctx, &now, `select clock_timestamp()`)
	return now, quiet("ask the database for the time", err)
}

// ServerVersion is PostgreSQL's own, such as "15.18".
func (s *Store) ServerVersion(ctx context.Context) (string, error) {
	var version string
	err := s.db.GetContext(ctx, &version, `select split_part(current_setting('server_version'), ' ', 1)`)
	return version, quiet("ask the database for its version", err)
}

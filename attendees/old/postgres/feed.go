package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// FeedName names one listing of a source, as feeds.name has it.
type FeedName string

// OrganizationFeed is the listing of all attendees of an organisation.
func OrganizationFeed(id attendees.OrganizationID) FeedName {
	return FeedName("eventbrite/organization/" + string(id))
}

// EventFeed is the listing of one event's attendees.
func EventFeed(id attendees.EventID) FeedName { return FeedName("eventbrite/event/" + string(id)) }

// EventsFeed is the listing of an organisation's events. It has no watermark: it is
// read whole each time.
func EventsFeed(id attendees.OrganizationID) FeedName {
	return FeedName("eventbrite/events/" + string(id))
}

// FormFeed is the listing of one form's responses.
func FormFeed(id attendees.FormID) FeedName { return FeedName("typeform/form/" + string(id)) }

// Feed is how far one listing has been read. A run that is under way has RunStarted;
// it goes on at RunPage or RunUntil when it was cut off, and RunSeen is the Listing of
// those that it has named so far. RunSince tells the kind: nil where it reads all.
type Feed struct {
	Name       FeedName   `db:"name"`
	Watermark  *time.Time `db:"watermark"`
	RunStarted *time.Time `db:"run_started_at"`
	RunSince   *time.Time `db:"run_since"`
	RunPage    int        `db:"run_page"`
	RunUntil   *time.Time `db:"run_until"`
	RunSeen    []byte     `db:"run_seen"`
	Generation int        `db:"generation"`
	Finished   *time.Time `db:"finished_at"`
	FailedAt   *time.Time `db:"failed_at"`
	Failure    string     `db:"failure"`
	Attention  string     `db:"attention"`
}

const feedColumns = `name, watermark, run_started_at, run_since, run_page, run_until, run_seen,
	generation, finished_at, failed_at, failure, attention`

// Feed reads a feed's progress; a feed that was never read is all zero.
func (s *Store) Feed(ctx context.Context, name FeedName) (Feed, error) {
	var f Feed
	err := s.db.GetContext(ctx, &f, `select `+feedColumns+` from feeds where name = $1`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return Feed{Name: name}, nil // not f: sqlx has set its pointers before it saw no row
	}
	return f, quiet("read a feed's progress", err)
}

// Feeds lists all feeds by name.
func (s *Store) Feeds(ctx context.Context) ([]Feed, error) {
	var feeds []Feed
	err := s.db.SelectContext(ctx, &feeds, `select `+feedColumns+` from feeds order by name`)
	return feeds, quiet("list feeds", err)
}

// SaveFeed keeps a feed's progress, in the transaction of what was read. It keeps
// nothing, and says so, where the feed was rewound since it was read: it must be read
// again by what is linked now.
func (s *Store) SaveFeed(ctx context.Context, tx *sqlx.Tx, f Feed) (kept bool, err error) {
	result, err := tx.ExecContext(ctx, `
		insert into feeds (`+feedColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (name) do update set
			watermark = excluded.watermark,
			run_started_at = excluded.run_started_at,
			run_since = excluded.run_since,
			run_page = excluded.run_page,
			run_until = excluded.run_until,
			run_seen = excluded.run_seen,
			finished_at = excluded.finished_at,
			failed_at = excluded.failed_at,
			failure = excluded.failure,
			attention = excluded.attention
		where feeds.generation = excluded.generation`,
		f.Name, f.Watermark, f.RunStarted, f.RunSince, f.RunPage, f.RunUntil, f.RunSeen,
		f.Generation, f.Finished, f.FailedAt, f.Failure, f.Attention)
	if err != nil {
		return false, quiet("keep a feed's progress", err)
	}
	n, err := result.RowsAffected()
	return n > 0, quiet("keep a feed's progress", err)
}

// FailFeed notes that a run failed and why. The text must hold nothing personal.
func (s *Store) FailFeed(ctx context.Context, name FeedName, failure string) error {
	_, err := s.db.ExecContext(ctx, `
		insert into feeds (name, failed_at, failure)
		values ($1, $2, $3)
		on conflict (name) do update set failed_at = excluded.failed_at, failure = excluded.failure`,
		name, s.now(), failure)
	return quiet("note a failure", err)
}

// NoteFeed notes what the operator has to look at; "" where there is nothing any more.
func (s *Store) NoteFeed(ctx context.Context, name FeedName, attention string) error {
	_, err := s.db.ExecContext(ctx, `
		insert into feeds (name, attention)
		values ($1, $2)
		on conflict (name) do update set attention = excluded.attention`, name, attention)
	return quiet("note what to look at", err)
}

// readAgain makes a feed be read from its beginning.
func (s *Store) readAgain(ctx context.Context, tx *sqlx.Tx, name FeedName) error {
	_, err := tx.ExecContext(ctx, `
		insert into feeds (name, generation)
		values ($1, 1)
		on conflict (name) do update set
			generation = feeds.generation + 1,
			watermark = null,
			run_started_at = null,
			run_since = null,
			run_page = 0,
			run_until = null,
			run_seen = null`, name)
	return quiet("rewind a feed", err)
}

// readFormsAgain rewinds the forms of an event, for somebody who attends again and
// whose answers were dropped when she did not.
func (s *Store) readFormsAgain(ctx context.Context, tx *sqlx.Tx, event uuid.UUID) error {
	var forms []attendees.FormID
	err := tx.SelectContext(ctx, &forms, `
		select distinct form_id
		from links
		where event_id = $1 and form_id <> $2`, event, attendees.EventbriteForm)
	if err != nil {
		return quiet("find an event's forms", err)
	}
	for _, form := range forms {
		if err := s.readAgain(ctx, tx, FormFeed(form)); err != nil {
			return err
		}
	}
	return nil
}

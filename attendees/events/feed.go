package events

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
)

// FeedName names one listing of a source, as feeds.name has it.
type FeedName string

// OrganizationFeed is the listing of all attendees of an organisation.
func OrganizationFeed(id attendees.OrganizationID) FeedName {
	return FeedName("eventbrite/organization/" + string(id))
}

// EventFeed is the listing of one event's attendees.
func EventFeed(id attendees.EventID) FeedName { return FeedName("eventbrite/event/" + string(id)) }

// EventsFeed is the listing of an organisation's events. It has no watermark: it is read
// whole each time.
func EventsFeed(id attendees.OrganizationID) FeedName {
	return FeedName("eventbrite/events/" + string(id))
}

// FormFeed is the listing of one form's responses.
func FormFeed(id attendees.FormID) FeedName { return FeedName("typeform/form/" + string(id)) }

// Feed is how far one listing has been read. A run that is under way has RunStarted; it
// resumes at RunPage or RunUntil when it was interrupted. RunSince tells the kind: nil
// where it reads all.
type Feed struct {
	Name       FeedName   `db:"name"`
	Watermark  *time.Time `db:"watermark"`
	RunStarted *time.Time `db:"run_started_at"`
	RunSince   *time.Time `db:"run_since"`
	RunPage    int        `db:"run_page"`
	RunUntil   *time.Time `db:"run_until"`
	RunSeen    []byte     `db:"run_seen"` // people.Listing's bytes
	Generation int        `db:"generation"`
	Finished   *time.Time `db:"finished_at"`
	FailedAt   *time.Time `db:"failed_at"`
	Failure    string     `db:"failure"`
	Attention  string     `db:"attention"`
}

// Feeds keeps how far each source has been read.
type Feeds struct {
	pool *sqlx.DB
	now  func() time.Time
}

const feedColumns = `name, watermark, run_started_at, run_since, run_page, run_until, run_seen,
	generation, finished_at, failed_at, failure, attention`

// Get reads a feed's progress; a feed that was never read is all zero.
func (s *Feeds) Get(ctx context.Context, q db.Queryer, name FeedName) (f Feed, err error) {
	defer db.Wrap(&err, "read the progress of %s", name)
	err = db.Get(ctx, q, &f, `select `+feedColumns+` from feeds where name = $1`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return Feed{Name: name}, nil // not f: sqlx sets its pointers before it sees no row
	}
	return f, err
}

// List lists all feeds by name.
func (s *Feeds) List(ctx context.Context) (all []Feed, err error) {
	defer db.Wrap(&err, "list feeds")
	err = db.Select(ctx, s.pool, &all, `select `+feedColumns+` from feeds order by name`)
	return all, err
}

// ErrRewound says that a feed was rewound since it was read: it is to be read again by
// what is linked now, and nothing of this page counts.
var ErrRewound = errors.New("it was rewound meanwhile")

// Save stores a feed's progress in the transaction of what was read. ErrRewound rolls
// that back.
func (s *Feeds) Save(ctx context.Context, tx db.Tx, f Feed) (err error) {
	defer db.Wrap(&err, "store the progress of %s", f.Name)
	n, err := db.Exec(ctx, tx, `
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
	if err == nil && n == 0 {
		err = ErrRewound
	}
	return err
}

// Fail records that a run failed and why, without values. It keeps since when the feed
// fails, and says whether it began to now.
func (s *Feeds) Fail(ctx context.Context, name FeedName, failure string) (began bool, err error) {
	defer db.Wrap(&err, "record a failure of %s", name)
	err = db.Get(ctx, s.pool, &began, `
		insert into feeds as f (name, failed_at, failure)
		values ($1, $2, $3)
		on conflict (name) do update set failed_at = coalesce(f.failed_at, excluded.failed_at), failure = excluded.failure
		returning failed_at = $2`, name, s.now(), failure)
	return began, err
}

// Note records what the operator has to look at; "" where there is nothing any more.
func (s *Feeds) Note(ctx context.Context, name FeedName, attention string) (err error) {
	defer db.Wrap(&err, "note what to look at in %s", name)
	_, err = db.Exec(ctx, s.pool, `
		insert into feeds (name, attention)
		values ($1, $2)
		on conflict (name) do update set attention = excluded.attention`, name, attention)
	return err
}

// Rewind has a feed read from its beginning.
func (s *Feeds) Rewind(ctx context.Context, tx db.Tx, name FeedName) (err error) {
	defer db.Wrap(&err, "rewind %s", name)
	_, err = db.Exec(ctx, tx, `
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
	return err
}

package retention

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/ledger"
)

const (
	// skewCounts is for how long a source's word on the time counts: clocks are set right,
	// and a source that is not asked any more must not stop everything.
	skewCounts = 24 * time.Hour
	// unaskedFor is how long sources whose word is older are waited for, and unaskedCounts
	// for how long that they were waited for counts.
	unaskedFor, unaskedCounts = 24 * time.Hour, 7 * 24 * time.Hour
)

// sourceClocks begins the marks of what sources' clocks said in their latest replies: by how
// many seconds each was ahead of the database's.
const sourceClocks = "clock/"

// unasked is the mark that sources which once told the time are waited for. After a jump of
// host and database alike it looks so, too.
const unasked db.Mark = "unasked"

// NoteSkew stores by how much a source's clock was ahead of the host's in a reply that has
// just come.
func (s *Store) NoteSkew(ctx context.Context, source attendees.SourceName, skew time.Duration) (err error) {
	defer db.Wrap(&err, "note a source's clock")
	_, err = db.Exec(ctx, s.pool, `
		insert into marks (name, value, at)
		values ($1, extract(epoch from $2::timestamptz - clock_timestamp())::text, clock_timestamp())
		on conflict (name) do update set value = excluded.value, at = excluded.at`, sourceClocks+string(source), s.now().Add(skew))
	return err
}

// CheckClock refuses to believe the clock where it differs from the database's, or from what
// a source's latest reply said, or is behind the ledger's newest entry; and, for a day, where
// sources have told the time before and no reply is young enough. On a simulated database it
// is compared with the ledger alone.
func (s *Store) CheckClock(ctx context.Context) (err error) {
	now := s.now()
	last, err := s.ledger.Time(ctx)
	if err != nil {
		return err
	}
	if now.UTC().Truncate(time.Second).Before(last) {
		return ledger.ErrClock
	}
	_, simulated, err := db.Marked(ctx, s.pool, db.Simulated)
	if err != nil || !simulated.IsZero() {
		return err
	}
	if err := s.compareClocks(ctx, now); err != nil {
		return err
	}
	return s.waitForSources(ctx, now)
}

func (s *Store) compareClocks(ctx context.Context, now time.Time) (err error) {
	defer db.Wrap(&err, "compare clocks")
	var theirs []struct {
		Whose string    `db:"whose"`
		Now   time.Time `db:"now"`
	}
	err = db.Select(ctx, s.pool, &theirs, `
		select 'the database' as whose, clock_timestamp() as now
		union all
		select 'the source ' || substr(name, length($1) + 1), clock_timestamp() + value::float8 * interval '1 second'
		from marks
		where starts_with(name, $1) and at > clock_timestamp() - $2 * interval '1 second'`, sourceClocks, skewCounts.Seconds())
	if err != nil {
		return err
	}
	for _, c := range theirs {
		if d := now.Sub(c.Now).Abs(); d > db.MaxSkew {
			return fmt.Errorf("this machine's clock and that of %s differ by %s: nothing is blocked or deleted until one of them is right again, by NTP", c.Whose, d.Round(time.Second))
		}
	}
	return nil
}

func (s *Store) waitForSources(ctx context.Context, now time.Time) (err error) {
	defer db.Wrap(&err, "compare clocks")
	var latest sql.NullTime
	if err := db.Get(ctx, s.pool, &latest, `select max(at) from marks where starts_with(name, $1)`, sourceClocks); err != nil {
		return err
	}
	if !latest.Valid || now.Sub(latest.Time) <= skewCounts {
		return db.Unmark(ctx, s.pool, unasked)
	}
	_, since, err := db.Marked(ctx, s.pool, unasked)
	if err != nil {
		return err
	}
	waited := now.Sub(since)
	if waited < 0 || waited > unaskedCounts {
		waited = 0
		if err := db.SetMark(ctx, s.pool, unasked, "", now); err != nil {
			return err
		}
	}
	if waited < unaskedFor {
		return fmt.Errorf("no source has told the time since %s by this machine's clock: nothing is blocked or deleted for a day, or until one answers; `lethe sync` asks them", latest.Time.UTC().Format("2 January 2006 15:04"))
	}
	return nil
}

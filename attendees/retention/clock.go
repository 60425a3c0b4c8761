package retention

import (
	"context"
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
	defer db.Wrap(&err, "compare clocks")
	_, simulated, err := db.Marked(ctx, s.pool, db.Simulated)
	if err != nil || !simulated.IsZero() {
		return err
	}
	var clocks []struct {
		Whose string    `db:"whose"`
		Now   time.Time `db:"now"`
		Heard time.Time `db:"heard"`
	}
	err = db.Select(ctx, s.pool, &clocks, `
		select 'the database' as whose, clock_timestamp() as now, clock_timestamp() as heard
		union all
		select 'the source ' || substr(name, length($1) + 1), clock_timestamp() + value::float8 * interval '1 second', at
		from marks
		where starts_with(name, $1)
		order by whose`, sourceClocks)
	if err != nil {
		return err
	}
	var latest time.Time
	for i, c := range clocks { // the database first: how old the sources' words are counts from there
		if d := now.Sub(c.Now).Abs(); d > db.MaxSkew && (i == 0 || now.Sub(c.Heard) <= skewCounts) {
			return fmt.Errorf("this machine's clock and that of %s differ by %s: nothing is blocked or deleted until one of them is right again, by NTP",
				c.Whose, d.Round(time.Second))
		}
		if i > 0 && latest.Before(c.Heard) {
			latest = c.Heard
		}
	}
	if latest.IsZero() || now.Sub(latest) <= skewCounts {
		return db.Unmark(ctx, s.pool, unasked)
	}
	return s.waitForSources(ctx, latest)
}

// waitForSources refuses for a day since when sources that told the time before do not.
func (s *Store) waitForSources(ctx context.Context, latest time.Time) error {
	_, since, err := db.Marked(ctx, s.pool, unasked)
	if err != nil {
		return err
	}
	waited := s.now().Sub(since)
	if waited < 0 || waited > unaskedCounts {
		waited = 0
		if err := db.SetMark(ctx, s.pool, unasked, "", s.now()); err != nil {
			return err
		}
	}
	if waited < unaskedFor {
		return fmt.Errorf("no source has told the time since %s by this machine's clock: "+
			"nothing is blocked or deleted for a day, or until one answers; `lethe sync` asks them", latest.UTC().Format("2 January 2006 15:04"))
	}
	return nil
}

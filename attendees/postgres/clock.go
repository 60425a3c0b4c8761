package postgres

import (
	"context"
	"fmt"
	"time"

	"lethe/attendees"
)

const (
	// MaxSkew is how far the host's clock may be from others': a purge must not come early
	// because one machine's clock is wrong.
	MaxSkew = 10 * time.Minute
	// skewCounts is for how long a source's word on the time counts: clocks are set right,
	// and a source that is asked no more must not stop everything.
	skewCounts = 24 * time.Hour
)

// sourceClock is the mark of what a source's clock said in its latest reply: by how many
// seconds it was ahead of the database's, which is the same for whoever asks.
func sourceClock(source attendees.SourceName) Mark { return Mark(sourceClocks + string(source)) }

const sourceClocks = "clock/"

// NoteSkew keeps by how much a source's clock was ahead of the host's in a reply that has
// just come.
func (s *Store) NoteSkew(ctx context.Context, source attendees.SourceName, skew time.Duration) error {
	_, err := s.db.ExecContext(ctx, `
		insert into marks (name, value, at)
		values ($1, extract(epoch from $2::timestamptz - clock_timestamp())::text, clock_timestamp())
		on conflict (name) do update set value = excluded.value, at = excluded.at`, sourceClock(source), s.now().Add(skew))
	return quiet("note a source's clock", err)
}

// CheckClock refuses to believe the clock where it differs from the database's, or from
// what a source's latest replies said, or stands before the ledger's newest entry. A
// simulated clock is compared with the ledger alone.
func (s *Store) CheckClock(ctx context.Context, simulated bool) error {
	now := s.now()
	if !simulated {
		if err := s.compareClocks(ctx, now); err != nil {
			return err
		}
	}
	_, last, err := s.ledgerHead(ctx, s.db)
	if err == nil && now.UTC().Truncate(time.Second).Before(last) {
		err = ErrClock
	}
	return err
}

func (s *Store) compareClocks(ctx context.Context, now time.Time) error {
	var theirs []struct {
		Whose string    `db:"whose"`
		Now   time.Time `db:"now"`
	}
	err := s.db.SelectContext(ctx, &theirs, `
		select 'the database' as whose, clock_timestamp() as now
		union all
		select 'the source ' || substr(name, length($1) + 1), clock_timestamp() + value::float8 * interval '1 second'
		from marks
		where starts_with(name, $1) and at > clock_timestamp() - $2 * interval '1 second'`, sourceClocks, skewCounts.Seconds())
	if err != nil {
		return quiet("ask others for the time", err)
	}
	for _, c := range theirs {
		if d := now.Sub(c.Now).Abs(); d > MaxSkew {
			return fmt.Errorf("this machine's clock and that of %s are %s apart: nothing is blocked or deleted until one of them is right again, by NTP", c.Whose, d.Round(time.Second))
		}
	}
	return nil
}

// At is the same store at another time, to look at a plan as it will stand then.
func (s *Store) At(now func() time.Time) *Store {
	then := *s
	then.now = now
	return &then
}

package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/staff"
)

const (
	// MaxSkew is how far the host's clock may be from others': a purge must not come early
	// because one machine's clock is wrong.
	MaxSkew = 10 * time.Minute
	// skewCounts is for how long a source's word on the time counts: clocks are set right,
	// and a source that is asked no more must not stop everything.
	skewCounts = 24 * time.Hour
	// unaskedFor is how long sources whose word is older are waited for, and unaskedCounts
	// for how long that they were counts.
	unaskedFor, unaskedCounts = 24 * time.Hour, 7 * 24 * time.Hour
)

// unasked is the mark that sources which once told the time are waited for: since then no
// word of theirs is young enough. After a jump of host and database alike it looks so, too.
const unasked Mark = "unasked"

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
// what a source's latest replies said, or stands before the ledger's newest entry; and, for
// a day, where sources have told the time before and no reply is young enough. A simulated
// clock is compared with the ledger alone.
func (s *Store) CheckClock(ctx context.Context, simulated bool) error {
	now := s.now()
	if !simulated {
		if err := s.compareClocks(ctx, now); err != nil {
			return err
		}
		if err := s.waitForSources(ctx, now); err != nil {
			return err
		}
	}
	return s.behindLedger(ctx, s.db, now)
}

// behindLedger is ErrClock where a time stands before the ledger's newest entry.
func (s *Store) behindLedger(ctx context.Context, q db.Queryer, now time.Time) error {
	_, last, err := s.ledgerHead(ctx, q)
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

func (s *Store) waitForSources(ctx context.Context, now time.Time) error {
	var latest sql.NullTime
	if err := s.db.GetContext(ctx, &latest, `select max(at) from marks where starts_with(name, $1)`, sourceClocks); err != nil {
		return quiet("ask others for the time", err)
	}
	if !latest.Valid || now.Sub(latest.Time) <= skewCounts {
		_, err := s.db.ExecContext(ctx, `delete from marks where name = $1`, unasked)
		return quiet("note that a source was heard", err)
	}
	since, err := s.Marked(ctx, unasked)
	if err != nil {
		return err
	}
	waited := now.Sub(since)
	if waited < 0 || waited > unaskedCounts {
		waited = 0
		if err := s.SetMark(ctx, unasked); err != nil {
			return err
		}
	}
	if waited < unaskedFor {
		return fmt.Errorf("by this machine's clock no source has told the time since %s: nothing is blocked or deleted for a day, or until one answers; `lethe sync` asks them", latest.Time.UTC().Format("2 January 2006 15:04"))
	}
	return nil
}

// believe refuses a time that nothing must be recorded under, since an append-only ledger
// keeps it: one that is not the database's. What a source says counts for blocking and
// deleting alone: a person's rights do not wait for its clock. On a simulated database any
// time is believed.
func (s *Store) believe(ctx context.Context, tx *sqlx.Tx, now time.Time) error {
	var at struct {
		Simulated bool      `db:"simulated"`
		Now       time.Time `db:"now"`
	}
	err := tx.GetContext(ctx, &at, `select exists (select from marks where name = $1) as simulated, clock_timestamp() as now`, Simulated)
	if d := now.Sub(at.Now).Abs(); err == nil && !at.Simulated && d > MaxSkew {
		return fmt.Errorf("this machine's clock and that of the database are %s apart: nothing is recorded or dropped until one of them is right again, by NTP", d.Round(time.Second))
	}
	return quiet("ask the database for the time", err)
}

// At is the same store at another time, to look at a plan as it will stand then.
func (s *Store) At(now func() time.Time) *Store {
	then := *s
	then.now, then.book, then.Staff = now, ledger.New(s.db, s.keys, now), staff.New(s.db, s.keys, now)
	return &then
}

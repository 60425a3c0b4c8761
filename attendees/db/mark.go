package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Mark is something that is true of the database as a whole.
type Mark string

// Simulated databases hold invented people: made by demo or a test. Only there may
// LETHE_CLOCK tell the time.
const Simulated Mark = "simulated"

// SetMark notes that something is true as of at.
func SetMark(ctx context.Context, q Queryer, m Mark, value string, at time.Time) (err error) {
	defer Wrap(&err, "set the mark %s", m)
	_, err = Exec(ctx, q, `
		insert into marks (name, value, at)
		values ($1, $2, $3)
		on conflict (name) do update set value = excluded.value, at = excluded.at`, m, value, at)
	return err
}

// Marked tells how and since when something is true; the zero time: it is not.
func Marked(ctx context.Context, q Queryer, m Mark) (value string, at time.Time, err error) {
	defer Wrap(&err, "read the mark %s", m)
	err = q.QueryRowxContext(ctx, `select value, at from marks where name = $1`, m).Scan(&value, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	return value, at, err
}

// Unmark takes a mark away.
func Unmark(ctx context.Context, q Queryer, m Mark) (err error) {
	defer Wrap(&err, "take the mark %s away", m)
	_, err = Exec(ctx, q, `delete from marks where name = $1`, m)
	return err
}

// MaxSkew is how far the host's clock may be from others': nothing must be deleted early
// because one machine's clock is wrong.
const MaxSkew = 10 * time.Minute

// Believe refuses a time that differs from the database's by more than MaxSkew: nothing is
// recorded under it, since an append-only ledger keeps it. On a simulated database any
// time is believed.
func Believe(ctx context.Context, q Queryer, now time.Time) (err error) {
	defer Wrap(&err, "ask the database for the time")
	var at struct {
		Simulated bool      `db:"simulated"`
		Now       time.Time `db:"now"`
	}
	err = Get(ctx, q, &at, `select exists (select from marks where name = $1) as simulated, clock_timestamp() as now`, Simulated)
	if err != nil || at.Simulated {
		return err
	}
	if d := now.Sub(at.Now).Abs(); d > MaxSkew {
		return fmt.Errorf("the clocks of this machine and of the database differ by %s: nothing is recorded or deleted until one of them is right again, by NTP", d.Round(time.Second))
	}
	return nil
}

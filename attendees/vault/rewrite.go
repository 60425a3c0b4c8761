package vault

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"lethe/attendees/db"
)

// rewriteMark says that a key was destroyed whose bytes are still in the table's file, and
// since when.
const rewriteMark db.Mark = "keys to rewrite"

const (
	// lockTimeout is for how long a rewriting waits for the table at a time. Those who come
	// after it wait as long, at most.
	lockTimeout = `set local lock_timeout = '50ms'`
	// rewriteRetry is the pause between two tries.
	rewriteRetry = 100 * time.Millisecond
	// lockNotAvailable is PostgreSQL's word for a lock that was waited for too long.
	lockNotAvailable = "55P03"
)

// destroy runs a statement that destroys keys, and notes that the table is to be rewritten
// where it did. The note comes after it: a rewriting that was under way then did not see
// the statement.
func (s *Store) destroy(ctx context.Context, tx db.Tx, statement string, args ...any) error {
	n, err := db.Exec(ctx, tx, statement, args...)
	if err != nil || n == 0 {
		return err
	}
	_, err = db.Exec(ctx, tx, `
		insert into marks (name, at)
		values ($1, $2)
		on conflict (name) do nothing`, rewriteMark, s.now())
	return err
}

// RewriteWaits tells since when destroyed keys wait to leave the table's file; the zero
// time: none does.
func (s *Store) RewriteWaits(ctx context.Context) (time.Time, error) {
	_, at, err := db.Marked(ctx, s.pool, rewriteMark)
	return at, err
}

// Rewrite writes the table of keys again, without the destroyed ones, where some were
// destroyed since. It tries until it succeeds or ctx ends, and waits for no reader longer
// than 50 ms at a time. On a cluster of Lethe's own it also moves on from the WAL that has
// them.
func (s *Store) Rewrite(ctx context.Context) (err error) {
	defer db.Wrap(&err, "rewrite the keys")
	since, err := s.RewriteWaits(ctx)
	if err != nil || since.IsZero() {
		return err
	}
	for {
		err := s.rewrite(ctx)
		if !db.Is(err, lockNotAvailable) {
			if err != nil || !s.private {
				return err
			}
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rewriteRetry):
		}
	}
	if _, err := db.Exec(ctx, s.pool, `select pg_switch_wal()`); err != nil {
		return err
	}
	_, err = db.Exec(ctx, s.pool, `checkpoint`)
	return err
}

const keyColumns = `event_id, name, generation, lock, public, public_mac, server, pepper, officers, recipients, made_on`

type keyRow struct {
	Event      string         `db:"event_id"`
	Name       string         `db:"name"`
	Generation []byte         `db:"generation"`
	Lock       []byte         `db:"lock"`
	Public     sql.NullString `db:"public"`
	MAC        []byte         `db:"public_mac"`
	Server     []byte         `db:"server"`
	Pepper     []byte         `db:"pepper"`
	Officers   []byte         `db:"officers"`
	Recipients sql.NullString `db:"recipients"`
	MadeOn     time.Time      `db:"made_on"`
}

// rewrite reads the rows into memory, truncates the table and copies them back, frozen:
// `vacuum full` would copy rows that an old snapshot still sees, and after truncate and
// insert one that is older sees no keys at all.
func (s *Store) rewrite(ctx context.Context) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if _, err := db.Exec(ctx, tx, lockTimeout); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, tx, `lock table keys in access exclusive mode`); err != nil {
			return err
		}
		var rows []keyRow
		if err := db.Select(ctx, tx, &rows, `select `+keyColumns+` from keys order by event_id, name, generation`); err != nil {
			return err
		}
		if _, err := db.Exec(ctx, tx, `truncate keys`); err != nil {
			return err
		}
		if err := copyKeys(ctx, tx, rows); err != nil {
			return err
		}
		return db.Unmark(ctx, tx, rewriteMark)
	})
}

func copyKeys(ctx context.Context, tx db.Tx, rows []keyRow) (err error) {
	copied, err := tx.PrepareContext(ctx, `copy keys (`+keyColumns+`) from stdin with (freeze)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	for _, r := range rows {
		_, err := copied.ExecContext(ctx, r.Event, r.Name, r.Generation, db.Bytes(r.Lock), r.Public, db.Bytes(r.MAC),
			db.Bytes(r.Server), db.Bytes(r.Pepper), db.Bytes(r.Officers), r.Recipients, r.MadeOn.Format(time.DateOnly))
		if err != nil {
			return err
		}
	}
	_, err = copied.ExecContext(ctx)
	return err
}

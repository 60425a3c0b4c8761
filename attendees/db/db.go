// Package db is PostgreSQL, and nothing of the domain: connecting, transactions, a
// statement's rows, errors without values, and the marks of a database as a whole.
//
// Start at Open and InTx, the only way to begin a transaction. A method that takes part
// in its caller's transaction takes a Tx; one that only reads takes a Queryer, which a
// pool is, too. Statements go through Exec, Get and Select. Each function wraps its
// statements' errors once, with
//
//	defer db.Wrap(&err, "block event %s", id)
//
// because PostgreSQL quotes rows and keys in its messages, and lib/pq passes them on.
package db

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Queryer runs statements: a pool, or a Tx.
type Queryer = sqlx.ExtContext

// Tx is a transaction that InTx has begun.
type Tx = *sqlx.Tx

const (
	// maxConns leaves room on a server of 100 connections for several processes.
	maxConns = 30
	// connLife lets a pool follow a database that moved.
	connLife = 30 * time.Minute
)

// Open connects to the database at url, a PostgreSQL URL or a list of parameters.
func Open(url string) (*sqlx.DB, error) {
	badURL := errors.New("DATABASE_URL is no PostgreSQL URL: postgres://user:password@host:5432/database") // the driver's own words quote the password
	config, err := pq.NewConfig(Tuned(url))
	if err != nil {
		return nil, badURL
	}
	config.BinaryParameters = true // a statement with values is one round trip instead of two
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, badURL
	}
	pool := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxLifetime(connLife)
	return pool, nil
}

// Tuned adds to a database's URL what every connection of ours needs: plans made
// for the event at hand, UTC, and a name that its operator recognises.
func Tuned(database string) string {
	parameters := [][2]string{
		{"plan_cache_mode", "force_custom_plan"},
		{"timezone", "UTC"},
		{"application_name", "lethe"},
	}
	if !strings.HasPrefix(database, "postgres://") && !strings.HasPrefix(database, "postgresql://") {
		for _, p := range parameters {
			database += " " + p[0] + "=" + p[1]
		}
		return database
	}
	u, err := url.Parse(database)
	if err != nil {
		return database
	}
	q := u.Query()
	for _, p := range parameters {
		q.Set(p[0], p[1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// InTx runs do in one transaction, the only way to begin one. It is rolled back
// when do fails.
func InTx(ctx context.Context, pool *sqlx.DB, do func(tx Tx) error) error {
	tx, err := pool.BeginTxx(ctx, nil)
	if err != nil {
		return Failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return Failed("commit", tx.Commit())
}

// Snapshot runs do in a transaction that only reads, all of it as of one moment.
func Snapshot(ctx context.Context, pool *sqlx.DB, do func(tx Tx) error) error {
	tx, err := pool.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return Failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	return do(tx)
}

// Exec runs a statement and returns the number of rows that it changed.
func Exec(ctx context.Context, q Queryer, statement string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Each runs a query and gives its rows one after the other, each with a function that scans
// it. It prepares the query, since lib/pq reads bytes as they are from a prepared one alone,
// and in hexadecimal otherwise.
func Each(ctx context.Context, q Queryer, one func(scan func(...any) error) error, query string, args ...any) error {
	prepared, err := q.(interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
	}).PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer prepared.Close()
	rows, err := prepared.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Bytes are a column's bytes as copy wants them, which takes no bytes for an empty value:
// nil is null.
func Bytes(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// Get reads one row; sql.ErrNoRows where there is none.
func Get(ctx context.Context, q Queryer, to any, statement string, args ...any) error {
	return sqlx.GetContext(ctx, q, to, statement, args...)
}

// Select reads all rows into a slice. It is for bounded results: what an event's people
// are read by goes row by row.
func Select(ctx context.Context, q Queryer, to any, statement string, args ...any) error {
	return sqlx.SelectContext(ctx, q, to, statement, args...)
}

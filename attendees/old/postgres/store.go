package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
	"lethe/attendees/staff"
)

// Staff is who may sign in.
type Staff = *staff.Store

// Store is the database and what it needs to read and write it. Make one with New.
type Store struct {
	db     *sqlx.DB
	keys   *seal.Keyring
	policy *attendees.Policy
	now    func() time.Time
	locks  locks
	book   *ledger.Store
	Staff
}

// New makes a store on a migrated database.
func New(db *sqlx.DB, keys *seal.Keyring, policy *attendees.Policy, now func() time.Time) *Store {
	return &Store{db: db, keys: keys, policy: policy, now: now, locks: newLocks(), book: ledger.New(db, keys, now), Staff: staff.New(db, keys, now)}
}

// DB is the database itself, for River, which enqueues jobs in our transactions.
func (s *Store) DB() *sqlx.DB { return s.db }

// Keys are the secrets that people are found under.
func (s *Store) Keys() *seal.Keyring { return s.keys }

// Policy is what may be kept.
func (s *Store) Policy() *attendees.Policy { return s.policy }

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
	db := sqlx.NewDb(sql.OpenDB(connector), "postgres")
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxLifetime(connLife)
	return db, nil
}

// Tuned adds to a database's URL what every connection of ours needs: plans made
// anew for the event at hand, since at thousands of rooms a generic plan fails for
// want of locks; UTC; and a name that its operator recognises.
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
func (s *Store) InTx(ctx context.Context, do func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return quiet("begin", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return quiet("commit", tx.Commit())
}

// Error is what the database refused, without the values it refused: PostgreSQL
// quotes rows and keys in its messages and details.
type Error struct {
	Doing      string // what was tried
	Code       string // SQLSTATE
	Name       string // the SQLSTATE's name
	Table      string
	Constraint string
}

func (e *Error) Error() string {
	text := fmt.Sprintf("database: %s: %s (%s)", e.Doing, strings.ReplaceAll(e.Name, "_", " "), e.Code)
	if e.Table != "" {
		text += " on table " + e.Table
	}
	if e.Constraint != "" {
		text += ", " + e.Constraint
	}
	return text
}

// quiet wraps an error of the database so that it says what was tried and no value.
func quiet(doing string, err error) error {
	if err == nil {
		return nil
	}
	var p *pq.Error
	if errors.As(err, &p) {
		if p.Code == "57014" { // query_canceled: how a cancelled context comes back
			return fmt.Errorf("database: %s: %w", doing, context.Canceled)
		}
		return &Error{Doing: doing, Code: string(p.Code), Name: p.Code.Name(), Table: p.Table, Constraint: p.Constraint}
	}
	return fmt.Errorf("database: %s: %w", doing, err)
}

// Keys are hashes of the source's ids (UUIDs of version 8, RFC 9562): the same id
// always has the same key, so writing needs no look-up, and they spread over the
// index. space keeps an event's key apart from an attendee's of the same id.
func key(space string, ids ...string) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte(space+"\x00"+strings.Join(ids, "\x00")), 8)
}

func eventKey(source attendees.SourceName, id attendees.EventID) uuid.UUID {
	return key("event", string(source), string(id))
}

func attendeeKey(source attendees.SourceName, id attendees.AttendeeID) uuid.UUID {
	return key("attendee", string(source), string(id))
}

func responseKey(form attendees.FormID, id attendees.ResponseID) uuid.UUID {
	return key("response", string(form), string(id))
}

// nobody is a key that stands for a registration of which only the keyed id is known.
func nobody(keyedID []byte) uuid.UUID { return key("nobody", string(keyedID)) }

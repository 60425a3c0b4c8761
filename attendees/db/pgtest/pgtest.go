// Package pgtest gives each test a migrated database of its own, on a private
// PostgreSQL that lives as long as the test binary.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		db := pgtest.New(t)
//		...
//	}
//
// The migrations run once; each database is a copy of what they made.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db"
	"lethe/attendees/db/localpg"
	"lethe/migrations"
)

const (
	template     = "template_lethe"
	templateNext = "template_next"
	// startTimeout is far more than server and migrations take, and less than the
	// ten minutes after which "go test" gives up without a word about either.
	startTimeout = 3 * time.Minute
	// connections of one test; the server takes a hundred for all that run at once.
	connections = 20
)

// The test binary's one server, and where its databases are made and dropped. They are
// package-level state because testing hands nothing from TestMain to a test.
var (
	server         *localpg.Server
	administration *sql.DB
)

// made counts the databases, to name them.
var made atomic.Int64

// Main runs a package's tests between the start and the stop of the server.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a package that has more to do around its tests.
func Run(m *testing.M) (code int) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return code
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp(folder(), "lethe-pgtest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err = localpg.Start(ctx, localpg.Options{Dir: filepath.Join(dir, "postgres"), Unsafe: true})
	if err != nil {
		return 0, err
	}
	defer server.Kill() // the folder goes too: there is nothing to save
	if administration, err = sql.Open("postgres", server.URL(localpg.Database)); err != nil {
		return 0, err
	}
	defer administration.Close()
	return m.Run(), nil
}

// Each template is made when the first test needs it.
var (
	makeOld  = sync.OnceValue(func() error { return makeTemplate(template, migrations.Up) })
	makeNext = sync.OnceValue(func() error { return makeTemplate(templateNext, migrations.UpNext) })
)

func makeTemplate(name string, up func(context.Context, *sql.DB) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := administer(ctx, `create database `+name); err != nil {
		return err
	}
	pool, err := sql.Open("postgres", server.URL(name))
	if err != nil {
		return err
	}
	defer pool.Close() // one that is connected to can't be copied
	if err := up(ctx, pool); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	// Its people are invented, and its time may be, too.
	if _, err := pool.ExecContext(ctx, `insert into marks (name) values ($1)`, db.Simulated); err != nil {
		return fmt.Errorf("mark the template: %w", err)
	}
	return nil
}

// administer runs a statement outside of the tests' databases.
func administer(ctx context.Context, statement string) error {
	if _, err := administration.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// Server is the server itself, for tests that look at it from outside. Its package's
// other tests run on it too: leave it running.
func Server(t testing.TB) *localpg.Server {
	t.Helper()
	if server == nil {
		t.Fatal("there is no server; the package needs: func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	return server
}

// New makes a migrated database for the test alone. It goes at the test's end,
// whoever is still connected.
func New(t testing.TB) *sqlx.DB {
	t.Helper()
	return of(t, template, makeOld)
}

// Next makes a database with the tables of migrations/next for the test alone.
func Next(t testing.TB) *sqlx.DB {
	t.Helper()
	return of(t, templateNext, makeNext)
}

func of(t testing.TB, name string, make func() error) *sqlx.DB {
	t.Helper()
	Server(t)
	if err := make(); err != nil {
		t.Fatal(err)
	}
	return Open(t, Copy(t, name))
}

// Copy makes a database that is a copy of one that nobody is connected to, and gives its
// name. It goes at the test's end.
func Copy(t testing.TB, of string) (name string) {
	t.Helper()
	Server(t)
	name = fmt.Sprintf("test_%d", made.Add(1))
	if err := administer(t.Context(), `create database `+name+` template `+of); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Drop(t, name) })
	return name
}

// Drop drops a test's database before the test's end: hundreds that nobody needs any
// more would slow the server down. To drop what is gone does nothing.
func Drop(t testing.TB, name string) {
	t.Helper()
	// t.Context() may have ended by now.
	if err := administer(context.Background(), `drop database if exists `+name+` with (force)`); err != nil {
		t.Error(err)
	}
}

// Open connects to a database of the test's own.
func Open(t testing.TB, name string) *sqlx.DB {
	t.Helper()
	pool, err := db.Open(Server(t).URL(name)) // with the settings that the program has
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(connections)
	t.Cleanup(func() { pool.Close() })
	return pool
}

// Name is a test's database's name.
func Name(t testing.TB, db *sqlx.DB) (name string) {
	t.Helper()
	if err := db.GetContext(t.Context(), &name, `select current_database()`); err != nil {
		t.Fatal(err)
	}
	return name
}

// URL is what DATABASE_URL has to be for others to work on the test's database.
func URL(t testing.TB, db *sqlx.DB) string {
	t.Helper()
	return Server(t).URL(Name(t, db))
}

package pgtest_test

import (
	"errors"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/db/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestEachTestHasAMigratedDatabaseOfItsOwn(t *testing.T) {
	one, other := pgtest.New(t), pgtest.New(t)
	if _, err := one.ExecContext(t.Context(), `create table mine (id int)`); err != nil {
		t.Fatal(err)
	}
	if got := tables(t, one, "mine"); got != 1 {
		t.Errorf("the one has %d tables mine, want 1", got)
	}
	if got := tables(t, other, "mine"); got != 0 {
		t.Errorf("the other has %d tables mine, want 0", got)
	}
	if got := tables(t, other, "%"); got == 0 {
		t.Error("the other has no tables: it was not migrated")
	}
}

func TestDatabaseGoesAtTheEndThoughSomebodyIsConnected(t *testing.T) {
	var url string
	t.Run("a test", func(inner *testing.T) {
		url = pgtest.URL(inner, pgtest.New(inner))
		lingering, err := sqlx.ConnectContext(inner.Context(), "postgres", url)
		if err != nil {
			inner.Fatal(err)
		}
		t.Cleanup(func() { lingering.Close() }) // after the inner test's own cleanup
	})
	db, err := sqlx.ConnectContext(t.Context(), "postgres", url)
	if err == nil {
		db.Close()
	}
	const noSuchDatabase = "3D000"
	if pqErr, ok := errors.AsType[*pq.Error](err); !ok || pqErr.Code != noSuchDatabase {
		t.Errorf("got error %v, want code %s", err, noSuchDatabase)
	}
}

func TestDatabasesAreMadeSideBySide(t *testing.T) {
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			pgtest.New(t)
		})
	}
}

// tables counts the tables of the public schema whose names are like the pattern.
func tables(t *testing.T, db *sqlx.DB, like string) (n int) {
	t.Helper()
	const count = `select count(*) from pg_tables where schemaname = 'public' and tablename like $1`
	if err := db.GetContext(t.Context(), &n, count, like); err != nil {
		t.Fatal(err)
	}
	return n
}

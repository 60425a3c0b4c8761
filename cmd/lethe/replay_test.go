package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/postgres/pgtest"
	"lethe/attendees/seal"
	"lethe/sync/eventbrite/eventbritetest"
)

// refuses runs a command that has to end with status 1 and say so.
func refuses(t *testing.T, env []string, says string, args ...string) {
	t.Helper()
	p := start(t, env, args...)
	err := p.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != failed || !strings.Contains(p.out.String(), says) {
		t.Errorf("lethe %s: %v, want status 1 and %q\n%s", strings.Join(args, " "), err, says, p.out.String())
	}
}

// dump is a backup of a database, as an operator makes it.
func dump(t *testing.T, db *sqlx.DB) []byte {
	t.Helper()
	bin, err := pgtest.Server(t).Bin("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "--dbname="+pgtest.URL(t, db)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// restore puts a backup into an emptied database.
func restore(t *testing.T, db *sqlx.DB, backup []byte) {
	t.Helper()
	if _, err := db.Exec(`drop schema public cascade; create schema public`); err != nil {
		t.Fatal(err)
	}
	bin, err := pgtest.Server(t).Bin("psql")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+pgtest.URL(t, db))
	cmd.Stdin = bytes.NewReader(backup)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestARestoredBackupIsRefusedUntilItIsReplayed(t *testing.T) {
	s := newSandbox(t, 60, eventbritetest.Options{Limit: -1})
	held := s.eventbrite.Attendees(s.event, nil)
	forgotten, kept := string(held[0].ID), string(held[1].ID)
	db := pgtest.New(t)
	if _, err := db.Exec(`insert into marks (name) values ('simulated')`); err != nil {
		t.Fatal(err)
	}
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_OFFICER_KEY="+officer.Public())
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	first := dump(t, db)
	lethe(t, env, "hold", "add", "--attendee", kept, "--reason", "a claim")
	lethe(t, env, "forget", forgotten, "--reason", "asked")
	second := dump(t, db)
	s.eventbrite.AddPeople(s.event, 3)
	lethe(t, env, "sync", string(s.event))
	blocked := append(slices.Clone(env), "LETHE_CLOCK="+time.Now().AddDate(0, 0, 60).Format(time.RFC3339))
	lethe(t, blocked, "retention", "run")
	later := append(slices.Clone(env), "LETHE_CLOCK="+time.Now().AddDate(9, 0, 0).Format(time.RFC3339))

	for _, c := range []struct { // in this order: a ledger's time runs forwards
		what   string
		backup []byte
		env    []string
	}{{"before everything, restored after blocking", first, blocked}, {"after the erasure, restored years later", second, later}} {
		t.Run(c.what, func(t *testing.T) {
			restore(t, db, c.backup)
			for _, args := range [][]string{
				{"worker"}, {"web"}, {"up"}, {"sync"}, {"retention", "run"},
				{"export", string(s.event), "--purpose", "forum", "--out", "-"},
			} {
				refuses(t, c.env, "lethe ledger replay", args...)
			}
			refuses(t, c.env, "backup was restored", "ledger", "verify")
			lethe(t, c.env, "ledger", "replay")
			lethe(t, c.env, "ledger", "verify")
			lethe(t, c.env, "sync")
			var n struct {
				Readable  int `db:"readable"`
				Back      int `db:"back"`
				Tombstone int `db:"tombstones"`
				Holds     int `db:"holds"`
			}
			err := db.Get(&n, `
				select (select count(*) from personal) as readable,
					(select count(*) from attendees where source_id = $1) as back,
					(select count(*) from tombstones) as tombstones,
					(select count(*) from holds where released_at is null) as holds`, forgotten)
			if err != nil || n.Readable != 0 || n.Back != 0 || n.Tombstone == 0 || n.Holds != 1 {
				t.Errorf("after the replay: %+v (%v), want nobody readable, nobody back, a tombstone and a hold", n, err)
			}
		})
	}
}

func TestALostOrChangedCopyStopsEverything(t *testing.T) {
	s := newSandbox(t, 20, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	path := filepath.Join(t.TempDir(), "copy")
	env = append(env, "LETHE_LEDGER="+path)
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	people := s.eventbrite.Attendees(s.event, nil)
	lethe(t, env, "forget", string(people[0].ID), "--reason", "asked")
	lethe(t, env, "forget", string(people[1].ID), "--reason", "asked")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lethe(t, env, "ledger", "verify")

	write(bytes.Replace(whole, []byte("erased"), []byte("Erased"), 1))
	refuses(t, env, "DAMAGED", "ledger", "verify")
	write(whole[:len(whole)-10]) // torn by a crash: mended by what comes next
	refuses(t, env, "ends in the middle", "ledger", "verify")
	lethe(t, env, "forget", string(people[2].ID), "--reason", "asked")
	lethe(t, env, "ledger", "verify")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refuses(t, env, "copy (LETHE_LEDGER) is missing", "sync")
	refuses(t, env, "copy (LETHE_LEDGER) is missing", "worker")
	lethe(t, env, "ledger", "adopt", "--reason", "the disk died")
	lethe(t, env, "ledger", "verify")
	lethe(t, env, "sync")
	refuses(t, env, "nothing to give up", "ledger", "adopt", "--reason", "once more")

	none := append(slices.Clone(env), "LETHE_LEDGER=none")
	lethe(t, none, "events", "list")
	if _, err := db.Exec(`update marks set at = at - interval '3 hours' where name = 'copied'`); err != nil {
		t.Fatal(err)
	}
	refuses(t, none, "no machine that keeps the ledger's copy has confirmed", "worker")
}

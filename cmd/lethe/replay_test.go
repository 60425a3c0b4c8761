package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
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
	t.Parallel()
	s := newSandbox(t, 60, eventbritetest.Options{Limit: -1})
	held := s.eventbrite.Attendees(s.event, nil)
	forgotten, kept := string(held[0].ID), string(held[1].ID)
	db := pgtest.New(t)
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
	at := func(now time.Time) []string {
		return append(slices.Clone(env), "LETHE_CLOCK="+now.Format(time.RFC3339))
	}
	over := time.Now().AddDate(0, 0, 60)
	lethe(t, at(over), "retention", "run")
	afterwards, later := at(over.Add(time.Minute)), at(time.Now().AddDate(9, 0, 0))

	for _, c := range []struct { // in this order: a ledger's time runs forwards
		what   string
		backup []byte
		env    []string
	}{{"before everything, restored after blocking", first, afterwards}, {"after the erasure, restored years later", second, later}} {
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

func TestABackupRestoredAfterDeletionIsBroughtUpToDateHoweverOftenItIsKilled(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 400, eventbritetest.Options{Limit: -1})
	open, _ := s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Later Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 90), End: time.Now().AddDate(0, 0, 91),
	}, eventbritetest.Questions()...)
	s.eventbrite.AddPeople(open, 5)
	db := pgtest.New(t)
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	base := append(s.env(t, pgtest.URL(t, db)), "LETHE_RETENTION=none") // deleted when blocked
	env := append(slices.Clone(base), "LETHE_OFFICER_KEY="+officer.Public())
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	backup := dump(t, db)
	forgotten := string(s.eventbrite.Attendees(open, nil)[0].ID)
	lethe(t, env, "forget", forgotten, "--reason", "asked")
	for _, name := range []string{"Dee Later", "Eve Later", "Fay Later"} {
		if _, err := s.eventbrite.Add(open, eventbritetest.Person{Name: name, Email: "later@example.org"}); err != nil {
			t.Fatal(err)
		}
	}
	lethe(t, env, "sync", string(open))
	on := func(env []string, days int) []string {
		return append(slices.Clone(env), "LETHE_CLOCK="+time.Now().AddDate(0, 0, days).Format(time.RFC3339))
	}
	lethe(t, on(env, 60), "retention", "run")
	after := func() []string { return on(env, 61) } // computed anew: the ledger's time runs forwards

	restore(t, db, backup)
	refuses(t, on(base, 61), "no officer's key", "ledger", "replay")
	refuses(t, after(), "lethe ledger replay", "worker")
	kills := 10
	if more() {
		kills = 50
	}
	for i := range kills {
		p := start(t, after(), "ledger", "replay")
		time.Sleep(time.Duration(i) * 1500 / time.Duration(kills) * time.Millisecond)
		_ = p.Process.Kill()
		var ended bool // and killed after that
		if err := p.Wait(); err == nil {
			continue
		}
		if err := db.Get(&ended, `select exists (select from ledger_entries where leaf like '%"kind":"replayed"%')`); err != nil {
			t.Fatal(err)
		}
		if !ended {
			refuses(t, after(), "lethe ledger replay", "sync")
		}
	}
	lethe(t, after(), "ledger", "replay")
	lethe(t, after(), "ledger", "verify")
	lethe(t, after(), "sync")
	var n struct {
		Deleted int `db:"deleted"`
		Open    int `db:"open"`
		Back    int `db:"back"`
	}
	err = db.Get(&n, `
		select (select count(*) from attendees a join events e on e.id = a.event_id where e.source_id = $1)
				+ (select count(*) from sealed) + (select count(*) from events where source_id = $1 and deleted_at is null) as deleted,
			(select count(*) from personal p join events e on e.id = p.event_id where e.source_id = $2 and p.part = 'registration') as open,
			(select count(*) from attendees where source_id = $3) as back`, s.event, open, forgotten)
	if err != nil || n.Deleted != 0 || n.Open != 7 || n.Back != 0 {
		t.Errorf("after the replay: %+v (%v), want nothing of the deleted event, and of the open one 5 with 3 that came since, without the forgotten", n, err)
	}
	if said := lethe(t, after(), "ledger", "replay"); !strings.Contains(said, "nothing was to be done again") {
		t.Error(said)
	}
}

func TestACopyKeptElsewhereReplacesALostOne(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 20, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	dir := t.TempDir()
	own, elsewhere := filepath.Join(dir, "copy"), filepath.Join(dir, "elsewhere")
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_LEDGER="+own)
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	people := s.eventbrite.Attendees(s.event, nil)
	lethe(t, env, "forget", string(people[0].ID), "--reason", "asked")
	backup := dump(t, db)
	lethe(t, env, "forget", string(people[1].ID), "--reason", "asked")
	for _, end := range []string{"", ".openings"} {
		if err := os.Rename(own+end, elsewhere+end); err != nil {
			t.Fatal(err)
		}
	}
	restore(t, db, backup)
	refuses(t, env, "copy (LETHE_LEDGER) is missing", "sync")
	refuses(t, env, "copy (LETHE_LEDGER) is missing", "ledger", "replay")
	lethe(t, env, "ledger", "replay", "--from", elsewhere)
	lethe(t, env, "ledger", "verify")
	lethe(t, env, "sync")
	var back int
	if err := db.Get(&back, `select count(*) from attendees where source_id in ($1, $2)`, people[0].ID, people[1].ID); err != nil || back != 0 {
		t.Errorf("%d are back (%v)", back, err)
	}
	whole, err := os.ReadFile(own + ".openings")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"changed": bytes.Replace(whole, []byte("1 "), []byte("7 "), 1), "cut off": whole[:len(whole)-9], "gone": nil} {
		if err := os.WriteFile(own+".openings", text, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, env, "openings beside it are not the database's", "ledger", "verify")
		t.Log("openings", what)
	}
	lethe(t, env, "forget", string(people[2].ID), "--reason", "asked")
	lethe(t, env, "ledger", "verify")
}

func TestLetheRefusesToStartWithoutASecretThatKeepsSomebodyOut(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 10, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	secret := func(b ...byte) []string {
		var all []string
		for _, b := range b {
			all = append(all, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)))
		}
		return append(slices.Clone(env), "LETHE_SECRET="+strings.Join(all, ","))
	}
	lethe(t, secret(1), "events", "discover")
	lethe(t, secret(1), "sync")
	lethe(t, secret(1), "forget", string(s.eventbrite.Attendees(s.event, nil)[0].ID), "--reason", "asked")
	if _, err := db.Exec(`delete from personal; delete from attendees`); err != nil { // all others moved on
		t.Fatal(err)
	}
	lethe(t, secret(2, 1), "sync", string(s.event))
	for _, args := range [][]string{{"sync"}, {"ledger", "verify"}, {"keys", "list"}} {
		refuses(t, secret(2), "which LETHE_SECRET does not list", args...)
	}
	lethe(t, secret(2, 1), "forget", string(s.eventbrite.Attendees(s.event, nil)[1].ID), "--reason", "asked") // kept out by the newer one
	lethe(t, secret(2, 1), "ledger", "verify")
	if said := lethe(t, secret(2, 1), "keys", "list"); strings.Count(said, "LETHE_SECRET") != 2 {
		t.Errorf("keys list does not count what both secrets are needed for:\n%s", said)
	}
}

func TestAMachineWithoutACopyStopsWhenNobodyConfirmsAnyMore(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	lethe(t, env, "forget", string(s.eventbrite.Attendees(s.event, nil)[0].ID), "--reason", "asked")
	keys, err := seal.NewKeyring(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	a := &app{config: config{Ledger: noCopy}, log: slog.New(slog.DiscardHandler)}
	d := database{Store: postgres.New(db, keys, &policy, time.Now)}
	confirmed, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := a.confirm(confirmed, d); err != nil {
		t.Errorf("while the keeper confirms: %v", err)
	}
	if _, err := db.Exec(`update marks set at = at - interval '3 hours' where name = 'copied'`); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.confirm(late, d); !errors.Is(err, postgres.ErrUnconfirmed) {
		t.Errorf("three hours after the last: %v", err)
	}
}

func TestALostOrChangedCopyStopsEverything(t *testing.T) {
	t.Parallel()
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

	damaged := bytes.Replace(whole, []byte("erased"), []byte("Erased"), 1)
	write(damaged)
	refuses(t, env, "DAMAGED", "ledger", "verify")
	refuses(t, env, "lethe ledger adopt --reason", "up")
	refuses(t, env, "lethe ledger adopt --reason", "worker")
	refuses(t, env, "lethe ledger adopt --reason", "ledger", "replay")
	refuses(t, env, "is damaged: entry", "doctor")
	lethe(t, env, "ledger", "adopt", "--reason", "a bit fell over")
	if aside, err := os.ReadFile(path + ".damaged"); err != nil || !bytes.Equal(aside, damaged) {
		t.Errorf("the damaged copy is not kept (%v)", err)
	}
	lethe(t, env, "ledger", "verify")
	if whole, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
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

func TestADamagedCopyThatKnowsMoreThanARestoredBackupIsNotGivenUp(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 6, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	path := filepath.Join(t.TempDir(), "copy")
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_LEDGER="+path)
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	people := s.eventbrite.Attendees(s.event, nil)
	lethe(t, env, "forget", string(people[1].ID), "--reason", "asked")
	backup := dump(t, db)
	lethe(t, env, "forget", string(people[0].ID), "--reason", "asked")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	restore(t, db, backup)
	damaged := bytes.Replace(whole, []byte("\ncheckpoint "), []byte("\nchickpoint "), 1) // the first of several
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, env, "a backup was restored", "ledger", "adopt", "--reason", "a bit fell over")
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the copy was moved away or changed (%v)", err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil { // another one that was kept
		t.Fatal(err)
	}
	lethe(t, env, "ledger", "replay")
	lethe(t, env, "sync")
	var back int
	if err := db.Get(&back, `select count(*) from attendees where source_id = $1`, people[0].ID); err != nil || back != 0 {
		t.Errorf("who was forgotten is back %d times (%v)", back, err)
	}
}

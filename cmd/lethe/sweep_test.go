package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// atWork waits until a process has changed what query counts, or has had the time to: how
// long a program takes to start says nothing.
func atWork(t testing.TB, db *sqlx.DB, query, done string) {
	t.Helper()
	var before, now, over int
	for i := range 400 {
		if err := errors.Join(db.Get(&now, query), db.Get(&over, done)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			before = now
		}
		if now != before || over > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// traces are the files of the test server's cluster, its log among them, that hold text.
func traces(t *testing.T, db *sqlx.DB, text string) (files []string) {
	t.Helper()
	var dir string
	if err := db.Get(&dir, `show data_directory`); err != nil {
		t.Fatal(err)
	}
	_ = filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files come and go below a running server
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// invented gives everyone on the sandbox a name that no other test's people have, and lets
// four in five agree; it returns one of the others.
func (s *sandbox) invented(t *testing.T, name string) (without attendees.AttendeeID) {
	t.Helper()
	for i, r := range s.eventbrite.Attendees(s.event, nil) {
		called := fmt.Sprint(name, i)
		if err := s.eventbrite.Change(r.ID, func(p *eventbritetest.Person) { p.Name, p.NoProfile = called, false }); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			without = r.ID
			continue
		}
		s.typeform.AddResponse(typeformtest.AgreementFormID,
			typeformtest.Person{AttendeeID: r.ID, Name: called, Email: r.Email.Reveal()}, time.Now().Add(-5*time.Hour))
	}
	return without
}

// withKey adds an officer's public key to an environment, and gives the file with the
// private half.
func withKey(t *testing.T, env []string) (with []string, file string) {
	t.Helper()
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "officer.key")
	if err := os.WriteFile(file, []byte(officer.File(time.Now())), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(env), "LETHE_OFFICER_KEY="+officer.Public()), file
}

// days lets an environment's clock stand some days from now, on a database that may.
func days(env []string, n int) []string {
	return append(slices.Clone(env), "LETHE_CLOCK="+time.Now().AddDate(0, 0, n).Format(time.RFC3339))
}

// simulated is a database on which the clock may be simulated.
func simulated(t *testing.T) *sqlx.DB {
	t.Helper()
	db := pgtest.New(t)
	return db
}

func TestARunThatFailsAtItsEndKeepsTheCopyOfWhatItDid(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{Limit: -1})
	db := simulated(t)
	f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	env, _ := withKey(t, append(s.env(t, pgtest.URL(t, db)), "LETHE_LEDGER="+f.Path))
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	_, err := db.Exec(`
		create function full_disk() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$;
		create trigger full_disk before delete on openings execute function full_disk()`)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, days(env, 60), "prune openings", "retention", "run")
	c, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	var entries int
	err = db.Get(&entries, `select count(*) from ledger_entries where (select blocked_at from events) is not null`)
	if err != nil || entries == 0 || len(c.Leaves) != entries {
		t.Errorf("of %d entries (%v) the copy has %d", entries, err, len(c.Leaves))
	}
}

// In the evening of its last day, west of Greenwich, it is the next one in UTC already.
func TestAHoldThatWasTakenForTodayIsListed(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{Limit: -1})
	env := append(s.env(t, pgtest.URL(t, simulated(t))), "TZ=America/Los_Angeles")
	lethe(t, env, "events", "discover")
	env = append(env, "LETHE_CLOCK=2026-12-05T20:00:00-08:00")
	lethe(t, env, "hold", "add", string(s.event), "--reason", "a claim", "--until", "2026-12-05")
	if list := lethe(t, env, "hold", "list"); !strings.Contains(list, "2026-12-05") {
		t.Errorf("the holds are: %s", list)
	}
	p := start(t, env, "hold", "add", string(s.event), "--reason", "a claim", "--until", "2026-12-04")
	if err := p.Wait(); err == nil || !strings.Contains(p.out.String(), "--until 2026-12-04 is over") {
		t.Errorf("a hold until yesterday: %v, %s", err, p.out.String())
	}
}

func TestKilledBlockingsAndDeletionsEndComplete(t *testing.T) {
	t.Parallel()
	const people, name = 5000, "Zephyrine Quillington"
	kills := 10
	if more() {
		kills = 50
	}
	s := newSandbox(t, people, eventbritetest.Options{Limit: -1})
	held := s.invented(t, name)
	db := simulated(t)
	env, key := withKey(t, s.env(t, pgtest.URL(t, db)))
	lethe(t, env, "events", "discover")
	lethe(t, env, "events", "link", string(s.event), string(typeformtest.AgreementFormID), "--purpose", "participation_agreement", "--field", "agreed=agree")
	lethe(t, env, "sync")
	lethe(t, env, "hold", "add", "--attendee", string(held), "--reason", "a claim")
	agreed := 0
	err := db.Get(&agreed, `select count(*) from personal where part = 'registration' and agreed_at is not null`)
	if err != nil || agreed < people/2 || agreed == people || len(traces(t, db, name)) == 0 {
		t.Fatalf("%d of %d agreed (%v), and the name is found or not: the test shows nothing", agreed, people, err)
	}
	for _, step := range []struct {
		days    int
		done    string
		minimum int // of kills that came in the middle
		sealed  int // registrations at the end
	}{
		{60, `select count(*) from events where blocked_at is not null`, 3, agreed + 1},
		// A deletion takes a moment, whatever its size, so most kills come before or after.
		{3300, `select count(*) from events where deleted_at is not null`, 0, 0},
	} {
		env := days(env, step.days)
		if step.sealed == 0 {
			lethe(t, env, "hold", "release", "1")
		}
		cut := 0
		for i := range kills {
			p := start(t, env, "retention", "run")
			atWork(t, db, `select (select count(*) from sealed) + (select count(*) from attendees)`, step.done)
			time.Sleep(time.Duration(i%10*7) * time.Millisecond)
			_ = p.Process.Kill()
			_ = p.Wait()
			var done, half int
			if err := errors.Join(db.Get(&done, step.done), db.Get(&half, `select count(*) from sealed`)); err != nil {
				t.Fatal(err)
			}
			if done == 0 && half > 0 && half < agreed {
				cut++
			}
		}
		if cut < step.minimum {
			t.Errorf("only %d of %d kills came in the middle: the test shows little", cut, kills)
		}
		lethe(t, env, "retention", "run")
		var readable, sealed, twice, rows int
		err := db.QueryRow(`
			select (select count(*) from personal), (select count(*) from sealed where part = 'registration'),
				(select count(*) - count(distinct attendee_id) from sealed where part = 'registration'), (select count(*) from attendees)`).
			Scan(&readable, &sealed, &twice, &rows)
		if err != nil {
			t.Fatal(err)
		}
		if readable != 0 || sealed != step.sealed || twice != 0 || rows != step.sealed {
			t.Errorf("%d are readable, %d sealed, %d twice, %d kept; want 0, %d, 0, %[5]d", readable, sealed, twice, rows, step.sealed)
		}
		if files := traces(t, db, name); len(files) > 0 {
			t.Errorf("%v hold a name", files)
		}
		lethe(t, env, "ledger", "verify")
		if step.sealed > 0 {
			out := lethe(t, env, "unseal", "-i", key)
			if n := strings.Count(out, ",registration,"+name); n != step.sealed || !strings.Contains(out, string(held)+",registration,") {
				t.Errorf("the officer opens %d registrations, want %d, hers among them who is held", n, step.sealed)
			}
		}
	}
	var entries int
	err = db.Get(&entries, `select count(*) from ledger_entries where leaf::jsonb ->> 'kind' in ('blocked', 'deleted')`)
	if err != nil || entries != 2 {
		t.Errorf("the ledger has %d entries (%v), want one blocking and one deletion", entries, err)
	}
}

// unchanged fails where do changes a byte of the database.
func unchanged(t *testing.T, db *sqlx.DB, what string, do func()) {
	t.Helper()
	// pg_dump writes a random word into its first and its last lines.
	word := regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)
	before := word.ReplaceAll(dump(t, db), nil)
	do()
	if !bytes.Equal(before, word.ReplaceAll(dump(t, db), nil)) {
		t.Errorf("%s changed the database", what)
	}
}

func TestWhatOnlyLooksChangesNoByteOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 60, eventbritetest.Options{Limit: -1})
	db := simulated(t)
	env, _ := withKey(t, s.env(t, pgtest.URL(t, db)))
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	for _, n := range []int{0, 60, 4000} {
		env := days(env, n)
		newer := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, seal.SecretSize)) // which nothing was written with
		look := append(slices.Clone(env), "LETHE_RETENTION=uk-6", "LETHE_SECRET="+newer+","+testSecret)
		for _, args := range [][]string{
			{"retention", "plan"}, {"retention", "plan", "--json"}, {"retention", "run", "--dry-run"},
			{"retention", "run", "--dry-run", "--as-of", "2040-01-01"}, {"retention", "rules"},
		} {
			unchanged(t, db, strings.Join(args, " "), func() { lethe(t, look, args...) })
		}
		lethe(t, env, "retention", "run")
	}
}

// A dry run says beforehand what a run does.
func TestADryRunSaysAllThatTheRunDoes(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 20, eventbritetest.Options{Limit: -1})
	s.invented(t, "Quibble Example")
	db := simulated(t)
	env, _ := withKey(t, s.env(t, pgtest.URL(t, db)))
	lethe(t, env, "events", "discover")
	lethe(t, env, "events", "link", string(s.event), string(typeformtest.AgreementFormID), "--purpose", "participation_agreement", "--field", "agreed=agree")
	lethe(t, env, "sync")
	lethe(t, env, "hold", "add", string(s.event), "--reason", "a claim")
	run := func(env []string, would, does []string) {
		t.Helper()
		dry := lethe(t, env, "retention", "run", "--dry-run")
		done := lethe(t, env, "retention", "run")
		for _, line := range would {
			if !strings.Contains(dry, line) {
				t.Errorf("the dry run does not say %q:\n%s", line, dry)
			}
		}
		for _, line := range does {
			if !strings.Contains(done, line) {
				t.Errorf("the run does not say %q:\n%s", line, done)
			}
		}
		if n := strings.Count(dry, "would "); n != len(would) {
			t.Errorf("the dry run says %d things, want %d:\n%s", n, len(would), dry)
		}
	}
	run(days(env, 60), []string{"would block "}, []string{"blocked "})
	lethe(t, days(env, 61), "hold", "release", "1")
	run(days(env, 62), []string{"would drop    5 records that only a hold had kept"}, []string{"dropped  5 records that only a hold had kept"})
	var n int
	if err := db.Get(&n, `select count(person) from sealed`); err != nil || n == 0 {
		t.Fatalf("%d persons' halves are left (%v): the test shows nothing", n, err)
	}
	halves := fmt.Sprintf("the persons' halves of %d records", n)
	run(days(env, 1000), []string{"would drop    " + halves}, []string{"dropped  " + halves})

	// Under the rule none it is blocked and deleted by one run.
	db = simulated(t)
	env, _ = withKey(t, s.env(t, pgtest.URL(t, db)))
	env = append(env, "LETHE_RETENTION=none")
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	if plan := lethe(t, days(env, 60), "retention", "plan"); !strings.Contains(plan, "Next run: 1 event to block, 1 event to delete.") {
		t.Errorf("the plan does not say that the event is deleted, too:\n%s", plan)
	}
	run(days(env, 60), []string{"would block ", "would delete "}, []string{"blocked ", "deleted  event " + string(s.event) + ": 20 people"})
}

func TestOneEventThatFailsKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 20, eventbritetest.Options{Limit: -1})
	other, _ := s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Other Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	})
	s.eventbrite.AddPeople(other, 20)
	db := simulated(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	run := func(env []string, wants ...string) {
		t.Helper()
		p := start(t, env, "retention", "run")
		var exit *exec.ExitError
		if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != failed {
			t.Errorf("retention run: %v, want status 1\n%s", err, p.out.String())
		}
		for _, want := range wants {
			if !strings.Contains(p.out.String(), want) {
				t.Errorf("retention run does not say %q:\n%s", want, p.out.String())
			}
		}
	}
	for _, statement := range []string{ // something keeps the other event from being sealed
		`create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$`,
		`create trigger refuse before update on events for each row
			when (old.source_id = '` + string(other) + `' and new.state = 'blocked') execute function refuse()`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	with, _ := withKey(t, days(env, 60))
	run(with, "blocked  event "+string(s.event), "event "+string(other)+" could not be blocked", "everything else was done")
	// Years later there is no key: what is due to be deleted goes all the same.
	run(days(env, 4000), "deleted  event "+string(s.event), "no officer's key")
}

func TestAfterARotationEachOfficerOpensAllThatIsHers(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 12, eventbritetest.Options{Limit: -1})
	later, _ := s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Later Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 70), End: time.Now().AddDate(0, 0, 71),
	}, eventbritetest.Questions()...)
	s.eventbrite.AddPeople(later, 5)
	db := simulated(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	first, firstKey := withKey(t, env)
	second, secondKey := withKey(t, env)
	lethe(t, days(first, 60), "retention", "run")
	lethe(t, days(second, 120), "retention", "run")
	env = days(second, 121)
	for _, c := range []struct {
		key    string
		event  attendees.EventID
		opens  int
		others string
	}{{firstKey, s.event, 12, "5 records are sealed for other keys"}, {secondKey, later, 5, "12 records are sealed for other keys"}} {
		out := lethe(t, env, "unseal", "-i", c.key)
		if n := strings.Count(out, ",registration,"); n != c.opens || !strings.Contains(out, c.others) {
			t.Errorf("the officer opens %d registrations, want %d, and %q\n%s", n, c.opens, c.others, out)
		}
		lethe(t, env, "keys", "check", "-i", c.key)
		var rows, entries int
		err := errors.Join(
			db.Get(&rows, `select r.rows from receipts r join events e on e.id = r.event_id where r.purpose = 'unseal' and e.source_id = $1`, c.event),
			db.Get(&entries, `select count(*) from ledger_entries where leaf::jsonb ->> 'kind' = 'unsealed' and leaf::jsonb ->> 'event' = $1`, c.event))
		if err != nil || rows != c.opens || entries != 1 {
			t.Errorf("recorded are %d people in %d entries (%v), want %d in one", rows, entries, err, c.opens)
		}
	}
	refuses(t, env, "not sealed for this key", "unseal", "-i", firstKey, "--event", string(later))
	_, stranger := withKey(t, env)
	refuses(t, env, "none of 17 sealed records opens: it was not sealed for this key", "unseal", "-i", stranger)

	// What was put into somebody else's place is found by both.
	if _, err := db.Exec(`
		update sealed s
		set officers = next.officers
		from (select attendee_id, lead(officers) over (partition by event_id order by attendee_id) as officers from sealed) next
		where next.attendee_id = s.attendee_id and next.officers is not null`); err != nil {
		t.Fatal(err)
	}
	refuses(t, env, "opened 1 of 12", "keys", "check", "-i", firstKey)
	refuses(t, env, "sealed for another record", "unseal", "-i", firstKey)
}

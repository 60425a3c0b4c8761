package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// runner runs the tests between the start and the stop of their server.
type runner struct{ m *testing.M }

func (r runner) Run() int { return pgtest.Run(r.m) }

// The test binary is lethe, too: scripts and the tests that kill it run it so.
func TestMain(m *testing.M) {
	testscript.Main(runner{m}, map[string]func(){"lethe": main})
}

// more tells whether the tests are to do much: LETHE_TEST_MORE raises the number of
// kills, sequences and rows.
func more() bool { return os.Getenv("LETHE_TEST_MORE") != "" }

var testSecret = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))

// sandbox is both services with one coming event.
type sandbox struct {
	eventbrite *eventbritetest.Server
	typeform   *typeformtest.Server
	url        [2]string
	org        attendees.OrganizationID
	event      attendees.EventID
}

func newSandbox(t testing.TB, people int, o eventbritetest.Options) *sandbox {
	t.Helper()
	s := &sandbox{eventbrite: eventbritetest.New(o), typeform: typeformtest.New(typeformtest.Options{})}
	url, stop, err := s.eventbrite.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	formURL, err := s.typeform.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.typeform.Close() })
	s.url = [2]string{url, formURL}
	s.org = s.eventbrite.AddOrganization("Example Science Foundation")
	s.event, _ = s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	s.eventbrite.AddPeople(s.event, people)
	s.typeform.AddForm(typeformtest.AgreementForm())
	s.typeform.AddForm(typeformtest.ForumForm())
	return s
}

// env is the environment of a lethe on the sandbox and a database, with a home of
// its own.
func (s *sandbox) env(t testing.TB, database string) []string {
	return append(os.Environ(),
		"HOME="+t.TempDir(), "XDG_DATA_HOME=", "DATABASE_URL="+database, "LETHE_SECRET="+testSecret,
		"EVENTBRITE_TOKEN="+eventbritetest.Token, "EVENTBRITE_URL="+s.url[0],
		"TYPEFORM_TOKEN="+typeformtest.Token, "TYPEFORM_URL="+s.url[1], "LETHE_LOG_LEVEL=debug", "PORT=0")
}

// process is a lethe in a process of its own.
type process struct {
	*exec.Cmd
	out bytes.Buffer
}

func start(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("lethe", args...)}
	p.Env, p.Stdout, p.Stderr = env, &p.out, &p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, secret := range []string{eventbritetest.Secret, typeformtest.Secret, testSecret, eventbritetest.Token, typeformtest.Token} {
			if strings.Contains(p.out.String(), secret) {
				t.Errorf("lethe %s printed what it must not (%.9s…)", strings.Join(args, " "), secret)
			}
		}
	})
	return p
}

// lethe runs a command to its end and wants it to succeed.
func lethe(t testing.TB, env []string, args ...string) string {
	t.Helper()
	p := start(t, env, args...)
	if err := p.Wait(); err != nil {
		t.Fatalf("lethe %s: %v\n%s", strings.Join(args, " "), err, p.out.String())
	}
	return p.out.String()
}

// listed are the ids on an export, as a script would take them.
func listed(t testing.TB, env []string, event attendees.EventID) []string {
	t.Helper()
	file := t.TempDir() + "/list.csv"
	lethe(t, env, "export", string(event), "--purpose", "participation_agreement", "--status", "all", "--out", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(text)) {
		id, _, _ := strings.Cut(line, ",")
		ids = append(ids, id)
	}
	return ids[1:]
}

// whole compares what is held with the sandbox's own list: everyone, nobody twice.
func (s *sandbox) whole(t testing.TB, env []string) {
	t.Helper()
	var want []string
	for _, r := range s.eventbrite.Attendees(s.event, nil) {
		want = append(want, string(r.ID))
	}
	slices.Sort(want)
	got := listed(t, env, s.event)
	if !slices.Equal(got, want) {
		t.Errorf("%d are held, the source knows %d, or they are others", len(got), len(want))
	}
}

func TestScripts(t *testing.T) {
	s := newSandbox(t, 120, eventbritetest.Options{Limit: -1})
	people := s.eventbrite.Attendees(s.event, nil)
	blocked := time.Now().AddDate(0, 0, 21+31) // the event ends in 21 days and has 30 of grace
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Getuid() == 0, nil
		},
		Setup: func(e *testscript.Env) error {
			db := pgtest.New(t)
			if _, err := db.Exec(`delete from marks where name = 'simulated'`); err != nil { // each script says whether it is
				return err
			}
			for name, value := range map[string]string{
				"HOME": e.WorkDir, "DATABASE_URL": pgtest.URL(t, db), "LETHE_SECRET": testSecret, "PORT": "0",
				"EVENTBRITE_TOKEN": eventbritetest.Token, "EVENTBRITE_URL": s.url[0],
				"TYPEFORM_TOKEN": typeformtest.Token, "TYPEFORM_URL": s.url[1],
				"EVENT": string(s.event), "FORM": string(typeformtest.AgreementFormID),
				"ONE": string(people[0].ID), "TWO": string(people[1].ID),
				"AFTER": blocked.Format(time.RFC3339), "SOON": blocked.Add(time.Hour).Format(time.RFC3339), "NEXT": blocked.AddDate(0, 0, 1).Format(time.DateOnly),
				"LATER": fmt.Sprintf("%d-01-02T12:00:00Z", blocked.Year()+8),
			} {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// simulated marks the database as one of invented people: LETHE_CLOCK may be set.
			"simulated": func(ts *testscript.TestScript, _ bool, _ []string) {
				db, err := postgres.Open(ts.Getenv("DATABASE_URL"))
				ts.Check(err)
				_, err = db.Exec(`insert into marks (name) values ('simulated') on conflict do nothing`)
				ts.Check(err)
				ts.Check(db.Close())
			},
			// fails CODE lethe …: ends with that status and says one sentence, without a secret.
			"fails": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				if err != nil {
					ts.Fatalf("fails wants a status: %v", err)
				}
				err = ts.Exec(args[1], args[2:]...)
				said := ts.ReadFile("stderr")
				var exit *exec.ExitError
				switch {
				case !errors.As(err, &exit) || exit.ExitCode() != want:
					ts.Fatalf("%v, want status %d: %s", err, want, said)
				case strings.Count(strings.TrimSpace(said), "\n") > 0 || !strings.HasPrefix(said, "lethe: "):
					ts.Fatalf("not one sentence: %s", said)
				case strings.Contains(said, testSecret) || strings.Contains(said, "sandbox-token") || strings.Contains(said, "hunter2"):
					ts.Fatalf("a secret in: %s", said)
				case strings.Contains(said, "goroutine "):
					ts.Fatalf("a stack trace: %s", said)
				}
				ts.Logf("%s", said)
			},
		},
	})
}

// pulledPeople are four batches, so that kills come between the first and the last.
const pulledPeople = 20_000

// holds tells how many registrations are held.
const holds = `select count(*) from personal where part = 'registration'`

func TestKilledPullsEndComplete(t *testing.T) {
	t.Parallel()
	kills := 10
	if more() {
		kills = 50
	}
	s := newSandbox(t, pulledPeople, eventbritetest.Options{Limit: -1})
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 15 * time.Millisecond })
	people := s.eventbrite.Attendees(s.event, nil)
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	middle := 0
	for i := range kills {
		// Somebody whom the pull has passed, perhaps, changes, and all behind her slide.
		err := s.eventbrite.Change(people[97*i].ID, func(p *eventbritetest.Person) { p.Name = fmt.Sprint("Changed Person ", i) })
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, env, "sync")
		died := make(chan error, 1)
		go func() { died <- p.Wait() }()
		if i%2 == 0 { // else at any moment, its start included
			atWork(t, db, holds, `select count(*) from events where pulled_at is not null`)
		}
		ended := false
		select {
		case <-died:
			ended = true
		case <-time.After(time.Duration(50+137*i%1500) * time.Millisecond):
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-died
		}
		var held, twice, marked int
		err = errors.Join(db.Get(&held, holds),
			db.Get(&twice, `select count(*) - count(distinct source_id) from personal where part = 'registration'`),
			db.Get(&marked, `select count(*) from feeds where name like 'eventbrite/event/%' and watermark is not null`))
		switch {
		case err != nil:
			t.Fatal(err)
		case twice > 0:
			t.Errorf("kill %d: %d are doubled", i, twice)
		case marked > 0 && held < pulledPeople:
			t.Errorf("kill %d: the watermark is ahead of the data: %d are held", i, held)
		case ended && marked == 0:
			t.Errorf("a sync that ended has not read the event:\n%s", p.out.String())
		case held > 0 && held < pulledPeople:
			middle++
		case marked > 0: // complete: begin anew
			if _, err := db.Exec(`truncate personal, attendees, feeds; update events set pulled_at = null`); err != nil {
				t.Fatal(err)
			}
		}
	}
	if middle < kills/5 {
		t.Errorf("only %d of %d kills found a part of the people stored: the test shows little", middle, kills)
	}
	lethe(t, env, "sync")
	s.whole(t, env)
	var changed int
	if err := db.Get(&changed, `select count(*) from personal where name like 'Changed Person %'`); err != nil || changed != kills {
		t.Errorf("%d of %d changes are held (%v)", changed, kills, err)
	}
}

func TestAWorkerStopsInTimeAndAnotherGoesOn(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 6000, eventbritetest.Options{Limit: -1})
	// 120 pages, 8 at a time: far more than the moment that a stop leaves running jobs.
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 600 * time.Millisecond })
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	first := start(t, env, "worker")
	await(t, "the pull to be under way", func() bool {
		var n int
		err := db.Get(&n, `select coalesce(max(run_page), 0) from feeds where name like 'eventbrite/event/%'`)
		return err == nil && n > 5
	})
	began := time.Now()
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("a stopped worker ends with %v\n%s", err, first.out.String())
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the worker took %s to stop, want at most 10", took)
	}
	var page int
	if err := db.Get(&page, `select coalesce(max(run_page), 0) from feeds where run_started_at is not null`); err != nil || page == 0 {
		t.Errorf("the cut-off run kept no progress (page %d, %v)", page, err)
	}
	second := start(t, env, "worker")
	third := start(t, env, "worker")
	await(t, "the pull to end", func() bool {
		return db.Get(new(int), `select 1 from events where pulled_at is not null`) == nil
	})
	for _, w := range []*process{second, third} {
		if err := w.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(); err != nil {
			t.Errorf("a stopped worker ends with %v\n%s", err, w.out.String())
		}
	}
	s.whole(t, env)
	var personal int
	err := db.Get(&personal, `
		select count(*) from river_job
		where river_job::text ilike '%@example.%' or river_job::text like '%FORBIDDEN%'`)
	if err != nil || personal > 0 {
		t.Errorf("%d of River's rows hold personal data (%v)", personal, err)
	}
}

// await waits until a thing is so, at most a minute.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 600 {
		if so() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("waited a minute for ", what)
}

func TestAfterTheDatabaseWasKilledAPullEndsComplete(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, pulledPeople, eventbritetest.Options{Limit: -1})
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 20 * time.Millisecond })
	dir := t.TempDir()
	kills := 3
	if more() {
		kills = 10
	}
	server := startServer(t, dir)
	env := s.env(t, server.URL(databaseName))
	lethe(t, env, "migrate")
	middle := 0
	held := func(query string) (n int) {
		db, err := postgres.Open(server.URL(databaseName))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if err := db.Get(&n, query); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range kills {
		before := held(holds)
		p := start(t, env, "sync")
		await(t, "people to be stored", func() bool {
			return held(holds) > before || held(`select count(*) from events where pulled_at is not null`) > 0
		})
		time.Sleep(time.Duration(90*i) * time.Millisecond)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait() // it fails, or it was done
		server = startServer(t, dir)
		env = s.env(t, server.URL(databaseName))
		if n := held(holds); n > 0 && n < pulledPeople {
			middle++
		}
	}
	if middle == 0 {
		t.Error("no kill found a part of the people stored: the test shows little")
	}
	lethe(t, env, "sync")
	s.whole(t, env)
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func TestTheDemoGoesThrough(t *testing.T) {
	home := t.TempDir()
	env := append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "DATABASE_URL=postgres://nobody@127.0.0.1:1/none", "LETHE_DATA=", "LETHE_LOG_LEVEL=debug")
	out := lethe(t, env, "demo", "--exit")
	for _, want := range []string{
		"Winter Forum on Tides", "linked", "935 people", "That was 3 calls", "What comes next",
		"849 sealed, 151 without an agreement deleted", "Now they lie in 0 of", "its names are sealed until", "another key: it was not sealed",
		"deleted  event", "left out: 5 registrations", "Sound: entry 7 of 10", "DAMAGED at entry 7",
		"not pulled: its people are to be sealed as they come", "sealed as it came: 1,000 people",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
	// Nothing forbidden lies in any file that it left.
	found, err := exec.Command("grep", "-rlE", fmt.Sprintf("%s|%s", eventbritetest.Secret, typeformtest.Secret), home).Output()
	if len(found) > 0 {
		t.Errorf("marked secrets lie in %s (%v)", found, err)
	}
}

func TestAKilledPullOfAnEventOfLongAgoGoesOnAndEndsComplete(t *testing.T) {
	t.Parallel()
	kills := 5
	if more() {
		kills = 50
	}
	people := 300 * kills // so many that none of the pulls gets to the end
	s := newSandbox(t, 0, eventbritetest.Options{Limit: -1, PageSize: 20})
	end := time.Now().AddDate(0, 0, -100)
	past, _ := s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Status: "completed", Start: end.Add(-8 * time.Hour), End: end,
	}, eventbritetest.Questions()...)
	s.eventbrite.AddPeople(past, people)
	var answering []typeformtest.Person
	for _, r := range s.eventbrite.Attendees(past, nil) {
		answering = append(answering, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	s.typeform.Fill(typeformtest.AgreementFormID, answering, end)
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = 20 * time.Millisecond })
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.New(t)
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_OFFICER_KEY="+officer.Public())
	lethe(t, env, "events", "discover")
	lethe(t, env, "events", "link", string(past), string(typeformtest.AgreementFormID), "--purpose", "participation_agreement", "--field", "agreed="+string(typeformtest.Agree))
	for i := range kills {
		p := start(t, env, "sync")
		time.Sleep(250*time.Millisecond + time.Duration(i%5*60)*time.Millisecond)
		_ = p.Process.Kill()
		_ = p.Wait()
		var readable int
		if err := db.Get(&readable, `select count(*) from personal`); err != nil || readable > 0 {
			t.Fatalf("%d are readable (%v)", readable, err)
		}
	}
	for _, command := range [][]string{{"retention", "plan"}, {"events", "list"}} {
		if out := lethe(t, env, command...); !strings.Contains(out, sealsAsItComes) {
			t.Errorf("while it is under way, lethe %s says %s", strings.Join(command, " "), out)
		}
	}
	if out := lethe(t, env, "sync"); !strings.Contains(out, "sealed as it came") {
		t.Errorf("sync says %s", out)
	}
	var attendees, sealed, registered, blocked, unagreed int
	err = db.QueryRow(`
		select (select count(*) from attendees), (select count(*) from sealed where part = 'registration'),
			(select people from tallies where what = 'registered'), (select count(*) from events where blocked_at is not null),
			(select count(*) from attendees a where not exists (select from sealed s where s.attendee_id = a.id and s.part like 'response:%'))`).
		Scan(&attendees, &sealed, &registered, &blocked, &unagreed)
	if err != nil {
		t.Fatal(err)
	}
	if registered != people || attendees != sealed || sealed <= people/2 || sealed == people || blocked != 1 || unagreed > 0 {
		t.Errorf("%d registered, %d are kept, %d sealed, %d of them without an answer, %d events ended", registered, attendees, sealed, unagreed, blocked)
	}
	if out := lethe(t, env, "retention", "plan"); strings.Contains(out, sealsAsItComes) {
		t.Errorf("when all is done the plan says %s", out)
	}
	lethe(t, env, "ledger", "verify")
}

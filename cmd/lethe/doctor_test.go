package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// examined are doctor's findings that are not well, one a line: verdict, what, says, mend.
func examined(t *testing.T, env []string) string {
	t.Helper()
	cmd := exec.Command("lethe", "doctor", "--json")
	cmd.Env = env
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var findings []finding
	if err := json.Unmarshal(out, &findings); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range findings {
		if f.Verdict != healthy {
			lines = append(lines, strings.Join([]string{f.Verdict, f.What, f.Says, f.Mend}, " | "))
		}
	}
	return strings.Join(lines, "\n")
}

func TestDoctorSaysWhatADatabaseKeepsBesideItsTables(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	if said := examined(t, env); strings.Contains(said, "set-up") || strings.Contains(said, "clock") || strings.Contains(said, "hold") {
		t.Errorf("of a database that is set up as the private one: %s", said)
	}
	var name string
	if err := db.Get(&name, `select current_database()`); err != nil {
		t.Fatal(err)
	}
	for setting, value := range map[string]string{
		"log_error_verbosity": "default", "log_min_error_statement": "error", "log_parameter_max_length": "-1",
		"log_parameter_max_length_on_error": "-1", "log_statement": "mod", "wal_recycle": "on",
	} {
		if _, err := db.Exec(`alter database ` + name + ` set ` + setting + ` = '` + value + `'`); err != nil {
			t.Fatal(err)
		}
	}
	slot := "idle_" + strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	if _, err := db.Exec(`select pg_create_physical_replication_slot($1)`, slot); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = db.Exec(`select pg_drop_replication_slot($1)`, slot) })
	if _, err := db.Exec(`
		insert into holds (event_id, reason, added_by, added_at)
		select id, 'an old claim', 'ops', now() - interval '400 days' from events limit 1`); err != nil {
		t.Fatal(err)
	}
	said := examined(t, env)
	for _, want := range []string{
		"log_error_verbosity is default: errors in its log quote values | As its superuser: alter system set log_error_verbosity = 'terse'",
		"log_min_error_statement is error", "log_parameter_max_length is -1", "log_parameter_max_length_on_error is -1",
		"log_statement is mod", "wal_recycle is on", "nobody reads replication slot " + slot,
		"has stood since", "lethe hold release 1",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("doctor does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "an old claim") {
		t.Errorf("doctor repeats a hold's reason: %s", said)
	}
}

func TestDoctorSaysWhoseClockIsOff(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{})
	env := s.env(t, pgtest.URL(t, pgtest.New(t)))
	lethe(t, env, "events", "discover")
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = time.Hour })
	s.typeform.SetFaults(typeformtest.Faults{Ahead: -time.Hour})
	lethe(t, env, "sync")
	said := examined(t, env)
	for _, want := range []string{
		"fail | clock | this machine's clock and that of the source eventbrite are",
		"fail | Eventbrite | token of Example Science Foundation", "its clock is 1h0m",
		"fail | Typeform | token of Sandbox; its clock is 1h0m",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("doctor does not say %q:\n%s", want, said)
		}
	}
	p := start(t, env, "retention", "run")
	if err := p.Wait(); err == nil || !strings.Contains(p.out.String(), "nothing is blocked or deleted") {
		t.Errorf("a run by a doubtful clock: %v, %s", err, p.out.String())
	}
}

package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// refuse runs a lethe that must end with status 1, and gives all that it says.
func refuse(t testing.TB, env []string, args ...string) string {
	t.Helper()
	p := start(t, env, args...)
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != failed {
		t.Fatalf("lethe %s: %v, want status 1\n%s", strings.Join(args, " "), err, p.out.String())
	}
	return p.out.String()
}

// says looks for what a command must say, however its columns are filled up.
func says(t testing.TB, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), w) {
			t.Errorf("it does not say %q:\n%s", w, out)
		}
	}
}

// answered lets everybody of the event answer the agreement form, and links it.
func (s *sandbox) answered(t testing.TB, env []string) {
	t.Helper()
	var people []typeformtest.Person
	for _, r := range s.eventbrite.Attendees(s.event, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	s.typeform.Fill(typeformtest.AgreementFormID, people, time.Now().Add(-30*time.Hour))
	lethe(t, env, "events", "link", string(s.event), string(typeformtest.AgreementFormID), "--purpose", "participation_agreement",
		"--field", "email=email", "--field", "agreed=agree")
}

func TestSyncGoesOnBehindWhatFailsAndEndsBadly(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 60, eventbritetest.Options{Limit: -1})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	says(t, lethe(t, env, "events", "discover"), string(typeformtest.ForumFormID), "Participation agreement")
	s.answered(t, env)
	linkGone(t, db, "AAAAgone")
	says(t, refuse(t, env, "sync"), "1 of 4 feeds failed, `lethe doctor` says which", "AAAAgone", "answers 60", "Done in")
	s.whole(t, env)
	says(t, refuse(t, env, "doctor"), "warn pulls typeform/form/AAAAgone failed")

	without := append(env, "TYPEFORM_TOKEN=")
	says(t, refuse(t, without, "sync"), "TYPEFORM_TOKEN is not set", "Done in")
	says(t, refuse(t, append(env, "TYPEFORM_TOKEN=wrong"), "sync"), "set TYPEFORM_TOKEN")
}

// linkGone links a form that is not there any more; it sorts before the others.
func linkGone(t testing.TB, db *sqlx.DB, form attendees.FormID) {
	t.Helper()
	_, err := db.Exec(`
		with link as (
			insert into links (event_id, form_id, purpose, linked_at)
			select id, '` + string(form) + `', 'forum', now() from events
			returning event_id, form_id, purpose
		)
		insert into link_fields select event_id, form_id, purpose, 'email', 'email', 'email' from link`)
	if err != nil {
		t.Fatal(err)
	}
}

func TestSyncLooksForAnEventThatIsNamedAndCountsItOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 30, eventbritetest.Options{Limit: -1})
	env := s.env(t, pgtest.URL(t, pgtest.New(t)))
	lethe(t, env, "sync")
	s.event, _ = s.eventbrite.AddEvent(s.org, eventbritetest.Event{
		Name: "Late Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	})
	s.eventbrite.AddPeople(s.event, 17)
	id := string(s.event)
	says(t, lethe(t, env, "sync", id, " "+id), "17 new, 0 changed")
	s.whole(t, env)
	s.eventbrite.ForgetCalls()
	lethe(t, env, "sync", id, id)
	if n := len(s.eventbrite.Calls()); n != 1 {
		t.Errorf("an event that is named twice costs %d calls", n)
	}
}

func TestDoctorLooksAtEverythingAndNamesTheWayOut(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 5, eventbritetest.Options{Limit: -1})
	env := s.env(t, pgtest.URL(t, pgtest.New(t)))
	lethe(t, env, "sync")
	s.answered(t, env)
	says(t, lethe(t, env, "doctor"), "ok Typeform token of Sandbox", "ok form")

	s.typeform.SetFaults(typeformtest.Faults{WrongRegion: "api.typeform.eu"})
	says(t, lethe(t, env, "doctor"), "warn Typeform form aGr33mNt lives in another region", "Set TYPEFORM_URL=https://api.typeform.eu")
	s.typeform.SetFaults(typeformtest.Faults{WrongRegion: "elsewhere.example"})
	out := lethe(t, env, "doctor")
	says(t, out, "which is none of Typeform's")
	if strings.Contains(out, "Set TYPEFORM_URL") {
		t.Errorf("doctor would send the token anywhere:\n%s", out)
	}
	s.typeform.SetFaults(typeformtest.Faults{Refused: 403})
	says(t, refuse(t, env, "doctor"), "warn Typeform refuses to tell whose token this is", "forms:read")
	s.typeform.SetFaults(typeformtest.Faults{})

	down := append(env, "DATABASE_URL=postgres://nobody@127.0.0.1:1/none")
	says(t, refuse(t, down, "doctor"), "fail database", "ok Eventbrite token of Example Science Foundation", "ok Typeform token of Sandbox")
	says(t, refuse(t, append(env, "LETHE_SECRET="), "doctor"), "fail secret LETHE_SECRET is not set", "ok Eventbrite")
	says(t, refuse(t, append(env, "LETHE_LOG_LEVEL=loud"), "doctor"), `fail configuration LETHE_LOG_LEVEL is "loud"`)
}

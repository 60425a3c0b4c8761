package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
)

func TestARunByHandStopsAtTheFuseUntilThePlanIsAccepted(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 5, eventbritetest.Options{})
	db := pgtest.New(t)
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	env := append(s.env(t, pgtest.URL(t, db)), "LETHE_OFFICER_KEY="+officer.Public())
	at := func(day time.Time) []string {
		return append(slices.Clone(env), "LETHE_CLOCK="+day.Format(time.RFC3339))
	}
	lethe(t, env, "events", "discover")
	lethe(t, env, "sync")
	lethe(t, at(time.Now().AddDate(0, 0, 60)), "retention", "run")
	day := time.Now().AddDate(9, 0, 0)
	// The worker has announced each night, and nothing for today.
	if _, err := db.Exec(`insert into marks (name, value, at) values ('announced', $1, $2)`, day.AddDate(0, 0, -10).Format(time.RFC3339), day.Add(-6*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if said := lethe(t, at(day), "retention", "run", "--dry-run"); !strings.Contains(said, "would stop") {
		t.Errorf("a dry run says %s", said)
	}
	p := start(t, at(day), "retention", "run")
	accept := regexp.MustCompile(`lethe retention run --accept ([0-9a-f]{4}-[0-9a-f]{4})`)
	if err := p.Wait(); err == nil || !accept.MatchString(p.out.String()) {
		t.Fatalf("5 people were to go and 0 were announced: %v, %s", err, p.out.String())
	}
	var left int
	if err := db.Get(&left, `select count(*) from sealed`); err != nil || left != 5 {
		t.Errorf("%d are left (%v), want all", left, err)
	}
	said := lethe(t, at(day), "retention", "run", "--accept", accept.FindStringSubmatch(p.out.String())[1])
	if !strings.Contains(said, ": 5 people") {
		t.Errorf("accepted, it says %s", said)
	}
}

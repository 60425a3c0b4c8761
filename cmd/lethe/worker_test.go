package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

func TestASyncBesideTwoWorkersDoublesNothingAndNoSecretStays(t *testing.T) {
	s := newSandbox(t, 2000, eventbritetest.Options{Limit: 400, Window: time.Hour})
	db := pgtest.New(t)
	env := s.env(t, pgtest.URL(t, db))
	lethe(t, env, "events", "discover")
	s.answered(t, env)
	s.eventbrite.Misbehave(func(q *eventbritetest.Quirks) {
		q.FaultEvery = 9
		q.Faults = []eventbritetest.Fault{eventbritetest.ServerError, eventbritetest.CutBody, eventbritetest.WebPage, eventbritetest.BrokenConnection}
	})
	s.typeform.SetFaults(typeformtest.Faults{Share: 0.2, Cut: 1, HTML: 1})
	// A form that nobody knows makes jobs fail: their errors stay in River's tables.
	linkGone(t, db, "AAAAgone")
	workers := []*process{start(t, env, "worker"), start(t, env, "worker")}
	says(t, refuse(t, env, "sync"), "feeds failed", "AAAAgone", "Done in")
	await(t, "a job to fail", func() bool {
		return db.Get(new(int), `select 1 from river_job where errors is not null limit 1`) == nil
	})
	for _, w := range workers {
		if err := w.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := w.Wait(); err != nil {
			t.Errorf("a worker ends with %v\n%s", err, w.out.String())
		}
	}
	for _, c := range s.eventbrite.Calls() {
		if c.Fault == eventbritetest.TooMany {
			t.Fatal("the budget was not kept by their sum")
		}
	}
	s.whole(t, env)
	var agreed, waiting int
	if err := db.Get(&agreed, `select count(*) from personal where part = 'response' and attendee_id is not null`); err != nil || agreed < 1500 {
		t.Errorf("%d responses found their people (%v)", agreed, err)
	}
	if err := db.Get(&waiting, `select count(*) from river_job where errors is not null`); err != nil || waiting == 0 {
		t.Errorf("no job has failed (%v): the search would prove little", err)
	}
	if _, err := db.Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	dump, err := pgtest.Server(t).Bin("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(dump, "--dbname", pgtest.URL(t, db)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var stats string
	if err := db.Get(&stats, `select string_agg(pg_stats::text, ' ') from pg_stats`); err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string][]byte{"the dump": text, "the statistics": []byte(stats)} {
		for _, secret := range []string{eventbritetest.Secret, typeformtest.Secret, eventbritetest.Token, typeformtest.Token, testSecret} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a marked secret %.9s…", where, secret)
			}
		}
	}
}

package jobs

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
)

func TestAWorkerSealsAnEventOfLongAgoAndKeepsTheLedgersCopy(t *testing.T) {
	t.Parallel()
	source := eventbritetest.New(eventbritetest.Options{})
	url, stop, err := source.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	end := time.Now().AddDate(0, 0, -100)
	id, _ := source.AddEvent(source.AddOrganization("Example Science Foundation"), eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Status: "completed", Start: end.Add(-8 * time.Hour), End: end,
	})
	source.AddPeople(id, 60)
	log := slog.New(slog.DiscardHandler)
	p := &pull.Puller{Now: time.Now, Log: log}
	if p.Eventbrite, err = eventbrite.New(eventbrite.Options{URL: url, Token: eventbritetest.Token, Log: log}); err != nil {
		t.Fatal(err)
	}
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	officers, err := seal.ParseOfficers(officer.Public())
	if err != nil {
		t.Fatal(err)
	}
	if p.Sealer, err = seal.NewSealer(officers, keys); err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	db := pgtest.New(t)
	p.Store = postgres.New(db, keys, &policy, time.Now)
	var copies atomic.Int32
	w, err := Schedule(t.Context(), pgtest.URL(t, db), p, Life{Sealer: p.Sealer, KeepCopy: func(context.Context) error {
		if n, err := p.Store.Ledger(context.Background()); err == nil && len(n.Leaves) > 1 {
			copies.Add(1)
		}
		return nil
	}}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, p.Store, `select (select count(*) from sealed) = 60 and exists (select from events where blocked_at is not null)`)
	await(t, p.Store, `select not exists (select from river_job where state in ('available', 'running'))`)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.Stop(ctx); err != nil {
		t.Error(err)
	}
	if copies.Load() == 0 {
		t.Error("the ledger's copy was not kept when the event was sealed")
	}
}

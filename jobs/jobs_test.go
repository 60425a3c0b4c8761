package jobs

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
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

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestReconcilesAreDailyAroundTheEventAndWeeklyBefore(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	event := func(endsIn, blocksIn int, pulled, reconciled *time.Time) postgres.Event {
		e := postgres.Event{State: attendees.Active, PulledAt: pulled, ReconciledAt: reconciled}
		today := attendees.DateOf(now)
		e.EndsOn.Date, e.BlockOn.Date = today.AddDays(endsIn), today.AddDays(blocksIn)
		return e
	}
	for what, c := range map[string]struct {
		e    postgres.Event
		want bool
	}{
		"never pulled":                     {event(3, 33, nil, nil), false},
		"pulled, never reconciled":         {event(60, 90, ago(0), nil), true},
		"far off, six days ago":            {event(60, 90, ago(0), ago(6*daily)), false},
		"far off, a week ago":              {event(60, 90, ago(0), ago(weekly)), true},
		"eight days before, a day ago":     {event(8, 38, ago(0), ago(daily)), false},
		"a week before, a day ago":         {event(7, 37, ago(0), ago(daily)), true},
		"a week before, an hour ago":       {event(7, 37, ago(0), ago(time.Hour)), false},
		"over, not blocked, a day ago":     {event(-20, 10, ago(0), ago(daily)), true},
		"to be blocked today, a week ago":  {event(-30, 0, ago(0), ago(weekly)), false},
		"over and late, never reconciled":  {event(-40, -10, ago(0), nil), false},
		"daily, an hour early, as it must": {event(0, 30, ago(0), ago(daily-time.Hour)), true},
	} {
		if got := dueForReconcile(c.e, now); got != c.want {
			t.Errorf("%s: due is %v, want %v", what, got, c.want)
		}
	}
}

// scheduled starts a worker on a sandbox with one event of 60 people.
func scheduled(t *testing.T, o eventbritetest.Options) (*eventbritetest.Server, *postgres.Store) {
	t.Helper()
	source := eventbritetest.New(o)
	url, stop, err := source.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	id, _ := source.AddEvent(source.AddOrganization("Example Science Foundation"), eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	})
	source.AddPeople(id, 60)
	log := slog.New(slog.DiscardHandler)
	client, err := eventbrite.New(eventbrite.Options{URL: url, Token: eventbritetest.Token, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	db := pgtest.New(t)
	store := postgres.New(db, keys, &policy, time.Now)
	for range 2 { // two workers, as two machines have them
		w, err := Schedule(t.Context(), pgtest.URL(t, db), &pull.Puller{Store: store, Eventbrite: client, Now: time.Now, Log: log},
			Life{KeepCopy: func(context.Context) error { return nil }}, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := w.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return source, store
}

// await waits for a query to tell true, at most half a minute.
func await(t *testing.T, store *postgres.Store, query string) {
	t.Helper()
	for range 300 {
		var so bool
		if err := store.DB().Get(&so, query); err != nil {
			t.Fatal(err)
		}
		if so {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("waited half a minute for: ", query)
}

func TestTwoWorkersPullEveryoneOnceAndArgumentsAreIDsAlone(t *testing.T) {
	t.Parallel()
	_, store := scheduled(t, eventbritetest.Options{})
	await(t, store, `select count(*) = 60 from personal`)
	await(t, store, `select not exists (select from river_job where state in ('available', 'running'))`)
	var args []string
	if err := store.DB().Select(&args, `select distinct args::text from river_job`); err != nil {
		t.Fatal(err)
	}
	for _, a := range args {
		if strings.ContainsAny(a, "@ ") && !strings.HasPrefix(a, `{"event": "`) && !strings.HasPrefix(a, `{"organization": "`) {
			t.Errorf("a job's arguments are %s", a)
		}
	}
	var doubled int
	err := store.DB().Get(&doubled, `
		select count(*) from (
			select from river_job where state in ('available', 'pending', 'retryable', 'running', 'scheduled')
			group by kind, args having count(*) > 1) as twice`)
	if err != nil || doubled > 0 {
		t.Errorf("%d jobs wait twice (%v)", doubled, err)
	}
}

func TestARateLimitSnoozesAndCostsNoAttempt(t *testing.T) {
	t.Parallel()
	// Discovering takes three calls; then the budget of a minute is spent.
	_, store := scheduled(t, eventbritetest.Options{Limit: 4, Window: time.Minute, PageSize: 10})
	await(t, store, `
		select exists (
			select from river_job
			where kind in ('pull_event', 'pull_organization', 'discover') and state = 'scheduled'
			  and scheduled_at > now() + interval '5 seconds' and metadata::text like '%snooze%')`)
	var failed int
	if err := store.DB().Get(&failed, `select count(*) from river_job where errors is not null`); err != nil || failed > 0 {
		t.Errorf("%d jobs have failed (%v): a rate limit is no failure", failed, err)
	}
}

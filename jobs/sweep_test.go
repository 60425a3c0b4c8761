package jobs

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/riverqueue/river"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/pull"
)

// night is two workers on one store with one blockable event, a clock that a test moves,
// and what they log.
type night struct {
	*postgres.Store
	t       *testing.T
	now     atomic.Pointer[time.Time]
	workers []*Worker
	log     pgtest.Log
}

const (
	secretName    = "Zephyrine Quillington"
	secretAddress = "zephyrine.quillington"
)

var (
	before = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	over   = time.Date(2027, 7, 21, 3, 0, 0, 0, time.UTC)
	due    = time.Date(2034, 1, 1, 3, 0, 0, 0, time.UTC)
)

func newNight(t *testing.T, withKey bool) *night {
	t.Helper()
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	db := pgtest.New(t)
	n := &night{t: t}
	n.at(before)
	now := func() time.Time { return *n.now.Load() }
	n.Store = postgres.New(db, keys, &policy, now)
	life := Life{Simulated: true, KeepCopy: func(context.Context) error { return nil }}
	if withKey {
		officer, err := seal.NewOfficer()
		if err != nil {
			t.Fatal(err)
		}
		officers, err := seal.ParseOfficers(officer.Public())
		if err != nil {
			t.Fatal(err)
		}
		if life.Sealer, err = seal.NewSealer(officers, keys); err != nil {
			t.Fatal(err)
		}
	}
	n.fill()
	n.at(over)
	log := slog.New(slog.NewTextHandler(&n.log, nil))
	for range 2 {
		w, err := Schedule(t.Context(), pgtest.URL(t, db), &pull.Puller{Store: n.Store, Now: now, Log: log}, life, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.workers = append(n.workers, w)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := w.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return n
}

func (n *night) at(now time.Time) { n.now.Store(&now) }

// fill saves an event with three hundred people.
func (n *night) fill() {
	n.t.Helper()
	event := attendees.Event{ID: "4711", Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin",
		Start: time.Date(2027, 6, 19, 8, 0, 0, 0, time.UTC), End: time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)}
	if _, err := n.SaveEvents(n.t.Context(), attendees.Eventbrite, []attendees.Event{event}); err != nil {
		n.t.Fatal(err)
	}
	n.DB().MustExec(`update events set pulled_at = now()`)
	var batch []attendees.Minimised
	for i := range 300 {
		batch = append(batch, n.Policy().Minimise(attendees.Registration{
			ID: attendees.AttendeeID(fmt.Sprint(i)), Event: "4711", Name: attendees.Personal(fmt.Sprint(secretName, i)),
			Email: attendees.Personal(fmt.Sprint(secretAddress, i, "@example.org")), Created: before, Changed: before,
		}, nil))
	}
	err := n.InTx(n.t.Context(), func(tx *sqlx.Tx) error {
		_, err := n.Save(n.t.Context(), tx, nil, attendees.Eventbrite, batch)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// sweep has both workers sweep at once, and waits until they have.
func (n *night) sweep() {
	n.t.Helper()
	var ids []int64
	for _, w := range n.workers {
		inserted, err := w.client.Insert(n.t.Context(), Sweep{}, &river.InsertOpts{})
		if err != nil {
			n.t.Fatal(err)
		}
		ids = append(ids, inserted.Job.ID)
	}
	await(n.t, n.Store, fmt.Sprintf(`select count(*) = 2 from river_job where id in (%d, %d) and state = 'completed'`, ids[0], ids[1]))
}

// readable tells which files of the cluster hold a text: nothing is flushed before.
func (n *night) readable(text string) (files []string) {
	n.t.Helper()
	var dir string
	if err := n.DB().Get(&dir, `show data_directory`); err != nil {
		n.t.Fatal(err)
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

func TestWorkersBlockAndDeleteEachEventOnceAndLeaveNoName(t *testing.T) { // not beside others, whose people have the same name
	n := newNight(t, true)
	await(t, n.Store, `select count(*) = 1 from events where blocked_at is not null`)
	await(t, n.Store, `select count(*) = 0 from river_job where kind = 'block_event' and state <> 'completed'`)
	for _, text := range []string{secretName, secretAddress} {
		if files := n.readable(text); len(files) > 0 {
			t.Errorf("after blocking, %v hold a name", files)
		}
		if strings.Contains(n.log.String(), text) {
			t.Error("the log holds a name")
		}
		var rows int
		if err := n.DB().Get(&rows, `select count(*) from river_job j where j::text like '%' || $1 || '%'`, text); err != nil || rows > 0 {
			t.Errorf("%d jobs hold a name (%v)", rows, err)
		}
	}
	n.at(due.AddDate(0, 0, -1))
	n.sweep() // announces
	n.at(due)
	n.sweep()
	await(t, n.Store, `select count(*) = 1 from events where deleted_at is not null`)
	var left, jobs, entries int
	err := n.DB().QueryRow(`
		select (select count(*) from attendees), (select count(*) from river_job where kind = 'block_event'),
			(select count(*) from ledger_entries where leaf::jsonb ->> 'kind' in ('blocked', 'deleted'))`).Scan(&left, &jobs, &entries)
	if err != nil || left != 0 || jobs != 0 || entries != 2 {
		t.Errorf("left are %d people and %d of the event's jobs, and %d entries (%v); want 0, 0, and one for each of blocking and deleting", left, jobs, entries, err)
	}
}

func TestWithoutAnOfficersKeyWorkersRefuseLoudlyAndHideTheEvent(t *testing.T) {
	t.Parallel()
	n := newNight(t, false)
	n.sweep()
	if !strings.Contains(n.log.String(), "level=ERROR") || !strings.Contains(n.log.String(), "lethe keys new") {
		t.Errorf("the log does not say loudly what to do:\n%s", n.log.String())
	}
	for row, err := range n.Attending(t.Context(), "4711", attendees.ParticipationAgreement, postgres.AnyStatus) {
		if err == nil {
			t.Fatalf("%s is shown after the block date", row.ID)
		}
	}
}

func TestTheFuseStopsANightThatNobodyAnnouncedAndAsks(t *testing.T) {
	t.Parallel()
	n := newNight(t, true)
	await(t, n.Store, `select count(*) = 1 from events where blocked_at is not null`)
	for days := 9; days > 0; days-- {
		n.at(due.AddDate(-1, 0, -days))
		n.sweep()
	}
	n.Policy().Rule = "none"
	if _, err := n.DB().Exec(`update events set accepted_delete_on = block_on, delete_on = block_on`); err != nil {
		t.Fatal(err)
	}
	n.at(due.AddDate(-1, 0, 0))
	n.sweep() // announces
	n.at(due.AddDate(-1, 0, 1))
	n.sweep()
	tasks, err := n.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || !strings.Contains(tasks[0].Says, "300 people would be deleted") {
		t.Errorf("staff are asked %+v (%v), want about a night that nobody announced", tasks, err)
	}
	if !strings.Contains(n.log.String(), "a week ago 0 were announced") {
		t.Error("the log does not say so")
	}
	var jobs int
	if err := n.DB().Get(&jobs, `select count(*) from river_job where kind = 'delete_event'`); err != nil || jobs > 0 {
		t.Errorf("%d deletions were asked for (%v)", jobs, err)
	}
}

func TestASweepOfAWorkerThatStoodStillWaitsForTheSourcesDates(t *testing.T) {
	t.Parallel()
	n := newNight(t, true)
	ago := func(d time.Duration) *postgres.Store { return n.At(func() time.Time { return time.Now().Add(-d) }) }
	s := &sweeper{store: n.Store, began: time.Now()}
	knows := func(when string, want bool) {
		t.Helper()
		if got, err := s.knowsDates(t.Context()); err != nil || got != want {
			t.Errorf("%s it knows the dates: %v (%v), want %v", when, got, err, want)
		}
	}
	knows("where no source was ever asked", true)
	if err := ago(72*time.Hour).SetMark(t.Context(), postgres.Discovered); err != nil {
		t.Fatal(err)
	}
	knows("three days after they were asked", false)
	s.began = time.Now().Add(-datesWait)
	knows("when they have not answered for long", true)
	s.began = time.Now()
	if err := ago(time.Hour).SetMark(t.Context(), postgres.Discovered); err != nil {
		t.Fatal(err)
	}
	knows("an hour after they were asked", true)
}

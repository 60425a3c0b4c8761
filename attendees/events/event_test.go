package events_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a store of events with a clock.
type world struct {
	*testing.T
	pool   *sqlx.DB
	policy *attendees.Policy
	store  *events.Store
	now    time.Time
}

func newWorld(t *testing.T) *world {
	t.Parallel()
	policy := attendees.BuiltIn()
	w := &world{T: t, pool: pgtest.Next(t), policy: &policy, now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	w.store = events.New(w.pool, w.policy, "secret", func() time.Time { return w.now })
	return w
}

// congress is an event as its source describes it.
func congress(id attendees.EventID, end time.Time) attendees.Event {
	return attendees.Event{ID: id, Organization: "900", Name: "Congress", End: end, Zone: "Europe/Berlin"}
}

// save discovers an event that ends then.
func (w *world) save(id attendees.EventID, end time.Time) events.Event {
	w.Helper()
	if _, err := w.store.Save(w.Context(), attendees.Eventbrite, []attendees.Event{congress(id, end)}); err != nil {
		w.Fatal(err)
	}
	return w.event(id)
}

func (w *world) event(id attendees.EventID) events.Event {
	w.Helper()
	e, err := w.store.Get(w.Context(), w.pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *world) tx(do func(ctx context.Context, tx db.Tx) error) {
	w.Helper()
	if err := db.InTx(w.Context(), w.pool, func(tx db.Tx) error { return do(w.Context(), tx) }); err != nil {
		w.Fatal(err)
	}
}

// in does something as the writer of an event.
func (w *world) in(id attendees.EventID, do func(ctx context.Context, tx db.Tx, e events.Event) error) {
	w.Helper()
	w.tx(func(ctx context.Context, tx db.Tx) error {
		e, err := w.store.WriteOne(ctx, tx, id)
		if err != nil {
			return err
		}
		return do(ctx, tx, e)
	})
}

func (w *world) block(id attendees.EventID, question events.Question) {
	w.Helper()
	w.in(id, func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.Block(ctx, tx, e, question) })
}

// reopen tells why it was refused.
func (w *world) reopen(id attendees.EventID) error {
	return db.InTx(w.Context(), w.pool, func(tx db.Tx) error {
		e, err := w.store.WriteOne(w.Context(), tx, id)
		if err != nil {
			return err
		}
		_, err = w.store.Reopen(w.Context(), tx, e)
		return err
	})
}

// tasks are the open tasks of a kind.
func (w *world) tasks(kind events.TaskKind) (all []events.Task) {
	w.Helper()
	open, err := w.store.Tasks.List(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, t := range open {
		if t.Kind == kind {
			all = append(all, t)
		}
	}
	return all
}

func key(id attendees.EventID) uuid.UUID { return events.Key(attendees.Eventbrite, id) }

func TestEachWriterRaisesTheVersions(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 1, 0))
	w.save("2", w.now.AddDate(0, 1, 0))
	w.tx(func(ctx context.Context, tx db.Tx) error {
		keys := []uuid.UUID{key("2"), key("1"), key("1"), key("unknown")}
		locked, err := w.store.Write(ctx, tx, keys...)
		if len(locked) != 2 || locked[key("1")].Version != 1 || locked[key("2")].ID != "2" {
			t.Errorf("%d events are locked, the first has version %d, want 2 and 1", len(locked), locked[key("1")].Version)
		}
		if keys[0] != key("2") {
			t.Error("the caller's keys are in another order")
		}
		return err
	})
	if v := w.event("2").Version; v != 1 {
		t.Errorf("version %d, want 1", v)
	}
}

func TestManyWritersOfSeveralEventsLoseNoVersionAndNeverDeadlock(t *testing.T) {
	w := newWorld(t)
	ids := []attendees.EventID{"1", "2", "3", "4", "5"}
	for _, id := range ids {
		w.save(id, w.now.AddDate(0, 1, 0))
	}
	const writers, rounds = 6, 40
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range rounds {
				keys := []uuid.UUID{key(ids[(n+i)%5]), key(ids[(n+2*i+1)%5]), key(ids[(4*n+i+3)%5]), key("0")}
				err := db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
					locked, err := w.store.Write(t.Context(), tx, keys...)
					if err != nil {
						return err
					}
					for k := range locked {
						// In a column of its own the test counts who had the row.
						if _, err := db.Exec(t.Context(), tx, `update events set name = (coalesce(nullif(name, 'Congress'), '0')::int + 1)::text where id = $1`, k); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var wrong, all int
	if err := w.pool.QueryRow(`select count(*) filter (where name <> version::text), sum(version) from events`).Scan(&wrong, &all); err != nil {
		t.Fatal(err)
	}
	if wrong > 0 || all < writers*rounds {
		t.Errorf("%d events have another version than writers, of %d writes", wrong, all)
	}
}

func TestAWriterWaitsForTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 1, 0))
	w.in("1", func(ctx context.Context, _ db.Tx, _ events.Event) error {
		err := db.InTx(ctx, w.pool, func(second db.Tx) error {
			if _, err := db.Exec(ctx, second, `set local lock_timeout = '50ms'`); err != nil {
				return err
			}
			_, err := w.store.WriteOne(ctx, second, "1")
			return err
		})
		if !db.Is(err, "55P03") {
			t.Errorf("a second writer got %v, want to wait", err)
		}
		return nil
	})
}

func TestAnUnknownEventSaysTheWayOut(t *testing.T) {
	w := newWorld(t)
	_, err := w.store.Get(t.Context(), w.pool, "7")
	if unknown := (*events.UnknownError)(nil); !errors.As(err, &unknown) || unknown.Event != "7" || !strings.Contains(err.Error(), "lethe events discover") {
		t.Error(err)
	}
	err = db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
		_, err := w.store.WriteOne(t.Context(), tx, "7")
		return err
	})
	if !errors.As(err, new(*events.UnknownError)) {
		t.Errorf("to a writer: %v", err)
	}
	w.save("1", w.now)
	if known, err := w.store.Known(t.Context(), w.pool, []attendees.EventID{"1", "7"}); err != nil || len(known) != 1 || known["1"].Key != key("1") {
		t.Errorf("known are %v (%v), want event 1", known, err)
	}
}

func TestAnOrganiserReadsAnEventUntilItsBlockDateBeginsInItsOwnZone(t *testing.T) {
	w := newWorld(t)
	e := w.save("1", time.Date(2026, 7, 1, 20, 0, 0, 0, time.UTC)) // blocked on 31 July, in Berlin
	midnight := time.Date(2026, 7, 30, 22, 0, 0, 0, time.UTC)
	if err := e.Readable(midnight.Add(-time.Second)); err != nil {
		t.Errorf("a second before: %v", err)
	}
	blocked := (*events.BlockedError)(nil)
	if err := e.Readable(midnight); !errors.As(err, &blocked) || !e.BlockedFrom().Equal(midnight) {
		t.Errorf("from its block date on, %v: %v", e.BlockedFrom(), err)
	}
	if !e.Writable(midnight) || e.Writable(w.now.AddDate(20, 0, 0)) {
		t.Error("what sources say is stored until the delete date, not longer")
	}
	w.block("1", "")
	if err := w.event("1").Readable(w.now); !errors.As(err, &blocked) || !strings.Contains(err.Error(), "was blocked on 2026-07-31") {
		t.Errorf("blocked: %v", err)
	}
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.Delete(ctx, tx, e) })
	if err := w.event("1").Readable(w.now); !errors.As(err, &blocked) || !strings.Contains(err.Error(), "people of event 1 are deleted") {
		t.Errorf("deleted: %v", err)
	}
}

// Go takes the zone "Local" for the machine's own; here the machine is in Hawaii.
func TestAnEventsDayIsTheSameOnEveryMachine(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("Honolulu", -10*3600)
	at := time.Date(2027, 7, 20, 5, 0, 0, 0, time.UTC)
	for zone, want := range map[string]string{"": "2027-07-20", "Local": "2027-07-20", "Nowhere/At_All": "2027-07-20", "America/New_York": "2027-07-20", "Pacific/Honolulu": "2027-07-19"} {
		if today := (events.Event{Zone: zone}).Today(at).String(); today != want {
			t.Errorf("the day in the zone %q is %s, want %s", zone, today, want)
		}
	}
}

package vault_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type world struct {
	*testing.T
	pool    *sqlx.DB
	secrets *seal.Keyring
	officer seal.Officer
	store   *vault.Store
	event   vault.Ref
}

func newWorld(t *testing.T) *world {
	t.Parallel()
	w := &world{T: t, pool: pgtest.Next(t)}
	var err error
	if w.secrets, err = seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))); err != nil {
		t.Fatal(err)
	}
	if w.officer, err = seal.NewOfficer(); err != nil {
		t.Fatal(err)
	}
	w.store = w.with(w.officer)
	w.event = w.newEvent("1")
	return w
}

func (w *world) with(officers ...seal.Officer) *vault.Store {
	var keys string
	for i, o := range officers {
		if i > 0 {
			keys += ","
		}
		keys += o.Public()
	}
	parsed, err := seal.ParseOfficers(keys)
	if err != nil {
		w.Fatal(err)
	}
	return vault.New(w.pool, w.secrets, parsed, true, time.Now)
}

func (w *world) newEvent(id string) vault.Ref {
	w.Helper()
	key := [16]byte{byte(len(id)), id[0]}
	_, err := w.pool.Exec(`
		insert into events (id, source, source_id, organization_id, name, status, time_zone, ends_on, first_seen_on, rule, block_on, delete_on,
			planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on, applied_at, secret)
		values ($1, 'eventbrite', $2, '', '', '', '', now(), now(), '', now(), now(), '', now(), now(), '', now(), now(), now(), '')`, vault.Ref{Key: key}.Key, id)
	if err != nil {
		w.Fatal(err)
	}
	return vault.Ref{Key: key, ID: id}
}

func (w *world) tx(do func(tx db.Tx) error) {
	w.Helper()
	if err := db.InTx(w.Context(), w.pool, do); err != nil {
		w.Fatal(err)
	}
}

func TestADestroyedWorkingKeyOpensNothing(t *testing.T) {
	w := newWorld(t)
	var sealed []byte
	w.tx(func(tx db.Tx) error {
		c, err := w.store.Working(t.Context(), tx, &w.event)
		if err == nil {
			sealed = c.Seal(nil, [16]byte{1}, 0, "registration", []byte("{}"))
		}
		return err
	})
	c, err := w.store.Reading(t.Context(), w.pool, w.event)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(nil, [16]byte{1}, 0, "registration", sealed); err != nil {
		t.Error(err)
	}
	other := w.with(w.officer) // another process, which has remembered the key
	if _, err := other.Reading(t.Context(), w.pool, w.event); err != nil {
		t.Fatal(err)
	}
	w.tx(func(tx db.Tx) error { return w.store.Destroy(t.Context(), tx, w.event, vault.Working) })
	if _, err := w.with(w.officer).Reading(t.Context(), w.pool, w.event); !errors.Is(err, vault.ErrDestroyed) {
		t.Errorf("by its old generation: %v, want ErrDestroyed", err)
	}
	w.event.Generation = nil
	for _, s := range []*vault.Store{w.store, other} {
		if _, err := s.Reading(t.Context(), w.pool, w.event); !errors.Is(err, vault.ErrDestroyed) {
			t.Errorf("got %v, want ErrDestroyed", err)
		}
	}
}

func TestRecordsOpenToOfficersAndToTheirPersonAlone(t *testing.T) {
	w := newWorld(t)
	attendee := [16]byte{9}
	var sealed, half []byte
	var generation []byte
	w.tx(func(tx db.Tx) error {
		made, err := w.store.Prepare(t.Context(), tx, w.event, vault.Kept, true)
		if err != nil {
			return err
		}
		generation = made.Cipher.Generation()
		sealed = made.Cipher.Seal(nil, attendee, 0, "kept", []byte(`{"a":1}`))
		half = made.Halves.Seal("ada@example.org", attendee, 0, "kept", []byte(`{"a":1}`))
		return w.store.EndUse(t.Context(), tx, w.event)
	})
	o, err := w.store.OpenAs(t.Context(), w.pool, w.officer, w.event)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := o.Open(attendee, 0, "kept", generation, sealed); err != nil || string(text) != `{"a":1}` {
		t.Errorf("the officer opens %q, %v", text, err)
	}
	halves, err := w.store.Halves(t.Context(), w.pool, w.event, vault.Kept, generation)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := halves.Open("ada@example.org", attendee, 0, "kept", half); err != nil || string(text) != `{"a":1}` {
		t.Errorf("the person opens %q, %v", text, err)
	}
	stranger, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.OpenAs(t.Context(), w.pool, stranger, w.event); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a stranger's key: %v, want ErrKey", err)
	}
	w.tx(func(tx db.Tx) error { return w.store.EndPeppers(t.Context(), tx, w.event) })
	if _, err := w.store.Halves(t.Context(), w.pool, w.event, vault.Kept, generation); !errors.Is(err, vault.ErrDestroyed) {
		t.Errorf("without its pepper: %v, want ErrDestroyed", err)
	}
}

func TestAReplacedLockIsRefused(t *testing.T) {
	w := newWorld(t)
	w.tx(func(tx db.Tx) error { _, err := w.store.Lock(t.Context(), tx, w.event); return err })
	mine, err := seal.NewLock("1", []byte("12345678"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(`update keys set public = $1`, mine.Public()); err != nil {
		t.Fatal(err)
	}
	err = db.InTx(t.Context(), w.pool, func(tx db.Tx) error { _, err := w.store.Lock(t.Context(), tx, w.event); return err })
	if !errors.Is(err, seal.ErrKey) {
		t.Errorf("got %v, want ErrKey", err)
	}
}

func TestOtherOfficersGetALockOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	deputy, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	var one, two vault.PublicLock
	w.tx(func(tx db.Tx) (err error) { one, err = w.store.Lock(t.Context(), tx, w.event); return err })
	w.tx(func(tx db.Tx) (err error) {
		two, err = w.with(w.officer, deputy).Lock(t.Context(), tx, w.event)
		return err
	})
	if one.Public == two.Public {
		t.Error("the deputy does not open what is sealed from now on")
	}
}

func TestRewritingKeepsEveryLivingKeyAndNoDestroyedOne(t *testing.T) {
	w := newWorld(t)
	other := w.newEvent("2")
	w.tx(func(tx db.Tx) error {
		if _, err := w.store.Working(t.Context(), tx, &w.event); err != nil {
			return err
		}
		if _, err := w.store.Working(t.Context(), tx, &other); err != nil {
			return err
		}
		_, err := w.store.Prepare(t.Context(), tx, other, vault.Kept, true)
		return err
	})
	// A snapshot that is older than all of it.
	old, err := w.pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Rollback() }()
	if _, err := old.Exec(`set transaction isolation level repeatable read`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := old.Get(&n, `select count(*) from events`); err != nil {
		t.Fatal(err)
	}
	table := func() (text string) {
		if err := w.pool.Get(&text, `select coalesce(string_agg(k::text, E'\n' order by k::text), '') from keys k where event_id = $1`, other.Key); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := table()
	w.tx(func(tx db.Tx) error { return w.store.Destroy(t.Context(), tx, w.event, vault.Working) })
	if since, err := w.store.RewriteWaits(t.Context()); err != nil || since.IsZero() {
		t.Errorf("waits since %v, %v", since, err)
	}
	if err := w.store.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	if since, err := w.store.RewriteWaits(t.Context()); err != nil || !since.IsZero() {
		t.Errorf("it still waits since %v, %v", since, err)
	}
	if table() != before {
		t.Error("a living key is not as it was")
	}
	if err := old.Get(&n, `select count(*) from keys`); err != nil || n != 3 {
		t.Errorf("an older snapshot sees %d keys, %v, want 3", n, err)
	}
	if _, err := w.with(w.officer).Reading(t.Context(), w.pool, other); err != nil {
		t.Error(err)
	}
	if _, err := w.store.OpenAs(t.Context(), w.pool, w.officer, other); err != nil {
		t.Error(err)
	}
}

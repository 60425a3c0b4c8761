package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// keys makes a working key for each of n more events.
func (w *world) keys(n int) (events []vault.Ref) {
	w.Helper()
	for i := range n {
		e := w.newEvent(string(rune('A'+i)) + strings.Repeat("x", i))
		w.tx(func(tx db.Tx) error { _, err := w.store.Working(w.Context(), tx, &e); return err })
		events = append(events, e)
	}
	return events
}

func (w *world) server(e vault.Ref) string {
	w.Helper()
	var wrapped []byte
	if err := w.pool.Get(&wrapped, `select server from keys where event_id = $1 and name = 'working'`, e.Key); err != nil {
		w.Fatal(err)
	}
	return hex.EncodeToString(wrapped)
}

// Tried: after one analyze 97 of 99 destroyed keys were in pg_statistic.
func TestStatisticsKnowNoKey(t *testing.T) {
	w := newWorld(t)
	w.keys(40)
	w.tx(func(tx db.Tx) error {
		_, err := w.store.Prepare(t.Context(), tx, w.event, vault.Kept, true)
		return err
	})
	if _, err := w.pool.Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	var columns []string
	if err := w.pool.Select(&columns, `select attname from pg_stats where tablename = 'keys' order by attname`); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(columns, " "); got != "event_id made_on name" {
		t.Errorf("statistics sample %s", got)
	}
}

// Tried: after truncate and insert a pg_dump with an older snapshot silently has no keys.
func TestADumpWithAnOlderSnapshotHasEveryLivingKey(t *testing.T) {
	w := newWorld(t)
	events := w.keys(20)
	gone := w.server(events[0])
	old, err := w.pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Rollback() }()
	var snapshot string
	if _, err := old.Exec(`set transaction isolation level repeatable read`); err != nil {
		t.Fatal(err)
	}
	if err := old.Get(&snapshot, `select pg_export_snapshot()`); err != nil {
		t.Fatal(err)
	}
	w.tx(func(tx db.Tx) error { return w.store.Destroy(t.Context(), tx, events[0], vault.Working) })
	if err := w.store.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	bin, err := pgtest.Server(t).Bin("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := exec.Command(bin, "--snapshot="+snapshot, "--dbname="+pgtest.URL(t, w.pool)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events[1:] {
		if !bytes.Contains(dump, []byte(w.server(e))) {
			t.Errorf("the key of event %s is missing", e.ID)
		}
	}
	if bytes.Contains(dump, []byte(gone)) {
		t.Error("the destroyed key is in it")
	}
}

// Tried: with `for key share` on keys, three writers let 2 of 100 rewritings through.
func TestThreeWritersDoNotKeepARewritingWaiting(t *testing.T) {
	const (
		rewritings = 10
		longest    = 2 * time.Second
	)
	w := newWorld(t)
	events := w.keys(3 + rewritings)
	done := make(chan struct{})
	var writers sync.WaitGroup
	defer writers.Wait()
	defer close(done)
	for _, e := range events[:3] {
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
					if _, err := db.Exec(t.Context(), tx, `update events set version = version + 1 where id = $1`, e.Key); err != nil {
						return err
					}
					// A process that remembers nothing reads the table each time.
					_, err := w.with(w.officer).Reading(t.Context(), tx, e)
					time.Sleep(20 * time.Millisecond) // a batch
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, e := range events[3:] {
		w.tx(func(tx db.Tx) error { return w.store.Destroy(t.Context(), tx, e, vault.Working) })
		began := time.Now()
		if err := w.store.Rewrite(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > longest {
			t.Errorf("a rewriting waited %v", took)
		}
	}
}

func TestAMissingSecretIsNamedWithTheEventsThatNeedIt(t *testing.T) {
	w := newWorld(t)
	w.keys(2)
	if err := w.store.CheckSecrets(t.Context()); err != nil {
		t.Error(err)
	}
	secret := func(n byte) string {
		return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, seal.SecretSize))
	}
	for _, c := range []struct {
		secrets string
		missing bool
	}{
		{secret(8) + "," + secret(7), false},
		{secret(8), true},
	} {
		k, err := seal.NewKeyring(c.secrets)
		if err != nil {
			t.Fatal(err)
		}
		err = vault.New(w.pool, k, nil, true, time.Now).CheckSecrets(t.Context())
		var missing *vault.MissingSecretError
		if got := errors.As(err, &missing); got != c.missing {
			t.Errorf("got %v", err)
		} else if got && (missing.ID != w.secrets.Newest() || missing.Events != 2 || missing.First != "A") {
			t.Errorf("it says %s", fmt.Sprint(missing))
		}
	}
}

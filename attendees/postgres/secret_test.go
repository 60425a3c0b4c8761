package postgres_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"lethe/attendees/postgres"
	"lethe/attendees/seal"
)

// with is the same database under other secrets, the newest first.
func (w world) with(secrets ...byte) world {
	w.t.Helper()
	var texts []string
	for _, b := range secrets {
		texts = append(texts, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, seal.SecretSize)))
	}
	keys, err := seal.NewKeyring(strings.Join(texts, ","))
	if err != nil {
		w.t.Fatal(err)
	}
	return world{postgres.New(w.DB(), keys, w.Policy(), w.clock.Now), w.t, w.clock}
}

func TestASecretIsNeededAsLongAsATombstoneAHalfOrTheLedgerIsMadeWithIt(t *testing.T) {
	w := newWorld(t)
	a, both, b := w.with(1), w.with(2, 1), w.with(2)
	missing := func(w world) string {
		t.Helper()
		id, err := w.MissingSecret(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	equal(t, "at first", missing(a), "")
	a.save(person("1", "4711", "Ada Example", "ada@example.org"))
	before := a.backup()
	a.forget("1")
	equal(t, "a newer one", missing(both), "")
	both.save(person("2", "4711", "Bo Example", "bo@example.org"))
	both.forget("2")
	f := both.copied()
	for what, restored := range map[string]bool{"as it is": false, "after a replay": true} {
		t.Run(what, func(t *testing.T) {
			if restored {
				w.restore(before)
				both.replay(f, nil)
				equal(t, "with both", missing(both), "")
			}
			equal(t, "secret in use", missing(b), a.Keys().Newest())
			equal(t, "made with the older", w.count(`select count(*) from tombstones where key = $1`, a.Keys().Newest()), 1)
			uses, err := both.SecretUses(t.Context())
			if err != nil || len(uses) != 2 || slices.ContainsFunc(uses, func(u postgres.KeyUse) bool { return u.Records < 3 }) {
				t.Errorf("uses %+v (%v), want of each a tombstone, an opening, a checkpoint", uses, err)
			}
			both.save(person("1", "4711", "Ada Example", "ada@example.org"))
			if n := w.count(`select count(*) from attendees`); n != 0 {
				t.Error("who was forgotten under the older secret is back")
			}
		})
	}
	// Only the ledger is left of the older one: its checkpoints cannot be verified without.
	if _, err := w.DB().Exec(`delete from tombstones; delete from openings; delete from attendees`); err != nil {
		t.Fatal(err)
	}
	if id := missing(b); !strings.Contains(id, "signed the ledger") {
		t.Errorf("without the secret that signed, %q is missed", id)
	}
	fresh := newWorld(t)
	equal(t, "one that wrote nothing", missing(fresh.with(1))+missing(fresh.with(2)), "")
}

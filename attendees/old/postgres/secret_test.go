package postgres_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
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
		id, err := w.UseSecret(t.Context())
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

// A newer secret is set between a registration and an answer.
func TestAnAnswerFindsItsPersonUnderANewerSecret(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkAgreement("4711")
	a, both := w.with(7), w.with(8, 7)
	a.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	a.answer("4711", response("r2", "2", "", "", nil))
	both.answer("4711", response("r1", "", "Ada Example", "ada@example.org", nil))
	w.clock.now = july
	n := both.block("4711", s)
	if both.opened("4711", o)["1 registration"] == nil {
		t.Errorf("%+v: she agreed under the newer secret, and is gone", n)
	}
}

// What a restricted person answers is matched by her address under any secret.
func TestNothingOfARestrictedPersonIsReadableUnderANewerSecret(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	a, both := w.with(7), w.with(8, 7)
	a.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if _, err := a.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	both.answer("4711", response("r1", "", "Ada Example", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}}))
	if n := w.count(`select count(*) from personal where name <> ''`); n > 0 {
		t.Errorf("%d of her rows are readable, though she is restricted", n)
	}
}

// A group order, half of it bought under the older secret.
func TestAGroupOrderUnderTwoSecrets(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	a, both := w.with(7), w.with(8, 7)
	a.save(person("1", "4711", "Ada Example", "group@example.org"))
	both.save(person("2", "4711", "Bo Example", "group@example.org"))
	both.answer("4711", response("r1", "", "Ada Example", "group@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Ada's Lab"}}))
	if n := w.count(`select count(*) from personal where part = 'registration' and name like 'Bo%' and affiliation = 'Ada''s Lab'`); n > 0 {
		t.Error("what Ada answered stands in Bo's record")
	}
	w.clock.now = july
	both.block("4711", s)
	if n := w.count(`select count(*) from sealed where person is not null`); n > 0 {
		t.Errorf("%d of a group order have a half that the buyer opens", n)
	}
	both.forget("1")
	both.lines("the other of them", both.seen("group@example.org"), "4711 shared 1")
}

// A newer secret is set, and a complete listing comes.
func TestAnAnswerByAddressStaysLinkedWhenASecretIsAdded(t *testing.T) {
	w := newWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkAgreement("4711")
	a, both := w.with(7), w.with(8, 7)
	people := []attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4711", "Cy Example", "cy@example.org")}
	a.save(people...)
	answers := []attendees.Response{response("r1", "", "A. Example", "ada@example.org", nil), response("r2", "2", "", "", nil), response("r3", "3", "", "", nil)}
	a.answer("4711", answers...)
	if n := w.count(`select count(*) from personal where part = 'registration' and agreed_at is not null`); n != 3 {
		t.Fatal(n, "agreed before")
	}
	both.save(people...) // the weekly reconcile
	if n := w.count(`select count(*) from personal where part = 'registration' and agreed_at is not null`); n != 3 {
		t.Error(n, "of 3 have agreed, after a newer secret and a reconcile")
	}
	w.clock.now = july
	n := both.block("4711", s)
	if both.opened("4711", o)["1 registration"] == nil {
		t.Errorf("%+v: she agreed, was matched by her address, and is gone", n)
	}
}

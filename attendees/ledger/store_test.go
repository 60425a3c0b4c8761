package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// keys are secrets by their ids, newest first.
type keys []string

func (k keys) IDs() []string { return k }

func (k keys) Derive(use string) (all [][]byte) {
	for _, id := range k {
		seed := sha256.Sum256([]byte(use + id))
		all = append(all, seed[:])
	}
	return all
}

// book is a ledger on a database of its own, with a clock that the test sets.
type book struct {
	*ledger.Store
	t   testing.TB
	db  *sqlx.DB
	now time.Time
}

func newBook(t testing.TB) *book {
	t.Helper()
	b := &book{t: t, db: pgtest.Next(t), now: noon}
	b.Store = b.under("first")
	return b
}

// under is the same ledger under other secrets.
func (b *book) under(ids ...string) *ledger.Store {
	return ledger.New(b.db, keys(ids), func() time.Time { return b.now })
}

func (b *book) tx(do func(ctx context.Context, tx db.Tx) error) error {
	return db.InTx(b.t.Context(), b.db, func(tx db.Tx) error { return do(b.t.Context(), tx) })
}

func (b *book) try(entries ...ledger.Entry) error {
	return b.tx(func(ctx context.Context, tx db.Tx) error {
		_, err := b.Record(ctx, tx, entries...)
		return err
	})
}

// note records that n events were blocked.
func (b *book) note(n int) {
	b.t.Helper()
	for i := range n {
		if err := b.try(ledger.Entry{Kind: ledger.Blocked, Event: fmt.Sprint(4711 + i)}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// erase records that a registration was erased.
func (b *book) erase(keyedID []byte) {
	b.t.Helper()
	err := b.tx(func(ctx context.Context, tx db.Tx) error {
		return b.RecordPerson(ctx, tx, ledger.Entry{Kind: ledger.Erased, Event: "4711"}, keyedID)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) exec(statements string) {
	b.t.Helper()
	if _, err := b.db.Exec(statements); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) verify() error {
	table, err := b.Read(b.t.Context())
	if err != nil {
		return err
	}
	v, err := b.Verifiers()
	if err != nil {
		return err
	}
	_, err = table.Verify(v)
	return err
}

var ada, bo = bytes.Repeat([]byte{0xad}, 32), bytes.Repeat([]byte{0xb0}, 32)

func TestTheTablesAreOnlyEverAppendedTo(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.note(2)
	for _, table := range []string{"ledger_entries", "ledger_hashes", "ledger_checkpoints"} {
		for _, change := range []string{"delete from " + table, "truncate " + table} {
			if _, err := b.db.Exec(change); err == nil {
				t.Errorf("%s is allowed", change)
			}
		}
	}
	for _, change := range []string{"update ledger_entries set leaf = ''", "update ledger_hashes set hash = ''", "update ledger_checkpoints set note = ''"} {
		if _, err := b.db.Exec(change); err == nil {
			t.Errorf("%s is allowed", change)
		}
	}
	if err := b.verify(); err != nil {
		t.Error(err)
	}
}

func TestEntriesThatAreRecordedAtOnceFollowEachOther(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := b.try(ledger.Entry{Kind: ledger.Run}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if size, _, err := b.Head(t.Context(), b.db); err != nil || size != 41 { // the ledger's own beginning comes first
		t.Errorf("it has %d entries (%v)", size, err)
	}
	if err := b.verify(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRolledBackIsNotRecorded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.note(1)
	no := errors.New("no")
	err := b.tx(func(ctx context.Context, tx db.Tx) error {
		if err := b.RecordPerson(ctx, tx, ledger.Entry{Kind: ledger.Erased, Event: "4711"}, ada); err != nil {
			return err
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if size, _, err := b.Head(t.Context(), b.db); err != nil || size != 2 {
		t.Errorf("it has %d entries (%v)", size, err)
	}
	if _, err := b.Certificate(t.Context(), "", [][]byte{ada}); !errors.Is(err, ledger.ErrNoEntry) {
		t.Errorf("the erasure is certified: %v", err)
	}
	if err := b.verify(); err != nil {
		t.Error(err)
	}
}

// Whoever can write to the database can disable its triggers, too.
func TestEveryChangedByteOfTheStoredTablesIsFound(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.erase(ada)
	b.erase(bo)
	b.exec(`
		alter table ledger_entries disable trigger only_grows;
		alter table ledger_hashes disable trigger only_grows;
		alter table ledger_checkpoints disable trigger only_grows`)
	sound := func() bool {
		err := b.verify()
		if err != nil && !errors.As(err, new(*ledger.Damage)) {
			t.Errorf("no damage is named: %v", err)
		}
		return err == nil
	}
	if !sound() {
		t.Fatal("the ledger itself is not found sound")
	}
	tampered := 0
	for _, c := range []struct{ table, key, column string }{
		{"ledger_entries", "index", "leaf"}, {"ledger_hashes", "position", "hash"}, {"ledger_checkpoints", "size", "note"},
		{"openings", "index", "salt"}, {"openings", "index", "keyed_id"},
	} {
		set := func(id int64, column string, to any) bool {
			_, err := b.db.Exec(`update `+c.table+` set `+column+` = $2 where `+c.key+` = $1`, id, to)
			return err == nil // the table itself refuses some
		}
		value := func(v []byte) any {
			if c.column == "leaf" || c.column == "note" {
				return string(v)
			}
			return v
		}
		var rows []struct {
			ID    int64  `db:"id"`
			Value []byte `db:"value"`
		}
		if err := b.db.Select(&rows, `select `+c.key+` as id, `+c.column+` as value from `+c.table+` order by 1`); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for at := range row.Value {
				changed := bytes.Clone(row.Value)
				changed[at] ^= 1
				if !set(row.ID, c.column, value(changed)) {
					continue
				}
				tampered++
				if sound() {
					t.Errorf("byte %d of %s %d: its change is not found", at, c.table, row.ID)
				}
				set(row.ID, c.column, value(row.Value))
			}
			for _, to := range []int64{row.ID + 1, row.ID + 1000, -1} {
				if !set(row.ID, c.key, to) {
					continue
				}
				tampered++
				if sound() {
					t.Errorf("%s %d: that it was moved to %d is not found", c.table, row.ID, to)
				}
				set(to, c.key, row.ID)
			}
		}
	}
	if tampered < 500 || !sound() {
		t.Errorf("%d changes were tried; sound again: %v", tampered, sound())
	}
}

func TestThePagesGoBackToTheBeginning(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.note(14)
	var seen []int64
	for before := int64(0); ; {
		page, size, err := b.Page(t.Context(), before, 4)
		if err != nil || size != 15 || len(page) == 0 {
			t.Fatalf("a page of %d, of %d entries (%v)", len(page), size, err)
		}
		for _, e := range page {
			seen = append(seen, e.Index)
		}
		if before = page[len(page)-1].Index; before == 0 {
			break
		}
	}
	if len(seen) != 15 || seen[0] != 14 || seen[14] != 0 {
		t.Errorf("the pages show %v", seen)
	}
}

func TestACertificateIsOfTheNewestEntryAboutAnEventOrAPerson(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.note(3)
	b.erase(ada)
	if err := b.try(ledger.Entry{Kind: ledger.Deleted, Event: "4711"}); err != nil {
		t.Fatal(err)
	}
	v, err := b.Verifiers()
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, c ledger.Certificate, err error, index int64, kind ledger.Kind) {
		t.Helper()
		if err != nil || c.Index != index {
			t.Errorf("%s: entry %d, want %d (%v)", what, c.Index, index, err)
			return
		}
		if e, _, err := c.Verify(v); err != nil || e.Kind != kind {
			t.Errorf("%s: it certifies %s (%v)", what, e.Kind, err)
		}
	}
	c, err := b.Certificate(t.Context(), "4711", nil)
	check("an event that was blocked, then deleted", c, err, 5, ledger.Deleted)
	c, err = b.Certificate(t.Context(), "4712", nil)
	check("an event that was blocked", c, err, 2, ledger.Blocked)
	c, err = b.Certificate(t.Context(), "", [][]byte{bo, ada}) // ids under two secrets
	check("a person", c, err, 4, ledger.Erased)
	if c.Opening == nil || !bytes.Equal(c.Opening.KeyedID, ada) || c.Opening.Key != "first" {
		t.Error("the person's certificate has no opening of theirs")
	}
	for what, try := range map[string]func() (ledger.Certificate, error){
		"another person": func() (ledger.Certificate, error) { return b.Certificate(t.Context(), "", [][]byte{bo}) },
		"another event":  func() (ledger.Certificate, error) { return b.Certificate(t.Context(), "4799", nil) },
		"no entry":       func() (ledger.Certificate, error) { return b.CertificateAt(t.Context(), 6) },
	} {
		if _, err := try(); !errors.Is(err, ledger.ErrNoEntry) {
			t.Errorf("the certificate of %s: %v", what, err)
		}
	}
	b.exec(`delete from openings`)
	c, err = b.CertificateAt(t.Context(), 4)
	check("a person whose opening was pruned", c, err, 4, ledger.Erased)
	if c.Opening != nil {
		t.Error("an opening that was pruned is there")
	}
}

func TestNothingIsRecordedBeforeTheNewestEntryUntilItsTimeIsAdopted(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.now = noon.AddDate(20, 0, 0)
	b.note(1)
	b.now = noon
	if err := b.try(ledger.Entry{Kind: ledger.Run}); !errors.Is(err, ledger.ErrClock) {
		t.Errorf("twenty years before it: %v", err)
	}
	if err := b.Adopt(t.Context(), "the clock was wrong"); err != nil {
		t.Fatal(err)
	}
	b.note(1)
	if at, err := b.Time(t.Context()); err != nil || !at.Equal(noon) {
		t.Errorf("the newest entry is of %s (%v)", at, err)
	}
	if err := b.verify(); err != nil {
		t.Error(err)
	}
}

func TestAClockThatDiffersFromTheDatabasesRecordsNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.exec(`delete from marks where name = 'simulated'`)
	for ahead, ok := range map[time.Duration]bool{2 * db.MaxSkew: false, -2 * db.MaxSkew: false, db.MaxSkew / 2: true} {
		b.now = time.Now().Add(ahead)
		if err := b.try(ledger.Entry{Kind: ledger.Run}); (err == nil) != ok {
			t.Errorf("%s ahead it gives %v", ahead, err)
		}
	}
}

func TestOlderSecretsVerifyWhatTheySigned(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.note(2)
	b.Store = b.under("second", "first")
	b.note(2)
	if err := b.verify(); err != nil {
		t.Errorf("with both secrets: %v", err)
	}
	if all, err := b.PublicKeys(); err != nil || len(all) != 2 || all[0] == all[1] {
		t.Errorf("the public keys are %v (%v)", all, err)
	}
	b.Store = b.under("second")
	if b.verify() == nil {
		t.Error("what the first secret signed is believed without it")
	}
}

func TestACopyTellsADatabaseThatWentBackOrWasChanged(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	check := func(when string, want error) {
		t.Helper()
		if err := b.CheckCopy(t.Context(), f); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	grow := func() {
		t.Helper()
		if err := b.GrowCopy(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	check("before there is a ledger", nil)
	b.note(2)
	check("before the first copy", nil)
	grow()
	check("with a copy of everything", nil)
	b.erase(ada)
	check("with a copy that is behind", nil)
	grow()

	if err := db.SetMark(t.Context(), b.db, ledger.Replaying, "0 2", b.now); err != nil {
		t.Fatal(err)
	}
	check("while a backup is replayed", ledger.ErrReplaying)
	if err := db.Unmark(t.Context(), b.db, ledger.Replaying); err != nil {
		t.Fatal(err)
	}

	aside := f.Path + ".aside"
	if err := os.Rename(f.Path, aside); err != nil {
		t.Fatal(err)
	}
	check("where the copy is gone", ledger.ErrNoCopy)
	if err := b.GrowCopy(t.Context(), f); !errors.Is(err, ledger.ErrNoCopy) {
		t.Errorf("a copy that is gone begins by itself: %v", err)
	}
	if err := b.RestoreCopy(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check("with the copy written again", nil)
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	if err := b.Adopt(t.Context(), "the disk is gone"); err != nil {
		t.Fatal(err)
	}
	check("after the loss was adopted", nil)

	// The copy of a ledger that has gone on, and a database as it was before.
	if err := os.Rename(aside, f.Path); err != nil {
		t.Fatal(err)
	}
	grow()
	restored := newBook(t)
	table, err := b.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	restored.replay(table, 2)
	b = restored
	check("on a backup", ledger.ErrRestored)

	// A database that others wrote.
	b = newBook(t)
	b.now = noon.Add(time.Hour)
	b.note(9)
	if err := b.CheckCopy(t.Context(), f); !errors.As(err, new(*ledger.Damage)) {
		t.Errorf("on another database: %v", err)
	}
}

// replay makes the ledger the first n entries of another.
func (b *book) replay(from ledger.Table, n int) {
	b.t.Helper()
	for _, leaf := range from.Leaves[1:n] { // its beginning comes by itself
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			b.t.Fatal(err)
		}
		b.now = e.At
		if err := b.try(e); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestMachinesWithoutACopyWantTheKeepersConfirmation(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	check := func(when string, want error) {
		t.Helper()
		if err := b.CheckConfirmed(t.Context()); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	check("before there is a ledger", nil)
	b.note(1)
	check("before the first copy", ledger.ErrUnconfirmed)
	if err := b.GrowCopy(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(2 * time.Hour)
	check("two hours later", nil)
	b.now = b.now.Add(time.Second)
	check("after two hours", ledger.ErrUnconfirmed)
}

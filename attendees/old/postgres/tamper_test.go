package postgres_test

import (
	"bytes"
	"errors"
	"testing"

	"lethe/attendees/ledger"
)

func TestEveryChangedByteOfTheLedgersTablesIsFound(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.forget("1")
	w.forget("2")
	if _, err := w.DB().Exec(`
		alter table ledger_entries disable trigger only_grows;
		alter table ledger_hashes disable trigger only_grows;
		alter table ledger_checkpoints disable trigger only_grows`); err != nil {
		t.Fatal(err)
	}
	v, err := w.Verifiers()
	if err != nil {
		t.Fatal(err)
	}
	sound := func() bool {
		table, err := w.Ledger(t.Context())
		if err == nil {
			_, err = table.Verify(v)
		}
		if err != nil && !errors.As(err, new(*ledger.Damage)) {
			t.Errorf("no damage is named: %v", err)
		}
		return err == nil
	}
	if !sound() {
		t.Fatal("the ledger itself is not found sound")
	}
	tampered := 0
	try := func(table, key string, id any, set string, args ...any) {
		t.Helper()
		result, err := w.DB().Exec(`update `+table+` set `+set+` where `+key+` = $1`, append([]any{id}, args...)...)
		if err != nil {
			return // the table itself refuses it
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%s: %d rows (%v)", set, n, err)
		}
		tampered++
		if sound() {
			t.Errorf("%s %v: %s %v is not found", table, id, set, args)
		}
	}
	undo := func(table, key string, id any, column string, was any) {
		t.Helper()
		if _, err := w.DB().Exec(`update `+table+` set `+column+` = $2 where `+key+` = $1`, id, was); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ table, key, column string }{
		{"ledger_entries", "index", "leaf"}, {"ledger_hashes", "position", "hash"}, {"ledger_checkpoints", "size", "note"},
		{"openings", "index", "salt"}, {"openings", "index", "keyed_id"},
	} {
		var rows []struct {
			ID    int64  `db:"id"`
			Value []byte `db:"value"`
		}
		if err := w.DB().Select(&rows, `select `+c.key+` as id, `+c.column+` as value from `+c.table+` order by 1`); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			text := c.column == "leaf" || c.column == "note"
			value := func(b []byte) any {
				if text {
					return string(b)
				}
				return b
			}
			for at := range row.Value {
				changed := bytes.Clone(row.Value)
				changed[at] ^= 1
				try(c.table, c.key, row.ID, c.column+" = $2", value(changed))
				undo(c.table, c.key, row.ID, c.column, value(row.Value))
			}
		}
		// Keys: moved aside, swapped with nothing.
		for _, row := range rows {
			for _, to := range []int64{row.ID + 1, row.ID - 1, row.ID + 1000, -1} {
				try(c.table, c.key, row.ID, c.key+" = $2", to)
				if w.count(`select count(*) from `+c.table+` where `+c.key+` = $1`, row.ID) == 0 {
					undo(c.table, c.key, to, c.key, row.ID)
				}
			}
		}
	}
	if tampered < 500 || !sound() {
		t.Errorf("%d changes were tried; sound again: %v", tampered, sound())
	}
}

func TestTwoBlockedRowsOfOnePersonInTwoEventsHaveNothingInCommon(t *testing.T) {
	w := newWorld(t)
	w.save(person("81", "4711", "Ada Example", "ada@example.org"), person("92", "4712", "Ada Example", "ada@example.org"))
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("4711", s)
	w.block("4712", s)
	var rows []struct {
		ID     []byte `db:"id"`
		Index  []byte `db:"address_index"`
		Person []byte `db:"person"`
		Age    []byte `db:"officers"`
	}
	err := w.DB().Select(&rows, `
		select uuid_send(a.id) as id, a.address_index, s.person, s.officers
		from attendees a
		join sealed s on s.attendee_id = a.id`)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows (%v)", len(rows), err)
	}
	// common is the longest run of bytes that both have.
	common := func(a, b []byte) (most int) {
		for i := range a {
			for j := range b {
				n := 0
				for i+n < len(a) && j+n < len(b) && a[i+n] == b[j+n] {
					n++
				}
				most = max(most, n)
			}
		}
		return most
	}
	for what, pair := range map[string][2][]byte{
		"key": {rows[0].ID, rows[1].ID}, "address index": {rows[0].Index, rows[1].Index}, "person's half": {rows[0].Person, rows[1].Person},
	} {
		if n := common(pair[0], pair[1]); n > 3 || len(pair[0]) == 0 {
			t.Errorf("the %s have %d bytes in common, of %d", what, n, len(pair[0]))
		}
	}
	// An age file begins with its version and the officers' stanzas; the key in each is fresh.
	body := func(age []byte) []byte {
		_, rest, _ := bytes.Cut(age, []byte("X25519 "))
		return rest
	}
	if a, b := body(rows[0].Age), body(rows[1].Age); len(a) == 0 || common(a, b) > 6 {
		t.Errorf("the officers' halves have %d bytes in common", common(body(rows[0].Age), body(rows[1].Age)))
	}
}

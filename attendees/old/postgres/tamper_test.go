package postgres_test

import (
	"bytes"
	"testing"
)

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

package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestWhatShouldNotBeThereIsFound(t *testing.T) {
	w := newWorld(t)
	strays := func() string {
		t.Helper()
		all, err := w.Strays(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, s := range all {
			lines = append(lines, fmt.Sprint(s.Event, " ", s.Fault))
		}
		return strings.Join(lines, "\n")
	}
	do := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := w.DB().Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	room := func(kind string, event attendees.EventID) string {
		t.Helper()
		var name string
		if err := w.DB().Get(&name, `select $1 || '_' || replace(id::text, '-', '') from events where source_id = $2`, kind, event); err != nil {
			t.Fatal(err)
		}
		return name
	}
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"),
		person("3", "4712", "Cy Example", "cy@example.org"))
	w.answer("4712", response("r1", "", "Nobody Known", "nobody@example.net", nil))
	equal(t, "open", strays(), "")
	unmatched, err := w.AllUnmatched(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "unmatched", unmatched, []postgres.Unmatched{{Event: "4712", Responses: 1, Since: attendees.DateOf(june)}})
	do(`delete from personal where source_id = '3'`)
	equal(t, "a record is gone", strays(), "4712 1 registrations have no record")
	w.save(person("3", "4712", "Cy Example", "cy@example.org"))

	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	do(`delete from attendees where source_id in ('1', '3')`)
	equal(t, "two persons are gone", strays(), "4711 1 sealed records are nobody's\n4712 1 readable records belong to no registration that is active")
	do(`delete from sealed`, `delete from personal`, `create table `+room("personal", "4711")+` (x int)`)
	equal(t, "everything wrong", strays(), "4711 its readable room is still there\n4711 1 registrations have no sealed record")
	do(`drop table `+room("personal", "4711"), `delete from attendees where source_id = '2'`)

	w.clock.now = later
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", strays(), "")
	do(`insert into attendees (id, event_id, source, source_id, address_key, address_index, changed_at)
			select gen_random_uuid(), id, source, '9', '', '', now() from events where source_id = '4711'`,
		`insert into attendees (id, event_id, source, source_id, address_key, address_index, changed_at)
			values (gen_random_uuid(), gen_random_uuid(), 'eventbrite', '10', '', '', now())`,
		`create table `+room("sealed", "4711")+` (x int)`,
		`create table personal_0123456789abcdef0123456789abcdef (x int)`)
	equal(t, "after deletion", strays(), "4711 its sealed room is still there\n4711 1 registrations are still there\n"+
		" a room is there, personal_0123456789abcdef0123456789abcdef\n 1 registrations are there")
}

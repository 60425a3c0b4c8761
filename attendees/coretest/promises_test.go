package coretest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/localpg"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/roster"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

// files are the files of a cluster that have text in them, and a dump of its database.
func files(w *coretest.World, server *localpg.Server, text string) (found []string) {
	w.Helper()
	var dir string
	if err := w.Pool.Get(&dir, `show data_directory`); err != nil {
		w.Fatal(err)
	}
	read := 0
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files come and go below a running server
		}
		if b, err := os.ReadFile(path); err == nil {
			if read++; bytes.Contains(b, []byte(text)) {
				found = append(found, strings.TrimPrefix(path, dir))
			}
		}
		return nil
	})
	if err != nil || read < 100 {
		w.Fatalf("%d files were read, %v", read, err)
	}
	bin, err := server.Bin("pg_dump")
	if err != nil {
		w.Fatal(err)
	}
	dump, err := exec.Command(bin, "--dbname="+server.URL(localpg.Database)).Output()
	if err != nil || len(dump) < 1000 {
		w.Fatalf("pg_dump: %v", err)
	}
	if bytes.Contains(dump, []byte(text)) {
		found = append(found, "a dump")
	}
	return found
}

// The second promise: while an event is open, being saved to, listed, searched, exported and
// visited, nothing readable is on the disk.
func TestNothingReadableIsOnTheDiskWhileAnEventIsOpen(t *testing.T) {
	t.Parallel()
	w, server := coretest.Private(t)
	w.Link("1")
	secrets := []string{"Zaphira", "Quillfeather", "zaphira.q@secret.example", "Moonlight Pass", "Institute of Obscurity", "9157731909", "tokOBSCURE77", "2026-hush"}
	tickets := func(i int) (r attendees.Registration) {
		r = coretest.Ticket(fmt.Sprintf("9157731909%d", i), "1", fmt.Sprintf("Zaphira Quillfeather %d", i), fmt.Sprintf("zaphira.q@secret.example%d", i))
		r.Ticket = "Moonlight Pass"
		return r
	}
	said := func(i int) attendees.Response {
		return coretest.Response(fmt.Sprintf("tokOBSCURE77%d", i), fmt.Sprintf("9157731909%d", i), october,
			coretest.Answers{"agree": {"true"}, "agreement_version": {"2026-hush"}, "aff": {"Institute of Obscurity"}})
	}
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() { // readers meanwhile
		for {
			select {
			case <-done:
				return
			default:
			}
			r, err := w.Rosters.Open(t.Context(), "1")
			if err != nil {
				t.Error(err)
				return
			}
			r.List(roster.Query{Words: "zaphira quill", Limit: 10})
			if _, err := w.Rights.Under(t.Context(), "zaphira.q@secret.example3"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 20 {
		w.Save(tickets(i), tickets(i+100))
		w.Answer(said(i), said(i+500)) // the second is unmatched
		if _, err := w.TrySave(attendees.Registration{ID: "9157731909\x00", Event: "1", Name: "Zaphira Quillfeather"}); err != nil && strings.Contains(err.Error(), "Zaphira") {
			t.Error("an error names somebody")
		}
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Correct(ctx, tx, e, w.Key("1", "91577319090"), attendees.Name, "Zaphira Quillfeather-Correct", "zaphira.q@secret.example0")
	})
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, w.Key("1", "91577319091"), attendees.RestrictionAsked)
	})
	// What PostgreSQL says of a value that it refuses.
	_, err := db.Exec(t.Context(), w.Pool, `insert into attendees select * from attendees`)
	if err = db.Failed("insert", err); err == nil || strings.Contains(err.Error(), "Zaphira") {
		t.Errorf("a refused row: %v", err)
	}
	close(done)
	group.Wait()
	if _, err := w.Pool.Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Pool.Exec(`checkpoint`); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if found := files(w, server, s); len(found) > 0 {
			t.Errorf("%q is in %v", s[:3]+"…", found)
		}
	}
	if found := files(w, server, "Congress"); len(found) == 0 {
		t.Error("not even the event's name is found: the search finds nothing")
	}
}

// With the database and everything that the server has, only halves open, and each only with
// its own address; what no duty keeps opens with no key there is, and no file has a destroyed
// key, whoever has an old snapshot open.
func TestBlockedMeansLocked(t *testing.T) {
	t.Parallel()
	w, server := coretest.Private(t)
	w.Link("1")
	for i := range 4 {
		id := fmt.Sprint(i + 1)
		w.Save(coretest.Ticket(id, "1", "Person "+id, "p"+id+"@n.example"))
		if i < 3 {
			w.Answer(coretest.Response("t"+id, id, october, coretest.Answers{"agree": {"true"}, "aff": {"Clinic"}}))
		}
	}
	open := w.Stored("1")
	var layers []struct {
		ID    uuid.UUID `db:"id"`
		Layer []byte    `db:"layer"`
	}
	if err := w.Pool.Select(&layers, `select id, layer from attendees`); err != nil {
		t.Fatal(err)
	}
	var wrapped []byte
	if err := w.Pool.Get(&wrapped, `select server from keys where name = 'working'`); err != nil {
		t.Fatal(err)
	}
	if err := w.Retention.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Now = open.BlockedFrom().AddDate(0, 0, 8)
	// An old snapshot in another session.
	snapshot, err := w.Pool.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = snapshot.Rollback() }()
	if _, err := snapshot.Exec(`set transaction isolation level repeatable read`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := snapshot.Get(&n, `select count(*) from events`); err != nil {
		t.Fatal(err)
	}
	w.Dry("1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if found := files(w, server, string(wrapped)); len(found) > 0 {
		t.Errorf("the destroyed key is in %v", found)
	}
	e := w.Stored("1")
	for _, ref := range []vault.Ref{reader.Ref(open), reader.Ref(e)} {
		if _, err := w.Vault.Reading(t.Context(), w.Pool, ref); !errors.Is(err, vault.ErrDestroyed) {
			t.Errorf("the working key: %v, want ErrDestroyed", err)
		}
	}
	var usable int
	if err := w.Pool.Get(&usable, `select count(*) from keys where server is not null`); err != nil || usable != 0 {
		t.Errorf("the server can use %d keys, %v", usable, err)
	}
	opener, err := w.Vault.OpenAs(t.Context(), w.Pool, w.Officer, reader.Ref(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		for _, kind := range []string{"kept", "restricted", "registration"} {
			if _, err := opener.Open(l.ID, 0, kind, open.Generation, l.Layer); err == nil {
				t.Error("a layer of the time before opens to the officer")
			}
		}
	}
	var ids []uuid.UUID
	for _, l := range layers {
		ids = append(ids, l.ID)
	}
	records, err := w.Reader.Records(t.Context(), w.Pool, e, ids...)
	if err != nil || len(records) != 3 {
		t.Fatalf("%d records, %v, want those of the three who agreed", len(records), err)
	}
	for _, r := range records {
		text, err := opener.Open(r.Attendee, r.Number, r.Kind, r.Generation, r.Sealed)
		if err != nil || bytes.Contains(text, []byte("Clinic")) {
			t.Errorf("the officer opens it: %v, with what no duty keeps: %v", err, bytes.Contains(text, []byte("Clinic")))
		}
		record, err := attendees.ParseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		halves, err := w.Vault.Halves(t.Context(), w.Pool, reader.Ref(e), vault.KeyOf(r.Kind), r.Generation)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			address := fmt.Sprintf("p%d@n.example", i+1)
			_, err := halves.Open(address, r.Attendee, r.Number, r.Kind, r.Half)
			if own := record.Attendee == attendees.AttendeeID(fmt.Sprint(i+1)); own != (err == nil) {
				t.Errorf("the half of %s with the address of %d: %v", record.Attendee, i+1, err)
			}
		}
	}
}

// Two events' rows of one person have nothing in common: index, key, length, day, order.
func TestTwoEventsRowsOfOnePersonHaveNothingInCommon(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	const people = 40
	for event := range 2 {
		var all []attendees.Registration
		for i := range people { // the source shares the tickets' ids between events
			all = append(all, coretest.Ticket(fmt.Sprint(i), fmt.Sprint(event+1), fmt.Sprintf("Person %d", i), fmt.Sprintf("p%d@n.example", i)))
		}
		w.Save(all...)
	}
	type row struct {
		ID     uuid.UUID `db:"id"`
		Index  []byte    `db:"address_index"`
		Layer  []byte    `db:"layer"`
		CameOn time.Time `db:"came_on"`
	}
	rows := map[attendees.EventID][]row{}
	seen := map[string]bool{}
	for _, id := range []attendees.EventID{"1", "2"} {
		var some []row
		if err := w.Pool.Select(&some, `select id, address_index, layer, came_on from attendees where event_id = $1 order by ctid`, w.Stored(id).Key); err != nil || len(some) != people {
			t.Fatal(len(some), err)
		}
		rows[id] = some
		for _, r := range some {
			for what, value := range map[string]string{"key": r.ID.String()[:30], "index": string(r.Index), "layer": string(r.Layer[:28])} {
				if seen[what+value] {
					t.Errorf("a %s is there twice", what)
				}
				seen[what+value] = true
			}
			if len(r.Layer) != len(some[0].Layer) || !r.CameOn.Equal(some[0].CameOn) {
				t.Error("a row is told by its length or its day")
			}
		}
		if !slices.IsSortedFunc(some, func(a, b row) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
			t.Error("rows are in the order in which people came")
		}
	}
	// Whoever is first in one event's file is not first in the other's.
	e1, e2 := w.Stored("1"), w.Stored("2")
	same := 0
	for i := range people {
		a, err := w.People.Registration(e1, attendees.AttendeeID(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.People.Registration(e2, attendees.AttendeeID(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		at := func(rows []row, id uuid.UUID) int {
			return slices.IndexFunc(rows, func(r row) bool { return r.ID == id })
		}
		if at(rows["1"], a) == at(rows["2"], b) {
			same++
		}
	}
	if same > 6 { // by chance one is, and more than six in one of thousands
		t.Errorf("%d of %d people have the same place in both", same, people)
	}
}

// A record that is moved to another attendee, kind, event or generation does not open, age
// files included.
func TestAMovedRecordDoesNotOpen(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	for _, id := range []attendees.AttendeeID{"1", "2"} {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			return w.People.Restrict(ctx, tx, e, w.Key("1", id), attendees.RestrictionAsked)
		})
	}
	e := w.Stored("1")
	one, two := w.Key("1", "1"), w.Key("1", "2")
	o, err := w.Vault.OpenAs(t.Context(), w.Pool, w.Officer, reader.Ref(e))
	if err != nil {
		t.Fatal(err)
	}
	records, err := w.Reader.Records(t.Context(), w.Pool, e, one)
	if err != nil || len(records) != 1 {
		t.Fatal(len(records), err)
	}
	r := records[0]
	if _, err := o.Open(one, r.Number, r.Kind, r.Generation, r.Sealed); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() ([]byte, error){
		"another attendee":   func() ([]byte, error) { return o.Open(two, r.Number, r.Kind, r.Generation, r.Sealed) },
		"another kind":       func() ([]byte, error) { return o.Open(one, r.Number, "corrected", r.Generation, r.Sealed) },
		"another number":     func() ([]byte, error) { return o.Open(one, r.Number+1, r.Kind, r.Generation, r.Sealed) },
		"another generation": func() ([]byte, error) { return o.Open(one, r.Number, r.Kind, seal.NewGeneration(), r.Sealed) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("in the place of %s it opens", what)
		}
	}
	// The layers of two attendees, swapped in the table.
	w.Save(coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example"), coretest.Ticket("4", "1", "Di Ek", "di@n.example"))
	if _, err := w.Pool.Exec(`update attendees a set layer = b.layer from attendees b where a.id <> b.id and a.layer is not null and b.layer is not null`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Rosters.Open(t.Context(), "1"); !errors.Is(err, seal.ErrKey) {
		t.Errorf("swapped layers: %v, want ErrKey", err)
	}
}

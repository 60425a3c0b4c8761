package postgres_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/migrations"
)

var update = flag.Bool("update", false, "renew golden files")

func TestMain(m *testing.M) { pgtest.Main(m) }

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

var june = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// world is a store with two open events, 4711 and 4712, that were read and whose people are
// blocked on 2027-07-20.
type world struct {
	*postgres.Store
	t     testing.TB
	clock *clock
}

func newWorld(t testing.TB) world {
	t.Helper()
	policy := attendees.BuiltIn()
	c := &clock{june}
	w := world{postgres.New(pgtest.New(t), keyring(t), &policy, c.Now), t, c}
	w.saveEvents("4711", "4712")
	return w
}

func keyring(t testing.TB) *seal.Keyring {
	t.Helper()
	k, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w world) saveEvents(ids ...attendees.EventID) {
	w.t.Helper()
	for _, id := range ids {
		e := attendees.Event{
			ID: id, Organization: "900", Name: "Example Days " + string(id), Status: "live", Zone: "Europe/Berlin",
			Start: time.Date(2027, 6, 19, 8, 0, 0, 0, time.UTC), End: time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC),
		}
		if _, err := w.SaveEvents(w.t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
			w.t.Fatal(err)
		}
		w.wasRead(id)
	}
}

// wasRead has an event's own listing read to its end.
func (w world) wasRead(id attendees.EventID) {
	w.t.Helper()
	if _, err := w.DB().Exec(`update events set pulled_at = $1 where source_id = $2`, w.clock.now, id); err != nil {
		w.t.Fatal(err)
	}
}

// halfRead has an event's listing not read to its end yet, whoever of it is here.
func (w world) halfRead(id attendees.EventID) {
	w.t.Helper()
	if _, err := w.DB().Exec(`update events set pulled_at = null where source_id = $1`, id); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) save(regs ...attendees.Registration) map[attendees.EventID]postgres.Changes {
	w.t.Helper()
	return w.saveWith(nil, regs...)
}

// saveWith saves with the officers' keys at hand, as a pull does.
func (w world) saveWith(sealer *seal.Sealer, regs ...attendees.Registration) map[attendees.EventID]postgres.Changes {
	w.t.Helper()
	var batch []attendees.Minimised
	for _, r := range regs {
		batch = append(batch, w.Policy().Minimise(r, nil))
	}
	var changes map[attendees.EventID]postgres.Changes
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) (err error) {
		changes, err = w.Save(w.t.Context(), tx, sealer, attendees.Eventbrite, batch)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return changes
}

var formLinks = attendees.FieldLinks{
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Name, Question: "name"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Email, Question: "email"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agreed"},
	{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "affiliation"},
	{Purpose: attendees.Forum, Field: attendees.Forums, Question: "forums"},
}

func (w world) answer(event attendees.EventID, responses ...attendees.Response) {
	w.t.Helper()
	batch := map[attendees.EventID][]attendees.MinimisedResponse{}
	for _, r := range responses {
		batch[event] = append(batch[event], w.Policy().MinimiseResponse(r, formLinks))
	}
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) error {
		_, err := w.SaveResponses(w.t.Context(), tx, batch)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) list(event attendees.EventID, purpose attendees.PurposeName, status attendees.Standing) []string {
	w.t.Helper()
	var lines []string
	for r, err := range w.Attending(w.t.Context(), event, purpose, status) {
		if err != nil {
			w.t.Fatal(err)
		}
		line := fmt.Sprintf("%s %s <%s> %s", r.ID, r.Name.Reveal(), r.Email.Reveal(), r.Status)
		if !r.AgreedAt.IsZero() {
			line += " agreed"
		}
		if r.Affiliation != "" {
			line += " of " + r.Affiliation.Reveal()
		}
		for _, f := range r.Forums {
			line += " +" + f.Reveal()
		}
		lines = append(lines, line)
	}
	return lines
}

func person(id, event, name, email string) attendees.Registration {
	return attendees.Registration{
		ID: attendees.AttendeeID(id), Event: attendees.EventID(event), Name: attendees.Personal(name), Email: attendees.Personal(email),
		Ticket: "Standard", Created: june.AddDate(0, -1, 0), Changed: june.AddDate(0, 0, -7),
	}
}

func response(id, claims, name, email string, more map[attendees.QuestionID]attendees.Answer) attendees.Response {
	answers := map[attendees.QuestionID]attendees.Answer{"agreed": {"true"}}
	if name != "" {
		answers["name"] = attendees.Answer{attendees.Personal(name)}
	}
	if email != "" {
		answers["email"] = attendees.Answer{attendees.Personal(email)}
	}
	for q, a := range more {
		answers[q] = a
	}
	return attendees.Response{Form: "u6nXL7", ID: attendees.ResponseID(id), Attendee: attendees.AttendeeID(claims), Submitted: june.AddDate(0, 0, -3), Answers: answers}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestFourMigrationsAtOnceAllSucceed(t *testing.T) {
	db := pgtest.New(t)
	if _, err := db.Exec(`drop schema public cascade; create schema public`); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 4 {
		go func() {
			own, err := postgres.Open(pgtest.URL(t, db))
			if err == nil {
				err = migrations.Up(context.Background(), own.DB)
				_ = own.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestEveryColumnIsKnownAndSaysWhatItIsFor(t *testing.T) {
	w := newWorld(t)
	var rows []struct {
		Table   string `db:"t"`
		Column  string `db:"c"`
		Comment string `db:"d"`
	}
	err := w.DB().Select(&rows, `
		select c.relname as t, a.attname as c, coalesce(col_description(c.oid, a.attnum), '') as d
		from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
		  and not c.relispartition and c.relname not like 'river\_%' and c.relname <> 'goose_db_version'
		order by 1, a.attnum`)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range rows {
		if r.Comment == "" {
			t.Errorf("%s.%s has no comment that says what it is for", r.Table, r.Column)
		}
		fmt.Fprintf(&text, "%s.%s: %s\n", r.Table, r.Column, r.Comment)
	}
	const golden = "testdata/columns.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "columns; a new one is looked at and then taken with -update", text.String(), string(want))
}

func TestNoStatisticsAndNoConstraintTouchPersonalColumns(t *testing.T) {
	w := newWorld(t)
	secret := "Zaphira Quillfeather"
	for i := range 500 {
		w.save(person(fmt.Sprint(i), "4711", secret+fmt.Sprint(i%7), "zaphira@example.org"))
	}
	w.answer("4711", response("r1", "", secret, "zaphira@example.org", nil))
	if _, err := w.DB().Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	harmless := map[string]bool{
		"event_id": true, "id": true, "part": true, "status": true, "source_status": true, "attended": true, "filled": true,
		"form_id": true, "attendee_id": true, "matched_by": true, "claims": true, "receipt_id": true, "received_at": true,
	}
	var columns []struct {
		Table  string `db:"t"`
		Column string `db:"c"`
		Target int    `db:"n"`
	}
	err := w.DB().Select(&columns, `
		select a.attrelid::regclass::text as t, a.attname as c, a.attstattarget as n
		from pg_attribute a
		where a.attnum > 0 and not a.attisdropped and a.attrelid in (select relid from pg_partition_tree('personal'))`)
	if err != nil {
		t.Fatal(err)
	}
	if len(columns) < 3*20 {
		t.Fatalf("found %d columns of the parent and two rooms, which are too few", len(columns))
	}
	for _, c := range columns {
		if !harmless[c.Column] && c.Target != 0 {
			t.Errorf("%s.%s keeps statistics (target %d)", c.Table, c.Column, c.Target)
		}
	}
	var bad []string
	err = w.DB().Select(&bad, `
		select indexrelid::regclass::text
		from pg_index
		where indrelid in (select relid from pg_partition_tree('personal'))
		  and (indexprs is not null or indisunique and not indisprimary)
		union all
		select conname::text from pg_constraint
		where conrelid in (select relid from pg_partition_tree('personal'))
		  and contype in ('c', 'u', 'x') and pg_get_constraintdef(oid) not like '%part = ANY%'`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "expression and unique indexes, and check constraints", bad, []string(nil))
	var found int
	if err := w.DB().Get(&found, `select count(*) from pg_stats where pg_stats::text ilike '%quillfeather%' or pg_stats::text ilike '%zaphira%'`); err != nil {
		t.Fatal(err)
	}
	if found > 0 {
		t.Errorf("%d statistics hold the name", found)
	}
}

func TestRoomTakesNobodyInOnceItsEventIsNotActive(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	for _, c := range []struct{ what, before, write, code string }{
		{"a blocked event's room", `update events set state = 'blocked' where source_id = '4711'`, `update personal set name = name || '!'`, "LE001"},
		{"a blocked registration", `update attendees set state = 'blocked'`, `update personal set name = name || '!'`, "LE002"},
		{"a room written directly", `update events set state = 'blocked' where source_id = '4711'`, `
			do $$ declare room text; begin
				select tableoid::regclass::text into room from personal limit 1;
				execute 'update ' || room || ' set name = ''x''';
			end $$`, "LE001"},
	} {
		tx, err := w.DB().Beginx()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(c.before); err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(c.write)
		var code string
		if e := (interface{ SQLState() string })(nil); errors.As(err, &e) {
			code = e.SQLState()
		}
		if code != c.code {
			t.Errorf("%s: %v, want an error of state %s", c.what, err, c.code)
		}
		_ = tx.Rollback()
	}
}

func TestErrorsOfTheDatabaseQuoteNoValue(t *testing.T) {
	w := newWorld(t)
	secret := "zaphira@quillfeather.example"
	err := w.SaveReceipt(t.Context(), postgres.Receipt{Event: "4711", Purpose: "forum", Rows: 1, SHA256: nil, By: secret}, &postgres.Listing{})
	if err == nil {
		t.Fatal("a receipt without a hash was kept")
	}
	if strings.Contains(err.Error(), "quillfeather") {
		t.Errorf("the error quotes a value: %v", err)
	}
	var e *postgres.Error
	if !errors.As(err, &e) || e.Code != "23502" || e.Table != "receipts" {
		t.Errorf("the error is %#v, want one that names the state and the table", err)
	}
}

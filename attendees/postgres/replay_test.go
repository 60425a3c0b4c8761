package postgres_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/ledger"
	"lethe/attendees/postgres"
	"lethe/attendees/postgres/pgtest"
	"lethe/attendees/seal"
)

// backup is a dump of the database, as an operator makes it.
func (w world) backup() []byte {
	w.t.Helper()
	bin, err := pgtest.Server(w.t).Bin("pg_dump")
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := exec.Command(bin, "--dbname="+pgtest.URL(w.t, w.DB())).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// restore puts a backup into the emptied database.
func (w world) restore(backup []byte) {
	w.t.Helper()
	if _, err := w.DB().Exec(`drop schema public cascade; create schema public`); err != nil {
		w.t.Fatal(err)
	}
	bin, err := pgtest.Server(w.t).Bin("psql")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(bin, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+pgtest.URL(w.t, w.DB()))
	cmd.Stdin = bytes.NewReader(backup)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// copied is a fresh copy of the ledger.
func (w world) copied() ledger.File {
	w.t.Helper()
	f := ledger.File{Path: filepath.Join(w.t.TempDir(), "copy")}
	w.copyTo(f)
	return f
}

func (w world) copyTo(f ledger.File) {
	w.t.Helper()
	if err := w.CopyLedger(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) replay(f ledger.File, s *seal.Sealer) postgres.Replayed {
	w.t.Helper()
	r, err := w.Replay(w.t.Context(), f, s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.copyTo(f)
	w.ledgerIsSound()
	return r
}

func (w world) forget(id attendees.AttendeeID) {
	w.t.Helper()
	if _, err := w.Forget(w.t.Context(), id, "asked"); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) mayRun(f ledger.File, want error) {
	w.t.Helper()
	if err := w.CheckCopy(w.t.Context(), f); !errors.Is(err, want) {
		w.t.Errorf("whether workers may run: %v, want %v", err, want)
	}
}

func TestAReplayThatIsCutOffAnywhereGoesOnAndNothingRunsBefore(t *testing.T) {
	w := newWorld(t)
	var people []attendees.Registration
	for i := range 1200 {
		people = append(people, person(fmt.Sprint(i), "4711", fmt.Sprint("Unmistakable Person ", i), fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	w.save(person("a", "4712", "Also Unmistakable", "a@example.org"))
	s := sealer(t, officer(t))
	before := w.backup()
	w.forget("7")
	w.clock.now = july
	w.block("4711", s)
	w.block("4712", s)
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	f := w.copied()

	w.restore(before)
	w.mayRun(f, postgres.ErrRestored)
	if _, err := w.Replay(t.Context(), f, nil); !errors.Is(err, seal.ErrNoOfficer) {
		t.Errorf("without an officer's key: %v", err)
	}
	w.mayRun(f, postgres.ErrRestored)
	if n := w.count(`select count(*) from ledger_entries`); n != 0 {
		t.Errorf("%d entries were put back before it was known whether all could be done again", n)
	}
	cut, begun := 0, 0
	for wait := 2 * time.Millisecond; ; wait += wait / 4 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := w.Replay(ctx, f, s)
		cancel()
		if err == nil {
			break
		}
		cut++
		switch err := w.CheckCopy(t.Context(), f); {
		case errors.Is(err, postgres.ErrReplaying):
			begun++
			if err := w.CheckConfirmed(t.Context()); !errors.Is(err, postgres.ErrReplaying) {
				t.Fatalf("a machine without a copy: %v", err)
			}
		case !errors.Is(err, postgres.ErrRestored):
			t.Fatalf("cut off, workers may run: %v", err)
		}
	}
	if begun < 3 {
		t.Errorf("of %d replays that were cut off %d had begun to write: too few to show anything", cut, begun)
	}
	w.mayRun(f, nil)
	w.copyTo(f)
	w.ledgerIsSound()
	if n := w.count(`select (select count(*) from personal) + (select count(*) from attendees where source_id <> 'a')`); n != 0 {
		t.Errorf("%d rows are readable or of a deleted event", n)
	}
	if n := w.count(`select count(*) from sealed`); n != 1 {
		t.Errorf("%d are sealed, want the one of the other event", n)
	}
	if files := w.found("Unmistakable"); len(files) > 0 {
		t.Errorf("%v hold a name", files)
	}
}

func TestAReplayGoesByTheLedgersDatesNotTheBackups(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.reschedule(end.AddDate(0, 0, 25)) // then the backup, then the source takes it back
	before := w.backup()
	w.reschedule(end)
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("4711", s)
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	e, err := w.Event(t.Context(), "4711")
	if err != nil || e.BlockedAt == nil || e.BlockOn.String() != "2027-07-20" || w.count(`select count(*) from personal`) != 0 {
		t.Errorf("after the replay: %+v (%v)", e, err)
	}
}

func TestAcceptedDatesAndAnswersAreRedone(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	w.reschedule(end.AddDate(-1, 0, 0))
	before := w.backup()
	plan, err := w.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptPlan(t.Context(), plan.Hash()); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, nil)
	e, err := w.Event(t.Context(), "4711")
	if err != nil || e.Pending() || fmt.Sprint(e.BlockOn, e.DeleteOn) != "2026-07-20 2033-01-01" {
		t.Errorf("the dates are %s and %s, pending %v (%v)", e.BlockOn, e.DeleteOn, e.Pending(), err)
	}
	for _, drop := range []bool{true, false} {
		w := newWorld(t)
		e, err := w.Event(t.Context(), "4711")
		if err != nil {
			t.Fatal(err)
		}
		link := postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
			Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}}
		if err := w.SaveLink(t.Context(), e, link); err != nil {
			t.Fatal(err)
		}
		w.save(person("1", "4711", "Ada Example", "ada@example.org"))
		w.answer("4711", response("r1", "1", "", "", nil))
		before := w.backup() // one of one has agreed: no doubt yet
		w.save(person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4711", "Cy Example", "cy@example.org"))
		early := w.backup()
		w.clock.now = july
		s := sealer(t, officer(t))
		w.block("4711", s)
		if _, err := w.AnswerDoubt(t.Context(), "4711", drop, "looked", "ops"); err != nil {
			t.Fatal(err)
		}
		f := w.copied()
		w.restore(early)
		w.replay(f, s)
		if n, want := w.count(`select count(*) from sealed`), map[bool]int{true: 1, false: 3}[drop]; n != want {
			t.Errorf("drop %v: %d are sealed, want %d", drop, n, want)
		}
		w.restore(before)
		w.replay(f, s)
		if n := w.count(`select count(*) from sealed`) + 10*w.count(`select count(*) from events where doubted`); n != 1 {
			t.Errorf("drop %v, from an older backup: %d, want one sealed and no doubt", drop, n)
		}
	}
}

func TestAHoldOfSomebodyWhomTheBackupDoesNotHaveWaitsForThePull(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	before := w.backup()
	late := person("2", "4711", "Bo Example", "bo@example.org")
	w.save(late)
	hold := func(id attendees.AttendeeID) postgres.Hold {
		t.Helper()
		h, err := w.AddHold(t.Context(), "", id, "a claim", "ops", attendees.Date{})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	hold("2")
	hold("1")
	twice := hold("1")
	if err := w.ReleaseHold(t.Context(), twice.ID); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	r := w.replay(f, nil)
	holds, err := w.Holds(t.Context())
	if err != nil || r.Waiting != 1 || len(holds) != 2 || !holds[0].Waits || holds[1].Attendee != "1" {
		t.Fatalf("%+v waits, %+v stand (%v)", r, holds, err)
	}
	w.save(late)
	for _, id := range []attendees.AttendeeID{"1", "2"} {
		var held *postgres.HeldError
		if _, err := w.Forget(t.Context(), id, "asked"); !errors.As(err, &held) {
			t.Errorf("%s is held, and forgetting says %v", id, err)
		}
	}
	// The same again, from a backup that has one of them released.
	if err := w.ReleaseHold(t.Context(), holds[0].ID); err != nil {
		t.Fatal(err)
	}
	w.copyTo(f)
	w.restore(before)
	w.replay(f, nil)
	w.save(late)
	w.forget("2")
}

func TestAnErasedPersonsResponsesStayOutAfterAReplay(t *testing.T) {
	w := newWorld(t)
	// In the backup the first response is nobody's yet; the second comes in after it.
	first, second := response("r1", "", "Ada Example", "ada@example.org", nil), response("r2", "", "Ada Example", "ada@example.org", nil)
	w.answer("4711", first)
	before := w.backup()
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.answer("4711", second)
	w.forget("1")
	f := w.copied()
	w.restore(before)
	w.replay(f, nil)
	w.answer("4711", first, second)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if n := w.count(`select count(*) from personal`); n != 0 {
		t.Errorf("%d rows of her are back", n)
	}
}

func TestAnEventThatTheBackupDoesNotKnowStaysOver(t *testing.T) {
	w := newWorld(t)
	before := w.backup()
	ends := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	discover := func(id attendees.EventID, end time.Time) {
		t.Helper()
		_, err := w.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{{
			ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-time.Hour), End: end}})
		if err != nil {
			t.Fatal(err)
		}
	}
	discover("5000", ends)
	discover("5001", ends)
	w.save(person("1", "5000", "Ada Example", "ada@example.org"), person("2", "5001", "Bo Example", "bo@example.org"))
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("5000", s)
	w.block("5001", s)
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "5000"); err != nil {
		t.Fatal(err)
	}
	f := w.copied()
	w.restore(before)
	w.replay(f, s)
	for _, id := range []attendees.EventID{"5000", "5001"} {
		discover(id, later.AddDate(1, 0, 0)) // upstream it was postponed
		equal(t, "a late registration", w.save(person("3", string(id), "Cy Example", "cy@example.org"))[id], postgres.Changes{Late: 1})
	}
}

func TestAnErasureWhoseOpeningIsGoneIsAskedForAndTheRestIsDone(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"), person("3", "4712", "Cy Example", "cy@example.org"))
	before := w.backup()
	w.forget("1")
	f := w.copied()
	if err := os.Remove(f.Path + ".openings"); err != nil {
		t.Fatal(err)
	}
	w.copyTo(f) // nothing new, yet what is missing beside it comes back
	if openings, err := f.Openings(); err != nil || len(openings) != 1 {
		t.Errorf("beside the copy are %d openings (%v), want the one that the database keeps", len(openings), err)
	}
	if err := os.Remove(f.Path + ".openings"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = june.AddDate(0, 0, 5)
	kept := ledger.File{Path: f.Path}
	w.forget("3")
	w.copyTo(kept)
	if err := os.WriteFile(f.Path+".openings", openingOf(t, f, 2), 0o600); err != nil {
		t.Fatal(err)
	}
	w.clock.now = june.AddDate(0, 0, 9)
	w.restore(before)
	r := w.replay(f, nil)
	if r.Lost != 1 || r.Erased != 1 || w.count(`select count(*) from attendees`) != 2 {
		t.Errorf("%+v, want one lost, one erased", r)
	}
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Event != "4711" || !strings.Contains(tasks[0].Says, "lethe forget") {
		t.Errorf("tasks %+v (%v)", tasks, err)
	}
	var madeOn time.Time
	if err := w.DB().Get(&madeOn, `select made_on from openings`); err != nil || madeOn.Format(time.DateOnly) != "2027-06-06" {
		t.Errorf("the opening counts from %s (%v), want the day of its entry", madeOn, err)
	}
}

// openingOf is the line of one entry's opening.
func openingOf(t *testing.T, f ledger.File, index int64) []byte {
	t.Helper()
	text, err := os.ReadFile(f.Path + ".openings")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, fmt.Appendf(nil, "%d ", index)) {
			return line
		}
	}
	t.Fatalf("entry %d has no opening in %q", index, text)
	return nil
}

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

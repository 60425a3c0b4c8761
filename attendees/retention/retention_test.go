package retention_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
	"lethe/attendees/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

// started makes a world whose blocking is started, with a linked form.
func started(t *testing.T) *coretest.World {
	t.Helper()
	w := coretest.New(t)
	w.Link("1")
	if err := w.Retention.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// past puts the clock behind an event's block date, with its sources read since.
func past(w *coretest.World, event attendees.EventID) {
	w.Helper()
	w.Now = w.Stored(event).BlockedFrom().Add(time.Hour)
	w.Dry(event)
}

// opened is what the officer opens of an event, by attendee and kind.
func opened(w *coretest.World, event attendees.EventID) map[string]attendees.Record {
	w.Helper()
	e := w.Stored(event)
	o, err := w.Vault.OpenAs(w.Context(), w.Pool, w.Officer, reader.Ref(e))
	if err != nil {
		w.Fatal(err)
	}
	var ids []uuid.UUID
	if err := w.Pool.Select(&ids, `select id from attendees where event_id = $1`, e.Key); err != nil {
		w.Fatal(err)
	}
	records, err := w.Reader.Records(w.Context(), w.Pool, e, ids...)
	if err != nil {
		w.Fatal(err)
	}
	all := map[string]attendees.Record{}
	for _, r := range records {
		text, err := o.Open(r.Attendee, r.Number, r.Kind, r.Generation, r.Sealed)
		if errors.Is(err, vault.ErrDestroyed) {
			continue
		}
		if err != nil {
			w.Errorf("a record of kind %s: %v", r.Kind, err)
			continue
		}
		if r.Kind == "restricted" || r.Kind == "corrected" {
			all[r.Kind] = attendees.Record{}
			continue
		}
		record, err := attendees.ParseRecord(text)
		if err != nil {
			w.Error(err)
		}
		all[fmt.Sprintf("%s/%s", record.Attendee, r.Kind)] = record
	}
	return all
}

func fields(r attendees.Record) (names []attendees.Field) {
	for _, f := range r.Fields {
		names = append(names, f.Field)
	}
	return names
}

func four(w *coretest.World) {
	w.Helper()
	var all []attendees.Registration
	for i := range 4 {
		all = append(all, coretest.Ticket(fmt.Sprint(i+1), "1", fmt.Sprintf("P %d", i+1), fmt.Sprintf("p%d@n.example", i+1)))
	}
	w.Save(all...)
	for i := range 3 {
		w.Answer(coretest.Response(fmt.Sprintf("t%d", i+1), fmt.Sprint(i+1), october, coretest.Answers{"agree": {"true"}, "agreement_version": {"2026-1"}, "aff": {"Clinic"}}))
	}
}

func TestBlockingKeepsWhatADutyKeepsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	if err := w.Retention.Block(t.Context(), "1"); !errors.As(err, new(*retention.NotYetError)) {
		t.Errorf("before its day: %v, want NotYetError", err)
	}
	past(w, "1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	e := w.Stored("1")
	if e.State != attendees.Blocked || e.Generation != nil || e.Question != "" || !e.Cleaned {
		t.Errorf("the event is %s, with a working key %v, question %q", e.State, e.Generation != nil, e.Question)
	}
	got := opened(w, "1")
	if len(got) != 3 {
		t.Fatalf("%d records, want those of the three who agreed", len(got))
	}
	r := got["1/kept"]
	if fmt.Sprint(fields(r)) != "[name email ticket attended agreement_version agreed_at]" {
		t.Errorf("kept are %v", fields(r))
	}
	key := w.Key("1", "1")
	records, err := w.Reader.Records(t.Context(), w.Pool, e, key)
	if err != nil {
		t.Fatal(err)
	}
	halves, err := w.Vault.Halves(t.Context(), w.Pool, reader.Ref(e), vault.Kept, records[0].Generation)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := halves.Open("p1@n.example", key, 0, "kept", records[0].Half); err != nil {
		t.Errorf("the person does not open their own: %v", err)
	}
	if _, err := halves.Open("p2@n.example", key, 0, "kept", records[0].Half); err == nil {
		t.Error("another person opens it")
	}
	var left int
	if err := w.Pool.Get(&left, `select (select count(*) from responses) + (select count(*) from attendees where layer is not null) + (select count(*) from keys where server is not null)`); err != nil || left != 0 {
		t.Errorf("%d rows are left that the server could read, %v", left, err)
	}
	counts, err := w.Retention.Counts(t.Context(), "1")
	if err != nil || len(counts) != 0 {
		t.Errorf("counts under five stay: %v, %v", counts, err)
	}
}

func TestNothingIsBlockedBeforeItIsStarted(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	past(w, "1")
	done, err := w.Retention.Run(t.Context())
	if err != nil || len(done.Blocked) != 0 || len(done.Waiting) != 1 || !errors.Is(done.Waiting[0].Why, retention.ErrNotStarted) {
		t.Errorf("%+v, %v, want event 1 to wait for the start", done, err)
	}
	if err := w.Retention.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err = w.Retention.Run(t.Context()); err != nil || len(done.Blocked) != 1 {
		t.Errorf("%+v, %v, want event 1 blocked", done, err)
	}
}

func TestAWriterMakesAPreparationVoid(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	past(w, "1")
	if err := w.Retention.Prepare(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	w.Save(coretest.Ticket("9", "1", "Late Comer", "late@n.example"))
	if err := w.Retention.Commit(t.Context(), "1"); !errors.Is(err, retention.ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	var stale int
	if err := w.Pool.Get(&stale, `select count(*) from records r where not exists (select from keys k where k.event_id = r.event_id and k.name = r.kind and k.generation = r.generation)`); err != nil || stale != 0 {
		t.Errorf("%d records of the void preparation are left, %v", stale, err)
	}
}

func TestAHeldAttendeeIsKeptWholeUntilTheHoldEnds(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	h, err := w.Retention.Holds.Add(t.Context(), retention.Hold{Attendee: "4", Reason: "a claim", By: "test"})
	if err != nil {
		t.Fatal(err)
	}
	past(w, "1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if r, ok := opened(w, "1")["4/held"]; !ok || r.Fields[0].Values[0] != "P 4" {
		t.Error("who is held is not kept")
	}
	w.Now = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	if n, err := w.Retention.Delete(t.Context(), "1"); err != nil || n != 3 {
		t.Errorf("%d deleted, %v, want 3", n, err)
	}
	if got := opened(w, "1"); len(got) != 1 {
		t.Errorf("%d records are left, want the held one's", len(got))
	}
	if err := w.Retention.Holds.Release(t.Context(), h.ID); err != nil {
		t.Fatal(err)
	}
	if got := opened(w, "1"); len(got) != 0 {
		t.Errorf("%d records are left after the hold", len(got))
	}
	if _, err := w.Retention.Delete(t.Context(), "1"); err != nil || w.Stored("1").State != attendees.Deleted {
		t.Errorf("the event is %s, %v", w.Stored("1").State, err)
	}
}

func TestDeletedIsDeleted(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	past(w, "1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Retention.Delete(t.Context(), "1"); !errors.As(err, new(*retention.NotYetError)) {
		t.Errorf("before its day: %v", err)
	}
	e := w.Stored("1")
	w.Now = time.Date(e.DeleteOn.Year, e.DeleteOn.Month, e.DeleteOn.Day, 12, 0, 0, 0, time.UTC)
	for range 3 { // announced, then due a day later
		done, err := w.Retention.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Deleted) > 0 {
			break
		}
		w.Now = w.Now.AddDate(0, 0, 1)
	}
	var rows int
	err := w.Pool.Get(&rows, `select (select count(*) from attendees) + (select count(*) from records) + (select count(*) from keys) + (select count(*) from bars)`)
	if err != nil || rows != 0 || w.Stored("1").State != attendees.Deleted {
		t.Errorf("%d rows are left, the event is %s, %v", rows, w.Stored("1").State, err)
	}
	if _, err := w.Ledger.Read(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnOpenEventPastItsDeleteDateIsDeletedStraightAway(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	w.Now = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	if n, err := w.Retention.Delete(t.Context(), "1"); err != nil || n != 4 {
		t.Errorf("%d deleted, %v, want 4", n, err)
	}
}

func TestAReopenedEventIsReadAgainAndWhoAgreedStillDoes(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	past(w, "1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Events.Save(t.Context(), attendees.Eventbrite, []attendees.Event{{ID: "1", Organization: "900", Name: "Congress", End: w.Now.AddDate(0, 0, 25), Zone: "UTC"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Retention.Reopen(t.Context(), "1", "the year was wrong"); err != nil {
		t.Fatal(err)
	}
	w.Save(coretest.Ticket("1", "1", "P 1", "p1@n.example"), coretest.Ticket("4", "1", "P 4", "p4@n.example"), coretest.Ticket("7", "1", "New One", "new@n.example"))
	if got := w.Shown("1"); len(got) != 3 {
		t.Errorf("%d are shown, want 3", len(got))
	}
	past(w, "1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	got := opened(w, "1")
	if _, ok := got["1/kept"]; !ok {
		t.Error("who had agreed is not kept any more")
	}
	if _, ok := got["2/kept"]; !ok {
		t.Error("the old record of somebody who was not read again is gone")
	}
}

// cut does something whose last step fails: the ledger cannot be signed.
func cut(w *coretest.World, do func()) {
	w.Helper()
	for _, statement := range []string{`alter table ledger_checkpoints rename to away`, `alter table away rename to ledger_checkpoints`} {
		if _, err := w.Pool.Exec(statement); err != nil {
			w.Fatal(err)
		}
		if do != nil {
			do()
		}
		do = nil
	}
}

package retention_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
	"lethe/attendees/vault"
)

// audited is what is left, a line each, with the number of faults.
func audited(w *coretest.World) (lines string, faults int) {
	w.Helper()
	all, err := w.Retention.Audit(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, l := range all {
		lines += fmt.Sprintf("%s %d %v; ", l.Field, l.People, l.Purposes)
	}
	return lines, len(retention.Faults(all))
}

func TestTheAuditTellsWhatIsLeftAndWhatNothingAllows(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	lines, faults := audited(w)
	for _, want := range []string{"name 4 [participation_agreement forum]", "agreed_at 3 [participation_agreement]", "affiliation 3 [forum]"} {
		if !strings.Contains(lines, want) {
			t.Errorf("the audit says %s, want %s", lines, want)
		}
	}
	if faults != 0 {
		t.Errorf("%d faults in an open event", faults)
	}
	past(w, "1")
	if _, faults := audited(w); faults == 0 {
		t.Error("an event past its block date is no fault")
	}
	block(w, "1")
	if lines, faults := audited(w); lines != "sealed records 3 [participation_agreement]; " || faults != 0 {
		t.Errorf("once blocked the audit says %s, %d faults", lines, faults)
	}
	w.Now = longAfter
	if _, faults := audited(w); faults != 1 {
		t.Errorf("%d faults past the delete date, want 1", faults)
	}
	remove(w, "1")
	if lines, _ := audited(w); lines != "" {
		t.Errorf("of a deleted event the audit says %s", lines)
	}
}

func TestRecordsOpenToTheirPersonUntilThePepperEnds(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	at := w.Now
	open := func() error {
		e := w.Stored("1")
		records, err := w.Reader.Records(t.Context(), w.Pool, e, w.Key("1", "1"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Vault.Halves(t.Context(), w.Pool, reader.Ref(e), vault.Kept, records[0].Generation)
		return err
	}
	w.Now = at.AddDate(0, 24, -1)
	if done, err := w.Retention.Run(t.Context()); err != nil || done.Peppers != 0 || open() != nil {
		t.Errorf("a day before: %+v, %v, %v", done, err, open())
	}
	w.Now = at.AddDate(0, 24, 0)
	if done, err := w.Retention.Run(t.Context()); err != nil || done.Peppers != 1 || !errors.Is(open(), vault.ErrDestroyed) {
		t.Errorf("on the day: %+v, %v, %v", done, err, open())
	}
	if done, err := w.Retention.Run(t.Context()); err != nil || done.Peppers != 0 || len(opened(w, "1")) != 3 {
		t.Errorf("after it: %+v, %v; the officer opens %d", done, err, len(opened(w, "1")))
	}
}

func TestCountsThatTellOfPersonsAreNotKept(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.Many("1", 20)
	for i := range 3 {
		guest := coretest.Ticket(fmt.Sprint(i+1), "1", fmt.Sprint("P ", i), fmt.Sprintf("p%d@n.example", i))
		guest.Ticket = "Speaker"
		w.Save(guest)
	}
	for i := range 6 {
		helper := coretest.Ticket(fmt.Sprint(i+11), "1", fmt.Sprint("Q ", i), fmt.Sprintf("q%d@n.example", i))
		helper.Ticket = "Helper"
		w.Save(helper)
	}
	block(w, "1")
	counts, err := w.Retention.Counts(t.Context(), "1")
	// With the helpers' count the three speakers could be computed.
	if got, want := fmt.Sprint(counts), "map[agreed:10 registered:29 ticket: General:20]"; err != nil || got != want {
		t.Errorf("counts %s, %v, want %s", got, err, want)
	}
	w.Now = longAfter
	remove(w, "1")
	if after, err := w.Retention.Counts(t.Context(), "1"); err != nil || fmt.Sprint(after) != fmt.Sprint(counts) {
		t.Errorf("once deleted: %v, %v", after, err)
	}
}

func TestNobodyOpensWhatPeopleWithOneAddressShare(t *testing.T) {
	t.Parallel()
	w := started(t)
	cancelled := coretest.Ticket("4", "1", "Own Mailbox", "own@n.example")
	cancelled.Cancelled = true
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "group@n.example"), coretest.Ticket("2", "1", "Bo Lind", "group@n.example"),
		coretest.Ticket("3", "1", "Own Mailbox", "own@n.example"), cancelled,
		coretest.Ticket("5", "1", "Cy Twice", "twice@n.example"), coretest.Ticket("6", "1", "Cy Twice", "twice@n.example"))
	for i := range 6 {
		id := fmt.Sprint(i + 1)
		w.Answer(coretest.Response("t"+id, id, october, coretest.Answers{"agree": {"true"}}))
	}
	block(w, "1")
	for id, want := range map[attendees.AttendeeID]bool{"1": false, "2": false, "3": true, "5": false} {
		records, err := w.Reader.Records(t.Context(), w.Pool, w.Stored("1"), w.Key("1", id))
		if err != nil || len(records) != 1 {
			t.Fatalf("%d records of %s, %v", len(records), id, err)
		}
		halves, err := w.Vault.Halves(t.Context(), w.Pool, reader.Ref(w.Stored("1")), vault.Kept, records[0].Generation)
		if err != nil {
			t.Fatal(err)
		}
		opens := false
		for _, address := range []string{"", "group@n.example", "own@n.example", "twice@n.example"} {
			_, err := halves.Open(address, w.Key("1", id), 0, "kept", records[0].Half)
			opens = opens || err == nil
		}
		if opens != want {
			t.Errorf("attendee %s opens their record: %v, want %v", id, opens, want)
		}
	}
}

func TestOfTwoPreparationsAtOnceOnlyTheLastCounts(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	doubtful(w)
	past(w, "1")
	// The first one stops where it stores what its source has still; the other stores no such
	// thing, and overtakes it.
	tx := w.Pool.MustBegin()
	tx.MustExec(`lock table upstream in share mode`)
	first := make(chan error)
	go func() { first <- w.Retention.Prepare(t.Context(), "1") }()
	for count(w, `select count(*) from pg_locks where relation = 'upstream'::regclass and not granted`) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	other := coretest.Again(t, w.Pool, w.Officer)
	other.Now, other.Policy.Upstream = w.Now, attendees.UpstreamNever
	if err := other.Retention.Prepare(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-first; !errors.Is(err, retention.ErrChanged) {
		t.Errorf("the first ends with %v, want ErrChanged", err)
	}
	if err := w.Retention.Commit(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Retention.CleanUp(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if n, opens := count(w, `select count(*) from records`), len(opened(w, "1")); n != 5 || opens != 5 {
		t.Errorf("%d records, of which %d open, want 5", n, opens)
	}
}

func TestADeletionOfAnOpenEventThatWasCutOffResumes(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	h := hold(w, retention.Hold{Attendee: "4"})
	w.Now = longAfter
	if err := w.Retention.Prepare(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if err := w.Retention.Commit(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Retention.Tidy(t.Context()); err != nil { // as another process may meanwhile
		t.Fatal(err)
	}
	done, err := w.Retention.Run(t.Context())
	if got := kinds(w, "1"); err != nil || done.People != 3 || got != "map[4:[held]]" {
		t.Errorf("%+v, %v, records %s, want three deleted and the fourth held", done, err, got)
	}
	release(w, h)
	if remove(w, "1"); w.Stored("1").State != attendees.Deleted {
		t.Errorf("after the hold the event is %s", w.Stored("1").State)
	}
}

func TestADeletionThatWasCutOffCountsEachPersonOnce(t *testing.T) {
	t.Parallel()
	w := blocked(t)
	w.Now = longAfter
	cut(w, func() {
		if _, err := w.Retention.Delete(t.Context(), "1"); err == nil {
			t.Fatal("it was not cut off")
		}
	})
	if n := count(w, `select count(*) from attendees`); n != 0 {
		t.Fatalf("it was cut off with %d people left, want none", n)
	}
	done, err := w.Retention.Run(t.Context())
	if err != nil || done.People != 3 || len(done.Deleted) != 1 {
		t.Errorf("the next run: %+v, %v, want three people", done, err)
	}
	if n := remove(w, "1"); n != 0 || count(w, `select count(*) from ledger_entries where leaf like '%"deleted":3%'`) != 1 {
		t.Errorf("%d are deleted once more", n)
	}
}

func TestListsOfAnEventThatIsDeletedStraightAwayAreToBeDestroyed(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	w.Pool.MustExec(`
		insert into receipts (id, event_id, purpose, format, rows, sha256, exported_by, exported_at)
		values (gen_random_uuid(), $1, 'forum', 'csv', 4, '', 'test', now())`, w.Stored("1").Key)
	w.Now = longAfter
	remove(w, "1")
	if n := w.Tasks(events.TaskLists); n != 1 || count(w, `select count(*) from receipts where recalled_at is not null`) != 1 {
		t.Errorf("%d tasks, want one for the list that left", n)
	}
}

package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/roster"
)

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

func agreements(w *coretest.World) export.List {
	return export.List{Event: "1", Purpose: attendees.ParticipationAgreement, Standing: attendees.Attending, Format: "csv", By: "ada@example.org", At: w.Now}
}

// column is one column of a list as CSV.
func column(t testing.TB, list []byte, name string) (all []string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(list)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.Index(rows[0], name)
	if i < 0 {
		t.Fatalf("the list has no column %q: %q", name, rows[0])
	}
	for _, r := range rows[1:] {
		all = append(all, r[i])
	}
	return all
}

func write(w *coretest.World, l export.List) ([]byte, export.Receipt) {
	w.Helper()
	var out bytes.Buffer
	r, err := w.Exports.Write(w.Context(), &out, l)
	if err != nil {
		w.Fatal(err)
	}
	return out.Bytes(), r
}

func erase(w *coretest.World, id attendees.AttendeeID) {
	key := w.Key("1", id)
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, key, id)
		if err == nil {
			_, err = w.Exports.Recall(ctx, tx, e, key)
		}
		return err
	})
}

func TestAListIsOfThoseWhoAttendAndHasAReceipt(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	cancelled := coretest.Ticket("2", "1", "Bo Berg", "bo@n.example")
	cancelled.Cancelled = true
	w.Save(coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example"), cancelled, coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	out, r := write(w, agreements(w))
	if got := column(t, out, "attendee_id"); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("the list has %q, in the order of ids", got)
	}
	sum := sha256.Sum256(out)
	if r.Rows != 2 || !bytes.Equal(r.SHA256, sum[:]) || r.RecalledAt != nil {
		t.Errorf("the receipt has %d rows", r.Rows)
	}
	all := agreements(w)
	all.Standing = export.AnyStanding
	if out, _ := write(w, all); !slices.Equal(column(t, out, "status"), []string{"attending", "cancelled", "attending"}) {
		t.Errorf("the list of everyone has %q", column(t, out, "status"))
	}
	kept, err := w.Exports.Receipts(t.Context(), w.Stored("1").Key)
	if err != nil || len(kept) != 2 || !bytes.Equal(kept[1].SHA256, sum[:]) && !bytes.Equal(kept[0].SHA256, sum[:]) {
		t.Errorf("%d receipts are kept (%v)", len(kept), err)
	}
}

// FAULTS.md B1.
func TestTheForumsListHasThoseWhoGaveSomethingForIt(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	w.Answer(coretest.Response("t", "2", october, coretest.Answers{"aff": {"Quill Clinic"}, "email": {"bo@n.example"}}))
	l := agreements(w)
	l.Purpose = attendees.Forum
	if out, _ := write(w, l); !slices.Equal(column(t, out, "affiliation"), []string{"Quill Clinic"}) {
		t.Errorf("the forum's list has %q", column(t, out, "attendee_id"))
	}
}

func TestThoseWhoHaveNotAgreedAreAListOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	w.Answer(coretest.Response("t", "2", october, coretest.Answers{"agree": {"true"}, "email": {"bo@n.example"}}))
	l := agreements(w)
	l.Unagreed = true
	out, r := write(w, l)
	if got := column(t, out, "attendee_id"); !slices.Equal(got, []string{"1"}) || r.Format != "csv, not agreed" {
		t.Errorf("the list has %q, as %q", got, r.Format)
	}
}

func TestWhatIsUnknownOrNotToBeReadIsRefusedBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	for want, change := range map[error]func(*export.List){
		new(export.UnknownPurposeError): func(l *export.List) { l.Purpose = "fun" },
		new(export.UnknownFormatError):  func(l *export.List) { l.Format = "pdf" },
		new(events.UnknownError):        func(l *export.List) { l.Event = "2" },
		new(events.BlockedError):        func(*export.List) { w.Now = w.Stored("1").BlockedFrom() },
	} {
		l, now := agreements(w), w.Now
		change(&l)
		var out bytes.Buffer
		_, err := w.Exports.Write(t.Context(), &out, l)
		is := false
		switch want.(type) {
		case *export.UnknownPurposeError:
			is = errors.As(err, new(*export.UnknownPurposeError))
		case *export.UnknownFormatError:
			is = errors.As(err, new(*export.UnknownFormatError))
		case *events.UnknownError:
			is = errors.As(err, new(*events.UnknownError))
		case *events.BlockedError:
			is = errors.As(err, new(*events.BlockedError))
		}
		if !is || out.Len() > 0 {
			t.Errorf("%T: got %v and %d bytes", want, err, out.Len())
		}
		w.Now = now
	}
	if kept, err := w.Exports.Receipts(t.Context()); err != nil || len(kept) > 0 {
		t.Errorf("%d receipts (%v), want none", len(kept), err)
	}
}

// GDPR Art. 19.
func TestAnErasureNamesTheExportsThatStillIncludeThePerson(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	_, before := write(w, agreements(w))
	e, key := w.Stored("1"), w.Key("1", "1")
	if of, err := w.Exports.Of(t.Context(), w.Pool, e, key); err != nil || len(of) != 1 || of[0].ID != before.ID {
		t.Errorf("%d exports include the attendee (%v), want one", len(of), err)
	}
	erase(w, "1")
	_, after := write(w, agreements(w))
	kept, err := w.Exports.Receipts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range kept {
		if (r.RecalledAt != nil) != (r.ID == before.ID) {
			t.Errorf("the export before is %v, after is %v: recalled is %v", r.ID == before.ID, r.ID == after.ID, r.RecalledAt != nil)
		}
	}
	if of, err := w.Exports.Of(t.Context(), w.Pool, e, w.Key("1", "2")); err != nil || len(of) != 2 {
		t.Errorf("%d exports include the other (%v), want two", len(of), err)
	}
}

// meanwhile does something once, after so many bytes of a list have left.
type meanwhile struct {
	io.Writer
	after int
	do    func()
	left  int
}

func (m *meanwhile) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(p)
	if m.left += n; m.left >= m.after && m.do != nil {
		do := m.do
		m.do = nil
		do()
	}
	return n, err
}

// The list is read, and the person erased, before its receipt is kept: nothing has left yet.
func TestAListThatAnErasureOvertakesBeforeItLeavesBeginsAgain(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	for what, end := range map[string]func(){
		"an erasure": func() { erase(w, "1") },
		"a restriction": func() {
			key := w.Key("1", "2")
			w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
				return w.People.Restrict(ctx, tx, e, key, attendees.RestrictionAsked)
			})
		},
	} {
		before := len(column(t, first(write(w, agreements(w))), "name"))
		var out bytes.Buffer
		r, err := export.BeforeReceipt(w.Exports, end).Write(t.Context(), &out, agreements(w))
		if err != nil || r.RecalledAt != nil || len(column(t, out.Bytes(), "name")) != before-1 {
			t.Errorf("%s: %v, recalled %v, %d of %d people", what, err, r.RecalledAt != nil, len(column(t, out.Bytes(), "name")), before)
		}
	}
}

func first(b []byte, _ export.Receipt) []byte { return b }

func TestAListThatAnErasureOvertakesOnItsWayIsRecalled(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Many("1", 3000) // more than a piece
	l := agreements(w)
	l.Streams = true
	r, err := w.Exports.Write(t.Context(), &meanwhile{Writer: io.Discard, after: 1, do: func() { erase(w, "457000000") }}, l)
	if err != nil || r.RecalledAt == nil {
		t.Errorf("%v, recalled %v, want that it left and is recalled", err, r.RecalledAt != nil)
	}
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	r, err = w.Exports.Write(t.Context(), &meanwhile{Writer: io.Discard, after: 1, do: func() { w.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example")) }}, l)
	if err != nil || r.RecalledAt != nil {
		t.Errorf("%v, recalled %v: somebody new recalls nothing", err, r.RecalledAt != nil)
	}
}

func TestAListIsCutOffAtTheBlockDateAndItsReceiptSaysSo(t *testing.T) {
	t.Parallel()
	for _, streams := range []bool{false, true} {
		w := coretest.New(t)
		w.Many("1", 3000)
		l := agreements(w)
		l.Streams = streams
		var out bytes.Buffer
		_, err := w.Exports.Write(t.Context(), &meanwhile{Writer: &out, after: 1, do: func() { w.Now = w.Stored("1").BlockedFrom() }}, l)
		if !errors.As(err, new(*events.BlockedError)) {
			t.Errorf("got %v, want BlockedError", err)
		}
		kept, err := w.Exports.Receipts(t.Context())
		if err != nil || streams != (len(kept) == 1) {
			t.Fatalf("streams %v: %d receipts (%v)", streams, len(kept), err)
		}
		if streams && (kept[0].Format != "csv, cut off" || out.Len() == 0 || strings.HasSuffix(out.String(), "\r\n") && kept[0].Rows == bytes.Count(out.Bytes(), []byte("\r\n"))-1) {
			t.Errorf("the receipt is of %q with %d rows, and %d bytes left", kept[0].Format, kept[0].Rows, out.Len())
		}
	}
}

func TestAListThatABlockingOvertakesIsRecalledAndItsCopiesAreToBeDestroyed(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Many("1", 3000)
	l := agreements(w)
	l.Streams = true
	_, err := w.Exports.Write(t.Context(), &meanwhile{Writer: io.Discard, after: 1, do: func() {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.Events.Block(ctx, tx, e, "") })
	}}, l)
	kept, failed := w.Exports.Receipts(t.Context())
	if !errors.As(err, new(*events.BlockedError)) || failed != nil || len(kept) != 1 || kept[0].RecalledAt == nil || w.Tasks(events.TaskLists) != 1 {
		t.Errorf("%v, %d receipts (%v), %d tasks", err, len(kept), failed, w.Tasks(events.TaskLists))
	}
	var people int
	if err := db.Get(t.Context(), w.Pool, &people, `select count(*) from receipt_people`); err != nil || people != 0 {
		t.Errorf("%d rows say who was on it (%v), want none of a blocked event", people, err)
	}
}

func TestALargeEventIsListedTheSameFromMemoryAndFromTheDatabase(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Many("1", 21_000)
	sorted := func() []string {
		out, r := write(w, agreements(w))
		lines := strings.Split(string(out), "\r\n")
		if len(lines) != r.Rows+2 {
			t.Errorf("%d lines of %d people", len(lines), r.Rows)
		}
		slices.Sort(lines)
		return lines
	}
	for range 2 {
		cold := sorted()
		if _, err := w.Rosters.Open(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		if warm := sorted(); len(cold) < 21_000 || !slices.Equal(cold, warm) {
			t.Errorf("%d lines cold, %d warm, or others", len(cold), len(warm))
		}
		w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("457000003", "1", "Changed Too", "person.3@mail3.example"))
		warm := sorted()
		w.Rosters.Forget(w.Stored("1").Key)
		if cold := sorted(); !slices.Equal(cold, warm) {
			t.Error("after a change the two differ")
		}
	}
}

// Two processes with a roster each.
func TestNobodyIsExportedByAnotherProcessOnceTheyAreErasedRestrictedOrBlocked(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"), coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example"))
	pool := pgtest.Open(t, pgtest.Name(t, w.Pool))
	clock := func() time.Time { return w.Now }
	theirs := events.New(pool, w.Policy, w.Secrets.Newest(), clock)
	rosters := roster.New(pool, theirs, w.Reader, w.Policy, clock)
	other := export.New(pool, theirs, w.Reader, rosters, w.Policy, clock)
	listed := func() []string {
		var out bytes.Buffer
		if _, err := other.Write(t.Context(), &out, agreements(w)); err != nil {
			t.Fatal(err)
		}
		return column(t, out.Bytes(), "attendee_id")
	}
	if got := listed(); len(got) != 3 {
		t.Fatalf("the other lists %q", got)
	}
	erase(w, "1")
	if got := listed(); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("after an erasure the other lists %q", got)
	}
	key := w.Key("1", "2")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, key, attendees.Objected)
	})
	if got := listed(); !slices.Equal(got, []string{"3"}) {
		t.Errorf("after a restriction the other lists %q", got)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.Events.Block(ctx, tx, e, "") })
	var out bytes.Buffer
	if _, err := other.Write(t.Context(), &out, agreements(w)); !errors.As(err, new(*events.BlockedError)) || out.Len() > 0 {
		t.Errorf("after the blocking: %v and %d bytes", err, out.Len())
	}
	if _, err := rosters.Open(t.Context(), "1"); !errors.As(err, new(*events.BlockedError)) {
		t.Errorf("after the blocking the other opens a roster: %v", err)
	}
}

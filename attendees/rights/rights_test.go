package rights_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/mail"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
	"lethe/attendees/rights"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const ada = attendees.Personal("ada@n.example")

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

// office is a desk on a world of its own, and the letters that it sent.
type office struct {
	*coretest.World
	desk    *rights.Desk
	letters []mail.Letter
}

func (o *office) Post(_ context.Context, l mail.Letter) error {
	o.letters = append(o.letters, l)
	return nil
}

func newOffice(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	o := &office{World: coretest.New(t)}
	var err error
	o.desk, err = rights.NewDesk(rights.Desk{
		Store: o.Rights, Post: o, BaseURL: "http://lethe.test",
		KeepCopy: func(context.Context) error { return nil },
		Officers: func(context.Context) ([]string, error) { return []string{"officer@example.org"}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Link("1")
	o.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	o.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "aff": {"Quill Clinic"}}))
	return o
}

func (o *office) take(r rights.Request) rights.Case {
	o.Helper()
	r.CameBy = "page"
	cases, err := o.desk.Take(o.Context(), ada, r)
	if err != nil || len(cases) != 1 {
		o.Fatal(len(cases), err)
	}
	return cases[0]
}

func (o *office) under(address attendees.Personal) []rights.Holding {
	o.Helper()
	held, err := o.Rights.Under(o.Context(), address)
	if err != nil {
		o.Fatal(err)
	}
	return held
}

func (o *office) block() {
	o.Helper()
	if err := o.Retention.Start(o.Context()); err != nil {
		o.Fatal(err)
	}
	o.Now = o.Stored("1").BlockedFrom().Add(8 * 24 * time.Hour)
	if err := o.Retention.Block(o.Context(), "1"); err != nil {
		o.Fatal(err)
	}
}

func text(f []rights.Field, field attendees.Field) string {
	i := slices.IndexFunc(f, func(f rights.Field) bool { return f.Field == field })
	if i < 0 {
		return ""
	}
	return string(f[i].Values[0])
}

func TestAPersonSeesWhatIsStoredUnderTheirAddressAlone(t *testing.T) {
	o := newOffice(t)
	o.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	held := o.under(" ADA@n.example")
	if len(held) != 1 || held[0].Own == nil || held[0].Own.ID != "1" || text(held[0].Own.Fields, attendees.Affiliation) != "Quill Clinic" {
		t.Fatalf("%d holdings", len(held))
	}
	if len(o.under("eda@n.example")) != 0 {
		t.Error("something is stored under an address that nobody has")
	}
	o.Save(coretest.Ticket("3", "1", "Guest Berg", "bo@n.example"))
	if held := o.under("bo@n.example"); len(held) != 1 || held[0].Own != nil || held[0].Shared != 2 {
		t.Errorf("a group order shows %d holdings, shared by %d", len(held), held[0].Shared)
	}
}

// FAULTS C9: each address shows what was given under it.
func TestEachAddressShowsWhatWasGivenUnderIt(t *testing.T) {
	o := newOffice(t)
	o.Answer(coretest.Response("t2", "1", october.AddDate(0, 0, 1), coretest.Answers{"email": {"ada@home.example"}, "aff": {"Home"}}))
	look := func() (work, home []rights.Holding) { return o.under(ada), o.under("ada@home.example") }
	work, home := look()
	if len(work) != 1 || work[0].Own == nil || text(work[0].Own.Fields, attendees.Affiliation) != "Quill Clinic" {
		t.Error("a claim changes what the attendee sees")
	}
	if len(home) != 1 || home[0].Own != nil || len(home[0].Answers) != 1 {
		t.Error("the claim is not shown under its own address")
	}
	id := responseKey(o)
	o.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return o.People.Match(ctx, tx, e, id, o.Key("1", "1"))
	})
	work, home = look()
	if text(work[0].Own.Fields, attendees.Affiliation) != "Quill Clinic" || len(home) != 1 || text(home[0].Answers[0].Fields, attendees.Affiliation) != "Home" {
		t.Error("once matched, an address shows what was given under another")
	}
}

func TestAnErasureLeavesWhatADutyKeeps(t *testing.T) {
	o := newOffice(t)
	c := o.take(rights.Request{Asks: attendees.ErasureRight})
	if c.Outcome != attendees.GrantedInPart {
		t.Errorf("outcome %s, want granted in part", c.Outcome)
	}
	if len(o.Shown("1")) != 0 || o.Tasks(events.TaskForgotten) != 1 {
		t.Errorf("%d are shown, %d tasks", len(o.Shown("1")), o.Tasks(events.TaskForgotten))
	}
	own := o.under(ada)[0].Own
	if own == nil || text(own.Fields, attendees.Name) != "Ada Lind" || text(own.Fields, attendees.Affiliation) != "" {
		t.Error("what the duty keeps is not what is left")
	}
	if !strings.Contains(strings.Join(o.letters[0].Text, " "), "have erased") || len(o.letters[0].Attached) != 1 {
		t.Error("the letter does not say so, or has no certificate")
	}
}

func TestAnErasureWithoutADutyLeavesNothing(t *testing.T) {
	o := newOffice(t)
	o.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	cases, err := o.desk.Take(t.Context(), "bo@n.example", rights.Request{Asks: attendees.ErasureRight, CameBy: "page"})
	if err != nil || cases[0].Outcome != attendees.Granted {
		t.Fatal(cases, err)
	}
	if len(o.under("bo@n.example")) != 0 {
		t.Error("something is left")
	}
	o.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	if len(o.Shown("1")) != 1 {
		t.Error("a later sync brings them back")
	}
}

func TestARestrictionIsLiftedByThePersonsOwnVisit(t *testing.T) {
	o := newOffice(t)
	o.take(rights.Request{Asks: attendees.Restriction})
	if len(o.Shown("1")) != 0 {
		t.Error("a restricted attendee is shown")
	}
	if own := o.under(ada)[0].Own; own == nil || text(own.Fields, attendees.Affiliation) != "Quill Clinic" {
		t.Error("the person does not see what is sealed for them")
	}
	if err := o.desk.Lift(t.Context(), "bo@n.example", "1"); !errors.Is(err, rights.ErrRequest) {
		t.Errorf("somebody else lifts it: %v", err)
	}
	if err := o.desk.Lift(t.Context(), ada, "1"); err != nil {
		t.Fatal(err)
	}
	if a := o.Shown("1")["1/0"]; a.Name.Reveal() != "Ada Lind" || a.AgreedAt.IsZero() {
		t.Error("lifted, they are not as they were")
	}
}

func TestAHoldStopsAnErasureUntilStaffDecide(t *testing.T) {
	o := newOffice(t)
	if _, err := o.Retention.Holds.Add(t.Context(), retention.Hold{Event: "1", Reason: "a claim", By: "test"}); err != nil {
		t.Fatal(err)
	}
	if c := o.take(rights.Request{Asks: attendees.ErasureRight}); !c.Open() {
		t.Errorf("the case ended %s", c.Outcome)
	}
	if len(o.Shown("1")) != 1 {
		t.Error("somebody on hold was erased")
	}
}

func TestABlockedRecordOpensForItsOwnAddressUntilItsPepperIsGone(t *testing.T) {
	o := newOffice(t)
	o.block()
	own := o.under(ada)[0].Own
	if own == nil || own.ID != "1" || text(own.Fields, attendees.Name) != "Ada Lind" || text(own.Fields, attendees.Affiliation) != "" {
		t.Fatal("the record does not open for its person, or shows what no duty keeps")
	}
	o.Now = o.Now.AddDate(0, o.Policy.PersonOpensMonths, 1)
	if _, err := o.Retention.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held := o.under(ada); len(held) != 1 || !held[0].Closed {
		t.Error("after its time the record still opens for its person")
	}
}

func TestACorrectionIsGrantedByStaffAndShown(t *testing.T) {
	o := newOffice(t)
	c := o.take(rights.Request{Asks: attendees.Rectification, Field: attendees.Name, Value: "Ada Lindh"})
	if !c.Open() {
		t.Fatal("it did not wait for staff")
	}
	if _, err := o.desk.Decide(t.Context(), c.Number, rights.Decision{Grant: true, Reason: "shown on site", By: "officer"}); err != nil {
		t.Fatal(err)
	}
	if a := o.Shown("1")["1/0"]; a.Name.Reveal() != "Ada Lindh" || o.Tasks(events.TaskCorrect) != 1 {
		t.Error("the correction is not shown, or nobody is asked to enter it at the source")
	}
	if held := o.under(ada); !held[0].Own.Fields[0].Corrected {
		t.Error("the person is not told that it is corrected")
	}
}

func TestEveryDeedIsInTheLedgerAndNamesNobody(t *testing.T) {
	o := newOffice(t)
	o.take(rights.Request{Asks: attendees.Restriction})
	if err := o.desk.Lift(t.Context(), ada, "1"); err != nil {
		t.Fatal(err)
	}
	o.take(rights.Request{Asks: attendees.ErasureRight})
	table, err := o.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []ledger.Kind
	for _, leaf := range table.Leaves {
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
		if strings.Contains(string(leaf), "Ada") || strings.Contains(string(leaf), "ada@") {
			t.Errorf("entry %s names somebody", e.Kind)
		}
	}
	want := []ledger.Kind{ledger.Opened, ledger.Restricted, ledger.Decided, ledger.Lifted, ledger.SealedEarly, ledger.Decided}
	if !slices.Equal(kinds, want) {
		t.Errorf("the ledger has %v, want %v", kinds, want)
	}
}

func TestALinkIsUsedOnceAndInTime(t *testing.T) {
	o := newOffice(t)
	link, err := o.Rights.NewVisitLink(t.Context(), " ADA@n.example")
	if err != nil {
		t.Fatal(err)
	}
	token, v, err := o.Rights.UseVisitLink(t.Context(), link)
	if err != nil || v.Address != ada {
		t.Fatal(err)
	}
	if _, _, err := o.Rights.UseVisitLink(t.Context(), link); !errors.Is(err, rights.ErrLink) {
		t.Errorf("used twice: %v", err)
	}
	if _, err := o.Rights.Visit(t.Context(), token); err != nil {
		t.Error(err)
	}
	o.Now = o.Now.Add(rights.VisitFor)
	if _, err := o.Rights.Visit(t.Context(), token); !errors.Is(err, rights.ErrLink) {
		t.Errorf("an old visit: %v", err)
	}
}

// responseKey is the key of the one response that is not matched.
func responseKey(o *office) (id [16]byte) {
	o.Helper()
	err := o.Reader.ReadUnmatched(o.Context(), o.Pool, o.Stored("1"), 0, func(r reader.Response) error { id = r.ID; return nil })
	if err != nil {
		o.Fatal(err)
	}
	return id
}

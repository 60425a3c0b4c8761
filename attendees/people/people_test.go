package people_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

func TestWhatIsReadAgainUnchangedIsNotWritten(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	if saved := w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example")); saved.New != 2 {
		t.Errorf("%+v, want 2 new", saved)
	}
	if saved := w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg-Lind", "bo@n.example")); saved.Same != 1 || saved.Changed != 1 {
		t.Errorf("%+v, want 1 the same and 1 changed", saved)
	}
	if got := w.Shown("1")["2/0"].Name.Reveal(); got != "Bo Berg-Lind" {
		t.Error("the new name is not shown")
	}
}

// cases/01 and 02.
func TestNoReadingTakesAnAgreementAway(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	var tickets []attendees.Registration
	var yes, nothing []attendees.Response
	for i := range 5 {
		id := fmt.Sprint(i + 1)
		tickets = append(tickets, coretest.Ticket(id, "1", "P "+id, "p"+id+"@n.example"))
		yes = append(yes, coretest.Response("t"+id, id, october, coretest.Answers{"agree": {"true"}}))
		nothing = append(nothing, coretest.Response("t"+id, id, october, nil))
	}
	w.Save(tickets...)
	w.Answer(yes...)
	if saved := w.Answer(nothing[:3]...); saved.Unsaid != 3 {
		t.Errorf("%d readings would have taken a yes away, want 3", saved.Unsaid)
	}
	unsaid := (*people.UnsaidError)(nil)
	if _, err := w.TryAnswer(nothing...); !errors.As(err, &unsaid) || w.Tasks(events.TaskUnsaid) != 1 {
		t.Errorf("five of five: %v, and %d tasks, want it to stop and ask", err, w.Tasks(events.TaskUnsaid))
	}
	cancelled := tickets[0]
	cancelled.Cancelled = true
	w.Save(cancelled)
	w.Save(tickets[0])
	for id, a := range w.Shown("1") {
		if a.AgreedAt.IsZero() {
			t.Errorf("attendee %s has not agreed any more", id)
		}
	}
}

// cases/03.
func TestAHandedOverTicketLeavesWhatWasAnsweredWithItsFormerHolder(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		w := coretest.New(t)
		w.Link("1")
		hers := coretest.Response("tokmara", "5001", october, coretest.Answers{"full_name": {"Mara Quill"}, "email": {"mara@quill.example"}, "agree": {"true"}, "aff": {"Quill Clinic"}})
		w.Save(coretest.Ticket("5001", "1", "Mara Quill", "mara@quill.example"))
		if !late {
			w.Answer(hers)
		}
		tibor := coretest.Ticket("5001", "1", "Tibor Lasker", "tibor@lasker.example")
		tibor.Changed = october.AddDate(0, 0, 10)
		if saved := w.Save(tibor); saved.HandedOver != 1 {
			t.Fatalf("%+v, want 1 handed over", saved)
		}
		if late {
			w.Answer(hers)
		}
		shown := w.Shown("1")
		mara, now := shown["5001/0"], shown["5001/1"]
		if mara.Standing != attendees.Gone || mara.AgreedAt.IsZero() || mara.Text(attendees.Affiliation) != "Quill Clinic" {
			t.Errorf("late %v: the former holder is %s, agreed %v", late, mara.Standing, !mara.AgreedAt.IsZero())
		}
		if now.Standing != attendees.Attending || !now.AgreedAt.IsZero() || now.Text(attendees.Affiliation) != "" || now.Name.Reveal() != "Tibor Lasker" {
			t.Errorf("late %v: the new holder is %s, agreed %v", late, now.Standing, !now.AgreedAt.IsZero())
		}
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.People.Erase(ctx, tx, e, w.Key("1", "5001~1"), "5001~1")
			return err
		})
		w.Save(tibor)
		if saved := w.Answer(hers); saved.Barred != 1 {
			t.Errorf("the erased response is stored again: %+v", saved)
		}
		if shown := w.Shown("1"); len(shown) != 1 || shown["5001/1"].Name.Reveal() != "Tibor Lasker" {
			t.Errorf("after the former holder's erasure %d attendees are shown, want the new holder", len(shown))
		}
	}
}

// cases/04.
func TestAnAgreementComesAlongToAnotherEvent(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("1", "1", "Dora Lenz", "dora@lenz.example"))
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "email": {"dora@lenz.example"}}))
	moved := coretest.Ticket("1", "2", "Dora Lenz", "dora@lenz.example")
	moved.Changed = october.AddDate(0, 0, 1)
	if saved := w.Save(moved); saved.Moved != 1 {
		t.Errorf("%+v, want 1 moved", saved)
	}
	if a := w.Shown("2")["1/0"]; a.AgreedAt.IsZero() || a.Standing != attendees.Attending {
		t.Errorf("in event 2 she is %s, agreed %v", a.Standing, !a.AgreedAt.IsZero())
	}
	if a := w.Shown("1")["1/0"]; a.Standing != attendees.Gone || !a.AgreedAt.IsZero() {
		t.Errorf("in event 1 she is %s, agreed %v, want gone", a.Standing, !a.AgreedAt.IsZero())
	}
	if saved := w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "email": {"dora@lenz.example"}})); saved.New != 0 && saved.Unmatched != 0 {
		t.Errorf("read again: %+v", saved)
	}
	if a := w.Shown("2")["1/0"]; a.AgreedAt.IsZero() {
		t.Error("after another reading the agreement is gone")
	}
}

// cases/06.
func TestOneAttendingCandidateIsEnough(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	cancelled := coretest.Ticket("6001", "1", "Ines Walden", "ines@walden.example")
	cancelled.Cancelled = true
	w.Save(cancelled, coretest.Ticket("6002", "1", "Ines Walden", "ines@walden.example"))
	w.Answer(coretest.Response("tokines", "", october, coretest.Answers{"email": {"ines@walden.example"}, "agree": {"true"}}))
	if a := w.Shown("1")["6002/0"]; a.AgreedAt.IsZero() {
		t.Error("the second ticket has not agreed")
	}
}

// cases/13, and FAULTS C10.
func TestAnotherAddressIsOnlyAClaimUntilStaffMatchIt(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Vera Nyman", "vera@work.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"full_name": {"Vera Nyman"}, "email": {"vera@home.example"}, "agree": {"true"}}),
		coretest.Response("t2", "1", october, coretest.Answers{"email": {"bo@n.example"}, "agree": {"true"}}))
	if a := w.Shown("1")["1/0"]; !a.AgreedAt.IsZero() || a.Email.Reveal() != "vera@work.example" {
		t.Error("a claim changes what is shown of the attendee")
	}
	if a := w.Shown("1")["2/0"]; a.AgreedAt.IsZero() {
		t.Error("a hidden id with the address of exactly one other attendee is not that attendee's")
	}
	if w.Tasks(events.TaskClaim) != 1 {
		t.Errorf("%d tasks, want 1", w.Tasks(events.TaskClaim))
	}
	var claim reader.Response
	if err := w.Reader.ReadUnmatched(t.Context(), w.Pool, w.Stored("1"), 0, func(r reader.Response) error { claim = r; return nil }); err != nil {
		t.Fatal(err)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Match(ctx, tx, e, claim.ID, w.Key("1", "1"))
	})
	if a := w.Shown("1")["1/0"]; a.AgreedAt.IsZero() || w.Tasks(events.TaskClaim) != 0 {
		t.Error("staff matched it, and it does not count")
	}
}

func TestAResponseFindsItsAttendeeWhoComesLater(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "email": {"ada@n.example"}}), coretest.Response("t2", "", october, coretest.Answers{"agree": {"true"}, "email": {"bo@n.example"}}))
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	for id, a := range w.Shown("1") {
		if a.AgreedAt.IsZero() {
			t.Errorf("attendee %s has not agreed", id)
		}
	}
}

func TestAnErasedRegistrationStaysOut(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, w.Key("1", "1"), "1")
		return err
	})
	again := coretest.Ticket("1", "1", "Eda Lund", "eda@n.example")
	again.Changed = w.Now.AddDate(0, 0, 2)
	if saved := w.Save(again); saved.Barred != 1 || len(w.Shown("1")) != 0 {
		t.Errorf("%+v, and %d are shown", saved, len(w.Shown("1")))
	}
	if w.Tasks(events.TaskErased) != 1 {
		t.Error("it changed upstream after it was erased, and staff are not asked")
	}
}

func TestARestrictedAttendeeIsSealedUntilItIsLifted(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	ada := coretest.Ticket("1", "1", "Ada Lind", "ada@n.example")
	w.Save(ada)
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "aff": {"Quill Clinic"}}))
	key := w.Key("1", "1")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, key, attendees.RestrictionAsked)
	})
	w.Save(ada)
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "aff": {"Quill Clinic"}}), coretest.Response("t2", "1", october.AddDate(0, 0, 1), coretest.Answers{"aff": {"New Clinic"}}))
	if len(w.Shown("1")) != 0 {
		t.Error("a restricted attendee is shown")
	}
	e := w.Stored("1")
	records, err := w.Reader.Records(t.Context(), w.Pool, e, key)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v, want 2: what came later is one number more", len(records), err)
	}
	var opened [][]byte
	opener, err := w.Vault.OpenAs(t.Context(), w.Pool, w.Officer, reader.Ref(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		halves, err := w.Vault.Halves(t.Context(), w.Pool, reader.Ref(e), vault.KeyOf(r.Kind), r.Generation)
		if err != nil {
			t.Fatal(err)
		}
		if r.Number == 0 {
			if _, err := halves.Open("ada@n.example", key, r.Number, r.Kind, r.Half); err != nil {
				t.Errorf("the person does not open number %d: %v", r.Number, err)
			}
		}
		text, err := opener.Open(key, r.Number, r.Kind, r.Generation, r.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, text)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Lift(ctx, tx, e, key, opened)
	})
	a := w.Shown("1")["1/0"]
	if a.Name.Reveal() != "Ada Lind" || a.AgreedAt.IsZero() || a.Text(attendees.Affiliation) != "New Clinic" {
		t.Errorf("lifted, she agreed %v", !a.AgreedAt.IsZero())
	}
}

func TestARestrictedTicketThatIsHandedOverHasANewHolder(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, w.Key("1", "1"), attendees.RestrictionAsked)
	})
	w.Save(coretest.Ticket("1", "1", "Ada Lind-Berg", "ada@n.example"))
	if len(w.Shown("1")) != 0 {
		t.Error("another name alone shows a restricted attendee")
	}
	w.Save(coretest.Ticket("1", "1", "Bo Berg", "bo@n.example"))
	if a := w.Shown("1")["1/1"]; a.Name.Reveal() != "Bo Berg" {
		t.Error("the new holder is not shown")
	}
}

func TestMoreThanAHandfulIsNotBelievedToBeGone(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	var all []attendees.Registration
	for i := range 10 {
		all = append(all, coretest.Ticket(fmt.Sprint(i), "1", fmt.Sprintf("P %d", i), fmt.Sprintf("p%d@n.example", i)))
	}
	w.Save(all...)
	gone := func(named int) ([]attendees.AttendeeID, int) {
		l, err := w.People.NewListing(w.Stored("1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range named {
			l.Saw(attendees.AttendeeID(fmt.Sprint(i)))
		}
		missing, of, err := w.People.Missing(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return missing, of
	}
	ids, of := gone(5)
	if n, err := w.People.Gone(t.Context(), "1", ids, of, false); n != 0 || err != nil || w.Tasks(events.TaskGone) != 1 {
		t.Errorf("%d are gone, %v, want staff to be asked", n, err)
	}
	ids, of = gone(8)
	slices.Sort(ids)
	if n, err := w.People.Gone(t.Context(), "1", ids, of, false); n != 2 || err != nil || w.Tasks(events.TaskGone) != 0 {
		t.Errorf("%d are gone, %v, want 2", n, err)
	}
	if a := w.Shown("1")["9/0"]; a.Standing != attendees.Gone {
		t.Errorf("attendee 9 is %s", a.Standing)
	}
}

// texts are all that the layers of an event's people say.
func texts(w *coretest.World, event attendees.EventID) (all string) {
	w.Helper()
	err := w.Reader.Read(w.Context(), w.Pool, w.Stored(event), 0, func(p reader.Person) error {
		all += string(p.Registration.Text())
		for _, l := range p.Layers() {
			all += string(l.Text())
		}
		all += string(p.Correction.Text())
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func TestUnderAHoldNothingLeavesALayer(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} { // a hold on her, or on the event
		w := coretest.New(t)
		w.Link("1")
		w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
		r := yes("t", "1", "ada@n.example")
		r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
		w.Answer(r)
		hold := func(held bool) {
			w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
				if whole {
					return w.Events.Hold(ctx, tx, e, held)
				}
				return w.People.Hold(ctx, tx, e, w.Key("1", "1"), held)
			})
		}
		hold(true)
		later := yes("t", "", "ada@n.example")
		later.Answers["aff"] = attendees.Answer{"New Clinic"}
		w.Answer(later)
		if n, err := w.People.Gone(t.Context(), "1", []attendees.AttendeeID{"1"}, 1, false); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if !strings.Contains(texts(w, "1"), `"attending"`) {
			t.Errorf("whole %v: that she attended left the layer", whole)
		}
		w.Save(coretest.Ticket("1", "1", "Ada Lind-Berg", "ada@n.example"))
		if _, err := w.People.Renew(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		for _, before := range []string{`Ada Lind"`, "Quill Clinic", `"gone"`} {
			if !strings.Contains(texts(w, "1"), before) {
				t.Errorf("whole %v: %s left the layers", whole, before)
			}
		}
		hold(false)
		if _, err := w.People.Renew(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		for _, before := range []string{`Ada Lind"`, "Quill Clinic", `"gone"`} {
			if strings.Contains(texts(w, "1"), before) {
				t.Errorf("whole %v: after the hold %s is still in the layers", whole, before)
			}
		}
	}
}

func TestTheOrderOfRowsTellsNothing(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(crowd(50)...)
	var all []attendees.Response
	for i := range 50 {
		all = append(all, yes(fmt.Sprint("t", i), fmt.Sprint(1_000_000+i), ""))
	}
	w.Answer(all...)
	for table, query := range map[string]string{
		"attendees": `select id::text from attendees order by ctid`, "responses": `select id::text from responses order by ctid`,
	} {
		var ids []string
		if err := w.Pool.Select(&ids, query); err != nil || len(ids) != 50 || !slices.IsSorted(ids) {
			t.Errorf("%d %s are written in the order in which they came: %v", len(ids), table, err)
		}
	}
}

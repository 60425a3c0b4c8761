package people_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/retention"
)

func pgtestDrop(t *testing.T, w *coretest.World) {
	t.Helper()
	name := pgtest.Name(t, w.Pool)
	w.Pool.Close()
	pgtest.Drop(t, name)
}

// block blocks an event, once its day has come.
func block(w *coretest.World, event attendees.EventID) {
	w.Helper()
	if err := w.Retention.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	d := w.Stored(event).BlockOn
	w.Now = time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC)
	w.Dry(event)
	if err := w.Retention.Block(w.Context(), event); err != nil {
		w.Fatal(err)
	}
}

// at is a ticket as its source has it on a day of October.
func at(day int, r attendees.Registration) attendees.Registration {
	r.Changed = october.AddDate(0, 0, day)
	return r
}

func TestATicketThatComesBackBringsItsAnswersBack(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(yes("t", "a", "ada@n.example"))
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
	if saved := w.Save(at(2, coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))); saved.Moved != 1 {
		t.Errorf("%+v, want one moved", saved)
	}
	if a := w.Shown("1")["a/0"]; a.Standing != attendees.Attending || a.AgreedAt.IsZero() {
		t.Errorf("back in event 1 she is %s, agreed %v", a.Standing, !a.AgreedAt.IsZero())
	}
	if a := w.Shown("2")["a/0"]; a.Standing != attendees.Gone || !a.AgreedAt.IsZero() {
		t.Errorf("in event 2 she is %s, agreed %v", a.Standing, !a.AgreedAt.IsZero())
	}
}

func TestATicketThatMovesToABlockedEventLeavesItsOwn(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("z", "1", "Zed", "zed@n.example"))
	block(w, "1")
	w.Event("2")
	w.Save(coretest.Ticket("a", "2", "Ada Lind", "ada@n.example"))
	if saved := w.Save(at(1, coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))); saved.Skipped != 1 || saved.Moved != 1 {
		t.Errorf("%+v, want one moved, and skipped where it is now", saved)
	}
	if a := w.Shown("2")["a/0"]; a.Standing != attendees.Gone {
		t.Errorf("in event 2 she is %s", a.Standing)
	}
}

func TestAnErasedTicketStaysOutOfTheEventThatItMovesTo(t *testing.T) {
	t.Parallel()
	for _, blocked := range []bool{false, true} {
		w := coretest.New(t)
		w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"))
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.People.Erase(ctx, tx, e, w.Key("1", "a"), "a")
			return err
		})
		if blocked {
			block(w, "1")
		}
		w.Event("2")
		w.Event("3")
		for _, event := range []string{"2", "3"} {
			if saved := w.Save(at(1, coretest.Ticket("a", event, "Ada Lind", "ada@n.example"))); saved.Barred != 1 || saved.New != 0 || len(w.Shown(attendees.EventID(event))) != 0 {
				t.Errorf("blocked %v: %+v, and %d are shown in event %s", blocked, saved, len(w.Shown(attendees.EventID(event))), event)
			}
		}
	}
}

func TestATicketAttendsOneEventAtMost(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	block(w, "1")
	w.Event("2")
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
	attend := func(event string, want int) {
		t.Helper()
		if n := count(w, `select count(*) from attendees a join events e on e.id = a.event_id where standing = 'attending' and source_id = '`+event+`'`); n != want {
			t.Errorf("%d attend event %s, want %d", n, event, want)
		}
	}
	attend("1", 0)
	attend("2", 1)
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.Events.Reopen(ctx, tx, e)
		return err
	})
	w.Save(at(2, coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")))
	attend("1", 1)
	attend("2", 0)
	if w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example"))); len(w.Shown("2")) != 1 {
		t.Error("she is not there any more")
	}
	attend("1", 1) // that reading of event 2 was older
	attend("2", 0)
}

func TestAHoldThatMovedWithATicketEndsWithIt(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Event("3")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	first, err := w.Retention.Holds.Add(t.Context(), retention.Hold{Attendee: "a", Reason: "a claim"})
	if err != nil {
		t.Fatal(err)
	}
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
	w.Save(at(2, coretest.Ticket("a", "3", "Ada Lind", "ada@n.example")))
	second, err := w.Retention.Holds.Add(t.Context(), retention.Hold{Attendee: "a", Reason: "another"})
	if err != nil {
		t.Fatal(err)
	}
	w.Save(at(3, coretest.Ticket("a", "3", "Ada Lind-Berg", "ada@n.example")))
	if !strings.Contains(texts(w, "3"), `Ada Lind"`) {
		t.Error("the hold has not moved with her")
	}
	for i, h := range []retention.Hold{first, second} {
		if err := w.Retention.Holds.Release(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
		if n := count(w, `select count(*) from bars where what = 'held'`); n != 1-i {
			t.Errorf("after %d releases she is on hold in %d events", i+1, n)
		}
	}
	if strings.Contains(texts(w, "3"), `Ada Lind"`) {
		t.Error("after the hold her former name is still in the layer")
	}
}

func TestAfterAHandOverAndAMoveEachHasTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} { // whether event 1 has the form, too
		w := coretest.New(t)
		w.Event("2")
		if shared {
			w.Link("1")
		}
		w.Link("2")
		w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
		w.Save(at(10, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
		w.Save(at(20, coretest.Ticket("a", "2", "Bo Berg", "bo@n.example")))
		w.Answer(yes("t", "a", "")) // Ada's, before she gave the ticket away
		if len(agreed(w, "2")) != 0 || shared && !agreed(w, "1")["a/0"] {
			t.Errorf("shared %v: agreed are %v in event 1 and %v in event 2", shared, agreed(w, "1"), agreed(w, "2"))
		}
		if n := w.Tasks(events.TaskClaim); (n == 0) != shared {
			t.Errorf("shared %v: %d tasks about a claim", shared, n)
		}
		bos := yes("u", "a", "")
		bos.Submitted = october.AddDate(0, 0, 15)
		w.Answer(bos)
		if got := agreed(w, "2"); len(got) != 1 || !got["a/0"] || agreed(w, "1")["a/1"] {
			t.Errorf("shared %v: his answer is %v's in event 2, and %v in event 1", shared, got, agreed(w, "1"))
		}
	}
}

func TestWhoSaidYesBeforeTheyWereRestrictedStillDidWhereTheyMoveTo(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		w := coretest.New(t)
		w.Event("2")
		w.Link("1")
		if shared {
			w.Link("2")
		}
		w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
		w.Answer(yes("t", "a", ""))
		restrict(w, "1", w.Key("1", "a"), attendees.RestrictionAsked)
		w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
		_, there, err := w.People.Find(t.Context(), w.Pool, "a")
		if err != nil {
			t.Fatal(err)
		}
		if got := count(w, `select count(*) from attendees where agreed and counts_as_agreed and id = '`+there.String()+`'`) == 1; got != shared {
			t.Errorf("shared %v: she counts as agreed: %v", shared, got)
		}
	}
}

func TestWhatIsDecidedAboutSomebodyMovesWithThem(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"))
	a, b := w.Key("1", "a"), w.Key("1", "b")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		if err := w.People.Restrict(ctx, tx, e, a, attendees.Objected); err != nil {
			return err
		}
		return w.People.Correct(ctx, tx, e, b, attendees.Name, "Bo Berg-Lind", "bo@n.example")
	})
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")), at(1, coretest.Ticket("b", "2", "Bo Berg", "bo@n.example")))
	shown := w.Shown("2")
	if len(shown) != 1 || shown["b/0"].Name.Reveal() != "Bo Berg-Lind" {
		t.Errorf("%d are shown in event 2, want one, corrected", len(shown))
	}
	if got := w.Shown("1")["b/0"]; got.Standing != attendees.Gone || got.Name.Reveal() != "Bo Berg" {
		t.Errorf("in event 1 he is %s, with a correction %v", got.Standing, got.Name.Reveal() != "Bo Berg")
	}
	if w.Save(at(2, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example"))); len(w.Shown("2")) != 1 {
		t.Error("restricted in event 1, she is shown in event 2")
	}
}

func TestWhatComesBackToSomebodyRestrictedIsSealed(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
	w.Answer(yes("t", "a", "ada@n.example")) // in event 1 it is hers, who is gone, too
	_, there, err := w.People.Find(t.Context(), w.Pool, "a")
	if err != nil {
		t.Fatal(err)
	}
	correct(w, "2", there, attendees.Ticket, "Students", "ada@n.example")
	e, h := w.Stored("1"), w.Secrets.AllHashes()[0]
	here := uuid.UUID(h.Registration("1", string(e.Source), "a"))
	restrict(w, "1", here, attendees.RestrictionAsked)
	if saved := w.Save(at(2, coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))); saved.Moved != 1 {
		t.Fatalf("%+v, want one moved", saved)
	}
	if len(w.Shown("1")) != 0 || count(w, `select (select count(*) from corrections) + (select count(*) from responses where layer is not null)`) != 0 {
		t.Error("what came back lies open")
	}
	lift(w, "1", here)
	if a := w.Shown("1")["a/0"]; a.AgreedAt.IsZero() || a.Ticket != "Students" {
		t.Error("what came back is not there when it is lifted")
	}
}

func count(w *coretest.World, query string) (n int) {
	w.Helper()
	if err := w.Pool.Get(&n, query); err != nil {
		w.Fatal(err)
	}
	return n
}

func TestATicketThatIsMovedAndHandedOverBringsNothingAlong(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(yes("t", "a", "ada@n.example"))
	w.Save(at(1, coretest.Ticket("a", "2", "Bo Berg", "bo@n.example")))
	if len(agreed(w, "2")) != 0 || !agreed(w, "1")["a/0"] {
		t.Errorf("agreed are %v in event 1 and %v in event 2", agreed(w, "1"), agreed(w, "2"))
	}
}

func TestOnlyNameAndAddressTogetherMakeANewHolder(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(yes("t", "a", ""))
	for day, r := range []attendees.Registration{
		coretest.Ticket("a", "1", "Ada Lind-Berg", "ada@n.example"), coretest.Ticket("a", "1", "Ada Lind-Berg", "ada@home.example"),
		coretest.Ticket("a", "1", "", "other@n.example"), coretest.Ticket("a", "1", "Ada Lind", "other@n.example"),
	} {
		if saved := w.Save(at(day, r)); saved.HandedOver != 0 {
			t.Errorf("change %d makes a new holder", day)
		}
	}
	if !agreed(w, "1")["a/0"] || len(w.Shown("1")) != 1 {
		t.Error("she is another by now")
	}
	for _, r := range []attendees.Registration{coretest.Ticket("b", "1", "Info Requested", "a@n.example"), coretest.Ticket("b", "1", "Tibor Lasker", "tibor@n.example"), coretest.Ticket("b", "1", "Info Requested", "z@n.example")} {
		if saved := w.Save(r); saved.HandedOver != 0 {
			t.Error("a ticket that nobody is named on is handed over")
		}
	}
	erase(w, "1", "b")
	for day := range 3 { // back and forth
		names := []string{"Bo Berg", "Cy Holm"}
		w.Save(at(10+day, coretest.Ticket("a", "1", names[day%2], names[day%2][:2]+"@n.example")))
	}
	if got := agreed(w, "1"); len(w.Shown("1")) != 4 || len(got) != 1 || !got["a/0"] {
		t.Errorf("%d holders, of whom %v agreed", len(w.Shown("1")), got)
	}
}

// cases/05.
func TestVersionAndTimeAreThoseOfTheYes(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Vera Nyman", "vera@n.example"))
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "agreement_version": {"2026-1"}}),
		coretest.Response("t2", "1", october.AddDate(0, 0, 20), coretest.Answers{"agree": {"false"}, "agreement_version": {"2026-2"}}))
	if a := w.Shown("1")["1/0"]; !a.AgreedAt.Equal(october) || a.AgreementVersion != "2026-1" {
		t.Errorf("agreed to %s at %s", a.AgreementVersion, a.AgreedAt)
	}
}

// cases/10: each attendee's response gives the address as others write it.
func TestOneAddressHasOneSpelling(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	for id, spelled := range map[string][2]attendees.Personal{
		"103": {"zed@zero.example\u200b", "zed@zero.example"}, "104": {"\u200bzwa@zero.example", "ZWA@zero.example"},
		"105": {"\ufeffbom@zero.example", "bom@zero.example"}, "106": {"rtl@zero.example\u200e", "rtl@zero.example"},
		"114": {"soft\u00ad@hy.example", "soft@hy.example"}, "115": {"jose\u0301@nfd.example", "jos\u00e9@nfd.example"},
		"111": {"k@BÜRO.example", "k@xn--bro-hoa.example"},
	} {
		w.Save(coretest.Ticket(id, "1", "P "+id, spelled[0].Reveal()))
		w.Answer(yes("t"+id, "", spelled[1].Reveal()))
	}
	if got := agreed(w, "1"); len(got) != 7 {
		t.Errorf("%v agreed, want all seven", got)
	}
}

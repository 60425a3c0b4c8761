package people_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/reader"
)

// yes is a response that agrees, under an address.
func yes(id, attendee, email string) attendees.Response {
	said := coretest.Answers{"agree": {"true"}, "agreement_version": {"2026-1"}}
	if email != "" {
		said["email"] = attendees.Answer{attendees.Personal(email)}
	}
	return coretest.Response(id, attendee, october, said)
}

// waiting are the responses of an event that are matched to nobody.
func waiting(w *coretest.World, event attendees.EventID) (all []reader.Response) {
	w.Helper()
	err := w.Reader.ReadUnmatched(w.Context(), w.Pool, w.Stored(event), 0, func(r reader.Response) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// agreed are the attendees of an event who agreed, as "ID/HOLDER".
func agreed(w *coretest.World, event attendees.EventID) map[string]bool {
	w.Helper()
	all := map[string]bool{}
	for id, a := range w.Shown(event) {
		if !a.AgreedAt.IsZero() {
			all[id] = true
		}
	}
	return all
}

func match(w *coretest.World, event attendees.EventID, response, attendee uuid.UUID) error {
	w.Helper()
	return db.InTx(w.Context(), w.Pool, func(tx db.Tx) error {
		e, err := w.Events.WriteOne(w.Context(), tx, event)
		if err != nil {
			return err
		}
		return w.People.Match(w.Context(), tx, e, response, attendee)
	})
}

// Each row is one rule of whose a response is.
func TestAResponseIsTheirsWhoGaveIt(t *testing.T) {
	t.Parallel()
	cancelled := coretest.Ticket("c", "1", "Cy Holm", "cy@n.example")
	cancelled.Cancelled = true
	again := coretest.Ticket("d", "1", "Cy Holm", "cy@n.example")
	again.Cancelled = true
	for _, c := range []struct {
		about   string
		tickets []attendees.Registration
		claims  string
		name    string
		email   string
		want    string // empty: nobody's
		claim   bool
	}{
		{"the hidden id, and the form asks for no address", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")}, "a", "", "", "a/0", false},
		{"the hidden id with its own address", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")}, "a", "", "ADA@n.example", "a/0", false},
		{"the hidden id with an address that nobody has", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")}, "a", "Ada Lind", "ada@home.example", "", true},
		{"the hidden id with an address that one other has", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example")}, "a", "", "bo@n.example", "b/0", false},
		{"the hidden id with an address that two others share, and the name of one", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "office@n.example"), coretest.Ticket("e", "1", "Eli Falk", "office@n.example")}, "a", "Bo Berg", "office@n.example", "", true},
		{"a hidden id that is not known, with an address that is", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")}, "z", "", "ada@n.example", "a/0", false},
		{"the address of one who attends", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")}, "", "", "ada@n.example", "a/0", false},
		{"the address of one who attends and of another who cancelled, with the name of one", []attendees.Registration{cancelled, coretest.Ticket("e", "1", "Eli Falk", "cy@n.example")}, "", "Cy Holm", "cy@n.example", "c/0", false},
		{"the address of one who attends and of another who cancelled, without a name", []attendees.Registration{cancelled, coretest.Ticket("e", "1", "Eli Falk", "cy@n.example")}, "", "", "cy@n.example", "", false},
		{"the address of one who cancelled and bought again", []attendees.Registration{cancelled, coretest.Ticket("e", "1", "cy  HOLM", "cy@n.example")}, "", "", "cy@n.example", "e/0", false},
		{"the hidden id with an address of one who attends and another who cancelled", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), cancelled, coretest.Ticket("e", "1", "Eli Falk", "cy@n.example")}, "a", "", "cy@n.example", "", true},
		{"the address of one who cancelled", []attendees.Registration{cancelled}, "", "", "cy@n.example", "c/0", false},
		{"the address of two who cancelled, with the name of both", []attendees.Registration{cancelled, again}, "", "Cy Holm", "cy@n.example", "", false},
		{"a shared address, with the name of one", []attendees.Registration{coretest.Ticket("b", "1", "Bo Berg", "office@n.example"), coretest.Ticket("e", "1", "Eli Falk", "office@n.example")}, "", " eli  FALK", "office@n.example", "e/0", false},
		{"a shared address, with another name", []attendees.Registration{coretest.Ticket("b", "1", "Bo Berg", "office@n.example"), coretest.Ticket("e", "1", "Eli Falk", "office@n.example")}, "", "Fay Moor", "office@n.example", "", false},
		{"a shared address, without a name", []attendees.Registration{coretest.Ticket("b", "1", "Bo Berg", "office@n.example"), coretest.Ticket("e", "1", "Eli Falk", "office@n.example")}, "", "", "office@n.example", "", false},
		{"neither hidden id nor address", []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "")}, "", "Ada Lind", "", "", false},
	} {
		for _, late := range []bool{false, true} { // whether the registrations come after the response
			w := coretest.New(t)
			w.Link("1")
			r := yes("t", c.claims, c.email)
			r.Answers["full_name"] = attendees.Answer{attendees.Personal(c.name)}
			if late {
				w.Answer(r)
				w.Save(c.tickets...)
			} else {
				w.Save(c.tickets...)
				w.Answer(r)
			}
			got := agreed(w, "1")
			if want := map[bool]int{true: 1, false: 0}[c.want != ""]; len(got) != want || c.want != "" && !got[c.want] {
				t.Errorf("%s, late %v: it is %v's, want %q", c.about, late, got, c.want)
			}
			if n := w.Tasks(events.TaskClaim); (n == 1) != c.claim {
				t.Errorf("%s, late %v: %d tasks about a claim, want %v", c.about, late, n, c.claim)
			}
			pgtestDrop(t, w)
		}
	}
}

func TestAClaimThatIsReadAgainAsksOnce(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	for range 3 {
		w.Answer(yes("t", "a", "ada@home.example"))
		w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	}
	all, err := w.Events.Tasks.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v, want one task", all, err)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, _ events.Event) error {
		_, err := w.Events.Tasks.Done(ctx, tx, all[0].Number, "staff")
		return err
	})
	if w.Answer(yes("t", "a", "ada@home.example")); w.Tasks(events.TaskClaim) != 0 {
		t.Error("staff have ticked it off, and are asked again")
	}
	moved := coretest.Ticket("a", "1", "Ada Lind", "ada@home.example")
	moved.Changed = october
	w.Save(moved)
	if !agreed(w, "1")["a/0"] || w.Tasks(events.TaskClaim) != 0 {
		t.Error("she has the address by now: it is hers, and nobody has to be asked")
	}
}

func TestWhenOneOfTwoLeavesAnAddressTheOtherDoesNotInheritWhatWasGivenUnderIt(t *testing.T) {
	t.Parallel()
	for _, leave := range []string{"cancelled", "gone", "other address", "erased"} {
		w := coretest.New(t)
		w.Link("1")
		b := coretest.Ticket("b", "1", "Bo Berg", "office@n.example")
		w.Save(b, coretest.Ticket("e", "1", "Eli Falk", "office@n.example"))
		elis := yes("u", "", "office@n.example")
		elis.Answers["full_name"] = attendees.Answer{"Eli Falk"}
		w.Answer(yes("t", "", "office@n.example"))
		switch leave {
		case "cancelled":
			b.Cancelled = true
			w.Save(b)
		case "gone":
			if n, err := w.People.Gone(t.Context(), "1", []attendees.AttendeeID{"b"}, 2, false); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		case "erased":
			w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
				_, err := w.People.Erase(ctx, tx, e, w.Key("1", "b"), "b")
				return err
			})
		default:
			b.Email = "bo@n.example"
			w.Save(b)
		}
		w.Save(at(1, coretest.Ticket("e", "1", "Eli Falk", "office@n.example")))
		if got := agreed(w, "1"); len(got) != 0 || len(waiting(w, "1")) != 1 {
			t.Errorf("%s: %v agreed by a response that either may have given", leave, got)
		}
		if w.Answer(elis); !agreed(w, "1")["e/0"] {
			t.Errorf("%s: what Eli gave under his name is not his", leave)
		}
	}
}

func TestWhatStaffMatchOrTakeBackStaysSo(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	tickets := []attendees.Registration{coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example")}
	w.Save(tickets...)
	w.Answer(yes("t", "", "ada@n.example"), yes("u", "", "nobody@n.example"))
	wrong := waiting(w, "1")[0].ID
	if err := match(w, "1", wrong, w.Key("1", "b")); err != nil {
		t.Fatal(err)
	}
	var hers uuid.UUID
	if err := w.Reader.Read(t.Context(), w.Pool, w.Stored("1"), 0, func(p reader.Person) error {
		if p.ID == w.Key("1", "a") {
			hers = p.Responses[0].ID
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := match(w, "1", hers, uuid.Nil); err != nil {
		t.Fatal(err)
	}
	w.Answer(yes("t", "", "ada@n.example"), yes("u", "", "nobody@n.example"))
	tickets[0].Ticket = "Students"
	w.Save(tickets...)
	if got := agreed(w, "1"); len(got) != 1 || !got["b/0"] {
		t.Errorf("%v agreed, want b/0 alone", got)
	}
	for _, err := range []error{match(w, "1", uuid.New(), w.Key("1", "b")), match(w, "1", hers, uuid.New())} {
		if !errors.Is(err, people.ErrResponse) && !errors.Is(err, people.ErrAttendee) {
			t.Errorf("%v, want that there is no such response or attendee", err)
		}
	}
}

func TestAResponseWaitsInEachEventUntilItMatchesInOne(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Event("3")
	w.Link("1")
	w.Link("2")
	all := []attendees.Response{yes("t", "", "ada@n.example"), yes("u", "", "bo@n.example"), yes("v", "", "cy@n.example")}
	w.Save(coretest.Ticket("c", "2", "Cy Holm", "cy@n.example"))
	if saved := w.Answer(all...); saved.Unmatched != 4 {
		t.Errorf("%+v, want two unmatched in two events each", saved)
	}
	if len(waiting(w, "1")) != 2 || len(waiting(w, "2")) != 2 || len(waiting(w, "3")) != 0 {
		t.Errorf("%d, %d and %d wait, want 2, 2 and 0", len(waiting(w, "1")), len(waiting(w, "2")), len(waiting(w, "3")))
	}
	w.Save(coretest.Ticket("a", "2", "Ada Lind", "ada@n.example"))
	if len(waiting(w, "1")) != 1 || len(waiting(w, "2")) != 1 {
		t.Error("one has found its attendee in event 2, and waits in event 1")
	}
	if err := match(w, "2", waiting(w, "2")[0].ID, w.Key("2", "a")); err != nil {
		t.Fatal(err)
	}
	if err := w.People.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(waiting(w, "1")) != 0 {
		t.Error("staff matched it in event 2, and it waits in event 1")
	}
	if w.Answer(all...); len(waiting(w, "1"))+len(waiting(w, "2")) != 0 {
		t.Error("read again, they wait again")
	}
}

func TestAResponseOfABlockedEventsAttendeeIsReadableInNoOther(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"))
	before := []attendees.Response{yes("t", "a", ""), yes("u", "", "bo@n.example")}
	w.Answer(before...)
	block(w, "1")
	w.Event("2")
	w.Link("2")
	w.Save(coretest.Ticket("b2", "2", "Bo Berg", "bo@n.example"))
	if saved := w.Answer(before...); saved.Skipped != 2 || len(waiting(w, "2")) != 0 || len(agreed(w, "2")) != 0 {
		t.Errorf("%+v, and %d wait in event 2", saved, len(waiting(w, "2")))
	}
	later := yes("x", "", "bo@n.example")
	later.Submitted = w.Now
	if w.Answer(later); !agreed(w, "2")["b2/0"] {
		t.Error("what he answered after event 1 was blocked is not his in event 2")
	}
}

func TestAResponseOfSomebodyWhoWasDroppedIsNotReadableInAnotherEvent(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"))
	w.Save(coretest.Ticket("c", "1", "Cy Holm", "cy@n.example"))
	no := coretest.Response("n", "", october, coretest.Answers{"email": {"ada@n.example"}, "aff": {"Quill Clinic"}})
	named := coretest.Response("m", "a", october, coretest.Answers{"aff": {"Quill Clinic"}})
	w.Answer(no, named, yes("t", "b", ""), yes("u", "c", ""))
	block(w, "1")
	w.Event("2")
	w.Link("2")
	early := yes("e", "", "dee@n.example")
	w.Save(coretest.Ticket("d", "2", "Dee Moor", "dee@n.example"))
	if saved := w.Answer(no, named, early); saved.Skipped != 2 || len(waiting(w, "2")) != 0 {
		t.Errorf("%+v, and %d wait in event 2", saved, len(waiting(w, "2")))
	}
	if !agreed(w, "2")["d/0"] {
		t.Error("whose it is in event 2 has not got it")
	}
	claim := yes("x", "d", "dee@home.example")
	later := yes("y", "", "eve@n.example")
	later.Submitted = w.Now
	if w.Answer(claim, later); len(waiting(w, "2")) != 2 {
		t.Errorf("%d wait in event 2, want one that names somebody there, and one that came later", len(waiting(w, "2")))
	}
}

func TestAYesThatOneOfSeveralGaveKeepsThemInDoubt(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	for i := range 5 {
		id := fmt.Sprint(i)
		w.Save(coretest.Ticket(id, "1", "P "+id, "p"+id+"@n.example"))
		w.Answer(yes("t"+id, id, ""))
	}
	w.Save(coretest.Ticket("b", "1", "Bo Berg", "office@n.example"), coretest.Ticket("e", "1", "Eli Falk", "office@n.example"), coretest.Ticket("f", "1", "Fay Moor", "fay@n.example"))
	w.Answer(yes("u", "", "office@n.example"))
	block(w, "1")
	if n := count(w, `select count(*) from records where kind = 'doubt'`); n != 2 {
		t.Errorf("%d are in doubt, want the two who share the address", n)
	}
}

func TestUnmatchedResponsesAreDroppedInTimeAndStayOut(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(yes("t", "", "nobody@n.example"), yes("u", "a", "stranger@n.example"))
	w.Now = w.Now.AddDate(0, 0, w.Policy.UnmatchedDays)
	if n, err := w.People.DropUnmatched(t.Context(), "1"); n != 0 || err != nil {
		t.Errorf("%d are dropped on the last day, %v", n, err)
	}
	w.Now = w.Now.AddDate(0, 0, 1)
	if n, err := w.People.DropUnmatched(t.Context(), "1"); n != 1 || err != nil {
		t.Errorf("%d are dropped, %v, want one: a claim waits until the event is blocked", n, err)
	}
	if saved := w.Answer(yes("t", "", "nobody@n.example")); saved.Barred != 1 || len(waiting(w, "1")) != 1 {
		t.Errorf("%+v, and %d wait, want the claim alone", saved, len(waiting(w, "1")))
	}
}

func TestABlockedEventTakesNothingByHandEither(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(yes("t", "a", ""))
	key := w.Key("1", "a")
	block(w, "1")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		for what, err := range map[string]error{
			"match":    w.People.Match(ctx, tx, e, uuid.New(), key),
			"restrict": w.People.Restrict(ctx, tx, e, key, attendees.RestrictionAsked),
		} {
			if !errors.As(err, new(*events.BlockedError)) {
				t.Errorf("%s: %v, want BlockedError", what, err)
			}
		}
		return nil
	})
	if w.Stored("1").Generation != nil {
		t.Error("a blocked event has a working key again")
	}
	if saved := w.Save(coretest.Ticket("z", "1", "Zed", "zed@n.example")); saved.Skipped != 1 {
		t.Errorf("%+v, want it skipped", saved)
	}
}

func TestReadingsWithoutTheirYesCountOnceAndStaffMayConfirmThem(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	var all, without []attendees.Response
	for i := range 4 {
		id := fmt.Sprint(i)
		for _, event := range []string{"1", "2"} {
			w.Save(coretest.Ticket(event+id, event, "P "+id, "p"+id+"@n.example"))
		}
		all = append(all, yes("t"+id, "", "p"+id+"@n.example"))
		r := all[i]
		r.Answers = coretest.Answers{"email": r.Answers["email"]}
		without = append(without, r)
	}
	w.Answer(all...)
	if saved := w.Answer(without[:3]...); saved.Unsaid != 3 {
		t.Errorf("%d of 3 readings, in two events, are unsaid", saved.Unsaid)
	}
	links, err := w.Events.Forms.Links(t.Context(), w.Pool)
	if err != nil {
		t.Fatal(err)
	}
	r := people.Reading{Form: "f", Links: links, Layers: map[attendees.EventID][]attendees.Layer{}, Unsaid: 3}
	for _, event := range []attendees.EventID{"1", "2"} {
		r.Layers[event] = append(r.Layers[event], w.Policy.MinimiseResponse(without[3], events.FieldLinks(links, event, "f")))
	}
	if _, err := w.People.SaveResponses(t.Context(), r); !errors.As(err, new(*people.UnsaidError)) || w.Tasks(events.TaskUnsaid) != 2 {
		t.Errorf("the fourth of the run: %v, and %d tasks, want it to stop and ask for each event", err, w.Tasks(events.TaskUnsaid))
	}
	r.Confirmed = true
	if saved, err := w.People.SaveResponses(t.Context(), r); err != nil || saved.Unsaid != 1 {
		t.Errorf("confirmed: %+v, %v", saved, err)
	}
	if len(agreed(w, "1")) != 4 || len(agreed(w, "2")) != 4 {
		t.Error("a yes is gone")
	}
}

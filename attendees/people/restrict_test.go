package people_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

func restrict(w *coretest.World, event attendees.EventID, id uuid.UUID, reason attendees.Reason) {
	w.Helper()
	w.In(event, func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Restrict(ctx, tx, e, id, reason)
	})
}

func correct(w *coretest.World, event attendees.EventID, id uuid.UUID, f attendees.Field, value, contact attendees.Personal) {
	w.Helper()
	w.In(event, func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Correct(ctx, tx, e, id, f, value, contact)
	})
}

// unsealed are the texts that were sealed of an attendee, by an officer.
func unsealed(w *coretest.World, event attendees.EventID, id uuid.UUID) (all [][]byte) {
	w.Helper()
	e := w.Stored(event)
	o, err := w.Vault.OpenAs(w.Context(), w.Pool, w.Officer, reader.Ref(e))
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range records(w, event, id) {
		text, err := o.Open(id, r.Number, r.Kind, r.Generation, r.Sealed)
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

func records(w *coretest.World, event attendees.EventID, id uuid.UUID) []reader.Sealed {
	w.Helper()
	all, err := w.Reader.Records(w.Context(), w.Pool, w.Stored(event), id)
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// opensFor tells which of an attendee's records open with an address.
func opensFor(w *coretest.World, event attendees.EventID, id uuid.UUID, address string) (opens []bool) {
	w.Helper()
	for _, r := range records(w, event, id) {
		h, err := w.Vault.Halves(w.Context(), w.Pool, reader.Ref(w.Stored(event)), vault.KeyOf(r.Kind), r.Generation)
		if err != nil {
			w.Fatal(err)
		}
		_, err = h.Open(address, id, r.Number, r.Kind, r.Half)
		opens = append(opens, err == nil)
	}
	return opens
}

func lift(w *coretest.World, event attendees.EventID, id uuid.UUID) {
	w.Helper()
	opened := unsealed(w, event, id)
	w.In(event, func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Lift(ctx, tx, e, id, opened)
	})
}

func TestWhatIsCorrectedWhileRestrictedComesBackWhenItIsLifted(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("a", "1", "Ada Lnid", "ada@n.example"))
	id := w.Key("1", "a")
	correct(w, "1", id, attendees.Ticket, "Students", "ada@n.example")
	restrict(w, "1", id, attendees.RestrictionAsked)
	correct(w, "1", id, attendees.Name, "Ada Linden", "ada@n.example")
	correct(w, "1", id, attendees.Name, "Ada Lind", "ada@n.example")
	if got := opensFor(w, "1", id, "ada@n.example"); len(got) != 3 || !got[0] || !got[1] || !got[2] {
		t.Errorf("%v of three numbers open for her", got)
	}
	lift(w, "1", id)
	if a := w.Shown("1")["a/0"]; a.Name.Reveal() != "Ada Lind" || a.Ticket != "Students" {
		t.Error("a correction is lost")
	}
	if n := len(records(w, "1", id)); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

func TestACorrectedNameAndAddressMakeNoNewHolderWhileRestricted(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	ada := coretest.Ticket("a", "1", "Ada Lnid", "aad@n.example")
	w.Save(ada)
	id := w.Key("1", "a")
	correct(w, "1", id, attendees.Name, "Ada Lind", "ada@n.example")
	correct(w, "1", id, attendees.Email, "ada@n.example", "ada@n.example")
	restrict(w, "1", id, attendees.RestrictionAsked)
	if saved := w.Save(at(1, ada)); saved.HandedOver != 0 || len(w.Shown("1")) != 0 {
		t.Errorf("%+v: what its source has said all the time makes a new holder", saved)
	}
	if saved := w.Save(at(2, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example"))); saved.HandedOver != 1 {
		t.Errorf("%+v, want a new holder", saved)
	}
}

func TestAHalfIsMadeWhereTheAddressIsOnePersonsAlone(t *testing.T) {
	t.Parallel()
	cancelled := func(r attendees.Registration) attendees.Registration { r.Cancelled = true; return r }
	ada := coretest.Ticket("a", "1", "Ada Lind", "ada@n.example")
	erase := func(w *coretest.World) {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.People.Erase(ctx, tx, e, w.Key("1", "b"), "b")
			return err
		})
	}
	for _, c := range []struct {
		about string
		other attendees.Registration
		then  func(w *coretest.World)
		opens bool
	}{
		{"alone", coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"), nil, true},
		{"with a guest", coretest.Ticket("b", "1", "Bo Berg", "ada@n.example"), nil, false},
		{"with a second ticket of her own", coretest.Ticket("b", "1", "Ada Lind", "ada@n.example"), nil, false},
		{"with a ticket that she cancelled", cancelled(coretest.Ticket("b", "1", "ada  lind", "ada@n.example")), nil, true},
		{"with a guest who cancelled", cancelled(coretest.Ticket("b", "1", "Bo Berg", "ada@n.example")), nil, false},
		{"with a guest who has an address of his own by now", coretest.Ticket("b", "1", "Bo Berg", "ada@n.example"), func(w *coretest.World) {
			w.Save(at(1, coretest.Ticket("b", "1", "Bo Berg", "bo@n.example")))
		}, false},
		{"with a guest who was erased", coretest.Ticket("b", "1", "Bo Berg", "ada@n.example"), erase, false},
	} {
		w := coretest.New(t)
		w.Save(ada, c.other)
		if c.then != nil {
			c.then(w)
		}
		id := w.Key("1", "a")
		restrict(w, "1", id, attendees.RestrictionAsked)
		if got := opensFor(w, "1", id, "ada@n.example"); len(got) != 1 || got[0] != c.opens {
			t.Errorf("%s: it opens for her %v, want %v", c.about, got, c.opens)
		}
	}
}

func TestWhatADutyKeepsOfAnErasureIsSealedAndTheRestGone(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	r := yes("t", "a", "")
	r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
	w.Answer(r)
	id := w.Key("1", "a")
	restrict(w, "1", id, attendees.ErasureAsked)
	late := yes("u", "a", "")
	late.Answers["aff"] = attendees.Answer{"New Clinic"}
	w.Answer(late)
	all := bytes.Join(unsealed(w, "1", id), nil)
	for text, want := range map[string]bool{"Ada Lind": true, "2026-1": true, "Quill Clinic": false, "New Clinic": false} {
		if bytes.Contains(all, []byte(text)) != want {
			t.Errorf("sealed is %v of what no duty or a duty names, want %v", !want, want)
		}
	}
}

func TestBetweenHoldersInDoubtAResponseIsAClaim(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Save(at(20, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
	restrict(w, "1", w.Key("1", "a"), attendees.RestrictionAsked)
	w.Answer(yes("t", "a", ""), yes("u", "a", "ada@n.example")) // before the ticket was handed over
	if got := agreed(w, "1"); len(got) != 1 || !got["a/0"] || w.Tasks(events.TaskClaim) != 1 {
		t.Errorf("%v agreed, and %d tasks, want hers with the address alone, and staff to be asked about the other", got, w.Tasks(events.TaskClaim))
	}
	w.Now = w.Now.AddDate(0, 0, 3)
	after := yes("v", "a", "")
	after.Submitted = w.Now
	if w.Answer(after); len(records(w, "1", w.Key("1", "a"))) != 2 {
		t.Error("what was surely his is not sealed with the rest")
	}
}

// consent makes the forum rest on consent, which a link of an event asks for.
func consent(w *coretest.World, event attendees.EventID) {
	w.Helper()
	w.Policy.Purposes[1].Basis = "a"
	w.Policy.Purposes[1].Fields = []attendees.Field{attendees.Name, attendees.Email, attendees.Affiliation, attendees.Consented}
	w.Form.Questions = append(w.Form.Questions, attendees.Question{ID: "f7", Ref: "share"})
	err := w.Events.Forms.Link(w.Context(), event, w.Form, attendees.Forum, attendees.FieldLinks{
		{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "aff"}, {Purpose: attendees.Forum, Field: attendees.Consented, Question: "share"},
	})
	if err != nil {
		w.Fatal(err)
	}
}

func TestWithdrawnConsentIsLeftOutOfWhatComesLater(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	consent(w, "1")
	said := func(id string) attendees.Response {
		r := yes(id, "a", "")
		r.Answers["aff"], r.Answers["share"] = attendees.Answer{"Quill Clinic"}, attendees.Answer{"yes"}
		return r
	}
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Answer(said("t"))
	id := w.Key("1", "a")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Withdraw(ctx, tx, e, id, attendees.Forum)
	})
	for range 2 {
		if a := w.Shown("1")["a/0"]; a.Text(attendees.Affiliation) != "" || a.AgreedAt.IsZero() {
			t.Error("what rests on the consent is still there, or the agreement is not")
		}
		if saved := w.Answer(said("t"), said("u")); saved.Changed != 0 {
			t.Errorf("%+v: read again, something changes", saved)
		}
	}
	byAddress := said("v")
	byAddress.Attendee, byAddress.Answers["email"] = "", attendees.Answer{"ada@n.example"}
	w.Answer(byAddress)
	w.Event("2")
	w.Link("2")
	consent(w, "2")
	w.Save(at(1, coretest.Ticket("a", "2", "Ada Lind", "ada@n.example")))
	w.Answer(said("x"))
	for _, event := range []attendees.EventID{"1", "2"} {
		if w.Shown(event)["a/0"].Text(attendees.Affiliation) != "" {
			t.Errorf("event %s: what rests on the consent is there", event)
		}
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		if err := w.People.Withdraw(ctx, tx, e, id, attendees.ParticipationAgreement); err == nil {
			t.Error("a contract is withdrawn from like a consent")
		}
		return nil
	})
}

func TestUnderAHoldAWithdrawalAndCorrectionsLoseNothing(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	consent(w, "1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	r := yes("t", "a", "")
	r.Answers["aff"], r.Answers["share"] = attendees.Answer{"Quill Clinic"}, attendees.Answer{"yes"}
	w.Answer(r)
	id := w.Key("1", "a")
	hold := func(held bool) {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.People.Hold(ctx, tx, e, id, held) })
	}
	hold(true)
	correct(w, "1", id, attendees.Affiliation, "First Clinic", "")
	correct(w, "1", id, attendees.Affiliation, "Second Clinic", "")
	correct(w, "1", id, attendees.Ticket, "Students", "")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Withdraw(ctx, tx, e, id, attendees.Forum)
	})
	students := at(1, coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	students.Ticket = "Students" // as it was corrected: that has ended
	w.Save(students)
	if a := w.Shown("1")["a/0"]; a.Text(attendees.Affiliation) != "" || len(a.Corrected) > 0 {
		t.Error("under the hold what is withdrawn, or not corrected any more, is shown")
	}
	clinics := []string{"Quill Clinic", "First Clinic", "Second Clinic", `"General"`}
	for _, said := range clinics {
		if !strings.Contains(texts(w, "1"), said) {
			t.Errorf("under the hold %s left the layers", said)
		}
	}
	hold(false)
	if _, err := w.People.Renew(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	for _, said := range clinics {
		if strings.Contains(texts(w, "1"), said) {
			t.Errorf("after the hold %s is still in the layers", said)
		}
	}
	if n := count(w, `select count(*) from corrections`); n != 0 {
		t.Error("a correction that says nothing is left")
	}
}

func TestUnderAHoldWhatAFormFilledIsGoneOnceThatEnds(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	r := yes("t", "a", "")
	r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
	w.Answer(r)
	hold := func(held bool) {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			return w.People.Hold(ctx, tx, e, w.Key("1", "a"), held)
		})
	}
	hold(true)
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.Events.Forms.Unlink(ctx, tx, e, "f", "")
		return err
	})
	for _, held := range []bool{true, false} {
		hold(held)
		if _, err := w.People.Renew(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		if w.Shown("1")["a/0"].Text(attendees.Affiliation) != "" || strings.Contains(texts(w, "1"), "Quill") != held {
			t.Errorf("held %v: what the form filled is shown, or in the layers %v", held, !held)
		}
	}
	if n := count(w, `select count(*) from responses`); n != 0 {
		t.Errorf("%d responses of a form that is linked no more", n)
	}
}

func TestWhatAFormFilledIsGoneOnceItIsUnlinked(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	r := yes("t", "a", "")
	r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
	other := yes("u", "", "nobody@n.example")
	other.Answers["aff"] = r.Answers["aff"]
	w.Answer(r, other)
	unlink := func(purpose attendees.PurposeName) {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.Events.Forms.Unlink(ctx, tx, e, "f", purpose)
			return err
		})
		if _, err := w.People.Renew(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
	}
	unlink(attendees.Forum)
	if a := w.Shown("1")["a/0"]; a.Text(attendees.Affiliation) != "" || a.AgreedAt.IsZero() {
		t.Error("what the forum's link filled is still there, or the agreement is not")
	}
	if bytes.Contains(waiting(w, "1")[0].Layer.Text(), []byte("Quill")) {
		t.Error("it is still there in an unmatched response")
	}
	unlink("")
	if len(agreed(w, "1")) != 0 || len(waiting(w, "1")) != 0 {
		t.Error("responses of a form that is linked no more are still there")
	}
}

func TestAfterThePolicyIsNarrowedWhatItNamesNoMoreIsGone(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	for id, claims := range map[string]string{"t": "a", "u": ""} {
		r := yes(id, claims, "")
		r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
		w.Answer(r)
	}
	w.Policy.Purposes[1].Fields = []attendees.Field{attendees.Name, attendees.Email}
	if n, err := w.People.Renew(t.Context(), "1"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	texts := waiting(w, "1")[0].Layer.Text()
	err := w.Reader.Read(t.Context(), w.Pool, w.Stored("1"), 0, func(p reader.Person) error {
		for _, l := range p.Layers() {
			texts = append(texts, l.Text()...)
		}
		return nil
	})
	if err != nil || bytes.Contains(texts, []byte("Quill")) {
		t.Errorf("%v, and it is still there", err)
	}
}

func erase(w *coretest.World, event attendees.EventID, id attendees.AttendeeID) {
	w.Helper()
	w.In(event, func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, w.Key(event, id), id)
		return err
	})
}

func TestWhatNamesAnErasedTicketStaysOut(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"))
	claim := yes("t", "a", "ada@home.example")
	w.Answer(claim, yes("u", "a", ""))
	erase(w, "1", "a")
	if len(waiting(w, "1")) != 0 || w.Tasks(events.TaskClaim) != 0 {
		t.Error("what claimed to be hers is left")
	}
	if err := w.People.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(waiting(w, "2")) != 0 {
		t.Error("its copy is left in the other event")
	}
	saved := w.Answer(claim, yes("u", "a", ""), yes("v", "a", ""), yes("w", "a", "bo@n.example"))
	if len(waiting(w, "1"))+len(waiting(w, "2")) != 0 || saved.New != 1 || !agreed(w, "1")["b/0"] {
		t.Errorf("%+v, and %d and %d wait, want Bo's alone to be stored", saved, len(waiting(w, "1")), len(waiting(w, "2")))
	}
	w.Build(nil, coretest.Secret(8)+","+coretest.Secret(7)) // the bars were set under what is an older secret now
	w.Event("3")
	w.Link("3")
	if saved := w.Save(at(1, coretest.Ticket("a", "3", "Ada Lind", "ada@n.example"))); saved.Barred != 1 {
		t.Errorf("under a new secret: %+v", saved)
	}
	if w.Answer(yes("u", "", "ada@n.example")); len(waiting(w, "3")) != 0 {
		t.Error("under a new secret her response is stored")
	}
}

func TestAnErasureInOneEventLeavesWhatBelongsToAnother(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	w.Link("2")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Bo Berg", "bo@n.example"), coretest.Ticket("c", "2", "Ada Lind", "ada@n.example"))
	r := yes("t", "", "ada@n.example")
	w.Answer(r) // she attends both
	erase(w, "1", "a")
	r.Answers["aff"] = attendees.Answer{"Quill Clinic"}
	if w.Answer(r); w.Shown("2")["c/0"].Text(attendees.Affiliation) == "" {
		t.Error("what she answered is not read any more for her other ticket")
	}
	former := w.Key("1", "b")
	w.Save(at(1, coretest.Ticket("b", "2", "Bo Berg", "bo@n.example")))
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, former, "b~1")
		return err
	})
	if saved := w.Save(at(2, coretest.Ticket("b", "2", "Bo Berg-Lind", "bo@n.example"))); saved.Changed != 1 || len(w.Shown("1")) != 0 {
		t.Errorf("%+v: the erasure where he was keeps him out of where he is", saved)
	}
}

func TestNobodyInheritsWhatSomebodyGaveWhoIsErased(t *testing.T) {
	t.Parallel()
	for _, who := range []attendees.AttendeeID{"a~1", "a"} { // the former holder, and the present one
		w := coretest.New(t)
		w.Link("1")
		w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
		w.Save(at(10, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
		erase(w, "1", who)
		r := yes("t", "a", "")
		if who == "a" {
			r.Submitted = october.AddDate(0, 0, 12)
		}
		if w.Answer(r); len(agreed(w, "1")) != 0 || len(waiting(w, "1")) != 0 {
			t.Errorf("after the erasure of %s the other has its answer, or it waits", who)
		}
	}
}

func TestInAReopenedEventNobodyInheritsWhatAFormerHolderGave(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("b", "1", "Cy Holm", "cy@n.example"))
	w.Save(at(10, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
	bos := yes("u", "a", "")
	bos.Submitted = october.AddDate(0, 0, 60)
	hers := coretest.Response("t", "a", october, coretest.Answers{"aff": {"Quill Clinic"}})
	w.Answer(hers, bos, yes("c", "b", ""))
	block(w, "1")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.Events.Reopen(ctx, tx, e)
		return err
	})
	w.Save(at(10, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
	w.Answer(hers, bos)
	if a := w.Shown("1")["a/1"]; a.Text(attendees.Affiliation) != "" || a.AgreedAt.IsZero() {
		t.Error("what the former holder gave is the present one's, or his own is not")
	}
}

func TestAFormerHolderOfABlockedEventLeavesTheTicketUnbarred(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("a", "1", "Ada Lind", "ada@n.example"))
	w.Save(at(1, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example")))
	former := w.Key("1", "a~1")
	block(w, "1")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, former, "a~1")
		return err
	})
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.Events.Reopen(ctx, tx, e)
		return err
	})
	if saved := w.Save(at(2, coretest.Ticket("a", "1", "Bo Berg", "bo@n.example"))); saved.Changed != 1 || len(w.Shown("1")) != 1 {
		t.Errorf("%+v: the present holder is erased with the former one", saved)
	}
}

func TestABarForAllEventsKeepsATicketOutOfEach(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	h := w.Secrets.AllHashes()[0]
	err := db.InTx(t.Context(), w.Pool, func(tx db.Tx) error {
		return w.People.SetBar(t.Context(), tx, events.Event{}, erasedEverywhere(h.Registration("", string(attendees.Eventbrite), "a")))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"1", "2"} {
		if saved := w.Save(coretest.Ticket("a", event, "Ada Lind", "ada@n.example"), coretest.Ticket("b"+event, event, "Bo Berg", "bo@n.example")); saved.Barred != 1 || saved.New != 1 {
			t.Errorf("event %s: %+v", event, saved)
		}
	}
}

func erasedEverywhere(hash uuid.UUID) sheet.Bar { return sheet.Bar{Hash: hash, What: sheet.Erased} }

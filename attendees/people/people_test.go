package people_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

type world struct {
	testing.TB
	pool    *sqlx.DB
	policy  *attendees.Policy
	secrets *seal.Keyring
	officer seal.Officer
	events  *events.Store
	vault   *vault.Store
	people  *people.Store
	now     time.Time
	form    attendees.Form
}

func newWorld(t testing.TB) *world {
	policy := attendees.BuiltIn()
	w := &world{TB: t, pool: pgtest.Next(t), policy: &policy, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.secrets, err = seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))); err != nil {
		t.Fatal(err)
	}
	if w.officer, err = seal.NewOfficer(); err != nil {
		t.Fatal(err)
	}
	officers, err := seal.ParseOfficers(w.officer.Public())
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	w.events = events.New(w.pool, w.policy, w.secrets.Newest(), clock)
	w.vault = vault.New(w.pool, w.secrets, officers, true, clock)
	w.people = people.New(w.pool, w.events, w.vault, w.secrets, w.policy, clock)
	w.form = attendees.Form{ID: "f", Questions: []attendees.Question{
		{ID: "f1", Ref: "full_name"}, {ID: "f2", Ref: "email"}, {ID: "f3", Ref: "agree"}, {ID: "f4", Ref: "agreement_version"}, {ID: "f6", Ref: "aff"},
	}}
	w.event("1")
	return w
}

func (w *world) event(id attendees.EventID) {
	w.Helper()
	_, err := w.events.Save(w.Context(), attendees.Eventbrite, []attendees.Event{{ID: id, Organization: "900", Name: "Congress", End: w.now.AddDate(0, 1, 0), Zone: "UTC"}})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) link(event attendees.EventID) {
	w.Helper()
	for purpose, fields := range map[attendees.PurposeName]attendees.FieldLinks{
		attendees.ParticipationAgreement: {{Field: attendees.Agreed, Question: "agree"}, {Field: attendees.AgreementVersion, Question: "agreement_version"}, {Field: attendees.Email, Question: "email"}, {Field: attendees.Name, Question: "full_name"}},
		attendees.Forum:                  {{Field: attendees.Affiliation, Question: "aff"}},
	} {
		for i := range fields {
			fields[i].Purpose = purpose
		}
		if err := w.events.Link(w.Context(), event, w.form, purpose, fields); err != nil {
			w.Fatal(err)
		}
	}
}

// ticket is a registration as a source says it.
func ticket(id, event, name, email string) attendees.Registration {
	at := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	return attendees.Registration{
		ID: attendees.AttendeeID(id), Event: attendees.EventID(event), Name: attendees.Personal(name), Email: attendees.Personal(email),
		Ticket: "General", Created: at, Changed: at,
	}
}

func (w *world) save(all ...attendees.Registration) people.Saved {
	w.Helper()
	saved, err := w.try(all...)
	if err != nil {
		w.Fatal(err)
	}
	return saved
}

func (w *world) try(all ...attendees.Registration) (people.Saved, error) {
	links, err := w.events.Links(w.Context(), w.pool)
	if err != nil {
		w.Fatal(err)
	}
	b := people.Batch{Links: links}
	for _, r := range all {
		b.Registrations = append(b.Registrations, people.Incoming{Event: r.Event, Layer: w.policy.Minimise(r, events.FieldLinks(links, r.Event, attendees.EventbriteForm))})
	}
	return w.people.SaveRegistrations(w.Context(), b)
}

type answers = map[attendees.QuestionID]attendees.Answer

func response(id, attendee string, at time.Time, said answers) attendees.Response {
	return attendees.Response{Form: "f", ID: attendees.ResponseID(id), Attendee: attendees.AttendeeID(attendee), Submitted: at, Answers: said}
}

func (w *world) answer(all ...attendees.Response) people.Saved {
	w.Helper()
	saved, err := w.tryAnswer(all...)
	if err != nil {
		w.Fatal(err)
	}
	return saved
}

func (w *world) tryAnswer(all ...attendees.Response) (people.Saved, error) {
	links, err := w.events.Links(w.Context(), w.pool)
	if err != nil {
		w.Fatal(err)
	}
	r := people.Reading{Form: "f", Links: links, Layers: map[attendees.EventID][]attendees.Layer{}}
	for _, l := range links {
		if _, done := r.Layers[l.Event]; done {
			continue
		}
		for _, one := range all {
			r.Layers[l.Event] = append(r.Layers[l.Event], w.policy.MinimiseResponse(one, events.FieldLinks(links, l.Event, "f")))
		}
	}
	return w.people.SaveResponses(w.Context(), r)
}

func (w *world) stored(id attendees.EventID) events.Event {
	w.Helper()
	e, err := w.events.Get(w.Context(), w.pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// shown is what is shown of an event's people, by id and holder.
func (w *world) shown(event attendees.EventID) map[string]attendees.Attendee {
	w.Helper()
	all := map[string]attendees.Attendee{}
	err := w.people.Read(w.Context(), w.pool, w.stored(event), 0, func(p people.Person) error {
		a := p.Merged(w.policy)
		if p.State == attendees.Open {
			if p.Agreed != (p.CountsAsAgreed || !a.AgreedAt.IsZero()) || p.Standing != a.Standing {
				w.Errorf("the columns of %s do not say what its layers do", a.ID)
			}
			all[fmt.Sprintf("%s/%d", a.ID, a.Holder)] = a
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func (w *world) key(event attendees.EventID, id attendees.AttendeeID) uuid.UUID {
	w.Helper()
	_, key, err := w.people.Find(w.Context(), w.pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return key
}

func (w *world) in(event attendees.EventID, do func(ctx context.Context, tx db.Tx, e events.Event) error) {
	w.Helper()
	err := db.InTx(w.Context(), w.pool, func(tx db.Tx) error {
		e, err := w.events.WriteOne(w.Context(), tx, event)
		if err != nil {
			return err
		}
		return do(w.Context(), tx, e)
	})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) tasks(kind events.TaskKind) (n int) {
	w.Helper()
	all, err := w.events.Tasks(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, t := range all {
		if t.Kind == kind {
			n++
		}
	}
	return n
}

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

func TestWhatIsReadAgainUnchangedIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if saved := w.save(ticket("1", "1", "Ada Lind", "ada@n.example"), ticket("2", "1", "Bo Berg", "bo@n.example")); saved.New != 2 {
		t.Errorf("%+v, want 2 new", saved)
	}
	if saved := w.save(ticket("1", "1", "Ada Lind", "ada@n.example"), ticket("2", "1", "Bo Berg-Lind", "bo@n.example")); saved.Same != 1 || saved.Changed != 1 {
		t.Errorf("%+v, want 1 the same and 1 changed", saved)
	}
	if got := w.shown("1")["2/0"].Name.Reveal(); got != "Bo Berg-Lind" {
		t.Error("the new name is not shown")
	}
}

// cases/01 and 02.
func TestNoReadingTakesAnAgreementAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	var tickets []attendees.Registration
	var yes, nothing []attendees.Response
	for i := range 5 {
		id := fmt.Sprint(i + 1)
		tickets = append(tickets, ticket(id, "1", "P "+id, "p"+id+"@n.example"))
		yes = append(yes, response("t"+id, id, october, answers{"agree": {"true"}}))
		nothing = append(nothing, response("t"+id, id, october, nil))
	}
	w.save(tickets...)
	w.answer(yes...)
	if saved := w.answer(nothing[:3]...); saved.Unsaid != 3 {
		t.Errorf("%d readings would have taken a yes away, want 3", saved.Unsaid)
	}
	unsaid := (*people.UnsaidError)(nil)
	if _, err := w.tryAnswer(nothing...); !errors.As(err, &unsaid) || w.tasks(events.TaskUnsaid) != 1 {
		t.Errorf("five of five: %v, and %d tasks, want it to stop and ask", err, w.tasks(events.TaskUnsaid))
	}
	cancelled := tickets[0]
	cancelled.Cancelled = true
	w.save(cancelled)
	w.save(tickets[0])
	for id, a := range w.shown("1") {
		if a.AgreedAt.IsZero() {
			t.Errorf("attendee %s has not agreed any more", id)
		}
	}
}

// cases/03.
func TestAHandedOverTicketLeavesWhatWasAnsweredWithItsFormerHolder(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		w := newWorld(t)
		w.link("1")
		hers := response("tokmara", "5001", october, answers{"full_name": {"Mara Quill"}, "email": {"mara@quill.example"}, "agree": {"true"}, "aff": {"Quill Clinic"}})
		w.save(ticket("5001", "1", "Mara Quill", "mara@quill.example"))
		if !late {
			w.answer(hers)
		}
		tibor := ticket("5001", "1", "Tibor Lasker", "tibor@lasker.example")
		tibor.Changed = october.AddDate(0, 0, 10)
		if saved := w.save(tibor); saved.HandedOver != 1 {
			t.Fatalf("%+v, want 1 handed over", saved)
		}
		if late {
			w.answer(hers)
		}
		shown := w.shown("1")
		mara, now := shown["5001/0"], shown["5001/1"]
		if mara.Standing != attendees.Gone || mara.AgreedAt.IsZero() || mara.Text(attendees.Affiliation) != "Quill Clinic" {
			t.Errorf("late %v: the former holder is %s, agreed %v", late, mara.Standing, !mara.AgreedAt.IsZero())
		}
		if now.Standing != attendees.Attending || !now.AgreedAt.IsZero() || now.Text(attendees.Affiliation) != "" || now.Name.Reveal() != "Tibor Lasker" {
			t.Errorf("late %v: the new holder is %s, agreed %v", late, now.Standing, !now.AgreedAt.IsZero())
		}
		w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.people.Erase(ctx, tx, e, w.key("1", "5001~1"))
			return err
		})
		w.save(tibor)
		if saved := w.answer(hers); saved.Barred != 1 {
			t.Errorf("the erased response is stored again: %+v", saved)
		}
		if shown := w.shown("1"); len(shown) != 1 || shown["5001/1"].Name.Reveal() != "Tibor Lasker" {
			t.Errorf("after the former holder's erasure %d attendees are shown, want the new holder", len(shown))
		}
	}
}

// cases/04.
func TestAnAgreementComesAlongToAnotherEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.event("2")
	w.link("1")
	w.link("2")
	w.save(ticket("1", "1", "Dora Lenz", "dora@lenz.example"))
	w.answer(response("t1", "1", october, answers{"agree": {"true"}, "email": {"dora@lenz.example"}}))
	moved := ticket("1", "2", "Dora Lenz", "dora@lenz.example")
	moved.Changed = october.AddDate(0, 0, 1)
	if saved := w.save(moved); saved.Moved != 1 {
		t.Errorf("%+v, want 1 moved", saved)
	}
	if a := w.shown("2")["1/0"]; a.AgreedAt.IsZero() || a.Standing != attendees.Attending {
		t.Errorf("in event 2 she is %s, agreed %v", a.Standing, !a.AgreedAt.IsZero())
	}
	if a := w.shown("1")["1/0"]; a.Standing != attendees.Gone || !a.AgreedAt.IsZero() {
		t.Errorf("in event 1 she is %s, agreed %v, want gone", a.Standing, !a.AgreedAt.IsZero())
	}
	if saved := w.answer(response("t1", "1", october, answers{"agree": {"true"}, "email": {"dora@lenz.example"}})); saved.New != 0 && saved.Unmatched != 0 {
		t.Errorf("read again: %+v", saved)
	}
	if a := w.shown("2")["1/0"]; a.AgreedAt.IsZero() {
		t.Error("after another reading the agreement is gone")
	}
}

// cases/06.
func TestOneAttendingCandidateIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	cancelled := ticket("6001", "1", "Ines Walden", "ines@walden.example")
	cancelled.Cancelled = true
	w.save(cancelled, ticket("6002", "1", "Ines Walden", "ines@walden.example"))
	w.answer(response("tokines", "", october, answers{"email": {"ines@walden.example"}, "agree": {"true"}}))
	if a := w.shown("1")["6002/0"]; a.AgreedAt.IsZero() {
		t.Error("the second ticket has not agreed")
	}
}

// cases/10: one address has one spelling.
func TestInvisibleLettersDoNotKeepAResponseFromItsAttendee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	w.save(ticket("103", "1", "Zed", "zed@zero.example\u200b"), ticket("111", "1", "Idn", "k@BÜRO.example"))
	w.answer(response("a", "", october, answers{"email": {"zed@zero.example"}, "agree": {"true"}}), response("b", "", october, answers{"email": {"k@xn--bro-hoa.example"}, "agree": {"true"}}))
	for id, a := range w.shown("1") {
		if a.AgreedAt.IsZero() {
			t.Errorf("attendee %s has not agreed", id)
		}
	}
}

// cases/13, and FAULTS C10.
func TestAnotherAddressIsOnlyAClaimUntilStaffMatchIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	w.save(ticket("1", "1", "Vera Nyman", "vera@work.example"), ticket("2", "1", "Bo Berg", "bo@n.example"))
	w.answer(response("t1", "1", october, answers{"full_name": {"Vera Nyman"}, "email": {"vera@home.example"}, "agree": {"true"}}),
		response("t2", "1", october, answers{"email": {"bo@n.example"}, "agree": {"true"}}))
	if a := w.shown("1")["1/0"]; !a.AgreedAt.IsZero() || a.Email.Reveal() != "vera@work.example" {
		t.Error("a claim changes what is shown of the attendee")
	}
	if a := w.shown("1")["2/0"]; a.AgreedAt.IsZero() {
		t.Error("a hidden id with the address of exactly one other attendee is not that attendee's")
	}
	if w.tasks(events.TaskClaim) != 1 {
		t.Errorf("%d tasks, want 1", w.tasks(events.TaskClaim))
	}
	var claim people.Response
	if err := w.people.ReadUnmatched(t.Context(), w.pool, w.stored("1"), 0, func(r people.Response) error { claim = r; return nil }); err != nil {
		t.Fatal(err)
	}
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.Match(ctx, tx, e, claim.ID, w.key("1", "1"))
	})
	if a := w.shown("1")["1/0"]; a.AgreedAt.IsZero() || w.tasks(events.TaskClaim) != 0 {
		t.Error("staff matched it, and it does not count")
	}
}

func TestAResponseFindsItsAttendeeWhoComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	w.answer(response("t1", "1", october, answers{"agree": {"true"}, "email": {"ada@n.example"}}), response("t2", "", october, answers{"agree": {"true"}, "email": {"bo@n.example"}}))
	w.save(ticket("1", "1", "Ada Lind", "ada@n.example"), ticket("2", "1", "Bo Berg", "bo@n.example"))
	for id, a := range w.shown("1") {
		if a.AgreedAt.IsZero() {
			t.Errorf("attendee %s has not agreed", id)
		}
	}
}

func TestAnErasedRegistrationStaysOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.people.Erase(ctx, tx, e, w.key("1", "1"))
		return err
	})
	again := ticket("1", "1", "Eda Lund", "eda@n.example")
	again.Changed = w.now.AddDate(0, 0, 2)
	if saved := w.save(again); saved.Barred != 1 || len(w.shown("1")) != 0 {
		t.Errorf("%+v, and %d are shown", saved, len(w.shown("1")))
	}
	if w.tasks(events.TaskErased) != 1 {
		t.Error("it changed upstream after it was erased, and staff are not asked")
	}
}

func TestARestrictedAttendeeIsSealedUntilItIsLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.link("1")
	ada := ticket("1", "1", "Ada Lind", "ada@n.example")
	w.save(ada)
	w.answer(response("t1", "1", october, answers{"agree": {"true"}, "aff": {"Quill Clinic"}}))
	key := w.key("1", "1")
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.Restrict(ctx, tx, e, key, attendees.RestrictionAsked)
	})
	w.save(ada)
	w.answer(response("t1", "1", october, answers{"agree": {"true"}, "aff": {"Quill Clinic"}}), response("t2", "1", october.AddDate(0, 0, 1), answers{"aff": {"New Clinic"}}))
	if len(w.shown("1")) != 0 {
		t.Error("a restricted attendee is shown")
	}
	e := w.stored("1")
	records, err := w.people.Records(t.Context(), w.pool, e, key)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v, want 2: what came later is one number more", len(records), err)
	}
	var opened [][]byte
	opener, err := w.vault.OpenAs(t.Context(), w.pool, w.officer, people.Ref(e))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		halves, err := w.vault.Halves(t.Context(), w.pool, people.Ref(e), vault.KeyOf(r.Kind), r.Generation)
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
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.Lift(ctx, tx, e, key, opened)
	})
	a := w.shown("1")["1/0"]
	if a.Name.Reveal() != "Ada Lind" || a.AgreedAt.IsZero() || a.Text(attendees.Affiliation) != "New Clinic" {
		t.Errorf("lifted, she agreed %v", !a.AgreedAt.IsZero())
	}
}

func TestARestrictedTicketThatIsHandedOverHasANewHolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.Restrict(ctx, tx, e, w.key("1", "1"), attendees.RestrictionAsked)
	})
	w.save(ticket("1", "1", "Ada Lind-Berg", "ada@n.example"))
	if len(w.shown("1")) != 0 {
		t.Error("another name alone shows a restricted attendee")
	}
	w.save(ticket("1", "1", "Bo Berg", "bo@n.example"))
	if a := w.shown("1")["1/1"]; a.Name.Reveal() != "Bo Berg" {
		t.Error("the new holder is not shown")
	}
}

func TestMoreThanAHandfulIsNotBelievedToBeGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []attendees.Registration
	for i := range 10 {
		all = append(all, ticket(fmt.Sprint(i), "1", fmt.Sprintf("P %d", i), fmt.Sprintf("p%d@n.example", i)))
	}
	w.save(all...)
	gone := func(named int) ([]attendees.AttendeeID, int) {
		l, err := w.people.NewListing(w.stored("1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range named {
			l.Saw(attendees.AttendeeID(fmt.Sprint(i)))
		}
		missing, of, err := w.people.Missing(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return missing, of
	}
	ids, of := gone(5)
	if n, err := w.people.Gone(t.Context(), "1", ids, of, false); n != 0 || err != nil || w.tasks(events.TaskGone) != 1 {
		t.Errorf("%d are gone, %v, want staff to be asked", n, err)
	}
	ids, of = gone(8)
	slices.Sort(ids)
	if n, err := w.people.Gone(t.Context(), "1", ids, of, false); n != 2 || err != nil || w.tasks(events.TaskGone) != 0 {
		t.Errorf("%d are gone, %v, want 2", n, err)
	}
	if a := w.shown("1")["9/0"]; a.Standing != attendees.Gone {
		t.Errorf("attendee 9 is %s", a.Standing)
	}
}

func TestUnderAHoldNothingLeavesALayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.SetBar(ctx, tx, e, people.Bar{Hash: w.key("1", "1"), What: people.BarHeld})
	})
	w.save(ticket("1", "1", "Ada Lind-Berg", "ada@n.example"))
	text := func() (all string) {
		_ = w.people.Read(t.Context(), w.pool, w.stored("1"), 0, func(p people.Person) error { all += string(p.Registration.Text()); return nil })
		return all
	}
	if !bytes.Contains([]byte(text()), []byte("Ada Lind\"")) {
		t.Error("the earlier name left the layer")
	}
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.people.LiftBar(ctx, tx, e, w.key("1", "1"), people.BarHeld)
	})
	if _, err := w.people.Renew(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains([]byte(text()), []byte("Ada Lind\"")) {
		t.Error("after the hold the earlier name is still there")
	}
}

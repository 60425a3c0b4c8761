package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// old is an event that was past its block date, 2027-05-01, when it was first seen in June.
const old = attendees.EventID("4700")

func newOldWorld(t *testing.T) world {
	t.Helper()
	w := newWorld(t)
	end := time.Date(2027, 4, 1, 16, 0, 0, 0, time.UTC)
	e := attendees.Event{ID: old, Organization: "900", Name: "Example Days", Status: "completed", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end}
	if _, err := w.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAnEventThatIsNeverPulledIsNotedWithItsTask(t *testing.T) {
	w := newWorld(t)
	end := time.Date(2019, 4, 1, 16, 0, 0, 0, time.UTC)
	events := []attendees.Event{{ID: "4699", Organization: "900", Name: "Example Days", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end}}
	// What is cut off behind the event is begun again with both, or the task is lost.
	if _, err := w.DB().Exec(`alter table tasks rename to elsewhere`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.SaveEvents(t.Context(), attendees.Eventbrite, events); err == nil {
		t.Fatal("it was noted without its task")
	}
	if _, err := w.DB().Exec(`alter table elsewhere rename to tasks`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.SaveEvents(t.Context(), attendees.Eventbrite, events); err != nil {
			t.Fatal(err)
		}
	}
	if task := w.task(); task.Event != "4699" || task.Times != 1 || !strings.HasPrefix(task.Says, "Delete the people of event 4699 at Eventbrite too") {
		t.Errorf("the task is %+v", task)
	}
}

func (w world) look(id attendees.EventID) postgres.Event {
	w.t.Helper()
	e, err := w.Event(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// sealed lets a page of the old event's own listing come.
func (w world) sealed(s *seal.Sealer, regs ...attendees.Registration) postgres.Changes {
	w.t.Helper()
	return w.sealedIn(old, s, regs...)
}

func (w world) sealedIn(id attendees.EventID, s *seal.Sealer, regs ...attendees.Registration) postgres.Changes {
	w.t.Helper()
	if _, err := w.BeginHistory(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	var batch []attendees.Minimised
	for _, r := range regs {
		batch = append(batch, w.Policy().Minimise(r, nil))
	}
	var n postgres.Changes
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) (err error) {
		n, err = w.SealRegistrations(w.t.Context(), tx, s, attendees.Eventbrite, id, batch)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// read notes that the old event's own listing has run dry.
func (w world) read() {
	w.t.Helper()
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) error { return w.MarkHistoryRead(w.t.Context(), tx, w.look(old)) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// oldAnswers lets a page of the form come, for the old event and others that it is linked to.
func (w world) oldAnswers(s *seal.Sealer, others []attendees.EventID, responses ...attendees.Response) postgres.AnswerChanges {
	w.t.Helper()
	batch := map[attendees.EventID][]attendees.MinimisedResponse{}
	for _, id := range append(others, old) {
		for _, r := range responses {
			batch[id] = append(batch[id], w.Policy().MinimiseResponse(r, formLinks))
		}
	}
	var n postgres.AnswerChanges
	err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) (err error) {
		if n, err = w.SealResponses(w.t.Context(), tx, s, batch); err != nil {
			return err
		}
		_, err = w.SaveResponses(w.t.Context(), tx, batch)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// dry notes that the form was read to its end.
func (w world) dry() {
	w.t.Helper()
	f, err := w.Feed(w.t.Context(), postgres.FormFeed("u6nXL7"))
	if err == nil {
		f.Watermark = &w.clock.now
		err = w.InTx(w.t.Context(), func(tx *sqlx.Tx) error { _, err := w.SaveFeed(w.t.Context(), tx, f); return err })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// comesWhole lets the old event's listing come, and its form, each to its end.
func (w world) comesWhole(s *seal.Sealer, people []attendees.Registration, answers ...attendees.Response) {
	w.t.Helper()
	w.sealed(s, people...)
	w.read()
	w.oldAnswers(s, nil, answers...)
	w.dry()
}

func (w world) link(id attendees.EventID) error {
	return w.SaveLink(w.t.Context(), w.look(id), postgres.Link{Event: id, Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}})
}

func (w world) linkOld() {
	w.t.Helper()
	if err := w.link(old); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnEventOfLongAgoIsSealedAsItComesAndIsNeverReadable(t *testing.T) {
	w := newOldWorld(t)
	const name, address = "Zephyrine Quillington", "zephyrine.quillington@example.org"
	o := officer(t)
	s := sealer(t, o)
	w.linkOld()
	nowhere := func(when string) {
		t.Helper()
		for _, text := range []string{"Quillington", address} { // of her name, and of her laboratory
			if files := w.found(text); len(files) > 0 {
				t.Errorf("%s, %v hold it", when, files)
			}
		}
		if n := w.count(`select count(*) from personal`) + w.count(`select count(*) from pg_class where relname like 'personal\_%' and relname like '%' || (select replace(id::text, '-', '') from events where source_id = '4700')`); n > 0 {
			t.Errorf("%s, the event has %d readable rows and rooms", when, n)
		}
	}
	hers := person("1", string(old), name, address)
	equal(t, "by the organisation's listing", w.save(hers)[old], postgres.Changes{Late: 1})
	equal(t, "first page", w.sealed(s, hers, person("2", string(old), "Bo Example", "bo@example.org")), postgres.Changes{New: 2})
	nowhere("while registrations come")
	equal(t, "a sweep before they are all here", w.block(old, s), postgres.Blocking{Coming: true})
	equal(t, "by the organisation's listing", w.save(hers)[old], postgres.Changes{Late: 1})

	lab := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quillington Lab"}}
	answers := []attendees.Response{
		response("r1", "1", name, "elsewhere@example.org", lab), response("r2", "", "", "bo@example.org", nil), response("r3", "", name, "nobody@example.net", lab),
	}
	equal(t, "answers before the registrations are all here", w.oldAnswers(s, nil, answers...), postgres.AnswerChanges{})
	w.read()
	equal(t, "a sweep before the form is read", w.block(old, s), postgres.Blocking{Coming: true})
	equal(t, "answers", w.oldAnswers(s, nil, answers...), postgres.AnswerChanges{New: 2})
	equal(t, "answers again", w.oldAnswers(s, nil, answers...), postgres.AnswerChanges{Unchanged: 2})
	w.dry()
	equal(t, "due", must(w.DueToBlock(t.Context()))(t), []attendees.EventID{old})
	equal(t, "the end", w.block(old, s), postgres.Blocking{Sealed: 2})

	records := w.opened(old, o)
	if len(records) != 4 || records["1 registration"]["name"] != name || records["1 response:u6nXL7:r1"]["name"] != name ||
		records["2 response:u6nXL7:r2"]["email"] != "bo@example.org" {
		t.Errorf("the officer opens %v", records)
	}
	for what, fields := range records {
		if fields["affiliation"] != nil || strings.Contains(what, "response") == (fields["status"] != nil) {
			t.Errorf("%s has %v", what, fields)
		}
	}
	var half struct {
		Person []byte `db:"person"`
		Key    string `db:"person_key"`
	}
	if err := w.DB().Get(&half, `select person, person_key from sealed where part = 'response:u6nXL7:r2'`); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring(t).OpenPerson(half.Person, half.Key, string(old), "2", "response:u6nXL7:r2", "bo@example.org"); err != nil {
		t.Errorf("she cannot open what she answered: %v", err)
	}
	if n := w.count(`select count(*) from sealed where part = 'response:u6nXL7:r1' and person is not null`); n > 0 {
		t.Error("an answer opens for an address that is not its person's")
	}
	// What she answered stands nowhere else, so her address opens it; another's does not.
	w.lines("she sees", w.seen("bo@example.org"), "4700 2 blocked name=Bo Example email=bo@example.org ticket=Standard status=attending attended=no agreed_at=2027-05-29T12:00:00Z")
	w.lines("and another, for whom somebody answered from elsewhere", w.seen(address), "4700 1 blocked closed")
	w.lines("who answered from elsewhere", w.seen("elsewhere@example.org"))
	equal(t, "late registrations", w.sealed(s, person("3", string(old), name, address)), postgres.Changes{Late: 1})
	equal(t, "late answers", w.oldAnswers(s, nil, response("r4", "1", name, "", nil)), postgres.AnswerChanges{})
	nowhere("at the end")
	if n := w.count(`select count(*) from sealed where agreed is not null`) + w.count(`select count(*) from tallies`); n > 0 {
		t.Errorf("%d traces are left of who agreed, and of counts under 5", n)
	}
	if err := w.link(old); err == nil || !strings.Contains(err.Error(), "nothing more of it comes in") {
		t.Errorf("linking a form to it afterwards: %v", err)
	}
	if n := w.count(`select count(*) from ledger_entries where leaf like '%"as_it_came":2%'`); n != 1 {
		t.Errorf("%d entries say that it was sealed as it came", n)
	}
	w.clock.now = later
	if n, err := w.Delete(t.Context(), old); err != nil || n != 2 {
		t.Errorf("%d were deleted (%v), want 2", n, err)
	}
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.Blocked, ledger.Unsealed, ledger.Deleted})
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestOfAnEventSealedAsItCameTheUnagreedGoUnlessTooManyAre(t *testing.T) {
	for agreed, want := range map[int]postgres.Blocking{
		6: {Sealed: 6, Dropped: 4},
		4: {Sealed: 10, Doubted: true},
	} {
		w := newOldWorld(t)
		o := officer(t)
		s := sealer(t, o)
		w.linkOld()
		var answers []attendees.Response
		for i := range 10 {
			id := fmt.Sprint(i)
			w.sealed(s, person(id, string(old), "Person "+id, id+"@example.org"))
			said := "no"
			if i < agreed {
				said = "yes"
			}
			answers = append(answers, response("n"+id, id, "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"no"}}),
				response("r"+id, id, "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {attendees.Personal(said)}}))
		}
		w.read()
		w.oldAnswers(s, nil, answers...)
		w.dry()
		equal(t, fmt.Sprint(agreed, " of 10 agreed"), w.block(old, s), want)
		if n := w.count(`select count(*) from attendees`); n != want.Sealed {
			t.Errorf("%d attendees are kept, want %d", n, want.Sealed)
		}
		if n := w.count(`select people from tallies where what = 'registered'`); n != 10 {
			t.Errorf("%d registered, as is counted, want 10", n)
		}
		if n := w.count(`select coalesce(sum(people), 0) from tallies where what = 'agreed'`); n != agreed && agreed > 4 {
			t.Errorf("%d agreed, as is counted, want %d", n, agreed)
		}
		if want.Doubted {
			n, err := w.AnswerDoubt(t.Context(), old, true, "the form was right", "ops")
			if err != nil || n != 6 || w.count(`select count(*) from attendees`) != 4 {
				t.Errorf("the answer dropped %d (%v), want 6", n, err)
			}
		}
		for what := range w.opened(old, o) {
			if who := what[0] - '0'; int(who) >= agreed {
				t.Errorf("%s is still there", what)
			}
		}
		if n := w.count(`select count(*) from sealed where agreed is not null`); n > 0 {
			t.Errorf("%d rows still tell who agreed", n)
		}
	}
}

func TestUnderAHoldAnEventOfLongAgoIsSealedWhole(t *testing.T) {
	w := newOldWorld(t)
	o := officer(t)
	s := sealer(t, o)
	w.linkOld()
	hold, err := w.AddHold(t.Context(), old, "", "open claim", "ops", attendees.Date{})
	if err != nil {
		t.Fatal(err)
	}
	w.sealed(s, person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org"))
	w.read()
	lab := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}}
	w.oldAnswers(s, nil, response("r1", "1", "", "", lab), response("r2", "", "Nobody Known", "nobody@example.net", lab))
	w.dry()
	equal(t, "the end", w.block(old, s), postgres.Blocking{Sealed: 3})
	records := w.opened(old, o)
	if records["1 held:u6nXL7:r1"]["affiliation"] != "Example Lab" || records["r2 response:u6nXL7"]["name"] != "Nobody Known" ||
		records["r2 held:u6nXL7"]["affiliation"] != "Example Lab" || records["2 registration"] == nil {
		t.Errorf("under a hold these were sealed: %v", records)
	}
	if err := w.ReleaseHold(t.Context(), hold.ID); err != nil {
		t.Fatal(err)
	}
	must(w.Tidy(t.Context()))(t)
	records = w.opened(old, o)
	if len(records) != 2 || records["1 registration"] == nil || records["1 response:u6nXL7:r1"] == nil {
		t.Errorf("after the release these are left: %v; want her who agreed, and that she did", records)
	}
}

func TestALaterOneOfAGroupOrderClosesTheEarliersHalf(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	w.sealed(s, person("1", string(old), "Ada Example", "group@example.org"), person("2", string(old), "Bo Example", "bo@example.org"))
	halves := func() int { return w.count(`select count(person) from sealed`) }
	equal(t, "at first", halves(), 2)
	w.sealed(s, person("3", string(old), "Cy Example", "group@example.org"))
	equal(t, "with another of the same address", halves(), 1)
	equal(t, "rooms to write anew", w.count(`select count(*) from rewrites where room = 'sealed'`), 1)
}

func TestCountsOfAnEventSealedAsItCameAreRightHoweverOftenAPageComes(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	var people []attendees.Registration
	for i := range 12 {
		p := person(fmt.Sprint(i), string(old), "Person", fmt.Sprint(i, "@example.org"))
		p.Attended = i < 7
		if i < 3 {
			p.Ticket = "Rare"
		}
		people = append(people, p)
	}
	w.sealed(s, people[:8]...)
	w.sealed(s, people[:8]...)
	changed := people[2]
	changed.Changed = june
	equal(t, "again, with a change", w.sealed(s, append(slices.Clone(people), changed)...), postgres.Changes{New: 4, Changed: 1, Unchanged: 7})
	equal(t, "an older version", w.sealed(s, people[2]), postgres.Changes{Unchanged: 1})
	w.read()
	equal(t, "the end", w.block(old, s), postgres.Blocking{Sealed: 12})
	var counts []string
	if err := w.DB().Select(&counts, `select what || ' ' || people from tallies order by 1`); err != nil {
		t.Fatal(err)
	}
	equal(t, "counts", counts, []string{"attended 7", "registered 12"}) // nine of one kind of ticket would tell the three of the other
}

func TestWhoMovesFromAnOpenEventToOneOfLongAgoIsSealedThereAndLeavesNoTrace(t *testing.T) {
	w := newOldWorld(t)
	const name = "Perpetua Vanderquill"
	o := officer(t)
	s := sealer(t, o)
	hers := person("1", "4711", name, "perpetua.vanderquill@example.org")
	w.save(hers, person("2", "4711", "Bo Example", "bo@example.org"))
	hers.Event, hers.Changed = old, june
	equal(t, "by the organisation's listing", w.save(hers)[old], postgres.Changes{Late: 1})
	equal(t, "by the event's own", w.sealed(s, hers), postgres.Changes{New: 1})
	equal(t, "listed", w.list("4711", attendees.Forum, postgres.AnyStatus), []string{"2 Bo Example <bo@example.org> attending"})
	must(w.Tidy(t.Context()))(t)
	if files := w.found(name); len(files) > 0 {
		t.Errorf("after the sweep, %v hold the name", files)
	}
	w.read()
	w.block(old, s)
	if records := w.opened(old, o); records["1 registration"]["name"] != name {
		t.Errorf("sealed are %v", records)
	}
}

func TestWhoIsForgottenStaysOutOfAnEventSealedAsItComes(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	w.linkOld()
	one, two := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org")
	w.sealed(s, one, two)
	w.read()
	answer := response("r1", "", "Ada Example", "ada@example.org", nil)
	w.oldAnswers(s, nil, answer, response("r2", "2", "", "", nil))
	must(w.Forget(t.Context(), "1", "asked for it"))(t)
	equal(t, "pulled again", w.sealed(s, one), postgres.Changes{Late: 1})
	equal(t, "answered again", w.oldAnswers(s, []attendees.EventID{"4711"}, answer), postgres.AnswerChanges{Late: 1})
	w.dry()
	equal(t, "the end", w.block(old, s), postgres.Blocking{Sealed: 1})
	if n := w.count(`select count(*) from sealed s join attendees a on a.id = s.attendee_id where a.source_id <> '2'`) + w.count(`select count(*) from personal`); n > 0 {
		t.Errorf("%d rows are hers", n)
	}
}

func TestAnAnswerFromLongAgoIsNotReadableInAnotherEventOfItsForm(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	const name = "Perpetua Vanderquill"
	w.save(person("9", "4711", "Di Example", "di@example.org"))
	answers := []attendees.Response{
		response("r1", "1", name, "", nil), response("r2", "", name, "perpetua@example.org", nil),
		response("r3", "", "Di Example", "di@example.org", nil), response("r4", "", "Nobody Known", "nobody@example.net", nil),
	}
	w.answer("4711", answers...) // before the officer's key was there
	equal(t, "nobody's in the open event", must(w.Unmatched(t.Context(), w.look("4711")))(t), 3)
	w.sealed(s, person("1", string(old), name, "perpetua@example.org"), person("2", string(old), "Di Example", "di@example.org"))
	w.read()
	w.oldAnswers(s, []attendees.EventID{"4711"}, answers...)
	equal(t, "nobody's in the open event", must(w.Unmatched(t.Context(), w.look("4711")))(t), 1)
	equal(t, "hers who is in both", w.count(`select count(*) from sealed where part = 'response:u6nXL7:r3'`), 1)
	must(w.Tidy(t.Context()))(t)
	if files := w.found(name); len(files) > 0 {
		t.Errorf("%v hold the name", files)
	}
}

func TestAnEventOfLongAgoThatNeverRunsDryIsDeletedOnItsDay(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	w.linkOld()
	w.sealed(s, person("1", string(old), "Ada Example", "ada@example.org"))
	w.read()
	if due := must(w.DueToBlock(t.Context()))(t); len(due) > 0 {
		t.Errorf("due to be blocked before: %v", due)
	}
	w.clock.now = later
	equal(t, "late", w.sealed(s, person("2", string(old), "Bo Example", "bo@example.org")), postgres.Changes{Late: 1})
	if _, err := w.Delete(t.Context(), old); err == nil {
		t.Error("it is deleted before it is blocked")
	}
	for _, id := range must(w.DueToBlock(t.Context()))(t) {
		w.block(id, s)
	}
	if n, err := w.Delete(t.Context(), old); err != nil || n != 1 {
		t.Errorf("%d were deleted (%v), want 1", n, err)
	}
}

func TestAnEventPostponedBeforeItsPeopleCameIsAnOpenOne(t *testing.T) {
	w := newOldWorld(t)
	end := time.Date(2027, 4, 29, 16, 0, 0, 0, time.UTC)
	e := attendees.Event{ID: old, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end.AddDate(0, 0, 10)}
	e.End = end.AddDate(0, 0, 2)
	if _, err := w.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		t.Fatal(err)
	}
	if held := w.look(old); held.BlockOn.String() != "2027-05-31" || !held.SealsAsItComes(w.clock.now) {
		t.Errorf("a day late, it is blocked on %s", held.BlockOn)
	}
	w.clock.now = june.AddDate(0, 0, -3)
	if _, err := w.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		t.Fatal(err)
	}
	equal(t, "saved", w.save(person("1", string(old), "Ada Example", "ada@example.org"))[old], postgres.Changes{New: 1})
	var early *postgres.TooEarlyError
	if _, err := w.Block(t.Context(), old, sealer(t, officer(t))); !errors.As(err, &early) {
		t.Errorf("blocking it: %v", err)
	}
}

func TestNobodyRestrictedIsDroppedWhenAnEventThatSealedAsItCameEnds(t *testing.T) {
	for name, yes := range map[string]bool{"whose yes comes later": true, "who never agreed": false} {
		t.Run(name, func(t *testing.T) {
			w := newOldWorld(t)
			s := sealer(t, officer(t))
			w.linkOld()
			for _, id := range []string{"1", "2", "3"} {
				w.sealed(s, person(id, string(old), "Person "+id, id+"@example.org"))
			}
			w.read()
			if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
				t.Fatal(err)
			}
			answers := []attendees.Response{response("r2", "2", "", "", nil), response("r3", "3", "", "", nil)}
			if yes {
				answers = append(answers, response("r1", "1", "", "", nil))
			}
			w.oldAnswers(s, nil, answers...)
			w.dry()
			equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 3})
		})
	}
}

func TestAnErasureWhileAnEventsAnswersComeKeepsWhatADutyMay(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	w.linkOld()
	for _, id := range []string{"1", "2"} {
		w.sealed(s, person(id, string(old), "Person "+id, id+"@example.org"))
	}
	w.read()
	w.oldAnswers(s, nil, response("r1", "1", "", "", nil), response("r2", "2", "", "", nil))
	if out, err := w.Erase(t.Context(), "1", "asked", s); err != nil || out.Whole {
		t.Errorf("she agreed, and her erasure gives %+v (%v)", out, err)
	}
	w.dry()
	w.block(old, s)
	if out, err := w.Erase(t.Context(), "2", "asked", s); err != nil || out.Whole {
		t.Errorf("when all is read it gives %+v (%v)", out, err)
	}
}

func TestNobodyMovesOutOfASealedEventToOneOfLongAgo(t *testing.T) {
	w := newOldWorld(t)
	s := sealer(t, officer(t))
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers)
	w.clock.now = july
	w.block("4711", s)
	hers.Event, hers.Changed = old, july
	equal(t, "moved", w.sealed(s, hers), postgres.Changes{Late: 1})
	w.read()
	w.block(old, s)
	w.forget("1")
	if n := w.count(`select count(*) from sealed`); n != 0 {
		t.Errorf("forgotten, and %d sealed records of hers are left", n)
	}
}

func TestUnderAHoldWhatSomebodyAnsweredStaysWhereSheWas(t *testing.T) {
	for _, held := range []bool{true, false} {
		w := newOldWorld(t)
		s := sealer(t, officer(t))
		w.linkOld()
		const other = attendees.EventID("4699")
		w.discover(other, time.Date(2027, 4, 1, 16, 0, 0, 0, time.UTC))
		if held {
			w.hold(old, "")
		}
		hers := person("1", string(old), "Ada Example", "ada@example.org")
		w.sealed(s, hers)
		w.read()
		w.oldAnswers(s, nil, response("r1", "1", "", "", nil))
		hers.Event, hers.Changed = other, june
		equal(t, "moved", w.sealedIn(other, s, hers), postgres.Changes{New: 1})
		w.dry()
		w.block(old, s)
		here := `select count(*) from sealed s join events e on e.id = s.event_id where e.source_id = '4700'`
		if n := w.count(here); (n > 0) != held {
			t.Errorf("held %v: %d records of hers are left in the old event", held, n)
		}
		holds, err := w.Holds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range holds { // she took one along
			w.release(h)
			if n := w.count(here); (n > 0) != (i < len(holds)-1) {
				t.Errorf("%d of %d holds are released, and %d records of hers are left", i+1, len(holds), n)
			}
		}
	}
}

func TestAnEventThatWasReadInPartSealsTheRestAsItComes(t *testing.T) {
	for name, first := range map[string]bool{"cut off after its first page": true, "never begun": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.discover(old, time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC))
			w.linkAgreement(old)
			o := officer(t)
			s := sealer(t, o)
			one, two := person("1", string(old), "Ada Example", "ada@example.org"), person("2", string(old), "Bo Example", "bo@example.org")
			if first {
				w.save(one)
				w.halfRead(old)
			}
			w.clock.now = july
			if n := w.block(old, s); !n.Coming {
				t.Errorf("blocking it gives %+v", n)
			}
			if n := w.count(`select count(*) from personal`); n > 0 {
				t.Errorf("%d rows are readable", n)
			}
			w.comesIn(old)
			w.sealed(s, one, two)
			w.read()
			w.oldAnswers(s, nil, response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"yes"}}))
			w.dry()
			equal(t, "blocked", w.block(old, s), postgres.Blocking{Sealed: 1, Dropped: 1})
			if w.opened(old, o)["1 registration"] == nil {
				t.Error("she agreed, and is gone")
			}
			w.ledgerIsSound()
		})
	}
}

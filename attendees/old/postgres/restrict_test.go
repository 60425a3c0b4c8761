package postgres_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// openedWith opens sealed parts with an officer's key.
func openedWith(o seal.Officer) postgres.Opener {
	return func(r postgres.SealedRecord) (seal.Record, error) {
		return o.Open(r.Officers, string(r.Event), string(r.Attendee), r.Part)
	}
}

// ada is an attendee of 4711 with an answer from a form, beside somebody else.
func ada(t testing.TB) (w world, answer attendees.Response) {
	w = newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	answer = response("r1", "1", "", "ada@example.org", map[attendees.QuestionID]attendees.Answer{
		"affiliation": {"Example Lab"}, "forums": {"Rivers"}, "agreed": {"yes"}})
	w.answer("4711", answer)
	return w, answer
}

const (
	adaOnForum = "1 Ada Example <ada@example.org> attending of Example Lab +Rivers"
	boOnForum  = "2 Bo Example <bo@example.org> attending"
)

func (w world) forum() []string { return w.list("4711", attendees.Forum, postgres.AnyStatus) }

func TestARestrictedRecordIsSealedWholeAndComesBackAsItWas(t *testing.T) {
	w, answer := ada(t)
	chief := officer(t)
	before := w.forum()
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, chief)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, chief)); err != nil {
		t.Errorf("restricted twice: %v", err)
	}
	equal(t, "listed", w.forum(), []string{boOnForum})
	newer := person("1", "4711", "Ada Example", "ada@example.org")
	newer.Changed = june
	equal(t, "pulled", w.save(newer)["4711"], postgres.Changes{Late: 1})
	w.answer("4711", answer, response("r9", "", "", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Other Lab"}}))
	if n := w.count(`select count(*) from personal where part = 'response'`); n > 0 {
		t.Errorf("%d answers of hers became readable", n)
	}
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Ada Example", "ada@example.org", "Example Lab", "Other Lab"} {
		if files := w.found(text); len(files) > 0 {
			t.Errorf("%v hold %d letters of hers", files, len(text))
		}
	}
	records := w.opened("4711", chief)
	if records["1 registration"]["name"] != "Ada Example" || records["1 held"]["affiliation"] != "Example Lab" || records["1 held:u6nXL7:r1"]["affiliation"] != "Example Lab" {
		t.Errorf("sealed are %v", records)
	}

	if err := w.Lift(t.Context(), "1", w.OpenedBy("bo@example.org"), "told"); !errors.Is(err, seal.ErrKey) {
		t.Errorf("somebody else lifts it: %v", err)
	}
	if err := w.Lift(t.Context(), "1", openedWith(officer(t)), "told"); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a stranger's key lifts it: %v", err)
	}
	if err := w.Lift(t.Context(), "1", w.OpenedBy(" ADA@example.org"), "told"); err != nil {
		t.Fatal(err)
	}
	equal(t, "listed again", w.forum(), before)
	if n := w.count(`select count(*) from sealed`); n > 0 {
		t.Errorf("%d sealed parts are left", n)
	}
	equal(t, "pulled again", w.save(newer)["4711"], postgres.Changes{Changed: 1})
	w.answer("4711", answer)
	equal(t, "listed after the pull", w.forum(), before)
	if err := w.Lift(t.Context(), "1", openedWith(chief), "told"); err == nil {
		t.Error("what is not restricted is lifted")
	}
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.Restricted, ledger.Unsealed, ledger.Lifted})
}

func TestARestrictedRecordOutlivesItsEventUntilItIsLiftedOrErased(t *testing.T) {
	w, _ := ada(t)
	chief := officer(t)
	s := sealer(t, chief)
	if _, err := w.Restrict(t.Context(), "1", attendees.Objected, s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	equal(t, "blocking the others", w.block("4711", s), postgres.Blocking{Sealed: 2})
	w.clock.now = later
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
		t.Errorf("%d were deleted (%v), want all but the restricted one", n, err)
	}
	if records := w.opened("4711", chief); records["1 registration"] == nil || records["1 held"]["affiliation"] != "Example Lab" || len(records) != 4 {
		t.Errorf("of the restricted one are left %v", records)
	}
	tasks, err := w.Tasks(t.Context())
	if err != nil || !slices.ContainsFunc(tasks, func(task postgres.Task) bool {
		return strings.Contains(task.Says, "1 of its people asked for a restriction")
	}) {
		t.Errorf("staff are asked %v (%v)", tasks, err)
	}
	if err := w.Lift(t.Context(), "1", openedWith(chief), "told"); err != nil {
		t.Fatal(err)
	}
	if records := w.opened("4711", chief); len(records) != 1 {
		t.Errorf("lifted after its event, it is blocked like the others, not %v", records)
	}
	if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
		t.Errorf("%d were deleted in the end (%v), want 1", n, err)
	}
	w.ledgerIsSound()
}

func TestBlockingSealsThoseWhoComeAfterOneWhoWasSealedEarly(t *testing.T) {
	w := newWorld(t)
	ids := []string{"1", "2", "3", "4", "5", "6", "7", "8"}
	for _, id := range ids {
		w.save(person(id, "4711", "Person", id+"@example.org"))
	}
	s := sealer(t, officer(t))
	for _, id := range ids[:4] { // whatever the order of their keys, others stand before and behind
		if _, err := w.Restrict(t.Context(), attendees.AttendeeID(id), attendees.RestrictionAsked, s); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.now = july
	equal(t, "blocking", w.block("4711", s), postgres.Blocking{Sealed: 8})
}

func TestALaterOrderUnderTheSameAddressClosesTheHalfOfOneWhoWasSealedEarly(t *testing.T) {
	w, _ := ada(t)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, officer(t))); err != nil {
		t.Fatal(err)
	}
	w.save(person("3", "4711", "Cy Example", "ada@example.org"))
	if n := w.count(`select count(person) from sealed`); n != 0 {
		t.Errorf("%d parts still open for an address that two people have", n)
	}
}

func TestErasureGoesAsFarAsADutyAllows(t *testing.T) {
	w, answer := ada(t)
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	link := postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}}
	if err := w.SaveLink(t.Context(), e, link); err != nil {
		t.Fatal(err)
	}
	chief := officer(t)
	s := sealer(t, chief)
	part, err := w.Erase(t.Context(), "1", "asked", s)
	if err != nil || part.Whole || part.Rule != "de-ao-6" || part.Until.String() != "2034-01-01" {
		t.Errorf("who agreed: %+v, %v", part, err)
	}
	if again, err := w.Erase(t.Context(), "1", "asked", s); err != nil || again.Whole {
		t.Errorf("asked twice: %+v, %v", again, err)
	}
	whole, err := w.Erase(t.Context(), "2", "asked", s)
	if err != nil || !whole.Whole {
		t.Errorf("who never agreed: %+v, %v", whole, err)
	}
	w.answer("4711", answer)
	equal(t, "pulled", w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))["4711"], postgres.Changes{Late: 2})
	if n := w.count(`select count(*) from personal`); n != 0 {
		t.Errorf("%d readable rows are left", n)
	}
	records := w.opened("4711", chief)
	if _, there := records["1 registration"]["affiliation"]; there || len(records) != 1 || records["1 registration"]["name"] != "Ada Example" {
		t.Errorf("left are %v, want what the duty keeps", records)
	}
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.SealedEarly, ledger.ErasedAnswer, ledger.Erased, ledger.Unsealed})
}

func TestWithdrawnConsentTakesItsFieldsAndKeepsThemOut(t *testing.T) {
	w, answer := ada(t)
	if _, err := w.Withdraw(t.Context(), "1", attendees.Forum); err == nil {
		t.Error("a contract is withdrawn like a consent")
	}
	w.Policy().Purposes[1].Basis = "a"
	for range 2 {
		if _, err := w.Withdraw(t.Context(), "1", attendees.Forum); err != nil {
			t.Fatal(err)
		}
	}
	newer := person("1", "4711", "Ada Example", "ada@example.org")
	newer.Changed = june
	w.save(newer)
	w.answer("4711", answer, response("r2", "", "", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Other Lab"}}))
	equal(t, "forum", w.forum(), []string{boOnForum})
	equal(t, "agreement", w.list("4711", attendees.ParticipationAgreement, attendees.Attending),
		[]string{"1 Ada Example <ada@example.org> attending agreed", boOnForum})
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Example Lab", "Other Lab"} {
		if files := w.found(text); len(files) > 0 {
			t.Errorf("%v hold what was withdrawn", files)
		}
	}
	chief := officer(t)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, chief)); err != nil {
		t.Fatal(err)
	}
	if err := w.Lift(t.Context(), "1", openedWith(chief), "told"); err != nil {
		t.Fatal(err)
	}
	equal(t, "forum after a restriction", w.forum(), []string{boOnForum})
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.Withdrawn, ledger.Restricted, ledger.Lifted})
}

package postgres_test

import (
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestRestrictionsWithdrawalsAndEarlySealingsAreRedone(t *testing.T) {
	w, answer := ada(t)
	w.Policy().Purposes[1].Basis = "a"
	w.save(person("3", "4711", "Cy Example", "cy@example.org"), person("4", "4711", "Di Example", "di@example.org"))
	w.answer("4711", response("r2", "2", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Other Lab"}}))
	chief := officer(t)
	s := sealer(t, chief)
	before := w.backup()

	late := person("5", "4711", "Ed Example", "ed@example.org") // comes after the backup
	w.save(late)
	done := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	done(w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s))
	done(w.Restrict(t.Context(), "5", attendees.Objected, s))
	done(w.Restrict(t.Context(), "4", attendees.RestrictionAsked, s))
	done(nil, w.Lift(t.Context(), "4", openedWith(chief), "told"))
	done(w.Withdraw(t.Context(), "2", attendees.Forum))
	done(w.Erase(t.Context(), "3", "asked", s))
	file := w.copied()

	w.restore(before)
	if _, err := w.Replay(t.Context(), file, nil); err == nil {
		t.Error("without an officer's key it begins")
	}
	w.replay(file, s)
	w.save(late, person("1", "4711", "Ada Example", "ada@example.org"), person("3", "4711", "Cy Example", "cy@example.org"))
	w.answer("4711", answer, response("r2", "2", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Other Lab"}}))
	equal(t, "readable", w.list("4711", attendees.ParticipationAgreement, postgres.AnyStatus),
		[]string{"2 Bo Example <bo@example.org> attending agreed", "4 Di Example <di@example.org> attending"})
	equal(t, "of the forum", w.forum(), []string{"4 Di Example <di@example.org> attending"})
	records := w.opened("4711", chief)
	if records["1 held"]["affiliation"] != "Example Lab" || records["3 registration"]["name"] != "Cy Example" || records["3 held"] != nil {
		t.Errorf("sealed are %v", records)
	}
	for _, text := range []string{"Ada Example", "Cy Example", "Ed Example", "Other Lab"} {
		if files := w.found(text); len(files) > 0 {
			t.Errorf("%v hold what was sealed, erased or withdrawn before the backup came", files)
		}
	}
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 0 {
		t.Errorf("staff are asked %v (%v)", tasks, err)
	}
}

func TestWhoWasRestrictedAfterTheBackupComesInSealed(t *testing.T) {
	w := newWorld(t)
	chief := officer(t)
	s := sealer(t, chief)
	before := w.backup()

	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"),
		person("3", "4711", "Cy Example", "cy@example.org"), person("4", "4711", "Di Example", "di@example.org"))
	done := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	done(w.Restrict(t.Context(), "1", attendees.Objected, s))
	done(w.Erase(t.Context(), "2", "asked", s))
	done(w.Restrict(t.Context(), "3", attendees.RestrictionAsked, s))
	done(w.Forget(t.Context(), "3", "asked"))
	file := w.copied()

	w.restore(before)
	w.replay(file, s)
	all := []attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"),
		person("3", "4711", "Cy Example", "cy@example.org"), person("4", "4711", "Di Example", "di@example.org")}
	w.save(all...) // without the officers' keys they stay out
	w.saveWith(s, all...)
	w.saveWith(s, all...)
	equal(t, "readable", w.list("4711", attendees.ParticipationAgreement, postgres.AnyStatus),
		[]string{"4 Di Example <di@example.org> attending"})
	var why []string
	if err := w.DB().Select(&why, `select source_id || ' ' || reason from attendees where state = 'blocked' order by source_id`); err != nil {
		t.Fatal(err)
	}
	equal(t, "sealed for themselves", why, []string{"1 objection", "2 erasure"})
	records := w.opened("4711", chief)
	if records["1 registration"]["name"] != "Ada Example" || records["2 registration"]["name"] != "Bo Example" || records["2 held"] != nil || records["3 registration"] != nil {
		t.Errorf("sealed are %v", records)
	}
	if err := w.Lift(t.Context(), "1", openedWith(chief), "told"); err != nil {
		t.Fatal(err)
	}
	equal(t, "readable once one was lifted", w.list("4711", attendees.ParticipationAgreement, postgres.AnyStatus),
		[]string{"1 Ada Example <ada@example.org> attending", "4 Di Example <di@example.org> attending"})
}

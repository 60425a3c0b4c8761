package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func TestWhatIsErasedIsNotRestrictedAndSoNeverLifted(t *testing.T) {
	w, _ := ada(t)
	s := sealer(t, officer(t))
	if _, err := w.Erase(t.Context(), "1", "asked", s); err != nil {
		t.Fatal(err)
	}
	for _, why := range []attendees.Reason{attendees.RestrictionAsked, attendees.Objected} {
		if _, err := w.Restrict(t.Context(), "1", why, s); !errors.Is(err, postgres.ErrErased) {
			t.Errorf("for %s it gives %v", why, err)
		}
	}
	if err := w.Lift(t.Context(), "1", w.OpenedBy("ada@example.org"), "told"); err == nil {
		t.Error("it is lifted")
	}
}

// What somebody sealed early answered, linked to her by hand, is known by itself: neither
// its name nor its address is hers.
func TestAnAnswerOfOneSealedEarlyStaysOut(t *testing.T) {
	for name, erase := range map[string]bool{"restricted": false, "and erased": true} {
		t.Run(name, func(t *testing.T) {
			w, _ := ada(t)
			hers := response("r9", "", "Ada Example", "group@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Secret Lab"}})
			w.answer("4711", hers)
			if _, err := w.DB().Exec(`update personal set attendee_id = (select id from attendees where source_id = '1'), matched_by = 'hand' where source_id = 'r9'`); err != nil {
				t.Fatal(err)
			}
			s := sealer(t, officer(t))
			if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Correct(t.Context(), "1", attendees.Affiliation, "Better Lab", "ada@example.org", s); err != nil {
				t.Fatal(err)
			}
			if erase {
				if _, err := w.Erase(t.Context(), "1", "asked", s); err != nil {
					t.Fatal(err)
				}
				if n := w.count(`select count(*) from sealed where part <> 'registration'`); n != 0 {
					t.Errorf("%d sealed parts outlive the erasure", n)
				}
			}
			w.answer("4711", hers)
			if n := w.count(`select count(*) from personal where affiliation = 'Secret Lab'`); n != 0 {
				t.Error("it is readable again")
			}
		})
	}
}

func TestNobodyLeavesAHoldOnAnEventByMoving(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	if _, err := w.AddHold(t.Context(), "4711", "", "a claim", "ops", attendees.Date{}); err != nil {
		t.Fatal(err)
	}
	moved := person("1", "4712", "Ada Example", "ada@example.org")
	moved.Changed = june
	w.save(moved)
	if _, err := w.Forget(t.Context(), "1", "asked"); !errors.As(err, new(*postgres.HeldError)) {
		t.Errorf("it gives %v", err)
	}
}

func TestAWithdrawalOfOneRestrictedHoldsAfterTheLift(t *testing.T) {
	for name, test := range map[string]struct {
		hold bool
		rows int
	}{"without a hold": {}, "under a hold": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			w, _ := ada(t)
			w.Policy().Purposes[1].Basis = "a"
			s := sealer(t, officer(t))
			if _, err := w.Correct(t.Context(), "1", attendees.Affiliation, "Secret Lab", "ada@example.org", s); err != nil {
				t.Fatal(err)
			}
			if test.hold {
				if _, err := w.AddHold(t.Context(), "4711", "1", "a claim", "ops", attendees.Date{}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Withdraw(t.Context(), "1", attendees.Forum); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
				t.Fatal(err)
			}
			if err := w.Lift(t.Context(), "1", w.OpenedBy("ada@example.org"), "told"); err != nil {
				t.Fatal(err)
			}
			if n := w.count(`select count(*) from personal where part = 'registration' and (affiliation = 'Secret Lab' or corrected::text like '%Secret Lab%')`); n != test.rows {
				t.Errorf("%d rows hold the withdrawn correction, expected %d", n, test.rows)
			}
		})
	}
}

func TestAnAnswerThatNamesAStrangerIsStillHersByItsAddress(t *testing.T) {
	w, _ := ada(t)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, officer(t))); err != nil {
		t.Fatal(err)
	}
	answers := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Secret Lab"}}
	w.answer("4711", response("r8", "404", "", "ada@example.org", answers), response("r9", "2", "", "ada@example.org", answers))
	if n := w.count(`select count(*) from personal where source_id = 'r8'`); n != 0 {
		t.Error("an answer under her address is readable, because it names somebody whom nobody knows")
	}
	if n := w.count(`select count(*) from personal where source_id = 'r9'`); n != 1 {
		t.Error("an answer that names somebody else is kept out for its address")
	}
}

func TestARequestThatComesAfterABlockingWasCutOffIsDone(t *testing.T) {
	for name, do := range map[string]func(w world, who attendees.AttendeeID, s *seal.Sealer) error{
		"restriction": func(w world, who attendees.AttendeeID, s *seal.Sealer) error {
			_, err := w.Restrict(w.t.Context(), who, attendees.RestrictionAsked, s)
			return err
		},
		"erasure": func(w world, who attendees.AttendeeID, s *seal.Sealer) error {
			_, err := w.Erase(w.t.Context(), who, "asked", s)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			people := []attendees.Registration{}
			for i := range 3000 {
				people = append(people, person(fmt.Sprint(i), "4711", "Person", fmt.Sprint(i, "@example.org")))
			}
			w.save(people...)
			w.clock.now = july
			s := sealer(t, officer(t))
			w.blockInPart("4711", s)
			var who attendees.AttendeeID
			if err := w.DB().Get(&who, `select a.source_id from sealed s join attendees a on a.id = s.attendee_id limit 1`); err != nil {
				t.Fatal(err)
			}
			if err := do(w, who, s); err != nil {
				t.Fatal(err)
			}
			w.block("4711", s)
			if n := w.count(`select count(*) from (select from sealed where part = 'registration' group by attendee_id having count(*) > 1) as twice`); n > 0 {
				t.Errorf("%d are sealed twice", n)
			}
		})
	}
}

func TestACorrectedAddressClosesTheHalfOfWhoHasItToo(t *testing.T) {
	w, _ := ada(t)
	s := sealer(t, officer(t))
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Correct(t.Context(), "2", attendees.Email, "ada@example.org", "bo@example.org", s); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(person) from sealed`); n != 0 {
		t.Errorf("%d parts still open for an address that two people have", n)
	}
}

func TestACorrectionOpensForTheRecordsOwnAddressAlone(t *testing.T) {
	w, _ := ada(t)
	s := sealer(t, officer(t))
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[attendees.Personal]int{"bo@example.org": 0, "ADA@example.org": 1} {
		if _, err := w.Correct(t.Context(), "1", attendees.Name, "Augusta Example", address, s); err != nil {
			t.Fatal(err)
		}
		if n := w.count(`select count(person) from sealed where part like 'statement.%'`); n != want {
			t.Errorf("%d halves of the correction, want %d", n, want)
		}
	}
}

func TestACorrectionGoesWithWhomNoAgreementKeeps(t *testing.T) {
	w, _ := ada(t)
	w.linkAgreement("4711")
	s := sealer(t, officer(t))
	if _, err := w.Restrict(t.Context(), "2", attendees.RestrictionAsked, s); err != nil { // who never agreed
		t.Fatal(err)
	}
	if _, err := w.Correct(t.Context(), "2", attendees.Name, "Bob Example", "bo@example.org", s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", s)
	if err := w.Lift(t.Context(), "2", w.OpenedBy("bo@example.org"), "told"); err != nil {
		t.Fatal(err)
	}
	w.tidy()
	if n := w.count(`select count(*) from sealed s join attendees a on a.id = s.attendee_id where a.source_id = '2'`) +
		w.count(`select count(*) from sealed s where not exists (select from attendees a where a.id = s.attendee_id)`); n != 0 {
		t.Errorf("%d parts of her are left", n)
	}
}

func TestWhoIsSealedEarlyIsCountedAsRegistered(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	var people []attendees.Registration
	for i := range 12 {
		people = append(people, person(fmt.Sprint(10+i), "4711", "Person", fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	for _, p := range people[:6] {
		if _, err := w.Restrict(t.Context(), p.ID, attendees.RestrictionAsked, s); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.now = july
	n := w.block("4711", s)
	tallies, err := w.TalliesOf(t.Context(), w.look("4711"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "counts", tallies, []postgres.Tally{{What: "registered", People: n.Sealed}, {What: "ticket: Standard", People: 6}})
}

package postgres_test

import (
	"errors"
	"testing"

	"lethe/attendees"
	"lethe/attendees/postgres"
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
	if err := w.Lift(t.Context(), "1", w.OpenedBy("ada@example.org")); err == nil {
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
			if err := w.Lift(t.Context(), "1", w.OpenedBy("ada@example.org")); err != nil {
				t.Fatal(err)
			}
			if n := w.count(`select count(*) from personal where part = 'registration' and (affiliation = 'Secret Lab' or corrected::text like '%Secret Lab%')`); n != test.rows {
				t.Errorf("%d rows hold the withdrawn correction, expected %d", n, test.rows)
			}
		})
	}
}

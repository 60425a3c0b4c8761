package postgres_test

import (
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestWhoMovesToAnEventThatTakesNobodyInLeavesTheOldList(t *testing.T) {
	for _, target := range []string{"4712", "9999"} { // closed, and never heard of
		w := newWorld(t)
		if _, err := w.DB().Exec(`update events set block_on = '2027-05-31', ends_on = '2027-05-01' where source_id = '4712'`); err != nil {
			t.Fatal(err)
		}
		ada := person("1", "4711", "Ada Example", "ada@example.org")
		w.save(ada)
		stale := ada
		ada.Event, ada.Changed = attendees.EventID(target), june
		changes := w.save(ada)
		equal(t, "the target", changes[ada.Event], postgres.Changes{Late: 1})
		equal(t, "the event she left", changes["4711"], postgres.Changes{Gone: 1})
		equal(t, "the list", w.list("4711", attendees.Forum, attendees.Attending), []string(nil))
		w.save(stale)
		equal(t, "the list after a page that was read before", w.list("4711", attendees.Forum, attendees.Attending), []string(nil))
	}
}

// linked links the form to both events; its responses go to both.
func (w world) linked() {
	w.t.Helper()
	for _, id := range []attendees.EventID{"4711", "4712"} {
		e, err := w.Event(w.t.Context(), id)
		if err == nil {
			err = w.SaveLink(w.t.Context(), e, postgres.Link{
				Event: id, Form: "u6nXL7", Purpose: attendees.Forum, Fields: []postgres.LinkedField{{Field: attendees.Email, Question: "email", ID: "email"}},
			})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAResponseLeavesTheOtherEventsOfItsFormWheneverItsPersonComes(t *testing.T) {
	w := newWorld(t)
	w.linked()
	r := w.Policy().MinimiseResponse(response("r1", "", "Ada Example", "ada@example.org", nil), formLinks)
	err := w.InTx(t.Context(), func(tx *sqlx.Tx) error {
		_, err := w.SaveResponses(t.Context(), tx, map[attendees.EventID][]attendees.MinimisedResponse{"4711": {r}, "4712": {r}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	var rows []string
	err = w.DB().Select(&rows, `
		select e.source_id || ' ' || p.matched_by
		from personal p join events e on e.id = p.event_id
		where p.part = 'response'`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "where the response lies", rows, []string{"4711 address"})
}

func TestADroppedResponseStaysDroppedWhenItsFormIsReadAgain(t *testing.T) {
	w := newWorld(t)
	r := response("r", "", "Nobody Here", "nobody@example.org", nil)
	w.answer("4711", r)
	w.clock.now = june.AddDate(0, 0, 15)
	if n, err := w.DropUnmatched(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d were dropped (%v), want 1", n, err)
	}
	w.answer("4711", r)
	w.answer("4711", r)
	all, unmatched := w.answered("u6nXL7")
	var left []string
	err := w.DB().Select(&left, `select part || name || email || source_id || form_id || encode(digest, 'hex') || encode(address_index, 'hex') from personal`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "what is left of it", left, []string{"dropped"})
	if all+unmatched > 0 {
		t.Errorf("%d responses are counted", all)
	}
	w.clock.now = w.clock.now.Add(30 * 24 * time.Hour)
	if n, err := w.DropUnmatched(t.Context()); n != 0 || err != nil {
		t.Errorf("%d were dropped again (%v)", n, err)
	}
}

// She moved to another event, and withdraws her consent there: what she answered in the old
// one rests on that consent, too.
func TestAWithdrawalReachesTheEventThatSheLeft(t *testing.T) {
	w := newWorld(t)
	w.Policy().Purposes[1].Basis = "a"
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers, person("2", "4711", "Bo Example", "bo@example.org"))
	answer := response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quillington Lab"}, "forums": {"Rivers"}})
	w.answer("4711", answer)
	hers.Event, hers.Changed = "4712", june
	w.save(hers)
	if _, err := w.Withdraw(t.Context(), "1", attendees.Forum); err != nil {
		t.Fatal(err)
	}
	w.answer("4711", answer)
	w.tidy()
	if n := w.count(`select count(*) from personal where affiliation <> '' or forums <> '{}'`); n > 0 {
		t.Errorf("%d rows still have what she had consented to", n)
	}
}

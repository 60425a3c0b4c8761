package postgres_test

import (
	"errors"
	"testing"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func TestWhatAFormFilledGoesWithItsLink(t *testing.T) {
	w := newWorld(t)
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	bare := w.list("4711", attendees.Forum, postgres.AnyStatus)
	lab := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quillington Lab"}}
	w.answer("4711", response("r1", "1", "", "", lab), response("r9", "", "Cy Example", "cy@example.org", lab))
	if len(w.list("4711", attendees.Forum, postgres.AnyStatus)) != 2 {
		t.Fatal("nobody is there")
	}
	h := w.hold("4711", "1")
	if _, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7"); !errors.As(err, new(*postgres.HeldError)) {
		t.Errorf("under a hold: %v", err)
	}
	w.release(h)
	n, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7")
	if err != nil || n != 2 {
		t.Errorf("%d answers go (%v), want 2", n, err)
	}
	equal(t, "the list", w.list("4711", attendees.Forum, postgres.AnyStatus), bare)
	w.tidy()
	if files := w.found("Quillington"); len(files) > 0 {
		t.Errorf("%v hold an answer still", files)
	}
	if _, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7"); !errors.As(err, new(*postgres.NotLinkedError)) {
		t.Errorf("once more: %v", err)
	}
	w.linkAgreement("4711")
	w.answer("4711", response("r1", "1", "", "", lab), response("r9", "", "Cy Example", "cy@example.org", lab))
	if all, unmatched := w.answered("u6nXL7"); all != 2 || unmatched != 1 {
		t.Errorf("linked again: %d answers, %d of them nobody's", all, unmatched)
	}
	w.clock.now = july
	if _, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7"); !errors.As(err, new(*postgres.BlockedError)) {
		t.Errorf("past the block date: %v", err)
	}
}

// She moved to another event, and a hold on her keeps what she answered in the old one.
func TestUnlinkKeepsWhatAHoldKeepsOfOneWhoMovedOn(t *testing.T) {
	w := newWorld(t)
	w.linkAgreement("4711")
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers, person("2", "4711", "Bo Example", "bo@example.org"))
	lab := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quillington Lab"}}
	w.answer("4711", response("r1", "1", "", "", lab))
	w.hold("4711", "1")
	hers.Event, hers.Changed = "4712", june
	w.save(hers)
	if n := w.count(`select count(*) from personal where part = 'response' and affiliation <> ''`); n != 1 {
		t.Fatalf("%d answers after she moved", n)
	}
	n, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7")
	if !errors.As(err, new(*postgres.HeldError)) {
		t.Errorf("under a hold on her %d answers went: %v", n, err)
	}
	if n := w.count(`select count(*) from personal where part = 'response' and affiliation <> ''`); n != 1 {
		t.Errorf("%d of her answers are left under her hold", n)
	}
}

// She was erased; her response is to be deleted at Typeform, too.
func TestUnlinkKeepsWhatAnErasureOwesAtTheSource(t *testing.T) {
	w := newWorld(t)
	w.Policy().FormUpstream = map[attendees.FormID]attendees.Upstream{"u6nXL7": attendees.UpstreamWhenDue}
	o, _ := seal.NewOfficer()
	s := sealer(t, o)
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", nil))
	if _, err := w.Erase(t.Context(), "1", "asked", s); err != nil {
		t.Fatal(err)
	}
	due, err := w.DueUpstream(t.Context())
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v %v", due, err)
	}
	if _, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7"); err != nil {
		t.Fatal(err)
	}
	due, err = w.DueUpstream(t.Context())
	if err != nil || len(due) != 1 {
		t.Errorf("after the form was unlinked this is due at Typeform of her who was erased: %v (%v)", due, err)
	}
}

// The form was linked to the wrong event, too: what it took there belongs to the right one.
func TestUnlinkGivesTheOtherEventItsAnswersBack(t *testing.T) {
	w := newWorld(t)
	w.linked()
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.answerBoth(response("r1", "", "", "ada@example.org", nil))
	if _, err := w.DB().Exec(`update feeds set watermark = $1 where name = 'typeform/form/u6nXL7'`, june); err != nil {
		t.Fatal(err)
	}
	w.save(person("2", "4712", "Ada Example", "ada@example.org"))
	if _, err := w.Unlink(t.Context(), w.look("4711"), "u6nXL7"); err != nil {
		t.Fatal(err)
	}
	n := w.count(`select count(*) from personal where part = 'response'`)
	again := w.count(`select count(*) from feeds where name = 'typeform/form/u6nXL7' and watermark is null`)
	if n == 0 && again == 0 {
		t.Error("her answer to the form, which is 4712's, is held nowhere, and the form is not read again: she never agreed")
	}
}

func (w world) answerBoth(r attendees.Response) {
	w.t.Helper()
	m := w.Policy().MinimiseResponse(r, formLinks)
	if err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) error {
		_, err := w.SaveResponses(w.t.Context(), tx, map[attendees.EventID][]attendees.MinimisedResponse{"4711": {m}, "4712": {m}})
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

// Last year's form is linked to this year's event, too, and is read from its beginning.
func TestAFormThatIsLinkedToAnotherEventOpensNoneThatIsOver(t *testing.T) {
	for _, what := range []string{"erased", "blocked"} {
		w := newWorld(t)
		s := sealer(t, officer(t))
		w.linkAgreement("4711")
		w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
		hers := response("r1", "1", "Ada Example", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Quillington Lab"}})
		w.answer("4711", hers)
		if what == "erased" {
			if _, err := w.Erase(t.Context(), "1", "asked", s); err != nil {
				t.Fatal(err)
			}
		} else {
			if _, err := w.DB().Exec(`update events set ends_on = '2027-04-01', block_on = '2027-05-01' where source_id = '4711'`); err != nil {
				t.Fatal(err)
			}
			w.block("4711", s)
		}
		w.linkAgreement("4712")
		w.answer("4712", hers)
		open, _, _, err := w.UnmatchedResponses(t.Context(), "4712", postgres.AnswerCursor{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range open {
			t.Errorf("%s in 4711, and readable in 4712 now: %s <%s>", what, a.Name.Reveal(), a.Email.Reveal())
		}
	}
}

package postgres_test

import (
	"errors"
	"testing"

	"lethe/attendees"
	"lethe/attendees/postgres"
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

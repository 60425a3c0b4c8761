package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func (w world) hold(event attendees.EventID, attendee attendees.AttendeeID) postgres.Hold {
	w.t.Helper()
	h, err := w.AddHold(w.t.Context(), event, attendee, "a claim", "ops", attendees.Date{})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w world) release(h postgres.Hold) {
	w.t.Helper()
	if err := w.ReleaseHold(w.t.Context(), h.ID); err != nil {
		w.t.Fatal(err)
	}
	w.tidy()
}

func (w world) tidy() {
	w.t.Helper()
	if _, err := w.Tidy(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// rewrites are the readable rooms that are to be written anew, in all.
func (w world) rewrites() int {
	w.t.Helper()
	return w.count(`select count(*) from rewrites where room = 'personal'`)
}

func TestAHeldEventKeepsTheResponsesOfNobody(t *testing.T) {
	w := newWorld(t)
	w.answer("4711", response("r1", "", "Nobody Known", "nobody@example.net", nil))
	h := w.hold("4711", "")
	drop := func() int {
		n, err := w.DropUnmatched(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.clock.now = w.clock.now.AddDate(0, 0, w.Policy().UnmatchedDays+1)
	equal(t, "under a hold", drop(), 0)
	w.release(h)
	equal(t, "after its release", drop(), 1)
	equal(t, "rooms to write anew", w.rewrites(), 1)
}

func TestWhoIsHeldAndDoesNotAttendKeepsHerAnswersUntilTheRelease(t *testing.T) {
	for how, leave := range map[string]func(w world){
		"cancelled": func(w world) {
			r := person("1", "4711", "Ada Example", "ada@example.org")
			r.Cancelled, r.Changed = true, june
			w.save(r)
		},
		"gone": func(w world) {
			e, err := w.Event(w.t.Context(), "4711")
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := w.MarkGone(w.t.Context(), e, attendees.Eventbrite, []attendees.AttendeeID{"1"}); err != nil {
				w.t.Fatal(err)
			}
		},
		"withdrawn": func(w world) {
			w.Policy().Purposes[1].Basis = "a"
			if _, err := w.Withdraw(w.t.Context(), "1", attendees.Forum); err != nil {
				w.t.Fatal(err)
			}
			r := person("1", "4711", "Ada Example", "ada@example.org")
			r.Ticket, r.Changed = "Other", june
			w.save(r)
		},
	} {
		for _, whom := range []attendees.AttendeeID{"", "1"} {
			w, _ := ada(t)
			h := w.hold("4711", whom)
			leave(w)
			kept := func() int {
				return w.count(`select count(*) from personal where affiliation = 'Example Lab' and forums = '{Rivers}'`)
			}
			w.tidy()
			equal(t, how+" under a hold, in registration and response", kept(), 2)
			for _, line := range w.list("4711", attendees.Forum, attendees.Attending) {
				if strings.HasPrefix(line, "1 ") {
					t.Errorf("%s: still on the list: %s", how, line)
				}
			}
			w.release(h)
			equal(t, how+" after the release", kept(), 0)
			if whom == "" {
				continue
			}
			if files := w.found("Example Lab"); len(files) > 0 {
				t.Errorf("%s: after the sweep, %v hold an answer", how, files)
			}
		}
	}
}

func TestAHoldStandsUntilItsLastDayIsOverEverywhere(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	until := attendees.Date{Year: 2034, Month: 1, Day: 15}
	if _, err := w.AddHold(t.Context(), "4711", "", "a claim", "ops", until); err != nil {
		t.Fatal(err)
	}
	for zone, hours := range map[string]int{"Auckland": 13, "Berlin": 1, "Los Angeles": -8, "Pago Pago": -11} {
		w.clock.now = time.Date(2034, 1, 15, 23, 59, 0, 0, time.FixedZone(zone, hours*60*60))
		if n, err := w.Delete(t.Context(), "4711"); !errors.As(err, new(*postgres.HeldError)) {
			t.Errorf("late on the hold's last day in %s %d people were deleted: %v", zone, n, err)
		}
		if holds, err := w.Holds(t.Context()); err != nil || len(holds) != 1 {
			t.Errorf("late on its last day in %s there are %d holds (%v)", zone, len(holds), err)
		}
	}
	w.clock.now = time.Date(2034, 1, 16, 12, 0, 0, 0, time.UTC)
	if n, err := w.Delete(t.Context(), "4711"); n != 1 || err != nil {
		t.Errorf("when it is over everywhere %d people were deleted: %v", n, err)
	}
}

func TestAHoldGoesAlongWithWhomItHolds(t *testing.T) {
	w, _ := ada(t)
	h := w.hold("", "1")
	moved := person("1", "4712", "Ada Example", "ada@example.org")
	moved.Changed = june
	w.save(moved)
	if holds, err := w.Holds(t.Context()); err != nil || len(holds) != 1 || holds[0].Event != "4712" {
		t.Errorf("the holds are %+v (%v), want hers, on her new event", holds, err)
	}
	var held *postgres.HeldError
	if _, err := w.Forget(t.Context(), "1", "asked"); !errors.As(err, &held) {
		t.Errorf("forgotten under a hold: %v", err)
	}
	w.clock.now = july.AddDate(0, 0, -2)
	if n, err := w.DropUnmatched(t.Context()); err != nil || n > 0 {
		t.Errorf("%d of her answers were dropped (%v)", n, err)
	}
	w.clock.now = july
	o := officer(t)
	s := sealer(t, o)
	w.block("4711", s)
	w.block("4712", s)
	w.tidy()
	if left := w.opened("4711", o); left["1 held:u6nXL7:r1"]["affiliation"] != "Example Lab" {
		t.Errorf("of her old event these are sealed: %v", left)
	}
	w.clock.now = later
	for _, id := range bothEvents {
		if _, err := w.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count(`select count(*) from sealed`); n != 3 {
		t.Errorf("%d sealed parts are left, want her registration and both parts of her answer", n)
	}
	w.release(h)
	for _, id := range bothEvents {
		if _, err := w.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count(`select (select count(*) from sealed) + (select count(*) from attendees)`); n != 0 {
		t.Errorf("%d rows are left after the release", n)
	}
}

func TestAHoldOnAHalfBlockedEventKeepsEveryoneWhole(t *testing.T) {
	for _, whom := range []attendees.AttendeeID{"", "3"} {
		w := newWorld(t)
		w.linkAgreement("4711")
		var people []attendees.Registration
		var answers []attendees.Response
		for i := range 1200 {
			id := fmt.Sprint(i)
			people = append(people, person(id, "4711", "Person "+id, id+"@example.org"))
			if i < 1100 { // the others never agree
				answers = append(answers, response("r"+id, id, "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"yes"}, "affiliation": {"Example Lab"}}))
			}
		}
		w.save(people...)
		w.answer("4711", answers...)
		w.clock.now = july
		o := officer(t)
		w.blockInPart("4711", sealer(t, o))
		w.hold("4711", whom)
		n := w.block("4711", sealer(t, o))
		records := w.opened("4711", o)
		if whom == "" {
			equal(t, "blocked under a hold", n, postgres.Blocking{Sealed: 1200})
			equal(t, "parts", len(records), 1200+1100)
		}
		if records["3 held"]["affiliation"] != "Example Lab" {
			t.Errorf("hold on %q: of the one who is held these are sealed: %v, %v", whom, records["3 registration"], records["3 held"])
		}
	}
}

// linkAgreement links a form that asks for an agreement.
func (w world) linkAgreement(event attendees.EventID) {
	w.t.Helper()
	e, err := w.Event(w.t.Context(), event)
	if err != nil {
		w.t.Fatal(err)
	}
	link := postgres.Link{Event: event, Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}}
	if err := w.SaveLink(w.t.Context(), e, link); err != nil {
		w.t.Fatal(err)
	}
}

// blockInPart blocks an event until the first records are sealed, and is cut off there.
func (w world) blockInPart(event attendees.EventID, s *seal.Sealer) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	done := make(chan error)
	go func() { _, err := w.Block(ctx, event, s); done <- err }()
	for w.count(`select count(*) from sealed`) == 0 {
	}
	cancel()
	if err := <-done; err == nil {
		w.t.Fatal("it was blocked before it could be cut off")
	}
}

func TestWhomAStandingHoldIsAboutIsNotForgotten(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	h := w.hold("4711", "1")
	w.clock.now = w.clock.now.AddDate(4, 0, 0)
	w.tidy()
	if n := w.count(`select count(*) from openings`); n != 1 {
		t.Errorf("%d openings are left of a hold that stands", n)
	}
	w.release(h)
	w.clock.now = w.clock.now.AddDate(4, 0, 0)
	w.tidy()
	if n := w.count(`select count(*) from openings`); n != 0 {
		t.Errorf("%d openings are left years after its release", n)
	}
}

package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
)

// meddling is a reader during whose first piece something happens.
type meddling struct {
	bytes.Buffer
	do func()
}

func (m *meddling) Write(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.Buffer.Write(p)
}

// crowd fills event 4711 with more people than leave in one piece.
func (w world) crowd() (last attendees.AttendeeID) {
	w.t.Helper()
	var people []attendees.Registration
	for i := range 4000 {
		last = attendees.AttendeeID(fmt.Sprint(10_000 + i))
		people = append(people, person(string(last), "4711", "Person", fmt.Sprint("person.", i, "@example.org")))
	}
	w.save(people...)
	return last
}

// receipt is the only one of event 4711.
func (w world) receipt() postgres.Receipt {
	w.t.Helper()
	all, err := w.Receipts(w.t.Context(), "4711")
	if err != nil || len(all) != 1 {
		w.t.Fatalf("there are %d receipts (%v), want one", len(all), err)
	}
	return all[0]
}

func TestAListEndsAtTheBlockDateAndLeavesItsReceipt(t *testing.T) {
	for _, format := range export.Formats() {
		for _, state := range []attendees.State{attendees.Active, attendees.Blocked} {
			t.Run(format+" "+string(state), func(t *testing.T) {
				w := newWorld(t)
				w.crowd()
				var left int
				to := &meddling{}
				to.do = func() {
					w.clock.now = july
					if _, err := w.DB().Exec(`update events set state = $1 where source_id = '4711'`, state); err != nil {
						t.Error(err)
					}
					left = to.Len()
				}
				l := export.List{Store: w.Store, Event: "4711", Purpose: attendees.Forum, Format: format, By: "ops", At: june, Streams: true}
				_, err := l.Write(t.Context(), to)
				if blocked := (*postgres.BlockedError)(nil); !errors.As(err, &blocked) {
					t.Errorf("it ends with %v", err)
				}
				if pieces := to.Len() - left; pieces > 70_000 {
					t.Errorf("%d bytes left after the block date", pieces)
				}
				r := w.receipt()
				if r.Format != format+", cut off" || r.Rows == 0 || len(r.SHA256) == 0 {
					t.Errorf("its receipt is %+v", r)
				}
				if state == attendees.Active {
					return
				}
				if r.Recalled == nil || !strings.Contains(w.task().Says, fmt.Sprintf("SHA-256 %x", r.SHA256)) {
					t.Errorf("of a blocked event it is recalled at %v, and staff are asked: %s", r.Recalled, w.task().Says)
				}
			})
		}
	}
}

func TestAListThatTheBlockDateFindsWholeDoesNotLeave(t *testing.T) {
	w := newWorld(t)
	w.crowd()
	to := &meddling{}
	l := export.List{Store: w.Store, Event: "4711", Purpose: attendees.Forum, Format: "csv", By: "ops", At: june}
	to.do = func() { w.clock.now = july }
	if _, err := l.Write(t.Context(), to); err == nil {
		t.Error("it is taken for whole")
	}
	if n := w.count(`select count(*) from receipts`); n != 0 {
		t.Errorf("%d receipts of a file that is removed", n)
	}
}

// GDPR Art. 19: what comes while a list is written finds no receipt of it to recall.
func TestAListThatAnErasureOvertookIsRecalled(t *testing.T) {
	w := newWorld(t)
	last := w.crowd()
	s := sealer(t, officer(t))
	to := &meddling{do: func() {
		if _, err := w.Erase(t.Context(), last, "asked", s); err != nil {
			t.Error(err)
		}
	}}
	l := export.List{Store: w.Store, Event: "4711", Purpose: attendees.Forum, Format: "csv", By: "ops", At: june}
	if _, err := l.Write(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(to.String(), string(last)) {
		t.Fatal("she is not on the list: nothing is shown")
	}
	if w.receipt().Recalled == nil {
		t.Error("a list that carries somebody who was erased while it was written is not recalled")
	}
}

func TestWhatOvertakesAListThatCarriesHerRecallsIt(t *testing.T) {
	s := sealer(t, officer(t))
	for what, do := range map[string]func(w world, id attendees.AttendeeID) error{
		"forgotten": func(w world, id attendees.AttendeeID) error {
			_, err := w.Forget(t.Context(), id, "asked")
			return err
		},
		"erased": func(w world, id attendees.AttendeeID) error {
			_, err := w.Erase(t.Context(), id, "asked", s)
			return err
		},
		"restricted": func(w world, id attendees.AttendeeID) error {
			_, err := w.Restrict(t.Context(), id, attendees.RestrictionAsked, s)
			return err
		},
		"objected": func(w world, id attendees.AttendeeID) error {
			_, err := w.Restrict(t.Context(), id, attendees.Objected, s)
			return err
		},
		"corrected": func(w world, id attendees.AttendeeID) error {
			_, err := w.Correct(t.Context(), id, attendees.Name, "Augusta Example", "", s)
			return err
		},
		"withdrawn": func(w world, id attendees.AttendeeID) error {
			w.Policy().Purposes[1].Basis = "a"
			_, err := w.Withdraw(t.Context(), id, attendees.Forum)
			return err
		},
	} {
		for who, recalled := range map[attendees.AttendeeID]bool{"1": true, "2": false} { // one of them is on the list
			w := newWorld(t)
			w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
			listed := &postgres.Listing{}
			listed.Saw(attendees.Eventbrite, "1")
			begun, err := w.LedgerSize(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := do(w, who); err != nil {
				t.Fatal(err)
			}
			r := postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Rows: 1, SHA256: []byte{1}, By: "ops", At: june, Begun: begun}
			if err := w.SaveReceipt(t.Context(), r, listed); err != nil {
				t.Fatal(err)
			}
			if at := w.receipt().Recalled; (at != nil) != recalled {
				t.Errorf("%s is %s: the list is recalled at %v, want %v", who, what, at, recalled)
			}
		}
	}
}

func TestAListThatIsTakenAfterACorrectionIsNotRecalled(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if _, err := w.Correct(t.Context(), "1", attendees.Name, "Augusta Example", "", sealer(t, officer(t))); err != nil {
		t.Fatal(err)
	}
	l := export.List{Store: w.Store, Event: "4711", Purpose: attendees.Forum, Format: "csv", By: "ops", At: june}
	if _, err := l.Write(t.Context(), &meddling{}); err != nil {
		t.Fatal(err)
	}
	if at := w.receipt().Recalled; at != nil {
		t.Errorf("a fresh list is recalled at %v", at)
	}
}

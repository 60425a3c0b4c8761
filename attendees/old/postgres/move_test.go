package postgres_test

import (
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestNobodyMovesOutOfAnEventThatIsOver(t *testing.T) {
	w := newWorld(t)
	hers := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(hers)
	// 4712 goes on for long after 4711 is blocked.
	if _, err := w.DB().Exec(`update events set block_on = '2029-01-01' where source_id = '4712'`); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	moved := hers
	moved.Event, moved.Changed = "4712", july
	equal(t, "moved when its block date had come", w.save(moved)["4712"], postgres.Changes{Late: 1})
	o := officer(t)
	w.block("4711", sealer(t, o))
	equal(t, "moved when it was blocked", w.save(moved)["4712"], postgres.Changes{Late: 1})
	if n := w.count(`select count(*) from personal`); n > 0 {
		t.Errorf("%d rows are readable", n)
	}
	if records := w.opened("4711", o); records["1 registration"] == nil {
		t.Errorf("sealed are %v, want her", records)
	}
	if _, err := w.Forget(t.Context(), "1", "asked"); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from sealed`); n > 0 {
		t.Errorf("%d sealed records outlive her erasure", n)
	}
}

// GDPR Art. 16: what she had corrected is not undone by her source's moving her.
func TestACorrectionMovesWithItsPerson(t *testing.T) {
	for name, test := range map[string]struct {
		moved []attendees.Registration
		want  string
	}{
		"to another event": {[]attendees.Registration{
			person("1", "4712", "Ada Example", "ada@example.org"),
		}, "1 Augusta Example <augusta@example.org> attending"},
		"and there the source agrees": {[]attendees.Registration{
			person("1", "4712", "Augusta Example", "augusta@example.org"),
			person("1", "4712", "Ada King", "augusta@example.org"),
		}, "1 Ada King <augusta@example.org> attending"},
		"and there the registration is handed on": {[]attendees.Registration{
			person("1", "4712", "Ada Example", "ada@example.org"),
			person("1", "4712", "Bo Example", "bo@example.org"),
		}, "1 Bo Example <bo@example.org> attending"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.save(person("1", "4711", "Ada Example", "ada@example.org"))
			for f, to := range map[attendees.Field]attendees.Personal{attendees.Name: "Augusta Example", attendees.Email: "augusta@example.org"} {
				if _, err := w.Correct(t.Context(), "1", f, to, "ada@example.org", nil); err != nil {
					t.Fatal(err)
				}
			}
			for i, r := range test.moved {
				r.Changed = june.AddDate(0, 0, i)
				w.save(r)
			}
			equal(t, "list", w.list("4712", attendees.ParticipationAgreement, attendees.Attending), []string{test.want})
		})
	}
}

func TestWhatAHoldKeepsMovesWithItsPerson(t *testing.T) {
	for name, leave := range map[string]func(w world, r *attendees.Registration){
		"who withdrew": func(w world, _ *attendees.Registration) {
			w.Policy().Purposes[1].Basis = "a"
			if _, err := w.Withdraw(w.t.Context(), "1", attendees.Forum); err != nil {
				w.t.Fatal(err)
			}
		},
		"who cancelled": func(_ world, r *attendees.Registration) { r.Cancelled = true },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := ada(t)
			h := w.hold("", "1")
			kept := func() int {
				return w.count(`select count(*) from personal where part = 'registration' and affiliation = 'Example Lab'`)
			}
			r := person("1", "4711", "Ada Example", "ada@example.org")
			leave(w, &r)
			r.Changed = june
			w.save(r)
			equal(t, "kept before she moves", kept(), 1)
			r.Event, r.Changed = "4712", june.AddDate(0, 0, 1)
			w.save(r)
			equal(t, "kept after she moved", kept(), 1)
			w.release(h)
			equal(t, "kept after the release", kept(), 0)
		})
	}
}

func TestWhoWasForgottenStaysOutOfTheEventThatHerSourceMovesHerTo(t *testing.T) {
	w := newWorld(t)
	w.Policy().EventRules = map[attendees.EventID]string{"4711": "none"}
	w.saveEvents("4711")
	w.accept()
	w.discover("5000", nextYear)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.forget("1")
	moved := person("1", "5000", "Ada Example", "ada@example.org")
	moved.Changed = june
	equal(t, "moved", w.save(moved)["5000"], postgres.Changes{Late: 1})
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	equal(t, "after her old event's deletion", w.save(moved)["5000"], postgres.Changes{Late: 1})
}

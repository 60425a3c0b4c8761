package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// blockedBoth has one sealed person in 4711 and nine in 4712, both due on later's day.
func blockedBoth(t testing.TB) world {
	w := newWorld(t)
	people := []attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org")}
	for i := range 9 {
		people = append(people, person(fmt.Sprint(10+i), "4712", "Person", fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	w.clock.now = july
	s := sealer(t, officer(t))
	w.block("4711", s)
	w.block("4712", s)
	return w
}

// announced is what the nightly run of a time may delete, or that the fuse stops it.
func (w world) announced(at time.Time) string {
	w.t.Helper()
	w.clock.now = at
	ready, err := w.Announce(w.t.Context())
	var fuse *postgres.FuseError
	if errors.As(err, &fuse) {
		return fmt.Sprintf("fuse %d %d", fuse.People, fuse.Announced)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(ready)
	return fmt.Sprint(ready)
}

// deleteOn moves an event's delete date, as a wrong policy would.
func (w world) deleteOn(event, date string) {
	w.t.Helper()
	_, err := w.DB().Exec(`update events set delete_on = $2, planned_delete_on = $2, accepted_delete_on = $2 where source_id = $1`, event, date)
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestTheNightDeletesOnlyWhatItAnnouncedAndNotFarMore(t *testing.T) {
	w := blockedBoth(t)
	for days := 20; days > 1; days-- {
		equal(t, fmt.Sprint(days, " days before"), w.announced(later.AddDate(0, 0, -days)), "[]")
	}
	// 4712's rule is another one overnight, and nobody had announced that.
	w.Policy().EventRules = map[attendees.EventID]string{"4712": "none"}
	w.deleteOn("4712", "2027-07-20")
	equal(t, "on the first night it is only announced", w.announced(later.AddDate(0, 0, -1)), "[]")
	equal(t, "six hours later", w.announced(later.AddDate(0, 0, -1).Add(6*time.Hour)), "[]")
	equal(t, "on the second night far more would go", w.announced(later), "fuse 10 1")
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || tasks[0].Event != "4712" || !strings.Contains(tasks[0].Says, "lethe retention run --accept ") {
		t.Errorf("staff are asked %+v (%v), want about the event that nobody had announced", tasks, err)
	}
	w.Policy().EventRules = nil
	w.deleteOn("4712", "2034-01-01")
	equal(t, "put right", w.announced(later.Add(6*time.Hour)), "[4711]")
	if tasks, err := w.Tasks(t.Context()); err != nil || len(tasks) > 0 {
		t.Errorf("staff are still asked %+v (%v)", tasks, err)
	}
}

func TestADeletionWaitsADayAndWhoStoodStillAnnouncesAnew(t *testing.T) {
	w := blockedBoth(t)
	for days := 9; days > 0; days-- {
		equal(t, fmt.Sprint(days, " days before"), w.announced(later.AddDate(0, 0, -days)), "[]")
	}
	equal(t, "on the day", w.announced(later), "[4711 4712]")

	// The worker stands still for two days, and comes back.
	back := later.AddDate(0, 0, 2)
	equal(t, "back again", w.announced(back), "[]")
	equal(t, "over midnight, six hours later", w.announced(back.Add(6*time.Hour)), "[]")
	equal(t, "a day later, and no fuse", w.announced(back.Add(24*time.Hour)), "[4711 4712]")
	equal(t, "nor in the days after", w.announced(back.Add(48*time.Hour)), "[4711 4712]")
}

func TestADeletionCountsFromItsOwnZonesDays(t *testing.T) {
	w := blockedBoth(t)
	if _, err := w.DB().Exec(`update events set time_zone = 'Pacific/Auckland'`); err != nil {
		t.Fatal(err)
	}
	// It is New Year there thirteen hours before it is in UTC.
	at := time.Date(2033, 12, 31, 12, 0, 0, 0, time.UTC)
	for days := 9; days > 0; days-- {
		w.announced(at.AddDate(0, 0, -days))
	}
	equal(t, "on New Year's morning there", w.announced(at), "[4711 4712]")
}

func TestWhatAHoldKeptIsAnnouncedAnewBeforeItGoes(t *testing.T) {
	day := later.Add(12 * time.Hour)
	end := day.AddDate(0, 0, 40) // of the hold
	last := attendees.DateOf(end).AddDays(-1)
	for what, c := range map[string]struct {
		whom  attendees.AttendeeID // empty: all nine
		until attendees.Date
		left  int
	}{
		"an event, released":    {left: 9},
		"an event, until a day": {until: last, left: 9},
		"one of it, released":   {whom: "10", left: 1},
		"one, until a day":      {whom: "10", until: last, left: 1},
	} {
		t.Run(what, func(t *testing.T) {
			w := blockedBoth(t)
			h, err := w.AddHold(t.Context(), "4712", c.whom, "a claim", "ops", c.until)
			if err != nil {
				t.Fatal(err)
			}
			for days := -10; days < 40; days++ {
				for _, event := range strings.Fields(strings.Trim(w.announced(day.AddDate(0, 0, days)), "[]")) {
					if _, err := w.Delete(t.Context(), attendees.EventID(event)); err != nil {
						t.Fatal(err)
					}
				}
			}
			equal(t, "people who stay", w.count(`select count(*) from attendees`), c.left)
			w.clock.now = end
			if c.until.IsZero() {
				w.release(h)
			}
			var fuse *postgres.FuseError
			if err := w.CheckFuse(t.Context()); !errors.As(err, &fuse) || fuse.People != c.left || fuse.Announced != 0 {
				t.Errorf("a run by hand is told %v, want that nobody was announced a week ago", err)
			}
			equal(t, "at its end", w.announced(end), "[]")
			for days := 1; days < 7; days++ {
				equal(t, fmt.Sprint(days, " days after"), w.announced(end.AddDate(0, 0, days)), fmt.Sprintf("fuse %d 0", c.left))
			}
			equal(t, "a week after", w.announced(end.AddDate(0, 0, 7)), "[4712]")
		})
	}
}

func TestWhoIsLiftedBehindTheDayIsAnnouncedBeforeSheGoes(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	o := officer(t)
	s := sealer(t, o)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", s)
	for days := -10; days <= 0; days++ {
		w.announced(later.AddDate(0, 0, days))
	}
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	if err := w.Lift(t.Context(), "1", openedWith(o), "over"); err != nil {
		t.Fatal(err)
	}
	equal(t, "on the same day", w.announced(w.clock.now.Add(time.Minute)), "[]")
}

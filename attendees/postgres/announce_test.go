package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/postgres"
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

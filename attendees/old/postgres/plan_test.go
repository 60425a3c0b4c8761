package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// dates are an event's rule and dates, as they are stored and as the plan has them.
func (w world) dates(id attendees.EventID) (stored, planned string) {
	w.t.Helper()
	e, err := w.Event(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := w.Plan(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range plan.Events {
		if p.ID == id {
			planned = fmt.Sprint(p.Rule, " ", p.BlockOn, " ", p.DeleteOn, " ", p.Pending())
		}
	}
	return fmt.Sprint(e.Rule, " ", e.BlockOn, " ", e.DeleteOn, " ", e.Pending()), planned
}

func TestAnotherRulePlansEveryEventAnewAndCountsWhenItIsAccepted(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	replan := func() {
		t.Helper()
		if _, err := w.Replan(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const was = "de-ao-6 2027-07-20 2034-01-01 false"
	w.Policy().Rule = "de-ao-8"
	for _, id := range bothEvents { // blocked and active alike
		stored, planned := w.dates(id)
		equal(t, "before it is planned anew", stored, was)
		equal(t, "the plan", planned, "de-ao-8 2027-07-20 2036-01-01 true")
	}
	replan()
	for _, id := range bothEvents {
		stored, _ := w.dates(id)
		equal(t, "the later holds, with its rule", stored, "de-ao-8 2027-07-20 2036-01-01 true")
	}
	w.Policy().Rule = "us-tx-4"
	replan()
	for _, id := range bothEvents {
		stored, _ := w.dates(id)
		equal(t, "a shorter rule waits, and the old one counts", stored, "de-ao-6 2027-07-20 2034-01-01 true")
	}
	plan, err := w.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.AcceptPlan(t.Context(), plan.Hash()); err != nil || n != 2 {
		t.Errorf("%d events were accepted (%v), want 2", n, err)
	}
	for _, id := range bothEvents {
		stored, planned := w.dates(id)
		equal(t, "accepted", stored, "us-tx-4 2027-07-20 2031-06-21 false")
		equal(t, "planned", planned, stored)
	}
	w.Policy().GraceDays += 10
	replan()
	stored, _ := w.dates("4711")
	equal(t, "what is blocked stays blocked", stored, "us-tx-4 2027-07-20 2031-06-21 false")
	stored, _ = w.dates("4712")
	equal(t, "what is open is blocked ten days later", stored, "us-tx-4 2027-07-30 2031-06-21 false")
	if n, err := w.Replan(t.Context()); err != nil || n != 0 {
		t.Errorf("planning the same again changed %d events (%v)", n, err)
	}
}

func TestTheLedgerNamesTheRuleThatCounts(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.Policy().Rule = "us-tx-4"
	w.saveEvents("4711") // discovered again
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	table, err := w.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := ledger.ParseEntry(table.Leaves[len(table.Leaves)-1])
	if err != nil || e.Rule != "de-ao-6" {
		t.Errorf("the ledger says rule %q (%v), but us-tx-4 waits to be accepted", e.Rule, err)
	}
}

func TestWhoStaysIsNotDueForEver(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"),
		person("3", "4711", "Cy Example", "cy@example.org"))
	o := officer(t)
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, sealer(t, o)); err != nil {
		t.Fatal(err)
	}
	h := w.hold("", "2")
	w.clock.now = july
	w.block("4711", sealer(t, o))
	w.clock.now = later
	due := func() string {
		t.Helper()
		w.tidy()
		ids, err := w.DueToDelete(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(ids)
	}
	equal(t, "the third is due", due(), "[4711]")
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	equal(t, "the others stay", due(), "[]")
	plan, err := w.Plan(t.Context())
	if err != nil || plan.Events[0].Staying.Held != 1 || plan.Events[0].Restricted != 1 {
		t.Errorf("the plan says %+v (%v), want one held and one restricted", plan.Events, err)
	}
	if tasks, err := w.Tasks(t.Context()); err != nil || len(tasks) != 2 || !strings.Contains(tasks[0].Says, "asked for a restriction") ||
		!strings.Contains(tasks[1].Says, "but for those who stay here") {
		t.Errorf("staff are asked %+v (%v), want about the restriction, and about the third at Eventbrite", tasks, err)
	}
	w.release(h)
	equal(t, "after the release", due(), "[4711]")
}

func TestNothingThatIsDeletedLeavesAHashOfAnID(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	hashes := func() int {
		return w.count(`select (select count(*) from holds where attendee_id is not null) + (select count(*) from feeds where run_seen is not null)`)
	}
	w.release(w.hold("", "1"))
	if _, err := w.Forget(t.Context(), "1", "asked"); err != nil {
		t.Fatal(err)
	}
	equal(t, "hashes after an erasure", hashes(), 0)
	w.release(w.hold("", "2"))
	if _, err := w.DB().Exec(`insert into feeds (name, run_seen) values ('eventbrite/event/4711', '\x00')`); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	equal(t, "hashes after the deletion", hashes(), 0)
}

func TestWhereOfficersAloneMayOpenPersonsHalvesGo(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	w.tidy()
	equal(t, "halves", w.count(`select count(person) from sealed`), 1)
	w.Policy().OfficersOnly = true
	w.tidy()
	equal(t, "halves when the policy says officer", w.count(`select count(person) from sealed`), 0)
}

// Go takes the zone "Local" for the machine's own; here the machine is in Hawaii.
func TestAnEventsDayIsTheSameOnEveryMachine(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("Honolulu", -10*3600)
	at := time.Date(2027, 7, 20, 5, 0, 0, 0, time.UTC)
	for zone, today := range map[string]string{"": "2027-07-20", "Local": "2027-07-20", "America/New_York": "2027-07-20", "Pacific/Honolulu": "2027-07-19"} {
		equal(t, "the day in the zone "+zone, postgres.Event{Zone: zone}.Today(at).String(), today)
	}
}

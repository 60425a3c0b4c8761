package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// task is the one that is open.
func (w world) task() postgres.Task {
	w.t.Helper()
	tasks, err := w.Tasks(w.t.Context())
	if err != nil || len(tasks) != 1 {
		w.t.Fatalf("open are %+v (%v), want one task", tasks, err)
	}
	return tasks[0]
}

func TestBlockingAsksForEveryListToBeDestroyed(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	for _, by := range []string{"anna", "berta"} {
		r := postgres.Receipt{ID: uuid.New(), Event: "4711", Purpose: "forum", Rows: 1, SHA256: []byte{0xab, 0xcd}, By: by, At: june}
		if err := w.SaveReceipt(t.Context(), r, &postgres.Listing{}); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	says := w.task().Says
	for _, want := range []string{"anna", "berta", "forum", "2027-06-01", "SHA-256 abcd"} {
		if !strings.Contains(says, want) {
			t.Errorf("the task does not say %q: %s", want, says)
		}
	}
}

func TestASecondDumpIsAskedForToo(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"anna", "berta"} {
		if err := w.RecordDump(t.Context(), e, 1, by); err != nil {
			t.Fatal(err)
		}
	}
	if task := w.task(); task.Times != 2 || !strings.Contains(task.Says, "berta") {
		t.Errorf("the task is %+v, want of two dumps, the last by berta", task)
	}
}

func TestADoubtIsAnsweredNotTickedOff(t *testing.T) {
	w := newWorld(t)
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	task := w.task()
	if err := w.FinishTask(t.Context(), task.ID, "ops"); err == nil || !strings.Contains(err.Error(), "lethe retention agreements 4711") {
		t.Errorf("ticked off with %v, want the command that answers", err)
	}
	if _, err := w.AnswerDoubt(t.Context(), "4711", false, "the form was the wrong one", "ops"); err != nil {
		t.Fatal(err)
	}
	if err := w.FinishTask(t.Context(), task.ID, "ops"); err == nil {
		t.Error("it was open after the answer")
	}
}

func TestEachErasedOneThatChangedIsCounted(t *testing.T) {
	w := newWorld(t)
	var people []attendees.Registration
	for _, id := range []string{"1", "2"} {
		r := person(id, "4711", "Person "+id, id+"@example.org")
		w.save(r)
		if _, err := w.Forget(t.Context(), attendees.AttendeeID(id), "asked"); err != nil {
			t.Fatal(err)
		}
		r.Changed = june.AddDate(0, 0, 1)
		people = append(people, r)
	}
	w.clock.now = june.AddDate(0, 0, 2)
	w.save(people...)
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 2 || !strings.Contains(tasks[1].Says, "has changed at its source since") || tasks[1].Times != 2 {
		t.Errorf("the tasks are %+v (%v), want the last of two registrations", tasks, err)
	}
}

func TestWhoGoesHereIsAskedForAtEventbriteToo(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"1", "2", "3", "4"} {
		w.save(person(id, "4711", "Person "+id, id+"@example.org"))
	}
	w.forget("1")
	w.forget("2")
	forgotten := w.task()
	if !strings.Contains(forgotten.Says, "was erased by `lethe forget`: delete that registration at Eventbrite too") || forgotten.Times != 2 {
		t.Errorf("after two were forgotten the task is %+v", forgotten)
	}
	if err := w.FinishTask(t.Context(), forgotten.ID, "ops"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	h := w.hold("4711", "3")
	w.clock.now = later
	deleted := func(want string) {
		t.Helper()
		if n, err := w.Delete(t.Context(), "4711"); n != 1 || err != nil {
			t.Fatalf("%d were deleted (%v)", n, err)
		}
		if says := w.task().Says; !strings.HasPrefix(says, want) {
			t.Errorf("the task says %q, want %q", says, want)
		}
	}
	deleted("Delete the people of event 4711, but for those who stay here by a hold or a restriction, at Eventbrite too: they were due on 2034-01-01,")
	w.release(h)
	deleted("Delete the people of event 4711 at Eventbrite too: they were due on 2034-01-01,")
}

func TestOpeningWhereNothingIsSealedLeavesNoEntry(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	for range w.SealedRecords(t.Context(), "4711", "", "", "ops") {
		t.Error("something is sealed")
	}
	if n := w.count(`select count(*) from ledger_entries`); n > 0 {
		t.Errorf("the ledger has %d entries", n)
	}
}

func TestEachRunIsRecordedAndAnIdleOneOnceADay(t *testing.T) {
	w := newWorld(t)
	run := func(r postgres.Run) {
		t.Helper()
		if err := w.EndRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	run(postgres.Run{})
	run(postgres.Run{})
	run(postgres.Run{Block: 1})
	w.clock.now = w.clock.now.AddDate(0, 0, 1)
	run(postgres.Run{})
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.Run, ledger.Run, ledger.Run})
	if swept, err := w.Marked(t.Context(), postgres.Swept); err != nil || !swept.Equal(w.clock.now) {
		t.Errorf("the last run was %s (%v)", swept, err)
	}
}

// dumped is a world of two sealed people whose records anna has taken out.
func dumped(t *testing.T) (world, postgres.Event) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	e := w.look("4711")
	if err := w.RecordDump(t.Context(), e, 2, "anna"); err != nil {
		t.Fatal(err)
	}
	return w, e
}

// dumpTask is the open task that asks for dumps to be destroyed.
func (w world) dumpTask() postgres.Task {
	w.t.Helper()
	tasks, err := w.Tasks(w.t.Context())
	i := slices.IndexFunc(tasks, func(t postgres.Task) bool { return strings.Contains(t.Says, "taken out") })
	if err != nil || i < 0 {
		w.t.Fatalf("open are %+v (%v)", tasks, err)
	}
	return tasks[i]
}

func TestAnErasureHasDumpsDestroyedNow(t *testing.T) {
	for what, erase := range map[string]func(w world) (bool, error){
		"forgotten": func(w world) (bool, error) {
			f, err := w.Forget(t.Context(), "1", "asked")
			return f.Dumps, err
		},
		"erased as far as a duty allows": func(w world) (bool, error) {
			_, err := w.Erase(t.Context(), "1", "asked", sealer(t, officer(t)))
			return true, err
		},
	} {
		w, e := dumped(t)
		told, err := erase(w)
		if err != nil {
			t.Fatal(err)
		}
		task := w.dumpTask()
		if !told || task.Times != 2 || !strings.Contains(task.Says, "anna: destroy every copy now") || strings.Contains(task.Says, e.DeleteOn.String()) {
			t.Errorf("%s, told %v: the task is %+v", what, told, task)
		}
		if err := w.RecordDump(t.Context(), e, 1, "berta"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"berta", e.DeleteOn.String(), "every earlier one now"} {
			if says := w.dumpTask().Says; !strings.Contains(says, want) {
				t.Errorf("%s, and dumped again: the task does not say %q: %s", what, want, says)
			}
		}
	}
}

func TestAnErasureAsksForNoDumpThatIsDestroyed(t *testing.T) {
	w, _ := dumped(t)
	if err := w.FinishTask(t.Context(), w.task().ID, "anna"); err != nil {
		t.Fatal(err)
	}
	f, err := w.Forget(t.Context(), "1", "asked")
	if err != nil || f.Dumps {
		t.Errorf("dumps are asked for: %v (%v)", f.Dumps, err)
	}
	if n := w.count(`select count(*) from tasks where done_at is null and says like '%taken out%'`); n != 0 {
		t.Errorf("%d tasks are open", n)
	}
}

// The day that a dump's task names may have come nearer since, with the policy.
func TestADeletionHasDumpsDestroyedNow(t *testing.T) {
	for held, want := range map[attendees.AttendeeID]string{"": "the event is deleted", "1": "all but those who are held or restricted are deleted"} {
		w, e := dumped(t)
		w.Policy().Rule = "us-tx-4"
		plan, err := w.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AcceptPlan(t.Context(), plan.Hash()); err != nil {
			t.Fatal(err)
		}
		if held != "" {
			w.hold("4711", held)
		}
		w.clock.now = time.Date(2031, 6, 21, 12, 0, 0, 0, time.UTC)
		if _, err := w.Delete(t.Context(), "4711"); err != nil {
			t.Fatal(err)
		}
		tasks, err := w.Tasks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if says := tasks[0].Says; !strings.Contains(says, "anna: destroy every copy now: "+want) || strings.Contains(says, e.DeleteOn.String()) {
			t.Errorf("held %q: the task says: %s", held, says)
		}
	}
}

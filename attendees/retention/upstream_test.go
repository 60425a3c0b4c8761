package retention_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/retention"
)

// due is what is due upstream, and the batch of it.
func due(w *coretest.World) (all []retention.AtSource, of retention.Due) {
	w.Helper()
	list, err := w.Retention.Upstream.Due(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if len(list) == 0 {
		return nil, of
	}
	if all, err = w.Retention.Upstream.Batch(w.Context(), list[0], 10); err != nil {
		w.Fatal(err)
	}
	slices.SortFunc(all, func(a, b retention.AtSource) int { return int(a.ID[1]) - int(b.ID[1]) })
	return all, list[0]
}

func ids(all []retention.AtSource) (ids string) {
	for _, one := range all {
		ids += fmt.Sprint(one.ID, one.Told, " ")
	}
	return ids
}

func keys(all []retention.AtSource) (keys []uuid.UUID) {
	for _, one := range all {
		keys = append(keys, one.Key)
	}
	return keys
}

func TestCopiesAtTheSourceAreDeletedWhenTheirPeopleAre(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.Policy.Upstream = attendees.UpstreamWhenDue
	four(w)
	block(w, "1")
	if all, _ := due(w); len(all) != 0 {
		t.Errorf("blocked: %s is due", ids(all))
	}
	w.Now = longAfter
	remove(w, "1")
	all, of := due(w)
	if got, want := ids(all), "t1false t2false t3false "; got != want {
		t.Errorf("due is %s, want %s", got, want)
	}
	if err := w.Retention.Upstream.Told(t.Context(), of, keys(all)); err != nil {
		t.Fatal(err)
	}
	if all, _ := due(w); len(all) != 0 {
		t.Errorf("%s is due although the source was told just now", ids(all))
	}
	w.Now = w.Now.AddDate(0, 0, 1)
	all, of = due(w)
	if got, want := ids(all), "t1true t2true t3true "; got != want {
		t.Errorf("a day later due is %s, want %s", got, want)
	}
	if n, err := w.Retention.Upstream.Gone(t.Context(), of, keys(all[:2])); err != nil || n != 2 {
		t.Errorf("%d are gone, %v", n, err)
	}
	if all, _ = due(w); ids(all) != "t3true " || count(w, `select count(*) from ledger_entries where leaf like '%gone_upstream%'`) != 1 {
		t.Errorf("due is %s, want the one that is still there", ids(all))
	}
}

func TestCopiesAtTheSourceAreDeletedOnceTheyAreSealed(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.Policy.Upstream = attendees.UpstreamWhenBlocked
	four(w)
	h := hold(w, retention.Hold{Attendee: "2"})
	block(w, "1")
	if all, _ := due(w); ids(all) != "t1false t3false " {
		t.Errorf("due is %s, want all but that of who is on hold", ids(all))
	}
	release(w, h)
	if all, _ := due(w); ids(all) != "t1false t2false t3false " {
		t.Errorf("after the hold due is %s", ids(all))
	}
	postponed(w)
	if all, _ := due(w); len(all) != 0 {
		t.Errorf("%s of an event that is read again is due", ids(all))
	}
}

func TestAQuestionKeepsCopiesAtTheSource(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.Policy.Upstream = attendees.UpstreamWhenBlocked
	four(w)
	doubtful(w)
	block(w, "1")
	if all, _ := due(w); len(all) != 0 {
		t.Errorf("%s is due while it is open who agreed", ids(all))
	}
	answer(w, events.Drop)
	if all, _ := due(w); ids(all) != "t1false " {
		t.Errorf("due is %s", ids(all))
	}
}

func TestAResponseThatAnotherEventHasWaitsForIt(t *testing.T) {
	t.Parallel()
	w := started(t)
	w.Policy.Upstream = attendees.UpstreamWhenBlocked
	w.Event("2")
	w.Link("2")
	four(w)
	other := w.Secrets.AllHashes()[0].Response("2", "f", "t1")
	_, err := w.Pool.Exec(`
		insert into responses (id, event_id, form_id, address_index, agreed, version, came_on)
		values ($1, $2, 'f', '', true, 1, now())`, uuid.UUID(other), w.Stored("2").Key)
	if err != nil {
		t.Fatal(err)
	}
	block(w, "1")
	if all, _ := due(w); ids(all) != "t2false t3false " {
		t.Errorf("due is %s, want those that no other event has", ids(all))
	}
	if _, err := w.Pool.Exec(`delete from responses`); err != nil {
		t.Fatal(err)
	}
	if all, _ := due(w); ids(all) != "t1false t2false t3false " {
		t.Errorf("due is %s once no other event has it", ids(all))
	}
}

func tasks(w *coretest.World) []events.Task {
	w.Helper()
	all, err := w.Events.Tasks.List(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func TestStaffAreAskedAndTickOffWhatIsAtTheSource(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		gone, err := w.People.Erase(ctx, tx, e, w.Key("1", "1"), "1")
		if err != nil {
			return err
		}
		return w.Retention.Upstream.Erased(ctx, tx, e, gone)
	})
	open := func() (n int) {
		if all, _ := due(w); len(all) != 0 {
			t.Errorf("%s is due although staff are asked", ids(all))
		}
		for _, task := range tasks(w) {
			if task.Kind == events.TaskResponses {
				n = task.Count
			}
		}
		return n
	}
	if n := open(); n != 1 {
		t.Errorf("after an erasure staff are asked about %d, want 1", n)
	}
	block(w, "1")
	w.Now = longAfter
	remove(w, "1")
	if n := open(); n != 3 {
		t.Errorf("after the deletion staff are asked about %d, want 3", n)
	}
	for _, task := range tasks(w) {
		if task.Kind != events.TaskResponses {
			continue
		}
		if err := w.Retention.Upstream.Done(t.Context(), task.Number, "test"); err != nil {
			t.Error(err)
		}
	}
	if n := open() + count(w, `select count(*) from upstream`); n != 0 {
		t.Errorf("%d are left after the task was ticked off", n)
	}
}

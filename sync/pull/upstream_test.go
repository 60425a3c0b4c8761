package pull_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

// ended is a world with one event of eleven people, who all answered, and one response
// of nobody. Its clock is moved by the test.
type ended struct {
	world
	now    *time.Time
	event  attendees.EventID
	sealer *seal.Sealer
}

// form is the one that everybody answered; the eleventh said no in it.
const form = typeformtest.AgreementFormID

func newEnded(t *testing.T, way attendees.Upstream) ended {
	w := newWorld(t, eventbritetest.Options{})
	now := time.Now()
	e := ended{world: w, now: &now}
	e.Store = w.Store.At(func() time.Time { return *e.now })
	e.Store.Policy().FormUpstream = map[attendees.FormID]attendees.Upstream{form: way}
	e.event = w.event(11)
	w.discover()
	w.link(e.event, typeformtest.AgreementForm())
	must[pull.Report](t)(w.Event(t.Context(), e.event))
	for _, r := range w.eventbrite.Attendees(e.event, nil) {
		w.typeform.AddResponse(form, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()}, now.Add(-30*time.Hour))
	}
	w.typeform.AddResponse(form, typeformtest.Person{Name: "Nobody Here", Email: "nobody.here@example.org"}, now.Add(-30*time.Hour))
	must[pull.Report](t)(w.Form(t.Context(), form))
	o := must[seal.Officer](t)(seal.NewOfficer())
	officers := must[*seal.Officers](t)(seal.ParseOfficers(o.Public()))
	e.sealer = must[*seal.Sealer](t)(seal.NewSealer(officers, e.Store.Keys()))
	return e
}

func (e ended) block() {
	e.t.Helper()
	*e.now = time.Now().AddDate(0, 0, 60)
	must[postgres.Blocking](e.t)(e.Store.Block(e.t.Context(), e.event, e.sealer))
}

func (e ended) delete() {
	e.t.Helper()
	*e.now = time.Now().AddDate(9, 0, 0)
	must[int](e.t)(e.Store.Delete(e.t.Context(), e.event))
}

// run works one night, and says what it did: told, gone, and what is still there and
// kept in mind.
func (e ended) run() string {
	e.t.Helper()
	p := *e.Puller
	p.Store = e.Store
	n, err := p.Upstream(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return e.says(n)
}

func (e ended) says(n pull.Upstreamed) string {
	e.t.Helper()
	var ids int
	if err := e.Store.DB().Get(&ids, `select count(*) from upstream`); err != nil {
		e.t.Fatal(err)
	}
	return fmt.Sprintf("told %d, gone %d, there %d, in mind %d", n.Told, n.Gone, len(e.typeform.Responses(form)), ids)
}

func (e ended) tasks(about string) []postgres.Task {
	e.t.Helper()
	var some []postgres.Task
	for _, task := range must[[]postgres.Task](e.t)(e.Store.Tasks(e.t.Context())) {
		if strings.Contains(task.Says, about) {
			some = append(some, task)
		}
	}
	return some
}

func (e ended) want(what, got, want string) {
	e.t.Helper()
	if got != want {
		e.t.Errorf("%s: %s; want %s", what, got, want)
	}
}

// gone are the ledger's entries of responses that were seen to be gone.
func (e ended) gone() (entries []ledger.Entry) {
	e.t.Helper()
	for _, leaf := range must[ledger.Table](e.t)(e.Store.Ledger(e.t.Context())).Leaves {
		entry := must[ledger.Entry](e.t)(ledger.ParseEntry(leaf))
		if entry.Kind == ledger.GoneUpstream {
			entries = append(entries, entry)
		}
	}
	return entries
}

func TestWhenDueResponsesGoAtTypeformAfterTheirEventAndAreSeenToBeGoneADayLater(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenDue)
	e.block()
	// The one who said no has no contract that a duty keeps, so hers is due at once.
	e.want("blocked", e.run(), "told 1, gone 0, there 11, in mind 11")
	e.delete()
	e.want("deleted; hers was told long ago", e.run(), "told 10, gone 1, there 1, in mind 10")
	e.want("the same night", e.run(), "told 0, gone 0, there 1, in mind 10")
	*e.now = e.now.Add(23 * time.Hour)
	e.want("hours later", e.run(), "told 0, gone 0, there 1, in mind 10")
	*e.now = e.now.Add(time.Hour)
	e.want("a day later", e.run(), "told 0, gone 10, there 1, in mind 0")
	entries := e.gone()
	if len(entries) != 2 || entries[1].Event != string(e.event) || entries[1].Form != string(form) || entries[1].Counts["gone"] != 10 {
		t.Errorf("the ledger says %+v", entries)
	}
	if tasks := e.tasks("Typeform"); len(tasks) > 0 {
		t.Errorf("staff are asked %+v", tasks)
	}
}

func TestWhatIsStillShownIsDeletedAgain(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenBlocked)
	e.typeform.SetFaults(typeformtest.Faults{Unheard: true})
	e.block()
	e.want("blocked", e.run(), "told 11, gone 0, there 12, in mind 11")
	*e.now = e.now.Add(24 * time.Hour)
	e.want("a day later they are all there", e.run(), "told 11, gone 0, there 12, in mind 11")
	e.typeform.SetFaults(typeformtest.Faults{})
	*e.now = e.now.Add(24 * time.Hour)
	e.want("the next day", e.run(), "told 11, gone 0, there 1, in mind 11")
	*e.now = e.now.Add(24 * time.Hour)
	e.want("the day after", e.run(), "told 0, gone 11, there 1, in mind 0")
}

func TestByDefaultStaffAreAskedAndNothingGoesAtTypeform(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamAsk)
	e.block()
	e.delete()
	e.want("deleted", e.run(), "told 0, gone 0, there 12, in mind 11")
	tasks := e.tasks("no more: 11")
	if len(tasks) != 1 || !strings.Contains(tasks[0].Says, "may hold others") || len(tasks[0].Responses) != 11 {
		t.Fatalf("staff are asked %+v", e.tasks(""))
	}
	if err := e.Store.FinishTask(t.Context(), tasks[0].ID, "ops"); err != nil {
		t.Fatal(err)
	}
	e.want("ticked off", e.run(), "told 0, gone 0, there 12, in mind 0")
	if again := e.tasks("Typeform"); len(again) > 0 {
		t.Errorf("staff are asked again: %+v", again)
	}
}

func TestATaskIsTickedOffByWhatThePolicySaysLater(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamAsk)
	e.block()
	e.delete()
	e.Store.Policy().FormUpstream[form] = attendees.UpstreamWhenDue
	e.want("when_due by now", e.run(), "told 11, gone 0, there 1, in mind 11")
	*e.now = e.now.Add(24 * time.Hour)
	e.want("a day later", e.run(), "told 0, gone 11, there 1, in mind 0")
	if tasks := e.tasks("Typeform"); len(tasks) > 0 {
		t.Errorf("staff are still asked %+v", tasks)
	}
}

func TestNeverKeepsNoIds(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamNever)
	e.block()
	e.want("blocked", e.run(), "told 0, gone 0, there 12, in mind 0")
	e.delete()
	e.want("deleted", e.run(), "told 0, gone 0, there 12, in mind 0")
	if tasks := e.tasks("Typeform"); len(tasks) > 0 {
		t.Errorf("staff are asked %+v", tasks)
	}
}

func TestAHoldKeepsResponsesAtTypeform(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenBlocked)
	one := e.eventbrite.Attendees(e.event, nil)[0].ID
	whole := must[postgres.Hold](t)(e.Store.AddHold(t.Context(), e.event, "", "a claim", "ops", attendees.Date{}))
	hers := must[postgres.Hold](t)(e.Store.AddHold(t.Context(), "", one, "hers", "ops", attendees.Date{}))
	e.block()
	e.want("held", e.run(), "told 0, gone 0, there 12, in mind 11")
	typeform := e.Typeform
	e.Puller.Typeform = nil
	e.want("held, without a token", e.run(), "told 0, gone 0, there 12, in mind 11")
	if tasks := e.tasks("Typeform"); len(tasks) > 0 {
		t.Errorf("staff are asked to delete what is held: %+v", tasks)
	}
	e.Puller.Typeform = typeform
	if err := e.Store.ReleaseHold(t.Context(), whole.ID); err != nil {
		t.Fatal(err)
	}
	e.want("one is still held", e.run(), "told 10, gone 0, there 2, in mind 11")
	if err := e.Store.ReleaseHold(t.Context(), hers.ID); err != nil {
		t.Fatal(err)
	}
	e.want("none is", e.run(), "told 1, gone 0, there 1, in mind 11")
}

func TestAnErasureReachesTypeformFromARoomAndFromASealedOne(t *testing.T) {
	t.Parallel()
	for _, way := range []attendees.Upstream{attendees.UpstreamWhenDue, attendees.UpstreamAsk} {
		e := newEnded(t, way)
		people := e.eventbrite.Attendees(e.event, nil)
		forget := func(i int) {
			must[postgres.Forgotten](t)(e.Store.Forget(t.Context(), people[i].ID, "asked"))
		}
		forget(0)
		if way == attendees.UpstreamAsk {
			forget(1)
			if tasks := e.tasks("no more: 2"); len(tasks) != 1 || len(tasks[0].Responses) != 2 {
				t.Errorf("staff are asked %+v", e.tasks(""))
			}
			continue
		}
		e.want("while it is open", e.run(), "told 1, gone 0, there 11, in mind 1")
		e.block()
		forget(1)
		e.want("sealed; with hers who said no", e.run(), "told 2, gone 1, there 9, in mind 10")
	}
}

func TestAnotherRegionAndAnUnknownFormProveNothing(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenBlocked)
	e.block()
	e.typeform.SetFaults(typeformtest.Faults{Unheard: true})
	e.want("blocked", e.run(), "told 11, gone 0, there 12, in mind 11")
	for what, spoil := range map[string]typeformtest.Faults{
		"set TYPEFORM_URL": {WrongRegion: "api.eu.typeform.com"},
		"refused with":     {Refused: 403},
	} {
		*e.now = e.now.Add(24 * time.Hour)
		e.typeform.SetFaults(spoil)
		e.want(what, e.run(), "told 0, gone 0, there 12, in mind 11")
		if tasks := e.tasks(what); len(tasks) != 1 {
			t.Errorf("%s: staff are asked %+v", what, e.tasks(""))
		}
	}
	e.typeform.SetFaults(typeformtest.Faults{})
	typeform := e.Typeform
	e.Puller.Typeform = nil
	e.want("without a token", e.run(), "told 0, gone 0, there 12, in mind 11")
	if tasks := e.tasks("TYPEFORM_TOKEN is not set"); len(tasks) != 1 {
		t.Errorf("without a token staff are asked %+v", e.tasks(""))
	}
	e.Puller.Typeform = typeform
	if _, err := e.Store.DB().Exec(`update upstream set form_id = 'unknown'`); err != nil {
		t.Fatal(err)
	}
	e.Store.Policy().FormUpstream["unknown"] = attendees.UpstreamWhenDue
	e.want("an unknown form", e.run(), "told 0, gone 0, there 12, in mind 11")
	if tasks := e.tasks("not found"); len(tasks) != 1 {
		t.Errorf("about an unknown form staff are asked %+v", e.tasks(""))
	}
	if entries := e.gone(); len(entries) > 0 {
		t.Errorf("the ledger says %+v", entries)
	}
}

func TestARunThatDiesBetweenCallAndNoteIsDoneAgainWithoutHarm(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenBlocked)
	e.block()
	if _, err := e.Store.DB().Exec(`
		create function die() returns trigger language plpgsql as $$ begin raise 'the machine is gone'; end $$;
		create trigger die before update of told_at on upstream for each row execute function die()`); err != nil {
		t.Fatal(err)
	}
	p := *e.Puller
	p.Store = e.Store
	n, err := p.Upstream(context.WithoutCancel(t.Context()))
	if err == nil {
		t.Fatal("it did not die")
	}
	e.want("died", e.says(n), "told 0, gone 0, there 1, in mind 11")
	if _, err := e.Store.DB().Exec(`drop trigger die on upstream`); err != nil {
		t.Fatal(err)
	}
	e.want("again", e.run(), "told 11, gone 0, there 1, in mind 11")
	*e.now = e.now.Add(24 * time.Hour)
	e.want("a day later", e.run(), "told 0, gone 11, there 1, in mind 0")
}

func TestAResponseThatAnotherEventNeedsStaysAtTypeform(t *testing.T) {
	t.Parallel()
	e := newEnded(t, attendees.UpstreamWhenBlocked)
	other := e.world.event(0)
	e.discover()
	e.world.link(other, typeformtest.AgreementForm())
	if _, err := e.Store.DB().Exec(`
		insert into upstream (id, event_id, form_id, response_id)
		select p.id, e.id, p.form_id, p.source_id
		from personal p, events e
		where p.part = 'response' and p.attendee_id is not null and e.source_id = $1`, other); err != nil {
		t.Fatal(err)
	}
	e.Store.Policy().FormUpstream[form] = attendees.UpstreamWhenDue
	e.block()
	e.delete()
	e.want("the other keeps them", e.run(), "told 0, gone 0, there 12, in mind 22")
}

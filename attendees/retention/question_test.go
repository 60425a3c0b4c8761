package retention_test

import (
	"context"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// doubtful takes the agreements of attendees 2 and 3 away, as if nobody had told them of the
// form: more than half of five never agreed.
func doubtful(w *coretest.World) {
	w.Helper()
	w.Save(coretest.Ticket("5", "1", "P 5", "p5@n.example"))
	for _, id := range []attendees.AttendeeID{"2", "3"} {
		if _, err := w.Pool.Exec(`delete from responses where attendee_id = $1`, w.Key("1", id)); err != nil {
			w.Fatal(err)
		}
		if _, err := w.Pool.Exec(`update attendees set agreed = false where id = $1`, w.Key("1", id)); err != nil {
			w.Fatal(err)
		}
	}
}

func answer(w *coretest.World, a events.Question) {
	w.Helper()
	if _, err := w.Retention.Answer(w.Context(), "1", a, "the right form"); err != nil {
		w.Fatal(err)
	}
}

// postponed reopens event 1, which ends in a month.
func postponed(w *coretest.World) {
	w.Helper()
	w.Event("1")
	if err := w.Retention.Reopen(w.Context(), "1", "it was postponed"); err != nil {
		w.Fatal(err)
	}
}

func TestWhereFewAgreedTheDoubtKeyWaitsForAnAnswer(t *testing.T) {
	t.Parallel()
	for a, want := range map[events.Question]string{
		events.Drop: "map[1:[kept]]",
		events.Keep: "map[1:[kept] 2:[doubt] 3:[doubt] 4:[doubt] 5:[doubt]]",
	} {
		w := started(t)
		four(w)
		doubtful(w)
		block(w, "1")
		if e := w.Stored("1"); e.Question != events.Asked || w.Tasks(events.TaskAgreements) != 1 {
			t.Fatalf("question %q, %d tasks, want it asked", e.Question, w.Tasks(events.TaskAgreements))
		}
		if n := len(opened(w, "1")); n != 5 {
			t.Errorf("%d records open to the officer while it is asked, want 5", n)
		}
		answer(w, a)
		if got := kinds(w, "1"); got != want || w.Tasks(events.TaskAgreements) != 0 {
			t.Errorf("after %s records %s, want %s", a, got, want)
		}
		if n := count(w, `select count(*) from keys where name = 'doubt'`); (n == 0) != (a == events.Drop) {
			t.Errorf("after %s there are %d doubt keys", a, n)
		}
		if _, err := w.Retention.Answer(t.Context(), "1", a, "again"); err == nil {
			t.Error("it is answered twice")
		}
	}
}

func TestAnAttendeeWithAnOpenClaimThatSaysYesIsInDoubt(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	w.Answer(coretest.Response("c", "4", october, coretest.Answers{"agree": {"true"}, "email": {"elsewhere@n.example"}}))
	if w.Tasks(events.TaskClaim) != 1 {
		t.Fatal("the response is no claim")
	}
	block(w, "1")
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept] 4:[doubt]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	if e := w.Stored("1"); e.Question != events.Asked || w.Tasks(events.TaskClaim) != 0 {
		t.Errorf("question %q, %d claims wait", e.Question, w.Tasks(events.TaskClaim))
	}
}

func TestUnmatchedAgreementsPutAllWhoNeverAgreedInDoubt(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	for _, id := range []string{"u1", "u2", "u3"} {
		w.Answer(coretest.Response(id, "", october, coretest.Answers{"agree": {"true"}, "email": {attendees.Personal(id + "@n.example")}}))
	}
	past(w, "1")
	prepared := func() string {
		if err := w.Retention.Prepare(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		return kinds(w, "1")
	}
	if got, want := prepared(), "map[1:[kept] 2:[kept] 3:[kept]]"; got != want {
		t.Errorf("with a handful records %s, want %s", got, want)
	}
	w.Answer(coretest.Response("u4", "", october, coretest.Answers{"agree": {"true"}, "email": {"u4@n.example"}}))
	if got, want := prepared(), "map[1:[kept] 2:[kept] 3:[kept] 4:[doubt]]"; got != want {
		t.Errorf("with more records %s, want %s", got, want)
	}
}

func TestAnEventWhoseSourcesFailWaitsSevenDays(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	from := w.Stored("1").BlockedFrom()
	fail := func() {
		if _, err := w.Events.Feeds.Fail(t.Context(), events.FormFeed("f"), "403"); err != nil {
			t.Fatal(err)
		}
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.Events.MarkRead(ctx, tx, e, true) })
	for after, want := range map[time.Duration]string{
		time.Hour:               "event 1 has not been read to the end yet: it is blocked once it is",
		7*24*time.Hour - 1e9:    "event 1 waits for a source that fails: it is blocked as it is on " + from.Add(7*24*time.Hour).Format("2 January 2006"),
		7*24*time.Hour + 1*1e9:  "",
		7*24*time.Hour + 60*1e9: "",
	} {
		if w.Now = from.Add(after); after > time.Hour {
			fail()
		} else if _, err := w.Pool.Exec(`update feeds set failed_at = null`); err != nil {
			t.Fatal(err)
		}
		plan, err := w.Retention.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if why := plan.Events[0].Waits; why != nil {
			got = why.Error()
		}
		if got != want {
			t.Errorf("%s after its block date it waits: %q, want %q", after, got, want)
		}
	}
	w.Now = from.Add(8 * 24 * time.Hour)
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept] 4:[doubt]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
	// The form answers again: its agreements may come yet.
	if _, err := w.Pool.Exec(`update feeds set failed_at = null, failure = ''`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Retention.Answer(t.Context(), "1", events.Drop, "never"); err == nil {
		t.Error("those in doubt are dropped although the form answers again")
	}
	if err := w.Retention.Reopen(t.Context(), "1", "the form answers again"); err != nil {
		t.Fatal(err)
	}
	w.Save(coretest.Ticket("4", "1", "P 4", "p4@n.example"))
	w.Answer(coretest.Response("t4", "4", october, coretest.Answers{"agree": {"true"}}))
	if err := w.Stored("1").Readable(w.Now); err == nil {
		t.Error("an event that had ended is shown")
	}
	w.Dry("1")
	if err := w.Retention.Block(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept] 4:[kept]]"; got != want || w.Stored("1").Question != "" {
		t.Errorf("records %s, want %s; question %q", got, want, w.Stored("1").Question)
	}
}

func TestThoseWhomStaffKeptStayWhenTheEventIsReopened(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	doubtful(w)
	block(w, "1")
	answer(w, events.Keep)
	postponed(w)
	w.Save(coretest.Ticket("6", "1", "P 6", "p6@n.example"), coretest.Ticket("7", "1", "P 7", "p7@n.example")) // nobody else is there any more
	block(w, "1")
	if e := w.Stored("1"); e.Question != "" && e.Question != events.Asked {
		t.Errorf("question %q", e.Question)
	}
	if w.Stored("1").Question == events.Asked {
		answer(w, events.Drop)
	}
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[doubt] 3:[doubt] 4:[doubt] 5:[doubt]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
}

func TestThoseInDoubtWhoAreNotReadAgainAreAskedAboutAgain(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	doubtful(w)
	block(w, "1")
	postponed(w)
	if _, err := w.Retention.Answer(t.Context(), "1", events.Keep, "too early"); err == nil {
		t.Error("the question of an open event is answered")
	}
	for _, id := range []string{"1", "2", "3", "4"} { // 5 is gone at the source
		w.Save(coretest.Ticket(id, "1", "P "+id, "p"+id+"@n.example"))
		w.Answer(coretest.Response("t"+id, id, october, coretest.Answers{"agree": {"true"}}))
	}
	block(w, "1")
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept doubt] 3:[kept doubt] 4:[kept doubt] 5:[doubt]]"; got != want || w.Stored("1").Question != events.Asked {
		t.Errorf("records %s, want %s; question %q", got, want, w.Stored("1").Question)
	}
	answer(w, events.Drop)
	if got, want := kinds(w, "1"), "map[1:[kept] 2:[kept] 3:[kept] 4:[kept]]"; got != want {
		t.Errorf("records %s, want %s", got, want)
	}
}

func TestACorrectionThatOnlyTheOfficerOpensIsEnteredAgain(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	block(w, "1")
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return w.People.Correct(ctx, tx, e, w.Key("1", "1"), attendees.Name, "P One", "p1@n.example")
	})
	postponed(w)
	if w.Tasks(events.TaskCorrected) != 1 {
		t.Errorf("%d tasks, want one for the correction", w.Tasks(events.TaskCorrected))
	}
}

func TestACorrectionGoesWithTheAttendeeWhomNoAgreementKeeps(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	doubtful(w)
	block(w, "1")
	for _, id := range []attendees.AttendeeID{"1", "4"} {
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			return w.People.Correct(ctx, tx, e, w.Key("1", id), attendees.Name, "P Correct", "p4@n.example")
		})
	}
	answer(w, events.Drop)
	if n := count(w, `select count(*) from records where kind = 'corrected'`); n != 1 {
		t.Errorf("%d corrections are left, want that of who agreed", n)
	}
}

func TestANewHolderOfAReopenedTicketHasAgreedToNothing(t *testing.T) {
	t.Parallel()
	w := started(t)
	four(w)
	block(w, "1")
	postponed(w)
	w.Save(coretest.Ticket("1", "1", "P 1", "p1@n.example"), coretest.Ticket("2", "1", "Other Person", "other@n.example"), coretest.Ticket("3", "1", "P 3", "p3@n.example"))
	agreed := map[string]bool{}
	for key, a := range w.Shown("1") {
		agreed[key] = false
		if n := count(w, `select count(*) from attendees where counts_as_agreed and id = '`+w.Key("1", a.ID).String()+`'`); n == 1 {
			agreed[key] = true
		}
	}
	if !agreed["1/0"] || !agreed["3/0"] || agreed["2/1"] {
		t.Errorf("who counts as agreed: %v", agreed)
	}
}

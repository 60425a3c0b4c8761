package postgres_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestSaveCountsWhatChanged(t *testing.T) {
	w := newWorld(t)
	ada, bo := person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org")
	equal(t, "first", w.save(ada, bo)["4711"], postgres.Changes{New: 2})
	equal(t, "again", w.save(ada, bo)["4711"], postgres.Changes{Unchanged: 2})

	ada.Name, ada.Changed = "Ada Sample", june
	bo.Cancelled, bo.Changed = true, june
	equal(t, "changed and cancelled", w.save(ada, bo)["4711"], postgres.Changes{Changed: 1, Cancelled: 1})
	equal(t, "the default list", w.list("4711", attendees.ParticipationAgreement, attendees.Attending), []string{"1 Ada Sample <ada@example.org> attending"})
	equal(t, "the whole list", w.list("4711", attendees.ParticipationAgreement, postgres.AnyStatus),
		[]string{"1 Ada Sample <ada@example.org> attending", "2 Bo Example <bo@example.org> cancelled"})

	old := person("1", "4711", "Ada Outdated", "ada@example.org")
	equal(t, "an older version after a newer one", w.save(old)["4711"], postgres.Changes{Unchanged: 1})

	ada.Name, ada.Changed = "", june.Add(time.Hour)
	w.save(ada)
	equal(t, "a value that became empty upstream", w.list("4711", attendees.ParticipationAgreement, attendees.Attending), []string{"1  <ada@example.org> attending"})

	checkedIn := ada
	checkedIn.Attended = true
	equal(t, "a check-in, which does not move the change time", w.save(checkedIn)["4711"], postgres.Changes{Changed: 1})
}

func TestTheSameIdTwiceInABatchIsOneAttendee(t *testing.T) {
	w := newWorld(t)
	old, new := person("1", "4711", "Ada Old", "ada@example.org"), person("1", "4711", "Ada New", "ada@example.org")
	new.Changed = june
	equal(t, "changes", w.save(new, old, old)["4711"], postgres.Changes{New: 1})
	equal(t, "list", w.list("4711", attendees.ParticipationAgreement, attendees.Attending), []string{"1 Ada New <ada@example.org> attending"})
}

func TestAnAttendeeWhoMovesToAnotherEventMovesHere(t *testing.T) {
	w := newWorld(t)
	ada := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(ada)
	w.answer("4711", response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}}))
	ada.Event, ada.Changed = "4712", june
	changes := w.save(ada)
	equal(t, "changes", changes["4712"], postgres.Changes{New: 1})
	equal(t, "old event", w.list("4711", attendees.Forum, postgres.AnyStatus), []string(nil))
	equal(t, "new event", w.list("4712", attendees.Forum, postgres.AnyStatus), []string{"1 Ada Example <ada@example.org> attending"})
	_, unmatched := w.answered("u6nXL7")
	_ = unmatched
	old, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	n, err := w.Unmatched(t.Context(), old)
	if err != nil || n != 1 {
		t.Errorf("the answers left behind: %d unmatched (%v), want 1", n, err)
	}
}

func (w world) answered(form attendees.FormID) (all, unmatched int) {
	w.t.Helper()
	all, unmatched, err := w.Answered(w.t.Context(), form)
	if err != nil {
		w.t.Fatal(err)
	}
	return all, unmatched
}

func TestNobodyIsListedNorSavedFromTheBlockDateOn(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = time.Date(2027, 7, 19, 21, 59, 0, 0, time.UTC) // 23:59 in Berlin
	if got := w.list("4711", attendees.ParticipationAgreement, attendees.Attending); len(got) != 1 {
		t.Errorf("a minute before the block date %d are listed, want 1", len(got))
	}
	w.clock.now = w.clock.now.Add(time.Minute)
	for _, err := range w.Attending(t.Context(), "4711", attendees.ParticipationAgreement, attendees.Attending) {
		var blocked *postgres.BlockedError
		if !errors.As(err, &blocked) {
			t.Errorf("from the block date on the list gives %v, want a BlockedError", err)
		}
	}
	equal(t, "a late arrival", w.save(person("2", "4711", "Bo Example", "bo@example.org"))["4711"], postgres.Changes{Late: 1})
}

func TestResponsesFindTheirAttendeeWhateverComesFirst(t *testing.T) {
	lab := map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}, "forums": {"Open Data", "Reproducibility; really"}}
	filled := " agreed of Example Lab +Open Data +Reproducibility; really"
	for _, c := range []struct {
		what      string
		people    []attendees.Registration
		responses []attendees.Response
		want      []string
		unmatched int
	}{
		{
			"by hidden field, against its own address",
			[]attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org")},
			[]attendees.Response{response("r", "1", "Bo Example", "bo@example.org", lab)},
			[]string{"1 Ada Example <ada@example.org> attending" + filled, "2 Bo Example <bo@example.org> attending"}, 0,
		}, {
			"by address, in another spelling",
			[]attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org")},
			[]attendees.Response{response("r", "", "", " ADA@Example.org", lab)},
			[]string{"1 Ada Example <ada@example.org> attending" + filled}, 0,
		}, {
			"in a group order by the name that agrees",
			[]attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo  Example", "ada@example.org")},
			[]attendees.Response{response("r", "", "bo example", "ada@example.org", lab)},
			[]string{"1 Ada Example <ada@example.org> attending", "2 Bo  Example <ada@example.org> attending" + filled}, 0,
		}, {
			"in a group order nobody where no name agrees",
			[]attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Ada Example", "ada@example.org")},
			[]attendees.Response{response("r", "", "Ada Example", "ada@example.org", lab)},
			[]string{"1 Ada Example <ada@example.org> attending", "2 Ada Example <ada@example.org> attending"}, 1,
		}, {
			"nobody by an address that nobody has",
			[]attendees.Registration{person("1", "4711", "Ada Example", "ada@example.org")},
			[]attendees.Response{response("r", "", "Ada Example", "eda@example.org", lab)},
			[]string{"1 Ada Example <ada@example.org> attending"}, 1,
		}, {
			"name and address from the form where the source has none; the latest answer first",
			[]attendees.Registration{person("1", "4711", "", "")},
			[]attendees.Response{response("r", "1", "Ada Example", "ada@example.org", lab),
				func() attendees.Response {
					r := response("r0", "1", "Ada Former", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Old Lab"}})
					r.Submitted = r.Submitted.Add(-time.Hour)
					return r
				}()},
			[]string{"1 Ada Example <ada@example.org> attending" + filled}, 0,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, peopleFirst := range []bool{true, false} {
				w := newWorld(t)
				if peopleFirst {
					w.save(c.people...)
				}
				w.answer("4711", c.responses...)
				for _, p := range c.people { // one after the other: an address may belong to one person for a while
					w.save(p)
				}
				got := w.list("4711", attendees.ParticipationAgreement, attendees.Attending)
				forum := w.list("4711", attendees.Forum, attendees.Attending)
				for i := range got { // the two purposes' lists side by side
					got[i] = join(got[i], forum[i])
				}
				equal(t, "list", got, c.want)
				e, err := w.Event(t.Context(), "4711")
				if err != nil {
					t.Fatal(err)
				}
				if n, err := w.Unmatched(t.Context(), e); err != nil || n != c.unmatched {
					t.Errorf("people first: %v: %d unmatched (%v), want %d", peopleFirst, n, err, c.unmatched)
				}
			}
		})
	}
}

// join adds to an agreement's line what a forum's line has behind it.
func join(agreement, forum string) string {
	for i := len("1  "); i < len(forum); i++ {
		if n := len(forum) - i; n > 4 && forum[i:i+4] == " of " {
			return agreement + forum[i:]
		}
	}
	return agreement
}

func TestWhoDoesNotAttendLosesForumFieldsAndGetsThemBackWithAnswers(t *testing.T) {
	w := newWorld(t)
	ada := person("1", "4711", "Ada Example", "ada@example.org")
	w.save(ada)
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	err = w.SaveLink(t.Context(), e, postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.Forum,
		Fields: []postgres.LinkedField{{Field: attendees.Affiliation, Question: "affiliation", ID: "f1"}}})
	if err != nil {
		t.Fatal(err)
	}
	answers := response("r", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}})
	w.answer("4711", answers)
	ada.Refunded, ada.Changed = true, june
	w.save(ada)
	equal(t, "refunded", w.list("4711", attendees.Forum, postgres.AnyStatus), []string{"1 Ada Example <ada@example.org> refunded"})
	var left int
	if err := w.DB().Get(&left, `select count(*) from personal where affiliation <> ''`); err != nil || left != 0 {
		t.Errorf("%d rows still hold the affiliation (%v)", left, err)
	}

	before, _ := w.Feed(t.Context(), postgres.FormFeed("u6nXL7"))
	ada.Refunded, ada.Changed = false, june.Add(time.Hour)
	w.save(ada)
	after, err := w.Feed(t.Context(), postgres.FormFeed("u6nXL7"))
	if err != nil || after.Generation <= before.Generation || after.Watermark != nil {
		t.Errorf("the form is not read again: generation %d after %d (%v)", after.Generation, before.Generation, err)
	}
	w.answer("4711", answers)
	equal(t, "attending again", w.list("4711", attendees.Forum, attendees.Attending), []string{"1 Ada Example <ada@example.org> attending of Example Lab"})
}

func TestUnmatchedResponsesAreDroppedAfterTheirTime(t *testing.T) {
	w := newWorld(t)
	w.answer("4711", response("r", "", "Nobody Here", "nobody@example.org", nil))
	w.clock.now = june.AddDate(0, 0, 13)
	if n, err := w.DropUnmatched(t.Context()); n != 0 || err != nil {
		t.Errorf("after 13 days %d were dropped (%v), want none", n, err)
	}
	w.clock.now = june.AddDate(0, 0, 14).Add(time.Second)
	if n, err := w.DropUnmatched(t.Context()); n != 1 || err != nil {
		t.Errorf("after 14 days %d were dropped (%v), want 1", n, err)
	}
}

func TestMissingNamesWhoACompleteListingDidNot(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2-1", "4711", "Bo Example", "bo@example.org"))
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	var l postgres.Listing
	l.Saw(attendees.Eventbrite, "1")
	l.Saw(attendees.Eventbrite, "1")
	back := postgres.ListingOf(l.Bytes())
	missing, held, err := w.Missing(t.Context(), e, back)
	if err != nil || held != 2 || !slices.Equal(missing, []attendees.AttendeeID{"2-1"}) || back.Len() != 1 {
		t.Errorf("missing %v of %d (%v)", missing, held, err)
	}
	if n, err := w.MarkGone(t.Context(), e, attendees.Eventbrite, missing); n != 1 || err != nil {
		t.Fatalf("%d went (%v)", n, err)
	}
	equal(t, "list", w.list("4711", attendees.Forum, attendees.Attending), []string{"1 Ada Example <ada@example.org> attending"})
	equal(t, "who comes back upstream", w.save(person("2-1", "4711", "Bo Example", "bo@example.org"))["4711"], postgres.Changes{Changed: 1})
}

func TestProgressOfARewoundFeedIsNotKept(t *testing.T) {
	w := newWorld(t)
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Feed(t.Context(), postgres.FormFeed("u6nXL7"))
	if err != nil {
		t.Fatal(err)
	}
	link := postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.Forum}
	if err := w.SaveLink(t.Context(), e, link); err != nil {
		t.Fatal(err)
	}
	f.Watermark = &june
	tx := w.DB().MustBegin()
	defer func() { _ = tx.Rollback() }()
	if kept, err := w.SaveFeed(t.Context(), tx, f); kept || err != nil {
		t.Errorf("progress of a run that began before the link was kept (%v, %v)", kept, err)
	}
}

func TestAFeedIsReadByOneAtATimeAndALockDiesWithItsHolder(t *testing.T) {
	w := newWorld(t)
	unlock, err := w.LockFeed(t.Context(), "feed", func() { t.Error("the first one waits") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, got := make(chan bool, 1), make(chan error)
	go func() {
		second, err := w.LockFeed(t.Context(), "feed", func() { waiting <- true })
		if err == nil {
			second()
		}
		got <- err
	}()
	<-waiting
	select {
	case <-got:
		t.Fatal("two hold the lock")
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

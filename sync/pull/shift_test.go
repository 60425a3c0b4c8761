package pull_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
)

// changed lets n people register an hour or two ago, and has the feed read up to before
// that: all of them are its next changes.
func (w world) changed(event attendees.EventID, n int, feed postgres.FeedName) []attendees.AttendeeID {
	w.t.Helper()
	ids := w.eventbrite.AddPeople(event, n)
	at := time.Now().Add(-2 * time.Hour)
	for i, id := range ids {
		if err := w.eventbrite.Change(id, func(p *eventbritetest.Person) { p.Changed = at.Add(time.Duration(i/5) * time.Second) }); err != nil {
			w.t.Fatal(err)
		}
	}
	w.set(feed, `watermark`, time.Now().Add(-150*time.Minute))
	return ids
}

func (w world) set(feed postgres.FeedName, column string, value any) {
	w.t.Helper()
	if _, err := w.Store.DB().Exec(`update feeds set `+column+` = $2 where name = $1`, feed, value); err != nil {
		w.t.Fatal(err)
	}
}

func TestAListingOfChangesThatShiftsUnderTheReaderLosesNobody(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprint("the event's own: ", own), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, eventbritetest.Options{Limit: -1})
			event := w.event(10)
			w.discover()
			must[pull.Report](t)(w.Event(t.Context(), event))
			must[pull.Report](t)(w.Organization(t.Context(), w.org))
			read, feed := func() (pull.Report, error) { return w.Organization(t.Context(), w.org) }, postgres.OrganizationFeed(w.org)
			if own {
				read, feed = func() (pull.Report, error) { return w.Event(t.Context(), event) }, postgres.EventFeed(event)
			}
			ids := w.changed(event, 2000, feed)
			pages := 0
			w.Progress = func(pull.Progress) { // one behind the reader changes: everybody after slides a place forwards
				if pages++; pages <= 30 {
					if err := w.eventbrite.Change(ids[50*(pages-1)], func(p *eventbritetest.Person) { p.Changed = time.Now() }); err != nil {
						t.Error(err)
					}
				}
			}
			must[pull.Report](t)(read())
			w.same(event)
		})
	}
}

func TestAListingThatCountsMoreThanItNamesIsNotBelievedDry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(10)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	feed := postgres.OrganizationFeed(w.org)
	w.changed(event, 120, feed)
	before := must[postgres.Feed](t)(w.Store.Feed(t.Context(), feed)).Watermark
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.CountsMore = 1 })
	report := must[pull.Report](t)(w.Organization(t.Context(), w.org))
	f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), feed))
	if !f.Watermark.Equal(*before) || !strings.Contains(report.Attention, "counts") {
		t.Errorf("the watermark went from %v to %v, the operator is told %q", before, f.Watermark, report.Attention)
	}
	// After a day of it the listing miscounts, and is not read again for ever.
	w.set(feed, `watermark`, time.Now().Add(-25*time.Hour))
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	f = must[postgres.Feed](t)(w.Store.Feed(t.Context(), feed))
	if time.Since(*f.Watermark) > time.Hour {
		t.Errorf("the watermark stays at %v", f.Watermark)
	}
	w.same(event)
}

// cutOff cancels a pull when it has read so many pages.
func (w world) cutOff(pages int, read func(context.Context) (pull.Report, error)) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.Progress = func(pull.Progress) {
		if pages--; pages == 0 {
			cancel()
		}
	}
	defer func() { w.Progress = nil }()
	if _, err := read(ctx); !errors.Is(err, context.Canceled) {
		w.t.Fatalf("the pull ended with %v, want that it was cut off", err)
	}
}

func TestAReconcileThatWasCutOffHidesNoChangeAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(3000)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.cutOff(40, func(ctx context.Context) (pull.Report, error) { return w.Reconcile(ctx, event) })
	stood := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.EventFeed(event))).RunPage
	if stood < 30 {
		t.Fatalf("the cut-off reconcile kept progress up to page %d", stood)
	}
	w.arrive(event, 20)
	report := must[pull.Report](t)(w.Event(t.Context(), event))
	w.same(event)
	if report.Pages > 60-stood+10 {
		t.Errorf("%d pages were read: the reconcile's progress was thrown away", report.Pages)
	}
}

func TestAStoppedPullKeepsWhatItHasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(10)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.changed(event, 2000, postgres.OrganizationFeed(w.org))
	w.cutOff(20, func(ctx context.Context) (pull.Report, error) { return w.Organization(ctx, w.org) })
	e := must[postgres.Event](t)(w.Store.Event(t.Context(), event))
	if n := must[int](t)(w.Store.Count(t.Context(), e, postgres.AnyStatus)); n < 10+19*50 {
		t.Errorf("%d are held of 20 pages that were read", n)
	}
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.same(event)
}

// behind is the time of a source that is an hour behind the machine's clock.
func behind() time.Time { return time.Now().Add(-time.Hour) }

func TestAClockThatIsAheadForOnePullHidesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1, Now: behind})
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = -time.Hour })
	w.Now = behind
	event := w.event(30)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	other := w.another(w.Store, w.Log) // a fresh process: it has not heard the source's clock yet
	other.Now = time.Now
	must[pull.Report](t)(other.Organization(t.Context(), w.org))
	w.arrive(event, 3)
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.same(event)
}

func TestAFirstPullByAClockThatIsAheadHidesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1, Now: behind})
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Ahead = -time.Hour })
	event := w.event(30)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.Now = behind
	w.arrive(event, 3)
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.same(event)
}

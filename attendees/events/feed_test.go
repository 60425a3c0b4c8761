package events_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

func (w *world) feed(name events.FeedName) events.Feed {
	w.Helper()
	f, err := w.store.Feeds.Get(w.Context(), w.pool, name)
	if err != nil {
		w.Fatal(err)
	}
	return f
}

func (w *world) saveFeed(f events.Feed) error {
	return db.InTx(w.Context(), w.pool, func(tx db.Tx) error { return w.store.Feeds.Save(w.Context(), tx, f) })
}

// ran has a feed's run end complete now.
func (w *world) ran(name events.FeedName) {
	w.Helper()
	f := w.feed(name)
	f.Watermark, f.Finished, f.FailedAt, f.Failure = &w.now, &w.now, nil, ""
	if err := w.saveFeed(f); err != nil {
		w.Fatal(err)
	}
}

func TestARunThatIsCutOffResumesWhereItsTransactionsEnded(t *testing.T) {
	w := newWorld(t)
	f := w.feed("eventbrite/event/1")
	if !reflect.DeepEqual(f, events.Feed{Name: "eventbrite/event/1"}) {
		t.Fatalf("a feed that was never read is %+v", f)
	}
	began := w.now
	f.RunStarted, f.RunPage, f.RunSeen = &began, 3, []byte("hashes")
	if err := w.saveFeed(f); err != nil {
		t.Fatal(err)
	}
	f.RunPage = 4
	cut := errors.New("cut off")
	err := db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
		if err := w.store.Feeds.Save(t.Context(), tx, f); err != nil {
			return err
		}
		return cut
	})
	if g := w.feed(f.Name); !errors.Is(err, cut) || g.RunPage != 3 || !g.RunStarted.Equal(began) || string(g.RunSeen) != "hashes" || g.Watermark != nil {
		t.Errorf("it resumes at %+v, want page 3 and no watermark", g)
	}
}

func TestProgressOfARewoundFeedIsRefusedWithAllThatCameWithIt(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	f, g := w.feed(events.FormFeed("f")), w.feed(events.FormFeed("g"))
	w.link("1", form("f", "q1"))
	f.Watermark, g.Watermark = &w.now, &w.now
	err := db.InTx(t.Context(), w.pool, func(tx db.Tx) error {
		if _, err := w.store.WriteOne(t.Context(), tx, "1"); err != nil {
			return err
		}
		return w.store.Feeds.Save(t.Context(), tx, f)
	})
	if !errors.Is(err, events.ErrRewound) || w.feed(f.Name).Watermark != nil {
		t.Errorf("progress of a run that began before the link: %v, want ErrRewound", err)
	}
	if v := w.event("1").Version; v != 1 {
		t.Errorf("version %d, want 1: what came with it is stored", v)
	}
	if err := w.saveFeed(g); err != nil || w.feed(g.Name).Watermark == nil {
		t.Errorf("another form is refused, too: %v", err)
	}
	f = w.feed(f.Name)
	f.Watermark = &w.now
	if err := w.saveFeed(f); err != nil {
		t.Errorf("read again, it is refused: %v", err)
	}
}

func TestAFeedThatFailsKeepsSinceWhenAndStopsNoOther(t *testing.T) {
	w := newWorld(t)
	w.ran("typeform/form/f")
	w.ran("typeform/form/g")
	since := w.now
	for i, want := range []bool{true, false, false} {
		began, err := w.store.Feeds.Fail(t.Context(), "typeform/form/f", "403")
		if err != nil || began != want {
			t.Errorf("failure %d: it begins to fail: %v (%v)", i, began, err)
		}
		w.now = w.now.Add(time.Hour)
	}
	f := w.feed("typeform/form/f")
	if f.FailedAt == nil || !f.FailedAt.Equal(since) || f.Failure != "403" || f.Watermark == nil {
		t.Errorf("it fails since %v: %q", f.FailedAt, f.Failure)
	}
	w.tx(func(ctx context.Context, tx db.Tx) error { return w.store.Feeds.Rewind(ctx, tx, f.Name) })
	if f := w.feed(f.Name); f.FailedAt == nil || f.Watermark != nil {
		t.Error("rewound, it fails as before")
	}
	if g := w.feed("typeform/form/g"); g.FailedAt != nil || g.Watermark == nil || g.Generation != 0 {
		t.Errorf("the other form: %+v", g)
	}
	w.ran(f.Name)
	if began, err := w.store.Feeds.Fail(t.Context(), f.Name, "503"); err != nil || !began {
		t.Errorf("it was read meanwhile, and does not begin to fail (%v)", err)
	}
	for _, says := range []string{"look", ""} {
		if err := w.store.Feeds.Note(t.Context(), "eventbrite/events/900", says); err != nil || w.feed("eventbrite/events/900").Attention != says {
			t.Errorf("the operator is to look at %q (%v)", w.feed("eventbrite/events/900").Attention, err)
		}
	}
	if all, err := w.store.Feeds.List(t.Context()); err != nil || len(all) != 3 || all[0].Name != events.EventsFeed("900") {
		t.Errorf("listed are %d feeds (%v)", len(all), err)
	}
}

func TestAnEventsSourcesAreDryOnceItsListingAndEachFormWereReadAfterItsBlockDate(t *testing.T) {
	w := newWorld(t)
	w.save("1", w.now.AddDate(0, 0, -20))
	w.link("1", form("f", "q1"))
	w.link("1", form("g", "q1"))
	dry := func() bool {
		t.Helper()
		from, err := w.store.SourcesOf(t.Context(), w.pool, w.event("1"))
		if err != nil {
			t.Fatal(err)
		}
		return from.Dry
	}
	read := func() {
		t.Helper()
		w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.MarkRead(ctx, tx, e, false) })
	}
	w.ran(events.FormFeed("f"))
	w.ran(events.FormFeed("g"))
	read()
	if dry() {
		t.Error("its forms were last read before its block date")
	}
	w.now = w.now.AddDate(0, 0, 15)
	w.ran(events.FormFeed("f"))
	if dry() {
		t.Error("one form was not read after the block date")
	}
	w.ran(events.FormFeed("g"))
	if !dry() {
		t.Error("all is read")
	}
	w.tx(func(ctx context.Context, tx db.Tx) error { return w.store.Feeds.Rewind(ctx, tx, events.FormFeed("g")) })
	if dry() {
		t.Error("one form was rewound")
	}
	w.ran(events.FormFeed("g"))
	w.in("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.store.ReadAgain(ctx, tx, e) })
	w.ran(events.FormFeed("f"))
	w.ran(events.FormFeed("g"))
	if dry() || w.event("1").ReadAt != nil {
		t.Error("its own listing is to be read again")
	}
	read()
	if !dry() {
		t.Error("all is read again")
	}
}

func TestWhatFailsOfAnEventsSourcesIsNamedWithSinceWhen(t *testing.T) {
	w := newWorld(t)
	w.twoEvents()
	w.link("1", form("f", "q1"))
	first := w.now
	for _, name := range []events.FeedName{events.OrganizationFeed("900"), events.FormFeed("f"), events.EventFeed("2"), events.FormFeed("g")} {
		if _, err := w.store.Feeds.Fail(t.Context(), name, "refused"); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Hour)
	}
	of := func(id attendees.EventID) events.Sources {
		t.Helper()
		from, err := w.store.SourcesOf(t.Context(), w.pool, w.event(id))
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	if from := of("1"); from.Dry || !from.Failing.Equal(first) || !reflect.DeepEqual(from.Failed, []events.FeedName{"eventbrite/organization/900", "typeform/form/f"}) {
		t.Errorf("of event 1 %+v fail", from)
	}
	w.ran(events.OrganizationFeed("900"))
	w.ran(events.EventFeed("2"))
	if from := of("2"); !from.Failing.IsZero() || len(from.Failed) > 0 {
		t.Errorf("of event 2 %+v fail", from)
	}
}

func TestOrganizationsThatTheTokenNoLongerSeesAreDropped(t *testing.T) {
	w := newWorld(t)
	for _, seen := range [][]events.Organization{{{ID: "900", Name: "Example"}, {ID: "901", Name: "Sample"}}, {{ID: "901", Name: "Samples"}}} {
		if err := w.store.SaveOrganizations(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
		if all, err := w.store.Organizations(t.Context()); err != nil || !reflect.DeepEqual(all, seen) {
			t.Errorf("known are %v (%v), want %v", all, err, seen)
		}
		w.now = w.now.Add(time.Hour)
	}
}

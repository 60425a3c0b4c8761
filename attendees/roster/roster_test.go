package roster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/roster"
	"lethe/attendees/vault"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var october = time.Date(2026, 10, 2, 10, 0, 0, 0, time.UTC)

func open(w *coretest.World, s *roster.Store) *roster.Roster {
	w.Helper()
	r, err := s.Open(w.Context(), "1")
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func names(r *roster.Roster, q roster.Query) (all []string) {
	q.Limit = roster.MaxPage
	page, _ := r.List(q)
	for _, e := range page {
		all = append(all, e.Name.Reveal())
	}
	return all
}

func TestSearchFindsNamesHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	for i, name := range []string{"Σωκράτης Θεός", "İpek Kaya", "Jose\u0301 Núñez", "Weiß, Anna", "100% Person_\"x\""} {
		w.Save(coretest.Ticket(fmt.Sprint(i), "1", name, fmt.Sprintf("p%d@n.example", i)))
	}
	r := open(w, w.Rosters)
	for words, want := range map[string]int{
		"σωκρατησ": 1, "ΣΩΚΡΆΤΗΣ": 1, "ipek": 1, "IPEK kaya": 1, "josé": 1, "jose nunez": 1, "weiss": 1, "WEIẞ": 1,
		"100%": 1, "_\"": 1, "%": 1, "_": 1, "kaya jose": 0, "p3@n": 1, "": 5,
	} {
		if got := names(r, roster.Query{Words: words}); len(got) != want {
			t.Errorf("%q finds %d, want %d", words, len(got), want)
		}
	}
}

func TestALaterRosterHasWhatWasWrittenSinceAndNothingThatIsGone(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"), coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example"))
	for _, sort := range roster.Sorts() {
		names(open(w, w.Rosters), roster.Query{Sort: sort}) // so that each order is kept
	}
	w.Save(coretest.Ticket("2", "1", "Zoe Berg", "bo@n.example"), coretest.Ticket("4", "1", "Abe Ek", "abe@n.example"))
	w.Answer(coretest.Response("t", "1", october, coretest.Answers{"agree": {"true"}}))
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.People.Erase(ctx, tx, e, w.Key("1", "3"), "3")
		return err
	})
	fresh := roster.New(w.Pool, w.Events, w.Reader, w.Policy, func() time.Time { return w.Now })
	for _, q := range []roster.Query{{}, {Sort: "email"}, {Sort: "ticket"}, {Sort: "agreed"}, {Sort: "registered"}, {Reverse: true}, {Unagreed: true}} {
		got, want := names(open(w, w.Rosters), q), names(open(w, fresh), q)
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d people in another order or number than a fresh roster's %d", q, len(got), len(want))
		}
	}
	if got := names(open(w, w.Rosters), roster.Query{}); !slices.Equal(got, []string{"Abe Ek", "Ada Lind", "Zoe Berg"}) {
		t.Errorf("%d are listed", len(got))
	}
}

func TestForumsAreOfThoseWhoChoseThem(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Link("1")
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	w.Answer(coretest.Response("t", "1", october, coretest.Answers{"aff": {"Quill Clinic"}}))
	c := open(w, w.Rosters).Count()
	if c.Purposes[attendees.Forum] != 1 || c.Purposes[attendees.ParticipationAgreement] != 2 || c.Standing[attendees.Attending] != 2 {
		t.Errorf("%+v", c)
	}
}

// Two processes with a roster each.
func TestWhatOneProcessEndsTheOtherDoesNotShow(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(w *coretest.World){
		"an erasure": func(w *coretest.World) {
			w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
				_, err := w.People.Erase(ctx, tx, e, w.Key("1", "1"), "1")
				return err
			})
		},
		"a restriction": func(w *coretest.World) {
			w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
				return w.People.Restrict(ctx, tx, e, w.Key("1", "1"), attendees.RestrictionAsked)
			})
		},
	} {
		w := coretest.New(t)
		w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
		other := roster.New(pgtest.Open(t, pgtest.Name(t, w.Pool)), w.Events, w.Reader, w.Policy, func() time.Time { return w.Now })
		if open(w, other).Len() != 2 {
			t.Fatal("the other does not show both")
		}
		end(w)
		if got := names(open(w, other), roster.Query{Standing: roster.AnyStanding}); !slices.Equal(got, []string{"Bo Berg"}) {
			t.Errorf("after %s the other shows %d", what, len(got))
		}
	}
}

func TestAPastEventHasNoRoster(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	open(w, w.Rosters)
	w.Now = w.Stored("1").BlockedFrom()
	if _, err := w.Rosters.Open(t.Context(), "1"); !errors.As(err, new(*events.BlockedError)) {
		t.Errorf("got %v, want BlockedError", err)
	}
}

func TestARosterIsForgottenWhenItsBlockDateComes(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	w.Now = w.Stored("1").BlockedFrom().Add(-300 * time.Millisecond)
	open(w, w.Rosters)
	if n := roster.Remembered(w.Rosters); n != 1 {
		t.Fatalf("%d rosters are remembered, want 1", n)
	}
	time.Sleep(time.Second) // nobody asks for it
	if n := roster.Remembered(w.Rosters); n != 0 {
		t.Errorf("%d rosters are remembered after the block date, want none", n)
	}
}

func TestAReopenedEventHasARosterOfItsNewKey(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"))
	r := open(w, w.Rosters)
	if err := w.Rosters.Current(t.Context(), r); err != nil {
		t.Errorf("the roster is not current: %v", err)
	}
	w.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	if err := w.Rosters.Current(t.Context(), r); !errors.Is(err, roster.ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		if _, err := db.Exec(ctx, tx, `delete from attendees`); err != nil { // as cleaning up does, without markers
			return err
		}
		if err := w.Vault.Destroy(ctx, tx, reader.Ref(e), vault.Working); err != nil {
			return err
		}
		return w.Events.Block(ctx, tx, e, "")
	})
	if err := w.Rosters.Current(t.Context(), r); !errors.As(err, new(*events.BlockedError)) {
		t.Errorf("got %v, want BlockedError", err)
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		_, err := w.Events.Reopen(ctx, tx, e)
		return err
	})
	w.Save(coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example"))
	if got := names(open(w, w.Rosters), roster.Query{Standing: roster.AnyStanding}); !slices.Equal(got, []string{"Cy Dahl"}) {
		t.Errorf("%d are listed, want the one who was read since", len(got))
	}
}

// While people are saved and erased by one process, readers of another never see a version
// that is older than the one that was committed when they asked, and load each at most once.
func TestNoReaderSeesWhatWasErasedBeforeItAsked(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Many("1", 300)
	other := roster.New(pgtest.Open(t, pgtest.Name(t, w.Pool)), w.Events, w.Reader, w.Policy, func() time.Time { return w.Now })
	var mu sync.Mutex
	erased := map[attendees.AttendeeID]bool{}
	done := make(chan struct{})
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				mu.Lock()
				before := maps.Clone(erased)
				mu.Unlock()
				r, err := other.Open(t.Context(), "1")
				if err != nil {
					return err
				}
				page, _ := r.List(roster.Query{Limit: roster.MaxPage, Words: "quillfeather"})
				for _, e := range page {
					if before[e.Attendee.ID] {
						return fmt.Errorf("attendee %s is shown after the erasure", e.Attendee.ID)
					}
				}
			}
		})
	}
	for i := range 40 {
		id := attendees.AttendeeID(fmt.Sprint(457_000_000 + 7*i))
		key := w.Key("1", id)
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			_, err := w.People.Erase(ctx, tx, e, key, id)
			return err
		})
		mu.Lock()
		erased[id] = true
		mu.Unlock()
		w.Save(coretest.Ticket(fmt.Sprint(i), "1", "Late Comer", fmt.Sprintf("late%d@n.example", i)))
	}
	close(done)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func TestALargeEventIsListedPageByPage(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Many("1", 25)
	small := roster.OfPeople(w.Rosters, 24)
	if _, err := small.Open(t.Context(), "1"); !errors.As(err, new(*roster.TooLargeError)) {
		t.Errorf("got %v, want TooLargeError", err)
	}
	seen := map[attendees.AttendeeID]bool{}
	var after uuid.UUID
	for {
		page, err := small.Page(t.Context(), "1", after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			seen[e.Handle()] = true
		}
		after = page[len(page)-1].ID
	}
	if len(seen) != 25 {
		t.Errorf("page by page there are %d, want 25", len(seen))
	}
	n := 0
	err := small.Walk(t.Context(), "1", func(roster.Source) error { return nil }, func(roster.View) error {
		n++
		return nil
	})
	if err != nil || n != 25 {
		t.Errorf("%d are walked over (%v), want 25", n, err)
	}
}

func TestRostersStayWithinTheirBudget(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Many("1", 600)
	w.Many("2", 600)
	tight := roster.OfBytes(w.Rosters, 300<<10)
	for range 2 {
		for _, id := range []attendees.EventID{"1", "2"} {
			if r, err := tight.Open(t.Context(), id); err != nil || r.Len() != 600 {
				t.Errorf("event %s: %v", id, err)
			}
			if n := roster.Remembered(tight); n != 1 {
				t.Errorf("%d rosters are remembered, want the one that was used last", n)
			}
		}
	}
}

func TestTalliesAreOfTheVersionThatIsAskedFor(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Event("2")
	w.Link("1")
	cancelled := coretest.Ticket("3", "1", "Cy Dahl", "cy@n.example")
	cancelled.Cancelled = true
	tally := func() roster.Tally {
		all, err := w.Events.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counts, err := w.Rosters.Tallies(t.Context(), all)
		if err != nil || counts[w.Stored("2").Key] != (roster.Tally{}) {
			t.Errorf("the other event: %+v (%v)", counts[w.Stored("2").Key], err)
		}
		return counts[w.Stored("1").Key]
	}
	w.Save(coretest.Ticket("1", "1", "Ada Lind", "ada@n.example"), coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"), cancelled)
	if got, want := tally(), (roster.Tally{Registered: 3, Attending: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	w.Answer(coretest.Response("t", "1", october, coretest.Answers{"agree": {"true"}, "email": {"ada@n.example"}}))
	for range 2 {
		if got, want := tally(), (roster.Tally{Registered: 3, Attending: 2, Agreed: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A former holder is named by number, everybody else by the id.
func TestFormerHoldersAreNamedApart(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	w.Save(coretest.Ticket("5001", "1", "Mara Quill", "mara@quill.example"), coretest.Ticket("5002", "1", "Bo Berg", "bo@n.example"), coretest.Ticket("5003", "1", "Cy Dahl", "cy@n.example"))
	tibor := coretest.Ticket("5001", "1", "Tibor Lasker", "tibor@lasker.example")
	tibor.Changed = october.AddDate(0, 0, 10)
	w.Save(tibor)
	if _, err := w.People.Gone(t.Context(), "1", []attendees.AttendeeID{"5002"}, 3, true); err != nil {
		t.Fatal(err)
	}
	r := open(w, w.Rosters)
	for id, want := range map[attendees.AttendeeID]string{"5001": "Tibor Lasker", "5001~1": "Mara Quill", "5002": "Bo Berg", "5003": "Cy Dahl"} {
		if e := r.Find(id); e == nil || e.Name.Reveal() != want || e.Handle() != id {
			t.Errorf("attendee %s is not found", id)
		}
	}
	if r.Find("5003~1") != nil {
		t.Error("a holder is found who never was")
	}
}

// BenchmarkRoster measures an event of 100,000, half of which have answered: cold, and
// each kind of page warm, in the middle and at the 99th percentile. MiB is what the roster
// takes, and peak-MiB what the heap has at most while it is loaded.
//
//	go test ./attendees/roster -run '^$' -bench Roster -benchtime 300x
func BenchmarkRoster(b *testing.B) {
	w := coretest.New(b)
	w.Link("1")
	w.Many("1", 100_000)
	fresh := func() *roster.Store {
		return roster.New(w.Pool, w.Events, w.Reader, w.Policy, func() time.Time { return w.Now })
	}
	b.Run("cold", func(b *testing.B) {
		before, most := heap(), uint64(0)
		for i := 0; b.Loop(); i++ {
			if i == 0 {
				most = peak(func() { open(w, fresh()) })
				continue
			}
			open(w, fresh())
		}
		b.ReportMetric(float64(most-min(most, before))/(1<<20), "peak-MiB")
	})
	pages := map[string]roster.Query{
		"list": {}, "search": {Words: "person 4711"}, "search-all": {Words: "quillfeather mail"}, "search-none": {Words: "nobody at all"}, "ticket": {Sort: "ticket", Reverse: true},
		"email": {Sort: "email", Offset: 50_000}, "registered": {Sort: "registered"}, "status": {Sort: "status", Standing: roster.AnyStanding}, "unagreed": {Unagreed: true}, "agreed": {Sort: "agreed"},
	}
	open(w, w.Rosters)
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		q := pages[name]
		q.Limit = 50
		open(w, w.Rosters).List(q) // the first sorts
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				open(w, w.Rosters).List(q)
				took = append(took, time.Since(start))
			}
			percentiles(b, took)
		})
	}
}

// BenchmarkRosterWhilePeopleAreSaved asks for pages 50 times a second while 5,000 people a
// second are saved, for ten seconds.
//
//	go test ./attendees/roster -run '^$' -bench WhilePeopleAreSaved -benchtime 1x
func BenchmarkRosterWhilePeopleAreSaved(b *testing.B) {
	w := coretest.New(b)
	w.Many("1", 100_000)
	r := open(w, w.Rosters)
	queries := []roster.Query{{Limit: 50}, {Words: "person 4711", Limit: 50}, {Sort: "email", Limit: 50, Offset: 1000}, {Sort: "ticket", Reverse: true, Limit: 50}, {Sort: "registered", Limit: 50}}
	for _, q := range queries {
		r.List(q)
	}
	for b.Loop() {
		ctx, stop := context.WithCancel(b.Context())
		var group errgroup.Group
		group.Go(func() error {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n += 500 {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				var some []attendees.Registration
				for i := range 500 {
					id := fmt.Sprint(457_000_000 + (n+i)%100_000)
					some = append(some, coretest.Ticket(id, "1", fmt.Sprintf("Person %d Quillfeather-%d", n+i, n), "p"+id+"@n.example"))
				}
				if _, err := w.TrySave(some...); err != nil {
					return err
				}
			}
		})
		var mu sync.Mutex
		var took []time.Duration
		tick := time.NewTicker(20 * time.Millisecond)
		for i := range 500 {
			<-tick.C
			group.Go(func() error {
				start := time.Now()
				r, err := w.Rosters.Open(b.Context(), "1")
				if err != nil {
					return err
				}
				r.List(queries[i%len(queries)])
				mu.Lock()
				took = append(took, time.Since(start))
				mu.Unlock()
				return nil
			})
		}
		tick.Stop()
		stop()
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		percentiles(b, took)
	}
}

func percentiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// peak is the most that the heap has while do runs.
func peak(do func()) (most uint64) {
	runtime.GC()
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				most = max(most, heap())
			}
		}
	})
	do()
	close(stop)
	group.Wait()
	return most
}

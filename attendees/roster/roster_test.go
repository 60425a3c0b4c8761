package roster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/roster"
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
		_, err := w.People.Erase(ctx, tx, e, w.Key("1", "3"))
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
				_, err := w.People.Erase(ctx, tx, e, w.Key("1", "1"))
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

// BenchmarkRoster measures an event of 100,000: cold, and each kind of page warm.
//
//	go test ./attendees/roster -run '^$' -bench Roster -benchtime 50x
func BenchmarkRoster(b *testing.B) {
	w := coretest.New(b)
	w.Link("1")
	w.Many("1", 100_000)
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			s := roster.New(w.Pool, w.Events, w.Reader, w.Policy, func() time.Time { return w.Now })
			open(w, s)
		}
	})
	open(w, w.Rosters)
	for name, q := range map[string]roster.Query{
		"list": {}, "search": {Words: "person 4711"}, "search nothing": {Words: "nobody at all"}, "by ticket": {Sort: "ticket", Reverse: true},
		"by email": {Sort: "email", Offset: 50_000}, "agreed": {Unagreed: true},
	} {
		q.Limit = 50
		open(w, w.Rosters).List(q)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				open(w, w.Rosters).List(q)
			}
		})
	}
}

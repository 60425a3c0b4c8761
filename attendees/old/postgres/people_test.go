package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// names are those on one page.
func (w world) names(f postgres.Filter, o postgres.Order, c postgres.Cursor) []string {
	w.t.Helper()
	page, _, _, err := w.People(w.t.Context(), "4711", f, o, c)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, p := range page {
		names = append(names, p.Name.Reveal())
	}
	return names
}

func TestPeopleAreFoundByAnyPartOfNameOrAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Änne Möller", "anne@example.org"), person("2", "4711", "Anna Miller", "anna@example.org"),
		person("3", "4711", "100% Sure_Thing\\", "sure@example.net"), person("4", "4711", "Олена", ""), person("5", "4712", "Änne Möller", ""))
	for search, want := range map[string][]string{
		"möl": {"Änne Möller"}, "MÖLLER": {"Änne Möller"}, "änne": {"Änne Möller"}, "example.org": {"Anna Miller", "Änne Möller"},
		"miller anna": {"Anna Miller"}, "miller ANNA@": {"Anna Miller"}, "%": {"100% Sure_Thing\\"}, "_": {"100% Sure_Thing\\"},
		"\\": {"100% Sure_Thing\\"}, "олен": {"Олена"}, "nobody": nil, "  ": {"100% Sure_Thing\\", "Anna Miller", "Änne Möller", "Олена"},
		"a\x00n\xffna": {"Anna Miller"},
	} {
		f := postgres.Filter{Search: attendees.Personal(search)}
		got := w.names(f, postgres.Order{}, postgres.Cursor{})
		slices.Sort(got)
		slices.Sort(want)
		equal(t, search, got, want)
		if n, err := w.CountPeople(t.Context(), "4711", f); err != nil || n != len(want) {
			t.Errorf("%q: %d are counted (%v), want %d", search, n, err, len(want))
		}
	}
}

func TestFiltersKeepOnlyThoseTheyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := person("3", "4711", "Cleo", "cleo@example.org")
	gone.Cancelled = true
	vip := person("2", "4711", "Bo", "bo@example.org")
	vip.Ticket = "VIP"
	w.save(person("1", "4711", "Ada", "ada@example.org"), vip, gone)
	w.answer("4711", response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"forums": {"Rivers", "Lakes"}}))
	for what, c := range map[string]struct {
		filter postgres.Filter
		want   []string
	}{
		"attending":  {postgres.Filter{Status: attendees.Attending}, []string{"Ada", "Bo"}},
		"cancelled":  {postgres.Filter{Status: attendees.Cancelled}, []string{"Cleo"}},
		"agreed":     {postgres.Filter{Agreed: true}, []string{"Ada"}},
		"not agreed": {postgres.Filter{Status: attendees.Attending, NotAgreed: true}, []string{"Bo"}},
		"forum":      {postgres.Filter{Forum: "Lakes"}, []string{"Ada"}},
		"ticket":     {postgres.Filter{Ticket: "VIP"}, []string{"Bo"}},
		"together":   {postgres.Filter{Ticket: "VIP", Search: "ada"}, nil},
	} {
		equal(t, what, w.names(c.filter, postgres.Order{}, postgres.Cursor{}), c.want)
	}
	n, err := w.Numbers(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "numbers", n, postgres.Numbers{
		Status: map[attendees.Standing]int{attendees.Attending: 2, attendees.Cancelled: 1}, Agreed: 1, Registered: 3, Answers: 1,
		Versions: []postgres.Named{{Name: "", N: 1}}, Tickets: []postgres.Named{{Name: "Standard", N: 1}, {Name: "VIP", N: 1}},
		Forums: []postgres.Named{{Name: "Lakes", N: 1}, {Name: "Rivers", N: 1}},
		Days:   []postgres.Day{{On: attendees.Date{Year: 2027, Month: 5, Day: 1}, N: 3}},
		Kept: map[attendees.Field]int{
			attendees.Name: 3, attendees.Email: 3, attendees.Ticket: 3, attendees.Attended: 0, attendees.AgreementVersion: 0,
			attendees.AgreedAt: 1, attendees.Affiliation: 0, attendees.Forums: 1, attendees.Answers: 0,
		},
	})
	s, err := w.SummaryOf(t.Context(), "4711")
	if err != nil || s.Attending != 2 || s.Agreed != 1 {
		t.Errorf("the summary says %d, %d (%v), want 2, 1", s.Attending, s.Agreed, err)
	}
}

func TestPagesShowEveryoneOnceHoweverManyTie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const people = 120
	var regs []attendees.Registration
	for i := range people {
		r := person(fmt.Sprint(1000+i), "4711", fmt.Sprint("Name ", i%3), "same@example.org") // most tie
		r.Cancelled = i%2 == 0
		regs = append(regs, r)
	}
	w.save(regs...)
	for _, by := range []string{"name", "email", "ticket", "status", "agreed"} {
		for _, down := range []bool{false, true} {
			o := postgres.Order{By: by, Down: down}
			var there, back []attendees.AttendeeID
			var c postgres.Cursor
			for {
				page, before, behind, err := w.People(t.Context(), "4711", postgres.Filter{}, o, c)
				if err != nil {
					t.Fatal(err)
				}
				if before != (len(there) > 0) {
					t.Errorf("by %s: a page says %v of those before it", by, before)
				}
				for _, p := range page {
					there = append(there, p.ID)
				}
				c = postgres.Cursor{At: page[len(page)-1].ID}
				if !behind {
					c = postgres.Cursor{At: page[0].ID, Back: true}
					back = append(back, there[len(there)-len(page):]...)
					break
				}
			}
			for {
				page, before, _, err := w.People(t.Context(), "4711", postgres.Filter{}, o, c)
				if err != nil {
					t.Fatal(err)
				}
				var ids []attendees.AttendeeID
				for _, p := range page {
					ids = append(ids, p.ID)
				}
				back = append(ids, back...)
				if !before {
					break
				}
				c = postgres.Cursor{At: ids[0], Back: true}
			}
			equal(t, "by "+by+", back", back, there)
			slices.Sort(there)
			if len(slices.Compact(there)) != people {
				t.Errorf("by %s: %d of %d are shown", by, len(slices.Compact(there)), people)
			}
		}
	}
	if page, _, _, err := w.People(t.Context(), "4711", postgres.Filter{}, postgres.Order{}, postgres.Cursor{At: "gone"}); err != nil || len(page) != postgres.PeoplePage {
		t.Errorf("behind somebody who has gone come %d (%v), want the first page", len(page), err)
	}
}

func TestCountsFollowEveryWayInAndOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check := func(what string, attending, agreed int) {
		t.Helper()
		s, err := w.SummaryOf(t.Context(), "4711")
		if err != nil || s.Attending != attending || s.Agreed != agreed {
			t.Errorf("%s: %d attend, %d agreed (%v), want %d, %d", what, s.Attending, s.Agreed, err, attending, agreed)
		}
	}
	check("nobody", 0, 0)
	ada, bo := person("1", "4711", "Ada", "ada@example.org"), person("2", "4711", "Bo", "bo@example.org")
	w.save(ada, bo)
	w.answer("4711", response("r1", "1", "", "", nil), response("r2", "2", "", "", nil))
	check("two agreed", 2, 2)
	bo.Cancelled, bo.Changed = true, june
	w.save(bo)
	check("one cancelled", 1, 1)
	ada.Event, ada.Changed = "4712", june
	w.save(ada)
	check("one moved", 0, 0)
	var many []attendees.Registration
	for i := range 2000 { // enough to be copied in
		many = append(many, person(fmt.Sprint(5000+i), "4711", "Somebody", ""))
	}
	w.save(many...)
	check("many came", 2000, 0)
	if _, err := w.Forget(t.Context(), "5001", "asked"); err != nil {
		t.Fatal(err)
	}
	check("one was erased", 1999, 0)
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("the room was written anew", 1999, 0)
}

func TestAPersonIsShownWithWhereEachFieldCameFromAndTheLookIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Ada", ""))
	w.answer("4711", response("r1", "1", "Ada L.", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Engine Works"}}))
	me := uuid.New()
	whole, err := w.LookAt(t.Context(), "4711", "1", me)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Name != "Ada" || whole.Email != "ada@example.org" || whole.AgreedAt.IsZero() || len(whole.Responses) != 1 {
		t.Errorf("%d answers, agreed %v, or a wrong name or address", len(whole.Responses), whole.AgreedAt)
	}
	equal(t, "from", whole.From, map[attendees.Field]attendees.FormID{
		attendees.Email: "u6nXL7", attendees.Affiliation: "u6nXL7", attendees.AgreedAt: "u6nXL7",
	})
	looks, err := w.Looks(t.Context(), "4711", "1")
	if err != nil || len(looks) != 1 || looks[0].By != me || !looks[0].At.Equal(june) {
		t.Errorf("looks %+v (%v)", looks, err)
	}
	var none *postgres.UnknownAttendeeError
	if _, err := w.LookAt(t.Context(), "4712", "1", me); !errors.As(err, &none) {
		t.Errorf("of another event: %v, want that there is no such person", err)
	}
	if _, err := w.Forget(t.Context(), "1", "asked"); err != nil {
		t.Fatal(err)
	}
	if looks, err := w.Looks(t.Context(), "4711", "1"); err != nil || len(looks) > 0 {
		t.Errorf("after she was erased there are looks: %v (%v)", looks, err)
	}
}

func TestAnAnswerLinkedByHandStaysAndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Ada", "ada@example.org"), person("2", "4711", "Bo", "bo@example.org"))
	r := response("r1", "", "Augusta", "augusta@example.org", nil)
	w.answer("4711", r)
	open, _, _, err := w.UnmatchedResponses(t.Context(), "4711", postgres.AnswerCursor{})
	if err != nil || len(open) != 1 || open[0].ID != "r1" || !open[0].Agreed {
		t.Fatalf("unmatched: %d (%v)", len(open), err)
	}
	if got, want := w.DropsOn(open[0]), june.AddDate(0, 0, 14); !got.Equal(want) {
		t.Errorf("dropped on %v, want %v", got, want)
	}
	var none *postgres.UnknownAttendeeError
	if err := w.LinkByHand(t.Context(), "4711", "u6nXL7", "r1", "99"); !errors.As(err, &none) {
		t.Errorf("to nobody: %v", err)
	}
	if err := w.LinkByHand(t.Context(), "4711", "u6nXL7", "r1", "1"); err != nil {
		t.Fatal(err)
	}
	if err := w.LinkByHand(t.Context(), "4711", "u6nXL7", "r1", "2"); !errors.Is(err, postgres.ErrNoResponse) {
		t.Errorf("a second time: %v", err)
	}
	equal(t, "agreed", w.names(postgres.Filter{Agreed: true}, postgres.Order{}, postgres.Cursor{}), []string{"Ada"})
	r.Submitted = june // it changes at its source, and would match Bo now
	r.Answers["email"] = attendees.Answer{"bo@example.org"}
	w.answer("4711", r)
	equal(t, "after a pull", w.names(postgres.Filter{Agreed: true}, postgres.Order{}, postgres.Cursor{}), []string{"Ada"})
	if err := w.UnlinkByHand(t.Context(), "4711", "u6nXL7", "r1"); err != nil {
		t.Fatal(err)
	}
	equal(t, "taken back", w.names(postgres.Filter{Agreed: true}, postgres.Order{}, postgres.Cursor{}), []string{"Bo"})
	if err := w.UnlinkByHand(t.Context(), "4711", "u6nXL7", "r1"); !errors.Is(err, postgres.ErrNoResponse) {
		t.Errorf("taken back twice: %v", err)
	}
}

func TestTheNewestLooksAreThoseAtPeopleOfOpenEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Ada", "ada@example.org"), person("2", "4712", "Bo", "bo@example.org"))
	me, you := uuid.New(), uuid.New()
	for _, l := range []struct {
		event attendees.EventID
		at    attendees.AttendeeID
		by    uuid.UUID
	}{{"4711", "1", me}, {"4712", "2", you}, {"4711", "1", you}} {
		if _, err := w.LookAt(t.Context(), l.event, l.at, l.by); err != nil {
			t.Fatal(err)
		}
		w.clock.now = w.clock.now.Add(time.Minute)
	}
	looks := func(limit int) (all []string) {
		t.Helper()
		newest, err := w.LastLooks(t.Context(), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range newest {
			all = append(all, string(l.Event)+map[uuid.UUID]string{me: " me", you: " you"}[l.By])
		}
		return all
	}
	equal(t, "newest", looks(2), []string{"4711 you", "4712 you"})
	equal(t, "all", looks(9), []string{"4711 you", "4712 you", "4711 me"})
	if _, err := w.DB().Exec(`update events set ends_on = '2027-04-01', block_on = '2027-05-01' where source_id = '4711'`); err != nil {
		t.Fatal(err)
	}
	equal(t, "of open events", looks(9), []string{"4712 you"})
}

func TestUnmatchedAnswersArePagedByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []attendees.ResponseID
	for i := range 2*postgres.UnmatchedPage + 3 {
		id := fmt.Sprintf("r%03d", i)
		want = append(want, attendees.ResponseID(id))
		w.answer("4711", response(id, "", "Augusta", fmt.Sprint(id, "@example.org"), nil))
		w.clock.now = w.clock.now.Add(time.Second)
	}
	page := func(c postgres.AnswerCursor) (all []attendees.ResponseID, first, last postgres.AnswerCursor, before, behind bool) {
		t.Helper()
		answers, before, behind, err := w.UnmatchedResponses(t.Context(), "4711", c)
		if err != nil || len(answers) == 0 {
			t.Fatalf("%d answers (%v)", len(answers), err)
		}
		for _, a := range answers {
			all = append(all, a.ID)
		}
		return all, answers[0].Cursor(), answers[len(answers)-1].Cursor(), before, behind
	}
	var forth, back []attendees.ResponseID
	c, more := postgres.AnswerCursor{}, true
	var first postgres.AnswerCursor
	for more {
		var all []attendees.ResponseID
		all, first, c, _, more = page(c)
		forth = append(forth, all...)
	}
	equal(t, "forth", forth, want)
	for more = true; more; {
		var all []attendees.ResponseID
		first.Back = true
		all, first, _, more, _ = page(first)
		back = append(all, back...)
	}
	equal(t, "back", back, want[:2*postgres.UnmatchedPage])
	if n, err := w.CountUnmatched(t.Context(), "4711"); err != nil || n != len(want) {
		t.Errorf("%d are counted (%v), want %d", n, err, len(want))
	}
	// The one that a page ends with goes, and the next page begins where it would have.
	_, _, end, _, _ := page(postgres.AnswerCursor{})
	w.save(person("1", "4711", "Ada", "ada@example.org"))
	if err := w.LinkByHand(t.Context(), "4711", "u6nXL7", want[postgres.UnmatchedPage-1], "1"); err != nil {
		t.Fatal(err)
	}
	all, _, _, _, _ := page(end)
	equal(t, "behind who has gone", all[0], want[postgres.UnmatchedPage])
}

// A database of locale C folds ASCII alone.
func TestLikelyAnswersComeFirstHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range postgres.UnmatchedPage + 10 {
		w.answer("4711", response(fmt.Sprint("old", i), "", "Augusta", fmt.Sprint("augusta", i, "@elsewhere.example"), nil))
	}
	w.clock.now = w.clock.now.Add(time.Hour)
	w.answer("4711", response("host", "", "", "somebody@example.org", nil))
	w.answer("4711", response("word", "", "Ömer Example", "o@elsewhere.example", nil))
	w.answer("4711", response("both", "", "EXAMPLE  ÖMER", "ömer@private.example", nil))
	w.answer("4711", response("half", "", "Xömer Examples", "oe@elsewhere.example", nil))
	likely := func(name, email attendees.Personal, limit int) (ids []attendees.ResponseID) {
		t.Helper()
		all, err := w.LikelyResponses(t.Context(), "4711", name, email, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			ids = append(ids, a.ID)
		}
		return ids
	}
	equal(t, "likely", likely("ömer Example", "Ömer@example.org", 3), []attendees.ResponseID{"both", "word", "host"})
	equal(t, "of nobody", len(likely("", "", 7)), 7)
}

// TestNoReaderGetsPastTheBlockDate: the second guard, while no worker has done anything.
func TestNoReaderGetsPastTheBlockDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.save(person("1", "4711", "Ada", "ada@example.org"))
	w.answer("4711", response("r1", "", "Augusta", "augusta@example.org", nil))
	w.clock.now = time.Date(2027, 7, 19, 22, 0, 0, 0, time.UTC) // midnight in Berlin: it is the day
	for what, read := range map[string]func() error{
		"people": func() error {
			_, _, _, err := w.People(t.Context(), "4711", postgres.Filter{}, postgres.Order{}, postgres.Cursor{})
			return err
		},
		"count":   func() error { _, err := w.CountPeople(t.Context(), "4711", postgres.Filter{}); return err },
		"numbers": func() error { _, err := w.Numbers(t.Context(), "4711"); return err },
		"look":    func() error { _, err := w.LookAt(t.Context(), "4711", "1", uuid.New()); return err },
		"looks":   func() error { _, err := w.Looks(t.Context(), "4711", "1"); return err },
		"unmatched": func() error {
			_, _, _, err := w.UnmatchedResponses(t.Context(), "4711", postgres.AnswerCursor{})
			return err
		},
		"unmatched count": func() error { _, err := w.CountUnmatched(t.Context(), "4711"); return err },
		"likely": func() error {
			_, err := w.LikelyResponses(t.Context(), "4711", "Ada", "ada@example.org", 1)
			return err
		},
		"filled": func() error { _, err := w.Filled(t.Context(), "4711", "u6nXL7"); return err },
		"link":   func() error { return w.LinkByHand(t.Context(), "4711", "u6nXL7", "r1", "1") },
		"unlink": func() error { return w.UnlinkByHand(t.Context(), "4711", "u6nXL7", "r1") },
		"unagreed": func() (err error) {
			for _, err = range w.Unagreed(t.Context(), "4711") {
			}
			return err
		},
	} {
		var blocked *postgres.BlockedError
		if err := read(); !errors.As(err, &blocked) {
			t.Errorf("%s: %v, want that the event is blocked", what, err)
		}
	}
}

// BenchmarkPeople reads pages of an event of 100,000; the room was just written, as in
// the middle of a pull.
func BenchmarkPeople(b *testing.B) {
	w, batch := benchWorld(b)
	w.saveAll(batch[:100_000])
	if _, err := w.DB().Exec(`analyze personal`); err != nil {
		b.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter postgres.Filter
		order  postgres.Order
	}{
		"first page": {}, "search": {filter: postgres.Filter{Search: "person.50123@"}}, "search many": {filter: postgres.Filter{Search: "example"}},
		"not agreed": {filter: postgres.Filter{NotAgreed: true}}, "by ticket": {order: postgres.Order{By: "ticket", Down: true}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := w.People(b.Context(), "4711", c.filter, c.order, postgres.Cursor{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count search", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.CountPeople(b.Context(), "4711", postgres.Filter{Search: "person.50123@"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("numbers", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Numbers(b.Context(), "4711"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.LookAt(b.Context(), "4711", "4000050123", uuid.New()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSummaries lists 1,000 events.
func BenchmarkSummaries(b *testing.B) {
	w := newWorld(b)
	_, err := w.DB().Exec(`
		insert into events (id, source, source_id, organization_id, name, status, time_zone, ends_on, first_seen_on, rule, block_on, delete_on,
			planned_block_on, planned_delete_on, accepted_block_on, accepted_delete_on)
		select md5('event' || n)::uuid, 'eventbrite', 'b' || n, '900', 'Event ' || n, 'live', 'Europe/Berlin', '2027-06-20', '2027-01-01', 'de-ao-6',
			'2027-07-20', '2034-01-01', '2027-07-20', '2034-01-01', '2027-07-20', '2034-01-01'
		from generate_series(1, 1000) as n;
		insert into counts select id, 100, 50 from events`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Summaries(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

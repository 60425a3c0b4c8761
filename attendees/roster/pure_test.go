package roster

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/reader"
)

var policy = attendees.BuiltIn()

// anybody is an attendee whose every field may be there.
var anybody = rapid.Custom(func(t *rapid.T) *Entry {
	moments := rapid.Custom(func(t *rapid.T) time.Time {
		return moment(rapid.SampledFrom([]int64{0, 1_790_000_000, 1_790_000_001, 1_800_000_000}).Draw(t, "moment"))
	})
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "ada", "Bo Berg", "BERG", "Zoë", "İnci", "Weiß", "a%", "\"x\""}), rapid.StringN(0, 12, 40))
	e := &Entry{ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")), HasAgreed: rapid.Bool().Draw(t, "agreed"), Former: rapid.Bool().Draw(t, "former"), Attendee: attendees.Attendee{
		ID: attendees.AttendeeID(rapid.StringMatching(`[1-9][0-9]{0,3}`).Draw(t, "id")), Holder: rapid.IntRange(0, 255).Draw(t, "holder"),
		Standing: rapid.SampledFrom(standings).Draw(t, "standing"), Registered: moments.Draw(t, "registered"),
		Name: attendees.Personal(text.Draw(t, "name")), Email: attendees.Personal(text.Draw(t, "email")), Ticket: rapid.SampledFrom([]string{"", "Regular", "VIP"}).Draw(t, "ticket"),
		Attended: rapid.Bool().Draw(t, "attended"), AgreedAt: moments.Draw(t, "agreedAt"), AgreementVersion: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version"),
	}}
	for range rapid.IntRange(0, 3).Draw(t, "given") {
		g := attendees.Given{
			Purpose: rapid.SampledFrom([]attendees.PurposeName{attendees.Forum, attendees.ParticipationAgreement}).Draw(t, "purpose"),
			Field:   rapid.SampledFrom([]attendees.Field{attendees.Forums, attendees.Affiliation, "answers.chair", attendees.Consented}).Draw(t, "field"),
			At:      moments.Draw(t, "at"), Version: text.Draw(t, "consent"),
		}
		for range rapid.IntRange(1, 3).Draw(t, "values") {
			g.Values = append(g.Values, attendees.Personal(text.Draw(t, "value")))
		}
		// Merging leaves one of each purpose and field.
		if !slices.ContainsFunc(e.Given, func(o attendees.Given) bool { return o.Purpose == g.Purpose && o.Field == g.Field }) {
			e.Given = append(e.Given, g)
		}
	}
	if rapid.Bool().Draw(t, "more") {
		e.Corrected = []attendees.Field{attendees.Name}
		e.Answered = []attendees.Answered{{Form: "f", Submitted: moments.Draw(t, "submitted")}, {Form: "g"}}
	}
	return e
})

func somebody(t *rapid.T, least, most int) []*Entry {
	return rapid.SliceOfNDistinct(anybody, least, most, func(e *Entry) uuid.UUID { return e.ID }).Draw(t, "people")
}

// plain compares what is personal.
var plain = cmp.Comparer(func(a, b attendees.Personal) bool { return a == b })

func TestAnAttendeeIsReadBackAsPacked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := somebody(t, 1, 5)
		r := Of(&policy, events.Event{}, all...)
		for _, want := range all {
			if diff := cmp.Diff(want, r.At(want.ID), plain); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})
}

// found tells by plain means whether a query is for somebody.
func found(q Query, e *Entry) bool {
	if q.Standing == "" && e.Standing != attendees.Attending || q.Standing != "" && q.Standing != AnyStanding && e.Standing != q.Standing {
		return false
	}
	u, _ := policy.Purpose(q.Purpose)
	if q.Ticket != "" && e.Ticket != q.Ticket || q.Forum != "" && !slices.Contains(e.Forums(), attendees.Personal(q.Forum)) || q.Purpose != "" && !e.For(u) ||
		q.Agreed && !e.HasAgreed || q.Unagreed && e.HasAgreed || q.Attended && !e.Attendee.Attended {
		return false
	}
	text := []string{Fold(e.Name.Reveal()), Fold(e.Email.Reveal()), Fold(e.Ticket), string(e.Attendee.ID)}
	for _, g := range e.Given {
		for _, v := range g.Values {
			text = append(text, Fold(v.Reveal()))
		}
	}
	for _, w := range strings.Fields(Fold(q.Words)) {
		if !strings.Contains(strings.Join(text, "\n"), w) {
			return false
		}
	}
	return true
}

var anyQuery = rapid.Custom(func(t *rapid.T) Query {
	return Query{
		Standing: rapid.SampledFrom([]attendees.Standing{"", AnyStanding, AnyStanding, attendees.Gone}).Draw(t, "standing"),
		Ticket:   rapid.SampledFrom([]string{"", "", "VIP"}).Draw(t, "ticket"), Forum: rapid.SampledFrom([]string{"", "", "ada", "a%"}).Draw(t, "forum"),
		Purpose: rapid.SampledFrom([]attendees.PurposeName{"", "", attendees.Forum}).Draw(t, "purpose"), Agreed: rapid.Bool().Draw(t, "agreed") && rapid.Bool().Draw(t, "really"),
		Unagreed: rapid.IntRange(0, 4).Draw(t, "unagreed") == 0, Attended: rapid.IntRange(0, 4).Draw(t, "attended") == 0,
		Words: rapid.SampledFrom([]string{"", "", "a", "berg", "bo berg", "ZOE", "inci", "weiss", "%", "\" a"}).Draw(t, "words"),
		Sort:  rapid.SampledFrom(append(Sorts(), "")).Draw(t, "sort"), Reverse: rapid.Bool().Draw(t, "reverse"), Limit: MaxPage,
	}
})

func keys(page []*Entry) (all []string) {
	for _, e := range page {
		all = append(all, e.ID.String())
	}
	return all
}

func TestAQueryFindsWhomPlainMeansFind(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, q := somebody(t, 0, 40), anyQuery.Draw(t, "query")
		r := Of(&policy, events.Event{}, all...)
		page, total := r.List(q)
		var want []string
		for _, e := range all {
			if found(q, e) {
				want = append(want, e.ID.String())
			}
		}
		got := keys(page)
		slices.Sort(got)
		slices.Sort(want)
		if total != len(want) || !slices.Equal(got, want) {
			t.Errorf("%d are found, %d in all, want %d", len(got), total, len(want))
		}
	})
}

// Whatever changes, what is shown is what a roster shows that is made at once; an earlier
// roster still shows what it did.
func TestALaterRosterIsLikeOneThatIsMadeAtOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := map[uuid.UUID]*Entry{}
		r := Of(&policy, events.Event{})
		take := func(all []*Entry, gone []uuid.UUID) {
			c := change{gone: gone}
			for _, id := range gone {
				delete(now, id)
			}
			for some := range slices.Chunk(all, 7) {
				var packed chunk
				for _, e := range some {
					packed.pack(&policy, r.words, e)
					now[e.ID] = e
				}
				packed.words = r.words.now()
				c.packed = append(c.packed, packed)
			}
			r = r.with(c)
		}
		take(somebody(t, 0, 30), nil)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			q := anyQuery.Draw(t, "query")
			before := r
			was, _ := before.List(q) // which keeps an order, too
			var gone []uuid.UUID
			changed := rapid.SliceOfNDistinct(anybody, 0, 8, func(e *Entry) uuid.UUID { return e.ID }).Draw(t, "changed")
			for id := range now {
				switch rapid.IntRange(0, 5).Draw(t, "fate") {
				case 0:
					gone = append(gone, id)
				case 1:
					e := *anybody.Draw(t, "again")
					e.ID = id
					changed = append(changed, &e)
				}
			}
			take(changed, gone)
			if rapid.Bool().Draw(t, "repack") {
				r = r.repacked()
			}
			if again, _ := before.List(q); !slices.Equal(keys(was), keys(again)) {
				t.Error("an earlier roster shows others than before")
			}
			var all []*Entry
			for _, e := range now {
				all = append(all, e)
			}
			fresh := Of(&policy, events.Event{}, all...)
			for _, by := range append(Sorts(), byKey, byID) {
				one, two := r.order(by), fresh.order(by)
				if !slices.EqualFunc(one, two, func(a, b uint32) bool { return r.at(a).key == fresh.at(b).key }) {
					t.Errorf("sorted by %s it is another order", by)
				}
			}
			got, n := r.List(q)
			want, m := fresh.List(q)
			if n != m || cmp.Diff(want, got, plain) != "" {
				t.Errorf("%d of %d are shown, want %d of %d", len(got), n, len(want), m)
			}
		}
	})
}

func TestPagesNextToSomebodyAreTheSameWhoeverComesOrGoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Of(&policy, events.Event{}, somebody(t, 1, 60)...)
		q := anyQuery.Draw(t, "query")
		q.Standing, q.Limit = AnyStanding, rapid.IntRange(1, 7).Draw(t, "limit")
		whole := q
		whole.Limit = MaxPage
		all, _ := r.List(whole)
		var pages []*Entry
		for page, _ := r.List(q); len(page) > 0; page, _ = r.List(q) {
			pages = append(pages, page...)
			q.After = page[len(page)-1].ID
		}
		if !slices.Equal(keys(pages), keys(all)) {
			t.Fatalf("page by page there are %d, want %d", len(pages), len(all))
		}
		if len(all) < 2 {
			return
		}
		q.After, q.Before = uuid.Nil, all[len(all)-1].ID
		back, _ := r.List(q)
		if want := all[max(0, len(all)-1-q.Limit) : len(all)-1]; !slices.Equal(keys(back), keys(want)) {
			t.Errorf("backwards there are %d, want %d", len(back), len(want))
		}
		if q.Before = (uuid.UUID{15: 1}); r.At(q.Before) == nil {
			if first, _ := r.List(q); !slices.Equal(keys(first), keys(all[:min(len(all), q.Limit)])) {
				t.Error("next to somebody who is gone is not the first page")
			}
		}
	})
}

func TestFoldMakesSpellingsOfOneNameOne(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"ΣΩΚΡΆΤΗΣ", "Σωκράτης", "σωκρατησ"}, {"İpek", "ipek", "IPEK", "I\u0307pek"}, {"Işık", "IŞIK", "ışık", "isik"}, {"José", "Jose\u0301", "JOSÉ", "jose"},
		{"Weiß", "WEISS", "weiẞ"}, {"ﬁnn", "Finn"}, {"a\u200bda", "Ada"},
	} {
		for _, s := range same {
			if Fold(s) != Fold(same[0]) {
				t.Errorf("%q folds to %q, %q to %q", s, Fold(s), same[0], Fold(same[0]))
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if once := Fold(s); Fold(once) != once {
			t.Errorf("%q folds to %q, and that to %q", s, once, Fold(once))
		}
	})
}

func TestCountsAreWhatPlainMeansCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := somebody(t, 0, 30)
		c := Of(&policy, events.Event{}, all...).Count()
		agreed, forums, answers := 0, map[string]int{}, 0
		for _, e := range all {
			answers += len(e.Answered)
			if e.Standing != attendees.Attending {
				continue
			}
			if e.HasAgreed {
				agreed++
			}
			for _, f := range e.Forums() {
				forums[f.Reveal()]++
			}
		}
		if c.Registered != len(all) || c.Agreed != agreed || cmp.Diff(forums, c.Forums) != "" || c.Answers["f"]+c.Answers["g"] != answers {
			t.Errorf("%d registered, %d agreed, %d answers, want %d, %d, %d", c.Registered, c.Agreed, c.Answers["f"]+c.Answers["g"], len(all), agreed, answers)
		}
	})
}

func TestLikelyAttendeesHaveTheResponsesNameAddressOrID(t *testing.T) {
	t.Parallel()
	person := func(i byte, id, name, email string) *Entry {
		return &Entry{ID: uuid.UUID{i}, Attendee: attendees.Attendee{ID: attendees.AttendeeID(id), Name: attendees.Personal(name), Email: attendees.Personal(email), Standing: attendees.Attending}}
	}
	r := Of(&policy, events.Event{}, person(1, "1", "Ada Lind", "ada@n.example"), person(2, "2", "Bo Berg", "bo@n.example"), person(3, "3", "Cy Dahl", "cy@n.example"), person(4, "4", "ADA LIND", "other@n.example"))
	links := attendees.FieldLinks{{Purpose: attendees.ParticipationAgreement, Field: attendees.Name, Question: "n"}, {Purpose: attendees.ParticipationAgreement, Field: attendees.Email, Question: "m"}}
	l := policy.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Attendee: "3", Answers: map[attendees.QuestionID]attendees.Answer{"n": {"ada lind"}, "m": {"BO@n.example"}}}, links)
	var got []string
	for _, e := range r.Likely(l, 10) {
		got = append(got, string(e.Attendee.ID))
	}
	if slices.Sort(got); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
		t.Errorf("likely are %q", got)
	}
	if some := r.Likely(l, 2); len(some) != 2 {
		t.Errorf("%d are likely, want at most 2", len(some))
	}
}

func TestNothingOfAPersonIsPrinted(t *testing.T) {
	t.Parallel()
	r := Of(&policy, events.Event{}, &Entry{ID: uuid.UUID{1}, Attendee: attendees.Attendee{ID: "1", Name: "Ada Lind", Standing: attendees.Attending}})
	_ = r.Walk(func(v View) error {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if text := fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &v) + fmt.Sprintf(verb, r.At(v.Key())); strings.Contains(strings.ToLower(text), "lind") || bytes.Contains([]byte(text), []byte("6c696e64")) {
				t.Errorf("%s prints a name", verb)
			}
		}
		return nil
	})
}

// The oldest are the next to be dropped.
func TestUnmatchedResponsesAreTheOldestFirstUntilSomebodyHasThem(t *testing.T) {
	t.Parallel()
	response := func(i byte, day int) reader.Response {
		return reader.Response{ID: uuid.UUID{i}, CameOn: attendees.Date{Year: 2026, Month: time.October, Day: day}, Claims: uuid.UUID{9, i}}
	}
	r := Of(&policy, events.Event{}).with(change{unmatched: []reader.Response{response(1, 9), response(2, 3)}})
	r = r.with(change{unmatched: []reader.Response{response(3, 1), response(1, 8)}})
	if all := r.Unmatched(); len(all) != 3 || all[0].ID[0] != 3 || all[1].ID[0] != 2 || all[2].CameOn.Day != 8 {
		t.Errorf("%d are unmatched, or in another order", len(all))
	}
	if n := len(r.Claims(uuid.UUID{9, 2})); n != 1 {
		t.Errorf("%d claim the registration, want 1", n)
	}
	if all := r.with(change{gone: []uuid.UUID{{2}}}).Unmatched(); len(all) != 2 {
		t.Errorf("%d are unmatched once one has been matched", len(all))
	}
}

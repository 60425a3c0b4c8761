package attendees_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lethe/attendees"
)

var (
	purposes   = []attendees.PurposeName{attendees.ParticipationAgreement, attendees.Forum, "badges"}
	anyPurpose = rapid.SampledFrom(append(slices.Clone(purposes), ""))
	anyField   = rapid.SampledFrom(append(attendees.AllFields(), attendees.Agreed, "answers.chair", "answers.Bad!", "answers.", "diet", ""))
	anyID      = rapid.SampledFrom([]attendees.QuestionID{"q0", "q1", "q2", "q3", "q4", "unknown"})

	anyPolicy = rapid.Custom(func(t *rapid.T) *attendees.Policy {
		return &attendees.Policy{Purposes: rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) attendees.Purpose {
			fields := rapid.SliceOfDistinct(anyField, rapid.ID[attendees.Field]).Draw(t, "fields")
			return attendees.Purpose{Name: rapid.SampledFrom(purposes).Draw(t, "name"), Basis: "b", Fields: fields, Sealed: rapid.Bool().Draw(t, "sealed")}
		}), 0, 3, func(u attendees.Purpose) attendees.PurposeName { return u.Name }).Draw(t, "purposes")}
	})
	anyLinks = rapid.Custom(func(t *rapid.T) attendees.FieldLinks {
		return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) attendees.FieldLink {
			return attendees.FieldLink{Purpose: anyPurpose.Draw(t, "purpose"), Field: anyField.Draw(t, "field"), Question: anyID.Draw(t, "question")}
		}), 0, 12, func(l attendees.FieldLink) string { return string(l.Purpose) + " " + string(l.Field) }).Draw(t, "links")
	})
	nasty = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "yes", "I accept", "no", "Info Requested", "\x00", "\xff\xfe", " \t\n", "\u202e", "\u2028", `"\`, "<&>", strings.Repeat("long ", 500), strings.Repeat("é", 999) + " éé",
	}))
	anyTime = rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(-70_000_000_000, 270_000_000_000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
	})
)

// marked draws text around a marker that occurs nowhere else.
func marked(t *rapid.T, marker string) attendees.Personal {
	before, after := nasty.Draw(t, "before "+marker), nasty.Draw(t, "after "+marker)
	if rapid.Bool().Draw(t, "without "+marker) {
		return attendees.Personal(before)
	}
	return attendees.Personal(before + " «" + marker + "» " + after)
}

func anyAnswers(t *rapid.T) answers {
	all := answers{}
	for i := range rapid.IntRange(0, 5).Draw(t, "answers") {
		q := attendees.QuestionID(fmt.Sprintf("q%d", i))
		for j := range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3, 101}).Draw(t, "choices") {
			all[q] = append(all[q], marked(t, fmt.Sprintf("%s.%d", q, j)))
		}
	}
	return all
}

func anyRegistration(t *rapid.T) attendees.Registration {
	return attendees.Registration{
		ID: attendees.AttendeeID(marked(t, "ID")), Event: attendees.EventID(marked(t, "Event")), Name: marked(t, "name"), Email: marked(t, "email"),
		Ticket: marked(t, "ticket").Reveal(), Status: marked(t, "Status").Reveal(),
		Cancelled: rapid.Bool().Draw(t, "cancelled"), Refunded: rapid.Bool().Draw(t, "refunded"), Attended: rapid.Bool().Draw(t, "attended"),
		Answers: anyAnswers(t), Created: anyTime.Draw(t, "created"), Changed: anyTime.Draw(t, "changed"),
	}
}

func anyResponse(t *rapid.T) attendees.Response {
	return attendees.Response{
		Form: attendees.FormID(marked(t, "Form")), ID: attendees.ResponseID(marked(t, "ID")), Attendee: attendees.AttendeeID(marked(t, "Claims")),
		Submitted: anyTime.Draw(t, "submitted"), Answers: anyAnswers(t),
	}
}

// names tells, without the code under test, whether some purpose names the field.
func names(p *attendees.Policy, f attendees.Field) bool {
	return slices.ContainsFunc(p.Purposes, func(u attendees.Purpose) bool { return slices.Contains(u.Fields, f) })
}

// base is the field that a policy must name so that a link may fill one; "" where no link can.
func base(field string) attendees.Field {
	switch f := attendees.Field(field); f {
	case attendees.Agreed:
		return attendees.AgreedAt
	case "answers.chair":
		return attendees.Answers
	case attendees.Name, attendees.Email, attendees.AgreementVersion, attendees.Affiliation, attendees.Forums, attendees.Consented:
		return f
	}
	return ""
}

// markers fails where a text is not clean, and gives the markers in it.
func markers(t *rapid.T, where, text string) (all []string) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		t.Fatalf("%s holds what cannot be stored: %q", where, text)
	case strings.TrimSpace(text) != text:
		t.Fatalf("%s is not trimmed: %q", where, text)
	case utf8.RuneCountInString(text) > 1000:
		t.Fatalf("%s has %d characters", where, utf8.RuneCountInString(text))
	}
	for _, part := range strings.Split(text, "«")[1:] {
		if marker, _, closed := strings.Cut(part, "»"); closed { // otherwise cut at the bound
			all = append(all, marker)
		}
	}
	return all
}

// checkKept fails where a layer says what the policy does not let it say.
func checkKept(t *rapid.T, p *attendees.Policy, links attendees.FieldLinks, l plain) {
	for where, text := range map[string]string{"ID": l.ID, "Status": l.Status, "Form": l.Form, "Claims": l.Claims, "name": l.Name, "email": l.Email, "ticket": l.Ticket} {
		if where == strings.ToLower(where) && text != "" && !names(p, attendees.Field(where)) {
			t.Fatalf("%s is kept, and no purpose names it", where)
		}
		for _, m := range markers(t, where, text) {
			if m != where {
				t.Fatalf("%s holds the source's %s", where, m)
			}
		}
	}
	if l.Attended && !names(p, attendees.Attended) {
		t.Fatal("attended is kept, and no purpose names it")
	}
	for _, g := range l.Given {
		i := slices.IndexFunc(p.Purposes, func(u attendees.Purpose) bool { return string(u.Name) == g.For })
		if i < 0 || base(g.Field) == "" || !slices.Contains(p.Purposes[i].Fields, base(g.Field)) {
			t.Fatalf("%s is kept for %q, which does not name it", g.Field, g.For)
		}
		for _, v := range g.Values {
			for _, m := range markers(t, g.Field, v) {
				question, _, _ := strings.Cut(m, ".")
				link := attendees.FieldLink{Purpose: attendees.PurposeName(g.For), Field: attendees.Field(g.Field), Question: attendees.QuestionID(question)}
				if !slices.Contains(links, link) {
					t.Fatalf("%s for %q holds the answer to %s, which may not fill it", g.Field, g.For, question)
				}
			}
		}
	}
}

func TestNothingIsKeptThatThePolicyDoesNotName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, links := anyPolicy.Draw(t, "policy"), anyLinks.Draw(t, "links")
		narrower := anyPolicy.Draw(t, "narrower policy")
		for _, l := range []attendees.Layer{p.Minimise(anyRegistration(t), links), p.MinimiseResponse(anyResponse(t), links)} {
			checkKept(t, p, links, read(l))
			checkKept(t, narrower, links, read(narrower.Again(l)))
			if again := p.Again(l); !bytes.Equal(again.Text(), l.Text()) {
				t.Fatalf("minimised again by the same policy it differs:\n%s\n%s", l.Text(), again.Text())
			}
			if linked := l.Linked(links); !bytes.Equal(linked.Text(), l.Text()) {
				t.Fatalf("with the same links it differs:\n%s\n%s", l.Text(), linked.Text())
			}
		}
	})
}

// The other direction: a Minimise that kept nothing would pass the test above.
func TestNothingIsLostThatThePolicyNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		r := registered()
		l := read(p.Minimise(r, nil))
		for f, kept := range map[attendees.Field]bool{
			attendees.Name: l.Name == "Ada Invented", attendees.Email: l.Email == "Ada@Example.org", attendees.Ticket: l.Ticket == "Standard", attendees.Attended: l.Attended,
		} {
			if kept != names(p, f) {
				t.Fatalf("%s: kept is %t, want %t", f, kept, !kept)
			}
		}
		for _, f := range []attendees.Field{attendees.AgreementVersion, attendees.Affiliation, attendees.Forums, "answers.chair"} {
			for _, u := range p.Purposes {
				l := read(p.Minimise(r, attendees.FieldLinks{{Purpose: u.Name, Field: f, Question: "from"}}))
				if want := slices.Contains(u.Fields, base(string(f))); (len(l.Given) == 1) != want || want && l.Given[0].Values[0] != "Example Institute" {
					t.Fatalf("%s for %s: %d fields are kept, kept wanted is %t", f, u.Name, len(l.Given), want)
				}
			}
		}
	})
}

func TestEveryLayerIsReadBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		links, everything := anyLinks.Draw(t, "links"), all()
		a := everything.Minimise(anyRegistration(t), links).As(rapid.IntRange(0, 255).Draw(t, "holder"), anyTime.Draw(t, "since"))
		b := everything.MinimiseResponse(anyResponse(t), links)
		c, err := everything.Correct(attendees.Layer{}, attendees.Forums, marked(t, "correction"), anyTime.Draw(t, "corrected"))
		if err != nil {
			t.Fatal(err)
		}
		layers := []attendees.Layer{a, b, c, a.Keeping(everything.Minimise(anyRegistration(t), links)), a.Left()}
		for _, l := range layers {
			again, err := attendees.ParseLayer(l.Text())
			if err != nil || !bytes.Equal(again.Text(), l.Text()) || !cmp.Equal(read(again), read(l)) {
				t.Fatalf("read back differs: %v\n%s", err, l.Text())
			}
		}
		split, err := attendees.SplitLayers(attendees.JoinLayers(layers))
		if err != nil || !slices.EqualFunc(split, layers, func(x, y attendees.Layer) bool { return bytes.Equal(x.Text(), y.Text()) }) {
			t.Fatalf("joined and split differs: %v", err)
		}
	})
}

// all is a policy that allows everything, for two purposes.
func all() *attendees.Policy {
	return &attendees.Policy{Purposes: []attendees.Purpose{
		{Name: attendees.ParticipationAgreement, Basis: "b", Fields: attendees.AllFields(), Sealed: true},
		{Name: attendees.Forum, Basis: "b", Fields: attendees.AllFields()},
	}}
}

// anyPeople are a registration, responses of it, and a correction; each may be missing.
func anyPeople(t *rapid.T, p *attendees.Policy) (r attendees.Layer, responses []attendees.Layer, correction attendees.Layer) {
	links := anyLinks.Draw(t, "links")
	if rapid.Bool().Draw(t, "registered") {
		r = p.Minimise(anyRegistration(t), links)
	}
	responses = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) attendees.Layer {
		one := anyResponse(t)
		one.Submitted = noon.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "day"))
		return p.MinimiseResponse(one, links)
	}), 0, 4).Draw(t, "responses")
	for i, f := range rapid.SliceOfDistinct(rapid.SampledFrom(attendees.Correctable()), rapid.ID[attendees.Field]).Draw(t, "corrected") {
		value := rapid.SampledFrom([]attendees.Personal{"yes", "no", "", "A; B", "Ada Invented"}).Draw(t, "value")
		if c, err := p.Correct(correction, f, value, noon.AddDate(0, 0, i)); err == nil {
			correction = c
		}
	}
	return r, responses, correction
}

func TestTheOrderOfResponsesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		r, responses, correction := anyPeople(t, p)
		given := slices.Clone(responses)
		shuffled := rapid.Permutation(responses).Draw(t, "order")
		want, got := attendees.Merge(p, r, responses, correction), attendees.Merge(p, r, shuffled, correction)
		if diff := cmp.Diff(open(p, want), open(p, got)); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		if !slices.EqualFunc(given, responses, func(a, b attendees.Layer) bool { return bytes.Equal(a.Text(), b.Text()) }) {
			t.Fatal("the caller's responses are in another order")
		}
	})
}

// open is what an attendee says, to be compared.
func open(p *attendees.Policy, a attendees.Attendee) string {
	return fmt.Sprintf("%s %v %v %s", a.Record(p, "1", true).Text(), a.AgreedAt, a.Corrected, a.Shown(p).Record(p, "1", true).Text())
}

func TestWhatIsShownChangesNothingOfItsLayers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		r, responses, correction := anyPeople(t, p)
		texts := func() (all []string) {
			for _, l := range append([]attendees.Layer{r, correction}, responses...) {
				all = append(all, string(l.Text()))
			}
			return all
		}
		before := texts()
		once := attendees.Merge(p, r, responses, correction)
		shown := open(p, once)
		if again := attendees.Merge(p, r, responses, correction); open(p, again) != shown {
			t.Fatalf("merged again differs:\n%s\n%s", shown, open(p, again))
		}
		if !slices.Equal(before, texts()) {
			t.Fatal("a layer changed")
		}
		left := attendees.Ended(p, r, responses, correction)
		if diff := cmp.Diff(shown, open(p, attendees.Merge(p, r, responses, left))); diff != "" {
			t.Fatalf("a correction that has ended counted:\n%s", diff)
		}
		if again := attendees.Ended(p, r, responses, left); !bytes.Equal(again.Text(), left.Text()) {
			t.Fatal("a correction ends twice")
		}
		view := once.Shown(p)
		if diff := cmp.Diff(view.Record(p, "1", true).Text(), view.Shown(p).Record(p, "1", true).Text()); diff != "" {
			t.Fatalf("shown twice differs:\n%s", diff)
		}
	})
}

func TestARecordOfADutyNamesNothingElseAndIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		r, responses, correction := anyPeople(t, p)
		a := attendees.Merge(p, r, responses, correction)
		a.ID = "7001"
		for _, whole := range []bool{false, true} {
			record := a.Record(p, "1", whole)
			again, err := attendees.ParseRecord(record.Text())
			if err != nil || !cmp.Equal(again, record) {
				t.Fatalf("read back differs: %v\n%s", err, cmp.Diff(record, again))
			}
			for _, f := range record.Fields {
				for _, name := range f.Purposes {
					u, ok := p.Purpose(name)
					if !ok || !u.Allows(f.Field) || !whole && !u.Sealed || f.Field != attendees.Consented && !a.For(u) && !whole {
						t.Fatalf("%s is kept for %s", f.Field, name)
					}
				}
				if !whole && len(f.Purposes) == 0 {
					t.Fatalf("%s is kept for nothing", f.Field)
				}
			}
		}
	})
}

// Readings of one response come in any order, with the yes or without it.
func TestNoReadingTakesAYesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var kept attendees.Layer
		versions := map[string]bool{}
		for i := range rapid.IntRange(1, 6).Draw(t, "readings") {
			yes, version := rapid.Bool().Draw(t, "yes"), rapid.SampledFrom([]attendees.Personal{"", "2026-1", "2026-2"}).Draw(t, "version")
			a := answers{"version": {version}, "aff": {attendees.Personal(fmt.Sprint("clinic ", i))}}
			if yes {
				a["agree"] = attendees.Answer{"true"}
			}
			had := kept.Agreed()
			reading := response("t1", noon, a)
			next, took := reading.KeepYes(kept)
			if took != (had && !yes) {
				t.Fatalf("took is %t, of a yes before %t and now %t", took, had, yes)
			}
			switch {
			case yes && version != "":
				versions = map[string]bool{version.Reveal(): true}
			case yes && !had:
				versions = map[string]bool{"": true}
			}
			kept = next
			shown := attendees.Merge(&policy, attendees.Layer{}, []attendees.Layer{kept}, attendees.Layer{})
			if kept.Agreed() != (had || yes) || kept.Agreed() != !shown.AgreedAt.IsZero() {
				t.Fatalf("agreed is %t, before %t, now said %t", kept.Agreed(), had, yes)
			}
			if kept.Agreed() && !versions[shown.AgreementVersion] {
				t.Fatalf("agreed to %q, said with %v", shown.AgreementVersion, slices.Collect(maps.Keys(versions)))
			}
			if again, _ := reading.KeepYes(kept); !bytes.Equal(again.Text(), kept.Text()) {
				t.Fatalf("the same reading again changes the layer:\n%s\n%s", kept.Text(), again.Text())
			}
		}
	})
}

// Whatever was said while a hold was active is in the record that the hold needs.
func TestUnderAHoldNothingLeavesALayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := all()
		said := map[string]bool{}
		word := func(what string) attendees.Personal {
			w := fmt.Sprintf("%s %d", what, rapid.IntRange(0, 3).Draw(t, what))
			said[w] = true
			return attendees.Personal(w)
		}
		var registration, one attendees.Layer
		links := attendees.FieldLinks{{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "aff"}, {Purpose: attendees.Forum, Field: attendees.Forums, Question: "forums"}}
		for range rapid.IntRange(1, 6).Draw(t, "readings") {
			registration = p.Minimise(attendees.Registration{ID: "1", Name: word("name"), Email: word("email"), Ticket: word("ticket").Reveal(), Answers: answers{"aff": {word("affiliation")}}}, links).Keeping(registration)
			one = p.MinimiseResponse(attendees.Response{ID: "t", Submitted: noon, Answers: answers{"aff": {word("institute")}, "forums": {word("forum"), word("track")}}}, links).Keeping(one)
		}
		a := attendees.Merge(p, registration, []attendees.Layer{one}, attendees.Layer{})
		text := string(a.Record(p, "1", true).Text())
		for w := range said {
			if !strings.Contains(text, `"`+w+`"`) {
				t.Fatalf("%s was said, and the record has it no more: %s", w, text)
			}
		}
		if duty := string(a.Record(p, "1", false).Text()); strings.Contains(duty, "other") {
			t.Fatalf("a duty keeps what a hold kept: %s", duty)
		}
		free := attendees.Merge(p, registration.Released(), []attendees.Layer{one.Released()}, attendees.Layer{})
		for _, o := range free.Record(p, "1", true).Other {
			if o.Field != attendees.Affiliation { // the response's, behind the registration's
				t.Fatalf("an earlier %s outlives the hold", o.Field)
			}
		}
	})
}

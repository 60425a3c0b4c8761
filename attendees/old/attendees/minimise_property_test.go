package attendees

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// keptAs says which field of a policy lets a field of Attendee or FormAnswers be kept;
// "" is kept without any: what sources call things, and when.
var keptAs = map[string]Field{
	"ID": "", "Event": "", "Status": "", "SourceStatus": "", "Registered": "", "Changed": "", "Form": "", "Attendee": "", "Submitted": "",
	"Name": Name, "Email": Email, "Ticket": Ticket, "Attended": Attended, "AgreementVersion": AgreementVersion,
	"AgreedAt": AgreedAt, "Affiliation": Affiliation, "Forums": Forums, "Answers": Answers,
}

var (
	anyPurpose = rapid.SampledFrom([]PurposeName{ParticipationAgreement, Forum, "badges", ""})
	anyField   = rapid.SampledFrom(append(slices.Clone(fields), Agreed, "answers.chair", "answers.Bad!", "answers.", "diet", ""))
	anyID      = rapid.SampledFrom([]QuestionID{"q0", "q1", "q2", "q3", "q4", "nobody's"})

	anyPolicy = rapid.Custom(func(t *rapid.T) *Policy {
		return &Policy{Purposes: rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Purpose {
			return Purpose{anyPurpose.Draw(t, "name"), "b", rapid.SliceOfDistinct(anyField, rapid.ID[Field]).Draw(t, "fields"), rapid.Bool().Draw(t, "sealed")}
		}), 0, 3, func(u Purpose) PurposeName { return u.Name }).Draw(t, "purposes")}
	})
	anyLinks = rapid.Custom(func(t *rapid.T) FieldLinks {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) FieldLink {
			return FieldLink{anyPurpose.Draw(t, "purpose"), anyField.Draw(t, "field"), anyID.Draw(t, "question")}
		}), 0, 12).Draw(t, "links")
	})
	nasty = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "yes", "I accept", "no", "Info Requested", "\x00", "\xff\xfe", " \t\n", "\u202e", strings.Repeat("long ", 500), strings.Repeat("é", 999) + " éé",
	}))
)

// marked draws text around a marker that occurs nowhere else.
func marked(t *rapid.T, marker string) Personal {
	before, after := nasty.Draw(t, "before "+marker), nasty.Draw(t, "after "+marker)
	if rapid.Bool().Draw(t, "without "+marker) {
		return Personal(before)
	}
	return Personal(before + " «" + marker + "» " + after)
}

func anyAnswers(t *rapid.T) map[QuestionID]Answer {
	answers := map[QuestionID]Answer{}
	for i := range rapid.IntRange(0, 5).Draw(t, "answers") {
		q := QuestionID(fmt.Sprintf("q%d", i))
		for j := range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3, maxChoices + 1}).Draw(t, "choices") {
			answers[q] = append(answers[q], marked(t, fmt.Sprintf("%s.%d", q, j)))
		}
	}
	return answers
}

func anyRegistration(t *rapid.T) Registration {
	return Registration{
		ID: AttendeeID(marked(t, "ID")), Event: EventID(marked(t, "Event")), Name: marked(t, "Name"), Email: marked(t, "Email"),
		Ticket: marked(t, "Ticket").Reveal(), Status: marked(t, "Status").Reveal(),
		Cancelled: rapid.Bool().Draw(t, "cancelled"), Refunded: rapid.Bool().Draw(t, "refunded"), Attended: rapid.Bool().Draw(t, "attended"),
		Answers: anyAnswers(t), Created: at("2026-05-01T10:00:00Z"), Changed: at("2026-05-02T10:00:00Z"),
	}
}

// texts are all texts in a value, whatever it holds.
func texts(v reflect.Value) []string {
	var all []string
	switch v.Kind() {
	case reflect.String:
		all = append(all, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			all = append(append(all, texts(k)...), texts(v.MapIndex(k))...)
		}
	}
	return all
}

// names tells, without the code under test, whether some purpose names the field, or
// some sealed one.
func names(p *Policy, f Field, sealedOnly bool) bool {
	for _, u := range p.Purposes {
		for _, g := range u.Fields {
			if g == f && (u.Sealed || !sealedOnly) {
				return true
			}
		}
	}
	return false
}

// mayFill are the questions whose answers may stand in a field.
func mayFill(p *Policy, links FieldLinks, f Field) map[QuestionID]bool {
	may := map[QuestionID]bool{}
	for _, l := range links {
		fits := l.Field == f || f == Answers && l.Field == "answers.chair"
		for _, u := range p.Purposes {
			if u.Name == l.Purpose && fits && slices.Contains(u.Fields, f) {
				may[l.Question] = true
			}
		}
	}
	return may
}

// checkKept fails where a field holds what the policy does not let it hold.
func checkKept(t *rapid.T, p *Policy, links FieldLinks, kept any, own map[string]string, sealedOnly bool) {
	v := reflect.ValueOf(kept)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		f, known := keptAs[name]
		if !known {
			t.Fatalf("nobody said which policy lets %s be kept", name)
		}
		if f != "" && !field.IsZero() && !names(p, f, sealedOnly) {
			t.Fatalf("%s is kept, and no purpose names it", name)
		}
		may := mayFill(p, links, f)
		for _, text := range texts(field) {
			checkClean(t, name, text)
			for _, part := range strings.Split(text, "«")[1:] {
				marker, _, closed := strings.Cut(part, "»")
				question, _, answer := strings.Cut(marker, ".")
				switch {
				case !closed: // cut at the bound
				case answer && !may[QuestionID(question)]:
					t.Fatalf("%s holds the answer to %s, which may not fill it", name, question)
				case !answer && marker != own[name]:
					t.Fatalf("%s holds the source's %s", name, marker)
				}
			}
		}
	}
}

func checkClean(t *rapid.T, name, text string) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		t.Fatalf("%s holds what cannot be stored: %q", name, text)
	case strings.TrimSpace(text) != text:
		t.Fatalf("%s is not trimmed: %q", name, text)
	case utf8.RuneCountInString(text) > maxText:
		t.Fatalf("%s has %d characters", name, utf8.RuneCountInString(text))
	}
}

func TestNothingIsKeptThatThePolicyDoesNotName(t *testing.T) {
	ownOfRegistration := map[string]string{"ID": "ID", "Event": "Event", "SourceStatus": "Status", "Name": "Name", "Email": "Email", "Ticket": "Ticket"}
	ownOfResponse := map[string]string{"ID": "ID", "Form": "Form", "Attendee": "Attendee"}
	rapid.Check(t, func(t *rapid.T) {
		p, links, r := anyPolicy.Draw(t, "policy"), anyLinks.Draw(t, "links"), anyRegistration(t)
		a := p.Minimise(r, links).Attendee()
		checkKept(t, p, links, a, ownOfRegistration, a.Status != Attending)

		f := p.MinimiseResponse(Response{
			Form: FormID(marked(t, "Form")), ID: ResponseID(marked(t, "ID")), Attendee: AttendeeID(marked(t, "Attendee")),
			Submitted: r.Created, Answers: r.Answers,
		}, links).Response()
		checkKept(t, p, links, f, ownOfResponse, false)
	})
}

// The other direction: a Minimise that kept nothing would pass the test above.
func TestNothingIsLostThatThePolicyNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		r := registered()
		a := p.Minimise(r, nil).Attendee()
		for f, kept := range map[Field]bool{Name: a.Name == r.Name, Email: a.Email == "Ada@Example.org", Ticket: a.Ticket == r.Ticket, Attended: a.Attended} {
			if kept != names(p, f, false) {
				t.Fatalf("%s: kept is %t, want %t", f, kept, !kept)
			}
		}
		for _, f := range []Field{AgreementVersion, Affiliation, Forums} {
			for _, u := range p.Purposes {
				a := p.Minimise(r, FieldLinks{{u.Name, f, "from"}}).Attendee()
				got := map[Field]string{AgreementVersion: a.AgreementVersion, Affiliation: a.Affiliation.Reveal(), Forums: Answer(a.Forums).text().Reveal()}[f]
				if want := slices.Contains(u.Fields, f); (got == "Example Institute") != want {
					t.Fatalf("%s for %s: %q, kept wanted is %t", f, u.Name, got, want)
				}
			}
		}
	})
}

// again makes of what was kept a registration that says just that.
func again(p *Policy, a Attendee) (Registration, FieldLinks) {
	r := Registration{
		ID: a.ID, Event: a.Event, Name: a.Name, Email: a.Email, Ticket: a.Ticket, Status: a.SourceStatus, Attended: a.Attended,
		Cancelled: a.Status == Cancelled, Refunded: a.Status == Refunded, Created: a.Registered, Changed: a.Changed,
		Answers: map[QuestionID]Answer{
			"version": {Personal(a.AgreementVersion)}, "from": {a.Affiliation}, "forums": a.Forums, "chair": a.Answers["chair"],
		},
	}
	if !a.AgreedAt.IsZero() {
		r.Answers["agreed"] = Answer{"true"}
	}
	var links FieldLinks
	for _, u := range p.Purposes {
		links = append(links, FieldLinks{
			{u.Name, Agreed, "agreed"}, {u.Name, AgreementVersion, "version"}, {u.Name, Affiliation, "from"}, {u.Name, Forums, "forums"}, {u.Name, "answers.chair", "chair"},
		}...)
	}
	return r, links
}

func TestMinimisingAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy.Draw(t, "policy")
		once := p.Minimise(anyRegistration(t), anyLinks.Draw(t, "links")).Attendee()
		r, links := again(p, once)
		if twice := p.Minimise(r, links).Attendee(); !cmp.Equal(once, twice) {
			t.Fatalf("\n once %s\ntwice %s", show(once), show(twice))
		}
	})
}

func TestWhatIsMinimisedSharesNothingWithItsSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, links, r := anyPolicy.Draw(t, "policy"), anyLinks.Draw(t, "links"), anyRegistration(t)
		before := Registration{Answers: map[QuestionID]Answer{}}
		for q, a := range r.Answers {
			before.Answers[q] = slices.Clone(a)
		}
		m, f := p.Minimise(r, links), p.MinimiseResponse(Response{Answers: r.Answers}, links)
		if !cmp.Equal(before.Answers, r.Answers) {
			t.Fatal("the source was changed")
		}
		again, f2 := p.Minimise(r, links).Attendee(), p.MinimiseResponse(Response{Answers: r.Answers}, links).Response()
		for q, a := range r.Answers {
			for i := range a {
				a[i] = "overwritten"
			}
			delete(r.Answers, q)
		}
		for i := range links {
			links[i] = FieldLink{}
		}
		if !cmp.Equal(again, m.Attendee()) || !cmp.Equal(f2, f.Response()) {
			t.Fatal("what was minimised changed with its source")
		}
	})
}

func BenchmarkMinimise(b *testing.B) {
	p, r := BuiltIn(), registered()
	b.ReportAllocs()
	for b.Loop() {
		if p.Minimise(r, everyLink).Attendee().Registered == (time.Time{}) {
			b.Fatal("lost its time")
		}
	}
}

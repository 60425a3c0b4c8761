package attendees_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
)

var (
	policy = attendees.BuiltIn()
	links  = attendees.FieldLinks{
		{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agree"},
		{Purpose: attendees.ParticipationAgreement, Field: attendees.AgreementVersion, Question: "version"},
		{Purpose: attendees.ParticipationAgreement, Field: attendees.Email, Question: "mail"},
		{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "aff"},
		{Purpose: attendees.Forum, Field: attendees.Forums, Question: "forums"},
	}
	noon = time.Date(2026, 10, 2, 12, 0, 0, 0, time.UTC)
)

func ticket(id, name, email string) attendees.Layer {
	return policy.Minimise(attendees.Registration{ID: attendees.AttendeeID(id), Event: "1", Name: attendees.Personal(name), Email: attendees.Personal(email), Ticket: "General", Created: noon, Changed: noon}, nil)
}

func response(id string, at time.Time, answers map[attendees.QuestionID]attendees.Answer) attendees.Layer {
	return policy.MinimiseResponse(attendees.Response{Form: "f", ID: attendees.ResponseID(id), Submitted: at, Answers: answers}, links)
}

func TestALaterNoTakesNeitherVersionNorTimeOfTheYes(t *testing.T) {
	yes := response("t1", noon, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {"2026-1"}})
	no := response("t2", noon.AddDate(0, 0, 20), map[attendees.QuestionID]attendees.Answer{"agree": {"false"}, "version": {"2026-2"}})
	for _, order := range [][]attendees.Layer{{yes, no}, {no, yes}} {
		a := attendees.Merge(&policy, ticket("1", "Vera Nyman", "vera@n.example"), order, attendees.Layer{})
		if a.AgreementVersion != "2026-1" || !a.AgreedAt.Equal(noon) {
			t.Errorf("agreed to %q at %v, want 2026-1 at %v", a.AgreementVersion, a.AgreedAt, noon)
		}
	}
}

func TestALaterReadingOfTheSameResponseKeepsItsYes(t *testing.T) {
	before := response("t1", noon, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {"2026-1"}, "aff": {"Quill Clinic"}})
	after, took := response("t1", noon, nil).KeepYes(before)
	if !took || !after.Agreed() {
		t.Errorf("took %v, agreed %v, want both", took, after.Agreed())
	}
	a := attendees.Merge(&policy, ticket("1", "Vera Nyman", "vera@n.example"), []attendees.Layer{after}, attendees.Layer{})
	if a.AgreementVersion != "2026-1" || a.Text(attendees.Affiliation) != "" {
		t.Errorf("version %q, affiliation there %v, want 2026-1 and none", a.AgreementVersion, a.Text(attendees.Affiliation) != "")
	}
	if again, took := before.KeepYes(before); took || !bytes.Equal(again.Text(), before.Text()) {
		t.Error("the same reading again changes the layer")
	}
}

func TestATicketIsHandedOverOnlyWhereNameAndAddressDiffer(t *testing.T) {
	mara := ticket("5001", "Mara Quill", "mara@quill.example")
	for _, c := range []struct {
		name, email string
		want        bool
	}{
		{"Tibor Lasker", "tibor@lasker.example", true},
		{"Mara Quill", "mara@home.example", false},
		{"Mara Quill-Hale", "mara@quill.example", false},
		{"Info Requested", "tibor@lasker.example", false},
		{"Tibor Lasker", "", false},
		{"mara quill", "other@quill.example", false},
	} {
		if got := attendees.HandedOver(mara, ticket("5001", c.name, c.email), strings.ToLower, strings.ToLower); got != c.want {
			t.Errorf("handed over is %v, want %v, for the case of %d letters", got, c.want, len(c.name))
		}
	}
}

func TestForumHasOnlyThoseWhoGaveSomethingForIt(t *testing.T) {
	forum, _ := policy.Purpose(attendees.Forum)
	agreement, _ := policy.Purpose(attendees.ParticipationAgreement)
	bare := attendees.Merge(&policy, ticket("1", "A", "a@n.example"), nil, attendees.Layer{})
	chose := attendees.Merge(&policy, ticket("1", "A", "a@n.example"), []attendees.Layer{response("t", noon, map[attendees.QuestionID]attendees.Answer{"forums": {"Genetics"}})}, attendees.Layer{})
	if bare.For(forum) || !chose.For(forum) || !bare.For(agreement) {
		t.Errorf("forum has bare %v, chose %v; agreement has bare %v", bare.For(forum), chose.For(forum), bare.For(agreement))
	}
}

func TestACorrectionCountsUntilItsSourceSaysTheSame(t *testing.T) {
	correction, err := policy.Correct(attendees.Layer{}, attendees.Name, "Vera Nyman", noon)
	if err != nil {
		t.Fatal(err)
	}
	wrong, right := ticket("1", "Vera Nyaman", "vera@n.example"), ticket("1", "Vera Nyman", "vera@n.example")
	if a := attendees.Merge(&policy, wrong, nil, correction); a.Name.Reveal() != "Vera Nyman" || len(a.Corrected) != 1 {
		t.Error("the correction does not count")
	}
	if !attendees.Ended(&policy, right, nil, correction).IsZero() {
		t.Error("the correction has not ended")
	}
	if attendees.Ended(&policy, wrong, nil, correction).IsZero() {
		t.Error("the correction has ended too soon")
	}
}

func TestALayerPrintsNothing(t *testing.T) {
	l := ticket("1", "Vera Nyman", "vera@n.example")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, struct{ L attendees.Layer }{l}) + fmt.Sprintf(verb, l); strings.Contains(text, "Vera") {
			t.Errorf("%s prints the layer", verb)
		}
	}
}

func TestALayerIsReadBackAsItWas(t *testing.T) {
	for _, l := range []attendees.Layer{
		ticket("1", "Vera <Nyman> & co", "vera@n.example").As(2, noon),
		response("t1", noon, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "forums": {"A", "B"}}),
	} {
		again, err := attendees.ParseLayer(l.Text())
		if err != nil || !bytes.Equal(again.Text(), l.Text()) {
			t.Errorf("read back differs: %v", err)
		}
		all, err := attendees.SplitLayers(attendees.JoinLayers([]attendees.Layer{l, l}))
		if err != nil || len(all) != 2 || !bytes.Equal(all[1].Text(), l.Text()) {
			t.Errorf("joined and split differs: %v", err)
		}
	}
}

func BenchmarkOpenAndMerge(b *testing.B) {
	r := ticket("457731909", "Vera Nyman", "vera@n.example").Text()
	x := response("t1", noon, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "version": {"2026-1"}, "aff": {"Quill Clinic"}, "forums": {"Genetics"}}).Text()
	for b.Loop() {
		l, _ := attendees.ParseLayer(r)
		m, _ := attendees.ParseLayer(x)
		attendees.Merge(&policy, l, []attendees.Layer{m}, attendees.Layer{})
	}
}

// What the quick parser reads, and what it leaves to encoding/json, are one.
func FuzzParseLayer(f *testing.F) {
	f.Add(string(ticket("1", "Vera Nyman", "vera@n.example").As(2, noon).Text()))
	f.Add(string(response("t1", noon, map[attendees.QuestionID]attendees.Answer{"agree": {"true"}, "forums": {"A \"quoted\" one", "B"}}).Text()))
	f.Add(`{"origin":"registration","id":"1","name":"Zo\u00eb","changed":"2026-02-31T25:00:00Z"}`)
	f.Add(`{"origin":"response","submitted":"2024-02-29T23:59:59Z","given":[{"for":"forum","field":"forums","values":["x"]}],"holder":07}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := attendees.ParseLayer([]byte(text))
		var plain struct {
			Origin  string    `json:"origin"`
			Name    string    `json:"name"`
			Changed time.Time `json:"changed"`
		}
		if bad := json.Unmarshal([]byte(text), &plain); bad != nil {
			if err == nil {
				t.Errorf("it reads %q, which is no JSON", text)
			}
			return
		}
		if err == nil && (string(l.Origin()) != plain.Origin || l.Origin() == attendees.FromRegistration && l.Name().Reveal() != plain.Name || !l.Changed().Equal(plain.Changed)) {
			t.Errorf("%q is read otherwise than by encoding/json", text)
		}
		if err != nil {
			return
		}
		again, err := attendees.ParseLayer(l.Text())
		if err != nil || !bytes.Equal(again.Text(), l.Text()) || again.Name() != l.Name() || again.Email() != l.Email() || !json.Valid(l.Text()) {
			t.Errorf("%q is written otherwise than it was read", text)
		}
	})
}

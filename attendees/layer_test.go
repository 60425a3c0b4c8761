package attendees_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
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

// consentPolicy is one with a purpose on consent, and its links.
func consentPolicy() (attendees.Policy, attendees.FieldLinks) {
	p := attendees.BuiltIn()
	p.Purposes = append(p.Purposes, attendees.Purpose{
		Name: "news", Basis: "a", Fields: []attendees.Field{attendees.Email, attendees.Affiliation, attendees.AgreementVersion, attendees.Consented},
	})
	return p, append(slices.Clone(links),
		attendees.FieldLink{Purpose: "news", Field: attendees.Consented, Question: "consent"},
		attendees.FieldLink{Purpose: "news", Field: attendees.AgreementVersion, Question: "version"},
		attendees.FieldLink{Purpose: "news", Field: attendees.Affiliation, Question: "aff"},
		attendees.FieldLink{Purpose: attendees.Forum, Field: "answers.chair", Question: "chair"},
	)
}

func ticket(id, name, email string) attendees.Layer {
	return policy.Minimise(attendees.Registration{ID: attendees.AttendeeID(id), Event: "1", Name: attendees.Personal(name), Email: attendees.Personal(email), Ticket: "General", Created: noon, Changed: noon}, nil)
}

func response(id string, at time.Time, answers map[attendees.QuestionID]attendees.Answer) attendees.Layer {
	return policy.MinimiseResponse(attendees.Response{Form: "f", ID: attendees.ResponseID(id), Submitted: at, Answers: answers}, links)
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
	f.Add(`{"origin":"registration","changed":""}`)
	f.Add(`{"origin":"response","id":"t","given":[{"for":"forum","field":"agreed"}]}`)
	f.Add(`{"origin":"correction","given":[{"field":"forums"},{"field":"agreement_version"},{"field":"consented"}],"was":[{"origin":"correction"}]}`)
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
		none := attendees.Layer{}
		if l.Origin() == attendees.FromCorrection { // nothing that is parsed makes Merge or Record panic
			attendees.Merge(&policy, none, nil, l).Record(&policy, "1", true)
		} else {
			attendees.Merge(&policy, l, []attendees.Layer{l, l}, none).Record(&policy, "1", true)
		}
		again, err := attendees.ParseLayer(l.Text())
		if err != nil || !bytes.Equal(again.Text(), l.Text()) || again.Name() != l.Name() || again.Email() != l.Email() || !json.Valid(l.Text()) {
			t.Errorf("%q is written otherwise than it was read", text)
		}
	})
}

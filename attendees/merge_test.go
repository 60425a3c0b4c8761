package attendees_test

import (
	"slices"
	"testing"
	"time"

	"lethe/attendees"
)

// has are the purposes that have a reason for somebody.
func has(p attendees.Policy, a attendees.Attendee) (names []attendees.PurposeName) {
	for _, u := range p.Purposes {
		if a.For(u) {
			names = append(names, u.Name)
		}
	}
	return names
}

func TestAPurposeHasAnAttendeeOnlyWhereItHasAReason(t *testing.T) {
	p, links := consentPolicy()
	p.Purposes = append(p.Purposes, attendees.Purpose{Name: "badges", Basis: "f", Fields: []attendees.Field{attendees.Name, attendees.Ticket}})
	agreement, forum := attendees.ParticipationAgreement, attendees.Forum
	for what, c := range map[string]struct {
		cancelled bool
		answers   answers
		want      []attendees.PurposeName
	}{
		"a registration":        {false, nil, []attendees.PurposeName{agreement, "badges"}},
		"an agreement":          {false, answers{"agree": {"true"}, "version": {"1"}}, []attendees.PurposeName{agreement, "badges"}},
		"a chosen forum":        {false, answers{"forums": {"Archives"}}, []attendees.PurposeName{agreement, forum, "badges"}},
		"a mapped answer":       {false, answers{"chair": {"no"}}, []attendees.PurposeName{agreement, forum, "badges"}},
		"a consent":             {false, answers{"consent": {"Yes"}}, []attendees.PurposeName{agreement, "news", "badges"}},
		"a refused consent":     {false, answers{"consent": {"No"}, "version": {"1"}}, []attendees.PurposeName{agreement, "badges"}},
		"cancelled, with forum": {true, answers{"forums": {"Archives"}, "consent": {"Yes"}}, []attendees.PurposeName{agreement}},
	} {
		r := p.Minimise(attendees.Registration{ID: "1", Name: "Ada Invented", Cancelled: c.cancelled, Created: noon}, nil)
		x := p.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Submitted: noon, Answers: c.answers}, links)
		a := attendees.Merge(&p, r, []attendees.Layer{x}, attendees.Layer{})
		if got := has(p, a); !slices.Equal(got, c.want) {
			t.Errorf("%s is a reason for %v, want %v", what, got, c.want)
		}
		if got := has(p, a.Shown(&p)); !slices.Equal(got, c.want) {
			t.Errorf("%s, as organisers see it, is a reason for %v, want %v", what, got, c.want)
		}
	}
}

func TestOrganisersSeeOnlyFieldsOfPurposesThatHaveAReason(t *testing.T) {
	p, links := consentPolicy()
	p.Purposes = p.Purposes[1:] // none has a duty
	given := answers{"aff": {"Quill Clinic"}, "version": {"2026-1"}, "chair": {"yes"}}
	shown := func(cancelled bool) attendees.Attendee {
		r := p.Minimise(attendees.Registration{ID: "1", Name: "Mara Quill", Email: "mara@quill.example", Cancelled: cancelled, Created: noon}, nil)
		x := p.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Submitted: noon, Answers: given}, links)
		return attendees.Merge(&p, r, []attendees.Layer{x}, attendees.Layer{}).Shown(&p)
	}
	a := shown(false)
	var fields []string
	for _, g := range a.Given {
		fields = append(fields, string(g.Purpose)+" "+string(g.Field))
	}
	if want := []string{"forum affiliation", "forum answers.chair"}; a.Name.Empty() || a.Email.Empty() || a.AgreementVersion != "" || !slices.Equal(fields, want) {
		t.Errorf("shown are name %v, address %v, version %v and %v, want both, none and %v", !a.Name.Empty(), !a.Email.Empty(), a.AgreementVersion != "", fields, want)
	}
	if a = shown(true); !a.Name.Empty() || !a.Email.Empty() || len(a.Given) > 0 {
		t.Errorf("of somebody who cancelled name %v, address %v and %d fields are shown, want none", !a.Name.Empty(), !a.Email.Empty(), len(a.Given))
	}
}

func TestEachFieldComesFromItsNewestOriginThatHasIt(t *testing.T) {
	old := response("t1", noon, answers{"mail": {"old@n.example"}, "aff": {"Old Clinic"}, "forums": {"Archives"}})
	young := response("t2", noon.Add(time.Hour), answers{"mail": {"new@n.example"}, "aff": {"New Clinic"}})
	correction, err := policy.Correct(attendees.Layer{}, attendees.Affiliation, "Right Clinic", noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, responses := range [][]attendees.Layer{{old, young}, {young, old}} {
		a := attendees.Merge(&policy, ticket("1", "Ada Invented", ""), responses, attendees.Layer{})
		if a.Email != "new@n.example" || a.Text(attendees.Affiliation) != "New Clinic" || a.Text(attendees.Forums) != "Archives" || !slices.Equal(a.Filled, []attendees.Field{attendees.Email}) {
			t.Errorf("a response's fields are %s, %s and %s", a.Email.Reveal(), a.Text(attendees.Affiliation), a.Text(attendees.Forums))
		}
		if len(a.Answered) != 2 || a.Answered[0].Submitted != noon.Add(time.Hour) {
			t.Errorf("%d responses, want the newest of two first", len(a.Answered))
		}
		a = attendees.Merge(&policy, ticket("1", "Ada Invented", "own@n.example"), responses, correction)
		if a.Email != "own@n.example" || a.Text(attendees.Affiliation) != "Right Clinic" || len(a.Filled) > 0 || !slices.Equal(a.Corrected, []attendees.Field{attendees.Affiliation}) {
			t.Errorf("the fields are %s and %s", a.Email.Reveal(), a.Text(attendees.Affiliation))
		}
	}
	own := policy.Minimise(attendees.Registration{ID: "1", Answers: answers{"mail": {"asked@n.example"}}, Created: noon}, links)
	if a := attendees.Merge(&policy, own, nil, attendees.Layer{}); a.Email != "asked@n.example" || len(a.Filled) > 0 {
		t.Error("what a registration was asked is not its own")
	}
}

// An answer belongs to the purpose of its link.
func TestWithdrawingConsentShowsAnAnswerUnderNoOtherPurpose(t *testing.T) {
	p, links := consentPolicy()
	only := attendees.FieldLinks{links[5], links[7]} // consent and affiliation, for news
	x := p.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Submitted: noon, Answers: answers{"consent": {"true"}, "aff": {"Quill Clinic"}}}, only)
	r := p.Minimise(attendees.Registration{ID: "1", Name: "Mara Quill", Email: "mara@quill.example"}, nil)
	correction, err := p.Correct(attendees.Layer{}, attendees.Affiliation, "Quill Hospital", noon)
	if err != nil {
		t.Fatal(err)
	}
	a := attendees.Merge(&p, p.Again(r, "news"), []attendees.Layer{p.Again(x, "news")}, attendees.Layer{})
	if len(a.Given) > 0 || a.Email.Empty() || slices.Contains(has(p, a), "news") {
		t.Errorf("%d answers are left, want none, and the address, which the agreement needs, too", len(a.Given))
	}
	p.Purposes = p.Purposes[2:]
	if !p.Again(correction, "news").Name().Empty() || len(attendees.Merge(&p, r, nil, p.Again(correction, "news")).Given) > 0 {
		t.Error("a corrected field of a withdrawn purpose stays")
	}
}

func TestACorrectionCountsUntilItsSourceSaysTheSame(t *testing.T) {
	forms := func(aff string) []attendees.Layer {
		return []attendees.Layer{response("t", noon, answers{"aff": {attendees.Personal(aff)}, "forums": {"Archives", "Open Data"}, "version": {"1"}})}
	}
	type saying struct {
		name, aff string
		attended  bool
	}
	wrong := saying{"Vera Nyaman", "Qill Clinic", false}
	for field, c := range map[attendees.Field]struct {
		value attendees.Personal
		says  saying
	}{
		attendees.Name:        {"Vera Nyman", saying{"Vera Nyman", "Qill Clinic", false}},
		attendees.Affiliation: {"Quill Clinic", saying{"Vera Nyaman", "Quill Clinic", false}},
		attendees.Attended:    {"yes", saying{"Vera Nyaman", "Qill Clinic", true}},
	} {
		correction, err := policy.Correct(attendees.Layer{}, field, c.value, noon)
		if err != nil {
			t.Fatal(err)
		}
		layers := func(s saying) (attendees.Layer, []attendees.Layer) {
			return policy.Minimise(attendees.Registration{ID: "1", Name: attendees.Personal(s.name), Attended: s.attended}, nil), forms(s.aff)
		}
		r, x := layers(wrong)
		if a := attendees.Merge(&policy, r, x, correction); a.Text(field) != c.value.Reveal() || !slices.Equal(a.Corrected, []attendees.Field{field}) {
			t.Errorf("%s is not corrected", field)
		}
		if attendees.Ended(&policy, r, x, correction).IsZero() {
			t.Errorf("the correction of %s has ended too soon", field)
		}
		r, x = layers(c.says)
		if a := attendees.Merge(&policy, r, x, correction); a.Text(field) != c.value.Reveal() || len(a.Corrected) > 0 {
			t.Errorf("%s counts as corrected, though its source says the same", field)
		}
		if !attendees.Ended(&policy, r, x, correction).IsZero() {
			t.Errorf("the correction of %s has not ended", field)
		}
	}
}

func TestACorrectionEndsOnlyWhereAllPurposesSayTheSame(t *testing.T) {
	p, links := consentPolicy()
	given := func(forum, news attendees.Personal) []attendees.Layer {
		own := slices.Clone(links)
		own[7].Question = "aff2"
		return []attendees.Layer{p.MinimiseResponse(attendees.Response{ID: "t", Submitted: noon, Answers: answers{"aff": {forum}, "aff2": {news}}}, own)}
	}
	correction, err := p.Correct(attendees.Layer{}, attendees.Affiliation, "Right", noon)
	if err != nil {
		t.Fatal(err)
	}
	if attendees.Ended(&p, attendees.Layer{}, given("Right", "Wrong"), correction).IsZero() {
		t.Error("it has ended where one purpose still has the wrong value")
	}
	if a := attendees.Merge(&p, attendees.Layer{}, given("Right", "Wrong"), correction); a.Given[1].Values[0] != "Right" {
		t.Error("one purpose still has the wrong value")
	}
	if !attendees.Ended(&p, attendees.Layer{}, given("Right", "Right"), correction).IsZero() {
		t.Error("it has not ended where all purposes say the same")
	}
}

func TestCorrectedToNothingIsNothing(t *testing.T) {
	x := []attendees.Layer{response("t", noon, answers{"aff": {"Quill Clinic"}})}
	correction, err := policy.Correct(attendees.Layer{}, attendees.Affiliation, " ", noon)
	if err != nil {
		t.Fatal(err)
	}
	if a := attendees.Merge(&policy, ticket("1", "A", "a@n.example"), x, correction); len(a.Given) > 0 || len(a.Corrected) != 1 {
		t.Errorf("%d fields, corrected %v, want none and the affiliation", len(a.Given), a.Corrected)
	}
	forums, err := policy.Correct(correction, attendees.Forums, "Archives;  Open Data ;", noon)
	if err != nil {
		t.Fatal(err)
	}
	a := attendees.Merge(&policy, ticket("1", "A", "a@n.example"), x, forums)
	if !slices.Equal(a.Forums(), []attendees.Personal{"Archives", "Open Data"}) {
		t.Errorf("%d forums, want the two that were corrected", len(a.Forums()))
	}
	for field, value := range map[attendees.Field]attendees.Personal{attendees.AgreedAt: "2026-01-01", attendees.Attended: "perhaps", "answers.chair": "yes", attendees.Consented: "yes"} {
		if _, err := policy.Correct(attendees.Layer{}, field, value, noon); err == nil {
			t.Errorf("%s is corrected", field)
		}
	}
	back := forums.Uncorrect(attendees.Forums).Uncorrect(attendees.Affiliation)
	if !back.IsZero() || correction.Also(forums).IsZero() || !slices.Equal(attendees.Merge(&policy, attendees.Layer{}, x, attendees.Layer{}.Also(forums)).Forums(), a.Forums()) {
		t.Error("corrections are not taken back, or not joined")
	}
}

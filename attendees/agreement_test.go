package attendees_test

import (
	"bytes"
	"testing"
	"time"

	"lethe/attendees"
)

type answers = map[attendees.QuestionID]attendees.Answer

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func agreedTo(t *testing.T, a attendees.Attendee, version string, when time.Time) {
	t.Helper()
	if a.AgreementVersion != version || !a.AgreedAt.Equal(when) {
		t.Errorf("agreed to %q at %v, want %q at %v", a.AgreementVersion, a.AgreedAt, version, when)
	}
}

// A question was made again under a new id, or removed with its answers: the same response
// comes without them.
func TestALaterReadingOfTheSameResponseKeepsItsYes(t *testing.T) {
	before := response("tok0", noon, answers{"agree": {"true"}, "version": {"2026-1"}, "aff": {"Quill Clinic"}})
	for what, later := range map[string]answers{
		"without any answer":       nil,
		"with only the version":    {"version": {"2026-1"}},
		"with only the yes":        {"agree": {"true"}},
		"with a no":                {"agree": {"false"}},
		"with a no to another one": {"agree": {"false"}, "version": {"2026-2"}},
	} {
		after, took := response("tok0", noon, later).KeepYes(before)
		if want := what != "with only the yes"; took != want || !after.Agreed() {
			t.Errorf("%s: took the yes %v, want %v; agreed %v", what, took, want, after.Agreed())
		}
		a := attendees.Merge(&policy, ticket("7001", "Juno Hale", "juno@mail.example"), []attendees.Layer{after}, attendees.Layer{})
		agreedTo(t, a, "2026-1", noon)
		if a.Text(attendees.Affiliation) != "" {
			t.Errorf("%s: an answer that is gone at its source stays", what)
		}
		if again, _ := response("tok0", noon, later).KeepYes(after); !bytes.Equal(again.Text(), after.Text()) {
			t.Errorf("%s: read once more, the layer changes", what)
		}
	}
	if again, took := before.KeepYes(before); took || !bytes.Equal(again.Text(), before.Text()) {
		t.Error("the same reading again changes the layer")
	}
	if later, took := before.KeepYes(response("tok0", noon, nil)); took || !bytes.Equal(later.Text(), before.Text()) {
		t.Error("a yes that an earlier reading lacked is not taken as it is")
	}
}

func TestAConsentIsKeptLikeAnAgreement(t *testing.T) {
	p, links := consentPolicy()
	read := func(a answers) attendees.Layer {
		return p.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Submitted: noon, Answers: a}, links)
	}
	after, took := read(nil).KeepYes(read(answers{"consent": {"true"}, "version": {"v1"}}))
	a := attendees.Merge(&p, attendees.Layer{}, []attendees.Layer{after}, attendees.Layer{})
	if !took || len(a.Given) != 1 || a.Given[0].Version != "v1" || !a.Given[0].At.Equal(noon) {
		t.Errorf("took %v, and %d fields are left, want the consent to v1", took, len(a.Given))
	}
}

func TestALaterNoTakesNeitherVersionNorTimeOfTheYes(t *testing.T) {
	first, second := at("2026-10-02T03:51:19Z"), at("2026-10-22T03:51:19Z")
	yes := response("t1", first, answers{"agree": {"true"}, "version": {"2026-1"}})
	no := response("t2", second, answers{"agree": {"false"}, "version": {"2026-2"}})
	yesAgain := response("t2", second, answers{"agree": {"true"}, "version": {"2026-2"}})
	unversioned := response("t2", second, answers{"agree": {"true"}})
	for _, c := range []struct {
		later   attendees.Layer
		version string
		at      time.Time
	}{{no, "2026-1", first}, {yesAgain, "2026-2", second}, {unversioned, "", second}} {
		for _, order := range [][]attendees.Layer{{yes, c.later}, {c.later, yes}} {
			agreedTo(t, attendees.Merge(&policy, ticket("1", "Vera Nyman", "vera@n.example"), order, attendees.Layer{}), c.version, c.at)
		}
	}
}

func TestARegistrationsYesHasTheTimeOfItsFirstReading(t *testing.T) {
	read := func(created, changed time.Time, a answers) attendees.Layer {
		return policy.Minimise(attendees.Registration{ID: "1", Created: created, Changed: changed, Answers: a}, links)
	}
	yes := answers{"agree": {"true"}, "version": {"2026-1"}}
	merged := func(l attendees.Layer) attendees.Attendee {
		return attendees.Merge(&policy, l, nil, attendees.Layer{})
	}
	first := read(noon, noon, yes)
	agreedTo(t, merged(first), "2026-1", noon)
	later, _ := read(noon.AddDate(0, 0, 1), noon.AddDate(0, 0, 1), yes).KeepYes(first)
	agreedTo(t, merged(later), "2026-1", noon)
	agreedTo(t, merged(read(time.Time{}, noon, yes)), "2026-1", noon)
	if a := merged(read(time.Time{}, time.Time{}, yes)); a.AgreedAt.IsZero() {
		t.Error("a yes that its source does not date is lost")
	}
}

// What was answered before the ticket changed hands is the former holder's.
func TestTheNewHolderHasAgreedToNothing(t *testing.T) {
	answered := response("tokmara", at("2026-11-29T03:44:04Z"), answers{"mail": {"mara@quill.example"}, "agree": {"true"}, "aff": {"Quill Clinic"}})
	mara := attendees.Merge(&policy, ticket("5001", "Mara Quill", "mara@quill.example").Left(), []attendees.Layer{answered}, attendees.Layer{})
	tibor := attendees.Merge(&policy, ticket("5001", "Tibor Lasker", "tibor@lasker.example").As(1, noon), nil, attendees.Layer{})
	if mara.Standing != attendees.Gone || mara.AgreedAt.IsZero() || mara.Holder != 0 || mara.Text(attendees.Affiliation) != "Quill Clinic" {
		t.Errorf("the former holder is %s and agreed at %v", mara.Standing, mara.AgreedAt)
	}
	if tibor.Standing != attendees.Attending || tibor.Holder != 1 || !tibor.HeldSince.Equal(noon) || !tibor.AgreedAt.IsZero() || len(tibor.Given) > 0 {
		t.Errorf("the new holder is %s, number %d, and agreed at %v", tibor.Standing, tibor.Holder, tibor.AgreedAt)
	}
}

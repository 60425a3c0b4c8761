package attendees_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
)

// mara agreed, chose a forum and had her name corrected.
func mara(t *testing.T, standing func(attendees.Layer) attendees.Layer) attendees.Attendee {
	r := policy.Minimise(attendees.Registration{ID: "5001", Name: "Mara Qill", Email: "mara@quill.example", Ticket: "General", Status: "Attending", Created: noon}, nil)
	x := response("tokmara", noon.Add(time.Hour), answers{"agree": {"true"}, "version": {"2026-1"}, "forums": {"Archives", "Open Data"}})
	correction, err := policy.Correct(attendees.Layer{}, attendees.Name, "Mara Quill", noon)
	if err != nil {
		t.Fatal(err)
	}
	return attendees.Merge(&policy, standing(r), []attendees.Layer{x}, correction)
}

func same(l attendees.Layer) attendees.Layer { return l }

func TestARecordsTextIsWhatItsCommentSays(t *testing.T) {
	want := strings.ReplaceAll(`{"event":"1","attendee":"5001","standing":"attending","registered":"2026-10-02T12:00:00Z","fields":[
{"field":"name","values":["Mara Quill"],"origin":"correction","corrected":true,"purposes":["participation_agreement"]},
{"field":"email","values":["mara@quill.example"],"origin":"registration","purposes":["participation_agreement"]},
{"field":"ticket","values":["General"],"origin":"registration","purposes":["participation_agreement"]},
{"field":"attended","values":["no"],"origin":"registration","purposes":["participation_agreement"]},
{"field":"agreement_version","values":["2026-1"],"origin":"response","purposes":["participation_agreement"]},
{"field":"agreed_at","values":["2026-10-02T13:00:00Z"],"origin":"response","purposes":["participation_agreement"]}],
"responses":[{"form":"f","submitted":"2026-10-02T13:00:00Z"}]}`, "\n", "")
	if diff := cmp.Diff(want, string(mara(t, same).Record(&policy, "1", false).Text())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOfSomebodyOnHoldTheRecordHasEverything(t *testing.T) {
	forums := attendees.RecordField{Field: attendees.Forums, Values: []string{"Archives", "Open Data"}, Origin: attendees.FromResponse, Purposes: []attendees.PurposeName{attendees.Forum}}
	corrected := attendees.RecordField{Field: attendees.Name, Values: []string{"Mara Qill"}, Origin: attendees.FromRegistration, Purposes: []attendees.PurposeName{}}
	for what, standing := range map[string]func(attendees.Layer) attendees.Layer{"attending": same, "gone": attendees.Layer.Left} {
		r := mara(t, standing).Record(&policy, "1", true)
		if got := r.Fields[len(r.Fields)-1]; len(r.Fields) != 7 || !cmp.Equal(got, forums) {
			t.Errorf("%s: %d fields, the last %s", what, len(r.Fields), got.Field)
		}
		if diff := cmp.Diff([]attendees.RecordField{corrected}, r.Other); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
		want := []attendees.PurposeName{attendees.ParticipationAgreement, attendees.Forum}
		if what == "gone" {
			want = want[:1] // the forum has no reason any more
		}
		if diff := cmp.Diff(want, r.Fields[0].Purposes); diff != "" {
			t.Errorf("%s: the name's purposes (-want +got)\n%s", what, diff)
		}
	}
	none := attendees.Policy{Purposes: []attendees.Purpose{{Name: attendees.Forum, Basis: "b", Fields: []attendees.Field{attendees.Name, attendees.Forums}}}}
	if r := mara(t, attendees.Layer.Left).Record(&none, "1", true); len(r.Fields) != 6 {
		t.Errorf("%d fields where the policy is narrower and no purpose has a reason, want 6: all but attended", len(r.Fields))
	}
}

func TestARecordSaysToWhatAndWhenConsentWasGiven(t *testing.T) {
	p, links := consentPolicy()
	p.Purposes[2].Sealed = true
	r := p.Minimise(attendees.Registration{ID: "1", Email: "a@n.example"}, nil)
	consent := func(answer attendees.Personal) attendees.Record {
		x := p.MinimiseResponse(attendees.Response{Form: "f", ID: "t", Submitted: noon, Answers: answers{"consent": {answer}, "version": {"v1"}, "aff": {"Clinic"}}}, links)
		return attendees.Merge(&p, r, []attendees.Layer{x}, attendees.Layer{}).Record(&p, "1", false)
	}
	values := map[attendees.Field][]string{}
	for _, f := range consent("true").Fields {
		values[f.Field] = f.Values
	}
	if diff := cmp.Diff([]string{"2026-10-02T12:00:00Z", "v1"}, values[attendees.Consented]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, f := range consent("false").Fields {
		if f.Field == attendees.Affiliation || f.Field == attendees.Consented {
			t.Errorf("%s is kept without consent", f.Field)
		}
	}
}

func TestWhatIsNoRecordIsRefusedWithoutItsText(t *testing.T) {
	for _, text := range []string{"", "null", "{}", "[]", `{"event":"1"}`, `{"attendee":"Mara Quill"`, `{"attendee":7}`} {
		if r, err := attendees.ParseRecord([]byte(text)); err == nil || r.Attendee != "" || strings.Contains(err.Error(), "Mara") {
			t.Errorf("%q is read, or quoted: %v", text, err)
		}
	}
	later := `{"event":"1","attendee":"7","fields":[],"known_later":{"x":1}}`
	if r, err := attendees.ParseRecord([]byte(later)); err != nil || r.Attendee != "7" {
		t.Errorf("a record with a key that came later is refused: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(`{"event":"1","attendee":"7","holder":1,"registered":"2026-10-02T12:00:00Z","fields":[{"field":"name","values":["A"],"origin":"response","purposes":["forum"]}],"responses":[{"form":"f"}]}`)
	f.Add(`{"attendee":"7","fields":null,"other":[{"values":[]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := attendees.ParseRecord([]byte(text))
		if err != nil {
			return
		}
		again, err := attendees.ParseRecord(r.Text())
		if err != nil || string(again.Text()) != string(r.Text()) {
			t.Errorf("%q is written otherwise than it was read", text)
		}
	})
}

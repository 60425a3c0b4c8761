package typeform

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

func TestQuestionsInsideGroupsStandBesideTheOthers(t *testing.T) {
	_, c := sandbox(t, typeformtest.Options{})
	got, err := c.Form(t.Context(), forum)
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		Ref  attendees.QuestionID
		Free bool
	}
	var brs []brief
	for _, q := range got.Questions {
		brs = append(brs, brief{q.Ref, q.FreeText})
	}
	want := []brief{
		{"name", false}, {"email", false}, {"affiliation", false}, {"forums", false}, {"chair", false}, {"first-time", false},
		{"sessions", false}, {"arrival", false}, {"health", false}, {"faith", false}, {"story", true}, {"phone", false},
		{"photo", true}, {"fee", true}, {"hello", true},
	}
	if d := cmp.Diff(want, brs); d != "" {
		t.Errorf("questions (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"Rivers", "Archives", "Memory"}, got.Questions[3].Choices); d != "" {
		t.Errorf("choices (-want +got):\n%s", d)
	}
	if got.Title != "Forums" || got.ID != forum || got.Host != c.host || got.Hidden[0] != "attendee_id" {
		t.Errorf("got %q, %q, host %q, hidden %v", got.ID, got.Title, got.Host, got.Hidden)
	}
	if err := c.CheckRegion(got); err != nil {
		t.Errorf("region: %v", err)
	}
}

// served is what Form makes of a body.
func served(t *testing.T, body []byte) Form {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	t.Cleanup(s.Close)
	c, err := New(Options{URL: s.URL, Token: "t", PerSecond: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.Form(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestVendorsOwnFormsAreRead(t *testing.T) {
	all := served(t, example(t, "form_alexbassy_all_fields.json"))
	if len(all.Questions) != 17 || all.Host != "" { // 16 fields, less statement and group, and three in the group
		t.Errorf("got %d questions, host %q; want 17 and none", len(all.Questions), all.Host)
	}
	grouped := served(t, example(t, "form_nicehealthcare_demo_group.json"))
	if grouped.Host != "api.typeform.com" || grouped.Questions[0].Ref != "question-group-yes-no-typeform" || !grouped.Questions[1].FreeText {
		t.Errorf("got host %q, first questions %+v", grouped.Host, grouped.Questions[:2])
	}
}

func TestAnOddFieldDoesNotHideTheOthers(t *testing.T) {
	f := served(t, []byte(`{"title":7,"hidden":["attendee_id",7],"fields":[7,null,{"type":"legal"},
		{"id":"a","title":{"x":1},"type":"short_text","properties":[]},
		{"id":"b","type":"telepathy"},
		{"id":"c","ref":"c-ref","title":"Yes?","type":"legal","properties":{"choices":null}}],"_links":{"responses":7}}`))
	want := []attendees.Question{
		{ID: "b", Type: "telepathy", FreeText: true},
		{ID: "c", Ref: "c-ref", Title: "Yes?", Type: "legal"},
	}
	if d := cmp.Diff(want, f.Questions); d != "" {
		t.Errorf("questions (-want +got):\n%s", d)
	}
}

func TestHostsAreComparedAsTheyMeanTheSame(t *testing.T) {
	c, err := New(Options{URL: "https://API.typeform.eu:443/", Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	for want, ok := range map[string]bool{"": true, "api.typeform.eu": true, "api.typeform.com": false, "evil.example": false} {
		if err := c.CheckRegion(Form{Form: attendees.Form{Host: want}}); (err == nil) != ok {
			t.Errorf("%q: %v", want, err)
		}
	}
}

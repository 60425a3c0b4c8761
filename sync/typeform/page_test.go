package typeform

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

// shown makes a response comparable and readable.
type shown struct {
	ID       attendees.ResponseID
	Attendee attendees.AttendeeID
	At       string
	Answers  map[attendees.QuestionID][]string
}

func show(rs []attendees.Response) []shown {
	var all []shown
	for _, r := range rs {
		s := shown{r.ID, r.Attendee, r.Submitted.Format(time.RFC3339), nil}
		for q, a := range r.Answers {
			if s.Answers == nil {
				s.Answers = map[attendees.QuestionID][]string{}
			}
			for _, p := range a {
				s.Answers[q] = append(s.Answers[q], p.Reveal())
			}
		}
		all = append(all, s)
	}
	return all
}

func ask(qs ...attendees.QuestionID) map[attendees.QuestionID]bool {
	m := map[attendees.QuestionID]bool{}
	for _, q := range qs {
		m[q] = true
	}
	return m
}

func one(answer string) string {
	return `{"total_items":1,"page_count":1,"items":[{"token":"t1","response_id":"r1","submitted_at":"2026-05-01T10:00:00Z","answers":[` + answer + `]}]}`
}

func TestAnswersOfAllKindsReadAsText(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         []string
		unknown      bool
	}{
		{"text", `{"field":{"id":"q","type":"short_text"},"type":"text","text":"River Institute"}`, []string{"River Institute"}, false},
		{"value before its field", `{"type":"text","text":"Ἑλένη","field":{"type":"short_text","id":"q"}}`, []string{"Ἑλένη"}, false},
		{"type after its value", `{"text":"x","type":"text","field":{"id":"q"}}`, []string{"x"}, false},
		{"email", `{"field":{"id":"q"},"type":"email","email":"ada@example.org"}`, []string{"ada@example.org"}, false},
		{"url", `{"field":{"id":"q"},"type":"url","url":"http://example.org"}`, []string{"http://example.org"}, false},
		{"phone", `{"field":{"id":"q"},"type":"phone_number","phone_number":"+12345678900"}`, []string{"+12345678900"}, false},
		{"number", `{"field":{"id":"q"},"type":"number","number":12.50}`, []string{"12.50"}, false},
		{"yes", `{"field":{"id":"q"},"type":"boolean","boolean":true}`, []string{"true"}, false},
		{"no", `{"field":{"id":"q"},"type":"boolean","boolean":false}`, []string{"false"}, false},
		{"day", `{"field":{"id":"q"},"type":"date","date":"2026-05-01"}`, []string{"2026-05-01"}, false},
		{"date and time", `{"field":{"id":"q"},"type":"date","date":"2019-03-08T00:00:00Z"}`, []string{"2019-03-08T00:00:00Z"}, false},
		{"choice", `{"field":{"id":"q"},"type":"choice","choice":{"id":"c1","ref":"c-1","label":"Rivers"}}`, []string{"Rivers"}, false},
		{"choice of one's own", `{"field":{"id":"q"},"type":"choice","choice":{"other":"Springs"}}`, []string{"Springs"}, false},
		{"old dropdown", `{"field":{"id":"q","type":"dropdown"},"type":"text","text":"Mermaid"}`, []string{"Mermaid"}, false},
		{"choices", `{"field":{"id":"q"},"type":"choices","choices":{"ids":["1","2"],"refs":["a","b"],"labels":["Rivers","Memory"]}}`, []string{"Rivers", "Memory"}, false},
		{"choices and one's own", `{"field":{"id":"q"},"type":"choices","choices":{"other":"Springs","labels":["Rivers"]}}`, []string{"Rivers", "Springs"}, false},
		{"only one's own", `{"field":{"id":"q"},"type":"choices","choices":{"labels":null,"other":"Springs"}}`, []string{"Springs"}, false},
		{"escapes", `{"field":{"id":"q"},"type":"text","text":"a\u0000b\n\"c\" \ud83d\ude80"}`, []string{"ab\n\"c\" 🚀"}, false},
		{"half a character", `{"field":{"id":"q"},"type":"text","text":"x\ud83d"}`, []string{"x\ufffd"}, false},
		{"null", `{"field":{"id":"q"},"type":"text","text":null}`, nil, false},
		{"nothing", `{"field":{"id":"q"},"type":"text","text":""}`, nil, false},
		{"another question", `{"field":{"id":"z","ref":"y"},"type":"text","text":"none of ours"}`, nil, false},
		{"payment", `{"field":{"id":"q"},"type":"payment","payment":{"amount":"1","name":"Ada"}}`, nil, true},
		{"file", `{"field":{"id":"q"},"type":"file_url","file_url":"https://example.org/scan"}`, nil, true},
		{"recording", `{"field":{"id":"q"},"type":"multi_format","multi_format":{"video_url":"x"}}`, nil, true},
		{"signature", `{"field":{"id":"q"},"type":"signature","signature":"x"}`, nil, true},
		{"kind of tomorrow", `{"field":{"id":"q"},"type":"telepathy","telepathy":"x"}`, nil, true},
		{"no kind", `{"field":{"id":"q"},"text":"x"}`, nil, true},
		{"object for text", `{"field":{"id":"q"},"type":"text","text":{"x":1}}`, nil, true},
		{"text for choices", `{"field":{"id":"q"},"type":"choices","choices":"Rivers"}`, nil, true},
		{"question turned into long text", `{"field":{"id":"q","type":"long_text"},"type":"text","text":"x"}`, nil, true},
		{"field is no object", `{"field":7,"type":"text","text":"x"}`, nil, false},
		{"answer is no object", `7`, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode([]byte(one(c.answer)), "f", ask("q"))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Responses) != 1 {
				t.Fatalf("got %d responses, want 1", len(got.Responses))
			}
			if d := cmp.Diff(c.want, show(got.Responses)[0].Answers["q"]); d != "" {
				t.Errorf("answer (-want +got):\n%s", d)
			}
			if (len(got.Unknown) == 1 && got.Unknown[0] == "q") != c.unknown {
				t.Errorf("unknown fields: got %v, want told: %v", got.Unknown, c.unknown)
			}
		})
	}
}

func TestAnswersAreKeyedByWhatWasAskedFor(t *testing.T) {
	body := []byte(one(`{"field":{"id":"i1","ref":"r1"},"type":"text","text":"x"}`))
	for _, c := range []struct {
		asked map[attendees.QuestionID]bool
		want  map[attendees.QuestionID][]string
	}{
		{ask("r1"), map[attendees.QuestionID][]string{"r1": {"x"}}},
		{ask("i1"), map[attendees.QuestionID][]string{"i1": {"x"}}},
		{ask("i1", "r1"), map[attendees.QuestionID][]string{"i1": {"x"}, "r1": {"x"}}},
		{nil, nil},
		{map[attendees.QuestionID]bool{"r1": false}, nil},
	} {
		got, err := decode(body, "f", c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, show(got.Responses)[0].Answers); d != "" {
			t.Errorf("asked for %v (-want +got):\n%s", c.asked, d)
		}
	}
}

func TestOddItemsDoNotStopThePage(t *testing.T) {
	body := `{"items":[
		7, null, {"submitted_at":"2026-05-01T10:00:00Z"}, {"token":"odd","submitted_at":"yesterday"},
		{"token":"never","submitted_at":"0001-01-01T00:00:00Z","answers":null,"hidden":{}},
		{"token":"unsent"},
		{"token":"a","submitted_at":"2026-05-01T10:00:00","hidden":{"attendee_id":457731909,"phone":"x"}},
		{"token":"b","response_id":"B","submitted_at":"2026-05-01T12:00:00.5+02:00","hidden":{"attendee_id":" 457731909-1 "},"answers":{}},
		{"token":"c","submitted_at":"2026-05-01T09:00:00Z","hidden":null,"answers":null},
		{"token":"d","submitted_at":"2026-05-01T08:00:00Z","hidden":{"attendee_id":"ada@example.org"},"answers":[null,7,{"field":{"id":"q"},"type":"text","text":"kept"}]},
		{"token":"e","token":"e","submitted_at":"2026-05-01T07:00:00Z","hidden":{"attendee_id":"xxxxx"},"answers":[]}
	]}`
	got, err := decode([]byte(body), "f", ask("q"))
	if err != nil {
		t.Fatal(err)
	}
	want := []shown{
		{"a", "457731909", "2026-05-01T10:00:00Z", nil},
		{"B", "457731909-1", "2026-05-01T10:00:00Z", nil},
		{"c", "", "2026-05-01T09:00:00Z", nil},
		{"d", "", "2026-05-01T08:00:00Z", map[attendees.QuestionID][]string{"q": {"kept"}}},
		{"e", "", "2026-05-01T07:00:00Z", nil},
	}
	if d := cmp.Diff(want, show(got.Responses)); d != "" {
		t.Errorf("responses (-want +got):\n%s", d)
	}
	if got.items != 11 || got.Odd != 4 || got.last != "e" || got.Total != -1 {
		t.Errorf("got %d items, %d odd, last %q, total %d; want 11, 4, e, -1", got.items, got.Odd, got.last, got.Total)
	}
}

func TestWhatIsNoListIsRefusedWithoutQuotingIt(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `7`, `null`, `{}`, `{"items":{}}`, `{"items":"Ada"}`, `{"items":[{"token":"Ada"}`,
		`{"items":[{"token":Ada}]}`, `{"items":[{"answers":[{"text":"Ada` + "\n" + `"}]}]}`, `<html>Ada</html>`,
	} {
		_, err := decode([]byte(body), "f", ask("q"))
		if !errors.Is(err, ErrReply) {
			t.Errorf("%s: got %v, want ErrReply", body, err)
			continue
		}
		if strings.Contains(err.Error(), "Ada") {
			t.Errorf("the error quotes the body: %v", err)
		}
	}
	for _, body := range []string{`{"items":[],"total_items":0,"page_count":0}`, `{"items":null}`} {
		if got, err := decode([]byte(body), "f", nil); err != nil || got.items != 0 {
			t.Errorf("%s: got %d items, %v; want none", body, got.items, err)
		}
	}
}

// example reads a body in the vendor's own shape, where such bodies lie beside the repository.
func example(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "examples", "typeform", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no examples beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVendorsOwnResponsesAreRead(t *testing.T) {
	body := example(t, "responses_alexbassy_all_fields.json")
	got, err := decode(body, "gV0NkV", ask("ha1jnILfN4oN", "RQ26eUMXJvfr", "GLcFaEUbfeS6", "qwHwfPR5CyVm", "S5pKZHZlqTV1"))
	if err != nil {
		t.Fatal(err)
	}
	if got.items != 10 || len(got.Responses) != 7 || got.Total != 10 || got.Odd != 0 {
		t.Fatalf("got %d items, %d responses, total %d, %d odd; want 10, 7, 10, 0", got.items, len(got.Responses), got.Total, got.Odd)
	}
	want := map[attendees.QuestionID][]string{
		"ha1jnILfN4oN": {"tiger"}, "RQ26eUMXJvfr": {"false"}, "GLcFaEUbfeS6": {"Mermaid"}, "qwHwfPR5CyVm": {"Watermelon"},
	}
	if d := cmp.Diff(want, show(got.Responses)[4].Answers); d != "" {
		t.Errorf("answers (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]attendees.QuestionID{"S5pKZHZlqTV1"}, got.Unknown); d != "" {
		t.Errorf("fields not decoded (-want +got):\n%s", d)
	}
}

func TestVendorsOwnAnswersOfAllKindsAreRead(t *testing.T) {
	var hook struct {
		FormResponse json.RawMessage `json:"form_response"`
	}
	if err := json.Unmarshal(example(t, "webhook.json"), &hook); err != nil {
		t.Fatal(err)
	}
	asked := ask("sdk_multichoice_multi", "sdk_phonenumber", "sdk_yesno", "sdk_date", "sdk_legal", "sdk_payment", "sdk_fileupload", "sdk_longtext")
	got, err := decode([]byte(`{"items":[`+string(hook.FormResponse)+`]}`), "gXoeR3", asked)
	if err != nil {
		t.Fatal(err)
	}
	want := []shown{{"7l8hjyfrjvt31l0if7l8ub70enlq4vya", "", "2020-04-06T18:24:59Z", map[attendees.QuestionID][]string{
		"sdk_multichoice_multi": {"Choice1", "Choice2"}, "sdk_phonenumber": {"+12345678900"},
		"sdk_yesno": {"true"}, "sdk_date": {"2000-01-01"}, "sdk_legal": {"true"},
	}}}
	if d := cmp.Diff(want, show(got.Responses)); d != "" {
		t.Errorf("response (-want +got):\n%s", d)
	}
	if len(got.Unknown) != 3 {
		t.Errorf("got %v not decoded, want payment, file and long text", got.Unknown)
	}
}

// FuzzDecode: whatever comes, nothing breaks, nothing is made up, and no answer that
// was not asked for is taken.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(one(`{"field":{"id":"q","ref":"r"},"type":"choices","choices":{"labels":["a"],"other":"b"}}`)))
	f.Add([]byte(one(`{"type":"text","text":"\ud800","field":{"id":"q"}}`)))
	f.Add([]byte(`{"total_items":1e3,"items":[7,{"token":"x","submitted_at":"0001-01-01T00:00:00Z","hidden":{"attendee_id":[]}}]}`))
	f.Add([]byte(`{"items":[{"answers":{"field":{}}}],"items":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decode(body, "f", ask("q"))
		if err != nil {
			if !errors.Is(err, ErrReply) || len(got.Responses) > 0 {
				t.Fatalf("error %v with %d responses", err, len(got.Responses))
			}
			return
		}
		if len(got.Responses)+got.Odd > got.items {
			t.Fatalf("%d responses and %d odd of %d items", len(got.Responses), got.Odd, got.items)
		}
		for _, r := range got.Responses {
			if r.ID == "" || r.Submitted.Year() <= 1 || !attendeeID(string(r.Attendee)) {
				t.Fatalf("a response without an id, a time, or with a strange attendee: %v", r)
			}
			for q, a := range r.Answers {
				if q != "q" || len(a) == 0 {
					t.Fatalf("answer to %q of %d texts", q, len(a))
				}
				for _, p := range a {
					if p.Empty() || strings.ContainsRune(p.Reveal(), 0) {
						t.Fatal("an empty text, or NUL in it")
					}
				}
			}
		}
	})
}

// thousand is a full page as the sandbox sends it, with the fields asked for or with all.
func thousand(b *testing.B, fields string) []byte {
	b.Helper()
	s := typeformtest.New(typeformtest.Options{})
	s.AddForm(typeformtest.ForumForm())
	s.Fill(typeformtest.ForumFormID, people(MaxPageSize), time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC))
	return get(b, s, "/forms/"+string(typeformtest.ForumFormID)+"/responses?page_size=1000&fields="+fields)
}

func BenchmarkDecode(b *testing.B) {
	linked := ask(typeformtest.Name, typeformtest.Email, typeformtest.Affiliation, typeformtest.Forums)
	for name, fields := range map[string]string{
		"linked fields sent": "c0nNam3aaaa2,c0nMa1laaaa2,aff1liatio02,f0rumsaaaa02", "all fields sent": "",
	} {
		body := thousand(b, fields)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if p, err := decode(body, "f", linked); err != nil || len(p.Responses) != MaxPageSize {
					b.Fatal(err, len(p.Responses))
				}
			}
		})
		// What a struct for encoding/json would cost, for comparison.
		b.Run(name+" with encoding json", func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var p struct {
					Items []struct {
						Token     string
						Submitted time.Time `json:"submitted_at"`
						Hidden    struct {
							Attendee string `json:"attendee_id"`
						}
						Answers []struct {
							Field   struct{ ID, Ref, Type string }
							Type    string
							Text    string
							Email   string
							Boolean bool
							Choice  struct{ Label, Other string }
							Choices struct {
								Labels []string
								Other  string
							}
						}
					}
				}
				if err := json.Unmarshal(body, &p); err != nil || len(p.Items) != MaxPageSize {
					b.Fatal(err, len(p.Items))
				}
			}
		})
	}
}

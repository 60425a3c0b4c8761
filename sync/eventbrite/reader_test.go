package eventbrite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
)

var reveal = cmp.Transformer("reveal", func(p attendees.Personal) string { return p.Reveal() })

func TestOddValuesOfOneFieldCountAsMissing(t *testing.T) {
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	wanted := map[attendees.QuestionID]bool{"7": true, "8": true}
	for name, tc := range map[string]struct {
		json string
		want attendees.Registration
	}{
		"nothing":       {`{}`, attendees.Registration{Event: "1"}},
		"no object":     {`[{"id":"2"}]`, attendees.Registration{Event: "1"}},
		"all null":      {`{"id":null,"event_id":null,"profile":null,"answers":null,"checked_in":null,"created":null,"status":null}`, attendees.Registration{Event: "1"}},
		"numbers":       {`{"id":457731909,"event_id":9,"ticket_class_name":12}`, attendees.Registration{ID: "457731909", Event: "9", Ticket: "12"}},
		"suffix":        {`{"id":"457731909-1"}`, attendees.Registration{ID: "457731909-1", Event: "1"}},
		"wrong types":   {`{"id":"2","status":{"a":[1]},"cancelled":[],"refunded":"True","checked_in":1,"profile":["x"],"answers":{"a":1},"created":7,"changed":"soon"}`, attendees.Registration{ID: "2", Event: "1", Refunded: true, Attended: true}},
		"profile":       {`{"profile":{"name":"  ","first_name":" Zo\u00eb","last_name":null,"email":["x"]}}`, attendees.Registration{Event: "1", Name: "Zoë"}},
		"name last":     {`{"profile":{"first_name":"A","last_name":"B"}}`, attendees.Registration{Event: "1", Name: "A B"}},
		"broken letter": {"{\"profile\":{\"name\":\"A\xffB\"}}", attendees.Registration{Event: "1", Name: "A\ufffdB"}},
		"twice":         {`{"status":"a","status":"b"}`, attendees.Registration{Event: "1", Status: "b"}},
		"times":         {`{"created":"2026-05-01T12:00:00+02:00","changed":"2026-05-01T10:00:00"}`, attendees.Registration{Event: "1", Created: at, Changed: at}},
		"answers": {`{"answers":[{"answer":"A | B","type":"multiple_choice","question_id":"7"},{"question_id":8,"type":"text","answer":"C | D"},{"question_id":"9","answer":"no"}]}`,
			attendees.Registration{Event: "1", Answers: map[attendees.QuestionID]attendees.Answer{"7": {"A", "B"}, "8": {"C | D"}}}},
		"odd answers": {`{"answers":[{"question_id":"7","type":"address","answer":{"city":"x"}},{"question_id":"7"},{"question_id":"7","answer":""},5,null,{"question_id":"8","answer":true}]}`,
			attendees.Registration{Event: "1", Answers: map[attendees.QuestionID]attendees.Answer{"8": {"true"}}}},
		"answer list": {`{"answers":[{"question_id":"7","type":"checkbox","answer":["A","B",{"c":1},3]}]}`,
			attendees.Registration{Event: "1", Answers: map[attendees.QuestionID]attendees.Answer{"7": {"A", "B", "3"}}}},
	} {
		got, err := newReader([]byte(tc.json)).registration("1", wanted)
		if diff := cmp.Diff(tc.want, got, reveal); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got)\n%s", name, err, diff)
		}
	}
}

func TestEventTimesAreReadLeniently(t *testing.T) {
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for json, want := range map[string]attendees.Event{
		`{"id":5,"name":"Plain","end":{"local":"2026-05-01T12:00:00","timezone":"Europe/Berlin"}}`:      {ID: "5", Name: "Plain", End: at, Zone: "Europe/Berlin"},
		`{"end":{"utc":"2026-05-01T10:00:00","local":"2026-05-01T12:00:00","timezone":"Mars/Olympus"}}`: {End: at},
		`{"end":{"local":"2026-05-01T10:00:00","timezone":"Local"}}`:                                    {End: at},
		`{"name":{"html":"x"},"start":null,"end":"2026-05-01T10:00:00Z","changed":[]}`:                  {End: at},
		`{"end":{"utc":"tomorrow"}}`: {},
	} {
		got, _, err := newReader([]byte(json)).event()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got)\n%s", json, err, diff)
		}
	}
}

func TestFreeTextIsLongTextAndFiles(t *testing.T) {
	for kind, want := range map[string]bool{
		"paragraph": true, "text_area": true, "Text Area": true, "textarea": true, "file-upload": true,
		"text": false, "radio": false, "checkbox": false, "dropdown": false, "waiver": false, "": false,
	} {
		if freeText(kind) != want {
			t.Errorf("%q: %v", kind, !want)
		}
	}
}

// decodePage decodes a reply as a listing of attendees does.
func decodePage(body []byte, questions map[attendees.QuestionID]bool) (*sheet[people], error) {
	l := attendeeListing(nil, "", nil, "1", questions)
	return l.decode(newReader(body))
}

func TestVendorsBodiesAreRead(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "examples", "eventbrite")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("no example bodies beside this repository")
	}
	body := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wanted := map[attendees.QuestionID]bool{"20090892": true}
	at := time.Date(2018, 5, 12, 2, 0, 0, 0, time.UTC)
	want := attendees.Registration{ID: "12345", Event: "12345", Name: "John Smith", Email: "jhon.smith@example.com", Ticket: "General Admission",
		Answers: map[attendees.QuestionID]attendees.Answer{"20090892": {"This is my answer"}}, Created: at, Changed: at}

	one, err := newReader(body("getEventAttendee.json")).registration("", wanted)
	if diff := cmp.Diff(want, one, reveal); err != nil || diff != "" {
		t.Errorf("attendee: error %v (-want +got)\n%s", err, diff)
	}
	page, err := decodePage(body("getEventAttendees.json"), wanted)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]attendees.Registration{want}, page.items.all, reveal); diff != "" {
		t.Errorf("page: (-want +got)\n%s", diff)
	}
	if !page.last() || page.objects != 1 || page.continuation == "" {
		t.Errorf("pagination %+v: its continuation does not make it go on", page.pagination)
	}
	event, parent, err := newReader(body("getEvent.json")).event()
	wantEvent := attendees.Event{ID: "12345", Name: "Some text", Status: "live", Start: at, End: at, Zone: "America/Los_Angeles",
		Changed: time.Date(2017, 2, 19, 20, 28, 14, 0, time.UTC)}
	if diff := cmp.Diff(wantEvent, event); err != nil || diff != "" || !parent {
		t.Errorf("event: error %v, parent %v (-want +got)\n%s", err, parent, diff)
	}
	for _, f := range files { // none of them, in any place, is more than odd
		b := body(filepath.Base(f))
		if _, err := newReader(b).registration("1", wanted); err != nil {
			t.Errorf("%s as an attendee: %v", filepath.Base(f), err)
		}
		if _, _, err := newReader(b).event(); err != nil {
			t.Errorf("%s as an event: %v", filepath.Base(f), err)
		}
		if _, err := decodePage(b, wanted); err != nil && err != missing("attendees") {
			t.Errorf("%s as a page: %v", filepath.Base(f), err)
		}
	}
}

func TestOnlyHasMoreItemsEndsAListing(t *testing.T) {
	for json, last := range map[string]bool{
		`{"has_more_items":false,"continuation":"x","page_number":1,"page_count":9}`: true,
		`{"has_more_items":true,"continuation":null,"page_number":9,"page_count":9}`: false,
		`{"page_number":1,"page_count":2}`:                                           false,
		`{"page_number":2,"page_count":2,"continuation":"x"}`:                        true,
		`{"has_more_items":null,"page_number":2,"page_count":3}`:                     false,
		`{"continuation":"x"}`: false,
		`{}`:                   true,
	} {
		var p pagination
		if err := newReader([]byte(json)).pagination(&p); err != nil || p.last() != last {
			t.Errorf("%s: last %v, error %v", json, p.last(), err)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"pagination":{"object_count":1,"page_number":1,"has_more_items":true,"continuation":"x"},"attendees":[{"id":"1","event_id":2,"profile":{"name":"A","email":"a@example.org"},"answers":[{"question_id":"7","type":"checkbox","answer":"A | B"}],"checked_in":true,"created":"2026-05-01T10:00:00Z"}]}`))
	f.Add([]byte(`{"attendees":[{"answers":[{"question_id":"7","answer":{"a":[]}}]},5,null],"pagination":[]}`))
	f.Add([]byte(`{"attendees":{"\u0069d":1}}`))
	wanted := map[attendees.QuestionID]bool{"7": true}
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodePage(body, wanted)
		if err != nil {
			if s := notJSON(err).Error(); strings.ContainsFunc(s, func(r rune) bool { return r > '~' }) || len(s) > 60 {
				t.Errorf("an error that may quote: %q", s)
			}
			return
		}
		if page.n != len(page.items.all)+page.items.skipped {
			t.Errorf("%d items, %d taken, %d skipped", page.n, len(page.items.all), page.items.skipped)
		}
		for _, a := range page.items.all {
			if a.ID == "" || a.Event == "" {
				t.Error("an attendee without id or event")
			}
			for q, answer := range a.Answers {
				if !wanted[q] || len(answer) == 0 || slices.Contains(answer, "") {
					t.Errorf("answer of %d texts to %q", len(answer), q)
				}
			}
		}
	})
}

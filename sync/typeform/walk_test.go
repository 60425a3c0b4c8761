package typeform

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Between two pages the response that the cursor names is deleted (by Lethe itself, maybe), and
// what is asked for before it is an empty list.
func TestAnEmptyPageInTheMiddleIsNotTheEnd(t *testing.T) {
	item := func(id, at string) string {
		return `{"token":"` + id + `","response_id":"` + id + `","submitted_at":"` + at + `"}`
	}
	a, b, c := item("a", "2027-06-03T10:00:00Z"), item("b", "2027-06-02T10:00:00Z"), item("c", "2027-06-01T10:00:00Z")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("before") != "":
			_, _ = w.Write([]byte(`{"total_items":3,"page_count":2,"items":[]}`))
		case q.Get("until") == "2027-06-02T10:00:00Z": // b is gone
			_, _ = w.Write([]byte(`{"total_items":1,"page_count":1,"items":[` + c + `]}`))
		default:
			_, _ = w.Write([]byte(`{"total_items":3,"page_count":2,"items":[` + a + `,` + b + `]}`))
		}
	}))
	defer s.Close()
	client, err := New(Options{URL: s.URL, Token: "t", PerSecond: 1000, MinWait: time.Millisecond, MaxWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for page, err := range client.Responses(t.Context(), "f", Query{PageSize: 2, RegionKnown: true}) {
		if err != nil {
			return // not believed: the next walk goes on
		}
		for _, r := range page.Responses {
			got = append(got, string(r.ID))
		}
	}
	if len(got) != 3 {
		t.Errorf("3 were announced, %v came, and the walk says that this is all", got)
	}
}

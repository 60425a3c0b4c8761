package eventbrite_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/sync/eventbrite"
)

// scripted answers each query with the body written for it, and 400 where there is none.
func scripted(t *testing.T, replies map[string]string) (*eventbrite.Client, *[]string) {
	t.Helper()
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		body, ok := replies[r.URL.RawQuery]
		if !ok {
			w.WriteHeader(400)
			body = `{"error":"BAD_PAGE"}`
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	c, err := eventbrite.New(eventbrite.Options{URL: srv.URL, Parallel: 1, MinWait: time.Millisecond, MaxWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c, &asked
}

func page(pagination, id string) string {
	return fmt.Sprintf(`{"pagination":%s,"attendees":[{"id":%q}]}`, pagination, id)
}

func TestListingsThatTellLittleAreReadToTheirEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		replies map[string]string
		want    []string // ids
		err     string
	}{
		"without has_more_items": {map[string]string{
			"":       page(`{"page_number":1,"page_count":2}`, "a"),
			"page=2": page(`{"page_number":2,"page_count":2}`, "b"),
		}, []string{"a", "b"}, ""},
		"without page_count and continuation": {map[string]string{
			"":       page(`{"page_number":1,"has_more_items":true}`, "a"),
			"page=2": page(`{"page_number":2,"has_more_items":false}`, "b"),
		}, []string{"a", "b"}, ""},
		"grown while it was read": {map[string]string{
			"":       page(`{"page_number":1,"page_count":2,"has_more_items":true,"continuation":"x"}`, "a"),
			"page=2": page(`{"page_number":2,"page_count":3,"has_more_items":true,"continuation":"y"}`, "b"),
			"page=3": page(`{"page_number":3,"page_count":3,"has_more_items":false,"continuation":"z"}`, "c"),
		}, []string{"a", "b", "c"}, ""},
		"more than page_count says": {map[string]string{
			"":               page(`{"page_number":1,"page_count":1,"has_more_items":true,"continuation":"x"}`, "a"),
			"continuation=x": page(`{"page_number":2,"page_count":1,"has_more_items":false}`, "b"),
		}, []string{"a", "b"}, ""},
		"shorter than page_count says": {map[string]string{
			"":       page(`{"page_number":1,"page_count":9,"has_more_items":true}`, "a"),
			"page=2": page(`{"page_number":2,"page_count":9,"has_more_items":false}`, "b"),
		}, []string{"a", "b"}, ""},
		"more, but nowhere": {map[string]string{
			"": page(`{"page_number":1,"has_more_items":true}`, "a"),
		}, []string{"a"}, "not where"},
		"the same token again": {map[string]string{
			"":               page(`{"has_more_items":true,"continuation":"x"}`, "a"),
			"continuation=x": page(`{"has_more_items":true,"continuation":"x"}`, "b"),
		}, []string{"a", "b"}, "does not end"},
		"an API that moved on": {map[string]string{"": `{"people":[]}`}, nil, "no attendees in it"},
		"half a body":          {map[string]string{"": `{"attendees":[{"id":"secret-7`}, nil, "not the JSON that was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			c, asked := scripted(t, tc.replies)
			var got []string
			var failed error
			for p, err := range c.EventAttendees(t.Context(), "1", eventbrite.Query{}) {
				failed = err
				for _, r := range p.Registrations {
					got = append(got, string(r.ID))
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("people %v, want %v; asked %q", got, tc.want, *asked)
			}
			switch {
			case tc.err == "" && failed != nil, tc.err != "" && failed == nil:
				t.Errorf("error %v, want %q", failed, tc.err)
			case failed != nil && (!strings.Contains(failed.Error(), tc.err) || strings.Contains(failed.Error(), "secret")):
				t.Errorf("error %v, want %q and nothing of the body", failed, tc.err)
			}
		})
	}
}

func TestAttendeesWithoutAnIDAreSkippedAndCounted(t *testing.T) {
	c, _ := scripted(t, map[string]string{"": `{"pagination":{"has_more_items":false},"attendees":[{"id":"1"},{"name":"x"},null,7,{"id":""}]}`})
	for p, err := range c.EventAttendees(t.Context(), "1", eventbrite.Query{}) {
		if err != nil || len(p.Registrations) != 1 || p.Skipped != 4 || p.Total != -1 {
			t.Errorf("%d people, %d skipped, %d in all, error %v", len(p.Registrations), p.Skipped, p.Total, err)
		}
	}
}

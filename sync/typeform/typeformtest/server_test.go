package typeformtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

func first() time.Time { return time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC) }

func filled(t *testing.T, n int) *typeformtest.Server {
	t.Helper()
	s := typeformtest.New(typeformtest.Options{})
	s.AddForm(typeformtest.ForumForm())
	var people []typeformtest.Person
	for i := range n {
		people = append(people, typeformtest.Person{
			AttendeeID: attendees.AttendeeID(fmt.Sprintf("a%d", i)), Name: "Ada", Email: fmt.Sprintf("ada%d@example.org", i),
		})
	}
	s.Fill(typeformtest.ForumFormID, people, first())
	return s
}

func call(s http.Handler, method, query, body string) (int, string) {
	r := httptest.NewRequest(method, "/forms/"+string(typeformtest.ForumFormID)+"/responses?"+query, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+typeformtest.Token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

type listed struct {
	Total int `json:"total_items"`
	Pages int `json:"page_count"`
	Items []struct {
		Token   attendees.ResponseID
		Hidden  map[string]string
		Answers []struct {
			Field struct{ ID, Ref string }
		}
	}
}

func list(t *testing.T, s http.Handler, query string) listed {
	t.Helper()
	status, body := call(s, http.MethodGet, query, "")
	var l listed
	if err := json.Unmarshal([]byte(body), &l); status != http.StatusOK || err != nil {
		t.Fatalf("%s: status %d, %v: %.200s", query, status, err, body)
	}
	return l
}

func (l listed) tokens() []attendees.ResponseID {
	var all []attendees.ResponseID
	for _, i := range l.Items {
		all = append(all, i.Token)
	}
	return all
}

func TestListingsKeepTheVendorsRules(t *testing.T) {
	s := filled(t, 60)
	var truth []attendees.ResponseID
	for _, r := range s.Responses(typeformtest.ForumFormID) {
		truth = append(truth, r.ID)
	}
	s.AddPartial(typeformtest.ForumFormID, typeformtest.Person{Name: "Bo"}, first())
	reversed := slices.Clone(truth)
	slices.Reverse(reversed)
	for query, want := range map[string][]attendees.ResponseID{
		"":                                       truth[:25],
		"page_size=1000":                         truth,
		"page_size=5&before=" + string(truth[7]): truth[8:13],
		"page_size=5&after=" + string(truth[7]):  truth[2:7],
		"page_size=1000&sort=submitted_at,asc":   reversed,
		"page_size=50&since=2026-05-01T10:00:18Z&until=2026-05-01T10:00:18Z": truth[3:6],
		"page_size=50&since=1777629618&until=2026-05-01T10:00:18":            truth[3:6],
		"included_response_ids=" + string(truth[3]+","+truth[50]+",gone"):    {truth[3], truth[50]},
	} {
		if got := list(t, s, query).tokens(); !slices.Equal(want, got) {
			t.Errorf("%s: got %d, want %d: %v", query, len(got), len(want), got)
		}
	}
	if got := list(t, s, "response_type=partial,completed&page_size=1000"); got.Total != 61 || got.Pages != 1 {
		t.Errorf("with the unfinished: total %d on %d pages, want 61 on 1", got.Total, got.Pages)
	}
	for _, query := range []string{
		"page_size=1001", "page_size=0", "since=yesterday", "before=nobody",
		"sort=submitted_at,asc&before=" + string(truth[7]),
	} {
		if status, _ := call(s, http.MethodGet, query, ""); status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", query, status)
		}
	}
}

func TestFieldsReallyFilterAnswers(t *testing.T) {
	s := filled(t, 5)
	for _, i := range list(t, s, "fields=f0rumsaaaa02,unknown").Items {
		if len(i.Answers) != 1 || i.Answers[0].Field.Ref != "forums" || i.Hidden["utm_source"] != typeformtest.Secret {
			t.Errorf("got %+v", i)
		}
	}
	if all := list(t, s, ""); len(all.Items[0].Answers) < 10 || all.Items[0].Hidden["attendee_id"] != "" || all.Items[1].Hidden["attendee_id"] != "a3" {
		t.Errorf("without fields: %+v", all.Items[:2])
	}
}

func TestDeletionsAreCarriedOutLater(t *testing.T) {
	s := filled(t, 5)
	ids := list(t, s, "").tokens()
	if status, body := call(s, http.MethodDelete, "included_response_ids="+string(ids[0]), ""); status != http.StatusOK || body != "" {
		t.Fatalf("status %d, %q", status, body)
	}
	if got := list(t, s, "").tokens(); !slices.Equal(ids[1:], got) {
		t.Errorf("after the first: %v", got)
	}
	if status, _ := call(s, http.MethodDelete, "", fmt.Sprintf(`{"included_response_ids":[%q,"gone"]}`, ids[1])); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if got := list(t, s, "").tokens(); !slices.Equal(ids[2:], got) {
		t.Errorf("after the second: %v", got)
	}
	for _, body := range []string{"", "{}", "?", `{"included_response_ids":["a` + strings.Repeat(`","a`, 1000) + `"]}`} {
		if status, _ := call(s, http.MethodDelete, "", body); status != http.StatusBadRequest {
			t.Errorf("%.40s: status %d, want 400", body, status)
		}
	}
}

func TestNobodyGetsInWithoutTheToken(t *testing.T) {
	s := filled(t, 1)
	url, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resp, err := http.Get(url + "/forms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusUnauthorized || strings.Contains(string(body), "Forums") {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if log := s.Log(); len(log) != 1 || log[0].Status != http.StatusUnauthorized || log[0].Path != "/forms" {
		t.Errorf("log: %+v", log)
	}
}

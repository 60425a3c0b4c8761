package typeform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

func TestAllResponsesCome(t *testing.T) {
	for name, f := range map[string]typeformtest.Faults{
		"from a healthy server":             {},
		"though a fifth of the calls fails": {Share: 0.2},
		"though large pages are too heavy":  {HeavyOver: 300},
		"though large pages time out":       {HeavyOver: 300, HeavyStatus: http.StatusGatewayTimeout},
		"though pages come shorter":         {MostPerPage: 170},
		"though it is asked to wait":        {Limited: 2, RetryAfter: "0"},
		"though it is not told how long":    {Limited: 3},
		"though bodies break off":           {Cut: 2},
		"though a proxy sends its own page": {HTML: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := sandbox(t, typeformtest.Options{})
			s.Fill(forum, people(1234), first())
			s.AddPartial(forum, people(1)[0], first().Add(time.Hour))
			s.SetFaults(f)
			got, _, err := everything(t, c, forum, Query{PageSize: 500})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(truth(s, forum), ids(got)); d != "" {
				t.Errorf("responses (-want +got):\n%s", d)
			}
			if skew, told := c.Skew(); !told || skew.Abs() > time.Minute || c.Calls() < 3 {
				t.Errorf("skew %v (%v) after %d calls", skew, told, c.Calls())
			}
		})
	}
}

func TestPagesThatEndOnTheDotAreFollowedByAnEmptyOne(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(400), first())
	got, pages, err := everything(t, c, forum, Query{PageSize: 200})
	if err != nil || len(got) != 400 {
		t.Fatalf("got %d responses, %v; want 400", len(got), err)
	}
	if len(pages) != 3 || pages[0].Total != 400 {
		t.Errorf("got %d pages, total %d; want 3, 400", len(pages), pages[0].Total)
	}
}

func TestOnlyLinkedAnswersTravelAndOnlyTheyAreDecoded(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	p := typeformtest.Person{AttendeeID: "457731909-1", Name: "Ada Náiad", Email: "ada@example.org"}
	s.AddResponse(agreement, p, first())
	s.AddResponse(agreement, typeformtest.Person{Name: "Bo Styx", Email: "bo@example.org"}, first(),
		typeformtest.Answer{Question: typeformtest.Agree, Value: false},
		typeformtest.Answer{Question: typeformtest.AgreementVersion, Value: nil})
	linked := ask(typeformtest.Email, typeformtest.Agree, typeformtest.AgreementVersion)

	got, pages, err := everything(t, c, agreement, Query{Questions: linked, Fields: []string{"c0nMa1laaaa1", "legalaaaaa01", "ver5ionaaa01"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []shown{
		{got[0].ID, "", "2026-05-01T10:00:00Z", map[attendees.QuestionID][]string{"email": {"bo@example.org"}, "agree": {"false"}}},
		{got[1].ID, "457731909-1", "2026-05-01T10:00:00Z", map[attendees.QuestionID][]string{"email": {"ada@example.org"}, "agree": {"true"}, "agreement-version": {"2026-1"}}},
	}
	if d := cmp.Diff(want, show(got)); d != "" {
		t.Errorf("responses (-want +got):\n%s", d)
	}
	if pages[0].Bytes <= pages[0].Kept || pages[0].Kept == 0 || len(pages[0].Unknown) > 0 {
		t.Errorf("%d bytes, %d kept, unknown %v", pages[0].Bytes, pages[0].Kept, pages[0].Unknown)
	}

	// With no questions, no answer travels.
	_, none, err := everything(t, c, agreement, Query{})
	if err != nil {
		t.Fatal(err)
	}
	if none[0].Bytes >= pages[0].Bytes {
		t.Errorf("%d bytes without answers, %d with three", none[0].Bytes, pages[0].Bytes)
	}
	for _, call := range s.Log() {
		if strings.HasSuffix(call.Path, "/responses") && call.Query.Get("fields") == "" {
			t.Errorf("a call asked for all fields: %v", call.Query)
		}
	}

	// Sent all the same, they are skipped.
	all, err := decode(get(t, s, "/forms/"+string(agreement)+"/responses"), agreement, linked)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, show(all.Responses)); d != "" {
		t.Errorf("responses with all fields sent (-want +got):\n%s", d)
	}
}

func TestNoForbiddenValueIsDecoded(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(agreement, people(30), first())
	s.Fill(forum, people(30), first())
	for _, form := range []typeformtest.Form{typeformtest.AgreementForm(), typeformtest.ForumForm()} {
		def, err := c.Form(t.Context(), form.ID)
		if err != nil {
			t.Fatal(err)
		}
		linkable := map[attendees.QuestionID]bool{}
		for _, q := range def.Questions {
			if own, _ := form.Question(q.Ref); !own.Unlinked {
				linkable[q.Ref] = true
			}
		}
		body := get(t, s, "/forms/"+string(form.ID)+"/responses")
		if !bytes.Contains(body, []byte(typeformtest.Secret)) {
			t.Fatal("the sandbox sends nothing forbidden")
		}
		got, err := decode(body, form.ID, linkable)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Unknown) > 0 {
			t.Errorf("linkable fields that were not decoded: %v", got.Unknown)
		}
		if text := fmt.Sprintf("%v", show(got.Responses)); strings.Contains(text, typeformtest.Secret) || len(got.Responses) == 0 {
			t.Errorf("form %s: a forbidden value was decoded, or nothing was", form.ID)
		}
	}
}

func TestSinceAndUntilAreInclusiveAndInUTC(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	for i := range 10 {
		s.AddResponse(forum, people(10)[i], first().Add(time.Duration(i)*time.Second))
	}
	zone := time.FixedZone("somewhere", 2*60*60)
	got, _, err := everything(t, c, forum, Query{
		Since: first().Add(3*time.Second + 400*time.Millisecond).In(zone), Until: first().Add(6 * time.Second).In(zone),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := truth(s, forum)[3:7]; !slices.Equal(want, ids(got)) {
		t.Errorf("got %v, want %v", ids(got), want)
	}
	q := s.Log()[0].Query
	if q.Get("since") != "2026-05-01T10:00:03Z" || q.Get("until") != "2026-05-01T10:00:06Z" || q.Has("sort") {
		t.Errorf("asked with %v", q)
	}
}

func TestAWalkThatGoesRoundIsAnError(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(300), first())
	s.SetFaults(typeformtest.Faults{Endless: true})
	_, pages, err := everything(t, c, forum, Query{PageSize: 200})
	if !errors.Is(err, ErrEndless) {
		t.Fatalf("got %v after %d pages, want ErrEndless", err, len(pages))
	}
	if n := s.Calls(""); n > 2 {
		t.Errorf("%d calls before it was seen", n)
	}
}

func TestTheCallerMayStopAnyTime(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(500), first())
	for range c.Responses(t.Context(), forum, Query{PageSize: 200}) {
		break
	}
	if n := s.Calls(""); n != 1 {
		t.Errorf("%d calls after the loop was left on the first page", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.Responses(ctx, forum, Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want cancelled", err)
		}
	}
}

// BenchmarkWalk reads 20,000 responses over HTTP, server included, and for comparison
// fetches the same pages without reading them.
func BenchmarkWalk(b *testing.B) {
	s := typeformtest.New(typeformtest.Options{})
	s.AddForm(typeformtest.ForumForm())
	s.Fill(forum, people(20_000), first())
	url, err := s.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c, err := New(Options{URL: url, Token: typeformtest.Token, PerSecond: 1e6})
	if err != nil {
		b.Fatal(err)
	}
	q := Query{
		Questions: ask(typeformtest.Name, typeformtest.Email, typeformtest.Affiliation, typeformtest.Forums),
		Fields:    []string{"c0nNam3aaaa2", "c0nMa1laaaa2", "aff1liatio02", "f0rumsaaaa02"},
	}
	b.Run("fetched and decoded", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for p, err := range c.Responses(b.Context(), forum, q) {
				if err != nil {
					b.Fatal(err)
				}
				n += len(p.Responses)
			}
			if n != 20_000 {
				b.Fatal(n)
			}
		}
	})
	b.Run("fetched only", func(b *testing.B) {
		truth := s.Responses(forum)
		for b.Loop() {
			w := walk{form: forum, query: q, size: MaxPageSize}
			for i := MaxPageSize; i <= len(truth); i += MaxPageSize {
				if _, err := c.rest.Get(b.Context(), "/forms/"+string(forum)+"/responses", w.values()); err != nil {
					b.Fatal(err)
				}
				w.before = string(truth[i-1].ID)
			}
		}
	})
}

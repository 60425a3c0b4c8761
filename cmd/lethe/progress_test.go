package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"lethe/sync/pull"
)

func TestProgressCountsFromThePageThatItWentOnAt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out, terminal: true}
	at := time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	show := func(after time.Duration, s pull.Progress) string {
		out.Reset()
		p.showAt(s, at.Add(after))
		return strings.TrimPrefix(out.String(), "\r\x1b[K")
	}
	show(0, pull.Progress{Feed: "one", Page: 301, Pages: 400})
	got := show(10*time.Second, pull.Progress{Feed: "one", Page: 351, Pages: 400, People: 2500, Used: 229, Limit: 2000})
	want := "  page 351 of 400  " + strings.Repeat("█", 17) + "░░░  2,500 people  budget 1,771 of 2,000 calls left  10 s to go"
	if got != want {
		t.Errorf("a line is\n%q, want\n%q", got, want)
	}
	// The same feed read again begins anew.
	show(20*time.Second, pull.Progress{Feed: "one", Page: 1, Pages: 3})
	if got := show(22*time.Second, pull.Progress{Feed: "one", Page: 2, Pages: 3, People: 100}); !strings.HasSuffix(got, "100 people  3 s to go") {
		t.Errorf("of a second reading the line is %q", got)
	}
	if got := show(23*time.Second, pull.Progress{Feed: "one", Page: 3, Pages: 3}); strings.Contains(got, "to go") {
		t.Errorf("the last page's line is %q", got)
	}
	p.clear()
	if !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Error("the line stays when others come")
	}
}

func TestElsewhereThanOnATerminalProgressIsAPlainLineNowAndThen(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out}
	at := time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	for s := range 12 {
		p.showAt(pull.Progress{Feed: "one", Page: s + 1, Pages: 12, People: 50 * (s + 1), Total: 600}, at.Add(time.Duration(s)*time.Second))
	}
	want := "  page 6 of 12  300 people  7 s to go\n  page 11 of 12  550 people  2 s to go\n"
	if out.String() != want {
		t.Errorf("lines are\n%q, want\n%q", out.String(), want)
	}
	p.clear()
	if out.String() != want {
		t.Error("a plain line was taken away")
	}
}

package typeform

import (
	"slices"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

func TestDeletedResponsesAreSeenToBeGone(t *testing.T) {
	now := first().Add(24 * time.Hour)
	s, c := sandbox(t, typeformtest.Options{DeleteDelay: time.Hour, Now: func() time.Time { return now }})
	all := s.Fill(forum, people(2300), first())
	doomed := all[:1200]
	if err := c.Delete(t.Context(), forum, append(slices.Clone(doomed), "never-there")); err != nil {
		t.Fatal(err)
	}
	if n := s.Calls(""); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
	if got, err := c.Lookup(t.Context(), forum, all[1100:1300]); err != nil || len(got) != 200 {
		t.Fatalf("before it is carried out: got %d, %v; want 200", len(got), err)
	}
	now = now.Add(2 * time.Hour)
	got, err := c.Lookup(t.Context(), forum, all[1100:1300])
	slices.Sort(got)
	want := slices.Sorted(slices.Values(all[1200:1300]))
	if err != nil || !slices.Equal(want, got) {
		t.Fatalf("afterwards: got %d, %v; want the 100 that were not deleted", len(got), err)
	}
	if got, err := c.Lookup(t.Context(), forum, doomed); err != nil || len(got) > 0 {
		t.Errorf("got %d of the deleted, %v; want none", len(got), err)
	}
	// Few ids go into the query.
	s.ResetLog()
	if err := c.Delete(t.Context(), forum, all[2298:]); err != nil {
		t.Fatal(err)
	}
	if q := s.Log()[0].Query.Get("included_response_ids"); q != string(all[2298]+","+all[2299]) {
		t.Errorf("asked with %q", q)
	}
}

func TestNothingIsDeletedWithoutAnId(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	if err := c.Delete(t.Context(), forum, nil); err != nil {
		t.Errorf("no ids: %v", err)
	}
	if err := c.Delete(t.Context(), forum, []attendees.ResponseID{"a", ""}); err == nil {
		t.Error("an empty id went through")
	}
	if n := s.Calls(""); n != 0 {
		t.Errorf("%d calls went out", n)
	}
}

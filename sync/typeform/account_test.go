package typeform

import (
	"errors"
	"fmt"
	"testing"

	"lethe/attendees/old/attendees"
	"lethe/sync/typeform/typeformtest"
)

func TestEndpointsThatLackAreNoFailure(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.SetFaults(typeformtest.Faults{Lacking: true})
	if _, err := c.Forms(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Forms: got %v, want ErrUnsupported", err)
	}
	if _, err := c.Me(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Me: got %v, want ErrUnsupported", err)
	}
	if _, _, err := everything(t, c, forum, Query{}); err != nil {
		t.Errorf("an empty form without _links: %v", err)
	}
	s.SetFaults(typeformtest.Faults{})
	if a, err := c.Me(t.Context()); err != nil || a.Alias != "Sandbox" {
		t.Errorf("Me: got %+v, %v", a, err)
	}
}

func TestAllFormsAreListed(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	for i := range 450 {
		s.AddForm(typeformtest.Form{ID: attendees.FormID(fmt.Sprintf("f%03d", i)), Title: "Another"})
	}
	got, err := c.Forms(t.Context())
	if err != nil || len(got) != 452 || got[0].ID != agreement || got[0].Title != "Participation agreement" {
		t.Errorf("got %d forms, %v; want 452, the agreement first", len(got), err)
	}
	if n := s.Calls("/forms"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

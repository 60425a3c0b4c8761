package typeform

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lethe/sync/typeform/typeformtest"
)

func TestAnIdlePullCostsOneCall(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	s.Fill(forum, people(10), first())
	late := Query{Since: first().Add(time.Hour)}
	for i, want := range []int{2, 1, 1} { // the first one asks for the region besides
		s.ResetLog()
		if got, _, err := everything(t, c, forum, late); err != nil || len(got) > 0 {
			t.Fatalf("got %d responses, %v; want none", len(got), err)
		}
		if n := s.Calls(""); n != want {
			t.Errorf("pull %d: %d calls, want %d", i+1, n, want)
		}
	}
	s.ResetLog()
	late.RegionKnown = true
	if _, _, err := everything(t, c, agreement, late); err != nil || s.Calls("") != 1 {
		t.Errorf("with the region known: %d calls, %v; want 1", s.Calls(""), err)
	}
}

func TestAnEmptyListFromTheWrongRegionIsNotBelieved(t *testing.T) {
	s, c := sandbox(t, typeformtest.Options{})
	ids := s.Fill(forum, people(10), first())
	s.SetFaults(typeformtest.Faults{WrongRegion: "api.eu.typeform.com"})
	ask := func() error { _, _, err := everything(t, c, forum, Query{}); return err }
	look := func() error { _, err := c.Lookup(t.Context(), forum, ids); return err }
	for name, do := range map[string]func() error{"list": ask, "look up": look, "list again": ask} {
		err := do()
		wrong, ok := errors.AsType[*WrongRegion](err)
		if !ok || wrong.Want != "api.eu.typeform.com" || wrong.Form != forum {
			t.Fatalf("%s: got %v, want *WrongRegion", name, err)
		}
		if !strings.Contains(err.Error(), "set TYPEFORM_URL to https://api.eu.typeform.com") {
			t.Errorf("%s: the way out is missing: %v", name, err)
		}
	}
	s.SetFaults(typeformtest.Faults{WrongRegion: "evil.example"})
	if err := ask(); err == nil || strings.Contains(err.Error(), "set TYPEFORM_URL") {
		t.Errorf("a foreign host is recommended: %v", err)
	}
	for _, call := range s.Log() {
		if !strings.HasPrefix(call.Path, "/forms/") {
			t.Errorf("strange call %v", call)
		}
	}
}

package rest

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestBudgetHeaderIsReadLeniently(t *testing.T) {
	in := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for header, want := range map[string][]Budget{
		"token:ABC 21/2000 reset=3575s, key:XYZ 1750/2000 reset=3575s": {{21, 2000, in(3575)}, {1750, 2000, in(3575)}},
		"key:XYZ 7/10 reset=5":                  {{7, 10, in(5)}},
		"7/10":                                  {{7, 10, time.Time{}}},
		"token:A x/2000 reset=9s, 3/4 reset=1s": {{3, 4, in(1)}},
		"token:A 1/2 reset=1e300s":              {{1, 2, time.Time{}}},
		"token:A 1/2 reset=NaN":                 {{1, 2, time.Time{}}},
		"token:A 1/-2, 5/0, /, =, reset=":       nil,
		"":                                      nil,
	} {
		if diff := cmp.Diff(want, parseBudgets(header, noon)); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", header, diff)
		}
	}
}

func TestReserveIsSmallAndNeverTheWholeLimit(t *testing.T) {
	for limit, firstSpent := range map[int]int{2000: 1960, 5000: 4900, 100: 90, 20: 18, 5: 5, 1: 1} {
		if (Budget{Used: firstSpent - 1, Limit: limit}).spent() || !(Budget{Used: firstSpent, Limit: limit}).spent() {
			t.Errorf("limit %d: not spent exactly from %d on", limit, firstSpent)
		}
	}
}

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time       { return noon.Add(time.Duration(c.ns.Load())) }
func (c *clock) pass(d time.Duration) { c.ns.Add(int64(d)) }

func TestSpentBudgetIsObeyedBeforeTheSourceComplains(t *testing.T) {
	var now clock
	var seen atomic.Int64
	c, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		status(200, "X-Rate-Limit", "token:A 50/2000 reset=3000s, key:B 1985/2000 reset=60s")(w, r)
	}, func(o *Options) { o.Now = now.now })
	if _, err := get(c); err != nil {
		t.Fatal(err)
	}
	if b, ok := c.Budget(); !ok || b != (Budget{1985, 2000, noon.Add(time.Minute)}) {
		t.Errorf("budget %v, %v", b, ok)
	}
	_, err := get(c)
	limited, ok := errors.AsType[*RateLimited](err)
	if !ok || *limited != (RateLimited{"/users/me/", noon.Add(time.Minute)}) {
		t.Errorf("error %v", err)
	}
	if want := "/users/me/: rate limited until 12:01:00 UTC"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if seen.Load() != 1 {
		t.Errorf("%d calls went out, want 1", seen.Load())
	}
	now.pass(time.Minute)
	if _, err := get(c); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

func TestLongWaitsAreHandedBack(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"seconds":    status(429, "Retry-After", "31"),
		"date":       status(429, "Retry-After", "Fri, 01 May 2026 12:00:31 GMT", "Date", "Fri, 01 May 2026 12:00:00 GMT"),
		"own clock":  status(429, "Retry-After", "Fri, 01 May 2026 15:00:31 GMT", "Date", "Fri, 01 May 2026 15:00:00 GMT"),
		"a 503":      status(503, "Retry-After", "31"),
		"the budget": status(429, "X-Rate-Limit", "token:A 2000/2000 reset=31s"),
	} {
		t.Run(name, func(t *testing.T) {
			var now clock
			var seen atomic.Int64
			c, _ := start(t, func(w http.ResponseWriter, r *http.Request) { seen.Add(1); h(w, r) },
				func(o *Options) { o.Now = now.now })
			for range 2 { // the second is not even tried
				_, err := get(c)
				limited, ok := errors.AsType[*RateLimited](err)
				if !ok || !limited.Until.Equal(noon.Add(31*time.Second)) {
					t.Errorf("error %v", err)
				}
			}
			if seen.Load() != 1 {
				t.Errorf("%d calls went out, want 1", seen.Load())
			}
		})
	}
}

func TestRepeated429EndsAsRateLimited(t *testing.T) {
	c, _ := start(t, status(429), func(o *Options) { o.Attempts = 3 })
	_, err := get(c)
	if _, ok := errors.AsType[*RateLimited](err); !ok {
		t.Errorf("error %v", err)
	}
	if c.Calls() != 3 {
		t.Errorf("%d calls, want 3", c.Calls())
	}
}

func TestShortRetryAfterIsWaitedFor(t *testing.T) {
	c, _ := start(t, failing(1, status(429, "Retry-After", "1"), fine))
	began := time.Now()
	if _, err := get(c); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second || took > 15*time.Second {
		t.Errorf("took %v, want a second", took)
	}
}

func TestBackoffDoublesItsCeilingAndIsRandomBelow(t *testing.T) {
	var ceilings []time.Duration
	c, _ := start(t, status(500), func(o *Options) {
		o.MinWait, o.MaxWait, o.Attempts = time.Second, 5*time.Second, 6
		o.Jitter = func(d time.Duration) time.Duration { ceilings = append(ceilings, d); return 0 }
	})
	_, _ = get(c)
	want := []time.Duration{1e9, 2e9, 4e9, 5e9, 5e9}
	if diff := cmp.Diff(want, ceilings); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

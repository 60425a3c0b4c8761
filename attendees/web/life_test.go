package web

import (
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestALifeLineStandsWhereTodayDoes(t *testing.T) {
	var e postgres.Event
	e.State, e.Zone = attendees.Active, "Europe/Berlin"
	e.EndsOn.Date = attendees.Date{Year: 2027, Month: 6, Day: 20}
	e.BlockOn.Date = attendees.Date{Year: 2027, Month: 7, Day: 20}
	e.DeleteOn.Date = attendees.Date{Year: 2034, Month: 1, Day: 1}
	for _, c := range []struct {
		on       string
		from, to float64
		badge    string
	}{
		{"2025-01-01", 0, 2, "open"},
		{"2027-06-19", 94, 96, "open"},
		{"2027-06-20", 96, 96, "open"},
		{"2027-07-08", 100, 114, "blocked in 12 days"},
		{"2027-07-20", 115, 115, "to be blocked since 20 Jul 2027"},
		{"2030-12-01", 160, 175, "to be blocked since 20 Jul 2027"},
		{"2034-01-01", 221, 221, "to be deleted since 1 Jan 2034"},
		{"2099-01-01", 238, 240, "to be deleted since 1 Jan 2034"},
	} {
		now, err := time.Parse(time.DateOnly, c.on)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(12 * time.Hour)
		if l := lifeOf(e, now, false); l.Today < c.from || l.Today > c.to {
			t.Errorf("on %s today stands at %.1f, want %.0f to %.0f", c.on, l.Today, c.from, c.to)
		}
		if b := badgeOf(e, now); b.Says != c.badge {
			t.Errorf("on %s it is %q, want %q", c.on, b.Says, c.badge)
		}
	}
}

func TestDatesAreSaidInWords(t *testing.T) {
	today := attendees.Date{Year: 2026, Month: 11, Day: 17}
	for days, want := range map[int]string{
		0: "today", 1: "tomorrow", -1: "yesterday", 12: "in 12 days", -12: "12 days ago", 60: "in 60 days", 61: "on 17 January 2027", -400: "on 13 October 2025",
	} {
		if got := when(today.AddDays(days), today); got != want {
			t.Errorf("%d days from now is %q, want %q", days, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1108: "1,108", -1108: "-1,108", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

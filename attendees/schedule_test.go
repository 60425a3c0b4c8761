package attendees

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestAnEventIsPlannedInItsOwnZone(t *testing.T) {
	const seen = "2026-01-10"
	for what, c := range map[string]struct {
		event               Event
		ends, block, delete string
	}{
		"Open Science Forum 2026": {
			Event{End: at("2026-10-30T17:00:00+01:00"), Zone: "Europe/Berlin"},
			"2026-10-30", "2026-11-29", "2033-01-01",
		},
		"half past eleven on New Year's Eve in New York, for an event in Berlin": {
			Event{End: at("2026-12-31T23:30:00-05:00"), Zone: "Europe/Berlin"},
			"2027-01-01", "2027-01-31", "2034-01-01",
		},
		"the same instant, for an event in New York": {
			Event{End: at("2026-12-31T23:30:00-05:00"), Zone: "America/New_York"},
			"2026-12-31", "2027-01-30", "2033-01-01",
		},
		"the same instant, in an unknown zone: UTC": {
			Event{End: at("2026-12-31T23:30:00-05:00"), Zone: "Mars/Olympus"},
			"2027-01-01", "2027-01-31", "2034-01-01",
		},
		"without a zone: UTC": {
			Event{End: at("2026-12-31T23:30:00-01:00")},
			"2027-01-01", "2027-01-31", "2034-01-01",
		},
		"on the night of the zone's change, its hour twice": {
			Event{End: at("2026-10-25T02:30:00+01:00"), Zone: "Europe/Berlin"},
			"2026-10-25", "2026-11-24", "2033-01-01",
		},
		"grace over a leap day": {
			Event{End: at("2028-02-10T12:00:00Z"), Zone: "UTC"},
			"2028-02-10", "2028-03-11", "2035-01-01",
		},
		"grace over the year's end leaves the rule its year": {
			Event{End: at("2026-12-20T12:00:00Z"), Zone: "UTC"},
			"2026-12-20", "2027-01-19", "2033-01-01",
		},
		"without an end: a day after its start": {
			Event{Start: at("2026-06-13T09:00:00Z"), Zone: "UTC"},
			"2026-06-14", "2026-07-14", "2033-01-01",
		},
		"without either: blocked 400 days after it was first seen": {
			Event{Zone: "UTC"},
			"2027-01-15", "2027-02-14", "2034-01-01",
		},
	} {
		p := BuiltIn()
		got, err := p.Schedule(c.event, day(seen))
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got.EndsOn != day(c.ends) || got.BlockOn != day(c.block) || got.DeleteOn != day(c.delete) || got.Rule.Name != DefaultRule {
			t.Errorf("%s:\n got ends %s, blocked %s, deleted %s by %s\nwant ends %s, blocked %s, deleted %s by %s", what,
				got.EndsOn, got.BlockOn, got.DeleteOn, got.Rule.Name, c.ends, c.block, c.delete, DefaultRule)
		}
	}
}

// Go takes the zone "Local" for the machine's own; here the machine is in Kiribati.
func TestTheMachinesZoneMovesNoDate(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("Kiritimati", 14*3600)
	p := BuiltIn()
	for _, zone := range []string{"", "Local", "Europe/Berlin"} {
		got, err := p.Schedule(Event{End: at("2026-12-31T20:00:00Z"), Zone: zone}, day("2026-01-01"))
		if err != nil || got.EndsOn != day("2026-12-31") {
			t.Errorf("zone %q: ends on %s (%v), want New Year's Eve", zone, got.EndsOn, err)
		}
	}
}

func TestAnEventMayHaveARuleOfItsOwn(t *testing.T) {
	p := BuiltIn()
	p.EventRules = map[EventID]string{"4711": "none", "12": "uk-6"}
	end := at("2026-11-01T12:00:00Z")
	for id, want := range map[EventID]string{"4711": "2026-12-01", "12": "2032-11-02", "13": "2033-01-01"} {
		got, err := p.Schedule(Event{ID: id, End: end}, day("2026-01-01"))
		if err != nil || got.DeleteOn != day(want) {
			t.Errorf("event %s is deleted on %s (%v), want %s", id, got.DeleteOn, err, want)
		}
	}
}

func TestAPlanByARuleThatDoesNotExistIsAnError(t *testing.T) {
	p := BuiltIn()
	p.Rule = "de-ao-7"
	if s, err := p.Schedule(Event{ID: "4711"}, day("2026-01-01")); err == nil {
		t.Errorf("planned %+v", s)
	}
}

func TestNothingIsDeletedBeforeItIsBlockedNorBlockedBeforeItIsOver(t *testing.T) {
	zones := []string{"", "UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Nowhere"}
	rapid.Check(t, func(t *rapid.T) {
		p := BuiltIn()
		p.GraceDays = rapid.IntRange(0, 366).Draw(t, "grace")
		p.Rule = rapid.SampledFrom(p.RuleNames()).Draw(t, "rule")
		p.FinancialYearEnd = MonthDay{time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 31).Draw(t, "day")}
		e := Event{Zone: rapid.SampledFrom(zones).Draw(t, "zone")}
		instant := func(name string) time.Time {
			if rapid.Bool().Draw(t, name+" is told") {
				return time.Unix(rapid.Int64Range(946_684_800, 4_102_444_800).Draw(t, name), 0) // 2000 to 2100
			}
			return time.Time{}
		}
		e.Start, e.End = instant("start"), instant("end")
		seen := Date{2026, time.January, 1}.AddDays(rapid.IntRange(0, 1000).Draw(t, "seen"))
		s, err := p.Schedule(e, seen)
		if err != nil {
			t.Fatal(err)
		}
		if s.BlockOn.Before(s.EndsOn) || s.DeleteOn.Before(s.BlockOn) {
			t.Fatalf("ends %s, blocked %s, deleted %s", s.EndsOn, s.BlockOn, s.DeleteOn)
		}
		if e.Start.IsZero() && e.End.IsZero() && s.BlockOn.Days(seen) != longestOpen {
			t.Fatalf("open for %d days, want %d", s.BlockOn.Days(seen), longestOpen)
		}
	})
}

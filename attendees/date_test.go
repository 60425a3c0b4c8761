package attendees

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func day(text string) Date {
	d, err := ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestMonthsAndYearsEndWithTheLastDayWhereTheirsIsMissing(t *testing.T) {
	// Regulation (EEC, Euratom) 1182/71 Art. 3(2)(c): "if the day on which it should
	// expire does not occur in the last month, the period shall end with the last day
	// of that month".
	for _, c := range []struct {
		from   string
		months int
		want   string
	}{
		{"2027-01-31", 1, "2027-02-28"},
		{"2028-01-31", 1, "2028-02-29"},
		{"2027-01-31", 2, "2027-03-31"},
		{"2027-03-31", 1, "2027-04-30"},
		{"2027-03-31", -1, "2027-02-28"},
		{"2026-12-31", 1, "2027-01-31"},
		{"2026-12-31", 2, "2027-02-28"},
		{"2027-01-15", -1, "2026-12-15"},
		{"2028-02-29", 12, "2029-02-28"},
		{"2028-02-29", 48, "2032-02-29"},
		{"2096-02-29", 48, "2100-02-28"}, // 2100 is no leap year
		{"1996-02-29", 48, "2000-02-29"}, // 2000 was one
		{"2027-06-13", 0, "2027-06-13"},
	} {
		if got := day(c.from).AddMonths(c.months); got != day(c.want) {
			t.Errorf("%s and %d months = %s, want %s", c.from, c.months, got, c.want)
		}
	}
	if got := day("2028-02-29").AddYears(1); got != day("2029-02-28") {
		t.Errorf("29 February and a year = %s, want 28 February", got)
	}
}

func TestDaysAreCountedByTheCalendarNotByTheClock(t *testing.T) {
	for _, c := range []struct {
		from string
		days int
		want string
	}{
		{"2027-12-31", 1, "2028-01-01"},
		{"2028-02-28", 1, "2028-02-29"},
		{"2027-02-28", 1, "2027-03-01"},
		{"2027-03-27", 2, "2027-03-29"}, // a day of 23 hours in Europe lies between
		{"2027-10-30", 2, "2027-11-01"}, // and one of 25
		{"2026-10-30", 30, "2026-11-29"},
		{"2028-01-01", -1, "2027-12-31"},
	} {
		if got := day(c.from).AddDays(c.days); got != day(c.want) {
			t.Errorf("%s and %d days = %s, want %s", c.from, c.days, got, c.want)
		}
		if got := day(c.want).Days(day(c.from)); got != c.days {
			t.Errorf("from %s to %s are %d days, want %d", c.from, c.want, got, c.days)
		}
	}
}

func TestADateIsThatOfItsTimesOwnZone(t *testing.T) {
	at := time.Date(2026, 12, 31, 23, 30, 0, 0, time.FixedZone("New York", -5*3600))
	if got := DateOf(at); got != day("2026-12-31") {
		t.Errorf("in New York it is %s, want New Year's Eve", got)
	}
	if got := DateOf(at.In(time.FixedZone("Berlin", 3600))); got != day("2027-01-01") {
		t.Errorf("in Berlin it is %s, want New Year's Day", got)
	}
}

func TestWhatIsNoDateIsRefused(t *testing.T) {
	for _, text := range []string{"", "2027-02-29", "2027-13-01", "2027-6-13", "13.06.2027", "2027-06-13T00:00:00Z", " 2027-06-13", "0000-00-00", "0000-01-01"} {
		if d, err := ParseDate(text); err == nil {
			t.Errorf("%q was read as %s", text, d)
		}
	}
}

func TestDatesKeepTheirOrderAndTheirText(t *testing.T) {
	date := rapid.Custom(func(t *rapid.T) Date {
		return Date{1, time.January, 1}.AddDays(rapid.IntRange(0, 3_600_000).Draw(t, "days")) // up to the year 9857
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := date.Draw(t, "a"), date.Draw(t, "b")
		if a.Before(b) != (a.String() < b.String()) || (a.Compare(b) == 0) != (a == b) || a.Before(b) != (a.Days(b) < 0) {
			t.Fatalf("%s and %s: order and text disagree", a, b)
		}
		if got := b.AddDays(a.Days(b)); got != a {
			t.Fatalf("%s and the days to %s make %s", b, a, got)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back Date
		if err := json.Unmarshal(text, &back); err != nil || back != a {
			t.Fatalf("%s came back as %s: %v", a, back, err)
		}
		n := rapid.IntRange(-1000, 1000).Draw(t, "months")
		if a.Year > 100 {
			later := a.AddMonths(n)
			if later.Day > a.Day || (later.Year-a.Year)*12+int(later.Month-a.Month) != n {
				t.Fatalf("%s and %d months = %s", a, n, later)
			}
		}
	})
}

func TestTheZeroDateIsNoDay(t *testing.T) {
	if !(Date{}).IsZero() || day("2027-06-13").IsZero() {
		t.Error("only the zero Date is zero")
	}
}

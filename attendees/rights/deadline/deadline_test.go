package deadline_test

import (
	"testing"

	"lethe/attendees"
	"lethe/attendees/policyfile"
	"lethe/attendees/rights/deadline"
)

func date(t testing.TB, text string) attendees.Date {
	t.Helper()
	if text == "" {
		return attendees.Date{}
	}
	d, err := attendees.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeadlinesCountAsTheRegulationSays(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		received, from, until string
		extended              bool
		today                 string
		countries             []string
		want                  string
	}{
		"the same day of the next month":            {received: "2027-03-04", want: "2027-04-05", countries: nil}, // the 4th is a Sunday
		"a plain month":                             {received: "2027-05-04", countries: []string{"DE"}, want: "2027-06-04"},
		"31 January ends with February":             {received: "2025-01-31", countries: []string{"DE"}, want: "2025-02-28"},
		"31 January in a leap year":                 {received: "2028-01-31", countries: []string{"DE"}, want: "2028-02-29"},
		"31 January where 28 February is a Sunday":  {received: "2027-01-31", countries: []string{"DE"}, want: "2027-03-01"},
		"29 February":                               {received: "2028-02-29", countries: []string{"DE"}, want: "2028-03-29"},
		"a month's end":                             {received: "2027-08-31", countries: []string{"DE"}, want: "2027-09-30"},
		"Easter Monday":                             {received: "2027-02-28", countries: []string{"DE"}, want: "2027-03-30"}, // 28 March is Easter Sunday
		"Easter Monday itself":                      {received: "2026-03-06", countries: []string{"DE"}, want: "2026-04-07"},
		"where Easter Monday is no holiday":         {received: "2026-03-06", countries: []string{"US"}, want: "2026-04-06"},
		"Good Friday, the weekend, Easter Monday":   {received: "2026-03-03", countries: []string{"DE"}, want: "2026-04-07"},
		"a holiday of one of two countries":         {received: "2026-06-14", countries: []string{"DE", "FR"}, want: "2026-07-15"},
		"a holiday of one state alone":              {received: "2027-02-08", countries: []string{"DE-BE"}, want: "2027-03-09"}, // 8 March is one in Berlin
		"Christmas":                                 {received: "2026-11-25", countries: []string{"DE"}, want: "2026-12-28"},
		"New Year":                                  {received: "2026-12-01", countries: []string{"DE"}, want: "2027-01-04"},
		"over a year's end":                         {received: "2026-12-15", countries: []string{"DE"}, want: "2027-01-15"},
		"extended by two months":                    {received: "2027-05-04", extended: true, countries: []string{"DE"}, want: "2027-08-04"},
		"extended from 30 November":                 {received: "2026-11-30", extended: true, countries: []string{"DE"}, want: "2027-03-01"},                                               // 28 February is a Sunday
		"paused and resumed over a year's end":      {received: "2026-12-10", from: "2026-12-14", until: "2027-01-11", today: "2027-01-20", countries: []string{"DE"}, want: "2027-02-08"}, // 28 days on from 10 January, a Sunday
		"still paused: it moves from day to day":    {received: "2027-05-04", from: "2027-05-06", today: "2027-05-16", countries: []string{"DE"}, want: "2027-06-14"},
		"paused and extended":                       {received: "2027-05-04", from: "2027-05-06", until: "2027-05-16", extended: true, today: "2027-06-01", countries: []string{"DE"}, want: "2027-08-16"},
		"a pause that ended the day it was begun":   {received: "2027-05-04", from: "2027-05-06", until: "2027-05-06", today: "2027-06-01", countries: []string{"DE"}, want: "2027-06-04"},
		"a pause does not count weekends twice":     {received: "2027-05-04", from: "2027-05-05", until: "2027-05-06", today: "2027-06-01", countries: []string{"DE"}, want: "2027-06-07"},
		"a Saturday":                                {received: "2027-05-05", countries: []string{"DE"}, want: "2027-06-07"},
		"without countries weekends count all same": {received: "2026-11-25", want: "2026-12-25"},
	} {
		holidays, err := deadline.NewHolidays(c.countries)
		if err != nil {
			t.Fatal(err)
		}
		got := deadline.Of(date(t, c.received), date(t, c.from), date(t, c.until), c.extended, date(t, c.today), holidays)
		if got.String() != c.want {
			t.Errorf("%s: received on %s it ends on %s, want %s", what, c.received, got, c.want)
		}
	}
}

func TestEveryCountryOfAPolicyHasItsHolidays(t *testing.T) {
	t.Parallel()
	if _, err := deadline.NewHolidays(policyfile.HolidayCountries()); err != nil {
		t.Error(err)
	}
	if _, err := deadline.NewHolidays([]string{"XX"}); err == nil {
		t.Error("a country that nobody knows is taken")
	}
}

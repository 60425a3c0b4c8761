package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// longDate writes a day as people say it: 29 November 2026.
func longDate(d attendees.Date) string {
	return fmt.Sprintf("%d %s %d", d.Day, d.Month, d.Year)
}

// shortDate is longDate for tables: 29 Nov 2026.
func shortDate(d attendees.Date) string {
	return fmt.Sprintf("%d %.3s %d", d.Day, d.Month, d.Year)
}

// atTime writes an instant; the zone is said, since readers sit in several.
func atTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 Jan 2006, 15:04 UTC")
}

// nearDays is as far as days are counted: beyond it a date says more.
const nearDays = 60

// when says where a day lies, seen from today: "in 12 days", "yesterday", "on 1 January
// 2033".
func when(d, today attendees.Date) string {
	switch n := d.Days(today); {
	case n == 0:
		return "today"
	case n == 1:
		return "tomorrow"
	case n == -1:
		return "yesterday"
	case 0 < n && n <= nearDays:
		return fmt.Sprintf("in %d days", n)
	case -nearDays <= n && n < 0:
		return fmt.Sprintf("%d days ago", -n)
	}
	return "on " + longDate(d)
}

// roughly is when, in months or years where it lies far ahead: a page that tells the day
// is near.
func roughly(d, today attendees.Date) string {
	const month, year = 30.44, 365.25
	switch n := float64(d.Days(today)); {
	case n <= nearDays:
		return when(d, today)
	case n < 2*year:
		return "in " + plural(int(math.Round(n/month)), "month", "months")
	default:
		return "in " + plural(int(math.Round(n/year)), "year", "years")
	}
}

// ago says how long something is past, in the largest unit that fits.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days ago", int(d.Hours()/24))
	}
}

// count writes a number as people read it: 1,108.
func count(n int) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plural counts things: 1 event, 2 events.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

package attendees

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Date is a day in the calendar, without a time or a zone: what the law counts.
// The zero Date is no day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day that t falls on, in t's own zone.
func DateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// ParseDate reads a date as String writes it. There is no year 0: 1 BC was followed by AD 1.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() == 0 {
		return Date{}, fmt.Errorf("%q is no date such as 2027-06-13", text)
	}
	return DateOf(t), nil
}

// String writes the date as ISO 8601 does: 2027-06-13.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// MarshalText writes the date as String does.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// Value gives the date to a database; the zero Date as null.
func (d Date) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.String(), nil
}

// Scan reads the date from a database; null is the zero Date.
func (d *Date) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*d = Date{}
	case time.Time:
		*d = DateOf(v)
	default:
		return fmt.Errorf("%T is no date", value)
	}
	return nil
}

// IsZero tells that the date is no day.
func (d Date) IsZero() bool { return d == Date{} }

// midnight is the date's begin in UTC, for counting.
func (d Date) midnight() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// Compare is -1, 0 or +1 as d is before, on or after other.
func (d Date) Compare(other Date) int { return d.midnight().Compare(other.midnight()) }

// Before tells whether d comes before other.
func (d Date) Before(other Date) bool { return d.Compare(other) < 0 }

// AddDays is n days later, or earlier where n is negative.
func (d Date) AddDays(n int) Date { return DateOf(d.midnight().AddDate(0, 0, n)) }

// AddMonths is n months later. Where that month has no such day it is its last one,
// as Regulation (EEC, Euratom) 1182/71 Art. 3(2)(c) has it: a month from 31 January
// ends with February.
func (d Date) AddMonths(n int) Date {
	first := time.Date(d.Year, d.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return Date{first.Year(), first.Month(), min(d.Day, last)}
}

// AddYears is n years later; from 29 February it is 28 February where the year has
// no other, by the same rule.
func (d Date) AddYears(n int) Date { return d.AddMonths(12 * n) }

// Days is how many days lie between other and d: negative where d comes first.
func (d Date) Days(other Date) int {
	const day = 24 * 60 * 60 // seconds; a time.Duration ends at 292 years
	return int((d.midnight().Unix() - other.midnight().Unix()) / day)
}

// MonthDay is a day of every year. The zero value is 31 December.
type MonthDay struct {
	Month time.Month
	Day   int
}

// in is the day in one year.
func (m MonthDay) in(year int) Date {
	if m == (MonthDay{}) {
		m = MonthDay{time.December, 31}
	}
	first := Date{year, m.Month, 1}
	return Date{year, m.Month, min(m.Day, first.AddMonths(1).AddDays(-1).Day)}
}

// onOrAfter is the first such day that is not before d.
func (m MonthDay) onOrAfter(d Date) Date {
	if day := m.in(d.Year); !day.Before(d) {
		return day
	}
	return m.in(d.Year + 1)
}

package attendees

import "time"

// Date is a day in the calendar, without a time or a zone: what the law counts.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// MonthDay is a day of every year. The zero value is 31 December.
type MonthDay struct {
	Month time.Month
	Day   int
}

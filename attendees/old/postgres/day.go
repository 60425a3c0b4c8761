package postgres

import (
	"database/sql/driver"
	"fmt"
	"time"

	"lethe/attendees/old/attendees"
)

// day carries a Date to and from a column of type date. The domain knows no SQL.
type day struct{ attendees.Date }

// Scan reads a date.
func (d *day) Scan(src any) error {
	t, ok := src.(time.Time)
	if !ok {
		return fmt.Errorf("a date came as %T", src)
	}
	d.Date = attendees.DateOf(t)
	return nil
}

// Value writes a date.
func (d day) Value() (driver.Value, error) { return d.Date.String(), nil }

// moment carries a time that may be unknown: the zero time is null.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

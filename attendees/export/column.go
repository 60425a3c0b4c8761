package export

import (
	"slices"
	"strconv"
	"time"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/roster"
)

// Header says which list it is. A workbook tells the event's name, who took the list and
// the day by which every copy must be gone, too.
type Header struct {
	Event   attendees.EventID
	Name    string
	Purpose attendees.PurposeName
	At      time.Time
	By      string
	Until   attendees.Date
	Columns []Column
}

// Column is one column of a list.
type Column struct {
	Name    string
	kind    kind
	field   attendees.Field
	purpose attendees.PurposeName
}

// kind is how a column is written.
type kind int

const (
	text    kind = iota
	texts        // several, as answers have
	boolean      // attended
	moment       // in UTC; empty: never
)

// Columns are the columns of a purpose's list: the id, the purpose's fields, and the answers
// that links map for it, in their order. The status is next to the ticket.
func Columns(u attendees.Purpose, links []events.Link) []Column {
	all := []Column{{Name: "attendee_id"}}
	add := func(name string, k kind, f attendees.Field) { all = append(all, Column{name, k, f, u.Name}) }
	for _, f := range []attendees.Field{attendees.Name, attendees.Email, attendees.Ticket, attendees.AgreementVersion, attendees.AgreedAt, attendees.Attended} {
		switch {
		case !u.Allows(f):
		case f == attendees.AgreedAt:
			add(string(f), moment, f)
		case f == attendees.Attended:
			add(string(f), boolean, f)
		default:
			add(string(f), text, f)
		}
		if f == attendees.Ticket && u.Allows(f) {
			add("status", text, status)
		}
	}
	if u.Allows(attendees.Consented) {
		add("consented_at", moment, attendees.Consented)
		add("consented_version", text, attendees.Consented)
	}
	if u.Allows(attendees.Affiliation) {
		add(string(attendees.Affiliation), text, attendees.Affiliation)
	}
	if u.Allows(attendees.Forums) {
		add(string(attendees.Forums), texts, attendees.Forums)
	}
	for _, l := range links {
		for _, f := range l.Fields {
			_, is := f.Field.AnswerName()
			if is && l.Purpose == u.Name && u.Allows(f.Field) && !slices.ContainsFunc(all, func(c Column) bool { return c.field == f.Field }) {
				add(string(f.Field), texts, f.Field)
			}
		}
	}
	return all
}

// status is no field that a policy names: it is what has become of the registration.
const status attendees.Field = "status"

// append appends somebody's value as text, and tells whether there is one.
func (c *Column) append(b []byte, v *roster.View) ([]byte, bool) {
	switch c.kind {
	case boolean:
		return strconv.AppendBool(b, v.Attended()), true
	case moment:
		at := c.at(v)
		if at.IsZero() {
			return b, false
		}
		return at.AppendFormat(b, time.RFC3339), true
	}
	switch c.field {
	case "":
		return v.AppendID(b), true
	case status:
		return append(b, v.Standing()...), true
	case attendees.Name, attendees.Email, attendees.Ticket, attendees.AgreementVersion:
		return v.Append(b, c.field), true
	case attendees.Consented:
		_, version := v.Consent(c.purpose)
		return append(b, version...), true
	}
	first := true
	for value := range v.Values(c.purpose, c.field) {
		if !first {
			b = append(b, "; "...)
		}
		b, first = append(b, value...), false
	}
	return b, true
}

// at is the time in a column of times.
func (c *Column) at(v *roster.View) time.Time {
	if c.field == attendees.Consented {
		at, _ := v.Consent(c.purpose)
		return at
	}
	return v.AgreedAt()
}

package export

import (
	"fmt"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// Row is one person on a list.
type Row = postgres.Row

// Header says which list it is. A workbook tells the event's name, who took the list and
// the day by which every copy must be gone, too.
type Header struct {
	Event   attendees.EventID
	Name    string
	Purpose attendees.PurposeName
	At      time.Time
	By      string
	Until   attendees.Date
}

// Columns are the columns of a purpose's list. A purpose of a policy file has those
// of participation_agreement and forum that it may hold.
func Columns(p attendees.PurposeName) []string {
	switch p {
	case attendees.ParticipationAgreement:
		return []string{"attendee_id", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended"}
	case attendees.Forum:
		return []string{"attendee_id", "name", "email", "affiliation", "forums"}
	}
	return []string{"attendee_id", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended", "affiliation", "forums"}
}

// cell appends a row's value in one column as text, and says what kind it is.
func cell(b []byte, r *Row, column string) ([]byte, kind) {
	switch column {
	case "attendee_id":
		return append(b, r.ID...), text
	case "name":
		return append(b, r.Name.Reveal()...), text
	case "email":
		return append(b, r.Email.Reveal()...), text
	case "ticket":
		return append(b, r.Ticket...), text
	case "status":
		return append(b, r.Status...), text
	case "agreement_version":
		return append(b, r.AgreementVersion...), text
	case "agreed_at":
		if r.AgreedAt.IsZero() {
			return b, nothing
		}
		return r.AgreedAt.UTC().AppendFormat(b, time.RFC3339), text
	case "attended":
		if r.Attended {
			return append(b, "true"...), literal
		}
		return append(b, "false"...), literal
	case "affiliation":
		return append(b, r.Affiliation.Reveal()...), text
	case "forums":
		for i, f := range r.Forums {
			if i > 0 {
				b = append(b, "; "...)
			}
			b = append(b, f.Reveal()...)
		}
		return b, text
	}
	panic(fmt.Sprintf("export: no column %q", column)) // Columns names them
}

// kind is how a cell is written in JSON.
type kind int

const (
	text    kind = iota
	literal      // a boolean
	nothing      // no value
)

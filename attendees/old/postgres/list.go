package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
)

// Row is one person on a list that leaves. It is used again for the next one.
type Row struct {
	ID               string
	Name, Email      attendees.Personal
	Ticket, Status   string
	AgreementVersion string
	AgreedAt         time.Time // zero: never
	Attended         bool
	Affiliation      attendees.Personal
	Forums           []attendees.Personal
}

// AnyStatus lists everyone, whether the registration stands or not.
const AnyStatus attendees.Standing = ""

// UnknownPurposeError says that the policy has no such purpose.
type UnknownPurposeError struct {
	Purpose attendees.PurposeName
	Known   []attendees.PurposeName
}

func (e *UnknownPurposeError) Error() string {
	known := ""
	for i, p := range e.Known {
		switch {
		case i == 0:
		case i == len(e.Known)-1:
			known += " and "
		default:
			known += ", "
		}
		known += string(p)
	}
	return fmt.Sprintf("no purpose is called %q. The policy knows %s", e.Purpose, known)
}

// Attending lists an event's people for a purpose, by the source's id, with the
// fields that the purpose names and no other. It refuses an event that is blocked,
// or that should be by now (*BlockedError), whatever the workers have done.
func (s *Store) Attending(ctx context.Context, id attendees.EventID, purpose attendees.PurposeName, status attendees.Standing) iter.Seq2[*Row, error] {
	return s.list(ctx, id, purpose, status, "")
}

// Unagreed lists those who attend and have not agreed yet, as Attending does, for the
// purpose of agreements.
func (s *Store) Unagreed(ctx context.Context, id attendees.EventID) iter.Seq2[*Row, error] {
	return s.list(ctx, id, s.policy.Agreements(), attendees.Attending, " and agreed_at is null")
}

func (s *Store) list(ctx context.Context, id attendees.EventID, purpose attendees.PurposeName, status attendees.Standing, and string) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		rows, fields, withdrew, err := s.listedRows(ctx, id, purpose, status, and)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }()
		var r Row
		var agreed sql.NullTime
		var forums forumList
		// As *string, which database/sql fills without reflection.
		known := map[attendees.Field]any{
			attendees.Name: (*string)(&r.Name), attendees.Email: (*string)(&r.Email), attendees.Ticket: &r.Ticket,
			attendees.AgreementVersion: &r.AgreementVersion, attendees.AgreedAt: &agreed,
			attendees.Attended: &r.Attended, attendees.Affiliation: (*string)(&r.Affiliation), attendees.Forums: &forums,
		}
		into := []any{&r.ID, &r.Status}
		for _, f := range listFields(fields) {
			into = append(into, known[f])
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				yield(nil, quiet("read a list", err))
				return
			}
			if len(withdrew) > 0 && withdrew[r.ID] {
				continue // GDPR Art. 7(3)
			}
			r.AgreedAt, r.Forums = agreed.Time, forums
			if !yield(&r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, quiet("read a list", err))
		}
	}
}

func (s *Store) listedRows(ctx context.Context, id attendees.EventID, name attendees.PurposeName, status attendees.Standing, and string) (_ *sql.Rows, purpose attendees.Purpose, withdrew map[string]bool, err error) {
	purpose, ok := s.policy.Purpose(name)
	if !ok {
		return nil, purpose, nil, &UnknownPurposeError{Purpose: name, Known: s.policy.PurposeNames()}
	}
	e, err := s.openEvent(ctx, id)
	if err != nil {
		return nil, purpose, nil, err
	}
	if withdrew, err = s.withdrew(ctx, e.Key, name); err != nil {
		return nil, purpose, nil, err
	}
	rows, err := s.db.QueryContext(ctx, listQuery(purpose, and), e.Key, status)
	return rows, purpose, withdrew, quiet("read a list", err)
}

// listFields are the fields of a purpose that a list has a column for, in its order.
func listFields(p attendees.Purpose) []attendees.Field {
	return slices.DeleteFunc([]attendees.Field{
		attendees.Name, attendees.Email, attendees.Ticket, attendees.AgreementVersion, attendees.AgreedAt,
		attendees.Attended, attendees.Affiliation, attendees.Forums,
	}, func(f attendees.Field) bool { return !p.Allows(f) })
}

// ListQuery is the query behind a list, for a purpose: $1 is the event's key, $2 the
// standing or "". The benchmark of the export gives the same one to psql.
func ListQuery(p attendees.Purpose) string { return listQuery(p, "") }

func listQuery(p attendees.Purpose, and string) string {
	columns := []string{"source_id", "status"}
	for _, f := range listFields(p) {
		columns = append(columns, string(f)) // a column has its field's name
	}
	return `
		select ` + strings.Join(columns, ", ") + `
		from personal
		where event_id = $1 and part = 'registration' and ($2 = '' or status = $2)` + and + `
		order by source_id`
}

// forumList reads a text array, reusing what it has.
type forumList []attendees.Personal

// Scan reads PostgreSQL's array literal.
func (f *forumList) Scan(src any) error {
	*f = (*f)[:0]
	raw, ok := src.([]byte)
	if !ok {
		return fmt.Errorf("a list of forums came as %T", src)
	}
	if len(raw) <= len("{}") {
		return nil
	}
	var element []byte
	quoted := false
	for i := 1; i < len(raw)-1; i++ {
		switch c := raw[i]; {
		case c == '\\':
			i++
			element = append(element, raw[i])
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			*f = append(*f, attendees.Personal(element))
			element = element[:0]
		default:
			element = append(element, c)
		}
	}
	*f = append(*f, attendees.Personal(element))
	return nil
}

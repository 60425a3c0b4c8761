package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
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

	key uuid.UUID
}

// Key is the attendee's key, for the list of who was on an export.
func (r *Row) Key() uuid.UUID { return r.key }

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
	return func(yield func(*Row, error) bool) {
		rows, err := s.attending(ctx, id, purpose, status)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = rows.Close() }()
		var r Row
		var agreed sql.NullTime
		var forums forumList
		for rows.Next() {
			err := rows.Scan(&r.key, &r.ID, &r.Name, &r.Email, &r.Ticket, &r.Status, &r.AgreementVersion,
				&agreed, &r.Attended, &r.Affiliation, &forums)
			if err != nil {
				yield(nil, quiet("read a list", err))
				return
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

func (s *Store) attending(ctx context.Context, id attendees.EventID, name attendees.PurposeName, status attendees.Standing) (*sql.Rows, error) {
	purpose, ok := s.policy.Purpose(name)
	if !ok {
		return nil, &UnknownPurposeError{Purpose: name, Known: s.policy.PurposeNames()}
	}
	e, err := s.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	if !e.Open(s.now()) {
		return nil, &BlockedError{Event: e}
	}
	rows, err := s.db.QueryContext(ctx, ListQuery(purpose), e.Key, status)
	return rows, quiet("read a list", err)
}

// ListQuery is the query behind a list, for a purpose: $1 is the event's key, $2 the
// standing or "". The benchmark of the export gives the same one to psql.
func ListQuery(p attendees.Purpose) string {
	only := func(f attendees.Field, column, otherwise string) string {
		if p.Allows(f) {
			return column
		}
		return otherwise
	}
	return `
		select id, source_id,
			` + only(attendees.Name, "name", "''") + `,
			` + only(attendees.Email, "email", "''") + `,
			` + only(attendees.Ticket, "ticket", "''") + `,
			status,
			` + only(attendees.AgreementVersion, "agreement_version", "''") + `,
			` + only(attendees.AgreedAt, "agreed_at", "null::timestamptz") + `,
			` + only(attendees.Attended, "attended", "false") + `,
			` + only(attendees.Affiliation, "affiliation", "''") + `,
			` + only(attendees.Forums, "forums", "'{}'::text[]") + `
		from personal
		where event_id = $1 and part = 'registration' and ($2 = '' or status = $2)
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

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// PeoplePage is how many people a page of the list shows.
const PeoplePage = 50

// Filter says which of an event's people a list shows. The zero Filter shows all.
type Filter struct {
	Search    attendees.Personal // each of its words has to be in name or address
	Status    attendees.Standing // AnyStatus: any
	Agreed    bool               // those who agreed
	NotAgreed bool               // those who did not
	Forum     string
	Ticket    string
}

// Order is how a list of people is sorted: by "name", "email", "ticket", "status" or
// "agreed"; anything else is by name.
type Order struct {
	By   string
	Down bool
}

// Person is one row of a list of people.
type Person struct {
	ID               attendees.AttendeeID
	Name, Email      attendees.Personal
	Ticket           string
	Status           attendees.Standing
	Attended         bool
	AgreementVersion string
	AgreedAt         time.Time // zero: never
	Affiliation      attendees.Personal
	Forums           []attendees.Personal
}

type personRow struct {
	ID          attendees.AttendeeID `db:"source_id"`
	Name        attendees.Personal   `db:"name"`
	Email       attendees.Personal   `db:"email"`
	Ticket      string               `db:"ticket"`
	Status      attendees.Standing   `db:"status"`
	Attended    bool                 `db:"attended"`
	Version     string               `db:"agreement_version"`
	AgreedAt    *time.Time           `db:"agreed_at"`
	Affiliation attendees.Personal   `db:"affiliation"`
	Forums      forumList            `db:"forums"`
}

const personColumns = `source_id, name, email, ticket, status, attended, agreement_version, agreed_at, affiliation, forums`

func (r personRow) person() Person {
	p := Person{
		ID: r.ID, Name: r.Name, Email: r.Email, Ticket: r.Ticket, Status: r.Status, Attended: r.Attended,
		AgreementVersion: r.Version, Affiliation: r.Affiliation, Forums: r.Forums,
	}
	if r.AgreedAt != nil {
		p.AgreedAt = *r.AgreedAt
	}
	return p
}

// expression is what the order compares; with the key behind it no two people tie.
func (o Order) expression() string {
	switch o.By {
	case "email":
		return `lower(email)`
	case "ticket":
		return `ticket`
	case "status":
		return `status`
	case "agreed":
		return `coalesce(agreed_at, '-infinity')`
	}
	return `found_by`
}

// wherePeople is the filter as a condition, and its arguments; $1 is the event.
func wherePeople(event uuid.UUID, f Filter) (string, []any) {
	where, args := `event_id = $1 and part = 'registration'`, []any{event}
	and := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where += " and " + condition
	}
	if f.Status != AnyStatus {
		and(`status = ?`, f.Status)
	}
	if f.Agreed {
		and(`agreed_at is not null`)
	}
	if f.NotAgreed {
		and(`agreed_at is null`)
	}
	if f.Forum != "" {
		and(`? = any(forums)`, f.Forum)
	}
	if f.Ticket != "" {
		and(`ticket = ?`, f.Ticket)
	}
	if w := searched(f.Search.Reveal()); len(w.rough) > 0 {
		and(`found_by like all(?)`, pq.Array(w.rough))
		if w.upper != "" {
			and(`translate(found_by, ?, ?) like all(?)`, w.upper, w.lower, pq.Array(w.exact))
		}
	}
	return where, args
}

// words are what a search looks for. A database of locale C folds ASCII alone, so other
// letters are looked for roughly first, any letter in their place, and of those who are
// found exactly.
type words struct {
	rough, exact []string // patterns of "like"
	upper, lower string   // letters that are not ASCII, for translate
}

// maxWords bounds a search.
const maxWords = 8

func searched(text string) words {
	var w words
	fields := strings.Fields(strings.ToLower(strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")))
	for _, field := range fields[:min(len(fields), maxWords)] {
		rough, exact := "%", "%"
		for _, r := range field {
			letter := string(r)
			if r == '%' || r == '_' || r == '\\' {
				letter = `\` + letter
			}
			exact += letter
			if r > unicode.MaxASCII && unicode.ToUpper(r) != r {
				letter = "_"
				w.upper, w.lower = w.upper+string(unicode.ToUpper(r)), w.lower+string(r)
			}
			rough += letter
		}
		w.rough, w.exact = append(w.rough, rough+"%"), append(w.exact, exact+"%")
	}
	return w
}

// Cursor says where in a list a page begins: behind a person or, backwards, before one.
// The zero Cursor is its beginning.
type Cursor struct {
	At   attendees.AttendeeID
	Back bool
}

// People is a page of an event's people. It tells whether more come behind it and before
// it. It is stable however many tie, and whoever comes or goes meanwhile. *BlockedError
// from the block date on.
func (s *Store) People(ctx context.Context, id attendees.EventID, f Filter, o Order, c Cursor) (page []Person, before, behind bool, err error) {
	e, err := s.openEvent(ctx, id)
	if err != nil {
		return nil, false, false, err
	}
	where, args := wherePeople(e.Key, f)
	by := o.expression()
	down := o.Down != c.Back
	direction, sign := "", ">"
	if down {
		direction, sign = " desc", "<"
	}
	var rows []personRow
	err = s.readRoom(ctx, func(tx *sqlx.Tx) error {
		var at struct {
			Value string    `db:"value"`
			ID    uuid.UUID `db:"id"`
		}
		err := tx.GetContext(ctx, &at, `
			select (`+by+`)::text as value, id
			from personal
			where event_id = $1 and id = $2 and part = 'registration'`, e.Key, attendeeKey(attendees.Eventbrite, c.At))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return quiet("find a page", err)
		}
		if c.At != "" && err == nil { // who has gone meanwhile leaves the reader at the beginning
			cast := "text"
			if o.By == "agreed" {
				cast = "timestamptz"
			}
			args = append(args, at.Value, at.ID)
			where += fmt.Sprintf(" and (%s, id) %s ($%d::%s, $%d)", by, sign, len(args)-1, cast, len(args))
		} else {
			c = Cursor{}
		}
		args = append(args, PeoplePage+1)
		order := ` order by ` + by + direction + `, id` + direction
		// Keys are sorted, not people: PostgreSQL copies each row that it sorts.
		return quiet("list people", tx.SelectContext(ctx, &rows, `
			select `+personColumns+`
			from personal
			where event_id = $1 and id in (select id from personal where `+where+order+fmt.Sprintf(" limit $%d", len(args))+`)`+order, args...))
	})
	if err != nil {
		return nil, false, false, err
	}
	more := len(rows) > PeoplePage
	for _, r := range rows[:min(len(rows), PeoplePage)] {
		page = append(page, r.person())
	}
	if c.Back {
		slices.Reverse(page)
		return page, more, true, nil
	}
	return page, c.At != "", more, nil
}

// CountPeople counts whom a filter finds. *BlockedError from the block date on.
func (s *Store) CountPeople(ctx context.Context, id attendees.EventID, f Filter) (n int, err error) {
	e, err := s.openEvent(ctx, id)
	if err != nil {
		return 0, err
	}
	where, args := wherePeople(e.Key, f)
	err = s.readRoom(ctx, func(tx *sqlx.Tx) error {
		return quiet("count people", tx.GetContext(ctx, &n, `select count(*) from personal where `+where, args...))
	})
	return n, err
}

// readRoom runs do in a transaction without parallel workers: to start one takes longer
// than to read a hundred thousand people.
func (s *Store) readRoom(ctx context.Context, do func(tx *sqlx.Tx) error) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `set local max_parallel_workers_per_gather = 0`); err != nil {
			return quiet("read a room", err)
		}
		return do(tx)
	})
}

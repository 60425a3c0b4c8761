package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// Numbers are what an open event's page tells: counts, nobody's name.
type Numbers struct {
	Status     map[attendees.Standing]int
	Agreed     int     // of those who attend
	Attended   int     // checked in
	Versions   []Named // of the agreement, among those who attend and agreed
	Tickets    []Named // kinds, among those who attend
	Forums     []Named // with how many of those who attend chose them
	Days       []Day   // on which somebody registered, in order
	Kept       map[attendees.Field]int
	Answers    int // responses to forms
	Unmatched  int // of them, those that belong to nobody yet
	Registered int
}

// Attending is how many attend.
func (n Numbers) Attending() int { return n.Status[attendees.Attending] }

// Named is a count of something with a name.
type Named struct {
	Name string
	N    int
}

// Day is how many registered on a day, in UTC.
type Day struct {
	On attendees.Date
	N  int
}

// Numbers counts an open event. It reads the whole room, a tenth of a second for a
// hundred thousand people: whoever shows it often keeps it for a while. *BlockedError
// from the block date on.
func (s *Store) Numbers(ctx context.Context, id attendees.EventID) (Numbers, error) {
	n := Numbers{Status: map[attendees.Standing]int{}, Kept: map[attendees.Field]int{}}
	e, err := s.openEvent(ctx, id)
	if err != nil {
		return n, err
	}
	err = s.readRoom(ctx, func(tx *sqlx.Tx) error {
		if err := n.people(ctx, tx, e); err != nil {
			return err
		}
		if err := n.forums(ctx, tx, e); err != nil {
			return err
		}
		if err := n.days(ctx, tx, e); err != nil {
			return err
		}
		return quiet("count responses", tx.QueryRowxContext(ctx, `
			select count(*), count(*) filter (where attendee_id is null)
			from personal
			where event_id = $1 and part = 'response'`, e.Key).Scan(&n.Answers, &n.Unmatched))
	})
	return n, err
}

// people counts in one walk, by what comes in few kinds.
func (n *Numbers) people(ctx context.Context, tx *sqlx.Tx, e Event) error {
	fields := keptFields()
	counts := make([]string, len(fields))
	for i, f := range fields {
		counts[i] = "count(*) filter (where " + f.held() + ")"
	}
	rows, err := tx.QueryxContext(ctx, `
		select status, ticket, agreement_version, agreed_at is not null, count(*), `+strings.Join(counts, ", ")+`
		from personal
		where event_id = $1 and part = 'registration'
		group by 1, 2, 3, 4`, e.Key)
	if err != nil {
		return quiet("count people", err)
	}
	defer func() { _ = rows.Close() }()
	versions, tickets := map[string]int{}, map[string]int{}
	for rows.Next() {
		var status attendees.Standing
		var ticket, version string
		var agreed bool
		var people int
		held := make([]int, len(fields))
		into := []any{&status, &ticket, &version, &agreed, &people}
		for i := range held {
			into = append(into, &held[i])
		}
		if err := rows.Scan(into...); err != nil {
			return quiet("count people", err)
		}
		n.Status[status] += people
		n.Registered += people
		for i, f := range fields {
			n.Kept[attendees.Field(f)] += held[i]
			if attendees.Field(f) == attendees.Attended {
				n.Attended += held[i]
			}
		}
		if status != attendees.Attending {
			continue
		}
		tickets[ticket] += people
		if agreed {
			n.Agreed += people
			versions[version] += people
		}
	}
	n.Versions, n.Tickets = named(versions), named(tickets)
	n.Versions = n.Versions[:min(len(n.Versions), maxTyped)]
	return quiet("count people", rows.Err())
}

func (n *Numbers) forums(ctx context.Context, tx *sqlx.Tx, e Event) error {
	var rows []struct {
		Name string `db:"name"`
		N    int    `db:"n"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select forum as name, count(*) as n
		from personal, unnest(forums) as forum
		where event_id = $1 and part = 'registration' and status = 'attending' and forums <> '{}'
		group by forum
		order by n desc, forum
		limit $2`, e.Key, maxTyped)
	for _, r := range rows {
		n.Forums = append(n.Forums, Named{r.Name, r.N})
	}
	return quiet("count forums", err)
}

// maxTyped bounds what a form with a free text makes of "forums", and of the version.
const maxTyped = 200

func (n *Numbers) days(ctx context.Context, tx *sqlx.Tx, e Event) error {
	var rows []struct {
		On time.Time `db:"on"`
		N  int       `db:"n"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select registered_at::date as on, count(*) as n
		from attendees
		where event_id = $1 and registered_at is not null
		group by 1
		order by 1`, e.Key)
	for _, r := range rows {
		n.Days = append(n.Days, Day{attendees.DateOf(r.On), r.N})
	}
	return quiet("count registrations by day", err)
}

func named(counts map[string]int) []Named {
	var all []Named
	for name, n := range counts {
		all = append(all, Named{name, n})
	}
	slices.SortFunc(all, func(a, b Named) int { return cmp.Or(b.N-a.N, strings.Compare(a.Name, b.Name)) })
	return all
}

// keptField is a field with a column of its own.
type keptField attendees.Field

func keptFields() []keptField {
	return []keptField{
		keptField(attendees.Name), keptField(attendees.Email), keptField(attendees.Ticket), keptField(attendees.Attended),
		keptField(attendees.AgreementVersion), keptField(attendees.AgreedAt), keptField(attendees.Affiliation),
		keptField(attendees.Forums), keptField(attendees.Answers),
	}
}

// held is the condition under which something is held of it.
func (f keptField) held() string {
	switch attendees.Field(f) {
	case attendees.Attended:
		return "attended"
	case attendees.AgreedAt:
		return "agreed_at is not null"
	case attendees.Forums, attendees.Answers:
		return fmt.Sprintf("%s <> '{}'", f)
	}
	return fmt.Sprintf("%s <> ''", f)
}

// AnswersOf counts the answers that are held of each of an event's forms.
func (s *Store) AnswersOf(ctx context.Context, e Event) (map[attendees.FormID]int, error) {
	var rows []struct {
		Form attendees.FormID `db:"form_id"`
		N    int              `db:"n"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		select form_id, count(*) as n
		from personal
		where event_id = $1 and part = 'response'
		group by form_id`, e.Key)
	counts := make(map[attendees.FormID]int, len(rows))
	for _, r := range rows {
		counts[r.Form] = r.N
	}
	return counts, quiet("count answers", err)
}

// Filled counts, of the people who attend an event, how many one form's answers filled.
func (s *Store) Filled(ctx context.Context, id attendees.EventID, form attendees.FormID) (n int, err error) {
	e, err := s.openEvent(ctx, id)
	if err != nil {
		return 0, err
	}
	err = s.db.GetContext(ctx, &n, `
		select count(distinct attendee_id)
		from personal
		where event_id = $1 and part = 'response' and form_id = $2 and attendee_id is not null`, e.Key, form)
	return n, quiet("count answers", err)
}

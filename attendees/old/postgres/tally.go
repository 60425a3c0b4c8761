package postgres

import (
	"context"

	"lethe/attendees/old/attendees"
)

// Tally is one count that stays of an event when its people have gone. All of them are
// registered; the others tell of those alone who were readable when it was blocked.
type Tally struct {
	What   string `db:"what" json:"what"` // registered, attended, agreed, or "ticket: " and a ticket kind
	People int    `db:"people" json:"people"`
}

// Tallies are the counts of blocked and deleted events, as they were when each was
// blocked. A count under 5, which tells of persons, was never kept, nor the kind of
// ticket by which it could be worked out.
func (s *Store) Tallies(ctx context.Context) (map[attendees.EventID][]Tally, error) {
	var rows []struct {
		Event attendees.EventID `db:"event"`
		Tally
	}
	err := s.db.SelectContext(ctx, &rows, `
		select e.source_id as event, t.what, t.people
		from tallies t
		join events e on e.id = t.event_id
		order by e.source_id, t.what like 'ticket: %', t.people desc, t.what`)
	all := map[attendees.EventID][]Tally{}
	for _, r := range rows {
		all[r.Event] = append(all[r.Event], r.Tally)
	}
	return all, quiet("list counts", err)
}

// TalliesOf are the counts that are left of one event.
func (s *Store) TalliesOf(ctx context.Context, e Event) ([]Tally, error) {
	var tallies []Tally
	err := s.db.SelectContext(ctx, &tallies, `
		select what, people
		from tallies
		where event_id = $1
		order by what like 'ticket: %', what = 'attended', what = 'agreed', people desc, what`, e.Key)
	return tallies, quiet("read an event's counts", err)
}

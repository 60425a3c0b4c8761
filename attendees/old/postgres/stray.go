package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Stray is something that leads to people and should not be there at all.
type Stray struct {
	Event attendees.EventID `json:"event,omitempty"` // empty: of no event that is known
	Fault string            `json:"fault"`
}

// Whose says of what it is.
func (s Stray) Whose() string {
	if s.Event == "" {
		return "no event that is known"
	}
	return "event " + string(s.Event)
}

// Strays looks for what no life leaves behind unless it was cut off or tampered with:
// rooms and rows of events that are blocked or deleted, people without a record, records
// without a person. Of an event that is just being blocked or deleted it says nothing.
func (s *Store) Strays(ctx context.Context) ([]Stray, error) {
	var events []Event
	if err := s.db.SelectContext(ctx, &events, `select `+eventColumns+` from events order by source_id`); err != nil {
		return nil, quiet("list events", err)
	}
	rooms, err := s.rooms(ctx)
	if err != nil {
		return nil, err
	}
	strays := []Stray{}
	known := map[string]bool{}
	var keys []uuid.UUID
	for _, e := range events {
		readable, sealed := room(e.Key), sealedRooms.room(e.Key)
		known[readable], known[sealed] = true, true
		keys = append(keys, e.Key)
		if (e.BlockedAt != nil || e.DeletedAt != nil) && slices.Contains(rooms, readable) {
			strays = append(strays, Stray{e.ID, "its readable room is still there"})
		}
		if e.DeletedAt != nil && slices.Contains(rooms, sealed) {
			strays = append(strays, Stray{e.ID, "its sealed room is still there"})
		}
		found, err := s.strayRows(ctx, e)
		if err != nil {
			return nil, err
		}
		strays = append(strays, found...)
	}
	for _, r := range rooms {
		if !known[r] {
			strays = append(strays, Stray{Fault: "a room is there, " + r})
		}
	}
	var nobodys int
	err = s.db.GetContext(ctx, &nobodys, `select count(*) from attendees where event_id <> all($1::uuid[])`, pq.StringArray(texts(keys)))
	if err != nil {
		return nil, quiet("look for registrations of no event", err)
	}
	if nobodys > 0 {
		strays = append(strays, Stray{Fault: fmt.Sprintf("%d registrations are there", nobodys)})
	}
	return strays, nil
}

// rooms lists all, those that a cut-off teardown has taken out of their table too.
func (s *Store) rooms(ctx context.Context) ([]string, error) {
	var rooms []string
	err := s.db.SelectContext(ctx, &rooms, `
		select r.relname
		from pg_class r
		join pg_class house on house.oid = 'personal'::regclass and house.relnamespace = r.relnamespace
		where r.relkind = 'r' and r.relname ~ '^(personal|sealed)_[0-9a-f]{32}$'
		order by r.relname`)
	return rooms, quiet("list rooms", err)
}

// strayRows looks through what is kept of one event.
func (s *Store) strayRows(ctx context.Context, e Event) ([]Stray, error) {
	const unowned = `
		select count(*) from sealed s
		where s.event_id = $1 and s.part = 'registration'
		  and not exists (select from attendees a where a.id = s.attendee_id and a.event_id = $1)`
	var looks [][2]string // what is wrong, and how many rows it is
	switch {
	case e.DeletedAt != nil:
		looks = [][2]string{
			{"registrations are still there", `select count(*) from attendees where event_id = $1`},
			{"tombstones are still there", `select count(*) from tombstones where event_id = $1`},
			{"receipts still say who took the list", `select count(*) from receipts where event_id = $1 and exported_by <> ''`},
			{"responses are kept in mind and never go at Typeform", `select count(*) from upstream where event_id = $1 and due_at is null`},
		}
	case e.BlockedAt != nil && e.State == attendees.Blocked:
		looks = [][2]string{
			{"registrations have no sealed record", `
				select count(*) from attendees a
				where a.event_id = $1 and not exists (select from sealed s where s.event_id = $1 and s.attendee_id = a.id)`},
			{"sealed records are nobody's", unowned},
		}
	case e.State == attendees.Active:
		looks = [][2]string{
			{"registrations have no record", `
				select count(*) from attendees a
				where a.event_id = $1
				  and not exists (select from personal p where p.event_id = $1 and p.id = a.id)
				  and not exists (select from sealed s where s.event_id = $1 and s.attendee_id = a.id)`},
			{"readable records belong to no registration that is active", `
				select count(*) from personal p
				left join attendees a on a.id = coalesce(p.attendee_id, p.id) and a.event_id = $1
				where p.event_id = $1 and (p.part = 'registration' or p.attendee_id is not null)
				  and a.state is distinct from 'active'`},
			{"sealed records are nobody's", unowned},
		}
	}
	var strays []Stray
	for _, look := range looks {
		var n int
		if err := s.db.GetContext(ctx, &n, look[1], e.Key); err != nil {
			return nil, quiet("look for what should be gone", err)
		}
		if n > 0 {
			strays = append(strays, Stray{e.ID, fmt.Sprintf("%d %s", n, look[0])})
		}
	}
	return strays, nil
}

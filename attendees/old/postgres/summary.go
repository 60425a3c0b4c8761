package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Summary is an event in a list of events: counts and dates, nobody's name.
type Summary struct {
	Event
	StartsAt *time.Time `db:"starts_at"`
	EndsAt   *time.Time `db:"ends_at"`
	// Attending and Agreed are how many attend and how many of them agreed; of a blocked
	// event how many registered and agreed, 0 where under five did.
	Attending int  `db:"attending"`
	Agreed    int  `db:"agreed"`
	Asks      bool `db:"asks"` // some link fills "agreed", so the registration alone is no agreement
	Forms     int  `db:"forms"`
	Held      bool `db:"held"`
}

// Summaries lists events for those who see the ones named, or, of nil, all. It reads no
// room: a thousand events cost a few milliseconds.
func (s *Store) Summaries(ctx context.Context, seen []attendees.EventID) ([]Summary, error) {
	var all []Summary
	err := s.db.SelectContext(ctx, &all, `
		with linked as (
			select l.event_id, count(distinct l.form_id) as forms,
				bool_or(exists (
					select from link_fields f
					where f.event_id = l.event_id and f.form_id = l.form_id and f.purpose = l.purpose and f.field = 'agreed')) as asks
			from links l
			group by l.event_id
		), held as (
			select distinct event_id
			from holds h
			where `+standing("$2")+`
		), tallied as (
			select event_id, max(people) filter (where what = 'registered') as registered, max(people) filter (where what = 'agreed') as agreed
			from tallies
			group by event_id
		)
		select `+eventColumns+`, starts_at, ends_at,
			coalesce(c.attending, t.registered, 0) as attending, coalesce(c.agreed, t.agreed, 0) as agreed,
			coalesce(l.asks, false) as asks, coalesce(l.forms, 0) as forms, h.event_id is not null as held
		from events e
		left join counts c on c.event_id = e.id
		left join tallied t on t.event_id = e.id
		left join linked l on l.event_id = e.id
		left join held h on h.event_id = e.id
		where $1::text[] is null or e.source_id = any($1)
		order by ends_on desc, source_id`, pq.Array(seen), s.holdDay())
	return all, quiet("list events", err)
}

// SummaryOf is one event's; *UnknownEventError where there is none.
func (s *Store) SummaryOf(ctx context.Context, id attendees.EventID) (Summary, error) {
	all, err := s.Summaries(ctx, []attendees.EventID{id})
	if err == nil && len(all) == 0 {
		err = &UnknownEventError{Event: id}
	}
	if err != nil {
		return Summary{}, err
	}
	return all[0], nil
}

// Pulled is when an event's sources were last read to their end, and what stands in the
// way since; a zero time: never.
type Pulled struct {
	At        time.Time
	Failure   string // of the newest failure
	Attention string // what the operator has to look at
	Running   bool   // somebody is reading one of them
}

// PulledOf tells it of some events, each by its own listing, its organisation's and
// those of its forms.
func (s *Store) PulledOf(ctx context.Context, events []Event) (map[attendees.EventID]Pulled, error) {
	keys := make([]uuid.UUID, len(events))
	for i, e := range events {
		keys[i] = e.Key
	}
	var rows []struct {
		Event     attendees.EventID `db:"event"`
		Finished  sql.NullTime      `db:"finished_at"`
		Failure   string            `db:"failure"`
		Attention string            `db:"attention"`
		Running   bool              `db:"running"`
	}
	err := s.db.SelectContext(ctx, &rows, `
		with named as (
			select id, source_id as event, 'eventbrite/event/' || source_id as feed from events where id = any($1::uuid[])
			union
			select id, source_id, 'eventbrite/organization/' || organization_id from events where id = any($1::uuid[])
			union
			select e.id, e.source_id, 'typeform/form/' || l.form_id
			from events e
			join links l on l.event_id = e.id
			where e.id = any($1::uuid[]) and l.form_id <> $2
		)
		select n.event, f.finished_at, f.attention, f.run_started_at is not null as running,
			case when f.failed_at is null then '' else f.failure end as failure
		from named n
		join feeds f on f.name = n.feed
		order by f.failed_at nulls first, f.name`, pq.Array(keys), attendees.EventbriteForm)
	pulled := make(map[attendees.EventID]Pulled, len(events))
	for _, r := range rows {
		p := pulled[r.Event]
		if r.Finished.Time.After(p.At) {
			p.At = r.Finished.Time
		}
		if r.Failure != "" {
			p.Failure = r.Failure
		}
		if r.Attention != "" {
			p.Attention = r.Attention
		}
		p.Running = p.Running || r.Running
		pulled[r.Event] = p
	}
	return pulled, quiet("look when events were pulled", err)
}

// openEvent is the second of three guards: whoever reads a room for an organiser asks
// here first. *BlockedError from the block date on, whatever the workers have done.
func (s *Store) openEvent(ctx context.Context, id attendees.EventID) (Event, error) {
	e, err := s.Event(ctx, id)
	if err == nil {
		err = s.StillOpen(e)
	}
	return e, err
}

// StillOpen is *BlockedError once the block date of an event has come that was read before.
// It asks the clock alone, so that whoever is long about an event's people may ask it often.
func (s *Store) StillOpen(e Event) error {
	if !e.Open(s.now()) {
		return &BlockedError{Event: e}
	}
	return nil
}

// missing is none where there was no row.
func missing(doing string, err, none error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return quiet(doing, err)
}

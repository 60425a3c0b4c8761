package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// goneElsewhere takes those off their open event's lists whom their source now has in
// another event, one that takes nobody in: they are not coming, wherever they are. It
// counts them in changes. A version older than what is held says nothing.
func (s *Store) goneElsewhere(ctx context.Context, tx *sqlx.Tx, open map[uuid.UUID]Event, where map[uuid.UUID]uuid.UUID, parts []part, changes map[attendees.EventID]Changes) error {
	held, err := s.held(ctx, tx, where, parts)
	if err != nil {
		return err
	}
	left, when := map[uuid.UUID][]uuid.UUID{}, pq.StringArray{}
	var all []uuid.UUID
	for _, p := range newestOnly(parts) {
		h, known := held[p.id]
		if _, stands := open[h.Event]; !known || !stands || h.State != attendees.Active || p.changed.Before(h.ChangedAt) {
			continue
		}
		left[h.Event] = append(left[h.Event], p.id)
		all, when = append(all, p.id), append(when, cmp.Or(instant(p.changed), longAgo))
	}
	if len(all) == 0 {
		return nil
	}
	// From here on a page of the old event that was read before is an older version.
	_, err = tx.ExecContext(ctx, `
		update attendees a
		set changed_at = t.changed_at::timestamptz
		from unnest($1::uuid[], $2::text[]) as t (id, changed_at)
		where a.id = t.id`, pq.StringArray(texts(all)), when)
	if err != nil {
		return quiet("note that attendees left", err)
	}
	for event, ids := range left {
		n, err := s.markGone(ctx, tx, event, ids)
		if err != nil {
			return err
		}
		c := changes[open[event].ID]
		c.Gone += n
		changes[open[event].ID] = c
	}
	return nil
}

// leaveRooms takes people who moved to another event out of their old one's room, and
// the holds that keep one of them along. With rows their registrations go over as they
// stand, for upsert to meet: what was corrected, and what a hold keeps, is known there
// alone. What they answered in the old event belongs to nobody there any more, but names
// them still: a hold keeps it, and an erasure finds it.
func (s *Store) leaveRooms(ctx context.Context, tx *sqlx.Tx, to uuid.UUID, moved []uuid.UUID, held map[uuid.UUID]heldAttendee, rows bool) error {
	byOld := map[uuid.UUID][]uuid.UUID{}
	for _, id := range moved {
		byOld[held[id].Event] = append(byOld[held[id].Event], id)
	}
	for event, ids := range byOld {
		who := pq.StringArray(texts(ids))
		_, err := tx.ExecContext(ctx, `
			update personal
			set attendee_id = null, matched_by = '', received_at = $3, claims = attendee_id
			where event_id = $1 and part = 'response' and attendee_id = any($2::uuid[])`, event, who, s.now())
		if err != nil {
			return quiet("unlink responses", err)
		}
		_, err = tx.ExecContext(ctx, `
			update attendees
			set left_events = array_append(left_events, $1)
			where id = any($2::uuid[]) and not $1 = any(left_events)`, event, who)
		if err != nil {
			return quiet("note where attendees were", err)
		}
		if rows {
			if err := s.carryOver(ctx, tx, event, to, who); err != nil {
				return err
			}
		}
		if _, err := s.leaveEarly(ctx, tx, "leave a room", event, `delete from personal where event_id = $1 and id = any($2::uuid[])`, who); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `update holds set event_id = $1 where attendee_id = any($2::uuid[])`, to, who)
		if err != nil {
			return quiet("take a hold along", err)
		}
		if err := s.holdAlong(ctx, tx, event, to, ids); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) carryOver(ctx context.Context, tx *sqlx.Tx, from, to uuid.UUID, who pq.StringArray) error {
	if _, err := tx.ExecContext(ctx, `update attendees set event_id = $1 where id = any($2::uuid[])`, to, who); err != nil {
		return quiet("move attendees", err)
	}
	const columns = `id, part, source_id, name, email, ticket, status, source_status, attended,
		agreement_version, agreed_at, affiliation, forums, answers, digest, corrected, received_at`
	_, err := tx.ExecContext(ctx, `
		insert into personal (event_id, `+columns+`)
		select $2, `+columns+`
		from personal
		where event_id = $1 and id = any($3::uuid[])`, from, to, who)
	return quiet("move registrations", err)
}

// eventsLeft are those that a registration was moved out of and whose rooms are still open.
func (s *Store) eventsLeft(ctx context.Context, tx *sqlx.Tx, attendee uuid.UUID) ([]Event, error) {
	var events []Event
	err := tx.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events
		where id = any((select left_events from attendees where id = $1)::uuid[]) and state = 'active'
		order by id`, attendee)
	return events, quiet("look which events somebody has left", err)
}

// besideOf are the other events that the events' forms are linked to: who comes to one
// takes her responses out of the others.
func (s *Store) besideOf(ctx context.Context, tx *sqlx.Tx, events []uuid.UUID) ([]uuid.UUID, error) {
	var beside []uuid.UUID
	err := tx.SelectContext(ctx, &beside, `
		select distinct other.event_id
		from links mine
		join links other on other.form_id = mine.form_id and other.event_id <> mine.event_id
		where mine.event_id = any($1::uuid[]) and mine.form_id <> $2`,
		pq.StringArray(texts(events)), attendees.EventbriteForm)
	return slices.DeleteFunc(beside, func(e uuid.UUID) bool { return slices.Contains(events, e) }), quiet("find events with the same forms", err)
}

// leaveOthers drops the copies of responses that belong to nobody in their event where
// another event of the same form has found their attendee.
func (s *Store) leaveOthers(ctx context.Context, tx *sqlx.Tx, events []uuid.UUID) error {
	var left []uuid.UUID
	err := tx.SelectContext(ctx, &left, `
		delete from personal p
		where p.event_id = any($1::uuid[]) and p.part = 'response' and p.attendee_id is null
		  and exists (
			select from personal o
			where o.event_id = any($1::uuid[]) and o.id = p.id and o.part = 'response' and o.attendee_id is not null)
		returning p.event_id`,
		pq.StringArray(texts(events)))
	if err != nil {
		return quiet("drop copies of matched responses", err)
	}
	for _, event := range slices.Compact(left) {
		if err := s.askRewrite(ctx, tx, personalRooms, event); err != nil {
			return err
		}
	}
	return nil
}

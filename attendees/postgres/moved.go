package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees"
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

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
)

// ErrNoResponse says that there is no such response, or that it belongs to somebody
// already.
var ErrNoResponse = errors.New("there is no such answer among those that belong to nobody")

// maxUnmatched bounds the list of responses that belong to nobody: more than a few mean a
// form of another event.
const maxUnmatched = 500

// UnmatchedResponses lists an event's responses that belong to nobody yet, the oldest
// first: they are the next to be dropped. *BlockedError from the block date on.
func (s *Store) UnmatchedResponses(ctx context.Context, event attendees.EventID) ([]Answered, error) {
	e, err := s.openEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	var rows []answeredRow
	err = s.db.SelectContext(ctx, &rows, `
		select `+answeredColumns+`
		from personal
		where event_id = $1 and part = 'response' and attendee_id is null
		order by received_at, id
		limit $2`, e.Key, maxUnmatched)
	all := make([]Answered, len(rows))
	for i, r := range rows {
		all[i] = r.answered()
	}
	return all, quiet("list unmatched answers", err)
}

// DropsOn is when a response that belongs to nobody is dropped.
func (s *Store) DropsOn(a Answered) time.Time {
	return a.Received.Add(time.Duration(s.policy.UnmatchedDays) * 24 * time.Hour)
}

// LinkByHand gives a response that belongs to nobody to an attendee: what staff have
// decided no later match undoes. Her record is filled from it at once. *BlockedError from
// the block date on, *UnknownAttendeeError where the event has no such person,
// ErrNoResponse where the response is not to be given away.
func (s *Store) LinkByHand(ctx context.Context, event attendees.EventID, form attendees.FormID, id attendees.ResponseID, to attendees.AttendeeID) error {
	events, err := s.formEvents(ctx, form)
	if err != nil {
		return err
	}
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		e, err := s.lockOpenEvent(ctx, tx, event, "for no key update")
		if err != nil {
			return err
		}
		attendee, response := attendeeKey(attendees.Eventbrite, to), responseKey(form, id)
		var there bool
		err = tx.GetContext(ctx, &there, `
			select exists (select from personal where event_id = $1 and id = $2 and part = 'registration')`, e.Key, attendee)
		if err == nil && !there {
			return &UnknownAttendeeError{to}
		}
		if err != nil {
			return quiet("find an attendee", err)
		}
		result, err := tx.ExecContext(ctx, `
			update personal
			set attendee_id = $3, matched_by = 'hand'
			where event_id = $1 and id = $2 and part = 'response' and attendee_id is null`, e.Key, response, attendee)
		if err != nil {
			return quiet("link an answer", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoResponse)
		}
		// Other events of the form have a copy each, which is nobody's there.
		_, err = tx.ExecContext(ctx, `
			delete from personal
			where event_id = any($1::uuid[]) and event_id <> $2 and id = $3 and part = 'response' and attendee_id is null`,
			events, e.Key, response)
		if err != nil {
			return quiet("drop copies of an answer", err)
		}
		return s.fill(ctx, tx, e.Key, []uuid.UUID{attendee})
	})
}

// UnlinkByHand takes back what LinkByHand did: the response is matched anew, and belongs
// to nobody where none fits.
func (s *Store) UnlinkByHand(ctx context.Context, event attendees.EventID, form attendees.FormID, id attendees.ResponseID) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		e, err := s.lockOpenEvent(ctx, tx, event, "for no key update")
		if err != nil {
			return err
		}
		response := responseKey(form, id)
		var was uuid.UUID
		err = tx.GetContext(ctx, &was, `
			with old as (
				select id, attendee_id
				from personal
				where event_id = $1 and id = $2 and part = 'response' and matched_by = 'hand'
			)
			update personal p
			set attendee_id = null, matched_by = '', received_at = $3
			from old
			where p.event_id = $1 and p.id = old.id
			returning old.attendee_id`, e.Key, response, s.now())
		if err != nil {
			return missing("take a link back", err, ErrNoResponse)
		}
		concerned, err := s.match(ctx, tx, e.Key, scope{responses: []uuid.UUID{response}})
		if err != nil {
			return err
		}
		return s.fill(ctx, tx, e.Key, append(concerned, was))
	})
}

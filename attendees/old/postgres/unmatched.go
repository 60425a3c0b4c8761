package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// ErrNoResponse says that there is no such response, or that it belongs to somebody
// already.
var ErrNoResponse = errors.New("there is no such answer among those that belong to nobody")

// UnmatchedPage is how many responses that belong to nobody a page of them shows.
const UnmatchedPage = 50

// AnswerCursor says where in a list of responses a page begins: behind one or, backwards,
// before it, whether it is still there or not. The zero AnswerCursor is the beginning.
type AnswerCursor struct {
	Received time.Time
	Key      uuid.UUID
	Back     bool
}

// Cursor is where a response stands in a list of them.
func (a Answered) Cursor() AnswerCursor {
	return AnswerCursor{Received: a.Received, Key: responseKey(a.Form, a.ID)}
}

// UnmatchedResponses is a page of an event's responses that belong to nobody yet, the
// oldest first: they are the next to be dropped. It tells whether more come behind it and
// before it. *BlockedError from the block date on.
func (s *Store) UnmatchedResponses(ctx context.Context, event attendees.EventID, c AnswerCursor) (page []Answered, before, behind bool, err error) {
	e, err := s.openEvent(ctx, event)
	if err != nil {
		return nil, false, false, err
	}
	where, order, args := unmatched, `received_at, id`, []any{e.Key, UnmatchedPage + 1}
	if c.Key != uuid.Nil {
		sign := `>`
		if c.Back {
			sign, order = `<`, `received_at desc, id desc`
		}
		where, args = where+` and (received_at, id) `+sign+` ($3, $4)`, append(args, c.Received, c.Key)
	}
	page, err = s.answered(ctx, `
		select `+answeredColumns+`
		from personal
		where `+where+`
		order by `+order+`
		limit $2`, args...)
	more := len(page) > UnmatchedPage
	page = page[:min(len(page), UnmatchedPage)]
	if c.Back {
		slices.Reverse(page)
		return page, more, true, err
	}
	return page, c.Key != uuid.Nil, more, err
}

// unmatched are the responses of event $1 that belong to nobody.
const unmatched = `event_id = $1 and part = 'response' and attendee_id is null`

// CountUnmatched counts an event's responses that belong to nobody yet. *BlockedError from
// the block date on.
func (s *Store) CountUnmatched(ctx context.Context, event attendees.EventID) (n int, err error) {
	e, err := s.openEvent(ctx, event)
	if err != nil {
		return 0, err
	}
	err = s.db.GetContext(ctx, &n, `select count(*) from personal where `+unmatched, e.Key)
	return n, quiet("count unmatched answers", err)
}

// LikelyResponses are so many of an event's responses that belong to nobody yet, those
// first that resemble somebody most: by words of the name, and by both halves of the
// address. *BlockedError from the block date on.
func (s *Store) LikelyResponses(ctx context.Context, event attendees.EventID, name, email attendees.Personal, limit int) ([]Answered, error) {
	e, err := s.openEvent(ctx, event)
	if err != nil {
		return nil, err
	}
	text := strings.ToLower(name.Reveal() + " " + email.Reveal())
	letters := searched(text) // of a database that folds ASCII alone
	args := []any{e.Key, limit, letters.upper, letters.lower}
	like := `length(translate('', $3, $4))` // nothing, and says what they are
	resembles := func(points int, part, text string) {
		if text != "" {
			args = append(args, text)
			like += fmt.Sprintf(" + case when %s then %d else 0 end", fmt.Sprintf(part, fmt.Sprintf("$%d", len(args))), points)
		}
	}
	words := strings.Fields(strings.ToLower(name.Reveal()))
	for _, word := range words[:min(len(words), maxWords)] {
		resembles(2, `strpos(' ' || lower(translate(name, $3, $4)) || ' ', ' ' || %s || ' ') > 0`, word)
	}
	mine, domain, _ := strings.Cut(strings.ToLower(email.Reveal()), "@")
	resembles(2, `split_part(lower(translate(email, $3, $4)), '@', 1) = %s`, mine)
	resembles(1, `split_part(lower(translate(email, $3, $4)), '@', 2) = %s`, domain)
	return s.answered(ctx, `
		select `+answeredColumns+`
		from personal
		where `+unmatched+`
		order by `+like+` desc, received_at, id
		limit $2`, args...)
}

func (s *Store) answered(ctx context.Context, query string, args ...any) ([]Answered, error) {
	var rows []answeredRow
	err := s.db.SelectContext(ctx, &rows, query, args...)
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

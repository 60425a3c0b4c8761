package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// Unlink takes a form from an event, for all purposes, and drops what its answers said
// there; linking it again reads them anew. It waits while the form is being read. It
// returns how many answers went: *NotLinkedError where there is no such link, *HeldError
// while a hold stands on the event or on one of its people.
func (s *Store) Unlink(ctx context.Context, e Event, form attendees.FormID) (answers int, err error) {
	feed := FormFeed(form)
	if form == attendees.EventbriteForm {
		feed = EventFeed(e.ID)
	}
	unlock, err := s.LockFeed(ctx, feed, func() {})
	if err != nil {
		return 0, err
	}
	defer unlock()
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		locked, err := s.lockEvents(ctx, tx, []uuid.UUID{e.Key})
		if err != nil {
			return err
		}
		if e = locked[e.Key]; !e.Open(s.now()) {
			return &BlockedError{Event: e}
		}
		// A hold on somebody who moved on stands at her new event, and keeps what she answered here.
		var held bool
		err = tx.GetContext(ctx, &held, `
			select exists (
				select from holds h
				where (h.event_id = $1 or h.attendee_id in (
					select coalesce(attendee_id, claims)
					from personal
					where event_id = $1 and part = 'response' and form_id = $3)) and `+standing("$2")+`)`, e.Key, s.holdDay(), form)
		if err != nil {
			return quiet("look for holds", err)
		}
		if held {
			return &HeldError{What: "event " + string(e.ID) + ", or one of its people,"}
		}
		result, err := tx.ExecContext(ctx, `delete from links where event_id = $1 and form_id = $2`, e.Key, form)
		if err != nil {
			return quiet("take a link away", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, &NotLinkedError{Event: e.ID, Form: form})
		}
		if form == attendees.EventbriteForm {
			if err := s.dropOwnAnswers(ctx, tx, e); err != nil {
				return err
			}
			return s.readOwnAgain(ctx, tx, e)
		}
		answers, err = s.dropAnswers(ctx, tx, e, form)
		return err
	})
	return answers, err
}

// dropAnswers drops all that an event has from a form.
func (s *Store) dropAnswers(ctx context.Context, tx *sqlx.Tx, e Event, form attendees.FormID) (int, error) {
	var whose []uuid.NullUUID
	err := tx.SelectContext(ctx, &whose, `
		delete from personal
		where event_id = $1 and part = 'response' and form_id = $2
		returning attendee_id`, e.Key, form)
	if err != nil {
		return 0, quiet("drop a form's answers", err)
	}
	// What is due there stays due, and so is what will be, of those who are sealed for themselves.
	_, err = tx.ExecContext(ctx, `
		delete from upstream u
		where event_id = $1 and form_id = $2 and due_at is null
		  and not exists (select from attendees a where a.id = u.attendee_id and a.state = 'blocked')`, e.Key, form)
	if err != nil {
		return 0, quiet("forget which answers are at the source", err)
	}
	concerned := map[uuid.UUID]bool{}
	for _, w := range whose {
		if w.Valid {
			concerned[w.UUID] = true
		}
	}
	if err := s.fill(ctx, tx, e.Key, slices.Collect(maps.Keys(concerned))); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, `
		delete from feeds
		where name = $1 and not exists (select from links where form_id = $2)`, FormFeed(form), form)
	if err != nil {
		return 0, quiet("forget a feed", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 { // another event has it, which did not keep what was found here
		if err := errors.Join(err, s.readAgain(ctx, tx, FormFeed(form))); err != nil {
			return 0, quiet("have a form read again", err)
		}
	}
	return len(whose), s.askRewrite(ctx, tx, personalRooms, e.Key)
}

// dropOwnAnswers drops what an event's own questions filled and no registration says by
// itself: who is gone upstream comes in no listing any more. Name and address, which a
// question may have filled, go with the next listing.
func (s *Store) dropOwnAnswers(ctx context.Context, tx *sqlx.Tx, e Event) error {
	var whose []uuid.UUID
	own := func(field string) string {
		return `not '` + field + `' = any(filled) and not corrected ? '` + field + `'`
	}
	err := tx.SelectContext(ctx, &whose, `
		update personal
		set agreed_at = case when `+own("agreed_at")+` then null else agreed_at end,
		    agreement_version = case when `+own("agreement_version")+` then '' else agreement_version end,
		    affiliation = case when `+own("affiliation")+` then '' else affiliation end,
		    forums = case when `+own("forums")+` then '{}' else forums end,
		    answers = case when `+own("answers")+` then '{}' else answers end,
		    digest = ''
		where event_id = $1 and part = 'registration'
		  and (agreed_at is not null or agreement_version <> '' or affiliation <> '' or forums <> '{}' or answers <> '{}')
		returning id`, e.Key)
	if err != nil {
		return quiet("drop answers to an event's own questions", err)
	}
	if err := s.fill(ctx, tx, e.Key, whose); err != nil {
		return err
	}
	return s.askRewrite(ctx, tx, personalRooms, e.Key)
}

// NotLinkedError says that the form is not linked to the event.
type NotLinkedError struct {
	Event attendees.EventID
	Form  attendees.FormID
}

func (e *NotLinkedError) Error() string {
	return fmt.Sprintf("form %s is not linked to event %s: `lethe events list` shows which are", e.Form, e.Event)
}

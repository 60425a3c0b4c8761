package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// sealed opens her sealed records with the address that she proved.
func (u *under) sealed(ctx context.Context) error {
	unread := func(r ownRow) bool { return len(u.of(r.Event).Own.Fields) == 0 }
	events, ids := u.ownKeys(unread)
	if len(ids) == 0 {
		return nil
	}
	var rows []struct {
		SealedRecord
		Room uuid.UUID `db:"event_id"`
		At   time.Time `db:"sealed_at"`
	}
	err := u.db.SelectContext(ctx, &rows, `
		select event_id, attendee_id, part, coalesce(person, '') as person, person_key, sealed_at
		from sealed
		where event_id = any($1::uuid[]) and attendee_id = any($2::uuid[])
		order by event_id, attendee_id, part`, events, ids)
	if err != nil {
		return quiet("read sealed records", err)
	}
	fields := map[uuid.UUID]*fieldRow{}
	answers := map[string]*fieldRow{}
	for _, r := range rows {
		h := u.of(r.Room)
		h.Own.SealedAt = r.At
		if strings.Contains(r.Part, ":") {
			if !h.Event.History {
				continue // a form that fills the record, which has it already
			}
			r.Event, r.Attendee = h.Event.ID, h.Own.ID
			if err := u.sealedAnswer(r.SealedRecord, answers); err != nil {
				return err
			}
			continue
		}
		r.Event, r.Attendee = h.Event.ID, h.Own.ID
		if len(r.Person) == 0 {
			h.Closed = true
			continue
		}
		record, err := u.OpenedBy(u.address)(r.SealedRecord)
		if errors.Is(err, seal.ErrKey) {
			h.Closed = true
			continue
		}
		if err != nil {
			return err
		}
		if fields[r.Key] == nil {
			fields[r.Key] = &fieldRow{}
		}
		if err := fields[r.Key].take(record); err != nil {
			return err
		}
	}
	for _, r := range u.own {
		if !unread(r) {
			continue
		}
		h := u.of(r.Event)
		h.Own.State = attendees.Blocked
		if f := fields[r.ID]; f != nil && !h.Closed {
			h.Own.Fields = f.fields(attendees.Eventbrite)
			h.Own.Fields = append(h.Own.Fields, answered(h.Own.Fields, r.ID, answers)...)
		}
		if len(h.Own.Fields) == 0 {
			h.Closed = true
		}
	}
	return nil
}

// sealedAnswer opens what she answered to a form of an event that was sealed as it came:
// it stands nowhere else. One that came from another address does not open for hers, and
// staff alone can say whose it is.
func (u *under) sealedAnswer(r SealedRecord, answers map[string]*fieldRow) error {
	if len(r.Person) == 0 {
		return nil
	}
	record, err := u.OpenedBy(u.address)(r)
	if errors.Is(err, seal.ErrKey) {
		return nil
	}
	if err != nil {
		return err
	}
	_, from, _ := strings.Cut(r.Part, ":") // form and response: a hold keeps it in two parts
	if answers[from] == nil {
		answers[from] = &fieldRow{ID: r.Key}
	}
	return answers[from].take(record)
}

// answered are the fields of forms that her registration does not say itself.
func answered(own []OwnField, id uuid.UUID, answers map[string]*fieldRow) (more []OwnField) {
	for _, from := range slices.Sorted(maps.Keys(answers)) {
		if answers[from].ID != id {
			continue
		}
		for _, f := range answers[from].fields(attendees.Typeform) {
			same := func(o OwnField) bool { return o.Field == f.Field && slices.Equal(o.Values, f.Values) }
			if !slices.ContainsFunc(own, same) && !slices.ContainsFunc(more, same) {
				more = append(more, f)
			}
		}
	}
	return more
}

// take adds the fields of one part that was opened.
func (r *fieldRow) take(record seal.Record) error {
	var f sealedFields
	if r.Answers != nil {
		f = sealedFields{
			Name: r.Name.Reveal(), Email: r.Email.Reveal(), Ticket: r.Ticket, Attended: r.Attended, Version: r.Version, AgreedAt: r.AgreedAt,
			Affiliation: r.Affiliation.Reveal(), Forums: r.Forums, Answers: r.Answers, Status: r.Status, Filled: r.Filled, Corrected: r.Corrected,
		}
	}
	if err := f.take(record); err != nil {
		return err
	}
	if f.Answers == nil {
		f.Answers = json.RawMessage("{}")
	}
	r.Name, r.Email, r.Ticket, r.Attended, r.Version = attendees.Personal(f.Name), attendees.Personal(f.Email), f.Ticket, f.Attended, f.Version
	r.AgreedAt, r.Affiliation, r.Forums, r.Answers = f.AgreedAt, attendees.Personal(f.Affiliation), f.Forums, f.Answers
	r.Status, r.Filled, r.Corrected = f.Status, f.Filled, f.Corrected
	return nil
}

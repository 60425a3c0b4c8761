package sheet

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/seal"
)

// Load loads all holders of registrations, with their responses and corrections, and what
// is decided about them.
func (sh *Sheet) Load(ctx context.Context, bases ...uuid.UUID) error {
	if len(bases) == 0 || !sh.some.People {
		return nil
	}
	return sh.loadPeople(ctx, `
		select `+personColumns+`
		from unnest($1::uuid[]) as w (first)
		cross join lateral (
			select *
			from attendees
			where id between w.first and overlay(w.first::text placing 'ff' from 35)::uuid
			order by id
			limit 256 -- without it the planner, which knows nothing of keys, might read the whole table for each
		) as a`, Texts(bases))
}

// loadAt loads the attendees who have addresses.
func (sh *Sheet) loadAt(ctx context.Context, indexes pq.ByteaArray) error {
	if len(indexes) == 0 || !sh.some.People {
		return nil
	}
	return sh.loadPeople(ctx, `
		select `+personColumns+`
		from attendees a
		where a.event_id = $1 and a.address_index = any($2)`, sh.Event.Key, indexes)
}

// loadPeople opens attendees that are not on the sheet yet, with all that is theirs.
func (sh *Sheet) loadPeople(ctx context.Context, query string, args ...any) error {
	var rows []row
	if err := db.Select(ctx, sh.Tx, &rows, query, args...); err != nil {
		return err
	}
	var ids []uuid.UUID
	for _, r := range rows {
		if sh.People[r.ID] != nil {
			continue
		}
		p := &Person{row: r, index: r.AddressIndex}
		var err error
		if p.Registration, err = sh.open(r.ID, attendees.FromRegistration, r.Sealed); err != nil {
			return err
		}
		if p.Correction, err = sh.open(r.ID, attendees.FromCorrection, r.Corrected); err != nil {
			return err
		}
		p.Sealed, p.Corrected = nil, nil
		sh.put(p)
		ids = append(ids, r.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := sh.loadBars(ctx, ids, nil); err != nil || !sh.some.Responses {
		return err
	}
	return sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.attendee_id = any($1::uuid[])`, Texts(ids))
}

// loadAnswers opens responses that are not on the sheet yet, with the attendees that have them.
func (sh *Sheet) loadAnswers(ctx context.Context, query string, args ...any) error {
	var rows []answerRow
	if err := db.Select(ctx, sh.Tx, &rows, query, args...); err != nil {
		return err
	}
	var owners []uuid.UUID
	for _, r := range rows {
		if r.Attendee != nil && sh.People[*r.Attendee] == nil {
			base, _ := seal.HolderOf(*r.Attendee)
			owners = append(owners, base)
		}
	}
	if err := sh.Load(ctx, owners...); err != nil {
		return err
	}
	for _, r := range rows {
		if sh.Answers[r.ID] != nil {
			continue
		}
		a := &Answer{answerRow: r, claimed: r.Claims}
		var err error
		if a.Layer, err = sh.open(r.ID, attendees.FromResponse, r.Sealed); err != nil {
			return err
		}
		a.Sealed = nil
		sh.Answers[r.ID] = a
		if p := sh.People[a.owner()]; p != nil {
			p.Responses = append(p.Responses, a)
		}
	}
	return nil
}

// LoadAnswers loads responses by their keys, and the attendees that have them.
func (sh *Sheet) LoadAnswers(ctx context.Context, keys ...uuid.UUID) error {
	if !sh.some.Responses || len(keys) == 0 {
		return nil
	}
	return sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.id = any($1::uuid[]) and r.event_id = $2`, Texts(keys), sh.Event.Key)
}

// LoadWaiting loads the responses that are matched to nobody: all, or, where before is not
// zero, those that came before that day and name nobody who is here.
func (sh *Sheet) LoadWaiting(ctx context.Context, before attendees.Date) (all []*Answer, err error) {
	var until any
	if !before.IsZero() {
		until = before.String()
	}
	err = sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.event_id = $1 and r.attendee_id is null and ($2::date is null or r.came_on < $2::date and not exists (
			select from attendees a
			where a.id between r.claims and overlay(r.claims::text placing 'ff' from 35)::uuid))`, sh.Event.Key, until)
	for _, a := range sh.Answers {
		all = append(all, a)
	}
	return all, err
}

// LoadAround loads all that registrations or responses may have to do with: all holders of a
// ticket; a response itself, the attendee that it names, and those of its address; and what
// is decided about them.
func (sh *Sheet) LoadAround(ctx context.Context, layers []attendees.Layer) error {
	var keys, bases []uuid.UUID
	var indexes pq.ByteaArray
	for _, l := range layers {
		if id := ticket(l); id != "" {
			bases = append(bases, sh.Base(id))
		}
		if l.Origin() != attendees.FromResponse {
			continue
		}
		keys = append(keys, sh.ResponseKey(l.Response()))
		if index := sh.address(l.Email()); len(index) > 0 {
			indexes = append(indexes, index)
		}
	}
	if err := sh.Load(ctx, bases...); err != nil {
		return err
	}
	if err := sh.loadAt(ctx, indexes); err != nil {
		return err
	}
	if err := sh.LoadAnswers(ctx, keys...); err != nil {
		return err
	}
	return sh.loadBars(ctx, append(keys, bases...), layers)
}

func (sh *Sheet) open(id uuid.UUID, origin attendees.Origin, sealed []byte) (l attendees.Layer, err error) {
	if sealed == nil || sh.cipher == nil {
		return l, nil
	}
	text, err := sh.cipher.Open(nil, id, 0, string(origin), sealed)
	if err != nil {
		return l, fmt.Errorf("a layer of event %s: %w", sh.Event.ID, err)
	}
	return attendees.ParseLayer(text)
}

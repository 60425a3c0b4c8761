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
	var rows []row
	err := db.Select(ctx, sh.Tx, &rows, `
		select `+personColumns+`
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		cross join lateral (
			select *
			from attendees
			where id between w.low and w.high
			order by id
			limit 256 -- without it the planner, which knows nothing of keys, might read the whole table for each
		) as a`, Texts(bases), Texts(highs(bases)))
	if err != nil {
		return err
	}
	return sh.take(ctx, rows)
}

// highs are the highest keys that holders of registrations may have.
func highs(bases []uuid.UUID) []uuid.UUID {
	all := make([]uuid.UUID, len(bases))
	for i, b := range bases {
		all[i] = seal.Holder(b, seal.MaxHolder)
	}
	return all
}

// loadAt loads the attendees who have addresses.
func (sh *Sheet) loadAt(ctx context.Context, indexes [][]byte) error {
	if len(indexes) == 0 || !sh.some.People {
		return nil
	}
	var rows []row
	err := db.Select(ctx, sh.Tx, &rows, `
		select `+personColumns+`
		from attendees a
		where a.event_id = $1 and a.address_index = any($2)`, sh.Event.Key, pq.ByteaArray(indexes))
	if err != nil {
		return err
	}
	return sh.take(ctx, rows)
}

// take opens attendees that are not on the sheet yet, with all that is theirs.
func (sh *Sheet) take(ctx context.Context, rows []row) error {
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
		p.Sealed = nil
		sh.put(p)
		ids = append(ids, r.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := sh.loadBars(ctx, ids); err != nil {
		return err
	}
	if err := sh.loadCorrections(ctx, ids); err != nil || !sh.some.Responses {
		return err
	}
	return sh.loadAnswers(ctx, `
		select `+answerColumns+`
		from responses r
		where r.attendee_id = any($1::uuid[])`, Texts(ids))
}

func (sh *Sheet) loadCorrections(ctx context.Context, ids []uuid.UUID) error {
	if !sh.some.Corrections {
		return nil
	}
	var rows []struct {
		ID    uuid.UUID `db:"attendee_id"`
		Layer []byte    `db:"layer"`
	}
	err := db.Select(ctx, sh.Tx, &rows, `
		select attendee_id, layer
		from corrections
		where attendee_id = any($1::uuid[])`, Texts(ids))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if sh.People[r.ID].Correction, err = sh.open(r.ID, attendees.FromCorrection, r.Layer); err != nil {
			return err
		}
	}
	return nil
}

// loadAnswers opens responses that are not on the sheet yet.
func (sh *Sheet) loadAnswers(ctx context.Context, query string, args ...any) error {
	var rows []answerRow
	if err := db.Select(ctx, sh.Tx, &rows, query, args...); err != nil {
		return err
	}
	return sh.takeAnswers(rows)
}

func (sh *Sheet) takeAnswers(rows []answerRow) error {
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
		if r.Attendee != nil && sh.People[*r.Attendee] != nil {
			p := sh.People[*r.Attendee]
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
	var rows []answerRow
	err := db.Select(ctx, sh.Tx, &rows, `
		select `+answerColumns+`
		from responses r
		where r.id = any($1::uuid[]) and r.event_id = $2`, Texts(keys), sh.Event.Key)
	if err != nil {
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
	return sh.takeAnswers(rows)
}

// LoadWaiting loads the responses that are matched to nobody, with those that wait for at
// least a handful of days: before is the first day that is too late; zero: all.
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
	var indexes [][]byte
	for _, l := range layers {
		ticket, _ := l.Registration()
		if l.Origin() == attendees.FromResponse {
			ticket = l.Claims()
			keys = append(keys, sh.ResponseKey(l.Response()))
			if index := sh.address(l.Email()); len(index) > 0 {
				indexes = append(indexes, index)
			}
		}
		if ticket != "" {
			bases = append(bases, sh.Base(ticket))
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
	if err := sh.loadBars(ctx, append(keys, bases...)); err != nil {
		return err
	}
	return sh.loadEverywhere(ctx, layers)
}

func (sh *Sheet) open(id uuid.UUID, origin attendees.Origin, sealed []byte) (l attendees.Layer, err error) {
	if sealed == nil {
		return l, nil
	}
	text, err := sh.cipher.Open(nil, id, 0, string(origin), sealed)
	if err != nil {
		return l, fmt.Errorf("a layer of event %s: %w", sh.Event.ID, err)
	}
	return attendees.ParseLayer(text)
}

func (sh *Sheet) seal(id uuid.UUID, l attendees.Layer) []byte {
	if l.IsZero() {
		return nil
	}
	return sh.cipher.Seal(nil, id, 0, string(l.Origin()), l.Text())
}

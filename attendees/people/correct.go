package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// Correct gives an attendee a corrected value, for a caller who has the event's row in tx
// (GDPR Art. 16). It counts until its source says the same. Of a restricted or blocked
// attendee it is sealed to the officers and the person.
func (s *Store) Correct(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, f attendees.Field, value, contact attendees.Personal) (err error) {
	defer db.Wrap(&err, "correct an attendee of event %s", e.ID)
	if e.State != attendees.Open {
		return s.correctSealed(ctx, tx, e, id, f, value, contact)
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	if p.State != attendees.Open {
		return s.correctSealed(ctx, tx, e, id, f, value, contact)
	}
	if p.correction, err = s.policy.Correct(p.correction, f, value, s.now()); err != nil {
		return err
	}
	p.corrected, p.dirty = true, true
	return sh.flush(ctx)
}

func (s *Store) correctSealed(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, f attendees.Field, value, contact attendees.Personal) error {
	l, err := s.policy.Correct(attendees.Layer{}, f, value, s.now())
	if err != nil {
		return err
	}
	return s.sealTo(ctx, tx, e, id, "corrected", contact, attendees.JoinLayers([]attendees.Layer{l}), false)
}

// Uncorrect takes a corrected value back.
func (s *Store) Uncorrect(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, f attendees.Field) (err error) {
	defer db.Wrap(&err, "take a correction back in event %s", e.ID)
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	p.correction, p.corrected, p.dirty = p.correction.Uncorrect(f), true, true
	return sh.flush(ctx)
}

// Withdraw takes an attendee's consent to a purpose back, for a caller who has the event's
// row in tx (GDPR Art. 7(3)): what only that purpose names is gone, and no sync brings it
// back. Of a restricted attendee it is gone once that is lifted.
func (s *Store) Withdraw(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, purpose attendees.PurposeName) (err error) {
	defer db.Wrap(&err, "withdraw consent in event %s", e.ID)
	u, ok := s.policy.Purpose(purpose)
	if !ok || u.Basis != "a" {
		return fmt.Errorf("purpose %s does not rest on consent, so there is none to withdraw", purpose)
	}
	if err := s.SetBar(ctx, tx, e, Bar{Hash: id, What: BarWithdrawn, Purpose: purpose}); err != nil || e.State != attendees.Open {
		return err
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil || p.State != attendees.Open {
		return err
	}
	sh.again(p)
	return sh.flush(ctx)
}

// again minimises all layers of an attendee by the policy and the bars as they are now.
func (sh *sheet) again(p *person) {
	withdrawn, held := sh.withdrawn(p.ID), sh.isHeld(p.ID)
	renew := func(l attendees.Layer) (attendees.Layer, bool) {
		fresh := sh.store.policy.Again(l, withdrawn...)
		if held {
			fresh = fresh.Keeping(l)
		} else {
			fresh = fresh.Released()
		}
		return fresh, string(fresh.Text()) != string(l.Text())
	}
	var changed bool
	if p.registration, changed = renew(p.registration); changed {
		p.dirty = true
	}
	for _, a := range p.responses {
		if a.layer.IsZero() {
			continue
		}
		if a.layer, changed = renew(a.layer); changed {
			a.dirty, p.dirty = true, true
		}
	}
	if p.correction.IsZero() {
		return
	}
	if p.correction, changed = renew(p.correction); changed {
		p.corrected, p.dirty = true, true
	}
}

// batchSize is how many people are minimised again in one transaction.
const batchSize = 1000

// Renew minimises all layers of an open event again, in batches: after the policy was
// narrowed, or a hold ended. It returns how many people were looked at.
func (s *Store) Renew(ctx context.Context, event attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "minimise event %s again", event)
	var after uuid.UUID
	for {
		var ids []uuid.UUID
		err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
			e, err := s.events.WriteOne(ctx, tx, event)
			if err != nil || e.State != attendees.Open {
				return err
			}
			err = db.Select(ctx, tx, &ids, `
				select id
				from attendees
				where event_id = $1 and id > $2 and state = 'open'
				order by id
				limit $3`, e.Key, after, batchSize)
			if err != nil || len(ids) == 0 {
				return err
			}
			sh, err := s.sheet(ctx, tx, e)
			if err != nil {
				return err
			}
			var bases []uuid.UUID
			for _, id := range ids {
				base, _ := seal.HolderOf(id)
				bases = append(bases, base)
			}
			if err := sh.loadFor(ctx, bases); err != nil {
				return err
			}
			if err := sh.loadBars(ctx, bases, nil); err != nil {
				return err
			}
			for _, id := range ids {
				if p := sh.people[id]; p != nil && p.State == attendees.Open {
					sh.again(p)
				}
			}
			return sh.flush(ctx)
		})
		if err != nil || len(ids) == 0 {
			return n, err
		}
		n += len(ids)
		after = ids[len(ids)-1]
	}
}

// ErrResponse says that there is no such response.
var ErrResponse = errors.New("there is no such response")

// Match gives a response to an attendee by hand, or, with the zero key, takes it from theirs.
func (s *Store) Match(ctx context.Context, tx db.Tx, e events.Event, response, attendee uuid.UUID) (err error) {
	defer db.Wrap(&err, "match a response of event %s", e.ID)
	sh, err := s.sheet(ctx, tx, e)
	if err != nil {
		return err
	}
	var rows []responseRow
	if err := db.Select(ctx, tx, &rows, `select `+responseColumns+` from responses r where r.id = $1 and r.event_id = $2`, response, e.Key); err != nil {
		return err
	}
	if len(rows) == 0 {
		return ErrResponse
	}
	for _, id := range []uuid.UUID{attendee, deref(rows[0].Attendee)} {
		base, _ := seal.HolderOf(id)
		if err := sh.loadFor(ctx, []uuid.UUID{base}); err != nil {
			return err
		}
	}
	if err := sh.takeAnswers(rows); err != nil {
		return err
	}
	a := sh.answers[response]
	if attendee == uuid.Nil {
		sh.match(a, nil, "")
		return sh.flush(ctx)
	}
	p := sh.people[attendee]
	if p == nil {
		return ErrAttendee
	}
	if a.Claims != nil {
		if err := s.events.Tasks.Settle(ctx, tx, events.Task{Kind: events.TaskClaim, Event: e.Key, Attendee: *a.Claims}); err != nil {
			return err
		}
	}
	if err := sh.give(ctx, a, p, "hand"); err != nil {
		return err
	}
	return sh.flush(ctx)
}

func deref(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/seal"
)

// onSheet does something on a sheet of an event in a transaction of its own, where the event
// is open.
func (s *Store) onSheet(ctx context.Context, event attendees.EventID, do func(sh *sheet.Sheet) error) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, event)
		if err != nil || e.State != attendees.Open {
			return err
		}
		sh, err := s.desk.Open(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := do(sh); err != nil {
			return err
		}
		return sh.Flush(ctx)
	})
}

// one is a sheet with one attendee, for a caller who has the event's row in tx.
func (s *Store) one(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) (*sheet.Sheet, *sheet.Person, error) {
	sh, err := s.desk.Open(ctx, tx, e)
	if err != nil {
		return nil, nil, err
	}
	base, _ := seal.HolderOf(id)
	if err := sh.Load(ctx, base); err != nil {
		return nil, nil, err
	}
	p := sh.People[id]
	if p == nil {
		return nil, nil, ErrAttendee
	}
	return sh, p, nil
}

// Correct gives an attendee a corrected value, for a caller who has the event's row in tx
// (GDPR Art. 16). It counts until its source says the same. Of a restricted or blocked
// attendee it is sealed to the officers, and to the person where contact is their address.
func (s *Store) Correct(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, f attendees.Field, value, contact attendees.Personal) (err error) {
	defer db.Wrap(&err, "correct an attendee of event %s", e.ID)
	fresh, err := s.policy.Correct(attendees.Layer{}, f, value, s.now())
	if err != nil {
		return err
	}
	if e.State != attendees.Open {
		return s.sealAlone(ctx, tx, e, id, sheet.KindCorrected, contact, attendees.JoinLayers([]attendees.Layer{fresh}))
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	if err := s.correct(ctx, sh, p, fresh, contact); err != nil {
		return err
	}
	if _, err := sh.Rematch(ctx, []*sheet.Person{p}); err != nil {
		return err
	}
	return sh.Flush(ctx)
}

// correct corrects an attendee on a sheet. Of a restricted one it is sealed with the rest.
func (s *Store) correct(ctx context.Context, sh *sheet.Sheet, p *sheet.Person, l attendees.Layer, contact attendees.Personal) error {
	if p.State == attendees.Restricted {
		return sh.SealMore(ctx, p, p.Reason, contact, l)
	}
	sh.Correct(p, p.Correction.Also(l))
	return nil
}

// sealAlone seals a text of an attendee of a blocked event, where several people have the
// address for officers alone.
func (s *Store) sealAlone(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, kind string, address attendees.Personal, text []byte) error {
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	var shared bool
	err = db.Get(ctx, tx, &shared, `
		select a.shared or exists (
			select from attendees o
			where o.event_id = $1 and o.address_index = $3 and o.id <> a.id
			  and not (o.name_hash = a.name_hash and 'attending' not in (o.standing, a.standing)))
		from attendees a
		where a.id = $2`, e.Key, id, h.Address(string(e.ID), address.Reveal()))
	if err != nil {
		return err
	}
	if shared {
		address = ""
	}
	return s.desk.Seal(ctx, tx, e, id, kind, address, text)
}

// Uncorrect takes a corrected value back.
func (s *Store) Uncorrect(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, f attendees.Field) (err error) {
	defer db.Wrap(&err, "take a correction back in event %s", e.ID)
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	sh.Correct(p, p.Correction.Uncorrect(f))
	return sh.Flush(ctx)
}

// Withdraw takes an attendee's consent to a purpose back, for a caller who has the event's
// row in tx (GDPR Art. 7(3)): what only that purpose names is gone, and no sync brings it
// back. Of a restricted attendee it is gone once that is lifted, under a hold once that ends.
func (s *Store) Withdraw(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, purpose attendees.PurposeName) (err error) {
	defer db.Wrap(&err, "withdraw consent in event %s", e.ID)
	u, ok := s.policy.Purpose(purpose)
	if !ok || u.Basis != "a" {
		return fmt.Errorf("purpose %s does not rest on consent, so there is none to withdraw", purpose)
	}
	bar := sheet.Bar{Hash: id, What: sheet.Withdrawn, Purpose: purpose}
	if e.State != attendees.Open {
		return s.desk.SetBar(ctx, tx, e, bar)
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	if err := sh.SetBar(ctx, bar); err != nil {
		return err
	}
	sh.Renew(p)
	return sh.Flush(ctx)
}

// batchSize is how many people are minimised again in one transaction.
const batchSize = 1000

// Renew minimises all layers of an open event again, in batches: after the policy was
// narrowed, a form was unlinked, or a hold ended. It returns how many people were looked at.
func (s *Store) Renew(ctx context.Context, event attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "minimise event %s again", event)
	var after uuid.UUID
	for more := true; more; {
		err := s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
			var ids []uuid.UUID
			err := db.Select(ctx, sh.Tx, &ids, `
				select id
				from attendees
				where event_id = $1 and id > $2
				order by id
				limit $3`, sh.Event.Key, after, batchSize)
			if more = len(ids) == batchSize; err != nil || len(ids) == 0 {
				return err
			}
			n, after = n+len(ids), ids[len(ids)-1]
			bases := make([]uuid.UUID, len(ids))
			for i, id := range ids {
				bases[i], _ = seal.HolderOf(id)
			}
			if err := sh.Load(ctx, bases...); err != nil {
				return err
			}
			for _, id := range ids {
				sh.Renew(sh.People[id])
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
		waiting, err := sh.LoadWaiting(ctx, attendees.Date{})
		for _, a := range waiting {
			sh.RenewAnswer(a)
		}
		return err
	})
}

// ErrResponse says that there is no such response.
var ErrResponse = errors.New("there is no such response")

// Match gives a response to an attendee by hand, or, with the zero key, takes it from
// theirs, for a caller who has the event's row in tx. It is not judged again. Copies in other
// events of its form go with the next Sweep.
func (s *Store) Match(ctx context.Context, tx db.Tx, e events.Event, response, attendee uuid.UUID) (err error) {
	defer db.Wrap(&err, "match a response of event %s", e.ID)
	sh, err := s.desk.Open(ctx, tx, e)
	if err != nil {
		return err
	}
	if err := sh.LoadAnswers(ctx, response); err != nil {
		return err
	}
	a := sh.Answers[response]
	switch {
	case a == nil, a.Attendee != nil && a.Layer.IsZero():
		return ErrResponse
	case attendee == uuid.Nil:
		if err := sh.Give(ctx, a, nil, sheet.ByHand); err != nil {
			return err
		}
		return sh.Flush(ctx)
	}
	base, _ := seal.HolderOf(attendee)
	if err := sh.Load(ctx, base); err != nil {
		return err
	}
	p := sh.People[attendee]
	if p == nil {
		return ErrAttendee
	}
	if err := sh.Give(ctx, a, p, sheet.ByHand); err != nil {
		return err
	}
	return sh.Flush(ctx)
}

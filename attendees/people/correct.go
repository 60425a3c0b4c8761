package people

import (
	"context"
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

// edit does something to one attendee of an event, or, with the zero key, to none, for a caller
// who has its row in tx.
func (s *Store) edit(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, do func(sh *sheet.Sheet, p *sheet.Person) error) error {
	sh, err := s.desk.Open(ctx, tx, e)
	if err != nil {
		return err
	}
	base, _ := seal.HolderOf(id)
	if err := sh.Load(ctx, base); err != nil {
		return err
	}
	p := sh.People[id]
	if p == nil && id != uuid.Nil {
		return ErrAttendee
	}
	if err := do(sh, p); err != nil {
		return err
	}
	return sh.Flush(ctx)
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
	return s.edit(ctx, tx, e, id, func(sh *sheet.Sheet, p *sheet.Person) error {
		if e.State != attendees.Open {
			return sh.SealFor(ctx, p, sheet.KindCorrected, contact, attendees.JoinLayers([]attendees.Layer{fresh}))
		}
		return sh.Amend(ctx, p, fresh, contact)
	})
}

// Withdraw takes an attendee's consent to a purpose back, for a caller who has the event's
// row in tx (GDPR Art. 7(3)): what only that purpose names is not shown any more, and no sync
// brings it back. It is gone, of a restricted attendee once that is lifted, under a hold once
// that ends.
func (s *Store) Withdraw(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, purpose attendees.PurposeName) (err error) {
	defer db.Wrap(&err, "withdraw consent in event %s", e.ID)
	u, ok := s.policy.Purpose(purpose)
	if !ok || u.Basis != "a" {
		return fmt.Errorf("purpose %s does not rest on consent, so there is none to withdraw", purpose)
	}
	return s.edit(ctx, tx, e, id, func(sh *sheet.Sheet, p *sheet.Person) error {
		if err := sh.SetBar(ctx, sheet.Bar{Hash: id, What: sheet.Withdrawn, Purpose: purpose}); err != nil {
			return err
		}
		sh.Renew(p)
		return nil
	})
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
			for i, id := range ids {
				ids[i], _ = seal.HolderOf(id)
			}
			if err := sh.Load(ctx, ids...); err != nil {
				return err
			}
			for _, p := range sh.People {
				sh.Renew(p)
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

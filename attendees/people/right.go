package people

import (
	"context"
	"fmt"
	"maps"
	"slices"

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
		sh.Renew()
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
			sh.Renew()
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
		_, err := sh.LoadWaiting(ctx, attendees.Date{})
		sh.Renew()
		return err
	})
}

// Restrict seals all layers of one attendee of an open event to the officers and the person,
// for a caller who has the event's row in tx (GDPR Art. 18, 21): a restricted attendee may
// only be stored. Where the reason is an erasure that a duty stops (Art. 17(3)(b)), only what
// the duty names is sealed, and the rest is gone. seal.ErrNoOfficer where there is no officer's key.
func (s *Store) Restrict(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, reason attendees.Reason) (err error) {
	defer db.Wrap(&err, "restrict an attendee of event %s", e.ID)
	return s.edit(ctx, tx, e, id, func(sh *sheet.Sheet, p *sheet.Person) error {
		switch {
		case e.State != attendees.Open:
			return &events.BlockedError{Event: e}
		case p.State == attendees.Open:
			return sh.Restrict(ctx, p, reason)
		case p.Reason == reason, reason != attendees.ErasureAsked:
			return nil
		}
		return fmt.Errorf("the attendee is restricted already: lift that first")
	})
}

// said is what was sealed of a restricted attendee, opened and merged.
type said struct {
	registration, correction attendees.Layer
	responses                []attendees.Layer
}

// split merges what was sealed of somebody, in its order.
func split(opened [][]byte) (all said, err error) {
	for _, text := range opened {
		layers, err := attendees.SplitLayers(text)
		if err != nil {
			return all, err
		}
		for _, l := range layers {
			switch l.Origin() {
			case attendees.FromRegistration:
				all.registration = l
			case attendees.FromCorrection:
				all.correction = all.correction.Also(l).Keeping(all.correction)
			default:
				all.responses = append(all.responses, l)
			}
		}
	}
	return all, nil
}

// Opened is what was sealed of a restricted attendee, opened and merged, in its order.
func Opened(p *attendees.Policy, texts [][]byte) (attendees.Attendee, error) {
	all, err := split(texts)
	return attendees.Merge(p, all.registration, all.responses, all.correction), err
}

// Lift ends a restriction, for a caller who has the event's row in tx and has opened all
// that was sealed for it, in its order. In an open event the layers come back under today's
// working key, and the sources are read again for what came meanwhile. In a blocked one only
// what a duty keeps is sealed; where none keeps anything, the attendee is removed.
func (s *Store) Lift(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, opened [][]byte) (err error) {
	defer db.Wrap(&err, "lift a restriction in event %s", e.ID)
	all, err := split(opened)
	if err != nil {
		return err
	}
	err = s.edit(ctx, tx, e, id, func(sh *sheet.Sheet, p *sheet.Person) error {
		if p.State != attendees.Restricted {
			return nil
		}
		if err := s.desk.LiftBar(ctx, tx, e, id, sheet.Restricted); err != nil {
			return err
		}
		_, err := db.Exec(ctx, tx, `
			delete from records
			where event_id = $1 and attendee_id = $2 and kind = 'restricted'`, e.Key, id)
		if err != nil {
			return err
		}
		if e.State != attendees.Open {
			return s.liftBlocked(ctx, sh, p, all)
		}
		return restore(ctx, sh, p, all)
	})
	if err != nil || e.State != attendees.Open {
		return err
	}
	return s.events.ReadAgain(ctx, tx, e)
}

// restore gives an attendee of an open event their layers back.
func restore(ctx context.Context, sh *sheet.Sheet, p *sheet.Person, all said) error {
	gone := p.Standing == attendees.Gone
	p.Reason = ""
	if sh.Set(p, all.registration); gone {
		sh.Leave(p)
	}
	if !all.correction.IsZero() {
		sh.Correct(p, all.correction)
	}
	for _, l := range all.responses {
		if a, _, _ := sh.Read(l); a.Attendee == nil {
			if err := sh.Give(ctx, a, p, "hidden"); err != nil {
				return err
			}
		}
	}
	sh.Renew()
	return nil
}

func (s *Store) liftBlocked(ctx context.Context, sh *sheet.Sheet, p *sheet.Person, all said) error {
	e := sh.Event
	a := attendees.Merge(s.policy, all.registration, all.responses, all.correction)
	agreed := !events.AsksToAgree(sh.Links, e.ID) || !a.AgreedAt.IsZero()
	if !s.policy.Keeps() || !agreed || e.Expired(s.now()) {
		return remove(ctx, sh, p)
	}
	p.Lifted()
	return sh.SealFor(ctx, p, sheet.KindLifted, a.Email, a.Record(s.policy, e.ID, false).Text())
}

// remove removes an attendee with all records.
func remove(ctx context.Context, sh *sheet.Sheet, p *sheet.Person) error {
	sh.Remove(p)
	_, err := db.Exec(ctx, sh.Tx, `delete from records where event_id = $1 and attendee_id = $2`, sh.Event.Key, p.ID)
	return err
}

// Erase removes one attendee, whose id at the source is known, for a caller who has the
// event's row in tx: layers, records and responses are gone, and bars keep them out of all
// events. A ticket's present holder leaves the ticket barred, with all responses that name
// it; a former one, or one whose ticket is in another event by now, only their responses. It gives the responses that went, where the server
// could read them: their source has them still.
func (s *Store) Erase(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, ticket attendees.AttendeeID) (gone []attendees.Layer, err error) {
	defer db.Wrap(&err, "erase an attendee of event %s", e.ID)
	bare, _ := cutHolder(ticket)
	in, err := s.everywhere(ctx, bare)
	if err != nil {
		return nil, err
	}
	known, err := s.holders(ctx, tx, maps.Keys(in))
	if err != nil {
		return nil, err
	}
	elsewhere := slices.ContainsFunc(known, func(h holder) bool { return h.ID != id && h.Standing != attendees.Gone })
	err = s.edit(ctx, tx, e, id, func(sh *sheet.Sheet, p *sheet.Person) error {
		if base, _ := seal.HolderOf(id); sh.Present(base) == p && !elsewhere {
			hash := s.secrets.AllHashes()[0].Registration("", string(e.Source), string(bare))
			if err := s.desk.SetBar(ctx, tx, events.Event{}, sheet.Bar{Hash: hash, What: sheet.Erased}); err != nil {
				return err
			}
		}
		gone = p.Layers()
		for _, a := range p.Responses {
			if err := s.barResponse(ctx, sh, a); err != nil {
				return err
			}
		}
		return remove(ctx, sh, p)
	})
	return gone, err
}

// barResponse keeps a response that is erased out of all events; out of its own alone where it
// is sealed, and its id is not known.
func (s *Store) barResponse(ctx context.Context, sh *sheet.Sheet, a *sheet.Answer) error {
	in, hash := sh.Event, a.ID
	if form, id := a.Layer.Response(); id != "" {
		in, hash = events.Event{}, s.secrets.AllHashes()[0].Response("", string(form), string(id))
	}
	return s.desk.SetBar(ctx, sh.Tx, in, sheet.Bar{Hash: hash, What: sheet.Erased})
}

// EraseResponses removes responses that are matched to no attendee, for a caller who has the
// open event's row in tx; bars keep them out. It gives what they said: their source has them
// still.
func (s *Store) EraseResponses(ctx context.Context, tx db.Tx, e events.Event, ids ...uuid.UUID) (gone []attendees.Layer, err error) {
	defer db.Wrap(&err, "erase responses of event %s", e.ID)
	err = s.edit(ctx, tx, e, uuid.Nil, func(sh *sheet.Sheet, _ *sheet.Person) error {
		if err := sh.LoadAnswers(ctx, ids...); err != nil {
			return err
		}
		for _, a := range sh.Answers {
			if a.Attendee != nil {
				continue // it is matched by now, and goes with its attendee
			}
			gone = append(gone, a.Layer)
			sh.Drop(a)
			if err := s.barResponse(ctx, sh, a); err != nil {
				return err
			}
		}
		return nil
	})
	return gone, err
}

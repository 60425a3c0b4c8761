package rights

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
)

// Subject is an attendee that a deed is about.
type Subject struct {
	Event attendees.EventID
	Key   uuid.UUID
	ID    attendees.AttendeeID // the source's, for the ledger and for tasks
}

// Find finds an attendee by the source's id.
func (s *Store) Find(ctx context.Context, id attendees.AttendeeID) (Subject, error) {
	e, key, err := s.core.People.Find(ctx, s.pool, id)
	return Subject{e.ID, key, id}, err
}

// Deed is what a deed did.
type Deed struct {
	Whole   bool           // of an erasure: nothing is left; otherwise a duty keeps a record
	Until   attendees.Date // of an erasure in part: until when
	Rule    string
	Exports []export.Receipt // that include the person, and are recalled
}

// deed does something about one attendee in one transaction: it locks the event, makes a
// preparation of its blocking void, and recalls the exports that include them.
func (s *Store) deed(ctx context.Context, who Subject, do func(tx db.Tx, e events.Event, d *Deed) error) (d Deed, err error) {
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.core.Events.WriteOne(ctx, tx, who.Event)
		if err != nil {
			return err
		}
		d = Deed{Until: e.DeleteOn, Rule: e.Rule}
		if e.State == attendees.Open {
			if err := s.core.Vault.DropPrepared(ctx, tx, reader.Ref(e)); err != nil {
				return err
			}
		}
		if d.Exports, err = s.core.Exports.Recall(ctx, tx, e, who.Key); err != nil {
			return err
		}
		return do(tx, e, &d)
	})
	if err != nil {
		return d, err
	}
	return d, s.core.Vault.Rewrite(ctx)
}

func (s *Store) unheld(ctx context.Context, tx db.Tx, e events.Event, who Subject) error {
	held, err := s.core.Retention.Holds.Active(ctx, tx, e, who.Key)
	if err == nil && held {
		err = &retention.HeldError{What: "attendee " + string(who.ID)}
	}
	return err
}

// Erase erases an attendee as far as no duty keeps a record of them (GDPR Art. 17(3)(b)); what
// one does is sealed at once. *retention.HeldError where a hold is active.
func (s *Store) Erase(ctx context.Context, who Subject, reason string) (Deed, error) {
	return s.erase(ctx, who, reason, false)
}

// Forget erases an attendee whole, whatever duty there is, and now: `lethe forget`.
func (s *Store) Forget(ctx context.Context, who Subject, reason string) (Deed, error) {
	return s.erase(ctx, who, reason, true)
}

func (s *Store) erase(ctx context.Context, who Subject, reason string, whole bool) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, d *Deed) error {
		if err := s.unheld(ctx, tx, e, who); err != nil {
			return err
		}
		duty, err := s.hasDuty(ctx, tx, e, who.Key)
		if err != nil {
			return err
		}
		if d.Whole = whole || !duty; !d.Whole {
			return s.eraseInPart(ctx, tx, e, who, reason)
		}
		gone, err := s.core.People.Erase(ctx, tx, e, who.Key)
		if err != nil {
			return err
		}
		if err := s.core.Retention.Upstream.Erased(ctx, tx, e, gone); err != nil {
			return err
		}
		for _, l := range gone {
			form, id := l.Response()
			key := s.keys.AllHashes()[0].Response("", string(form), string(id))
			if err := s.ledger.RecordPerson(ctx, tx, ledger.Entry{Kind: ledger.ErasedAnswer, Event: string(e.ID)}, key[:]); err != nil {
				return err
			}
		}
		if err := s.askAtSource(ctx, tx, e, who, events.TaskForgotten); err != nil {
			return err
		}
		return s.record(ctx, tx, ledger.Entry{Kind: ledger.Erased, Event: string(e.ID), Reason: reason}, who)
	})
}

// hasDuty tells whether a duty keeps a record of an attendee: they agreed, or nobody asked.
func (s *Store) hasDuty(ctx context.Context, tx db.Tx, e events.Event, key uuid.UUID) (duty bool, err error) {
	if !s.policy.Keeps() || e.Expired(s.now()) || e.State == attendees.Open && e.DeleteOn == e.BlockOn {
		return false, nil
	}
	if e.State == attendees.Blocked {
		err = db.Get(ctx, tx, &duty, `
			select exists (select from records where event_id = $1 and attendee_id = $2 and kind in ('kept', 'lifted'))`, e.Key, key)
		return duty, err
	}
	links, err := s.core.Events.Forms.Links(ctx, tx, e.Key)
	if err != nil || !events.AsksToAgree(links, e.ID) {
		return true, err
	}
	err = db.Get(ctx, tx, &duty, `select exists (select from attendees where id = $1 and (agreed or counts_as_agreed))`, key)
	return duty, err
}

func (s *Store) eraseInPart(ctx context.Context, tx db.Tx, e events.Event, who Subject, reason string) error {
	if e.State == attendees.Open {
		if err := s.core.People.Restrict(ctx, tx, e, who.Key, attendees.ErasureAsked); err != nil {
			return err
		}
	}
	if err := s.askAtSource(ctx, tx, e, who, events.TaskForgotten); err != nil {
		return err
	}
	return s.record(ctx, tx, ledger.Entry{Kind: ledger.SealedEarly, Event: string(e.ID), Rule: e.Rule, Reason: reason}, who)
}

// askAtSource asks staff to do at the source, by hand, what was done here: it names event and
// attendee, sealed, until it is ticked off.
func (s *Store) askAtSource(ctx context.Context, tx db.Tx, e events.Event, who Subject, kind events.TaskKind) error {
	return s.core.Events.Tasks.Ask(ctx, tx, events.Task{
		Kind: kind, Event: e.Key, Attendee: who.Key, Count: 1, Sealed: s.core.People.SealIDs(e.Key, string(who.ID)),
	})
}

func (s *Store) record(ctx context.Context, tx db.Tx, e ledger.Entry, who Subject) error {
	return s.ledger.RecordPerson(ctx, tx, e, s.core.Retention.KeyedID(who.ID))
}

// Restrict restricts an attendee (GDPR Art. 18), or while an objection is looked into (Art.
// 21). After blocking it is a hold on them: everything is sealed already.
func (s *Store) Restrict(ctx context.Context, who Subject, reason attendees.Reason) (Deed, error) {
	e, err := s.core.Events.Get(ctx, s.pool, who.Event)
	if err != nil {
		return Deed{}, err
	}
	if e.State != attendees.Open {
		_, err := s.core.Retention.Holds.Add(ctx, retention.Hold{Event: e.ID, Attendee: who.ID, Reason: string(reason) + " requested", By: ByLethe})
		return Deed{Until: e.DeleteOn, Rule: e.Rule}, err
	}
	kind := ledger.Restricted
	if reason == attendees.Objected {
		kind = ledger.Objected
	}
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) error {
		if err := s.core.People.Restrict(ctx, tx, e, who.Key, reason); err != nil {
			return err
		}
		return s.record(ctx, tx, ledger.Entry{Kind: kind, Event: string(e.ID)}, who)
	})
}

// Lift ends a restriction with the texts that were opened, in their order: by an officer, or by
// the person where every number opens with their address.
func (s *Store) Lift(ctx context.Context, who Subject, opened [][]byte, reason string) error {
	_, err := s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) error {
		if err := s.core.People.Lift(ctx, tx, e, who.Key, opened); err != nil {
			return err
		}
		return s.record(ctx, tx, ledger.Entry{Kind: ledger.Lifted, Event: string(e.ID), Reason: reason}, who)
	})
	return err
}

// Correct corrects a field of an attendee (GDPR Art. 16), and asks staff to correct it at its
// source.
func (s *Store) Correct(ctx context.Context, who Subject, f attendees.Field, value, contact attendees.Personal) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) error {
		if err := s.core.People.Correct(ctx, tx, e, who.Key, f, value, contact); err != nil {
			return err
		}
		if err := s.askAtSource(ctx, tx, e, who, events.TaskCorrect); err != nil {
			return err
		}
		return s.record(ctx, tx, ledger.Entry{Kind: ledger.Corrected, Event: string(e.ID)}, who)
	})
}

// Withdraw takes an attendee's consent to a purpose back (GDPR Art. 7(3)).
func (s *Store) Withdraw(ctx context.Context, who Subject, purpose attendees.PurposeName) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) error {
		if err := s.unheld(ctx, tx, e, who); err != nil {
			return err
		}
		if err := s.core.People.Withdraw(ctx, tx, e, who.Key, purpose); err != nil {
			return err
		}
		return s.record(ctx, tx, ledger.Entry{Kind: ledger.Withdrawn, Event: string(e.ID), Purpose: string(purpose)}, who)
	})
}

// statute is the statute of a retention rule.
func (s *Store) statute(rule string) string {
	if r, ok := s.policy.RuleNamed(rule); ok {
		return r.Statute
	}
	return rule
}

// checkCorrection tells what is wrong with a proposed value.
func (s *Store) checkCorrection(f attendees.Field, value attendees.Personal) error {
	if value.Empty() {
		return fmt.Errorf("field %q wants a value", f)
	}
	_, err := s.policy.Correct(attendees.Layer{}, f, value, s.now())
	return err
}

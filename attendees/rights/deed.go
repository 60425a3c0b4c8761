package rights

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
)

// Subject is an attendee that a deed is about.
type Subject struct {
	Event  attendees.EventID
	Key    uuid.UUID            // zero: it is about Answers only
	ID     attendees.AttendeeID // the source's, for the ledger and for tasks
	Opened Opened
	// Answers are the person's responses that are matched to no attendee.
	Answers []uuid.UUID
}

// Find finds an attendee by the source's id.
func (s *Store) Find(ctx context.Context, id attendees.AttendeeID) (Subject, error) {
	e, key, err := s.People.Find(ctx, s.Pool, id)
	return Subject{Event: e.ID, Key: key, ID: id}, err
}

// Deed is what a deed did.
type Deed struct {
	Whole   bool           // of an erasure: nothing is left; otherwise a duty keeps a record
	Until   attendees.Date // of an erasure in part: until when
	Rule    string
	Held    bool             // of a withdrawal: a hold keeps the values until it ends
	Exports []export.Receipt // that include the person, and are recalled
}

// ErrRestricted says that only somebody who can open what is sealed may do this.
var ErrRestricted = errors.New("the attendee is restricted: lift that first, with `lethe requests lift` and an officer's key")

// deed does something about one attendee in one transaction: it locks the event, makes a
// preparation of its blocking void, and recalls the exports that include them. The ledger has
// it as the entry that do returns; one without a kind is not recorded.
func (s *Store) deed(ctx context.Context, who Subject, do func(tx db.Tx, e events.Event, d *Deed) (ledger.Entry, error)) (d Deed, err error) {
	err = db.InTx(ctx, s.Pool, func(tx db.Tx) error {
		e, err := s.Events.WriteOne(ctx, tx, who.Event)
		if err != nil {
			return err
		}
		d = Deed{Until: e.DeleteOn, Rule: e.Rule}
		if e.State == attendees.Open {
			if err := s.Vault.DropPrepared(ctx, tx, reader.Ref(e)); err != nil {
				return err
			}
		}
		if d.Held, err = s.Retention.Holds.Active(ctx, tx, e, who.Key); err != nil {
			return err
		}
		if d.Exports, err = s.Exports.Recall(ctx, tx, e, who.Key); err != nil {
			return err
		}
		entry, err := do(tx, e, &d)
		if err != nil || entry.Kind == "" {
			return err
		}
		entry.Event = string(e.ID)
		return s.Ledger.RecordPerson(ctx, tx, entry, s.Retention.KeyedID(who.ID))
	})
	if err != nil {
		return d, err
	}
	return d, s.Vault.Rewrite(ctx)
}

// Erase erases an attendee as far as no duty keeps a record of them (GDPR Art. 17(3)(b)); what
// one does is sealed at once. *retention.HeldError where a hold is active, ErrRestricted where
// what is sealed has to be opened first.
func (s *Store) Erase(ctx context.Context, who Subject, reason string) (Deed, error) {
	return s.erase(ctx, who, reason, false)
}

// Forget erases an attendee whole, whatever duty there is, and now: `lethe forget`.
func (s *Store) Forget(ctx context.Context, who Subject, reason string) (Deed, error) {
	return s.erase(ctx, who, reason, true)
}

func (s *Store) erase(ctx context.Context, who Subject, reason string, whole bool) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, d *Deed) (entry ledger.Entry, err error) {
		if d.Held {
			return entry, &retention.HeldError{What: "attendee " + string(who.ID)}
		}
		var gone []attendees.Layer
		if len(who.Answers) > 0 && e.State == attendees.Open {
			if gone, err = s.People.EraseResponses(ctx, tx, e, who.Answers...); err != nil {
				return entry, err
			}
		}
		if who.Key == uuid.Nil {
			d.Whole = true
			return entry, s.erased(ctx, tx, e, gone)
		}
		duty := false
		if !whole {
			duty, err = s.hasDuty(ctx, tx, e, who)
		}
		switch d.Whole = !duty; {
		case err != nil:
			return entry, err
		case duty:
			entry = ledger.Entry{Kind: ledger.SealedEarly, Rule: e.Rule, Reason: reason}
			if len(who.Opened) > 0 {
				err = s.People.Lift(ctx, tx, e, who.Key, who.Opened)
			}
			if err == nil && e.State == attendees.Open {
				err = s.People.Restrict(ctx, tx, e, who.Key, attendees.ErasureAsked)
			}
		default:
			var more []attendees.Layer
			entry = ledger.Entry{Kind: ledger.Erased, Reason: reason}
			more, err = s.People.Erase(ctx, tx, e, who.Key, who.ID)
			gone = append(gone, more...)
		}
		if err == nil {
			err = s.erased(ctx, tx, e, gone)
		}
		if err != nil {
			return entry, err
		}
		return entry, s.askStaff(ctx, tx, e, who, events.TaskForgotten)
	})
}

// erased makes responses that were erased due at their source, and records each.
func (s *Store) erased(ctx context.Context, tx db.Tx, e events.Event, gone []attendees.Layer) error {
	for _, l := range gone {
		form, id := l.Response()
		key := s.Secrets.AllHashes()[0].Response("", string(form), string(id))
		if err := s.Ledger.RecordPerson(ctx, tx, ledger.Entry{Kind: ledger.ErasedAnswer, Event: string(e.ID)}, key[:]); err != nil {
			return err
		}
	}
	return s.Retention.Upstream.Erased(ctx, tx, e, gone)
}

// hasDuty tells whether a duty keeps a record of an attendee: they agreed, or nobody asked.
// ErrRestricted where the duty's part of a restricted record has to be opened to be kept.
func (s *Store) hasDuty(ctx context.Context, tx db.Tx, e events.Event, who Subject) (bool, error) {
	if !s.Policy.Keeps() || e.Expired(s.Now()) || e.State == attendees.Open && e.DeleteOn == e.BlockOn {
		return false, nil
	}
	var has struct {
		Agreed     bool `db:"agreed"`
		Kept       bool `db:"kept"`
		Restricted bool `db:"restricted"`
		Erased     bool `db:"erased"` // as far as a duty allows, before
	}
	err := db.Get(ctx, tx, &has, `
		select a.agreed or a.counts_as_agreed as agreed, a.state = 'restricted' as restricted, a.reason = 'erasure' as erased, exists (
				select from records
				where event_id = $1 and attendee_id = $2 and (kind in ('kept', 'lifted') or kind = 'doubt' and $3)) as kept
		from attendees a
		where a.id = $2`, e.Key, who.Key, e.Question == events.Keep)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, people.ErrAttendee
	case err != nil || has.Erased:
		return has.Erased, err
	case e.State == attendees.Blocked && !has.Restricted:
		return has.Kept, nil
	}
	links, err := s.Events.Forms.Links(ctx, tx, e.Key)
	duty := has.Agreed || !events.AsksToAgree(links, e.ID)
	if err == nil && duty && has.Restricted && len(who.Opened) == 0 {
		err = ErrRestricted
	}
	return duty, err
}

// askStaff gives staff a task: mostly to do at the source, by hand, what was done here. It
// names event and attendee, sealed, until it is ticked off.
func (s *Store) askStaff(ctx context.Context, tx db.Tx, e events.Event, who Subject, kind events.TaskKind) error {
	return s.Events.Tasks.Ask(ctx, tx, events.Task{
		Kind: kind, Event: e.Key, Attendee: who.Key, Count: 1, Sealed: s.Secrets.SealText(events.IDs(e.Key), []byte(who.ID)),
	})
}

// Restrict restricts an attendee (GDPR Art. 18), or while an objection is looked into (Art.
// 21). After blocking it is a hold on them: everything is sealed already.
func (s *Store) Restrict(ctx context.Context, who Subject, reason attendees.Reason) (Deed, error) {
	e, err := s.Events.Get(ctx, s.Pool, who.Event)
	if err != nil {
		return Deed{}, err
	}
	if e.State != attendees.Open {
		d := Deed{Until: e.DeleteOn, Rule: e.Rule}
		if hold, _, err := s.ownHold(ctx, who); err != nil || hold.ID != 0 {
			return d, err
		}
		_, err := s.Retention.Holds.Add(ctx, retention.Hold{
			Event: e.ID, Attendee: who.ID, Key: who.Key, Reason: string(reason) + " requested", By: ByLethe,
		})
		return d, err
	}
	kind := ledger.Restricted
	if reason == attendees.Objected {
		kind = ledger.Objected
	}
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) (ledger.Entry, error) {
		return ledger.Entry{Kind: kind}, s.People.Restrict(ctx, tx, e, who.Key, reason)
	})
}

// ownHold is the hold that an attendee of a blocked event asked for; zero: none. others tells
// whether there are more that keep the attendee.
func (s *Store) ownHold(ctx context.Context, who Subject) (own retention.Hold, others bool, err error) {
	all, err := s.Retention.Holds.List(ctx)
	for _, h := range all {
		if h.By == ByLethe && h.Key == who.Key && h.Key != uuid.Nil {
			own = h
		} else {
			others = others || h.Key == who.Key || h.Key == uuid.Nil && h.Event == who.Event
		}
	}
	return own, others, err
}

// endOwnHold releases the hold that an attendee asked for, where it is the only one: an
// erasure that they ask for later, or an objection that is decided, ends it.
func (s *Store) endOwnHold(ctx context.Context, who Subject) error {
	own, others, err := s.ownHold(ctx, who)
	if err != nil || others || own.ID == 0 {
		return err
	}
	return s.Retention.Holds.Release(ctx, own.ID)
}

// askToLift ends a restriction that staff decided on: a hold is released, and an officer is
// asked to lift what only officers open.
func (s *Store) askToLift(ctx context.Context, who Subject) error {
	if err := s.endOwnHold(ctx, who); err != nil {
		return err
	}
	_, err := s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) (entry ledger.Entry, err error) {
		if e.State == attendees.Open {
			err = s.askStaff(ctx, tx, e, who, events.TaskLift)
		}
		return entry, err
	})
	return err
}

// Lift ends a restriction with the texts that were opened, in their order: by an officer, or by
// the person where every number opens with their address. One that was asked for after
// blocking has none: it is a hold, which is released. ErrRequest where there is neither.
func (s *Store) Lift(ctx context.Context, who Subject, opened [][]byte, reason string) error {
	if len(opened) == 0 {
		hold, _, err := s.ownHold(ctx, who)
		if err == nil && hold.ID == 0 {
			err = ErrRequest
		}
		if err != nil {
			return err
		}
		return s.Retention.Holds.Release(ctx, hold.ID)
	}
	_, err := s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) (ledger.Entry, error) {
		return ledger.Entry{Kind: ledger.Lifted, Reason: reason}, s.People.Lift(ctx, tx, e, who.Key, opened)
	})
	return err
}

// Correct corrects a field of an attendee (GDPR Art. 16), and asks staff to correct it at its
// source.
func (s *Store) Correct(ctx context.Context, who Subject, f attendees.Field, value, contact attendees.Personal) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) (ledger.Entry, error) {
		entry := ledger.Entry{Kind: ledger.Corrected}
		if err := s.People.Correct(ctx, tx, e, who.Key, f, value, contact); err != nil {
			return entry, err
		}
		return entry, s.askStaff(ctx, tx, e, who, events.TaskCorrect)
	})
}

// Withdraw takes an attendee's consent to a purpose back (GDPR Art. 7(3)). Under a hold it
// counts from now on, and what it was for is removed when the hold ends.
func (s *Store) Withdraw(ctx context.Context, who Subject, purpose attendees.PurposeName) (Deed, error) {
	return s.deed(ctx, who, func(tx db.Tx, e events.Event, _ *Deed) (ledger.Entry, error) {
		return ledger.Entry{Kind: ledger.Withdrawn, Purpose: string(purpose)}, s.People.Withdraw(ctx, tx, e, who.Key, purpose)
	})
}

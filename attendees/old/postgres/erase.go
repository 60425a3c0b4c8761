package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// Erasure is what became of a request for erasure.
type Erasure struct {
	Event attendees.EventID
	// Whole: nothing is left. Otherwise what a duty keeps is sealed, under Rule, and goes
	// on Until.
	Whole   bool
	Rule    string
	Until   attendees.Date
	Exports []Receipt // that still carry the person: every copy is to be destroyed (Art. 19)
}

// Erase erases one registration as far as the law allows (GDPR Art. 17): all of it, where
// no agreement was concluded or no rule keeps one; else the fields without a duty at once,
// while the rest is sealed now instead of later (Art. 17(3)(b)). What it was answered to
// forms never comes back, nor does any pull make it readable. *HeldError says that a legal
// hold stands (Art. 17(3)(e)). It may be called twice.
func (s *Store) Erase(ctx context.Context, id attendees.AttendeeID, reason string, sealer *seal.Sealer) (out Erasure, err error) {
	event, err := s.EventOf(ctx, id)
	if err != nil {
		return out, err
	}
	if err := s.roomFor(ctx, event); err != nil {
		return out, err
	}
	err = s.alone(ctx, id, func(tx *sqlx.Tx, o one) error {
		if held, err := s.isHeld(ctx, tx, o.event.Key, o.Key); err != nil {
			return err
		} else if held {
			return &HeldError{What: "attendee " + string(id)}
		}
		out = Erasure{Event: o.event.ID, Rule: o.event.Rule, Until: o.event.DeleteOn.Date}
		duty, err := s.dutyKeeps(ctx, tx, o)
		if err != nil || duty && o.Reason == attendees.ErasureAsked {
			return err
		}
		if out.Exports, err = s.recall(ctx, tx, o.event, o.Key); err != nil {
			return err
		}
		if _, err := s.recallDumps(ctx, tx, o.event.Key, erasedSince); err != nil {
			return err
		}
		entry := ledger.Entry{Kind: ledger.SealedEarly, Event: string(o.event.ID), Rule: out.Rule, Until: out.Until.String(), Reason: reason}
		var responses [][]byte
		if duty {
			responses, err = s.eraseInPart(ctx, tx, o, sealer)
		} else {
			out.Whole, out.Rule, out.Until = true, "", attendees.Date{}
			entry = ledger.Entry{Kind: ledger.Erased, Event: string(o.event.ID), Reason: reason}
			responses, err = s.leaveForever(ctx, tx, o.event, id)
		}
		if err != nil {
			return err
		}
		return s.recordErasure(ctx, tx, entry, id, responses)
	})
	return out, err
}

// dutyKeeps tells whether a duty to keep stands against the erasure of a registration: its
// event has a rule, and the agreement that the rule is about was concluded.
func (s *Store) dutyKeeps(ctx context.Context, tx *sqlx.Tx, o one) (bool, error) {
	if !o.event.BlockOn.Before(o.event.DeleteOn.Date) {
		return false, nil
	}
	b := blocker{Store: s, event: o.event}
	asks, err := b.asksAgreement(ctx, tx)
	if err != nil || !asks {
		return err == nil, err // where no form asks for it the registration is the agreement
	}
	if o.event.SealsAsItComes(s.now()) {
		return true, nil // her yes may be still to come
	}
	// A sealed registration tells nothing where nobody without a yes was sealed; a response's
	// part tells where it is not the registration that does.
	var agreed sql.NullBool
	err = tx.GetContext(ctx, &agreed, `
		select bool_or(yes)
		from (
			select agreed_at is not null as yes from personal where event_id = $1 and id = $2
			union all
			select coalesce(agreed, part = 'registration') from sealed where event_id = $1 and attendee_id = $2) as said`, o.event.Key, o.Key)
	return agreed.Bool, quiet("look whether an agreement was concluded", err)
}

// eraseInPart leaves of a registration what a duty keeps, sealed. It gives the keyed ids of
// the responses that went.
func (s *Store) eraseInPart(ctx context.Context, tx *sqlx.Tx, o one, sealer *seal.Sealer) (responses [][]byte, err error) {
	readable, err := s.isReadable(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	if readable {
		responses, err = s.sealOne(ctx, tx, o, false, sealer)
	} else {
		responses, err = s.barSealed(ctx, tx, o)
	}
	if err != nil {
		return nil, err
	}
	if err := s.dropUnowed(ctx, tx, o); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `update attendees set state = 'blocked', reason = 'erasure' where id = $1`, o.Key); err != nil {
		return nil, quiet("erase what no duty keeps", err)
	}
	return responses, s.askRewrite(ctx, tx, sealedRooms, o.event.Key)
}

// barSealed keeps out what somebody who is sealed already answered to forms, and makes it
// due at its source. Of an event that was sealed as it came it is owed, and stays.
func (s *Store) barSealed(ctx context.Context, tx *sqlx.Tx, o one) ([][]byte, error) {
	if o.event.History {
		return nil, nil
	}
	parts, err := s.ownSealed(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	var answers []answerID
	for _, p := range parts {
		if r, ok := answerOf(p.Part); ok {
			answers = append(answers, r)
		}
	}
	return s.barResponses(ctx, tx, o.event, o.ID, answers...)
}

// dropUnowed drops the sealed parts of a registration that no duty keeps. Of an event that
// was sealed as it came, what was answered to forms is owed, too: it stands nowhere else.
func (s *Store) dropUnowed(ctx context.Context, tx *sqlx.Tx, o one) error {
	var stated pq.StringArray
	for _, f := range s.policy.DroppedFields() {
		stated = append(stated, partStatement+string(f))
	}
	_, err := tx.ExecContext(ctx, `
		delete from sealed
		where event_id = $1 and attendee_id = $2 and (part like 'held%' or part = any($4) or part like 'response:%' and not $3)`,
		o.event.Key, o.Key, o.event.History, stated)
	return quiet("drop what no duty keeps", err)
}

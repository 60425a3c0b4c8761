package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// restrictions seals again whom the last word about them restricts. One that was lifted
// since the backup stays sealed where the backup has it so: only the person or an officer
// opens it, and staff are asked.
func (r *redo) restrictions(ctx context.Context) error {
	last := map[string]redoEntry{}
	for _, e := range r.entries {
		switch e.Kind {
		case ledger.Restricted, ledger.Objected, ledger.Lifted:
		default:
			continue
		}
		if !e.whole {
			if err := r.askAgain(ctx, e, "restriction or objection, or the end of one"); err != nil {
				return err
			}
			continue
		}
		last[string(e.opening.KeyedID)] = e
	}
	for id, e := range last {
		p, known := r.held[id]
		var err error
		switch {
		case e.Kind == ledger.Lifted:
			err = r.lifted(ctx, e, p)
		case !known:
			err = r.sealLater(ctx, e, reasonOf(e))
		default:
			err = r.restrictAgain(ctx, e, p)
		}
		if err != nil {
			return fmt.Errorf("do entry %d again: %w", e.index, err)
		}
	}
	return nil
}

func (r *redo) restrictAgain(ctx context.Context, e redoEntry, p heldPerson) error {
	why := reasonOf(e)
	// A consent that was withdrawn before goes before: of what is sealed nobody can take it.
	for _, w := range r.entries {
		if w.Kind == ledger.Withdrawn && w.index < e.index && w.whole && r.held[string(w.opening.KeyedID)].Key == p.Key {
			if err := r.withdraw(ctx, w); err != nil {
				return err
			}
		}
	}
	if err := r.roomFor(ctx, p.Event); err != nil {
		return err
	}
	return r.alone(ctx, p.ID, func(tx *sqlx.Tx, o one) error {
		if o.Reason == why || o.Reason == attendees.ErasureAsked {
			return nil
		}
		return r.restrict(ctx, tx, o, why, r.sealer)
	})
}

// reasonOf is why an entry seals somebody for herself.
func reasonOf(e redoEntry) attendees.Reason {
	switch e.Kind {
	case ledger.Objected:
		return attendees.Objected
	case ledger.SealedEarly:
		return attendees.ErasureAsked
	}
	return attendees.RestrictionAsked
}

// sealLater lets somebody come in sealed whom the backup does not have yet.
func (r *redo) sealLater(ctx context.Context, e redoEntry, why attendees.Reason) error {
	event, _, err := r.find(ctx, e.event())
	if err != nil {
		return err
	}
	r.done.Sealing++
	return r.InTx(ctx, func(tx *sqlx.Tx) error { return r.bar(ctx, tx, event, e, why) })
}

func (r *redo) lifted(ctx context.Context, e redoEntry, p heldPerson) error {
	var restricted bool
	err := r.db.GetContext(ctx, &restricted, `
		select exists (select from attendees where id = $1 and reason in ('restriction', 'objection'))`, p.Key)
	if err != nil || !restricted {
		return quiet("look for a restriction", err)
	}
	return r.askAgain(ctx, e, "end of a restriction")
}

// askAgain asks staff for what only people can do again.
func (r *redo) askAgain(ctx context.Context, e redoEntry, what string) error {
	r.done.Lost++
	return r.InTx(ctx, func(tx *sqlx.Tx) error {
		return r.ask(ctx, tx, eventKey(attendees.Eventbrite, e.event()), e.task(taskLostRestriction), fmt.Sprintf(
			"A backup was restored, and one thing of %s could not be done again: the %s of a person of event %s (ledger entry %d). "+
				"Look in your own letters whose it was, and do it again", e.At.Format("2006-01-02"), what, e.Event, e.index))
	})
}

// withdraw takes a consent back again, of one who is here or is still to come in.
func (r *redo) withdraw(ctx context.Context, e redoEntry) error {
	if !e.whole {
		return r.askAgain(ctx, e, "withdrawal of a consent")
	}
	event, _, err := r.find(ctx, e.event())
	if err != nil {
		return err
	}
	if err := r.InTx(ctx, func(tx *sqlx.Tx) error { return r.bar(ctx, tx, event, e, "") }); err != nil {
		return err
	}
	p, known := r.held[string(e.opening.KeyedID)]
	if !known {
		return nil
	}
	return r.alone(ctx, p.ID, func(tx *sqlx.Tx, o one) error {
		return r.Store.withdraw(ctx, tx, o, attendees.PurposeName(e.Purpose))
	})
}

// sealEarly leaves of a registration again what a duty keeps.
func (r *redo) sealEarly(ctx context.Context, e redoEntry) error {
	if !e.whole {
		return r.askAgain(ctx, e, "erasure as far as a duty allows")
	}
	p, known := r.held[string(e.opening.KeyedID)]
	if !known {
		return r.sealLater(ctx, e, reasonOf(e))
	}
	if err := r.roomFor(ctx, p.Event); err != nil {
		return err
	}
	err := r.alone(ctx, p.ID, func(tx *sqlx.Tx, o one) error {
		if o.Reason == attendees.ErasureAsked {
			return nil
		}
		_, err := r.eraseInPart(ctx, tx, o, r.sealer)
		return err
	})
	if errors.As(err, new(*UnknownAttendeeError)) {
		return nil
	}
	return err
}

package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Withdraw takes consent back for one purpose (GDPR Art. 7(3)): the fields that it alone
// names go, no pull brings them back, and no list for the purpose has the registration.
// Its own row remembers that, and a tombstone of registration and purpose does where the
// row is gone. Exports that carry it are recalled and returned. It may be called twice.
//
// Of a record that is sealed whole the fields go when it is lifted, since nobody opens it
// before; of one under a hold, with the sweep after its release. It refuses a purpose that rests on no consent.
func (s *Store) Withdraw(ctx context.Context, id attendees.AttendeeID, purpose attendees.PurposeName) (carried []Receipt, err error) {
	u, ok := s.policy.Purpose(purpose)
	if !ok {
		return nil, &UnknownPurposeError{Purpose: purpose, Known: s.policy.PurposeNames()}
	}
	if u.Basis != "a" {
		return nil, fmt.Errorf("purpose %s rests on no consent (Art. 6(1)(%s)), so there is none to withdraw", purpose, u.Basis)
	}
	err = s.alone(ctx, id, func(tx *sqlx.Tx, o one) error {
		if slices.Contains(o.Withdrawn, string(purpose)) {
			return nil
		}
		if carried, err = s.recall(ctx, tx, o.event, o.Key); err != nil {
			return err
		}
		if err := s.withdraw(ctx, tx, o, purpose); err != nil {
			return err
		}
		keyed, key := s.keys.KeyedID(string(attendees.Eventbrite), string(id), string(purpose))
		if err := s.setTombstones(ctx, tx, o.event, [][]byte{keyed}, key); err != nil {
			return err
		}
		return s.recordPerson(ctx, tx, ledger.Entry{Kind: ledger.Withdrawn, Event: string(o.event.ID), Purpose: string(purpose)}, keyed)
	})
	return carried, err
}

func (s *Store) withdraw(ctx context.Context, tx *sqlx.Tx, o one, purpose attendees.PurposeName) error {
	_, err := tx.ExecContext(ctx, `
		update attendees
		set withdrawn = array_append(withdrawn, $2)
		where id = $1 and not $2 = any(withdrawn)`, o.Key, purpose)
	if err != nil {
		return quiet("withdraw consent", err)
	}
	if err := s.clearWithdrawn(ctx, tx, o.event.Key, []uuid.UUID{o.Key}); err != nil {
		return err
	}
	left, err := s.eventsLeft(ctx, tx, o.Key)
	if err != nil {
		return err
	}
	for _, old := range left {
		if held, err := s.isHeld(ctx, tx, old.Key, o.Key); err != nil {
			return err
		} else if held {
			continue // it keeps what it is about
		}
		if err := s.emptyWithdrawn(ctx, tx, old.Key, o.Key, s.withdrawnFields(append(o.Withdrawn, string(purpose)))); err != nil {
			return err
		}
	}
	return nil
}

// clearWithdrawn empties what nothing allows any more in the rows of those of the
// attendees who have withdrawn a consent and whom no hold keeps, and in their responses.
func (s *Store) clearWithdrawn(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, ids []uuid.UUID) error {
	var withdrawals []struct {
		ID        uuid.UUID      `db:"id"`
		Withdrawn pq.StringArray `db:"withdrawn"`
	}
	err := tx.SelectContext(ctx, &withdrawals, `
		select id, withdrawn
		from attendees
		where event_id = $1 and withdrawn <> '{}' and state = 'active' and id = any($2::uuid[])
		  and not `+holding("$1", "attendees.id", "$3"), event, pq.StringArray(texts(ids)), s.holdDay())
	if err != nil {
		return quiet("look for withdrawn consents", err)
	}
	for _, w := range withdrawals {
		if err := s.emptyWithdrawn(ctx, tx, event, w.ID, s.withdrawnFields(w.Withdrawn)); err != nil {
			return err
		}
	}
	return nil
}

// emptyWithdrawn empties those fields in an event's rows of an attendee, or, of an event that
// she has left, in what she had answered there.
func (s *Store) emptyWithdrawn(ctx context.Context, tx *sqlx.Tx, event, id uuid.UUID, fields []attendees.Field) error {
	result, err := tx.ExecContext(ctx, `
		update personal
		set name = case when 'name' = any($3) then '' else name end,
		    email = case when 'email' = any($3) then '' else email end,
		    ticket = case when 'ticket' = any($3) then '' else ticket end,
		    attended = attended and not 'attended' = any($3),
		    agreement_version = case when 'agreement_version' = any($3) then '' else agreement_version end,
		    agreed_at = case when 'agreed_at' = any($3) then null else agreed_at end,
		    affiliation = case when 'affiliation' = any($3) then '' else affiliation end,
		    forums = case when 'forums' = any($3) then '{}' else forums end,
		    answers = case when 'answers' = any($3) then '{}' else answers end,
		    corrected = corrected - $3::text[]
		where event_id = $1 and (id = $2 or part = 'response' and (attendee_id = $2 or attendee_id is null and claims = $2))
		  and ('name' = any($3) and name <> '' or 'email' = any($3) and email <> '' or 'ticket' = any($3) and ticket <> ''
		       or 'attended' = any($3) and attended or 'agreement_version' = any($3) and agreement_version <> ''
		       or 'agreed_at' = any($3) and agreed_at is not null or 'affiliation' = any($3) and affiliation <> ''
		       or 'forums' = any($3) and forums <> '{}' or 'answers' = any($3) and answers <> '{}' or corrected ?| $3::text[])`,
		event, id, pq.Array(fields))
	if err != nil {
		return quiet("empty what was withdrawn", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return s.askRewrite(ctx, tx, personalRooms, event)
}

func (s *Store) withdrawnFields(purposes pq.StringArray) []attendees.Field {
	var names []attendees.PurposeName
	for _, p := range purposes {
		names = append(names, attendees.PurposeName(p))
	}
	return s.policy.WithdrawnFields(names)
}

// drop empties fields before they are ever written.
func (p *part) drop(fields []attendees.Field) {
	for _, f := range fields {
		switch f {
		case attendees.Name:
			p.name = ""
		case attendees.Email:
			p.email, p.addressIndex = "", []byte{}
		case attendees.Ticket:
			p.ticket = ""
		case attendees.Attended:
			p.attended = false
		case attendees.AgreementVersion:
			p.version = ""
		case attendees.AgreedAt:
			p.agreed = time.Time{}
		case attendees.Affiliation:
			p.affiliation = ""
		case attendees.Forums:
			p.forums = nil
		case attendees.Answers:
			p.answers = "{}"
		}
	}
}

// withdrawnBefore finds who of those that nobody holds has withdrawn a consent when she was
// held before.
func (s *Store) withdrawnBefore(ctx context.Context, tx *sqlx.Tx, fresh []part) (map[uuid.UUID]pq.StringArray, error) {
	var some bool
	if err := tx.GetContext(ctx, &some, `select exists (select from tombstones)`); err != nil || !some || len(fresh) == 0 {
		return nil, quiet("look for tombstones", err)
	}
	type consent struct {
		id      uuid.UUID
		purpose string
	}
	whose := map[string]consent{}
	var ids pq.ByteaArray
	for _, p := range fresh {
		for _, u := range s.policy.Purposes {
			if u.Basis != "a" {
				continue
			}
			for _, id := range s.keys.KeyedIDs(string(p.source), p.sourceID, string(u.Name)) {
				whose[string(id)], ids = consent{p.id, string(u.Name)}, append(ids, id)
			}
		}
	}
	var found [][]byte
	if err := tx.SelectContext(ctx, &found, `select keyed_id from tombstones where keyed_id = any($1)`, ids); err != nil {
		return nil, quiet("look for tombstones", err)
	}
	out := map[uuid.UUID]pq.StringArray{}
	for _, id := range found {
		c := whose[string(id)]
		out[c.id] = append(out[c.id], c.purpose)
	}
	return out, nil
}

// noteWithdrawn notes in registrations that have come in again what was withdrawn before.
func (s *Store) noteWithdrawn(ctx context.Context, tx *sqlx.Tx, withdrawn map[uuid.UUID]pq.StringArray) error {
	for id, purposes := range withdrawn {
		if _, err := tx.ExecContext(ctx, `update attendees set withdrawn = $2 where id = $1`, id, purposes); err != nil {
			return quiet("note a withdrawn consent", err)
		}
	}
	return nil
}

// withdrew are the source's ids of those of an event who have withdrawn consent to a
// purpose: no list for it has them.
func (s *Store) withdrew(ctx context.Context, event uuid.UUID, purpose attendees.PurposeName) (map[string]bool, error) {
	var ids []string
	err := s.db.SelectContext(ctx, &ids, `
		select source_id
		from attendees
		where event_id = $1 and withdrawn <> '{}' and $2 = any(withdrawn)`, event, purpose)
	out := make(map[string]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out, quiet("look for withdrawn consents", err)
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// one is a single registration, held by its transaction together with its event.
type one struct {
	ID     attendees.AttendeeID `db:"-"`
	Key    uuid.UUID            `db:"id"`
	State  attendees.State      `db:"state"`
	Reason attendees.Reason     `db:"reason"`
	// Withdrawn are the purposes for which consent was withdrawn.
	Withdrawn pq.StringArray `db:"withdrawn"`
	event     Event
}

// alone does something to one registration, while nobody writes into its event and it is
// neither blocked nor deleted. *UnknownAttendeeError says that nothing is held under the id.
func (s *Store) alone(ctx context.Context, id attendees.AttendeeID, do func(tx *sqlx.Tx, o one) error) error {
	event, err := s.EventOf(ctx, id)
	if err != nil {
		return err
	}
	unlock, err := s.lockLife(ctx, event)
	if err != nil {
		return err
	}
	defer unlock()
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		o := one{ID: id}
		// The event's row first, as every writer does.
		err := tx.GetContext(ctx, &o.event, `
			select `+eventColumns+`
			from events
			where id = (select event_id from attendees where id = $1)
			for no key update`, attendeeKey(attendees.Eventbrite, id))
		if err == nil {
			err = tx.GetContext(ctx, &o, `
				select id, state, reason, withdrawn
				from attendees
				where id = $1
				for update`, attendeeKey(attendees.Eventbrite, id))
		}
		if errors.Is(err, sql.ErrNoRows) {
			return &UnknownAttendeeError{id}
		}
		if err != nil {
			return quiet("find an attendee", err)
		}
		return do(tx, o)
	})
}

// sealOne seals one registration before its event is blocked, for the reason given: whole,
// with what was answered to forms, or, without whole, what a duty keeps alone. Its readable
// rows go, and no pull makes it readable again. Without whole its responses are barred, and
// their keyed ids returned.
func (s *Store) sealOne(ctx context.Context, tx *sqlx.Tx, o one, whole bool, sealer *seal.Sealer) (barred [][]byte, err error) {
	if sealer == nil {
		return nil, seal.ErrNoOfficer
	}
	b := blocker{Store: s, sealer: sealer, event: o.event}
	if b.agrees, err = b.asksAgreement(ctx, tx); err != nil {
		return nil, err
	}
	parts, err := s.lastRead(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	var rows []sealedRow
	for _, p := range parts {
		address := ""
		if parts[0].Alone && !s.policy.OfficersOnly {
			address = parts[0].Email.Reveal()
		}
		for _, kept := range []bool{true, false} {
			if !whole && (!kept || p.form != "") {
				continue // no duty keeps it
			}
			record, err := b.record(p.readable, p.part(kept), kept)
			if err != nil {
				return nil, err
			}
			record.Attendee = string(o.ID) // a response is the attendee's, too
			sealed, err := sealer.Seal(record, address)
			if err != nil {
				return nil, err
			}
			row := sealedRow{attendee: o.Key, part: record.Part, sealed: sealed}
			if b.agrees && whole {
				row.agreed = parts[0].AgreedAt != nil
			}
			rows = append(rows, row)
		}
	}
	// A blocking that was cut off may have sealed her already.
	if _, err := tx.ExecContext(ctx, `delete from sealed where event_id = $1 and attendee_id = $2`, o.event.Key, o.Key); err != nil {
		return nil, quiet("seal a registration anew", err)
	}
	if err := b.keepSealed(ctx, tx, rows); err != nil {
		return nil, err
	}
	if !whole {
		if barred, err = s.barResponses(ctx, tx, o.event, o.ID); err != nil {
			return nil, err
		}
		parts = parts[:1] // the responses are barred
	}
	for _, p := range parts[1:] {
		if err := s.keepAnswer(ctx, tx, o.event.Key, o.Key, answerID{p.form, p.SourceID}); err != nil {
			return nil, err
		}
	}
	_, err = tx.ExecContext(ctx, `
		delete from personal
		where event_id = $1 and (id = $2 or part = 'response' and (attendee_id = $2 or claims = $2))`, o.event.Key, o.Key)
	if err != nil {
		return nil, quiet("leave a room", err)
	}
	return barred, s.askRewrite(ctx, tx, personalRooms, o.event.Key)
}

// ownPart is a registration, or one of its responses, as it is read for the last time.
type ownPart struct {
	readable
	form string
}

func (p ownPart) part(kept bool) string {
	switch {
	case p.form == "" && kept:
		return partRegistration
	case p.form == "":
		return partHeld
	case kept:
		return fmt.Sprintf("response:%s:%s", p.form, p.SourceID)
	}
	return fmt.Sprintf("%s:%s:%s", partHeld, p.form, p.SourceID)
}

// lastRead reads a registration, first, and its responses.
func (s *Store) lastRead(ctx context.Context, tx *sqlx.Tx, o one) ([]ownPart, error) {
	var rows []struct {
		readable
		Part         string       `db:"part"`
		Form         string       `db:"form_id"`
		SourceStatus string       `db:"source_status"`
		Submitted    sql.NullTime `db:"submitted_at"`
		MatchedBy    string       `db:"matched_by"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select p.id, p.part, p.source_id, p.form_id, p.name, p.email, p.ticket, p.status, p.source_status, p.attended,
			p.agreement_version, p.agreed_at, p.affiliation, p.forums, p.answers, p.filled, p.submitted_at, p.matched_by, p.corrected,
			`+alone+` as alone
		from personal p
		join attendees a on a.id = $2
		where p.event_id = $1 and (p.id = $2 or p.part = 'response' and (p.attendee_id = $2 or p.claims = $2))
		order by p.part, p.id`, o.event.Key, o.Key)
	if err != nil {
		return nil, quiet("read a registration for the last time", err)
	}
	if len(rows) == 0 || rows[0].Part != partRegistration {
		return nil, fmt.Errorf("attendee %s has no readable record to seal", o.ID)
	}
	parts := make([]ownPart, len(rows))
	for i, r := range rows {
		parts[i] = ownPart{r.readable, r.Form}
		if r.Part == partRegistration {
			parts[i].Back = map[string]any{"source_status": r.SourceStatus, "filled": []string(r.Filled), "corrected": r.Corrected}
			continue
		}
		parts[i].Back = map[string]any{"submitted_at": r.Submitted.Time, "matched_by": r.MatchedBy}
	}
	return parts, nil
}

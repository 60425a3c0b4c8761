package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// ErrErased says that a record was erased as far as a duty allows: what is left is sealed
// until the duty ends, so a restriction has nothing to add, and lifting it would bring her back.
var ErrErased = errors.New("the record was erased as far as a duty allows: what is left of it is sealed already")

// Restrict seals all that is held of one registration and drops nothing: it may only be
// stored (GDPR Art. 18(2)). why is attendees.RestrictionAsked or attendees.Objected. No
// pull touches it, and it outlives its event's delete date until it is lifted or erased.
// The exports that carry it are recalled and returned (Art. 19).
//
// Of a record that is sealed already it changes what becomes of it; of one whose erasure a
// duty limits it is ErrErased. It may be called twice. Without an officer's key it is
// seal.ErrNoOfficer.
func (s *Store) Restrict(ctx context.Context, id attendees.AttendeeID, why attendees.Reason, sealer *seal.Sealer) ([]Receipt, error) {
	kind := map[attendees.Reason]ledger.Kind{attendees.RestrictionAsked: ledger.Restricted, attendees.Objected: ledger.Objected}[why]
	if kind == "" {
		return nil, fmt.Errorf("attendee %s: %q is no reason to restrict", id, why)
	}
	event, err := s.EventOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.roomFor(ctx, event); err != nil {
		return nil, err
	}
	var carried []Receipt
	err = s.alone(ctx, id, func(tx *sqlx.Tx, o one) (err error) {
		if o.Reason == attendees.ErasureAsked {
			return ErrErased
		}
		if o.Reason == why {
			return nil
		}
		if carried, err = s.recall(ctx, tx, o.event, o.Key); err != nil {
			return err
		}
		if err := s.restrict(ctx, tx, o, why, sealer); err != nil {
			return err
		}
		return s.recordAbout(ctx, tx, ledger.Entry{Kind: kind, Event: string(o.event.ID)}, id)
	})
	return carried, err
}

// roomFor builds an event's sealed room, for somebody who is sealed early.
func (s *Store) roomFor(ctx context.Context, event attendees.EventID) error {
	e, err := s.Event(ctx, event)
	if err != nil {
		return err
	}
	if e.State == attendees.Deleted {
		return fmt.Errorf("event %s is deleted: there is nothing left to seal", event)
	}
	return s.buildRoom(ctx, sealedRooms, e.Key)
}

func (s *Store) restrict(ctx context.Context, tx *sqlx.Tx, o one, why attendees.Reason, sealer *seal.Sealer) error {
	if readable, err := s.isReadable(ctx, tx, o); err != nil {
		return err
	} else if readable {
		if _, err := s.sealOne(ctx, tx, o, true, sealer); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `update attendees set state = 'blocked', reason = $2 where id = $1`, o.Key, why)
	return quiet("restrict a registration", err)
}

func (s *Store) isReadable(ctx context.Context, tx *sqlx.Tx, o one) (readable bool, err error) {
	err = tx.GetContext(ctx, &readable, `select exists (select from personal where event_id = $1 and id = $2)`, o.event.Key, o.Key)
	return readable, quiet("look for a readable record", err)
}

// Opener opens one sealed part: with an officer's key, or the address that a person has
// proved to be hers.
type Opener func(SealedRecord) (seal.Record, error)

// OpenedBy is how a person opens what is hers.
func (s *Store) OpenedBy(address attendees.Personal) Opener {
	return func(r SealedRecord) (seal.Record, error) {
		return s.keys.OpenPerson(r.Person, r.PersonKey, string(r.Event), string(r.Attendee), r.Part, address.Reveal())
	}
}

// Lift ends a restriction: what open opens becomes readable again, as it was, and is read
// anew from its sources; once the event's block date has come it is blocked like the
// others. The person is told before (GDPR Art. 18(3)): that is the caller's duty. It is
// seal.ErrKey where open has not the key. reason stands in the ledger.
func (s *Store) Lift(ctx context.Context, id attendees.AttendeeID, open Opener, reason string) error {
	return s.alone(ctx, id, func(tx *sqlx.Tx, o one) error {
		if o.Reason != attendees.RestrictionAsked && o.Reason != attendees.Objected {
			return fmt.Errorf("attendee %s is not restricted: there is nothing to lift", id)
		}
		parts, err := s.ownSealed(ctx, tx, o)
		if err != nil {
			return err
		}
		var opened []seal.Record
		for _, p := range parts {
			record, err := open(p)
			if err != nil {
				return fmt.Errorf("lift the restriction of attendee %s: %w", id, err)
			}
			opened = append(opened, record)
		}
		if o.event.Open(s.now()) {
			err = s.unseal(ctx, tx, o, opened)
		} else {
			err = s.blockLikeOthers(ctx, tx, o)
		}
		if err != nil {
			return err
		}
		if err := s.askRewrite(ctx, tx, sealedRooms, o.event.Key); err != nil {
			return err
		}
		return s.recordAbout(ctx, tx, ledger.Entry{Kind: ledger.Lifted, Event: string(o.event.ID), Reason: reason}, id)
	})
}

// ownSealed are the sealed parts of one registration.
func (s *Store) ownSealed(ctx context.Context, tx *sqlx.Tx, o one) ([]SealedRecord, error) {
	var parts []SealedRecord
	err := tx.SelectContext(ctx, &parts, `
		select $3::text as event, $4::text as attendee, part, officers, coalesce(person, '') as person, person_key, attendee_id
		from sealed
		where event_id = $1 and attendee_id = $2
		order by part`, o.event.Key, o.Key, o.event.ID, o.ID)
	return parts, quiet("read a sealed record", err)
}

// blockLikeOthers leaves of a restricted record what a duty keeps. Who never agreed goes
// with the next sweep, as those whom a hold had kept.
func (s *Store) blockLikeOthers(ctx context.Context, tx *sqlx.Tx, o one) error {
	held, err := s.isHeld(ctx, tx, o.event.Key, o.Key)
	if err != nil {
		return err
	}
	if !held { // else the release drops it
		if err := s.dropUnowed(ctx, tx, o); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `update attendees set reason = '' where id = $1`, o.Key)
	return quiet("lift a restriction", err)
}

// sealedFields are a sealed record's fields, as blocker.record wrote them.
type sealedFields struct {
	Name        string          `json:"name"`
	Email       string          `json:"email"`
	Ticket      string          `json:"ticket"`
	Attended    bool            `json:"attended"`
	Version     string          `json:"agreement_version"`
	AgreedAt    *time.Time      `json:"agreed_at"`
	Affiliation string          `json:"affiliation"`
	Forums      []string        `json:"forums"`
	Answers     json.RawMessage `json:"answers"`
	Status      string          `json:"status"`

	SourceStatus string    `json:"source_status"`
	Filled       []string  `json:"filled"`
	Submitted    time.Time `json:"submitted_at"`
	MatchedBy    string    `json:"matched_by"`

	Corrected json.RawMessage `json:"corrected"`
	// stated are fields that were corrected while the record was sealed.
	stated []attendees.Field
}

// take adds what one part of a record says; each tells of its own fields what a form filled.
func (f *sealedFields) take(r seal.Record) error {
	before := f.Filled
	f.Filled = nil
	if err := json.Unmarshal(r.Fields, f); err != nil {
		return errors.New("a sealed record's fields are no JSON")
	}
	for _, field := range before {
		if !slices.Contains(f.Filled, field) {
			f.Filled = append(f.Filled, field)
		}
	}
	return nil
}

// unseal makes a registration and its responses readable again.
func (s *Store) unseal(ctx context.Context, tx *sqlx.Tx, o one, opened []seal.Record) error {
	if _, err := tx.ExecContext(ctx, `update attendees set state = 'active', reason = '' where id = $1`, o.Key); err != nil {
		return quiet("lift a restriction", err)
	}
	// Both halves of a row go into one: what a duty keeps, and what none does.
	rows := map[string]*sealedFields{}
	var order []string
	for _, r := range opened {
		_, from, _ := strings.Cut(r.Part, ":") // form and response; empty: the registration itself
		if rows[from] == nil {
			rows[from], order = &sealedFields{Answers: json.RawMessage("{}")}, append(order, from)
		}
		if err := rows[from].take(r); err != nil {
			return fmt.Errorf("lift a restriction: %w", err)
		}
		if f, ok := strings.CutPrefix(r.Part, partStatement); ok {
			rows[from].stated = append(rows[from].stated, attendees.Field(f))
		}
	}
	// A yes that came meanwhile went nowhere but into a mark. It counts from now on, as an
	// answer's that stands until her forms are read again.
	var agreed bool
	err := tx.GetContext(ctx, &agreed, `
		select exists (select from sealed where event_id = $1 and attendee_id = $2 and agreed)`, o.event.Key, o.Key)
	if err != nil {
		return quiet("look whether she agreed", err)
	}
	if own := rows[""]; agreed && own != nil && own.AgreedAt == nil {
		now := s.now().UTC()
		own.AgreedAt, own.Filled = &now, append(own.Filled, string(attendees.AgreedAt))
	}
	dropped := s.withdrawnFields(o.Withdrawn)
	if held, err := s.isHeld(ctx, tx, o.event.Key, o.Key); err != nil {
		return err
	} else if held {
		dropped = nil // the release drops them
	}
	for _, from := range order {
		if err := s.writeBack(ctx, tx, o, from, rows[from], dropped); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `delete from sealed where event_id = $1 and attendee_id = $2`, o.event.Key, o.Key); err != nil {
		return quiet("unseal a record", err)
	}
	// Their blocking keeps the ids of her answers again.
	_, err = tx.ExecContext(ctx, `delete from upstream where event_id = $1 and attendee_id = $2 and told_at is null`, o.event.Key, o.Key)
	if err != nil {
		return quiet("leave responses to their source", err)
	}
	// What changed at the sources meanwhile went nowhere. The event as a whole was read all
	// the same: its reconcile is due, and its forms.
	if _, err := tx.ExecContext(ctx, `update events set reconciled_at = null where id = $1`, o.event.Key); err != nil {
		return quiet("have an event reconciled", err)
	}
	if err := s.readAgain(ctx, tx, EventFeed(o.event.ID)); err != nil {
		return err
	}
	return s.readFormsAgain(ctx, tx, o.event.Key)
}

// writeBack writes one row of a registration, or of its response from a form and under an
// id. Its digest is empty, so that the next pull takes it for changed.
func (s *Store) writeBack(ctx context.Context, tx *sqlx.Tx, o one, from string, f *sealedFields, dropped []attendees.Field) error {
	p := part{
		event: o.event.Key, outside: o.event.ID, id: o.Key, sourceID: string(o.ID),
		name: attendees.Personal(f.Name), email: attendees.Personal(f.Email), ticket: f.Ticket, status: attendees.Standing(f.Status),
		version: f.Version, attended: f.Attended, affiliation: attendees.Personal(f.Affiliation), answers: string(f.Answers),
	}
	if f.AgreedAt != nil {
		p.agreed = *f.AgreedAt
	}
	for _, forum := range f.Forums {
		p.forums = append(p.forums, attendees.Personal(forum))
	}
	p.drop(dropped)
	corrected, err := parseCorrections(f.Corrected)
	if err != nil {
		return err
	}
	for _, field := range f.stated {
		corrected[field] = correction{To: p.text(field)}
	}
	for _, field := range dropped {
		delete(corrected, field)
	}
	kind, form, response := partRegistration, "", ""
	if from != "" {
		form, response, _ = strings.Cut(from, ":")
		kind, p.sourceID, p.status = "response", response, ""
		p.id = responseKey(attendees.FormID(form), attendees.ResponseID(response))
		p.addressIndex = s.keys.AddressIndexUnder(s.indexKey(o.event), string(o.event.ID), f.Email)
	}
	var attendee, claims, submitted any
	if kind == "response" {
		attendee, submitted = o.Key, moment(f.Submitted)
		if f.MatchedBy == "hidden" {
			claims = o.Key
		}
	}
	_, err = tx.ExecContext(ctx, `
		insert into personal (event_id, id, part, source_id, name, email, ticket, status, source_status, attended, agreement_version,
			agreed_at, affiliation, forums, answers, filled, form_id, attendee_id, claims, matched_by, address_index, submitted_at, received_at, corrected)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text[], $15::jsonb, $16, $17, $18, $19, $20, $21, $22, $23, $24::jsonb)`,
		p.event, p.id, kind, p.sourceID, p.name.Reveal(), p.email.Reveal(), p.ticket, p.status, f.SourceStatus, p.attended, p.version,
		moment(p.agreed), p.affiliation.Reveal(), literal(p.forums), p.answers, pq.StringArray(append([]string{}, f.Filled...)),
		form, attendee, claims, f.MatchedBy, append([]byte{}, p.addressIndex...), submitted, s.now(), corrected.json())
	return quiet("make a record readable again", err)
}

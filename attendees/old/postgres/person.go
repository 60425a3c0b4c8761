package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// Whole is everything that is held of one person for one event, with where each field
// came from.
type Whole struct {
	Person
	SourceStatus string // as the source words it
	Registered   time.Time
	Changed      time.Time
	Answers      map[string][]attendees.Personal
	From         map[attendees.Field]attendees.FormID // the form that filled a field; none: the registration
	Corrected    map[attendees.Field]bool             // at the person's request; the source does not say so yet
	Responses    []Answered
}

// Answered is a response to a form: one that belongs to a person, or to nobody yet.
type Answered struct {
	Form        attendees.FormID
	ID          attendees.ResponseID
	Name, Email attendees.Personal
	Submitted   time.Time
	Received    time.Time
	Agreed      bool
	MatchedBy   string // hidden, address, name or hand; empty: nobody's
	Claims      bool   // it names an attendee, of whom nothing is held
}

type answeredRow struct {
	Form      attendees.FormID     `db:"form_id"`
	ID        attendees.ResponseID `db:"source_id"`
	Name      attendees.Personal   `db:"name"`
	Email     attendees.Personal   `db:"email"`
	Submitted *time.Time           `db:"submitted_at"`
	Received  time.Time            `db:"received_at"`
	Agreed    bool                 `db:"agreed"`
	MatchedBy string               `db:"matched_by"`
	Claims    bool                 `db:"claims"`
	// Which fields it says something about.
	Says fieldList `db:"says"`
}

const answeredColumns = `form_id, source_id, name, email, submitted_at, received_at, agreed_at is not null as agreed, matched_by,
	claims is not null as claims,
	array_remove(array[
		case when name <> '' then 'name' end, case when email <> '' then 'email' end,
		case when affiliation <> '' then 'affiliation' end, case when forums <> '{}' then 'forums' end,
		case when answers <> '{}' then 'answers' end, case when agreement_version <> '' then 'agreement_version' end,
		case when agreed_at is not null then 'agreed_at' end], null) as says`

func (r answeredRow) answered() Answered {
	a := Answered{
		Form: r.Form, ID: r.ID, Name: r.Name, Email: r.Email, Received: r.Received, Agreed: r.Agreed,
		MatchedBy: r.MatchedBy, Claims: r.Claims,
	}
	if r.Submitted != nil {
		a.Submitted = *r.Submitted
	}
	return a
}

// fieldList reads a text array of field names.
type fieldList []attendees.Field

// Scan reads PostgreSQL's array literal.
func (l *fieldList) Scan(src any) error {
	var names forumList
	if err := names.Scan(src); err != nil {
		return err
	}
	*l = nil
	for _, n := range names {
		*l = append(*l, attendees.Field(n.Reveal()))
	}
	return nil
}

// LookAt reads everything that is held of one person, and records in the same
// transaction that by looked at her, so that she can be told who did (GDPR Art. 15(1)).
// *BlockedError from the block date on; *UnknownAttendeeError where the event has no such
// person.
func (s *Store) LookAt(ctx context.Context, event attendees.EventID, id attendees.AttendeeID, by uuid.UUID) (Whole, error) {
	w := Whole{Answers: map[string][]attendees.Personal{}, From: map[attendees.Field]attendees.FormID{}}
	key := attendeeKey(attendees.Eventbrite, id)
	err := s.InTx(ctx, func(tx *sqlx.Tx) error {
		// Shared: a pull that writes into the room meanwhile keeps no reader waiting.
		e, err := s.lockOpenEvent(ctx, tx, event, "for key share")
		if err != nil {
			return err
		}
		var r struct {
			personRow
			SourceStatus string          `db:"source_status"`
			Answers      json.RawMessage `db:"answers"`
			Filled       fieldList       `db:"filled"`
			Registered   *time.Time      `db:"registered_at"`
			Changed      time.Time       `db:"changed_at"`
			Corrected    json.RawMessage `db:"corrected"`
		}
		err = tx.GetContext(ctx, &r, `
			select p.source_id, p.name, p.email, p.ticket, p.status, p.attended, p.agreement_version, p.agreed_at, p.affiliation,
				p.forums, p.source_status, p.answers, p.filled, p.corrected, a.registered_at, a.changed_at
			from personal p
			join attendees a on a.id = p.id
			where p.event_id = $1 and p.id = $2 and p.part = 'registration'`, e.Key, key)
		if err != nil {
			return missing("read an attendee", err, &UnknownAttendeeError{id})
		}
		w.Person, w.SourceStatus, w.Changed = r.person(), r.SourceStatus, r.Changed
		if r.Registered != nil {
			w.Registered = *r.Registered
		}
		if err := json.Unmarshal(r.Answers, &w.Answers); err != nil {
			return quiet("read an attendee", errAnswers)
		}
		corrected, err := parseCorrections(r.Corrected)
		if err != nil {
			return err
		}
		w.Corrected = map[attendees.Field]bool{}
		for f := range corrected {
			w.Corrected[f] = true
		}
		if err := w.read(ctx, tx, e, key, r.Filled); err != nil {
			return err
		}
		return s.saveLook(ctx, tx, e, key, by)
	})
	return w, err
}

// read reads the person's responses, the newest first, and tells which filled what.
func (w *Whole) read(ctx context.Context, tx *sqlx.Tx, e Event, key uuid.UUID, filled []attendees.Field) error {
	var rows []answeredRow
	err := tx.SelectContext(ctx, &rows, `
		select `+answeredColumns+`
		from personal
		where event_id = $1 and part = 'response' and attendee_id = $2
		order by submitted_at desc, id`, e.Key, key)
	for _, r := range rows {
		w.Responses = append(w.Responses, r.answered())
		for _, f := range r.Says {
			if _, known := w.From[f]; !known && slices.Contains(filled, f) {
				w.From[f] = r.Form
			}
		}
	}
	return quiet("read a person's answers", err)
}

// lockOpenEvent locks one event's row, so that it stays open; *BlockedError where it is
// not. Writers of what others write, too, take it "for no key update".
func (s *Store) lockOpenEvent(ctx context.Context, tx *sqlx.Tx, id attendees.EventID, how string) (Event, error) {
	var e Event
	err := tx.GetContext(ctx, &e, `select `+eventColumns+` from events where source_id = $1 `+how, id)
	if err != nil {
		return e, missing("lock an event", err, &UnknownEventError{Event: id})
	}
	return e, s.StillOpen(e)
}

// Chosen writes the forums as one line.
func (p Person) Chosen() attendees.Personal {
	all := make([]string, len(p.Forums))
	for i, f := range p.Forums {
		all[i] = f.Reveal()
	}
	return attendees.Personal(strings.Join(all, "; "))
}

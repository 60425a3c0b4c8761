package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// corrections are what a person had corrected of her registration, by field. Each stands
// over the source's value until the source agrees. Under holder stands, in hexadecimal,
// the index of the address that the source had then: who has another one now is somebody
// else, to whom the registration was handed.
type corrections map[attendees.Field]correction

const holder attendees.Field = ""

type correction struct {
	To   string `json:"to"`
	Form bool   `json:"form,omitempty"` // the value was a form's, so it is the form that has to agree
}

func parseCorrections(text []byte) (corrections, error) {
	c := corrections{}
	if len(text) > 0 && json.Unmarshal(text, &c) != nil {
		return nil, errors.New("database: a correction is no JSON")
	}
	return c, nil
}

func (c corrections) json() string {
	if _, ok := c[holder]; len(c) == 0 || ok && len(c) == 1 {
		return "{}"
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts always marshal
	}
	return string(text)
}

// text is one field of a part as a person writes it.
func (p *part) text(f attendees.Field) string {
	switch f {
	case attendees.Name:
		return p.name.Reveal()
	case attendees.Email:
		return p.email.Reveal()
	case attendees.Ticket:
		return p.ticket
	case attendees.AgreementVersion:
		return p.version
	case attendees.Affiliation:
		return p.affiliation.Reveal()
	case attendees.Forums:
		all := make([]string, len(p.forums))
		for i, forum := range p.forums {
			all[i] = forum.Reveal()
		}
		return strings.Join(all, "; ")
	case attendees.Attended:
		return yesNo(p.attended)
	}
	return ""
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (p *part) setText(f attendees.Field, text string) {
	switch f {
	case attendees.Name:
		p.name = attendees.Personal(text)
	case attendees.Email:
		p.email = attendees.Personal(text)
	case attendees.Ticket:
		p.ticket = text
	case attendees.AgreementVersion:
		p.version = text
	case attendees.Affiliation:
		p.affiliation = attendees.Personal(text)
	case attendees.Forums:
		p.forums = forumsOf(text)
	case attendees.Attended:
		p.attended = text == yesNo(true)
	}
}

func forumsOf(text string) []attendees.Personal {
	var all []attendees.Personal
	for forum := range strings.SplitSeq(text, ";") {
		if forum = strings.TrimSpace(forum); forum != "" {
			all = append(all, attendees.Personal(forum))
		}
	}
	return all
}

// correct lets corrections, made for the event from, stand over what the source says. Where
// the source says the same by now, or the registration is another person's, they have had
// their time.
func (s *Store) correct(p *part, raw []byte, from attendees.EventID) error {
	c, err := parseCorrections(raw)
	if err != nil || len(c) == 0 {
		return err
	}
	if !s.sameHolder(p, c, from) {
		return nil
	}
	if from != p.outside {
		c[holder] = correction{To: hex.EncodeToString(p.addressIndex)}
	}
	dropped := []attendees.Field{}
	if p.status != attendees.Attending {
		dropped = s.policy.DroppedFields()
	}
	for f, to := range c {
		switch {
		case f == holder:
		case slices.Contains(dropped, f), p.text(f) == to.To:
			delete(c, f)
		default:
			p.setText(f, to.To)
		}
	}
	p.addressIndex = s.keys.AddressIndexUnder(p.addressKey, string(p.outside), p.email.Reveal())
	p.corrected = c.json()
	return nil
}

func (s *Store) sameHolder(p *part, c corrections, from attendees.EventID) bool {
	then, err := hex.DecodeString(c[holder].To)
	if err != nil || len(then) == 0 || len(p.addressIndex) == 0 {
		return err == nil
	}
	if to, ok := c[attendees.Email]; ok && seal.Normalise(to.To) == seal.Normalise(p.email.Reveal()) {
		return true
	}
	return slices.ContainsFunc(s.keys.AddressIndexes(string(from), p.email.Reveal()), func(index []byte) bool {
		return bytes.Equal(index, then)
	})
}

// settle ends corrections of what forms say that the forms' latest answers agree with.
func (s *Store) settle(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, ids []uuid.UUID) error {
	var rows []struct {
		ID        uuid.UUID       `db:"id"`
		Corrected json.RawMessage `db:"corrected"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select id, corrected
		from personal
		where event_id = $1 and part = 'registration' and corrected <> '{}' and id = any($2::uuid[])`, event, pq.StringArray(texts(ids)))
	if err != nil {
		return quiet("look for corrections", err)
	}
	for _, r := range rows {
		c, err := parseCorrections(r.Corrected)
		if err != nil {
			return err
		}
		var filled pq.StringArray
		for f, to := range c {
			if !to.Form {
				continue
			}
			agrees, err := s.formSays(ctx, tx, event, r.ID, f, to.To)
			if err != nil {
				return err
			}
			if agrees {
				delete(c, f)
				filled = append(filled, string(f))
			}
		}
		if len(filled) == 0 {
			continue
		}
		_, err = tx.ExecContext(ctx, `
			update personal
			set corrected = $3, filled = filled || $4::text[]
			where event_id = $1 and id = $2`, event, r.ID, c.json(), filled)
		if err != nil {
			return quiet("end a correction", err)
		}
	}
	return nil
}

func (s *Store) formSays(ctx context.Context, tx *sqlx.Tx, event, attendee uuid.UUID, f attendees.Field, text string) (says bool, err error) {
	column, empty := string(f), "''"
	if f == attendees.Forums {
		column, empty = `array_to_string(forums, '; ')`, "''"
	}
	err = tx.GetContext(ctx, &says, `
		select coalesce((
			select `+column+` = $3
			from personal
			where event_id = $1 and part = 'response' and attendee_id = $2 and `+column+` <> `+empty+`
			order by submitted_at desc, id
			limit 1), false)`, event, attendee, text)
	return says, quiet("compare a correction", err)
}

// maxCorrection bounds a value that somebody proposes, in bytes: a long name twice over.
const maxCorrection = 500

// ErrCorrection says that a value cannot stand in that field.
var ErrCorrection = errors.New("that value cannot stand in that field")

// CheckCorrection tells whether a value may be proposed for a field: ErrCorrection where it
// may not.
func (s *Store) CheckCorrection(f attendees.Field, value attendees.Personal) error {
	text := value.Reveal()
	switch {
	case !slices.Contains(attendees.Correctable(), f), !s.policy.Allows(f), strings.TrimSpace(text) == "", len(text) > maxCorrection,
		strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }):
		return ErrCorrection
	case f == attendees.Attended && text != yesNo(true) && text != yesNo(false):
		return ErrCorrection
	case f == attendees.Email && !strings.Contains(text, "@"):
		return ErrCorrection
	}
	return nil
}

// Correct lets a value that the person proposed stand over what the source says (GDPR Art.
// 16), until the source agrees; staff are asked to correct it there, too. Of a sealed
// record the correction is sealed beside it, to the officers and, where that is the record's
// own, to the address that she proved. Exports that carry her are recalled and returned (Art. 19).
func (s *Store) Correct(ctx context.Context, id attendees.AttendeeID, f attendees.Field, value, address attendees.Personal, sealer *seal.Sealer) (carried []Receipt, err error) {
	if err := s.CheckCorrection(f, value); err != nil {
		return nil, err
	}
	event, err := s.EventOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.roomFor(ctx, event); err != nil {
		return nil, err
	}
	err = s.alone(ctx, id, func(tx *sqlx.Tx, o one) error {
		if slices.Contains(s.withdrawnFields(o.Withdrawn), f) {
			return ErrCorrection // it is not kept any more
		}
		readable, err := s.isReadable(ctx, tx, o)
		if err != nil {
			return err
		}
		if carried, err = s.recall(ctx, tx, o.event, o.Key); err != nil {
			return err
		}
		if readable {
			err = s.correctReadable(ctx, tx, o, f, value)
		} else {
			err = s.stateBeside(ctx, tx, o, f, value, address, sealer)
		}
		if err != nil {
			return err
		}
		return s.recordAbout(ctx, tx, ledger.Entry{Kind: ledger.Corrected, Event: string(o.event.ID)}, id)
	})
	return carried, err
}

func (s *Store) correctReadable(ctx context.Context, tx *sqlx.Tx, o one, f attendees.Field, value attendees.Personal) error {
	var row struct {
		Corrected json.RawMessage `db:"corrected"`
		Filled    pq.StringArray  `db:"filled"`
		Index     []byte          `db:"address_index"`
	}
	err := tx.GetContext(ctx, &row, `
		select p.corrected, p.filled, a.address_index
		from personal p
		join attendees a on a.id = p.id
		where p.event_id = $1 and p.id = $2`, o.event.Key, o.Key)
	if err != nil {
		return quiet("read a registration", err)
	}
	c, err := parseCorrections(row.Corrected)
	if err != nil {
		return err
	}
	if _, ok := c[holder]; !ok {
		c[holder] = correction{To: hex.EncodeToString(row.Index)}
	}
	_, before := c[f]
	c[f] = correction{To: value.Reveal(), Form: slices.Contains(row.Filled, string(f)) || before && c[f].Form}
	var to any = value.Reveal()
	switch f {
	case attendees.Forums:
		to = literal(forumsOf(value.Reveal()))
	case attendees.Attended:
		to = value.Reveal() == yesNo(true)
	}
	// A column has its field's name.
	_, err = tx.ExecContext(ctx, `
		update personal
		set `+string(f)+` = $3, corrected = $4, filled = array_remove(filled, $5)
		where event_id = $1 and id = $2`, o.event.Key, o.Key, to, c.json(), string(f))
	if err != nil {
		return quiet("correct a registration", err)
	}
	if f == attendees.Email {
		if err := s.noteLeaving(ctx, tx, o.event.Key, o.Key); err != nil {
			return err
		}
		index := s.keys.AddressIndexUnder(s.indexKey(o.event), string(o.event.ID), value.Reveal())
		_, err := tx.ExecContext(ctx, `
			update attendees
			set address_index = $2, address_key = $3, grouped = false
			where id = $1`, o.Key, index, s.indexKey(o.event))
		if err != nil {
			return quiet("correct an address", err)
		}
		if err := s.closeShared(ctx, tx, o.event.Key, []part{{addressIndex: index}}); err != nil {
			return err
		}
	}
	if err := s.askRewrite(ctx, tx, personalRooms, o.event.Key); err != nil {
		return err
	}
	return s.ask(ctx, tx, o.event.Key, taskCorrect, "Somebody had something corrected, which is kept here over what the source says until the source "+
		"agrees. Correct it at the source, too: the attendee's page marks what it is")
}

// partStatement begins the name of a correction's part of a sealed record.
const partStatement = "statement."

// stateBeside seals a correction beside what is sealed: nobody here can open that to
// change it (Art. 16, second sentence).
func (s *Store) stateBeside(ctx context.Context, tx *sqlx.Tx, o one, f attendees.Field, value, address attendees.Personal, sealer *seal.Sealer) error {
	kept := slices.ContainsFunc(s.policy.Purposes, func(u attendees.Purpose) bool { return u.Sealed && u.Allows(f) })
	whole := o.Reason == attendees.RestrictionAsked || o.Reason == attendees.Objected
	if !kept && !whole {
		return ErrCorrection // it was dropped
	}
	if sealer == nil {
		return seal.ErrNoOfficer
	}
	// Staff may have named a record of another address than the one that asks.
	var record struct {
		Hers   bool  `db:"hers"`
		Agreed *bool `db:"agreed"` // who never did, goes with this
	}
	err := tx.GetContext(ctx, &record, `
		select s.person is not null and a.address_index = any($3) as hers, s.agreed
		from sealed s
		join attendees a on a.id = s.attendee_id
		where s.event_id = $1 and s.attendee_id = $2 and s.part = 'registration'`,
		o.event.Key, o.Key, pq.ByteaArray(s.keys.AddressIndexes(string(o.event.ID), address.Reveal())))
	if err != nil {
		return quiet("look at a sealed record", err)
	}
	var to any = value.Reveal()
	switch f {
	case attendees.Forums:
		to = forumTexts(value.Reveal())
	case attendees.Attended:
		to = value.Reveal() == yesNo(true)
	}
	fields, err := json.Marshal(map[attendees.Field]any{f: to})
	if err != nil {
		return ErrCorrection
	}
	part := partStatement + string(f)
	half := ""
	if record.Hers {
		half = address.Reveal()
	}
	sealed, err := sealer.Seal(seal.Record{Event: string(o.event.ID), Attendee: string(o.ID), Part: part, Fields: fields}, half)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `delete from sealed where event_id = $1 and attendee_id = $2 and part = $3`, o.event.Key, o.Key, part); err != nil {
		return quiet("replace a correction", err)
	}
	b := blocker{Store: s, sealer: sealer, event: o.event}
	row := sealedRow{attendee: o.Key, part: part, sealed: sealed}
	if record.Agreed != nil {
		row.agreed = *record.Agreed
	}
	return b.keepSealed(ctx, tx, []sealedRow{row})
}

func forumTexts(text string) []string {
	var all []string
	for _, forum := range forumsOf(text) {
		all = append(all, forum.Reveal())
	}
	return all
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// Link says that a form belongs to an event, for one purpose, and which of its
// questions fill which fields.
type Link struct {
	Event   attendees.EventID
	Form    attendees.FormID
	Title   string // of the form
	Host    string // that the form's responses live at; empty where it names none
	Purpose attendees.PurposeName
	Fields  []LinkedField
	Linked  time.Time
}

// LinkedField is one field with the question that fills it: by its ref, which
// lasts, and by the id that it has at present, which the source's listing wants.
type LinkedField struct {
	Field    attendees.Field
	Question attendees.QuestionID
	ID       attendees.QuestionID
}

// FieldLinks are the links as the policy's minimising takes them.
func (l Link) FieldLinks() attendees.FieldLinks {
	var links attendees.FieldLinks
	for _, f := range l.Fields {
		links = append(links, attendees.FieldLink{Purpose: l.Purpose, Field: f.Field, Question: f.Question})
	}
	return links
}

// LinkField looks whether a question may fill a field of a purpose.
func LinkField(form attendees.Form, purpose attendees.Purpose, w attendees.FieldLink) (LinkedField, error) {
	if !purpose.Allows(w.Field) {
		return LinkedField{}, fmt.Errorf("purpose %s has no field %q: it has %s", purpose.Name, w.Field, strings.Join(purpose.LinkableFields(), ", "))
	}
	i := slices.IndexFunc(form.Questions, func(q attendees.Question) bool { return q.Ref == w.Question || q.ID == w.Question })
	if i < 0 {
		return LinkedField{}, fmt.Errorf("form %s has no question %q: without --field, `lethe events link` prints those that it has", form.ID, w.Question)
	}
	q := form.Questions[i]
	if q.FreeText {
		return LinkedField{}, fmt.Errorf("question %q of form %s takes long text or files (%s), which invite what nobody asked for: it cannot be linked", w.Question, form.ID, q.Type)
	}
	return LinkedField{Field: w.Field, Question: q.Key(), ID: q.ID}, nil
}

// SaveLink links a form to an event; linking again for the same purpose replaces.
// What was read before is read again: the form's responses, or, for an event's own
// questions, its attendees. It refuses an event that is blocked: nothing more comes.
func (s *Store) SaveLink(ctx context.Context, e Event, l Link) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		locked, err := s.lockEvents(ctx, tx, []uuid.UUID{e.Key})
		if err != nil {
			return err
		}
		if e = locked[e.Key]; e.State != attendees.Active && !e.SealsAsItComes(s.now()) {
			return fmt.Errorf("event %s was blocked on %s: nothing more of it comes in, so no form can be linked to it", l.Event, e.BlockOn)
		}
		_, err = tx.ExecContext(ctx, `
			delete from links
			where event_id = $1 and form_id = $2 and purpose = $3`, e.Key, l.Form, l.Purpose)
		if err != nil {
			return quiet("replace a link", err)
		}
		_, err = tx.ExecContext(ctx, `
			insert into links (event_id, form_id, purpose, linked_at)
			values ($1, $2, $3, $4)`, e.Key, l.Form, l.Purpose, s.now())
		if err != nil {
			return quiet("save a link", err)
		}
		for _, f := range l.Fields {
			_, err := tx.ExecContext(ctx, `
				insert into link_fields (event_id, form_id, purpose, field, question, question_id)
				values ($1, $2, $3, $4, $5, $6)`, e.Key, l.Form, l.Purpose, f.Field, f.Question, f.ID)
			if err != nil {
				return quiet("save a link's fields", err)
			}
		}
		if l.Form == attendees.EventbriteForm {
			return s.readOwnAgain(ctx, tx, e)
		}
		if err := s.saveForm(ctx, tx, l.Form, l.Title, l.Host); err != nil {
			return err
		}
		return s.readAgain(ctx, tx, FormFeed(l.Form))
	})
}

// readOwnAgain has an event's listing read anew, since other questions of its own count.
func (s *Store) readOwnAgain(ctx context.Context, tx *sqlx.Tx, e Event) error {
	if _, err := tx.ExecContext(ctx, `update events set pulled_at = null where id = $1`, e.Key); err != nil {
		return quiet("have an event read again", err)
	}
	return s.readAgain(ctx, tx, EventFeed(e.ID))
}

// Relinked has those of the events read anew whose own questions are linked otherwise than
// their people were just minimised by, in the transaction that saved them: whoever links
// later finds them saved.
func (s *Store) Relinked(ctx context.Context, tx *sqlx.Tx, by map[attendees.EventID]attendees.FieldLinks, events []attendees.EventID) error {
	keys := make([]uuid.UUID, len(events))
	for i, id := range events {
		keys[i] = eventKey(attendees.Eventbrite, id)
	}
	var rows []struct {
		Event    attendees.EventID     `db:"event"`
		Purpose  attendees.PurposeName `db:"purpose"`
		Field    attendees.Field       `db:"field"`
		Question attendees.QuestionID  `db:"question"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select e.source_id as event, purpose, field, question
		from link_fields
		join events e on e.id = event_id
		where event_id = any($1::uuid[]) and form_id = $2`, pq.Array(keys), attendees.EventbriteForm)
	if err != nil {
		return quiet("look how an event is linked", err)
	}
	now := map[attendees.EventID]map[attendees.FieldLink]bool{}
	for _, r := range rows {
		if now[r.Event] == nil {
			now[r.Event] = map[attendees.FieldLink]bool{}
		}
		now[r.Event][attendees.FieldLink{Purpose: r.Purpose, Field: r.Field, Question: r.Question}] = true
	}
	for i, id := range events {
		then := map[attendees.FieldLink]bool{}
		for _, l := range by[id] {
			then[l] = true
		}
		if maps.Equal(now[id], then) {
			continue
		}
		if err := s.readOwnAgain(ctx, tx, Event{Key: keys[i], ID: id}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) saveForm(ctx context.Context, tx *sqlx.Tx, form attendees.FormID, title, host string) error {
	_, err := tx.ExecContext(ctx, `
		insert into forms (id, title, host, seen_at)
		values ($1, $2, $3, $4)
		on conflict (id) do update set title = excluded.title, host = excluded.host, seen_at = excluded.seen_at`,
		form, title, host, s.now())
	return quiet("save a form", err)
}

// FormHost is the host that a form's responses live at, as its definition last said;
// empty where it names none, or was not read yet.
func (s *Store) FormHost(ctx context.Context, form attendees.FormID) (string, error) {
	var host string
	err := s.db.GetContext(ctx, &host, `select host from forms where id = $1`, form)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return host, quiet("look up a form's host", err)
}

// RefreshForm keeps a form's title, its host, and the ids that its questions have at
// present, by the refs that the links name. Where an id or the host has changed, the
// form is read again from its beginning: what was asked for by the old id, or at the
// old host, did not come.
func (s *Store) RefreshForm(ctx context.Context, f attendees.Form, host string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		var changed bool
		err := tx.GetContext(ctx, &changed, `
			select exists (select from forms where id = $1 and host <> '' and host <> $2)`, f.ID, host)
		if err != nil {
			return quiet("look up a form's host", err)
		}
		if err := s.saveForm(ctx, tx, f.ID, f.Title, host); err != nil {
			return err
		}
		for _, q := range f.Questions {
			result, err := tx.ExecContext(ctx, `
				update link_fields
				set question_id = $3
				where form_id = $1 and question = $2 and question_id <> $3`, f.ID, q.Ref, q.ID)
			if err != nil {
				return quiet("refresh a link", err)
			}
			if n, err := result.RowsAffected(); err == nil && n > 0 {
				changed = true
			}
		}
		if !changed {
			return nil
		}
		return s.readAgain(ctx, tx, FormFeed(f.ID))
	})
}

type linkRow struct {
	Event    attendees.EventID     `db:"event"`
	Form     attendees.FormID      `db:"form_id"`
	Title    string                `db:"title"`
	Purpose  attendees.PurposeName `db:"purpose"`
	Linked   time.Time             `db:"linked_at"`
	Field    attendees.Field       `db:"field"`
	Question attendees.QuestionID  `db:"question"`
	ID       attendees.QuestionID  `db:"question_id"`
}

// Links lists all links, by event, form and purpose.
func (s *Store) Links(ctx context.Context) ([]Link, error) {
	var rows []linkRow
	err := s.db.SelectContext(ctx, &rows, `
		select e.source_id as event, l.form_id, coalesce(f.title, '') as title, l.purpose, l.linked_at,
			lf.field, lf.question, lf.question_id
		from links l
		join events e on e.id = l.event_id
		join link_fields lf using (event_id, form_id, purpose)
		left join forms f on f.id = l.form_id
		order by e.source_id, l.form_id, l.purpose, lf.field`)
	if err != nil {
		return nil, quiet("list links", err)
	}
	var links []Link
	for _, r := range rows {
		n := len(links)
		if n == 0 || links[n-1].Event != r.Event || links[n-1].Form != r.Form || links[n-1].Purpose != r.Purpose {
			links = append(links, Link{Event: r.Event, Form: r.Form, Title: r.Title, Purpose: r.Purpose, Linked: r.Linked})
			n++
		}
		links[n-1].Fields = append(links[n-1].Fields, LinkedField{Field: r.Field, Question: r.Question, ID: r.ID})
	}
	return links, nil
}

// EventLinks lists the links of one event.
func (s *Store) EventLinks(ctx context.Context, event attendees.EventID) ([]Link, error) {
	links, err := s.Links(ctx)
	return slices.DeleteFunc(links, func(l Link) bool { return l.Event != event }), err
}

// FormLinks lists the links of one form.
func (s *Store) FormLinks(ctx context.Context, form attendees.FormID) ([]Link, error) {
	links, err := s.Links(ctx)
	return slices.DeleteFunc(links, func(l Link) bool { return l.Form != form }), err
}

// LinkedForms lists the Typeform forms that are linked to some event that is
// still active, or sealed as it comes.
func (s *Store) LinkedForms(ctx context.Context) ([]attendees.FormID, error) {
	var forms []attendees.FormID
	err := s.db.SelectContext(ctx, &forms, `
		select distinct l.form_id
		from links l
		join events e on e.id = l.event_id
		where l.form_id <> $1 and (e.state = 'active' or e.state = 'blocked' and e.history and e.blocked_at is null)
		order by l.form_id`, attendees.EventbriteForm)
	return forms, quiet("list linked forms", err)
}

// formEvents are the keys of the events that a form is linked to.
func (s *Store) formEvents(ctx context.Context, form attendees.FormID) (pq.StringArray, error) {
	var events []uuid.UUID
	err := s.db.SelectContext(ctx, &events, `select distinct event_id from links where form_id = $1`, form)
	return texts(events), quiet("find a form's events", err)
}

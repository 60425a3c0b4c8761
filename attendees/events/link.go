package events

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// Link says that a form belongs to an event, for one purpose, and which of its questions
// fill which fields.
type Link struct {
	Event   attendees.EventID
	Form    attendees.FormID
	Title   string // of the form
	Purpose attendees.PurposeName
	Fields  attendees.FieldLinks // in their order
	Linked  time.Time
}

// LinkField looks whether a question may fill a field of a purpose, and names it by what
// lasts.
func LinkField(form attendees.Form, purpose attendees.Purpose, w attendees.FieldLink) (attendees.FieldLink, error) {
	if !purpose.Allows(w.Field) || w.Field == attendees.Answers {
		return w, fmt.Errorf("purpose %s has no field %q: it has %s", purpose.Name, w.Field, strings.Join(purpose.LinkableFields(), ", "))
	}
	i := slices.IndexFunc(form.Questions, func(q attendees.Question) bool { return q.Ref == w.Question || q.ID == w.Question })
	if i < 0 {
		return w, fmt.Errorf("form %s has no question %q: without --field, `lethe events link` lists those that it has", form.ID, w.Question)
	}
	q := form.Questions[i]
	if q.FreeText {
		return w, fmt.Errorf("question %q of form %s asks for free text or uploads (%s), which often contain sensitive data: it cannot be linked", w.Question, form.ID, q.Type)
	}
	return attendees.FieldLink{Purpose: purpose.Name, Field: w.Field, Question: q.Key()}, nil
}

// Link links a form to an event; linking again for the same purpose replaces. What was read
// before is read again. It refuses an event that is not open.
func (s *Store) Link(ctx context.Context, event attendees.EventID, form attendees.Form, purpose attendees.PurposeName, fields attendees.FieldLinks) (err error) {
	defer db.Wrap(&err, "link form %s to event %s", form.ID, event)
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.WriteOne(ctx, tx, event)
		if err != nil {
			return err
		}
		if e.State != attendees.Open {
			return fmt.Errorf("it was blocked on %s, and nothing more is imported: `lethe events reopen %s` comes first", e.BlockOn, e.ID)
		}
		if _, err := s.dropLink(ctx, tx, e, form.ID, purpose); err != nil {
			return err
		}
		_, err = db.Exec(ctx, tx, `
			insert into links (event_id, form_id, purpose, linked_at)
			values ($1, $2, $3, $4)`, e.Key, form.ID, purpose, s.now())
		if err != nil {
			return err
		}
		for i, f := range fields {
			_, err := db.Exec(ctx, tx, `
				insert into link_fields (event_id, form_id, purpose, field, question, position)
				values ($1, $2, $3, $4, $5, $6)`, e.Key, form.ID, purpose, f.Field, f.Question, i)
			if err != nil {
				return err
			}
		}
		if _, err := s.saveForm(ctx, tx, form); err != nil {
			return err
		}
		return s.readLinked(ctx, tx, e, form.ID)
	})
}

// readLinked has read again what an event's link to a form fills.
func (s *Store) readLinked(ctx context.Context, tx db.Tx, e Event, form attendees.FormID) error {
	if form != attendees.EventbriteForm {
		return s.Rewind(ctx, tx, FormFeed(form))
	}
	if _, err := db.Exec(ctx, tx, `update events set read_at = null where id = $1`, e.Key); err != nil {
		return err
	}
	return s.Rewind(ctx, tx, EventFeed(e.ID))
}

func (s *Store) dropLink(ctx context.Context, tx db.Tx, e Event, form attendees.FormID, purpose attendees.PurposeName) (int64, error) {
	_, err := db.Exec(ctx, tx, `
		delete from link_fields
		where event_id = $1 and form_id = $2 and purpose = $3`, e.Key, form, purpose)
	if err != nil {
		return 0, err
	}
	return db.Exec(ctx, tx, `
		delete from links
		where event_id = $1 and form_id = $2 and purpose = $3`, e.Key, form, purpose)
}

// Unlink takes a form from an event, for one purpose or, with "", for all, for a caller who
// has the event's row in tx: it says whether there was a link. What it filled is the
// caller's to remove.
func (s *Store) Unlink(ctx context.Context, tx db.Tx, e Event, form attendees.FormID, purpose attendees.PurposeName) (was bool, err error) {
	defer db.Wrap(&err, "unlink form %s from event %s", form, e.ID)
	var purposes []attendees.PurposeName
	err = db.Select(ctx, tx, &purposes, `
		select purpose
		from links
		where event_id = $1 and form_id = $2 and ($3 = '' or purpose = $3)`, e.Key, form, purpose)
	if err != nil {
		return false, err
	}
	for _, p := range purposes {
		if _, err := s.dropLink(ctx, tx, e, form, p); err != nil {
			return false, err
		}
	}
	if len(purposes) == 0 {
		return false, nil
	}
	return true, s.readLinked(ctx, tx, e, form)
}

// saveForm stores a form with the ids that its questions have, next to those that they had.
// It tells whether a linked question has a new id, or the responses another host.
func (s *Store) saveForm(ctx context.Context, tx db.Tx, f attendees.Form) (changed bool, err error) {
	if f.ID == attendees.EventbriteForm {
		return false, nil // each event has questions of its own
	}
	var host string
	err = db.Get(ctx, tx, &host, `select host from forms where id = $1`, f.ID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	changed = host != "" && host != f.Host
	_, err = db.Exec(ctx, tx, `
		insert into forms (id, title, host, seen_at)
		values ($1, $2, $3, $4)
		on conflict (id) do update set title = excluded.title, host = excluded.host, seen_at = excluded.seen_at`, f.ID, f.Title, f.Host, s.now())
	if err != nil {
		return false, err
	}
	linked, err := s.linkedQuestions(ctx, tx, f.ID)
	if err != nil {
		return false, err
	}
	var ids pq.StringArray
	for _, q := range f.Questions {
		if !slices.Contains(linked, q.Key()) {
			continue
		}
		ids = append(ids, string(q.ID))
		n, err := db.Exec(ctx, tx, `
			insert into questions as q (form_id, ref, question_id, first_seen_at)
			values ($1, $2, $3, $4)
			on conflict (form_id, ref, question_id) do update set gone_at = null
			where q.gone_at is not null`, f.ID, q.Key(), q.ID, s.now())
		if err != nil {
			return false, err
		}
		changed = changed || n > 0
	}
	_, err = db.Exec(ctx, tx, `
		update questions
		set gone_at = $3
		where form_id = $1 and gone_at is null and not question_id = any($2)`, f.ID, ids, s.now())
	return changed, err
}

func (s *Store) linkedQuestions(ctx context.Context, q db.Queryer, form attendees.FormID) (linked []attendees.QuestionID, err error) {
	err = db.Select(ctx, q, &linked, `select distinct question from link_fields where form_id = $1`, form)
	return linked, err
}

// RefreshForm stores what a form's definition says now. Where a linked question has a new
// id, or the responses another host, the form is read again from its beginning. gone are
// the linked questions that the form does not have any more: nobody can answer them.
func (s *Store) RefreshForm(ctx context.Context, f attendees.Form) (gone []attendees.QuestionID, err error) {
	defer db.Wrap(&err, "refresh form %s", f.ID)
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		changed, err := s.saveForm(ctx, tx, f)
		if err != nil {
			return err
		}
		linked, err := s.linkedQuestions(ctx, tx, f.ID)
		if err != nil {
			return err
		}
		for _, q := range linked {
			if !slices.ContainsFunc(f.Questions, func(has attendees.Question) bool { return has.Key() == q }) {
				gone = append(gone, q)
			}
		}
		if err := s.askAboutQuestions(ctx, tx, f.ID, len(gone)); err != nil || !changed {
			return err
		}
		return s.Rewind(ctx, tx, FormFeed(f.ID))
	})
	return gone, err
}

// askAboutQuestions keeps a task open for each open event while linked questions of a form
// do not exist.
func (s *Store) askAboutQuestions(ctx context.Context, tx db.Tx, form attendees.FormID, gone int) error {
	var events []uuid.UUID
	err := db.Select(ctx, tx, &events, `
		select distinct e.id
		from links l
		join events e on e.id = l.event_id
		where l.form_id = $1 and e.state = 'open'`, form)
	if err != nil {
		return err
	}
	for _, e := range events {
		about := Task{Kind: TaskQuestions, Event: e, Form: form, Count: gone}
		if gone == 0 {
			err = s.Settle(ctx, tx, about)
		} else {
			err = s.Ask(ctx, tx, about)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// QuestionIDs are all ids that the linked questions of a form ever had: what its responses
// are to be asked for, since earlier ones keep the old ids.
func (s *Store) QuestionIDs(ctx context.Context, form attendees.FormID) (ids []attendees.QuestionID, err error) {
	defer db.Wrap(&err, "list the questions of form %s", form)
	err = db.Select(ctx, s.pool, &ids, `
		select distinct q.question_id
		from questions q
		join link_fields l on l.form_id = q.form_id and l.question = q.ref
		where q.form_id = $1
		order by q.question_id`, form)
	return ids, err
}

// Refs are the refs of a form's linked questions by every id that they ever had, for
// responses that name a question by an old id alone.
func (s *Store) Refs(ctx context.Context, form attendees.FormID) (refs map[attendees.QuestionID]attendees.QuestionID, err error) {
	defer db.Wrap(&err, "list the questions of form %s", form)
	var rows []struct {
		ID  attendees.QuestionID `db:"question_id"`
		Ref attendees.QuestionID `db:"ref"`
	}
	err = db.Select(ctx, s.pool, &rows, `select question_id, ref from questions where form_id = $1`, form)
	refs = make(map[attendees.QuestionID]attendees.QuestionID, len(rows))
	for _, r := range rows {
		refs[r.ID] = r.Ref
	}
	return refs, err
}

// FormHost is the host that a form's responses are at, as its definition last said; empty
// where it names none, or was not read yet.
func (s *Store) FormHost(ctx context.Context, form attendees.FormID) (host string, err error) {
	defer db.Wrap(&err, "find the host of form %s", form)
	err = db.Get(ctx, s.pool, &host, `select host from forms where id = $1`, form)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return host, err
}

// Links lists all links, by event, form and purpose, or those of some events alone.
func (s *Store) Links(ctx context.Context, q db.Queryer, of ...uuid.UUID) (links []Link, err error) {
	defer db.Wrap(&err, "list links")
	var rows []struct {
		Event    attendees.EventID     `db:"event"`
		Form     attendees.FormID      `db:"form_id"`
		Title    string                `db:"title"`
		Purpose  attendees.PurposeName `db:"purpose"`
		Linked   time.Time             `db:"linked_at"`
		Field    attendees.Field       `db:"field"`
		Question attendees.QuestionID  `db:"question"`
	}
	err = db.Select(ctx, q, &rows, `
		select e.source_id as event, l.form_id, coalesce(f.title, '') as title, l.purpose, l.linked_at,
			coalesce(lf.field, '') as field, coalesce(lf.question, '') as question
		from links l
		join events e on e.id = l.event_id
		left join link_fields lf using (event_id, form_id, purpose)
		left join forms f on f.id = l.form_id
		where cardinality($1::uuid[]) = 0 or l.event_id = any($1::uuid[])
		order by e.source_id, l.form_id, l.purpose, lf.position`, uuids(of))
	for _, r := range rows {
		n := len(links)
		if n == 0 || links[n-1].Event != r.Event || links[n-1].Form != r.Form || links[n-1].Purpose != r.Purpose {
			links = append(links, Link{Event: r.Event, Form: r.Form, Title: r.Title, Purpose: r.Purpose, Linked: r.Linked})
			n++
		}
		if r.Field != "" {
			links[n-1].Fields = append(links[n-1].Fields, attendees.FieldLink{Purpose: r.Purpose, Field: r.Field, Question: r.Question})
		}
	}
	return links, err
}

func uuids(keys []uuid.UUID) pq.StringArray {
	texts := make(pq.StringArray, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return texts
}

// FieldLinks are the links of one form for one event, for all purposes, as minimising
// takes them.
func FieldLinks(links []Link, event attendees.EventID, form attendees.FormID) (fields attendees.FieldLinks) {
	for _, l := range links {
		if l.Event == event && l.Form == form {
			fields = append(fields, l.Fields...)
		}
	}
	return fields
}

// AsksToAgree tells whether some link of an event fills agreed.
func AsksToAgree(links []Link, event attendees.EventID) bool {
	return slices.ContainsFunc(links, func(l Link) bool {
		return l.Event == event && slices.ContainsFunc(l.Fields, func(f attendees.FieldLink) bool { return f.Field == attendees.Agreed })
	})
}

// LinkedForms lists the Typeform forms that are linked to some open event.
func (s *Store) LinkedForms(ctx context.Context) (forms []attendees.FormID, err error) {
	defer db.Wrap(&err, "list linked forms")
	err = db.Select(ctx, s.pool, &forms, `
		select distinct l.form_id
		from links l
		join events e on e.id = l.event_id
		where l.form_id <> $1 and e.state = 'open'
		order by l.form_id`, attendees.EventbriteForm)
	return forms, err
}

// OpenEvents lists the open events that a form is linked to, by key.
func (s *Store) OpenEvents(ctx context.Context, q db.Queryer, form attendees.FormID) (keys []uuid.UUID, err error) {
	defer db.Wrap(&err, "find the events of form %s", form)
	err = db.Select(ctx, q, &keys, `
		select distinct e.id
		from links l
		join events e on e.id = l.event_id
		where l.form_id = $1 and e.state = 'open'
		order by e.id`, form)
	return keys, err
}

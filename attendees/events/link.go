package events

import (
	"context"
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
	Event   attendees.EventID     `db:"event"`
	Form    attendees.FormID      `db:"form_id"`
	Title   string                `db:"title"` // of the form
	Purpose attendees.PurposeName `db:"purpose"`
	Linked  time.Time             `db:"linked_at"`
	Fields  attendees.FieldLinks  `db:"-"` // in their order
}

// Forms keeps which forms are linked to which events, with their questions.
type Forms struct{ store *Store }

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
func (s *Forms) Link(ctx context.Context, event attendees.EventID, form attendees.Form, purpose attendees.PurposeName, fields attendees.FieldLinks) (err error) {
	defer db.Wrap(&err, "link form %s to event %s", form.ID, event)
	names, questions := pq.StringArray{}, pq.StringArray{}
	for _, f := range fields {
		if slices.Contains(names, string(f.Field)) {
			return fmt.Errorf("two questions fill field %s: choose one", f.Field)
		}
		names, questions = append(names, string(f.Field)), append(questions, string(f.Question))
	}
	return db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		e, err := s.store.WriteOne(ctx, tx, event)
		switch {
		case err != nil:
			return err
		case e.State == attendees.Deleted:
			return fmt.Errorf("its people are deleted, and nothing more is imported")
		case e.State == attendees.Blocked:
			return fmt.Errorf("it was blocked on %s, and nothing more is imported: `lethe events reopen %s` comes first", e.BlockOn, e.ID)
		}
		_, err = db.Exec(ctx, tx, `
			insert into links (event_id, form_id, purpose, linked_at, fields, questions)
			values ($1, $2, $3, $4, $5, $6)
			on conflict (event_id, form_id, purpose) do update set linked_at = $4, fields = $5, questions = $6`,
			e.Key, form.ID, purpose, s.store.now(), names, questions)
		if err != nil {
			return err
		}
		if _, err := s.saveForm(ctx, tx, form, event); err != nil {
			return err
		}
		return s.changed(ctx, tx, e, form.ID)
	})
}

// changed has what an event's link to a form fills read again. What staff are asked about
// questions that do not exist follows.
func (s *Forms) changed(ctx context.Context, tx db.Tx, e Event, form attendees.FormID) error {
	if err := s.askAboutGone(ctx, tx, form); err != nil {
		return err
	}
	if form != attendees.EventbriteForm {
		return s.store.Feeds.Rewind(ctx, tx, FormFeed(form))
	}
	return s.store.unread(ctx, tx, e)
}

// Unlink takes a form from an event, for one purpose or, with "", for all, for a caller who
// has the event's row in tx: it says whether there was a link. What it filled is the
// caller's to remove. Of a form that belongs to no event any more nothing is reported.
func (s *Forms) Unlink(ctx context.Context, tx db.Tx, e Event, form attendees.FormID, purpose attendees.PurposeName) (was bool, err error) {
	defer db.Wrap(&err, "unlink form %s from event %s", form, e.ID)
	n, err := db.Exec(ctx, tx, `
		delete from links
		where event_id = $1 and form_id = $2 and ($3 = '' or purpose = $3)`, e.Key, form, purpose)
	if err != nil || n == 0 {
		return false, err
	}
	if err := s.changed(ctx, tx, e, form); err != nil {
		return false, err
	}
	// The row stays: its generation refuses the progress of a job that reads it just now.
	_, err = db.Exec(ctx, tx, `
		update feeds
		set finished_at = null, failed_at = null, failure = '', attention = ''
		where name = $1 and not exists (select from links where form_id = $2)`, FormFeed(form), form)
	return true, err
}

// Links lists all links, by event, form and purpose, or those of some events only.
func (s *Forms) Links(ctx context.Context, q db.Queryer, of ...uuid.UUID) (links []Link, err error) {
	defer db.Wrap(&err, "list links")
	var rows []struct {
		Link
		Names     pq.StringArray `db:"fields"`
		Questions pq.StringArray `db:"questions"`
	}
	err = db.Select(ctx, q, &rows, `
		select e.source_id as event, l.form_id, coalesce(f.title, '') as title, l.purpose, l.linked_at, l.fields, l.questions
		from links l
		join events e on e.id = l.event_id
		left join forms f on f.id = l.form_id
		where cardinality($1::uuid[]) = 0 or l.event_id = any($1::uuid[])
		order by e.source_id, l.form_id, l.purpose`, uuids(of))
	for _, r := range rows {
		for i, name := range r.Names {
			r.Fields = append(r.Fields, attendees.FieldLink{Purpose: r.Purpose, Field: attendees.Field(name), Question: attendees.QuestionID(r.Questions[i])})
		}
		links = append(links, r.Link)
	}
	return links, err
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

// Linked lists the Typeform forms that are linked to some open event.
func (s *Forms) Linked(ctx context.Context) (forms []attendees.FormID, err error) {
	defer db.Wrap(&err, "list linked forms")
	err = db.Select(ctx, s.store.pool, &forms, `
		select distinct l.form_id
		from links l
		join events e on e.id = l.event_id
		where l.form_id <> $1 and e.state = 'open'
		order by l.form_id`, attendees.EventbriteForm)
	return forms, err
}

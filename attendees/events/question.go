package events

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
)

// asked is the form as the table of questions names it: each event has questions of its own.
func asked(form attendees.FormID, event attendees.EventID) attendees.FormID {
	if form == attendees.EventbriteForm {
		return form + "/" + attendees.FormID(event)
	}
	return form
}

// saveForm stores a form with the ids that its questions have, next to those that they had.
// It tells whether a linked question has a new id, or the responses another host.
func (s *Forms) saveForm(ctx context.Context, tx db.Tx, f attendees.Form, event attendees.EventID) (changed bool, err error) {
	if f.ID != attendees.EventbriteForm {
		if changed, err = s.saveHost(ctx, tx, f); err != nil {
			return false, err
		}
	}
	form := asked(f.ID, event)
	refs, ids := pq.StringArray{}, pq.StringArray{}
	for _, q := range f.Questions {
		refs, ids = append(refs, string(q.Key())), append(ids, string(q.ID))
	}
	_, err = db.Exec(ctx, tx, `
		update questions
		set gone_at = $4
		where form_id = $1 and gone_at is null
		  and (ref, question_id) not in (select * from unnest($2::text[], $3::text[]))`, form, refs, ids, s.store.now())
	if err != nil {
		return false, err
	}
	var linked int
	err = db.Get(ctx, tx, &linked, `
		with fresh as (
			insert into questions as q (form_id, ref, question_id, first_seen_at)
			select distinct $1, n.ref, n.id, $4::timestamptz
			from unnest($2::text[], $3::text[]) as n (ref, id)
			on conflict (form_id, ref, question_id) do update set gone_at = null
			where q.gone_at is not null
			returning ref
		)
		select count(*)
		from fresh
		where ref in (select unnest(questions) from links where form_id = $5)`, form, refs, ids, s.store.now(), f.ID)
	return changed || linked > 0, err
}

// saveHost stores a form's title, and where its responses are; it tells whether they are
// elsewhere than before.
func (s *Forms) saveHost(ctx context.Context, tx db.Tx, f attendees.Form) (moved bool, err error) {
	host, err := s.Host(ctx, tx, f.ID)
	if err != nil {
		return false, err
	}
	_, err = db.Exec(ctx, tx, `
		insert into forms (id, title, host, seen_at)
		values ($1, $2, $3, $4)
		on conflict (id) do update set title = excluded.title, host = excluded.host, seen_at = excluded.seen_at`, f.ID, f.Title, f.Host, s.store.now())
	return host != "" && host != f.Host, err
}

// Refresh stores what a form's definition says now; event is whose own questions they are,
// and empty for a form of Typeform. Where a linked question has a new id, or the responses
// another host, the form is read again from its beginning. gone are the linked questions
// that it does not have any more, for which staff are asked: nobody can answer them.
func (s *Forms) Refresh(ctx context.Context, f attendees.Form, event attendees.EventID) (gone []attendees.QuestionID, err error) {
	defer db.Wrap(&err, "refresh form %s", asked(f.ID, event))
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		changed, err := s.saveForm(ctx, tx, f, event)
		if err != nil {
			return err
		}
		if err := s.askAboutGone(ctx, tx, f.ID); err != nil {
			return err
		}
		all, err := s.Gone(ctx, tx)
		for _, g := range all {
			if g.Form == f.ID && (event == "" || g.Event == event) && !slices.Contains(gone, g.Question) {
				gone = append(gone, g.Question)
			}
		}
		if err != nil || !changed || f.ID == attendees.EventbriteForm {
			return err // Eventbrite is not asked for answers by id
		}
		return s.store.Feeds.Rewind(ctx, tx, FormFeed(f.ID))
	})
	return gone, err
}

// askAboutGone keeps a task open for each open event while questions of a form that it
// links do not exist.
func (s *Forms) askAboutGone(ctx context.Context, tx db.Tx, form attendees.FormID) error {
	_, err := db.Exec(ctx, tx, `
		update tasks
		set done_at = $3, done_by = 'lethe'
		where kind = $1 and form_id = $2 and done_at is null
		  and event_id not in (select event_id from gone_questions where form_id = $2)`, TaskQuestions, form, s.store.now())
	if err != nil {
		return err
	}
	var rows []struct {
		Event uuid.UUID `db:"event_id"`
		N     int       `db:"n"`
	}
	err = db.Select(ctx, tx, &rows, `
		select event_id, count(*) as n
		from gone_questions
		where form_id = $1
		group by event_id
		order by event_id`, form)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := s.store.Tasks.Ask(ctx, tx, Task{Kind: TaskQuestions, Event: r.Event, Form: form, Count: r.N}); err != nil {
			return err
		}
	}
	return nil
}

// GoneQuestion is a linked question that its form does not have any more.
type GoneQuestion struct {
	Event    attendees.EventID    `db:"source_id"`
	Form     attendees.FormID     `db:"form_id"`
	Question attendees.QuestionID `db:"question"`
}

// Gone lists the linked questions of open events that do not exist any more: no new attendee
// can answer them.
func (s *Forms) Gone(ctx context.Context, q db.Queryer) (all []GoneQuestion, err error) {
	defer db.Wrap(&err, "look for questions that are gone")
	err = db.Select(ctx, q, &all, `
		select e.source_id, g.form_id, g.question
		from gone_questions g
		join events e on e.id = g.event_id
		order by e.source_id, g.form_id, g.question`)
	return all, err
}

// Questions are the refs of a form's linked questions by every id that they ever had. Its
// responses are asked for all of these ids: earlier ones keep the old.
func (s *Forms) Questions(ctx context.Context, form attendees.FormID) (refs map[attendees.QuestionID]attendees.QuestionID, err error) {
	defer db.Wrap(&err, "list the questions of form %s", form)
	var rows []struct{ ID, Ref attendees.QuestionID }
	err = db.Select(ctx, s.store.pool, &rows, `
		select question_id as id, ref
		from questions
		where form_id = $1 and ref in (select unnest(questions) from links where form_id = $1)`, form)
	refs = make(map[attendees.QuestionID]attendees.QuestionID, len(rows))
	for _, r := range rows {
		refs[r.ID] = r.Ref
	}
	return refs, err
}

// Host is the host that a form's responses are at, as its definition last said; empty where
// it names none, or was not read yet.
func (s *Forms) Host(ctx context.Context, q db.Queryer, form attendees.FormID) (host string, err error) {
	defer db.Wrap(&err, "find the host of form %s", form)
	err = db.Get(ctx, q, &host, `select host from forms where id = $1`, form)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return host, err
}

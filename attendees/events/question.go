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

// saveForm stores a form with the ids that its questions have, next to those that they had.
// It tells whether a linked question has a new id, or the responses another host.
func (s *Forms) saveForm(ctx context.Context, tx db.Tx, f attendees.Form) (changed bool, err error) {
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
		on conflict (id) do update set title = excluded.title, host = excluded.host, seen_at = excluded.seen_at`, f.ID, f.Title, f.Host, s.store.now())
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
			where q.gone_at is not null`, f.ID, q.Key(), q.ID, s.store.now())
		if err != nil {
			return false, err
		}
		changed = changed || n > 0
	}
	_, err = db.Exec(ctx, tx, `
		update questions
		set gone_at = $3
		where form_id = $1 and gone_at is null and not question_id = any($2)`, f.ID, ids, s.store.now())
	return changed, err
}

func (s *Forms) linkedQuestions(ctx context.Context, q db.Queryer, form attendees.FormID) (linked []attendees.QuestionID, err error) {
	err = db.Select(ctx, q, &linked, `select distinct question from link_fields where form_id = $1`, form)
	return linked, err
}

// Refresh stores what a form's definition says now. Where a linked question has a new
// id, or the responses another host, the form is read again from its beginning. gone are
// the linked questions that the form does not have any more: nobody can answer them.
func (s *Forms) Refresh(ctx context.Context, f attendees.Form) (gone []attendees.QuestionID, err error) {
	defer db.Wrap(&err, "refresh form %s", f.ID)
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
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
		return s.store.Feeds.Rewind(ctx, tx, FormFeed(f.ID))
	})
	return gone, err
}

// askAboutQuestions keeps a task open for each open event while linked questions of a form
// do not exist.
func (s *Forms) askAboutQuestions(ctx context.Context, tx db.Tx, form attendees.FormID, gone int) error {
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
			err = s.store.Tasks.Settle(ctx, tx, about)
		} else {
			err = s.store.Tasks.Ask(ctx, tx, about)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// QuestionIDs are all ids that the linked questions of a form ever had: what its responses
// are to be asked for, since earlier ones keep the old ids.
func (s *Forms) QuestionIDs(ctx context.Context, form attendees.FormID) (ids []attendees.QuestionID, err error) {
	defer db.Wrap(&err, "list the questions of form %s", form)
	err = db.Select(ctx, s.store.pool, &ids, `
		select distinct q.question_id
		from questions q
		join link_fields l on l.form_id = q.form_id and l.question = q.ref
		where q.form_id = $1
		order by q.question_id`, form)
	return ids, err
}

// Refs are the refs of a form's linked questions by every id that they ever had, for
// responses that name a question by an old id alone.
func (s *Forms) Refs(ctx context.Context, form attendees.FormID) (refs map[attendees.QuestionID]attendees.QuestionID, err error) {
	defer db.Wrap(&err, "list the questions of form %s", form)
	var rows []struct {
		ID  attendees.QuestionID `db:"question_id"`
		Ref attendees.QuestionID `db:"ref"`
	}
	err = db.Select(ctx, s.store.pool, &rows, `select question_id, ref from questions where form_id = $1`, form)
	refs = make(map[attendees.QuestionID]attendees.QuestionID, len(rows))
	for _, r := range rows {
		refs[r.ID] = r.Ref
	}
	return refs, err
}

// Host is the host that a form's responses are at, as its definition last said; empty
// where it names none, or was not read yet.
func (s *Forms) Host(ctx context.Context, form attendees.FormID) (host string, err error) {
	defer db.Wrap(&err, "find the host of form %s", form)
	err = db.Get(ctx, s.store.pool, &host, `select host from forms where id = $1`, form)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return host, err
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

const (
	// upstreamBatch is how many ids are kept in one statement: a fraction of a second's work.
	upstreamBatch = 10_000
	// seenAfter is how long after a source was told to delete it is looked at again: it
	// takes its time, and what one reply leaves out may be there in the next.
	seenAfter = 24 * time.Hour
)

// keepUpstream keeps the ids of the responses that are linked to an event's people,
// before its readable room goes: their source holds them still. What the policy leaves
// there for good is not kept. It may be cut off and called again.
func (s *Store) keepUpstream(ctx context.Context, event uuid.UUID) error {
	var there bool
	if err := s.db.GetContext(ctx, &there, `select to_regclass($1) is not null`, room(event)); err != nil || !there {
		return quiet("look for a room", err) // it is gone already, so all were kept
	}
	var forms []attendees.FormID
	err := s.db.SelectContext(ctx, &forms, `
		select distinct form_id
		from personal
		where event_id = $1 and part = 'response'`, event)
	if err != nil {
		return quiet("list an event's forms", err)
	}
	kept := s.formsWith(forms, func(u attendees.Upstream) bool { return u != attendees.UpstreamNever })
	for after := uuid.Nil; len(kept) > 0; {
		err := s.db.GetContext(ctx, &after, `
			with batch as materialized (
				select id, form_id, source_id, attendee_id
				from personal
				where event_id = $1 and part = 'response' and attendee_id is not null and id > $2
				order by id
				limit $3
			), kept as (
				insert into upstream (id, event_id, form_id, response_id, attendee_id)
				select id, $1, form_id, source_id, attendee_id
				from batch
				where form_id = any($4)
				on conflict do nothing
			)
			select id from batch order by id desc limit 1`, event, after, upstreamBatch, kept)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return quiet("keep responses' ids", err)
		}
	}
	return nil
}

// formsWith are those forms of which the policy says such a thing.
func (s *Store) formsWith(forms []attendees.FormID, is func(attendees.Upstream) bool) pq.StringArray {
	var some pq.StringArray
	for _, f := range forms {
		if is(s.policy.UpstreamOf(f)) {
			some = append(some, string(f))
		}
	}
	return some
}

// letGoUpstream makes those responses of an event due at their source whose people have
// gone here, and, of an event that is blocked and in no doubt, those whose form's policy
// wants them gone once they are sealed. Staff are asked where it says so.
func (s *Store) letGoUpstream(ctx context.Context, tx *sqlx.Tx, e Event) error {
	var forms []attendees.FormID
	if err := tx.SelectContext(ctx, &forms, `select distinct form_id from upstream where event_id = $1`, e.Key); err != nil {
		return quiet("list an event's forms", err)
	}
	if len(forms) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		update upstream u
		set due_at = coalesce(due_at, $2), attendee_id = null
		where event_id = $1 and attendee_id is not null
		  and not exists (select from attendees a where a.id = u.attendee_id and a.event_id = $1)`,
		e.Key, s.now())
	if err != nil {
		return quiet("let responses go", err)
	}
	_, err = tx.ExecContext(ctx, `
		update upstream
		set due_at = $2
		where event_id = $1 and due_at is null and form_id = any($3)
		  and exists (select from events where id = $1 and blocked_at is not null and not doubted)`,
		e.Key, s.now(), s.formsWith(forms, func(u attendees.Upstream) bool { return u == attendees.UpstreamWhenBlocked }))
	if err != nil {
		return quiet("let responses go", err)
	}
	_, err = tx.ExecContext(ctx, `
		delete from upstream
		where event_id = $1 and form_id = any($2)`,
		e.Key, s.formsWith(forms, func(u attendees.Upstream) bool { return u == attendees.UpstreamNever }))
	if err != nil {
		return quiet("leave responses to their source", err)
	}
	for _, f := range forms {
		if s.policy.UpstreamOf(f) == attendees.UpstreamAsk {
			if err := s.askForm(ctx, tx, e, f, `Lethe does it by itself where the policy says "upstream": "when_due"`); err != nil {
				return err
			}
		}
	}
	return nil
}

// eraseUpstream makes the responses of one who was erased due at their source.
func (s *Store) eraseUpstream(ctx context.Context, tx *sqlx.Tx, e Event, form attendees.FormID, id attendees.ResponseID) error {
	if s.policy.UpstreamOf(form) == attendees.UpstreamNever {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		insert into upstream (id, event_id, form_id, response_id, due_at)
		values ($1, $2, $3, $4, $5)
		on conflict (id, event_id) do update set
			due_at = coalesce(upstream.due_at, excluded.due_at),
			attendee_id = null`, responseKey(form, id), e.Key, form, id, s.now())
	return quiet("let a response go", err)
}

// formTask is the kind of a task about one form's responses.
func formTask(form attendees.FormID) string { return formTasks + string(form) }

const formTasks = "typeform/"

// askForm asks staff to delete at Typeform what is due there of one form, and says why
// Lethe does not. A task that is open is brought up to date.
func (s *Store) askForm(ctx context.Context, tx *sqlx.Tx, e Event, form attendees.FormID, why string) error {
	var due int
	err := tx.GetContext(ctx, &due, `
		select count(*)
		from upstream u
		where event_id = $1 and form_id = $2 and due_at is not null and not `+upstreamHeld("u", "$3"), e.Key, form, s.holdDay())
	if err != nil {
		return quiet("count what is due upstream", err)
	}
	if due == 0 { // or a hold keeps it by now
		return s.closeFormTask(ctx, tx, e.Key, form)
	}
	says := fmt.Sprintf("At Typeform, delete those responses to form %s that were linked to event %s and are kept here no more: %d. "+
		"The form may hold others, which Lethe never took. %s", form, e.ID, due, why)
	_, err = tx.ExecContext(ctx, `
		insert into tasks (event_id, kind, says, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id, kind) where done_at is null do update set says = excluded.says`, e.Key, formTask(form), says, s.now())
	return quiet("add a task", err)
}

// closeFormTask ticks off by itself what there is nothing left to do of.
func (s *Store) closeFormTask(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, form attendees.FormID) error {
	_, err := tx.ExecContext(ctx, `
		update tasks
		set done_at = $3
		where event_id = $1 and kind = $2 and done_at is null`, event, formTask(form), s.now())
	return quiet("tick a task off", err)
}

// upstreamHeld tells of a row of upstream that a hold keeps it, on the day of that
// parameter, or that its person asked for a restriction: nothing of her is deleted then.
func upstreamHeld(row, today string) string {
	return `(exists (
		select from holds h
		where h.event_id = ` + row + `.event_id and (h.attendee_id is null or h.attendee_id = ` + row + `.attendee_id) and ` + standing(today) + `)
	  or exists (
		select from attendees r
		where r.id = ` + row + `.attendee_id and r.reason in ('restriction', 'objection')))`
}

// keepAnswer keeps the id of one response of an event's attendee, as keepUpstream does.
func (s *Store) keepAnswer(ctx context.Context, tx *sqlx.Tx, event, attendee uuid.UUID, r answerID) error {
	form := attendees.FormID(r.Form)
	if s.policy.UpstreamOf(form) == attendees.UpstreamNever {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		insert into upstream (id, event_id, form_id, response_id, attendee_id)
		values ($1, $2, $3, $4, $5)
		on conflict do nothing`, responseKey(form, attendees.ResponseID(r.ID)), event, r.Form, r.ID, attendee)
	return quiet("keep a response's id", err)
}

// Upstream is what is due at Typeform: responses to one form, linked to one event.
type Upstream struct {
	Event attendees.EventID `db:"event"`
	Form  attendees.FormID  `db:"form"`
	key   uuid.UUID
}

// DueUpstream lists what is to be deleted at Typeform, or looked at again, by what the
// policy says now; where it says to ask, staff are asked.
func (s *Store) DueUpstream(ctx context.Context) ([]Upstream, error) {
	var events []Event
	err := s.db.SelectContext(ctx, &events, `
		select `+eventColumns+`
		from events
		where id in (select event_id from upstream)
		  and not (history and blocked_at is null) -- its answers are still to be read
		order by source_id`)
	if err != nil {
		return nil, quiet("list what is due upstream", err)
	}
	var due []Upstream
	for _, e := range events {
		if err := s.InTx(ctx, func(tx *sqlx.Tx) error { return s.letGoUpstream(ctx, tx, e) }); err != nil {
			return nil, err
		}
		var forms []attendees.FormID
		err := s.db.SelectContext(ctx, &forms, `
			select distinct form_id
			from upstream
			where event_id = $1 and due_at is not null and (told_at is null or told_at <= $2)
			order by form_id`, e.Key, s.now().Add(-seenAfter))
		if err != nil {
			return nil, quiet("list what is due upstream", err)
		}
		for _, f := range forms {
			if s.policy.UpstreamOf(f).Deletes() {
				due = append(due, Upstream{Event: e.ID, Form: f, key: e.Key})
			}
		}
	}
	return due, nil
}

// LockUpstream lets nobody put a hold on the event, block it or delete it until unlock.
func (s *Store) LockUpstream(ctx context.Context, u Upstream) (unlock func(), err error) {
	return s.lockLife(ctx, u.Event)
}

// UpstreamBatch gives at most so many ids of what is due: those that the source was never
// told to delete, and those that it was told a day ago or more and that are to be looked
// at again. Left out is what a hold keeps, and what another event of the form still needs.
func (s *Store) UpstreamBatch(ctx context.Context, u Upstream, most int) (untold, told []attendees.ResponseID, err error) {
	events, err := s.formEvents(ctx, u.Form)
	if err != nil {
		return nil, nil, err
	}
	var rows []struct {
		ID   attendees.ResponseID `db:"response_id"`
		Told bool                 `db:"told"`
	}
	err = s.db.SelectContext(ctx, &rows, `
		select u.response_id, u.told_at is not null as told
		from upstream u
		where u.event_id = $1 and u.form_id = $2 and u.due_at is not null and (u.told_at is null or u.told_at <= $3)
		  and not `+upstreamHeld("u", "$4")+`
		  and not exists (
			select from upstream o
			where o.id = u.id and o.event_id <> u.event_id and (o.due_at is null or `+upstreamHeld("o", "$4")+`))
		  and not exists (
			select from personal p
			where p.event_id = any($5::uuid[]) and p.event_id <> u.event_id and p.id = u.id and p.attendee_id is not null)
		order by u.id
		limit $6`, u.key, u.Form, s.now().Add(-seenAfter), s.holdDay(), events, most)
	if err != nil {
		return nil, nil, quiet("list what is due upstream", err)
	}
	for _, r := range rows {
		if r.Told {
			told = append(told, r.ID)
			continue
		}
		untold = append(untold, r.ID)
	}
	return untold, told, nil
}

// ToldUpstream notes that Typeform was told to delete those. Until this is noted it is
// told again, which does no harm.
func (s *Store) ToldUpstream(ctx context.Context, u Upstream, ids []attendees.ResponseID) error {
	_, err := s.db.ExecContext(ctx, `
		update upstream
		set told_at = $3
		where event_id = $1 and id = any($2::uuid[])`, u.key, u.keys(ids), s.now())
	return quiet("note what a source was told", err)
}

// GoneUpstream notes that those were seen to be gone at Typeform: their ids go, and the
// ledger says how many. It returns how many were still kept.
func (s *Store) GoneUpstream(ctx context.Context, u Upstream, ids []attendees.ResponseID) (n int, err error) {
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, `delete from upstream where event_id = $1 and id = any($2::uuid[])`, u.key, u.keys(ids))
		if err != nil {
			return quiet("note what is gone upstream", err)
		}
		rows, err := result.RowsAffected()
		if n = int(rows); err != nil || n == 0 {
			return quiet("note what is gone upstream", err)
		}
		var more bool
		err = tx.GetContext(ctx, &more, `
			select exists (
				select from upstream
				where event_id = $1 and form_id = $2 and due_at is not null)`, u.key, u.Form)
		if err != nil {
			return quiet("look for what is due upstream", err)
		}
		if !more {
			if err := s.closeFormTask(ctx, tx, u.key, u.Form); err != nil {
				return err
			}
		}
		_, err = s.record(ctx, tx, ledger.Entry{
			Kind: ledger.GoneUpstream, Event: string(u.Event), Form: string(u.Form), Counts: map[string]int64{"gone": rows},
		})
		return err
	})
	return n, err
}

// AskUpstream puts before staff what Lethe cannot delete, and why.
func (s *Store) AskUpstream(ctx context.Context, u Upstream, why string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		return s.askForm(ctx, tx, Event{Key: u.key, ID: u.Event}, u.Form, why)
	})
}

func (u Upstream) keys(ids []attendees.ResponseID) pq.StringArray {
	keys := make([]uuid.UUID, len(ids))
	for i, id := range ids {
		keys[i] = responseKey(u.Form, id)
	}
	return texts(keys)
}

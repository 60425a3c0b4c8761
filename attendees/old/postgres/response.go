package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
)

// AnswerChanges counts what a form's listing did.
type AnswerChanges struct {
	New, Changed, Unchanged int
	Late                    int // of events that take nobody in any more
}

// SaveResponses stores what is left of one form's responses after the policy has
// minimised them, for every event that the form is linked to, and links them to
// their attendees. A response that found its attendee in one event is not kept in
// the others. It may be called twice with the same responses.
func (s *Store) SaveResponses(ctx context.Context, tx *sqlx.Tx, responses map[attendees.EventID][]attendees.MinimisedResponse) (AnswerChanges, error) {
	var n AnswerChanges
	var keys []uuid.UUID
	for id := range responses {
		keys = append(keys, eventKey(attendees.Eventbrite, id))
	}
	open, err := s.lockOpen(ctx, tx, keys)
	if err != nil {
		return n, err
	}
	slices.SortFunc(keys, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, event := range keys {
		e, ok := open[event]
		if !ok {
			continue
		}
		parts := make([]part, 0, len(responses[e.ID]))
		for _, r := range responses[e.ID] {
			parts = append(parts, s.responsePart(e, r.Response()))
		}
		parts = newestOnly(parts)
		changes, err := s.saveAnswers(ctx, tx, event, parts)
		if err != nil {
			return n, err
		}
		n.New, n.Changed, n.Unchanged = max(n.New, changes.New), max(n.Changed, changes.Changed), max(n.Unchanged, changes.Unchanged)
	}
	if len(open) == 0 {
		for _, rs := range responses {
			n.Late = max(n.Late, len(rs))
		}
	}
	if len(open) > 1 {
		return n, s.leaveOthers(ctx, tx, keys)
	}
	return n, nil
}

func (s *Store) saveAnswers(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, parts []part) (AnswerChanges, error) {
	var n AnswerChanges
	var rows []struct {
		ID      uuid.UUID `db:"id"`
		Digest  []byte    `db:"digest"`
		Dropped bool      `db:"dropped"`
	}
	err := tx.SelectContext(ctx, &rows, `
		select id, digest, part = 'dropped' as dropped
		from personal
		where event_id = $1 and id = any($2::uuid[])`, event, pq.StringArray(texts(keysOf(parts))))
	if err != nil {
		return n, quiet("read responses", err)
	}
	held, dropped := make(map[uuid.UUID][]byte, len(rows)), map[uuid.UUID]bool{}
	for _, r := range rows {
		held[r.ID], dropped[r.ID] = r.Digest, r.Dropped
	}
	erased, err := s.barred(ctx, tx, event, unknown(parts, held))
	if err != nil {
		return n, err
	}
	shut, err := s.shut(ctx, tx, event, parts)
	if err != nil {
		return n, err
	}
	var agreed []uuid.UUID
	write := parts[:0]
	for _, p := range parts {
		digest, known := held[p.id]
		whose := shut.of(p)
		if whose.sealed && !erased[p.id] && !p.agreed.IsZero() {
			agreed = append(agreed, whose.id)
		}
		switch {
		case erased[p.id], whose.sealed:
			n.Late++ // she was erased, or is sealed for herself: nothing of her becomes readable
			continue
		case !known:
			n.New++
		case dropped[p.id]:
			n.Unchanged++ // it was nobody's for too long
			continue
		case bytes.Equal(digest, p.digest):
			n.Unchanged++
			continue
		default:
			n.Changed++
		}
		p.drop(s.withdrawnFields(whose.withdrawn))
		write = append(write, p)
	}
	if err := s.noteAgreed(ctx, tx, event, agreed); err != nil || len(write) == 0 {
		return n, err
	}
	c := columnsOf(write)
	_, err = tx.ExecContext(ctx, `
		insert into personal (event_id, id, part, source_id, form_id, claims, address_index, submitted_at, received_at,
			name, email, agreement_version, agreed_at, affiliation, forums, answers, digest)
		select $1, id, 'response', source_id, form_id, nullif(claims, '')::uuid, address_index, submitted_at::timestamptz, $2,
			name, email, agreement_version, nullif(agreed_at, '')::timestamptz, affiliation, forums::text[], answers::jsonb, digest
		from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::text[],
				$11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[])
			as t (id, source_id, form_id, claims, address_index, submitted_at, name, email,
				agreement_version, agreed_at, affiliation, forums, answers, digest)
		on conflict (event_id, id) do update set
			claims = excluded.claims,
			address_index = excluded.address_index,
			submitted_at = excluded.submitted_at,
			name = excluded.name,
			email = excluded.email,
			agreement_version = excluded.agreement_version,
			agreed_at = excluded.agreed_at,
			affiliation = excluded.affiliation,
			forums = excluded.forums,
			answers = excluded.answers,
			digest = excluded.digest`,
		event, s.now(), c.ids, c.sourceIDs, c.forms, c.claims, c.indexes, c.changed, c.names, c.emails,
		c.versions, c.agreed, c.affiliations, c.forums, c.answers, c.digests)
	if err != nil {
		return n, quiet("save responses", err)
	}
	concerned, err := s.match(ctx, tx, event, scope{responses: keysOf(write)})
	if err != nil {
		return n, err
	}
	if err := s.leaveClosed(ctx, tx, event, keysOf(write)); err != nil {
		return n, err
	}
	return n, s.fill(ctx, tx, event, concerned)
}

// leaveClosed drops those responses that are nobody's here and somebody's of another event of
// the form that is blocked or deleted: what is sealed there is not to be readable here.
func (s *Store) leaveClosed(ctx context.Context, tx *sqlx.Tx, event uuid.UUID, ids []uuid.UUID) error {
	result, err := tx.ExecContext(ctx, `
		delete from personal p
		where p.event_id = $1 and p.id = any($2::uuid[]) and p.part = 'response' and p.attendee_id is null
		  and (exists (
			select from upstream u
			join events e on e.id = u.event_id
			where u.id = p.id and u.event_id <> $1 and e.state <> 'active')
		  or exists (
			select from attendees a
			join events e on e.id = a.event_id
			where a.id = p.claims and a.event_id <> $1 and e.state <> 'active'))`, event, pq.StringArray(texts(ids)))
	if err != nil {
		return quiet("drop responses of a closed event", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return quiet("drop responses of a closed event", err)
	}
	return s.askRewrite(ctx, tx, personalRooms, event)
}

// Answered counts a form's responses that are held, and how many of them belong to
// nobody, each once however many events the form is linked to.
func (s *Store) Answered(ctx context.Context, form attendees.FormID) (all, unmatched int, err error) {
	events, err := s.formEvents(ctx, form)
	if err != nil {
		return 0, 0, err
	}
	err = s.db.QueryRowxContext(ctx, `
		select count(*), count(*) filter (where nobody)
		from (
			select id, bool_and(attendee_id is null) as nobody
			from personal
			where event_id = any($1::uuid[]) and part = 'response' and form_id = $2
			group by id) as each`, events, form).Scan(&all, &unmatched)
	return all, unmatched, quiet("count responses", err)
}

// DropUnmatched deletes the responses that belonged to nobody for as long as the
// policy keeps such, and returns how many. Being nobody's, they are needed for
// nothing (GDPR Art. 5(1)(e)), unless a hold stands on their event, or on whom they name.
// Of each the bare key stays, so that it does not come back when its form is read again.
func (s *Store) DropUnmatched(ctx context.Context) (int, error) {
	if err := s.InTx(ctx, func(tx *sqlx.Tx) error { return s.believe(ctx, tx, s.now()) }); err != nil {
		return 0, err
	}
	events, err := s.Events(ctx)
	if err != nil {
		return 0, err
	}
	before := s.now().Add(-time.Duration(s.policy.UnmatchedDays) * 24 * time.Hour)
	dropped := 0
	for _, e := range events {
		if e.State != attendees.Active {
			continue
		}
		err := s.InTx(ctx, func(tx *sqlx.Tx) error {
			n, err := s.leaveEarly(ctx, tx, "drop unmatched responses", e.Key, `
				with gone as (
					delete from personal
					where event_id = $1 and part = 'response' and attendee_id is null and received_at < $2
					  and not `+holding("$1", "claims", "$3")+`
					returning event_id, id
				)
				insert into personal (event_id, id, part)
				select event_id, id, 'dropped'
				from gone`, before, s.holdDay())
			dropped += n
			return err
		})
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

// Add counts other's in.
func (n *AnswerChanges) Add(o AnswerChanges) {
	n.New += o.New
	n.Changed += o.Changed
	n.Unchanged += o.Unchanged
	n.Late += o.Late
}

// Unmatched counts an event's responses that belong to nobody.
func (s *Store) Unmatched(ctx context.Context, e Event) (int, error) {
	var n int
	err := s.db.GetContext(ctx, &n, `
		select count(*)
		from personal
		where event_id = $1 and part = 'response' and attendee_id is null`, e.Key)
	return n, quiet("count unmatched responses", err)
}

// Unmatched is how many responses of an event belong to nobody.
type Unmatched struct {
	Event     attendees.EventID `json:"event"`
	Responses int               `json:"responses"`
	Since     attendees.Date    `json:"since"` // the oldest of them, as it came
}

// AllUnmatched counts the responses of each open event that belong to nobody.
func (s *Store) AllUnmatched(ctx context.Context) ([]Unmatched, error) {
	events, err := s.Events(ctx)
	if err != nil {
		return nil, err
	}
	all := []Unmatched{}
	for _, e := range events {
		if e.State != attendees.Active {
			continue
		}
		u := Unmatched{Event: e.ID}
		var since sql.NullTime
		err := s.db.QueryRowxContext(ctx, `
			select count(*), min(received_at)
			from personal
			where event_id = $1 and part = 'response' and attendee_id is null`, e.Key).Scan(&u.Responses, &since)
		if err != nil {
			return nil, quiet("count unmatched responses", err)
		}
		if u.Responses > 0 {
			u.Since = attendees.DateOf(since.Time.UTC())
			all = append(all, u)
		}
	}
	return all, nil
}

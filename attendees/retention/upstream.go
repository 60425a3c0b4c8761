package retention

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
)

// seenAfter is how long after a source was told to delete it is asked again: it takes its
// time, and what one reply leaves out may be there in the next.
const seenAfter = 24 * time.Hour

// Upstream is what is to be deleted at sources.
type Upstream struct{ store *Store }

// release makes those responses of an event due at their source whose attendees are not stored
// any more, and, of a blocked event without an open question, those whose form's policy wants
// them gone once they are sealed. Where the policy says so, staff are asked.
func (s *Upstream) release(ctx context.Context, tx db.Tx, e events.Event) error {
	var forms []attendees.FormID
	if err := db.Select(ctx, tx, &forms, `select distinct form_id from upstream where event_id = $1`, e.Key); err != nil || len(forms) == 0 {
		return err
	}
	_, err := db.Exec(ctx, tx, `
		update upstream u
		set due_at = coalesce(due_at, $2), attendee_id = null
		where u.event_id = $1 and u.attendee_id is not null
		  and not exists (select from attendees a where a.id = u.attendee_id)`, e.Key, s.store.now())
	if err != nil {
		return err
	}
	if e.State == attendees.Blocked && e.Question != events.Asked {
		_, err := db.Exec(ctx, tx, `
			update upstream
			set due_at = $2
			where event_id = $1 and due_at is null and form_id = any($3)
			  and attendee_id not in (select attendee_id from staying($1)) and not $4`, e.Key, s.store.now(), s.formsWith(forms, attendees.UpstreamWhenBlocked), e.Held)
		if err != nil {
			return err
		}
	}
	_, err = db.Exec(ctx, tx, `delete from upstream where event_id = $1 and form_id = any($2)`, e.Key, s.formsWith(forms, attendees.UpstreamNever))
	if err != nil {
		return err
	}
	for _, f := range forms {
		if s.store.policy.UpstreamOf(f) == attendees.UpstreamAsk {
			if err := s.askForm(ctx, tx, e.Key, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Upstream) formsWith(forms []attendees.FormID, is attendees.Upstream) (some pq.StringArray) {
	some = pq.StringArray{}
	for _, f := range forms {
		if s.store.policy.UpstreamOf(f) == is {
			some = append(some, string(f))
		}
	}
	return some
}

// askForm keeps a task open while responses to a form are due at their source.
func (s *Upstream) askForm(ctx context.Context, tx db.Tx, event uuid.UUID, form attendees.FormID) error {
	var due int
	err := db.Get(ctx, tx, &due, `select count(*) from upstream where event_id = $1 and form_id = $2 and due_at is not null`, event, form)
	if err != nil {
		return err
	}
	about := events.Task{Kind: events.TaskResponses, Event: event, Form: form, Count: due}
	if due == 0 {
		return s.store.events.Tasks.Settle(ctx, tx, about)
	}
	return s.store.events.Tasks.Ask(ctx, tx, about)
}

// Erased makes the responses of somebody who was erased due at their source, for a caller
// who has the event's row in tx.
func (s *Upstream) Erased(ctx context.Context, tx db.Tx, e events.Event, gone []attendees.Layer) (err error) {
	defer db.Wrap(&err, "let the responses of somebody erased go")
	hashes, err := s.store.secrets.Hashes(e.Secret)
	if err != nil {
		return err
	}
	for _, l := range gone {
		form, id := l.Response()
		if s.store.policy.UpstreamOf(form) == attendees.UpstreamNever {
			continue
		}
		_, err := db.Exec(ctx, tx, `
			insert into upstream (id, event_id, form_id, sealed, due_at)
			values ($1, $2, $3, $4, $5)
			on conflict (event_id, id) do update set due_at = coalesce(upstream.due_at, excluded.due_at), attendee_id = null`,
			uuid.UUID(hashes.Response(string(e.ID), string(form), string(id))), e.Key, form, s.store.people.SealIDs(e.Key, string(id)), s.store.now())
		if err != nil {
			return err
		}
	}
	return s.release(ctx, tx, e)
}

// Due is what is due at a source: responses to one form, of one event.
type Due struct {
	Event attendees.EventID
	Key   uuid.UUID
	Form  attendees.FormID
}

// Due lists what is to be deleted at its source, or asked for again, by what the
// policy says now; where it says to ask, staff are asked.
func (s *Upstream) Due(ctx context.Context) (due []Due, err error) {
	defer db.Wrap(&err, "list what is due upstream")
	all, err := s.store.events.List(ctx)
	if err != nil {
		return nil, err
	}
	var some []uuid.UUID
	if err := db.Select(ctx, s.store.pool, &some, `select distinct event_id from upstream`); err != nil {
		return nil, err
	}
	for _, e := range all {
		if !slices.Contains(some, e.Key) {
			continue
		}
		if err := db.InTx(ctx, s.store.pool, func(tx db.Tx) error { return s.release(ctx, tx, e) }); err != nil {
			return nil, err
		}
		var forms []attendees.FormID
		err := db.Select(ctx, s.store.pool, &forms, `
			select distinct form_id
			from upstream
			where event_id = $1 and due_at is not null and (told_at is null or told_at <= $2)
			order by form_id`, e.Key, s.store.now().Add(-seenAfter))
		if err != nil {
			return nil, err
		}
		for _, f := range forms {
			if s.store.policy.UpstreamOf(f).Deletes() {
				due = append(due, Due{e.ID, e.Key, f})
			}
		}
	}
	return due, nil
}

// AtSource is one response that is due at its source.
type AtSource struct {
	Key  uuid.UUID
	ID   attendees.ResponseID
	Told bool // the source was told a day ago, and is asked whether it is gone
}

// Batch gives at most so many responses that are due, but those that another event of
// the form still needs.
func (s *Upstream) Batch(ctx context.Context, u Due, most int) (all []AtSource, err error) {
	defer db.Wrap(&err, "list what is due upstream of event %s", u.Event)
	var rows []struct {
		Key    uuid.UUID `db:"id"`
		Sealed []byte    `db:"sealed"`
		Told   bool      `db:"told"`
	}
	err = db.Select(ctx, s.store.pool, &rows, `
		select id, sealed, told_at is not null as told
		from upstream
		where event_id = $1 and form_id = $2 and due_at is not null and (told_at is null or told_at <= $3)
		order by id
		limit $4`, u.Key, u.Form, s.store.now().Add(-seenAfter), most)
	if err != nil {
		return nil, err
	}
	needed, err := s.neededElsewhere(ctx, u)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		id, err := s.store.people.OpenIDs(u.Key, r.Sealed)
		if err != nil {
			return nil, err
		}
		if !needed[attendees.ResponseID(id)] {
			all = append(all, AtSource{r.Key, attendees.ResponseID(id), r.Told})
		}
	}
	return all, nil
}

// neededElsewhere are the responses of a form that another event keeps waiting at their source:
// a form that two events share waits for the later one.
func (s *Upstream) neededElsewhere(ctx context.Context, u Due) (map[attendees.ResponseID]bool, error) {
	needed := map[attendees.ResponseID]bool{}
	var rows []struct {
		Event  uuid.UUID `db:"event_id"`
		Sealed []byte    `db:"sealed"`
	}
	err := db.Select(ctx, s.store.pool, &rows, `select event_id, sealed from upstream where form_id = $1 and event_id <> $2 and due_at is null`, u.Form, u.Key)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		id, err := s.store.people.OpenIDs(r.Event, r.Sealed)
		if err != nil {
			return nil, err
		}
		needed[attendees.ResponseID(id)] = true
	}
	return needed, nil
}

// Told records that a source was told to delete those.
func (s *Upstream) Told(ctx context.Context, u Due, keys []uuid.UUID) (err error) {
	defer db.Wrap(&err, "record what a source was told")
	_, err = db.Exec(ctx, s.store.pool, `update upstream set told_at = $3 where event_id = $1 and id = any($2::uuid[])`, u.Key, pq.Array(keys), s.store.now())
	return err
}

// Gone records that those were seen to be gone at their source: their ids go, and the
// ledger says how many. It returns how many were still kept.
func (s *Upstream) Gone(ctx context.Context, u Due, keys []uuid.UUID) (n int64, err error) {
	defer db.Wrap(&err, "record what is gone upstream")
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		n, err = db.Exec(ctx, tx, `delete from upstream where event_id = $1 and id = any($2::uuid[])`, u.Key, pq.Array(keys))
		if err != nil || n == 0 {
			return err
		}
		if err := s.askForm(ctx, tx, u.Key, u.Form); err != nil {
			return err
		}
		_, err = s.store.ledger.Record(ctx, tx, ledger.Entry{
			Kind: ledger.GoneUpstream, Event: string(u.Event), Form: string(u.Form), Counts: map[string]int64{"gone": n},
		})
		return err
	})
	return n, err
}

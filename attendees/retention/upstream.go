package retention

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
)

const (
	// seenAfter is how long after a source was told to delete it is asked again: it takes its
	// time, and what one reply leaves out may be there in the next.
	seenAfter = 24 * time.Hour
	// upstreamPage is how many responses are looked at at a time.
	upstreamPage = 500
)

// Upstream is what is to be deleted at sources: responses whose attendees are not stored any
// more, and, of a blocked event without an open question, those that are sealed here, where
// the form's policy wants that. It is the view upstream_due: nothing has to be released.
type Upstream struct{ store *Store }

func (s *Upstream) whenBlocked(form attendees.FormID) bool {
	return s.store.policy.UpstreamOf(form) == attendees.UpstreamWhenBlocked
}

// Erased makes the responses of somebody who was erased due at their source, for a caller
// who has the event's row in tx.
func (s *Upstream) Erased(ctx context.Context, tx db.Tx, e events.Event, gone []attendees.Layer) (err error) {
	defer db.Wrap(&err, "have the responses of somebody erased deleted")
	hashes, err := s.store.secrets.Hashes(e.Secret)
	for _, l := range gone {
		form, id := l.Response()
		if err != nil || s.store.policy.UpstreamOf(form) == attendees.UpstreamNever {
			continue
		}
		_, err = db.Exec(ctx, tx, `
			insert into upstream (id, event_id, form_id, sealed)
			values ($1, $2, $3, $4)
			on conflict (event_id, id) do update set attendee_id = null`,
			uuid.UUID(hashes.Response(string(e.ID), string(form), string(id))), e.Key, form, s.store.secrets.SealText(events.IDs(e.Key), []byte(id)))
	}
	return err
}

// Due is what is due at a source: responses to one form, of one event.
type Due struct {
	Event attendees.EventID `db:"event"`
	Key   uuid.UUID         `db:"event_id"`
	Form  attendees.FormID  `db:"form_id"`
	N     int               `db:"n"`
	Gone  int               `db:"gone"` // of N: whose attendees are not stored any more
	Now   int               `db:"now"`  // of N: that the source was not told of within a day
}

// Due lists what is to be deleted at its source, or asked for again, by what the
// policy says now; where it says to ask, staff are asked, until nothing is due.
func (s *Upstream) Due(ctx context.Context) (due []Due, err error) {
	defer db.Wrap(&err, "list what is due upstream")
	_, err = db.Exec(ctx, s.store.pool, `
		update tasks t
		set done_at = $1, done_by = 'lethe'
		where kind = $2 and done_at is null and not exists (select from upstream_due u where u.event_id = t.event_id and u.form_id = t.form_id)`,
		s.store.now(), events.TaskResponses)
	if err != nil {
		return nil, err
	}
	var all []Due
	err = db.Select(ctx, s.store.pool, &all, `
		select e.source_id as event, u.event_id, u.form_id, count(*) as n, count(*) filter (where u.gone) as gone,
			count(*) filter (where u.told_at is null or u.told_at <= $1) as now
		from upstream_due u
		join events e on e.id = u.event_id
		group by e.source_id, u.event_id, u.form_id
		order by e.source_id, u.form_id`, s.store.now().Add(-seenAfter))
	for _, d := range all {
		how := s.store.policy.UpstreamOf(d.Form)
		switch {
		case err != nil:
			return nil, err
		case how == attendees.UpstreamNever:
			_, err = db.Exec(ctx, s.store.pool, `delete from upstream where event_id = $1 and form_id = $2`, d.Key, d.Form)
		case d.Gone == 0 && !s.whenBlocked(d.Form):
		case how == attendees.UpstreamAsk:
			err = s.Ask(ctx, d)
		case d.Now > 0:
			due = append(due, d)
		}
	}
	return due, err
}

// Ask asks staff to delete responses at their source: the policy wants it, or Lethe cannot.
func (s *Upstream) Ask(ctx context.Context, d Due) error {
	n := d.Gone
	if s.whenBlocked(d.Form) {
		n = d.N
	}
	return db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		return s.store.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskResponses, Event: d.Key, Form: d.Form, Count: n})
	})
}

// Done ticks a task off. Responses that it was about are taken to be deleted at their source.
func (s *Upstream) Done(ctx context.Context, number int, by string) error {
	return db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		t, err := s.store.events.Tasks.Done(ctx, tx, number, by)
		if err != nil || t.Kind != events.TaskResponses {
			return err
		}
		_, err = db.Exec(ctx, tx, `
			delete from upstream u
			using upstream_due d
			where u.event_id = $1 and u.form_id = $2 and d.event_id = u.event_id and d.id = u.id and (d.gone or $3)`,
			t.Event, t.Form, s.whenBlocked(t.Form))
		return err
	})
}

// AtSource is one response that is due at its source.
type AtSource struct {
	Key  uuid.UUID            `db:"id"`
	ID   attendees.ResponseID `db:"-"`
	Told bool                 `db:"told"` // the source was told a day ago, and is asked whether it is gone
}

// Batch gives at most so many responses that are due, but those that another event of
// the form has, too: a form that two events share waits for the later one.
func (s *Upstream) Batch(ctx context.Context, d Due, most int) (all []AtSource, err error) {
	defer db.Wrap(&err, "list what is due upstream of event %s", d.Event)
	others, err := s.store.events.List(ctx)
	if err != nil {
		return nil, err
	}
	var after uuid.UUID
	for page := upstreamPage; page == upstreamPage && len(all) < most; {
		var rows []struct {
			AtSource
			Sealed []byte `db:"sealed"`
		}
		err = db.Select(ctx, s.store.pool, &rows, `
			select id, sealed, told_at is not null as told
			from upstream_due
			where event_id = $1 and form_id = $2 and (gone or $3) and (told_at is null or told_at <= $4) and id > $5
			order by id
			limit $6`, d.Key, d.Form, s.whenBlocked(d.Form), s.store.now().Add(-seenAfter), after, upstreamPage)
		if err != nil {
			return nil, err
		}
		page = len(rows)
		for _, r := range rows {
			id, err := s.store.secrets.OpenText(events.IDs(d.Key), r.Sealed)
			if err != nil {
				return nil, err
			}
			needed, err := s.needed(ctx, others, d, string(id))
			if err != nil {
				return nil, err
			}
			r.ID, after = attendees.ResponseID(id), r.Key
			if !needed && len(all) < most {
				all = append(all, r.AtSource)
			}
		}
	}
	return all, nil
}

// needed tells whether another event has a response, too, and it is not due there.
func (s *Upstream) needed(ctx context.Context, others []events.Event, d Due, id string) (needed bool, err error) {
	var keys pq.StringArray
	for _, e := range others {
		if e.Key == d.Key || e.State == attendees.Deleted {
			continue
		}
		hashes, err := s.store.secrets.Hashes(e.Secret)
		if err != nil {
			return false, err
		}
		keys = append(keys, uuid.UUID(hashes.Response(string(e.ID), string(d.Form), id)).String())
	}
	err = db.Get(ctx, s.store.pool, &needed, `
		select exists (
			select from responses where id = any($1::uuid[])
			union all
			select from upstream where id = any($1::uuid[]) and id not in (select id from upstream_due where form_id = $2))`, keys, d.Form)
	return needed, err
}

// Told records that a source was told to delete those.
func (s *Upstream) Told(ctx context.Context, d Due, keys []uuid.UUID) (err error) {
	defer db.Wrap(&err, "record what a source was told")
	_, err = db.Exec(ctx, s.store.pool, `
		update upstream
		set told_at = $3
		where event_id = $1 and id = any($2::uuid[])`, d.Key, pq.Array(keys), s.store.now())
	return err
}

// Gone records that those were seen to be gone at their source: their ids go, and the
// ledger says how many. It returns how many were still kept.
func (s *Upstream) Gone(ctx context.Context, d Due, keys []uuid.UUID) (n int64, err error) {
	defer db.Wrap(&err, "record what is gone upstream")
	err = db.InTx(ctx, s.store.pool, func(tx db.Tx) error {
		n, err = db.Exec(ctx, tx, `delete from upstream where event_id = $1 and id = any($2::uuid[])`, d.Key, pq.Array(keys))
		if err != nil || n == 0 {
			return err
		}
		return s.store.record(ctx, tx, events.Event{ID: d.Event}, ledger.Entry{Kind: ledger.GoneUpstream, Form: string(d.Form), Counts: map[string]int64{"gone": n}})
	})
	return n, err
}

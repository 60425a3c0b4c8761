package retention

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// Answer answers the agreement question of a blocked event. With Drop the doubt key is
// destroyed: records of attendees who never agreed open to nobody, and are deleted; those
// on hold wait for its end. With Keep they stay like the others. Drop is refused where a
// source that failed answers again: the event is to be reopened then, and read. It returns how
// many records were dropped.
func (s *Store) Answer(ctx context.Context, id attendees.EventID, answer events.Question, reason string) (n int64, err error) {
	defer db.Wrap(&err, "answer the agreement question of event %s", id)
	err = s.write(ctx, id, func(tx db.Tx, e events.Event) (err error) {
		if e.State != attendees.Blocked {
			return fmt.Errorf("it is %s: it is asked again once it is blocked", e.State)
		}
		if err := s.events.Answer(ctx, tx, e, answer); err != nil {
			return err
		}
		e.Question = answer
		doubt, may := ledger.DoubtKeep, s.keep
		if answer == events.Drop {
			doubt, may = ledger.DoubtDrop, s.mayDrop
		}
		if err := may(ctx, tx, e); err != nil {
			return err
		}
		if n, err = s.settle(ctx, tx, e); err != nil {
			return err
		}
		if err := s.events.Tasks.Settle(ctx, tx, events.Task{Kind: events.TaskAgreements, Event: e.Key}); err != nil {
			return err
		}
		return s.record(ctx, tx, e, ledger.Entry{Kind: ledger.Answered, Reason: reason, Doubt: doubt, Counts: map[string]int64{"dropped": n}})
	})
	if err != nil {
		return 0, err
	}
	return n, s.vault.Rewrite(ctx)
}

// mayDrop refuses where a source of the event that could not be read answers again.
func (s *Store) mayDrop(ctx context.Context, tx db.Tx, e events.Event) error {
	sources, err := s.events.SourcesOf(ctx, tx, e)
	if err == nil && !sources.Dry && sources.Failing.IsZero() {
		err = fmt.Errorf("a source that could not be read answers again, so agreements may come yet: `lethe events reopen %s` first", e.ID)
	}
	return err
}

// keep notes that the doubt keys there are are not in question any more.
func (s *Store) keep(ctx context.Context, tx db.Tx, e events.Event) error {
	_, err := db.Exec(ctx, tx, `
		update preparations
		set keeps = array(select generation from keys where event_id = $1 and name = 'doubt')
		where event_id = $1`, e.Key)
	return err
}

// settle removes what nothing keeps in a blocked event any more, for a caller who has its row
// in tx: records that only a hold had kept, and, once staff said to drop them, those in doubt.
// Keys under which nobody lies are destroyed. It returns how many records went.
func (s *Store) settle(ctx context.Context, tx db.Tx, e events.Event) (n int64, err error) {
	n, err = db.Exec(ctx, tx, `
		with loose as (
			select r.*, $2 or exists (select from bars b where b.event_id = $1 and b.hash = r.attendee_id and b.what = 'held') as on_hold,
				exists (select from records h where h.event_id = $1 and h.attendee_id = r.attendee_id and h.kind = 'held') as has_all
			from records r
			join preparations p on p.event_id = r.event_id
			where r.event_id = $1 and (r.kind = 'held' or r.kind = 'doubt' and $3 and r.generation <> all(p.keeps))
		)
		delete from records r
		using loose l
		where r.event_id = $1 and r.attendee_id = l.attendee_id and r.kind = l.kind and r.generation = l.generation
		  and (not l.on_hold or l.kind = 'doubt' and l.has_all)`, e.Key, e.Held, e.Question == events.Drop)
	if err != nil {
		return n, err
	}
	for _, name := range []vault.Name{vault.Held, vault.Doubt} {
		var lie pq.ByteaArray
		if err := db.Select(ctx, tx, &lie, `select distinct generation from records where event_id = $1 and kind = $2`, e.Key, name); err != nil {
			return n, err
		}
		if err := s.vault.DestroyBut(ctx, tx, reader.Ref(e), name, lie...); err != nil {
			return n, err
		}
	}
	_, err = db.Exec(ctx, tx, `
		with gone as (
			delete from attendees a
			where a.event_id = $1 and a.state = 'blocked'
			  and not exists (select from records r where r.event_id = $1 and r.attendee_id = a.id and r.kind <> 'corrected')
			returning a.id, a.address_index
		), corrections as (
			delete from records r using gone g where r.event_id = $1 and r.attendee_id = g.id
		)
		update attendees a
		set shared = true
		from gone g
		where a.event_id = $1 and a.address_index = g.address_index and g.address_index <> '' and not exists (select from gone o where o.id = a.id)`, e.Key)
	return n, err
}

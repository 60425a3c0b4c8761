package retention

import (
	"context"
	"fmt"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/ledger"
	"lethe/attendees/reader"
	"lethe/attendees/vault"
)

// Answer answers the agreement question of a blocked event. With Drop the doubt key is
// destroyed: records of attendees who never agreed open to nobody, and are deleted. With Keep
// they stay like the others. Drop is refused where a source that failed answers again: the
// event is to be reopened then, and read. It returns how many were dropped.
func (s *Store) Answer(ctx context.Context, id attendees.EventID, answer events.Question, reason string) (n int64, err error) {
	defer db.Wrap(&err, "answer the agreement question of event %s", id)
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.events.Answer(ctx, tx, e, answer); err != nil {
			return err
		}
		doubt := ledger.DoubtKeep
		if answer == events.Drop {
			doubt = ledger.DoubtDrop
			if err := s.mayDrop(ctx, tx, e); err != nil {
				return err
			}
			if n, err = s.drop(ctx, tx, e); err != nil {
				return err
			}
		}
		if err := s.events.Tasks.Settle(ctx, tx, events.Task{Kind: events.TaskAgreements, Event: e.Key}); err != nil {
			return err
		}
		if e.Question = answer; s.Upstream.letGo(ctx, tx, e) != nil {
			return err
		}
		_, err = s.ledger.Record(ctx, tx, ledger.Entry{
			Kind: ledger.Answered, Event: string(id), Reason: reason, Doubt: doubt, Counts: map[string]int64{"dropped": n},
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, s.vault.Rewrite(ctx)
}

// mayDrop refuses where a source of the event that could not be read answers again.
func (s *Store) mayDrop(ctx context.Context, tx db.Tx, e events.Event) error {
	sources, err := s.events.SourcesOf(ctx, tx, e)
	if err != nil {
		return err
	}
	if !sources.Dry && sources.Failing.IsZero() {
		return fmt.Errorf("a source that could not be read answers again, so agreements may come yet: `lethe events reopen %s` first", e.ID)
	}
	return nil
}

func (s *Store) drop(ctx context.Context, tx db.Tx, e events.Event) (int64, error) {
	if err := s.vault.Destroy(ctx, tx, reader.Ref(e), vault.Doubt); err != nil {
		return 0, err
	}
	n, err := db.Exec(ctx, tx, `delete from records where event_id = $1 and kind = 'doubt'`, e.Key)
	if err != nil {
		return 0, err
	}
	_, err = db.Exec(ctx, tx, `
		delete from attendees a
		where a.event_id = $1 and a.state = 'blocked'
		  and not exists (select from records r where r.event_id = $1 and r.attendee_id = a.id)`, e.Key)
	return n, err
}

// Reopen makes a blocked event open again, which ends in the future after all or whose
// failed source answers: it is read whole again under a new working key. Bars stay, the old
// records stay with the officers, and who counted as agreed still does.
func (s *Store) Reopen(ctx context.Context, id attendees.EventID, reason string) (err error) {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, id)
		if err != nil {
			return err
		}
		if !e.Cleaned {
			return fmt.Errorf("event %s is still being cleaned up after its blocking: try again in a minute", id)
		}
		if e, err = s.events.Reopen(ctx, tx, e); err != nil {
			return err
		}
		if err := s.askCorrections(ctx, tx, e); err != nil {
			return err
		}
		_, err = s.ledger.Record(ctx, tx, ledger.Entry{Kind: ledger.Reopened, Event: string(id), Reason: reason, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String()})
		return err
	})
}

// askCorrections asks for each correction that only an officer or the person can open to be
// entered again.
func (s *Store) askCorrections(ctx context.Context, tx db.Tx, e events.Event) error {
	_, err := db.Exec(ctx, tx, `
		insert into tasks (kind, event_id, attendee_id, count, made_at)
		select $2, $1, attendee_id, count(*), $3
		from records
		where event_id = $1 and kind = 'corrected'
		group by attendee_id
		on conflict (kind, event_id, form_id, attendee_id) where done_at is null do nothing`, e.Key, events.TaskCorrected, s.now())
	return err
}

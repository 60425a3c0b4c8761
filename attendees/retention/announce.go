package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

const (
	// announceDays is how long before its day a deletion is announced.
	announceDays = 7
	// announceWait is how long a deletion waits at least after it was announced: a working
	// day to look.
	announceWait = 24 * time.Hour
	// stoodStill is after how long without a run there is no plan of the days before to
	// compare with: a day, and a run that came late.
	stoodStill = 30 * time.Hour
)

// FuseError says that a run would delete far more than was announced.
type FuseError struct {
	People, Announced int
	Plan              string // the plan's hash
}

func (e *FuseError) Error() string {
	return fmt.Sprintf("%d people would be deleted, and a week ago %d were announced: nothing is deleted. "+
		"If it is right: `lethe retention plan` shows the plan, `lethe retention run --accept %s` does it", e.People, e.Announced, e.Plan)
}

// Announce tells which events a run may delete: those whose deletion was announced a day
// before, or earlier. Others that are due are announced now, with those that will be within a
// week. What stays after its day, by a hold or a restriction, is announced when that ends.
// *FuseError says that more than twice as many people would be deleted as were announced a week
// ago: a clock or a policy may be wrong, and staff are asked. After a worker stood still for a
// day everything is announced again.
func (s *Store) Announce(ctx context.Context, plan Plan) (ready []Planned, err error) {
	begun, err := s.Started(ctx)
	if err != nil || begun.IsZero() {
		return nil, err
	}
	var fuse *FuseError
	now := s.now()
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if err := s.keepAnnouncing(ctx, tx); err != nil {
			return err
		}
		for _, e := range plan.Events {
			due := e.DueToDelete(now)
			switch {
			case !due && e.Expired(now):
				if err := s.unannounce(ctx, tx, e.Key); err != nil {
					return err
				}
				continue
			case !due && e.Today(now).AddDays(announceDays).Before(e.DeleteOn):
				continue
			}
			madeAt, err := s.announce(ctx, tx, e)
			if err != nil {
				return err
			}
			if due && now.Sub(madeAt) >= announceWait {
				ready = append(ready, e)
			}
		}
		var surprise Planned
		if fuse, surprise, err = s.fuse(ctx, tx, plan, ready); err != nil {
			return err
		}
		if fuse != nil {
			return s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskFuse, Event: surprise.Key, Count: fuse.People})
		}
		_, err = db.Exec(ctx, tx, `update tasks set done_at = $1, done_by = 'lethe' where kind = $2 and done_at is null`, now, events.TaskFuse)
		return err
	})
	if err == nil && fuse != nil {
		err = fuse
	}
	if err != nil {
		return nil, err
	}
	return ready, nil
}

// fuse tells whether more than twice as many people would be deleted as were announced for
// it a week ago, and names the largest event that was not. Where there was not a run every day
// for so long there is nothing to compare with.
func (s *Store) fuse(ctx context.Context, q db.Queryer, plan Plan, due []Planned) (_ *FuseError, surprise Planned, err error) {
	value, last, err := db.Marked(ctx, q, announced)
	if err != nil {
		return nil, surprise, err
	}
	now := s.now()
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || now.Sub(last) > stoodStill || now.Sub(since) < announceDays*24*time.Hour {
		return nil, surprise, nil
	}
	var made []struct {
		Event  uuid.UUID      `db:"event_id"`
		On     attendees.Date `db:"delete_on"`
		People int            `db:"people"`
		At     time.Time      `db:"made_at"`
	}
	if err := db.Select(ctx, q, &made, `select event_id, delete_on, people, made_at from announcements`); err != nil {
		return nil, surprise, err
	}
	f := &FuseError{Plan: plan.Hash()}
	for _, e := range due {
		f.People += e.People
		known := false
		for _, m := range made {
			if m.Event == e.Key && m.On == e.DeleteOn && !e.Today(now).AddDays(-announceDays).Before(e.Today(m.At)) {
				f.Announced, known = f.Announced+m.People, true
			}
		}
		if !known && (surprise.ID == "" || surprise.People < e.People) {
			surprise = e
		}
	}
	if f.People <= 2*f.Announced {
		return nil, surprise, nil
	}
	return f, surprise, nil
}

// keepAnnouncing notes since when there was a run every day. Where there was none for longer,
// what was announced before is forgotten.
func (s *Store) keepAnnouncing(ctx context.Context, tx db.Tx) error {
	now := s.now()
	value, last, err := db.Marked(ctx, tx, announced)
	if err != nil {
		return err
	}
	if value == "" || now.Sub(last) > stoodStill {
		value = now.UTC().Format(time.RFC3339)
		if _, err := db.Exec(ctx, tx, `delete from announcements`); err != nil {
			return err
		}
	}
	return db.SetMark(ctx, tx, announced, value, now)
}

// announce announces one deletion, unless it is for that day already, and tells when it was.
func (s *Store) announce(ctx context.Context, tx db.Tx, e Planned) (madeAt time.Time, err error) {
	err = tx.QueryRowxContext(ctx, `
		insert into announcements as a (event_id, delete_on, people, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id) do update set
			people = case when a.delete_on = excluded.delete_on then a.people else excluded.people end,
			made_at = case when a.delete_on = excluded.delete_on then a.made_at else excluded.made_at end,
			delete_on = excluded.delete_on
		returning made_at`, e.Key, e.DeleteOn, e.People, s.now()).Scan(&madeAt)
	return madeAt, err
}

func (s *Store) unannounce(ctx context.Context, tx db.Tx, event uuid.UUID) error {
	_, err := db.Exec(ctx, tx, `delete from announcements where event_id = $1`, event)
	return err
}

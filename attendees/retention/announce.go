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
func (s *Store) Announce(ctx context.Context) (ready []attendees.EventID, err error) {
	begun, err := s.Started(ctx)
	if err != nil || begun.IsZero() {
		return nil, err
	}
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var fuse *FuseError
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		since, err := s.announcingSince(ctx, tx)
		if err != nil {
			return err
		}
		people, known := 0, 0
		var surprise Planned // the largest that was not announced a week ago
		for _, e := range plan.Events {
			due, today := e.DueToDelete(now), e.Today(now)
			switch {
			case !due && e.Expired(now):
				if err := s.unannounce(ctx, tx, e.Key); err != nil {
					return err
				}
				continue
			case !due && today.AddDays(announceDays).Before(e.DeleteOn):
				continue
			}
			madeAt, then, err := s.announce(ctx, tx, e)
			if err != nil {
				return err
			}
			if !due || now.Sub(madeAt) < announceWait {
				continue
			}
			ready = append(ready, e.ID)
			people += e.People
			if !today.AddDays(-announceDays).Before(e.Today(madeAt)) {
				known += then
			} else if surprise.ID == "" || surprise.People < e.People {
				surprise = e
			}
		}
		about := events.Task{Kind: events.TaskFuse, Event: surprise.Key, Count: people}
		if now.Sub(since) >= announceDays*24*time.Hour && people > 2*known {
			fuse = &FuseError{People: people, Announced: known, Plan: plan.Hash()}
			return s.events.Tasks.Ask(ctx, tx, about)
		}
		_, err = db.Exec(ctx, tx, `update tasks set done_at = $1, done_by = 'lethe' where kind = $2 and done_at is null`, now, events.TaskFuse)
		return err
	})
	if err != nil {
		return nil, err
	}
	if fuse != nil {
		return nil, fuse
	}
	return ready, nil
}

// announcingSince tells since when there was a run every day, and notes this one. Where there
// was none for longer, what was announced before is forgotten.
func (s *Store) announcingSince(ctx context.Context, tx db.Tx) (time.Time, error) {
	now := s.now()
	value, last, err := db.Marked(ctx, tx, announced)
	if err != nil {
		return now, err
	}
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || now.Sub(last) > stoodStill {
		since = now
		if _, err := db.Exec(ctx, tx, `delete from announcements`); err != nil {
			return now, err
		}
	}
	return since, db.SetMark(ctx, tx, announced, since.UTC().Format(time.RFC3339), now)
}

// announce announces one deletion, unless it is for that day already, and tells when it was,
// and of how many people.
func (s *Store) announce(ctx context.Context, tx db.Tx, e Planned) (madeAt time.Time, people int, err error) {
	err = tx.QueryRowxContext(ctx, `
		insert into announcements as a (event_id, delete_on, people, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id) do update set
			people = case when a.delete_on = excluded.delete_on then a.people else excluded.people end,
			made_at = case when a.delete_on = excluded.delete_on then a.made_at else excluded.made_at end,
			delete_on = excluded.delete_on
		returning made_at, people`, e.Key, e.DeleteOn, e.People, s.now()).Scan(&madeAt, &people)
	return madeAt, people, err
}

func (s *Store) unannounce(ctx context.Context, tx db.Tx, event uuid.UUID) error {
	_, err := db.Exec(ctx, tx, `delete from announcements where event_id = $1`, event)
	return err
}

package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

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

// announced is the latest run that announced deletions; its value is since when there was one
// every day.
const announced db.Mark = "announced"

// FuseError says that a run would delete far more than was announced.
type FuseError struct {
	People, Announced int
	Plan              string // the plan's hash
}

func (e *FuseError) Error() string {
	return fmt.Sprintf("%d people would be deleted, and a week ago %d were announced: nothing is deleted. "+
		"If it is right: `lethe retention plan` shows the plan, `lethe retention run --accept %s` does it", e.People, e.Announced, e.Plan)
}

// announcement is one deletion that was announced.
type announcement struct {
	Event  uuid.UUID      `db:"event_id"`
	On     attendees.Date `db:"delete_on"`
	People int            `db:"people"`
	At     time.Time      `db:"made_at"`
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
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		known, err := s.announce(ctx, tx, plan)
		if err != nil {
			return err
		}
		for _, e := range plan.due(s.now()) {
			if s.now().Sub(known[e.Key].At) >= announceWait {
				ready = append(ready, e)
			}
		}
		if fuse, err = s.fuse(ctx, tx, plan, ready); err != nil {
			return err
		}
		if fuse != nil {
			return s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskFuse, Count: fuse.People})
		}
		return s.events.Tasks.Settle(ctx, tx, events.Task{Kind: events.TaskFuse})
	})
	if err == nil && fuse != nil {
		err = fuse
	}
	if err != nil {
		return nil, err
	}
	return ready, nil
}

// announce announces what will be deleted within a week, and forgets what was announced and
// will not be: for another day, or before there was no run for longer than a day. It gives all
// that is announced.
func (s *Store) announce(ctx context.Context, tx db.Tx, plan Plan) (map[uuid.UUID]announcement, error) {
	now := s.now()
	since, last, err := db.Marked(ctx, tx, announced)
	if err != nil {
		return nil, err
	}
	stood := since == "" || now.Sub(last) > stoodStill
	if stood {
		since = now.UTC().Format(time.RFC3339)
	}
	var keys, days pq.StringArray
	var people pq.Int64Array
	for _, e := range plan.Events {
		if e.DueToDelete(now) || !e.Expired(now) && !e.Today(now).AddDays(announceDays).Before(e.DeleteOn) {
			keys, days, people = append(keys, e.Key.String()), append(days, e.DeleteOn.String()), append(people, int64(e.leave()))
		}
	}
	_, err = db.Exec(ctx, tx, `
		delete from announcements
		where $3 or (event_id, delete_on) not in (select * from unnest($1::uuid[], $2::date[]))`, keys, days, stood)
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(ctx, tx, `
		insert into announcements (event_id, delete_on, people, made_at)
		select *, $4 from unnest($1::uuid[], $2::date[], $3::integer[])
		on conflict do nothing`, keys, days, people, now)
	if err != nil {
		return nil, err
	}
	if err := db.SetMark(ctx, tx, announced, since, now); err != nil {
		return nil, err
	}
	return announcements(ctx, tx)
}

func announcements(ctx context.Context, q db.Queryer) (map[uuid.UUID]announcement, error) {
	var rows []announcement
	err := db.Select(ctx, q, &rows, `select event_id, delete_on, people, made_at from announcements`)
	known := make(map[uuid.UUID]announcement, len(rows))
	for _, a := range rows {
		known[a.Event] = a
	}
	return known, err
}

// fuse is nil unless more than twice as many people would be deleted as were announced for
// it a week ago. Where there was not a run every day for so long there is nothing to compare
// with.
func (s *Store) fuse(ctx context.Context, q db.Queryer, plan Plan, due []Planned) (*FuseError, error) {
	value, last, err := db.Marked(ctx, q, announced)
	if err != nil {
		return nil, err
	}
	now := s.now()
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || now.Sub(last) > stoodStill || now.Sub(since) < announceDays*24*time.Hour {
		return nil, nil
	}
	known, err := announcements(ctx, q)
	if err != nil {
		return nil, err
	}
	f := &FuseError{Plan: plan.Hash()}
	for _, e := range due {
		f.People += e.leave()
		if a, ok := known[e.Key]; ok && a.On == e.DeleteOn && !e.Today(now).AddDays(-announceDays).Before(e.Today(a.At)) {
			f.Announced += a.People
		}
	}
	if f.People <= 2*f.Announced {
		return nil, nil
	}
	return f, nil
}

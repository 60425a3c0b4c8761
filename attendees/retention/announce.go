package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees/db"
	"lethe/attendees/events"
)

const (
	// announceDays is how long before its day a deletion is announced.
	announceDays = 7
	// announceWeek is how old an announcement is that was made by a run of that day, some hours
	// late.
	announceWeek = announceDays*24*time.Hour - 12*time.Hour
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

// announce tells which events a run may delete: those whose deletion was announced a day
// before, or earlier. Others that are due are announced now, with those that will be within a
// week. What stays after its day, by a hold or a restriction, is announced when that ends.
// *FuseError says that more than twice as many people would be deleted as were announced a week
// ago: a clock or a policy may be wrong, and staff are asked. After a worker stood still for a
// day everything is announced again.
func (s *Store) announce(ctx context.Context, plan Plan) (ready []Planned, err error) {
	begun, err := s.Started(ctx)
	if err != nil || begun.IsZero() {
		return nil, err
	}
	var fuse error
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if err := s.announceAll(ctx, tx, plan); err != nil {
			return err
		}
		var known []uuid.UUID
		if err := db.Select(ctx, tx, &known, `select event_id from announcements where made_at <= $1`, s.now().Add(-announceWait)); err != nil {
			return err
		}
		ready = slices.DeleteFunc(plan.due(s.now()), func(e Planned) bool { return !slices.Contains(known, e.Key) })
		f, err := s.fuse(ctx, tx, plan, ready)
		if err != nil || f == nil {
			return errors.Join(err, s.events.Tasks.Settle(ctx, tx, events.Task{Kind: events.TaskFuse}))
		}
		fuse = f
		return s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskFuse, Count: f.People})
	})
	return ready, errors.Join(err, fuse)
}

// announceAll announces what will be deleted within a week, and forgets what was announced and
// will not be: for another day, or before there was no run for longer than a day.
func (s *Store) announceAll(ctx context.Context, tx db.Tx, plan Plan) error {
	now := s.now()
	since, last, err := db.Marked(ctx, tx, announced)
	if err != nil {
		return err
	}
	stood := since == "" || now.Sub(last) > stoodStill
	if stood {
		since = now.UTC().Format(time.RFC3339)
	}
	keys, days, people := columns(slices.DeleteFunc(slices.Clone(plan.Events), func(e Planned) bool {
		return !e.DueToDelete(now) && (e.Expired(now) || e.Today(now).AddDays(announceDays).Before(e.DeleteOn))
	}))
	_, err = db.Exec(ctx, tx, `
		delete from announcements
		where $3 or (event_id, delete_on) not in (select * from unnest($1::uuid[], $2::date[]))`, keys, days, stood)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `
		insert into announcements (event_id, delete_on, people, made_at)
		select *, $4 from unnest($1::uuid[], $2::date[], $3::integer[])
		on conflict do nothing`, keys, days, people, now)
	if err != nil {
		return err
	}
	return db.SetMark(ctx, tx, announced, since, now)
}

// columns are events with their delete dates and how many people go, for a statement.
func columns(all []Planned) (keys, days pq.StringArray, people pq.Int64Array) {
	for _, e := range all {
		keys, days, people = append(keys, e.Key.String()), append(days, e.DeleteOn.String()), append(people, int64(e.leave()))
	}
	return keys, days, people
}

// fuse is nil unless more than twice as many people would be deleted as were announced for
// it a week ago. Where there was not a run every day for so long there is nothing to compare
// with.
func (s *Store) fuse(ctx context.Context, q db.Queryer, plan Plan, due []Planned) (*FuseError, error) {
	value, last, err := db.Marked(ctx, q, announced)
	if err != nil {
		return nil, err
	}
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || s.now().Sub(last) > stoodStill || s.now().Sub(since) < announceWeek {
		return nil, nil
	}
	f := &FuseError{Plan: plan.Hash()}
	keys, days, people := columns(due)
	for _, n := range people {
		f.People += int(n)
	}
	err = db.Get(ctx, q, &f.Announced, `
		select coalesce(sum(people), 0)
		from announcements
		where made_at <= $3 and (event_id, delete_on) in (select * from unnest($1::uuid[], $2::date[]))`, keys, days, s.now().Add(-announceWeek))
	if err != nil || f.People <= 2*f.Announced {
		return nil, err
	}
	return f, nil
}

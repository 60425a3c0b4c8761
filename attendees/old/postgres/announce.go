package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

const (
	// announceDays is how long before its day a deletion is announced.
	announceDays = 7
	// announceWait is how long a deletion waits at least after it was announced: somebody
	// has a working day to look.
	announceWait = 24 * time.Hour
	// stoodStill is after how long without a run no plan of the days before is there to be
	// compared with: a day, and a sweep that came late.
	stoodStill = 30 * time.Hour
)

// Announced is the mark of the latest run that announced deletions; its value is since
// when there was one every day.
const Announced Mark = "announced"

// FuseError says that a run would delete far more than was announced.
type FuseError struct {
	People, Announced int
	Plan              string // the plan's hash
}

func (e *FuseError) Error() string {
	return fmt.Sprintf("%d people would be deleted, and a week ago %d were announced for it: nothing is deleted. "+
		"If it is right: `lethe retention plan` shows the plan, `lethe retention run --accept %s` does it", e.People, e.Announced, e.Plan)
}

// Announce tells which events the nightly run may delete: those whose deletion it has
// announced a day before, or earlier. The others that are due it announces now, with those
// that will be within a week. What stays behind its day, by a hold or a restriction, is
// announced when that ends. *FuseError says that more than twice as many people
// would go as were announced a week ago: a clock or a policy may be wrong; staff are asked.
// After a worker stood still for a day everything is announced anew.
func (s *Store) Announce(ctx context.Context) (ready []attendees.EventID, err error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	due, err := s.dueToDelete(ctx, plan)
	if err != nil {
		return nil, err
	}
	isDue := map[attendees.EventID]bool{}
	for _, id := range due {
		isDue[id] = true
	}
	now := s.now()
	var fuse *FuseError
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		since, err := s.announcingSince(ctx, tx)
		if err != nil {
			return err
		}
		people, announced := 0, 0
		var surprise Planned // the largest that was not announced a week ago
		for _, e := range plan.Events {
			today := e.Today(now)
			if !isDue[e.ID] && e.kept(today) {
				if err := s.unannounce(ctx, tx, e.Key); err != nil {
					return err
				}
				continue
			}
			if !isDue[e.ID] && today.AddDays(announceDays).Before(e.DeleteOn.Date) {
				continue
			}
			madeAt, then, err := s.announce(ctx, tx, e)
			if err != nil {
				return err
			}
			if !isDue[e.ID] || now.Sub(madeAt) < announceWait {
				continue
			}
			ready = append(ready, e.ID)
			people += e.People
			switch {
			case !today.AddDays(-announceDays).Before(e.Today(madeAt)):
				announced += then
			case surprise.ID == "" || surprise.People < e.People:
				surprise = e
			}
		}
		if now.Sub(since) >= announceDays*24*time.Hour && people > 2*announced {
			fuse = &FuseError{People: people, Announced: announced, Plan: plan.Hash()}
			return s.ask(ctx, tx, surprise.Key, taskFuse, fmt.Sprintf("Event %s, due on %s, was not announced a week before: %s", surprise.ID, surprise.DeleteOn, fuse))
		}
		_, err = tx.ExecContext(ctx, `update tasks set done_at = $1 where kind = $2 and done_at is null`, now, taskFuse)
		return quiet("tick a task off", err)
	})
	if err != nil {
		return nil, err
	}
	if fuse != nil {
		return nil, fuse
	}
	return ready, nil
}

// announcingSince tells since when there was a run every day, and notes this one. Where
// there was none for longer, what was announced before is forgotten.
func (s *Store) announcingSince(ctx context.Context, tx *sqlx.Tx) (time.Time, error) {
	now := s.now()
	var value string
	var last time.Time
	err := tx.QueryRowxContext(ctx, `select value, at from marks where name = $1 for update`, Announced).Scan(&value, &last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return now, quiet("read a mark", err)
	}
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || now.Sub(last) > stoodStill {
		since = now
		if _, err := tx.ExecContext(ctx, `delete from announcements`); err != nil {
			return now, quiet("announce deletions anew", err)
		}
	}
	_, err = tx.ExecContext(ctx, `
		insert into marks (name, value, at)
		values ($1, $2, $3)
		on conflict (name) do update set value = excluded.value, at = excluded.at`, Announced, since.UTC().Format(time.RFC3339), now)
	return since, quiet("set a mark", err)
}

// announce announces one deletion, unless it is for that day already, and tells when it
// was, and for how many people.
func (s *Store) announce(ctx context.Context, tx *sqlx.Tx, e Planned) (madeAt time.Time, people int, err error) {
	err = tx.QueryRowxContext(ctx, `
		insert into announcements as a (event_id, delete_on, people, made_at)
		values ($1, $2, $3, $4)
		on conflict (event_id) do update set
			people = case when a.delete_on = excluded.delete_on then a.people else excluded.people end,
			made_at = case when a.delete_on = excluded.delete_on then a.made_at else excluded.made_at end,
			delete_on = excluded.delete_on
		returning made_at, people`, e.Key, e.DeleteOn, e.People, s.now()).Scan(&madeAt, &people)
	return madeAt, people, quiet("announce a deletion", err)
}

// kept tells that everybody whose deletion was announced for a day that has come is gone
// or stays for longer: a hold keeps the event, or those who are left of it.
func (p Planned) kept(today attendees.Date) bool {
	return !today.Before(p.DeleteOn.Date) && (p.BlockedAt != nil || p.HeldWhole())
}

// unannounce forgets that a deletion was announced: what it leaves behind goes on a day
// that nobody knows yet.
func (s *Store) unannounce(ctx context.Context, tx *sqlx.Tx, event uuid.UUID) error {
	_, err := tx.ExecContext(ctx, `delete from announcements where event_id = $1`, event)
	return quiet("forget an announcement", err)
}

// CheckFuse tells, by *FuseError, that what is due now is more than twice what was
// announced for it a week ago. Where nobody has announced for so long there is nothing to
// compare, and who runs by hand has looked.
func (s *Store) CheckFuse(ctx context.Context) error {
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	due, err := s.dueToDelete(ctx, plan)
	if err != nil {
		return err
	}
	return s.checkFuse(ctx, plan, due)
}

func (s *Store) checkFuse(ctx context.Context, plan Plan, due []attendees.EventID) error {
	var value string
	var last time.Time
	err := s.db.QueryRowxContext(ctx, `select value, at from marks where name = $1`, Announced).Scan(&value, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return quiet("read a mark", err)
	}
	now := s.now()
	since, err := time.Parse(time.RFC3339, value)
	if err != nil || now.Sub(last) > stoodStill || now.Sub(since) < announceDays*24*time.Hour {
		return nil
	}
	var rows []struct {
		Event    uuid.UUID `db:"event_id"`
		DeleteOn day       `db:"delete_on"`
		People   int       `db:"people"`
		MadeAt   time.Time `db:"made_at"`
	}
	if err := s.db.SelectContext(ctx, &rows, `select event_id, delete_on, people, made_at from announcements`); err != nil {
		return quiet("look what was announced", err)
	}
	people, announced := 0, 0
	for _, e := range plan.Events {
		if !slices.Contains(due, e.ID) {
			continue
		}
		people += e.People
		for _, r := range rows {
			if r.Event == e.Key && r.DeleteOn == e.DeleteOn && !e.Today(now).AddDays(-announceDays).Before(e.Today(r.MadeAt)) {
				announced += r.People
			}
		}
	}
	if people > 2*announced {
		return &FuseError{People: people, Announced: announced, Plan: plan.Hash()}
	}
	return nil
}

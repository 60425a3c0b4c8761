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

	"lethe/attendees"
)

const (
	// fuseDays is how long before its day a deletion is to have been announced.
	fuseDays = 7
	// stillDays is how many days a worker may miss: whoever missed more has announced too
	// little for the fuse to tell anything, and begins anew.
	stillDays = 2
	// announceDays lets a day that was missed cost no announcement.
	announceDays = fuseDays + stillDays
)

// Announced is the mark that says since when deletions are announced each night, and on
// which day that was last done.
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
// announced on an earlier day. The others that are due it announces now, with those
// that will be soon. Where it has not run for days it begins anew: it announces, and
// nothing is ready before the next day. *FuseError says that more than twice as many
// people would go as were announced a week ago: a clock or a policy may be wrong.
func (s *Store) Announce(ctx context.Context) (ready []attendees.EventID, err error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	due, err := s.DueToDelete(ctx)
	if err != nil {
		return nil, err
	}
	began, err := s.announcing(ctx)
	if err != nil {
		return nil, err
	}
	today := s.today()
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		for _, e := range plan.Events {
			isDue := slices.Contains(due, e.ID)
			if !isDue && today.AddDays(announceDays).Before(e.DeleteOn.Date) {
				continue
			}
			var madeOn day
			err := tx.GetContext(ctx, &madeOn, `
				insert into announcements as a (event_id, delete_on, people, made_on)
				values ($1, $2, $3, $4)
				on conflict (event_id) do update set
					people = case when a.delete_on = excluded.delete_on then a.people else excluded.people end,
					made_on = case when a.delete_on = excluded.delete_on then a.made_on else excluded.made_on end,
					delete_on = excluded.delete_on
				returning made_on`, e.Key, e.DeleteOn, e.People, today)
			if err != nil {
				return quiet("announce a deletion", err)
			}
			if isDue && madeOn.Before(today.Date) && !began.IsZero() {
				ready = append(ready, e.ID)
			}
		}
		if began.IsZero() {
			began = s.now()
		}
		_, err := tx.ExecContext(ctx, `
			insert into marks (name, value, at)
			values ($1, $2, $3)
			on conflict (name) do update set value = excluded.value, at = excluded.at`, Announced, today.String(), began)
		return quiet("note that deletions were announced", err)
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkFuse(ctx, plan, ready); err != nil {
		return nil, err
	}
	return ready, nil
}

// announcing tells since when deletions have been announced without a gap; the zero time:
// they are not.
func (s *Store) announcing(ctx context.Context) (since time.Time, err error) {
	var last day
	err = s.db.QueryRowxContext(ctx, `select at, value::date from marks where name = $1 and value <> ''`, Announced).Scan(&since, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err == nil && last.AddDays(stillDays).Before(s.today().Date) {
		return time.Time{}, nil
	}
	return since, quiet("look since when deletions are announced", err)
}

// CheckFuse tells, by *FuseError, that what is due now is more than twice what was
// announced for it a week ago. Where nobody has announced for so long there is nothing
// to compare, and who runs by hand has looked.
func (s *Store) CheckFuse(ctx context.Context) error {
	plan, err := s.Plan(ctx)
	if err != nil {
		return err
	}
	due, err := s.DueToDelete(ctx)
	if err != nil {
		return err
	}
	return s.checkFuse(ctx, plan, due)
}

func (s *Store) checkFuse(ctx context.Context, plan Plan, events []attendees.EventID) error {
	since, err := s.announcing(ctx)
	if err != nil {
		return err
	}
	aWeekAgo := s.today().AddDays(-fuseDays)
	if since.IsZero() || aWeekAgo.Before(attendees.DateOf(since.UTC())) {
		return nil
	}
	var rows []struct {
		Event  uuid.UUID `db:"event_id"`
		People int       `db:"people"`
	}
	err = s.db.SelectContext(ctx, &rows, `
		select a.event_id, a.people
		from announcements a
		join events e on e.id = a.event_id and e.delete_on = a.delete_on
		where a.made_on <= $1`, day{aWeekAgo})
	if err != nil {
		return quiet("look what was announced", err)
	}
	said := make(map[uuid.UUID]int, len(rows))
	for _, r := range rows {
		said[r.Event] = r.People
	}
	people, announced := 0, 0
	for _, e := range plan.Events {
		if !slices.Contains(events, e.ID) {
			continue
		}
		people += e.People
		announced += said[e.Key]
	}
	if people > 2*announced {
		return &FuseError{People: people, Announced: announced, Plan: plan.Hash()}
	}
	return nil
}

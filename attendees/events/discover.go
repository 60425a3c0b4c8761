package events

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
)

// Save stores events as their source describes them, with the dates that the policy gives
// them. The delete date of a blocked one follows its new end; the dates of a deleted one are
// final. Staff are asked about a blocked one that ends in the future. One that cannot be
// saved stops no other. It returns how many were new.
func (s *Store) Save(ctx context.Context, source attendees.SourceName, all []attendees.Event) (fresh int, err error) {
	var failed []error
	for _, from := range all {
		var isNew bool
		err := db.InTx(ctx, s.pool, func(tx db.Tx) (err error) {
			isNew, err = s.save(ctx, tx, source, from)
			return err
		})
		if failed = append(failed, err); err == nil && isNew {
			fresh++
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fresh, errors.Join(failed...)
}

func (s *Store) save(ctx context.Context, tx db.Tx, source attendees.SourceName, from attendees.Event) (isNew bool, err error) {
	defer db.Wrap(&err, "save event %s", from.ID)
	now := s.now()
	e := Event{Key: Key(source, from.ID), State: attendees.Open, FirstSeenOn: attendees.DateOf(now.UTC())}
	err = db.Get(ctx, tx, &e, `select `+eventColumns+` from events where id = $1 for no key update`, e.Key)
	if isNew = errors.Is(err, sql.ErrNoRows); err != nil && !isNew {
		return false, err
	}
	before := e
	e.ID, e.Source, e.Organization, e.Name, e.Status, e.Zone = from.ID, source, from.Organization, from.Name, from.Status, from.Zone
	e.StartsAt, e.EndsAt = moment(from.Start), moment(from.End)
	if e.State != attendees.Deleted {
		p, err := s.policy.Schedule(from, e.FirstSeenOn)
		if err != nil {
			return false, err
		}
		if e.plan(p, now); isNew {
			e.accept(now)
		}
	}
	if err := s.write(ctx, tx, before, &e); err != nil || e.State != attendees.Blocked {
		return isNew, err
	}
	about := Task{Kind: TaskReopen, Event: e.Key}
	if e.Misjudged(now) {
		return false, s.Tasks.Ask(ctx, tx, about)
	}
	return false, s.Tasks.Settle(ctx, tx, about)
}

// described is what the source says of the event.
func (e Event) described() attendees.Event {
	from := attendees.Event{ID: e.ID, Organization: e.Organization, Name: e.Name, Status: e.Status, Zone: e.Zone}
	if e.StartsAt != nil {
		from.Start = e.StartsAt.UTC()
	}
	if e.EndsAt != nil {
		from.End = e.EndsAt.UTC()
	}
	return from
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// write stores what has changed of an event whose row tx has, or one that is new; other dates
// raise its version. One that was past its block date, and is not any more, is read again:
// what came meanwhile was stored, and what changed was not asked for.
func (s *Store) write(ctx context.Context, tx db.Tx, before Event, e *Event) error {
	known, raise := before.Secret != "", 0
	switch {
	case known && !sameDates(before, *e):
		raise = 1
		e.Version++
	case known && before.described() == e.described() && before.AppliedAt.Equal(e.AppliedAt):
		return nil
	}
	_, err := db.Exec(ctx, tx, `
		insert into events as e (id, source, source_id, first_seen_on, secret, organization_id, name, status, time_zone, starts_at, ends_at, ends_on,
			rule, block_on, delete_on, planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on,
			applied_at, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
		on conflict (id) do update set
			(organization_id, name, status, time_zone, starts_at, ends_at, ends_on, rule, block_on, delete_on, planned_rule, planned_block_on,
				planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on, applied_at, version)
			= ($6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, e.version + $23)`,
		e.Key, e.Source, e.ID, e.FirstSeenOn, s.secret, e.Organization, e.Name, e.Status, e.Zone, e.StartsAt, e.EndsAt, e.EndsOn,
		e.Rule, e.BlockOn, e.DeleteOn, e.Planned.Rule, e.Planned.BlockOn, e.Planned.DeleteOn,
		e.Accepted.Rule, e.Accepted.BlockOn, e.Accepted.DeleteOn, e.AppliedAt, raise)
	if now := s.now(); err == nil && known && before.State == attendees.Open && before.Past(now) && !e.Past(now) {
		return s.ReadAgain(ctx, tx, *e)
	}
	return err
}

// Replan makes the plan again by the policy as it is now, for every event that is not
// deleted, whether or not its source still lists it. It returns how many events have other
// dates, or another rule, in force or to accept.
func (s *Store) Replan(ctx context.Context) (n int, err error) {
	all, err := s.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		before := e
		if err := s.Preview(&e); err != nil {
			return n, err
		}
		if sameDates(before, e) {
			continue // as most: their rows are left to writers
		}
		err := db.InTx(ctx, s.pool, func(tx db.Tx) (err error) {
			defer db.Wrap(&err, "plan event %s", e.ID)
			if e, err = s.Look(ctx, tx, e.ID); err != nil {
				return err
			}
			before = e
			if err := s.Preview(&e); err != nil {
				return err
			}
			return s.write(ctx, tx, before, &e)
		})
		if err != nil {
			return n, err
		}
		if before.Dates != e.Dates || before.Planned != e.Planned {
			n++
		}
	}
	return n, nil
}

// Preview gives an event the dates that Replan would, and writes nothing.
func (s *Store) Preview(e *Event) error {
	if e.State == attendees.Deleted {
		return nil
	}
	p, err := s.policy.Schedule(e.described(), e.FirstSeenOn)
	if err != nil {
		return err
	}
	e.plan(p, s.now())
	return nil
}

// Accept puts an event's planned dates in force, for a caller who has its row in tx.
func (s *Store) Accept(ctx context.Context, tx db.Tx, e Event) (_ Event, err error) {
	defer db.Wrap(&err, "accept the dates of event %s", e.ID)
	before := e
	e.accept(s.now())
	return e, s.write(ctx, tx, before, &e)
}

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
		if isNew {
			e.EndsOn, e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule = p.EndsOn, p.BlockOn, p.DeleteOn, p.Rule.Name
			e.accept(now)
			return s.insert(ctx, tx, e)
		}
		e.plan(p, now)
	}
	if err := s.update(ctx, tx, before, &e); err != nil || e.State != attendees.Blocked {
		return false, err
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

// insert stores a new event, unless somebody else has just discovered it, too.
func (s *Store) insert(ctx context.Context, tx db.Tx, e Event) (isNew bool, err error) {
	n, err := db.Exec(ctx, tx, `
		insert into events (id, source, source_id, organization_id, name, status, time_zone, starts_at, ends_at, ends_on, first_seen_on,
			rule, block_on, delete_on, planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on,
			applied_at, secret)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $12, $13, $14, $12, $13, $14, $15, $16)
		on conflict (id) do nothing`,
		e.Key, e.Source, e.ID, e.Organization, e.Name, e.Status, e.Zone, e.StartsAt, e.EndsAt, e.EndsOn, e.FirstSeenOn,
		e.Rule, e.BlockOn, e.DeleteOn, e.AppliedAt, s.secret)
	return n > 0, err
}

// update stores what has changed of an event whose row tx has; other dates raise its
// version. One that was past its block date, and is not any more, is read again: what came
// meanwhile was stored, and what changed was not asked for.
func (s *Store) update(ctx context.Context, tx db.Tx, before Event, e *Event) error {
	switch {
	case !sameDates(before, *e):
		e.Version++
	case before.described() == e.described() && before.AppliedAt.Equal(e.AppliedAt):
		return nil
	}
	_, err := db.Exec(ctx, tx, `
		update events
		set organization_id = $2, name = $3, status = $4, time_zone = $5, starts_at = $6, ends_at = $7, ends_on = $8,
		    rule = $9, block_on = $10, delete_on = $11, planned_rule = $12, planned_block_on = $13, planned_delete_on = $14,
		    accepted_rule = $15, accepted_block_on = $16, accepted_delete_on = $17, applied_at = $18, version = $19
		where id = $1`,
		e.Key, e.Organization, e.Name, e.Status, e.Zone, e.StartsAt, e.EndsAt, e.EndsOn,
		e.Rule, e.BlockOn, e.DeleteOn, e.PlannedRule, e.PlannedBlockOn, e.PlannedDeleteOn,
		e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn, e.AppliedAt, e.Version)
	if now := s.now(); err == nil && before.State == attendees.Open && before.Past(now) && !e.Past(now) {
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
			return s.update(ctx, tx, before, &e)
		})
		if err != nil {
			return n, err
		}
		if before.inForce() != e.inForce() || before.planned() != e.planned() {
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
	return e, s.update(ctx, tx, before, &e)
}

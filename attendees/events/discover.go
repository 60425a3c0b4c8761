package events

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"lethe/attendees"
	"lethe/attendees/db"
)

// freeDays is how far an event's dates may move, either way, and apply at once. A larger
// change applies only when somebody has accepted it; until then the later of the old and
// the new dates does.
const freeDays = 30

// Pending tells that the event's dates have moved so far that somebody has to accept it.
func (e Event) Pending() bool {
	return e.State == attendees.Open && e.PlannedBlockOn != e.BlockOn || e.PlannedDeleteOn != e.DeleteOn ||
		e.State != attendees.Deleted && e.far()
}

// far tells that the planned dates are far from those that a person accepted, or that
// applied 30 days ago.
func (e Event) far() bool {
	days := func(a, b attendees.Date) bool { n := a.Days(b); return n > freeDays || n < -freeDays }
	return days(e.PlannedDeleteOn, e.AcceptedDeleteOn) || e.State == attendees.Open && days(e.PlannedBlockOn, e.AcceptedBlockOn)
}

// plan gives an event what source and policy say now. What is blocked stays blocked: only
// its delete date moves, never before the day it was blocked.
func (e *Event) plan(p attendees.Schedule, now time.Time) {
	if now.Sub(e.AppliedAt) >= freeDays*24*time.Hour {
		e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn = e.Rule, e.BlockOn, e.DeleteOn
	}
	e.PlannedDeleteOn, e.PlannedRule = p.DeleteOn, p.Rule.Name
	if e.State == attendees.Open {
		e.EndsOn, e.PlannedBlockOn = p.EndsOn, p.BlockOn
	} else {
		e.PlannedDeleteOn = later(e.PlannedDeleteOn, e.BlockOn)
	}
	block, delete, rule := e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule
	if e.far() {
		block = later(block, e.AcceptedBlockOn)
		if delete.Before(e.AcceptedDeleteOn) {
			delete, rule = e.AcceptedDeleteOn, e.AcceptedRule
		}
	}
	e.apply(block, delete, rule, now)
}

// apply puts dates in force.
func (e *Event) apply(block, delete attendees.Date, rule string, now time.Time) {
	if e.State != attendees.Open {
		block = e.BlockOn
	}
	if block != e.BlockOn || delete != e.DeleteOn || rule != e.Rule {
		e.BlockOn, e.DeleteOn, e.Rule, e.AppliedAt = block, delete, rule, now
	}
}

// accept puts the planned dates in force; later changes are compared with them.
func (e *Event) accept(now time.Time) {
	e.apply(e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule, now)
	e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn = e.Rule, e.BlockOn, e.DeleteOn
	e.AppliedAt = now
}

func later(a, b attendees.Date) attendees.Date {
	if a.Before(b) {
		return b
	}
	return a
}

// Save stores events as their source describes them, with the dates that the policy gives
// them. The delete date of a blocked one follows its new end; of a deleted one nothing
// does. It returns how many were new.
func (s *Store) Save(ctx context.Context, source attendees.SourceName, all []attendees.Event) (fresh int, err error) {
	for _, e := range all {
		err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
			isNew, err := s.save(ctx, tx, source, e)
			if isNew {
				fresh++
			}
			return err
		})
		if err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

func (s *Store) save(ctx context.Context, tx db.Tx, source attendees.SourceName, from attendees.Event) (isNew bool, err error) {
	defer db.Wrap(&err, "save event %s", from.ID)
	now := s.now()
	e := Event{Key: Key(source, from.ID), State: attendees.Open, FirstSeenOn: attendees.DateOf(now.UTC())}
	err = db.Get(ctx, tx, &e, `select `+eventColumns+` from events where id = $1 for no key update`, e.Key)
	if isNew = errors.Is(err, sql.ErrNoRows); err != nil && !isNew {
		return false, err
	}
	if e.State == attendees.Deleted {
		return false, nil // its dates are final
	}
	p, err := s.policy.Schedule(from, e.FirstSeenOn)
	if err != nil {
		return false, err
	}
	before := e
	if isNew {
		e.Secret, e.AppliedAt = s.secret, now
		e.EndsOn, e.PlannedBlockOn, e.PlannedDeleteOn, e.PlannedRule = p.EndsOn, p.BlockOn, p.DeleteOn, p.Rule.Name
		e.accept(now)
	} else {
		e.plan(p, now)
	}
	e.Zone = from.Zone
	_, err = db.Exec(ctx, tx, `
		insert into events (id, source, source_id, organization_id, name, status, time_zone, starts_at, ends_at, ends_on, first_seen_on, changed_at,
			rule, block_on, delete_on, planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on,
			applied_at, secret)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
		on conflict (id) do update set
			organization_id = excluded.organization_id,
			name = excluded.name,
			status = excluded.status,
			time_zone = excluded.time_zone,
			starts_at = excluded.starts_at,
			ends_at = excluded.ends_at,
			changed_at = excluded.changed_at`,
		e.Key, source, from.ID, from.Organization, from.Name, from.Status, from.Zone, moment(from.Start), moment(from.End), e.EndsOn, e.FirstSeenOn, moment(from.Changed),
		e.Rule, e.BlockOn, e.DeleteOn, e.PlannedRule, e.PlannedBlockOn, e.PlannedDeleteOn, e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn,
		e.AppliedAt, e.Secret)
	if err != nil || isNew {
		return isNew, err
	}
	return false, s.saveDates(ctx, tx, before, e)
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// saveDates stores an event's dates. One that was past its block date, and is not any more,
// is read again: what came meanwhile was stored, and what changed was not asked for.
func (s *Store) saveDates(ctx context.Context, tx db.Tx, before, e Event) error {
	_, err := db.Exec(ctx, tx, `
		update events
		set ends_on = $2, rule = $3, block_on = $4, delete_on = $5, planned_rule = $6, planned_block_on = $7, planned_delete_on = $8,
		    accepted_rule = $9, accepted_block_on = $10, accepted_delete_on = $11, applied_at = $12, version = version + 1
		where id = $1 and (ends_on, rule, block_on, delete_on, planned_rule, planned_block_on, planned_delete_on,
			accepted_rule, accepted_block_on, accepted_delete_on, applied_at)
			is distinct from ($2::date, $3, $4::date, $5::date, $6, $7::date, $8::date, $9, $10::date, $11::date, $12::timestamptz)`,
		e.Key, e.EndsOn, e.Rule, e.BlockOn, e.DeleteOn, e.PlannedRule, e.PlannedBlockOn, e.PlannedDeleteOn,
		e.AcceptedRule, e.AcceptedBlockOn, e.AcceptedDeleteOn, e.AppliedAt)
	if err != nil {
		return err
	}
	if now := s.now(); before.State == attendees.Open && before.Past(now) && !e.Past(now) {
		return s.ReadAgain(ctx, tx, e)
	}
	return nil
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
		err := db.InTx(ctx, s.pool, func(tx db.Tx) (err error) {
			defer db.Wrap(&err, "plan event %s", e.ID)
			if err := db.Get(ctx, tx, &e, `select `+eventColumns+` from events where id = $1 for no key update`, e.Key); err != nil {
				return err
			}
			before := e
			if err := s.Preview(&e); err != nil {
				return err
			}
			if sameDates(before, e) {
				return nil
			}
			n++
			return s.saveDates(ctx, tx, before, e)
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func sameDates(a, b Event) bool {
	return a.EndsOn == b.EndsOn && a.Rule == b.Rule && a.BlockOn == b.BlockOn && a.DeleteOn == b.DeleteOn && a.PlannedRule == b.PlannedRule &&
		a.PlannedBlockOn == b.PlannedBlockOn && a.PlannedDeleteOn == b.PlannedDeleteOn && a.AcceptedRule == b.AcceptedRule &&
		a.AcceptedBlockOn == b.AcceptedBlockOn && a.AcceptedDeleteOn == b.AcceptedDeleteOn
}

// Preview gives an event the dates that Replan would, and writes nothing.
func (s *Store) Preview(e *Event) error {
	if e.State == attendees.Deleted {
		return nil
	}
	known := attendees.Event{ID: e.ID, Zone: e.Zone}
	if e.StartsAt != nil {
		known.Start = *e.StartsAt
	}
	if e.EndsAt != nil {
		known.End = *e.EndsAt
	}
	p, err := s.policy.Schedule(known, e.FirstSeenOn)
	if err != nil {
		return fmt.Errorf("schedule event %s: %w", e.ID, err)
	}
	e.plan(p, s.now())
	return nil
}

// Accept puts an event's planned dates in force, for a caller who has its row in tx.
func (s *Store) Accept(ctx context.Context, tx db.Tx, e Event) (_ Event, err error) {
	defer db.Wrap(&err, "accept the dates of event %s", e.ID)
	before := e
	e.accept(s.now())
	return e, s.saveDates(ctx, tx, before, e)
}

// Organization is an Eventbrite organisation that the token sees.
type Organization struct {
	ID   attendees.OrganizationID `db:"id"`
	Name string                   `db:"name"`
}

// SaveOrganizations stores the organisations that the token sees now, and drops others.
func (s *Store) SaveOrganizations(ctx context.Context, seen []Organization) (err error) {
	defer db.Wrap(&err, "save organisations")
	now := s.now()
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		for _, o := range seen {
			_, err := db.Exec(ctx, tx, `
				insert into organizations (id, name, seen_at)
				values ($1, $2, $3)
				on conflict (id) do update set name = excluded.name, seen_at = excluded.seen_at`, o.ID, o.Name, now)
			if err != nil {
				return err
			}
		}
		_, err := db.Exec(ctx, tx, `delete from organizations where seen_at < $1`, now)
		return err
	})
}

// Organizations lists them by id.
func (s *Store) Organizations(ctx context.Context) (all []Organization, err error) {
	defer db.Wrap(&err, "list organisations")
	err = db.Select(ctx, s.pool, &all, `select id, name from organizations order by id`)
	return all, err
}

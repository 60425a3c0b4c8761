package retention

import (
	"context"
	"fmt"
	"slices"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/reader"
)

// Left is one field of personal data that is left of one event.
type Left struct {
	Event    attendees.EventID       `json:"event"`
	Field    string                  `json:"field"`
	People   int                     `json:"people"`
	Purposes []attendees.PurposeName `json:"purposes"`
	Rule     string                  `json:"rule"`
	Until    string                  `json:"until"`
	Fault    string                  `json:"fault,omitempty"`
}

// Audit tells what personal data is left, field by field, and what allows it: of open events
// counted from their layers, one event at a time, of blocked ones by their records. What
// nothing allows is a fault.
func (s *Store) Audit(ctx context.Context) (all []Left, err error) {
	plan, err := s.Plan(ctx)
	for _, e := range plan.Events {
		if err == nil && e.State == attendees.Open {
			all, err = s.auditLayers(ctx, e, all)
		}
		if err == nil {
			all, err = s.auditRecords(ctx, e, all)
		}
	}
	return all, err
}

func (s *Store) auditLayers(ctx context.Context, e Planned, all []Left) ([]Left, error) {
	counts := map[attendees.Field]int{}
	err := db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		return s.reader.Read(ctx, tx, e.Event, 0, func(p reader.Person) error {
			for _, f := range p.Merged(s.policy).Stored() {
				counts[f]++
			}
			return nil
		})
	})
	for _, f := range attendees.AllFields() {
		if counts[f] == 0 {
			continue
		}
		l := s.left(e, string(f), counts[f], e.BlockOn, func(u attendees.Purpose) bool { return u.Allows(f) })
		switch {
		case len(l.Purposes) == 0:
			l.Fault = "no purpose names it"
		case e.Past(s.now()):
			l.Fault = "should have been blocked on " + e.BlockOn.String()
		}
		all = append(all, l)
	}
	return all, err
}

// left is a field that is left, with the purposes that want it; a fault where the event's
// dates come from a rule that does not exist any more.
func (s *Store) left(e Planned, field string, people int, until attendees.Date, want func(attendees.Purpose) bool) Left {
	l := Left{Event: e.ID, Field: field, People: people, Rule: e.Rule, Until: until.String()}
	for _, u := range s.policy.Purposes {
		if want(u) {
			l.Purposes = append(l.Purposes, u.Name)
		}
	}
	if _, ok := s.policy.RuleNamed(e.Rule); !ok {
		l.Fault = fmt.Sprintf("no rule is called %s", e.Rule)
	}
	return l
}

func (s *Store) auditRecords(ctx context.Context, e Planned, all []Left) (_ []Left, err error) {
	defer db.Wrap(&err, "audit event %s", e.ID)
	var n struct {
		People int `db:"people"`
		Free   int `db:"free"` // that neither a hold nor a restriction keeps
		Listed int `db:"listed"`
	}
	err = db.Get(ctx, s.pool, &n, `
		select count(distinct r.attendee_id) as people,
			count(distinct r.attendee_id) filter (where not $2 and r.attendee_id not in (select attendee_id from staying where event_id = $1)) as free,
			(select count(distinct substring(p.attendees from 1 + 16 * i for 16))
				from receipt_people p, generate_series(0, length(p.attendees) / 16 - 1) as i
				where p.event_id = $1) as listed
		from records r
		where r.event_id = $1 and (r.kind in ('restricted', 'lifted', 'corrected') or $3)`, e.Key, e.Event.Held, e.State == attendees.Blocked)
	if n.People > 0 {
		l := s.left(e, "sealed records", n.People, e.DeleteOn, func(u attendees.Purpose) bool { return u.Sealed })
		if e.Expired(s.now()) {
			l.Until = "its holds and restrictions end"
		}
		switch {
		case e.DueToDelete(s.now()):
			l.Fault = "should have been deleted on " + e.DeleteOn.String()
		case len(l.Purposes) == 0 && n.Free > 0:
			l.Fault = "no purpose keeps it sealed"
		}
		all = append(all, l)
	}
	if err != nil || n.Listed == 0 {
		return all, err
	}
	var listed []attendees.PurposeName
	err = db.Select(ctx, s.pool, &listed, `
		select distinct r.purpose
		from receipt_people p
		join receipts r on r.id = p.receipt_id
		where p.event_id = $1`, e.Key)
	l := s.left(e, "who was on exports", n.Listed, e.BlockOn, func(u attendees.Purpose) bool { return slices.Contains(listed, u.Name) })
	l.Fault = ""
	return append(all, l), err
}

// Faults are those of what is left that nothing allows.
func Faults(all []Left) []Left {
	return slices.DeleteFunc(slices.Clone(all), func(l Left) bool { return l.Fault == "" })
}

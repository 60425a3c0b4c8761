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
	if err != nil {
		return nil, err
	}
	for _, e := range plan.Events {
		if e.State == attendees.Open {
			left, err := s.auditLayers(ctx, e)
			if err != nil {
				return nil, err
			}
			all = append(all, left...)
		}
		left, err := s.auditRecords(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, left...)
	}
	return all, nil
}

func (s *Store) auditLayers(ctx context.Context, e Planned) (all []Left, err error) {
	counts := map[attendees.Field]int{}
	err = db.Snapshot(ctx, s.pool, func(tx db.Tx) error {
		return s.reader.Read(ctx, tx, e.Event, 0, func(p reader.Person) error {
			a := p.Merged(s.policy)
			for _, f := range []attendees.Field{attendees.Name, attendees.Email, attendees.Ticket, attendees.AgreementVersion, attendees.AgreedAt} {
				if a.Text(f) != "" {
					counts[f]++
				}
			}
			if a.Attended {
				counts[attendees.Attended]++
			}
			seen := map[attendees.Field]bool{}
			for _, g := range a.Given {
				if f := g.Field.Base(); !seen[f] {
					seen[f] = true
					counts[f]++
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for _, f := range attendees.AllFields() {
		if counts[f] == 0 {
			continue
		}
		l := Left{Event: e.ID, Field: string(f), People: counts[f], Rule: e.Rule, Until: e.BlockOn.String()}
		for _, u := range s.policy.Purposes {
			if u.Allows(f) {
				l.Purposes = append(l.Purposes, u.Name)
			}
		}
		switch {
		case len(l.Purposes) == 0:
			l.Fault = "no purpose names it"
		case e.Past(s.now()):
			l.Fault = "should have been blocked on " + e.BlockOn.String()
		default:
			l.Fault = s.noRule(e)
		}
		all = append(all, l)
	}
	return all, nil
}

func (s *Store) auditRecords(ctx context.Context, e Planned) (all []Left, err error) {
	defer db.Wrap(&err, "audit event %s", e.ID)
	var n struct {
		People int `db:"people"`
		Free   int `db:"free"`
		Listed int `db:"listed"`
	}
	err = db.Get(ctx, s.pool, &n, `
		select count(distinct r.attendee_id) as people,
			count(distinct r.attendee_id) filter (where r.attendee_id not in (select attendee_id from staying($1)) and not $2) as free,
			(select count(distinct substring(p.attendees from 1 + 16 * i for 16))
				from receipt_people p, generate_series(0, length(p.attendees) / 16 - 1) as i
				where p.event_id = $1) as listed
		from records r
		where r.event_id = $1 and (r.kind in ('restricted', 'lifted', 'corrected') or $3)`, e.Key, e.Event.Held, e.State == attendees.Blocked)
	if err != nil {
		return nil, err
	}
	if n.People > 0 {
		l := Left{Event: e.ID, Field: "sealed records", People: n.People, Rule: e.Rule, Until: e.DeleteOn.String()}
		for _, u := range s.policy.Purposes {
			if u.Sealed {
				l.Purposes = append(l.Purposes, u.Name)
			}
		}
		if e.Expired(s.now()) {
			l.Until = "its holds and restrictions end"
		}
		switch {
		case e.DueToDelete(s.now()):
			l.Fault = "should have been deleted on " + e.DeleteOn.String()
		case len(l.Purposes) == 0 && n.Free > 0:
			l.Fault = "no purpose keeps it sealed"
		default:
			l.Fault = s.noRule(e)
		}
		all = append(all, l)
	}
	if n.Listed == 0 {
		return all, nil
	}
	l := Left{Event: e.ID, Field: "who was on exports", People: n.Listed, Rule: e.Rule, Until: e.BlockOn.String()}
	err = db.Select(ctx, s.pool, &l.Purposes, `
		select distinct r.purpose
		from receipt_people p
		join receipts r on r.id = p.receipt_id
		where p.event_id = $1
		order by r.purpose`, e.Key)
	return append(all, l), err
}

// noRule is the fault of an event whose dates come from a rule that does not exist any more;
// "" where it does.
func (s *Store) noRule(e Planned) string {
	if _, ok := s.policy.RuleNamed(e.Rule); ok {
		return ""
	}
	return fmt.Sprintf("no rule is called %s", e.Rule)
}

// Faults are those of what is left that nothing allows.
func Faults(all []Left) []Left {
	return slices.DeleteFunc(slices.Clone(all), func(l Left) bool { return l.Fault == "" })
}

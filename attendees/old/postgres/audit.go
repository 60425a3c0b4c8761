package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"lethe/attendees/old/attendees"
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

// Audit tells what personal data is left, field by field, and what allows it. What
// nothing allows is a fault.
func (s *Store) Audit(ctx context.Context) ([]Left, error) {
	plan, err := s.Plan(ctx)
	if err != nil {
		return nil, err
	}
	fields := keptFields()
	var filters []string
	for _, f := range fields {
		filters = append(filters, "count(distinct coalesce(attendee_id, id)) filter (where "+f.held()+")") // her answers say it again
	}
	all := []Left{}
	for _, e := range plan.Events {
		counts := make([]int, len(fields)+2)
		into := make([]any, len(counts))
		for i := range counts {
			into[i] = &counts[i]
		}
		err := s.db.QueryRowxContext(ctx, `
			select `+strings.Join(filters, ", ")+`,
				(select count(distinct attendee_id) from sealed where event_id = $1),
				(select count(distinct attendee_id) from sealed s where event_id = $1 and `+free("$1", "$2")+`)
			from personal
			where event_id = $1 and part in ('registration', 'response')`, e.Key, s.holdDay()).Scan(into...)
		if err != nil {
			return nil, quiet("audit an event", err)
		}
		for i, f := range fields {
			if counts[i] > 0 {
				all = append(all, s.left(e, attendees.Field(f), counts[i]))
			}
		}
		listed, err := s.listed(ctx, e)
		if err != nil {
			return nil, err
		}
		if listed.People > 0 {
			all = append(all, listed)
		}
		if n := counts[len(fields)]; n > 0 {
			all = append(all, s.sealed(e, n, counts[len(fields)+1]))
		}
	}
	return all, nil
}

// listed tells who is kept as having been on an event's exports, for what those were
// made: an erasure has to name them (GDPR Art. 19).
func (s *Store) listed(ctx context.Context, e Planned) (Left, error) {
	l := Left{Event: e.ID, Field: "who was on exports", Rule: e.Rule, Until: e.BlockOn.String()}
	var purposes pq.StringArray
	err := s.db.QueryRowxContext(ctx, `
		select count(distinct who), coalesce(array_agg(distinct r.purpose) filter (where r.purpose is not null), '{}')
		from personal p
		cross join unnest(p.listed) as who
		left join receipts r on r.id = coalesce(p.receipt_id, p.id)
		where p.event_id = $1 and p.part = 'receipt'`, e.Key).Scan(&l.People, &purposes)
	if err != nil {
		return l, quiet("audit an event's exports", err)
	}
	for _, p := range purposes {
		l.Purposes = append(l.Purposes, attendees.PurposeName(p))
	}
	if len(l.Purposes) == 0 {
		l.Fault = "of no export that is known"
	}
	return l, nil
}

func (s *Store) left(e Planned, f attendees.Field, people int) Left {
	l := Left{Event: e.ID, Field: string(f), People: people, Rule: e.Rule, Until: e.BlockOn.String()}
	for _, u := range s.policy.Purposes {
		if u.Allows(f) {
			l.Purposes = append(l.Purposes, u.Name)
		}
	}
	switch {
	case len(l.Purposes) == 0:
		l.Fault = "no purpose names it"
	case !e.Today(s.now()).Before(e.BlockOn.Date):
		l.Fault = fmt.Sprintf("should have been blocked on %s", e.BlockOn)
	default:
		l.Fault = s.noRule(e)
	}
	return l
}

// sealed tells whose records are kept sealed: what keeps those whom neither a hold nor a
// restriction keeps, a purpose has to say.
func (s *Store) sealed(e Planned, people, free int) Left {
	l := Left{Event: e.ID, Field: "sealed records", People: people, Rule: e.Rule, Until: e.DeleteOn.String()}
	for _, u := range s.policy.Purposes {
		if u.Sealed {
			l.Purposes = append(l.Purposes, u.Name)
		}
	}
	switch {
	case e.DueToDelete(s.now()):
		l.Fault = "should have been deleted on " + e.DeleteOn.String()
	case len(l.Purposes) == 0 && free > 0:
		l.Fault = "no purpose keeps it sealed"
	default:
		l.Fault = s.noRule(e)
	}
	return l
}

// noRule is the fault of an event whose dates come from a rule that nobody knows any more;
// "" where it is known.
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

package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	lives "lethe/attendees/lifetest/life"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func (d *driver) accept(ctx context.Context) error {
	plan, err := d.world.Store.Plan(ctx)
	if err != nil {
		return err
	}
	_, err = d.AcceptPlan(ctx, plan.Hash())
	return outcome(err)
}

func (d *driver) Plan(event string) (lives.Plan, error) {
	e := d.look(attendees.EventID(event))
	state := map[attendees.State]string{attendees.Active: "open", attendees.Blocked: "blocked", attendees.Deleted: "deleted"}[e.State]
	return lives.Plan{State: state, BlockOn: e.BlockOn.String(), DeleteOn: e.DeleteOn.String(), Pending: e.Pending(), Asked: e.Doubted && e.State == attendees.Blocked}, nil
}

func (d *driver) Listed(event, purpose string) (rows []lives.Row, err error) {
	standing := postgres.AnyStatus
	if purpose == "forum" {
		standing = attendees.Attending
	}
	for r, err := range d.Attending(d.t.Context(), attendees.EventID(event), attendees.PurposeName(purpose), standing) {
		var blocked *postgres.BlockedError
		if errors.As(err, &blocked) {
			return nil, lives.ErrRefused
		}
		if err != nil {
			return nil, err
		}
		f := map[string]string{
			"name": r.Name.Reveal(), "email": r.Email.Reveal(), "ticket": r.Ticket, "agreement_version": r.AgreementVersion, "affiliation": r.Affiliation.Reveal(),
		}
		if purpose != "forum" {
			f["attended"] = map[bool]string{true: "yes", false: "no"}[r.Attended]
		}
		if !r.AgreedAt.IsZero() {
			f["agreed_at"] = r.AgreedAt.UTC().Format(time.RFC3339)
		}
		var forums []string
		for _, forum := range r.Forums {
			forums = append(forums, forum.Reveal())
		}
		f["forums"] = strings.Join(forums, "; ")
		rows = append(rows, lives.Row{Who: lives.Who{Ticket: r.ID}, Standing: r.Status, Fields: f})
	}
	return rows, nil
}

func (d *driver) Own(address string) (all []lives.Own, err error) {
	holdings, err := d.HeldUnder(d.t.Context(), attendees.Personal(address))
	for _, h := range holdings {
		event := string(h.Event.ID)
		if h.Shared > 0 {
			all = append(all, lives.Own{Event: event, Shared: true})
		}
		for _, a := range h.Answers {
			all = append(all, lives.Own{Event: event, Answer: string(a.ID)})
		}
		if h.Own == nil {
			continue
		}
		own := lives.Own{Event: event, Who: lives.Who{Ticket: string(h.Own.ID)}, Opens: !h.Closed, Fields: map[string]string{}}
		own.State = d.stateOf(h.Event, string(h.Own.ID), h.Own.Reason)
		for _, f := range h.Own.Fields {
			var values []string
			for _, v := range f.Values {
				values = append(values, v.Reveal())
			}
			if f.Field != "status" {
				own.Fields[string(f.Field)] = strings.Join(values, "; ")
			}
		}
		all = append(all, own)
	}
	return all, err
}

func (d *driver) stateOf(e postgres.Event, ticket string, why attendees.Reason) string {
	switch {
	case d.late[ticket] && e.State == attendees.Blocked:
		return "blocked"
	case why == attendees.ErasureAsked && e.State == attendees.Active, why == attendees.ErasureAsked && !d.late[ticket]:
		return "erased"
	case why != "":
		return "restricted"
	case e.State == attendees.Active:
		return "open"
	}
	return "blocked"
}

// sealedOf are an event's sealed parts, opened, by ticket.
func (d *driver) sealedOf(event string, open func(postgres.SealedRecord) (seal.Record, error)) ([]lives.Record, error) {
	e := d.look(attendees.EventID(event))
	var rows []struct {
		postgres.SealedRecord
		Reason attendees.Reason `db:"reason"`
		Agreed *bool            `db:"agreed"`
		Held   bool             `db:"held"`
	}
	err := d.DB().Select(&rows, `
		select $2::text as event, a.source_id as attendee, s.part, s.officers, coalesce(s.person, '') as person, s.person_key, s.attendee_id, a.reason, s.agreed,
			exists (select from sealed h where h.event_id = s.event_id and h.attendee_id = s.attendee_id and h.part = 'held') as held
		from sealed s
		join attendees a on a.id = s.attendee_id
		where s.event_id = $1
		order by a.source_id, s.part`, e.Key, e.ID)
	if err != nil {
		return nil, err
	}
	byWho := map[string]map[string]*lives.Record{}
	for _, r := range rows {
		record, err := open(r.SealedRecord)
		if errors.Is(err, seal.ErrKey) {
			continue
		}
		if err != nil {
			return nil, err
		}
		fields, err := fieldsOf(record.Fields)
		if err != nil {
			return nil, err
		}
		ticket := string(r.Attendee)
		state := d.stateOf(e, ticket, r.Reason)
		kinds := []string{"kept"}
		switch {
		case strings.HasPrefix(r.Part, "statement."):
			kinds = []string{"corrected"}
		case state == "restricted" || state == "erased":
			kinds = []string{"restricted"}
		case strings.Contains(r.Part, ":") || r.Part == "held":
			kinds = []string{"held"}
		case r.Agreed != nil && !*r.Agreed && (e.Doubted || d.dropped[event] && (d.lateHolds[event] || d.lateHolds[event+ticket])):
			kinds = []string{"doubt"}
		case r.Agreed != nil && !*r.Agreed:
			kinds = nil
		}
		if r.Part == "registration" && kinds != nil && kinds[0] != "restricted" && r.Held || kinds == nil {
			kinds = append(kinds, "held")
		}
		for _, kind := range kinds {
			if byWho[ticket] == nil {
				byWho[ticket] = map[string]*lives.Record{}
			}
			one := byWho[ticket][kind]
			if one == nil {
				one = &lives.Record{Who: lives.Who{Ticket: ticket}, Kind: kind, Fields: map[string]string{}}
				byWho[ticket][kind] = one
			}
			if strings.Contains(r.Part, ":") {
				one.Also = slices.AppendSeq(one.Also, maps.Values(fields))
				continue
			}
			maps.Copy(one.Fields, fields)
		}
	}
	var all []lives.Record
	for _, ticket := range slices.Sorted(maps.Keys(byWho)) {
		for _, kind := range slices.Sorted(maps.Keys(byWho[ticket])) {
			all = append(all, *byWho[ticket][kind])
		}
	}
	return all, nil
}

// fieldsOf are the fields of a sealed part as lifetest has them.
func fieldsOf(text json.RawMessage) (map[string]string, error) {
	var raw map[string]any
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	f := map[string]string{}
	for _, name := range []string{"name", "email", "ticket", "attended", "agreement_version", "agreed_at", "affiliation", "forums"} {
		switch v := raw[name].(type) {
		case nil:
		case bool:
			f[name] = map[bool]string{true: "yes", false: "no"}[v]
		case []any:
			var values []string
			for _, one := range v {
				values = append(values, fmt.Sprint(one))
			}
			f[name] = strings.Join(values, "; ")
		default:
			f[name] = fmt.Sprint(v)
		}
		if at, err := time.Parse(time.RFC3339, f[name]); name == "agreed_at" && err == nil {
			f[name] = at.UTC().Format(time.RFC3339)
		}
	}
	return f, nil
}

func (d *driver) Officer(event string) ([]lives.Record, error) {
	return d.sealedOf(event, d.opener())
}

func (d *driver) Person(event, address string) ([]lives.Record, error) {
	open := d.OpenedBy(attendees.Personal(address))
	return d.sealedOf(event, func(r postgres.SealedRecord) (seal.Record, error) {
		if len(r.Person) == 0 {
			return seal.Record{}, seal.ErrKey
		}
		return open(r)
	})
}

func (d *driver) Server(event string) (all []lives.Who, err error) {
	return d.who(`select source_id from personal where event_id = $1 and part = 'registration' order by 1`, event)
}

func (d *driver) who(query, event string) (all []lives.Who, err error) {
	var ids []string
	err = d.DB().Select(&ids, query, d.look(attendees.EventID(event)).Key)
	for _, id := range ids {
		all = append(all, lives.Who{Ticket: id})
	}
	return all, err
}

func (d *driver) Counts(event string) (map[string]int, error) {
	tallies, err := d.TalliesOf(d.t.Context(), d.look(attendees.EventID(event)))
	n := map[string]int{}
	for _, t := range tallies {
		n[t.What] = t.People
	}
	return n, err
}

func (d *driver) Stored(event string) (s lives.Stored, err error) {
	if s.People, err = d.who(`select source_id from attendees where event_id = $1 order by 1`, event); err != nil {
		return s, err
	}
	key := d.look(attendees.EventID(event)).Key
	err = d.DB().Select(&s.Answers, `
		select source_id from personal where event_id = $1 and part = 'response' order by 1`, key)
	return s, err
}

func (d *driver) Tasks() ([]lives.Task, error) { return d.asked, nil }

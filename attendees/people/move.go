package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/seal"
)

// moved is a ticket that its source has in another event now.
type moved struct {
	from, to uuid.UUID
	id       attendees.AttendeeID
}

// elsewhere finds tickets of a batch that attend another event, or were erased there: those
// that do not attend their own, and were changed since they were bought.
func (s *Store) elsewhere(ctx context.Context, known map[attendees.EventID]events.Event, groups map[attendees.EventID][]attendees.Layer) (all []moved, err error) {
	var asked []moved
	var bases []uuid.UUID
	for id, layers := range groups {
		e, ok := known[id]
		for _, l := range layers {
			if ok && l.Changed().After(l.Registered()) {
				ticket, _ := l.Registration()
				base, err := s.Registration(e, ticket)
				if err != nil {
					return nil, err
				}
				asked, bases = append(asked, moved{to: e.Key, id: ticket}), append(bases, base)
			}
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	here, err := s.present(ctx, bases)
	if err != nil {
		return nil, err
	}
	others, err := s.events.List(ctx)
	if err != nil {
		return nil, err
	}
	bases = bases[:0:0]
	at := map[uuid.UUID]moved{}
	for _, e := range others {
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		for i, m := range asked {
			if m.to != e.Key && !here[i] {
				base := h.Registration(string(e.ID), string(e.Source), string(m.id))
				bases, at[base] = append(bases, base), moved{e.Key, m.to, m.id}
			}
		}
	}
	there, err := s.present(ctx, bases)
	for i, base := range bases {
		if err == nil && there[i] {
			all = append(all, at[base])
		}
	}
	return all, err
}

// present tells which registrations attend, or were erased.
func (s *Store) present(ctx context.Context, bases []uuid.UUID) (found []bool, err error) {
	highs := make([]uuid.UUID, len(bases))
	at := make(map[uuid.UUID]int, len(bases))
	for i, b := range bases {
		at[b], highs[i] = i, seal.Holder(b, seal.MaxHolder)
	}
	found = make([]bool, len(bases))
	var rows []uuid.UUID
	err = db.Select(ctx, s.pool, &rows, `
		select w.low
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		cross join lateral (
			(select id from attendees where id between w.low and w.high and standing <> 'gone' order by id limit 1)
			union all
			(select hash from bars where hash = w.low and what = 'erased' limit 1)
			limit 1
		) as known`, sheet.Texts(bases), sheet.Texts(highs))
	for _, r := range rows {
		found[at[r]] = true
	}
	return found, err
}

// move takes a ticket from the event that it was in: its holder is gone there, and what is
// decided about them, their correction, and their responses of forms that both events share
// go along.
func (s *Store) move(ctx context.Context, d *desk, m moved, saved *Saved) error {
	from, err := d.of(ctx, m.from)
	if err != nil {
		return err
	}
	to, err := d.of(ctx, m.to)
	if err != nil {
		return err
	}
	if from == nil {
		return s.staysOut(ctx, d, m, to, saved)
	}
	base := from.Base(m.id)
	if err := from.Load(ctx, base); err != nil {
		return err
	}
	old := from.Present(base)
	if old == nil || old.Standing == attendees.Gone && old.State == attendees.Open {
		return s.staysOut(ctx, d, m, to, saved)
	}
	saved.Moved++
	if to == nil || to.Present(to.Base(m.id)) == nil {
		from.Leave(old) // it is not here, wherever it is
		return nil
	}
	new := to.Present(to.Base(m.id))
	another := from.IsAnother(old, new.Registration) || old.State == attendees.Open && attendees.HandedOver(old.Registration, new.Registration, seal.FoldName, seal.Normalise)
	if from.Leave(old); another {
		return nil // moved, and handed over
	}
	return s.follow(ctx, from, to, old, new)
}

// staysOut keeps a ticket out of an event where it was erased in the one that it comes from.
func (s *Store) staysOut(ctx context.Context, d *desk, m moved, to *sheet.Sheet, saved *Saved) error {
	if to == nil {
		return nil
	}
	base := to.Base(m.id)
	there, err := s.Registration(d.locked[m.from], m.id)
	if err != nil {
		return err
	}
	var erased bool
	err = db.Get(ctx, d.tx, &erased, `
		select exists (select from bars where event_id = $1 and hash = $2 and what = 'erased')`, m.from, there)
	if p := to.Present(base); err != nil || !erased || p == nil {
		return err
	}
	to.Remove(to.Present(base))
	saved.Barred, saved.New = saved.Barred+1, saved.New-1
	return to.SetBar(ctx, sheet.Bar{Hash: base, What: sheet.Erased})
}

// follow gives somebody in the event that they moved to what is theirs in the one they left.
func (s *Store) follow(ctx context.Context, from, to *sheet.Sheet, old, new *sheet.Person) error {
	for _, b := range from.Bars(old.ID) {
		b.Hash = new.ID
		if err := to.SetBar(ctx, b); err != nil {
			return err
		}
	}
	if old.State == attendees.Restricted {
		if new.State == attendees.Restricted {
			return nil
		}
		return to.Restrict(ctx, new, old.Reason)
	}
	new.CountsAsAgreed = new.CountsAsAgreed || old.CountsAsAgreed
	if !old.Correction.IsZero() {
		to.Correct(new, old.Correction)
		from.Correct(old, attendees.Layer{})
	}
	for _, a := range slices.Clone(old.Responses) {
		form, id := a.Layer.Response()
		links := to.FieldLinks(form)
		if a.Layer.IsZero() || len(links) == 0 {
			continue
		}
		key := to.ResponseKey(form, id)
		if err := to.LoadAnswers(ctx, key); err != nil {
			return err
		}
		copied := to.Answer(key)
		if copied == nil {
			copied = to.NewAnswer(form, id)
		}
		if to.Read(copied, a.Layer.Linked(links)); copied.Attendee == nil {
			if err := to.Give(ctx, copied, new, a.MatchedBy); err != nil {
				return err
			}
		}
		from.Forgo(old, a)
	}
	return nil
}

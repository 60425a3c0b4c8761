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
	erased   bool // in the one that it comes from
}

// elsewhere finds tickets of a batch that attend another event, or were erased there: those
// that do not attend their own, and were changed since they were bought.
func (s *Store) elsewhere(ctx context.Context, known map[attendees.EventID]events.Event, groups map[attendees.EventID][]attendees.Layer) (all []moved, err error) {
	asked := map[uuid.UUID]moved{}
	for id, layers := range groups {
		e, ok := known[id]
		for _, l := range layers {
			if ok && l.Changed().After(l.Registered()) {
				ticket, _ := l.Registration()
				base, err := s.Registration(e, ticket)
				if err != nil {
					return nil, err
				}
				asked[base] = moved{to: e.Key, id: ticket}
			}
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	here, err := s.present(ctx, asked)
	if err != nil {
		return nil, err
	}
	for base := range here {
		delete(asked, base)
	}
	others, err := s.events.List(ctx)
	if err != nil {
		return nil, err
	}
	at := map[uuid.UUID]moved{}
	for _, e := range others {
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		for _, m := range asked {
			if m.to != e.Key {
				at[h.Registration(string(e.ID), string(e.Source), string(m.id))] = moved{from: e.Key, to: m.to, id: m.id}
			}
		}
	}
	there, err := s.present(ctx, at)
	for base, erased := range there {
		m := at[base]
		m.erased = erased
		all = append(all, m)
	}
	return all, err
}

// present tells which registrations, by their keys, attend, and which were erased.
func (s *Store) present(ctx context.Context, asked map[uuid.UUID]moved) (erased map[uuid.UUID]bool, err error) {
	var lows, highs []uuid.UUID
	for base := range asked {
		lows, highs = append(lows, base), append(highs, seal.Holder(base, seal.MaxHolder))
	}
	var rows []struct {
		Base   uuid.UUID `db:"low"`
		Erased bool      `db:"erased"`
	}
	err = db.Select(ctx, s.pool, &rows, `
		select w.low, known.erased
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		cross join lateral (
			(select true as erased from bars where hash = w.low and what = 'erased' limit 1)
			union all
			(select false from attendees where id between w.low and w.high and standing <> 'gone' order by id limit 1)
			limit 1
		) as known`, sheet.Texts(lows), sheet.Texts(highs))
	erased = make(map[uuid.UUID]bool, len(rows))
	for _, r := range rows {
		erased[r.Base] = r.Erased
	}
	return erased, err
}

// move takes a ticket from the event that it was in: its holder is gone there, and what is
// theirs goes along. One that was erased there stays out.
func (s *Store) move(ctx context.Context, d *desk, m moved, saved *Saved) error {
	to, err := d.of(ctx, m.to)
	if err != nil {
		return err
	}
	var new *sheet.Person
	if to != nil {
		new = to.Present(to.Base(m.id))
	}
	if m.erased {
		if new == nil {
			return nil
		}
		to.Remove(new)
		saved.Barred, saved.New = saved.Barred+1, saved.New-1
		return to.SetBar(ctx, sheet.Bar{Hash: to.Base(m.id), What: sheet.Erased})
	}
	from, err := d.of(ctx, m.from)
	if err != nil || from == nil {
		return err
	}
	if err := from.Load(ctx, from.Base(m.id)); err != nil {
		return err
	}
	old := from.Present(from.Base(m.id))
	if old == nil || old.Standing == attendees.Gone && old.State == attendees.Open {
		return nil
	}
	saved.Moved++
	before := old.Registration
	from.Leave(old)
	if new == nil || from.IsAnother(old, new.Registration) || attendees.HandedOver(before, new.Registration, seal.FoldName, seal.Normalise) {
		return nil // it is not here, wherever it is; or it was handed over, too
	}
	return s.follow(ctx, from, to, old, new)
}

// follow gives somebody in the event that they moved to what is decided about them, their
// correction, and their responses of forms that both events share.
func (s *Store) follow(ctx context.Context, from, to *sheet.Sheet, old, new *sheet.Person) error {
	for _, b := range from.Bars[old.ID] {
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
		if err := s.correct(ctx, to, new, old.Correction, ""); err != nil {
			return err
		}
		from.Correct(old, attendees.Layer{})
	}
	for _, a := range slices.Clone(old.Responses) {
		links := events.FieldLinks(to.Links, to.Event.ID, a.Form)
		if a.Layer.IsZero() || len(links) == 0 {
			continue
		}
		if err := to.LoadAnswers(ctx, to.ResponseKey(a.Layer.Response())); err != nil {
			return err
		}
		copied, _, _ := to.Read(a.Layer.Linked(links))
		if copied.Attendee == nil {
			if err := to.Give(ctx, copied, new, a.MatchedBy); err != nil {
				return err
			}
		}
		from.Drop(a)
	}
	return nil
}

package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/seal"
)

// moved is a ticket that its source has in another event now.
type moved struct {
	from, to uuid.UUID
	id       attendees.AttendeeID
}

// elsewhere finds tickets of a batch that attend another event: those that do not attend
// their own, and were changed since they were bought. A ticket attends one event at most.
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
	here, err := s.attending(ctx, asked)
	for base := range here {
		delete(asked, base)
	}
	if err != nil || len(asked) == 0 {
		return nil, err
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
				at[h.Registration(string(e.ID), string(e.Source), string(m.id))] = moved{e.Key, m.to, m.id}
			}
		}
	}
	there, err := s.attending(ctx, at)
	for base := range there {
		all = append(all, at[base])
	}
	return all, err
}

// attending tells which registrations, by their keys, have a holder who has not left.
func (s *Store) attending(ctx context.Context, asked map[uuid.UUID]moved) (map[uuid.UUID]bool, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	found, err := s.holders(ctx, s.pool, keys(asked))
	attend := map[uuid.UUID]bool{}
	for _, h := range found {
		if h.Standing != attendees.Gone {
			attend[h.First] = true
		}
	}
	return attend, err
}

// move takes a ticket from the event that it was in: its holder is gone there, and what is
// theirs follows. A reading that is older than what is stored there moves nothing.
func (s *Store) move(ctx context.Context, taken sheets, m moved, saved *Saved) error {
	from, to := taken[m.from], taken[m.to]
	if from == nil || to == nil {
		return nil
	}
	if err := from.Load(ctx, from.Base(m.id)); err != nil {
		return err
	}
	old, new := from.Present(from.Base(m.id)), to.Present(to.Base(m.id))
	arrives := to.Event.Writable(s.now())
	switch {
	case old == nil, old.Standing == attendees.Gone && old.State != attendees.Restricted, arrives && new == nil: // it was erased
		return nil
	case arrives && !new.Registration.IsZero() && new.Registration.Changed().Before(old.Registration.Changed()):
		to.Leave(new)
		return nil
	}
	saved.Moved++
	since := old.Registration.HeldSince()
	from.Leave(old)
	if !arrives {
		return nil // it is not here, wherever it is
	}
	another := from.IsAnother(old, new.Registration)
	if another {
		since = new.Registration.Changed()
	}
	if _, number := seal.HolderOf(new.ID); new.Fresh && !new.Registration.IsZero() {
		new.Registration = new.Registration.As(number, since)
	}
	if another {
		return nil
	}
	return follow(ctx, from, to, old, new)
}

// follow gives somebody in the event that they moved to what is decided about them, their
// correction, and their responses of forms that both events share.
func follow(ctx context.Context, from, to *sheet.Sheet, old, new *sheet.Person) error {
	for _, b := range from.BarsOf(old) {
		b.Hash = new.ID
		if err := to.SetBar(ctx, b); err != nil {
			return err
		}
	}
	// A yes that nobody can read here counts, as after an event is reopened.
	new.CountsAsAgreed = new.CountsAsAgreed || (old.CountsAsAgreed || old.Agreed && old.Registration.IsZero()) && shareAgreement(from, to)
	if old.State == attendees.Restricted {
		if new.State == attendees.Restricted {
			return nil
		}
		return to.Restrict(ctx, new, old.Reason)
	}
	if !old.Correction.IsZero() {
		if err := to.Amend(ctx, new, old.Correction, ""); err != nil {
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

// shareAgreement tells whether a form asks for the agreement in both events.
func shareAgreement(a, b *sheet.Sheet) bool {
	asks := func(sh *sheet.Sheet, form attendees.FormID) bool {
		return slices.ContainsFunc(events.FieldLinks(sh.Links, sh.Event.ID, form), func(f attendees.FieldLink) bool { return f.Field == attendees.Agreed })
	}
	return slices.ContainsFunc(a.Links, func(l events.Link) bool { return asks(a, l.Form) && asks(b, l.Form) })
}

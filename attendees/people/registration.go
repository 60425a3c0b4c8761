package people

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/seal"
)

// Batch is what a page of registrations comes to.
type Batch struct {
	Layers map[attendees.EventID][]attendees.Layer
	// Links are those that the registrations were minimised by. Where an event's own
	// questions are linked otherwise by now, the batch is refused with events.ErrRewound.
	Links []events.Link
	// Progress stores how far the source was read, in the same transaction; may be nil.
	Progress func(ctx context.Context, tx db.Tx) error
}

// SaveRegistrations stores registrations, in one transaction. Those of events that are not
// open, or not known, are skipped.
func (s *Store) SaveRegistrations(ctx context.Context, b Batch) (saved Saved, err error) {
	defer db.Wrap(&err, "save registrations")
	known, err := s.events.Known(ctx, s.pool, slices.Collect(maps.Keys(b.Layers)))
	if err != nil {
		return saved, err
	}
	before, err := s.elsewhere(ctx, known, b.Layers)
	if err != nil {
		return saved, err
	}
	var keys []uuid.UUID
	for _, e := range known {
		keys = append(keys, e.Key)
	}
	for _, m := range before {
		keys = append(keys, m.from)
	}
	found := 0
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		saved = Saved{}
		taken, err := s.take(ctx, tx, keys...)
		if err != nil {
			return err
		}
		for id, layers := range b.Layers {
			sh := taken[known[id].Key]
			if sh == nil || !sh.Event.Writable(s.now()) {
				saved.Skipped += len(layers)
				continue
			}
			if !slices.Equal(events.FieldLinks(sh.Links, id, attendees.EventbriteForm), events.FieldLinks(b.Links, id, attendees.EventbriteForm)) {
				return events.ErrRewound
			}
			if err := sh.LoadAround(ctx, layers); err != nil {
				return err
			}
			for _, l := range layers {
				if err := s.registration(ctx, sh, l, &saved); err != nil {
					return err
				}
			}
		}
		for _, m := range before {
			if err := s.move(ctx, taken, m, &saved); err != nil {
				return err
			}
		}
		if found, err = taken.flush(ctx); err != nil || b.Progress == nil {
			return err
		}
		return b.Progress(ctx, tx)
	})
	if err == nil && found > 0 {
		err = s.sweepWaiting(ctx, false)
	}
	return saved, err
}

// sheets are those of one transaction, which has their events' rows, by the events' keys.
type sheets map[uuid.UUID]*sheet.Sheet

// take takes the rows of events for a transaction that writes to them.
func (s *Store) take(ctx context.Context, tx db.Tx, keys ...uuid.UUID) (sheets, error) {
	locked, err := s.events.Write(ctx, tx, keys...)
	taken := sheets{}
	for key, e := range locked {
		if err == nil {
			taken[key], err = s.desk.Open(ctx, tx, e)
		}
	}
	return taken, err
}

// flush writes all sheets. found is how many waiting responses found their attendee.
func (taken sheets) flush(ctx context.Context) (found int, err error) {
	for _, sh := range taken {
		if err := sh.Flush(ctx); err != nil {
			return found, err
		}
		found += sh.Found
	}
	return found, nil
}

// registration takes one registration onto its event's sheet.
func (s *Store) registration(ctx context.Context, sh *sheet.Sheet, l attendees.Layer, saved *Saved) error {
	id, _ := l.Registration()
	base := sh.Base(id)
	if b, ok := sh.Bars(base).Of(sheet.Erased); ok {
		saved.Barred++
		return s.changedAfter(ctx, sh, base, l, b)
	}
	p := sh.Present(base)
	if p == nil {
		saved.New++
		p = sh.Add(base, 0, l)
		if b, ok := sh.Bars(base).Of(sheet.Restricted); ok {
			return sh.Restrict(ctx, p, b.Reason)
		}
		return nil
	}
	_, number := seal.HolderOf(p.ID)
	switch {
	case sh.IsAnother(p, l):
		saved.HandedOver++
		if sh.Leave(p); number < seal.MaxHolder { // a ticket that changed hands so often is not given on any more
			sh.Add(base, number+1, l.As(number+1, l.Changed()))
		}
	case p.State == attendees.Restricted, !sh.Set(p, l.As(number, heldSince(p, number))):
		saved.Same++
	default:
		saved.Changed++
	}
	return nil
}

// heldSince is when a later holder got the ticket. In a reopened event nobody can read it: what was
// submitted until the day they came is not taken for theirs.
func heldSince(p *sheet.Person, number int) time.Time {
	if d := p.CameOn; p.State == attendees.Blocked && number > 0 {
		return time.Date(d.Year, d.Month, d.Day+1, 0, 0, 0, 0, time.UTC)
	}
	return p.Registration.HeldSince()
}

// changedAfter asks staff where an erased registration changed at its source since.
func (s *Store) changedAfter(ctx context.Context, sh *sheet.Sheet, base uuid.UUID, l attendees.Layer, b sheet.Bar) error {
	if !b.MadeOn.Before(attendees.DateOf(l.Changed())) {
		return nil
	}
	id, _ := l.Registration()
	return s.events.Tasks.Ask(ctx, sh.Tx, events.Task{
		Kind: events.TaskErased, Event: sh.Event.Key, Attendee: base, Count: 1, Sealed: s.secrets.SealText(events.IDs(sh.Event.Key), []byte(id)),
	})
}

// moved is a ticket that its source has in another event now.
type moved struct {
	from, to uuid.UUID
	id       attendees.AttendeeID
}

// elsewhere finds tickets of a batch that attend another event: those that do not attend
// their own, and were changed since they were bought. A ticket attends one event at most.
func (s *Store) elsewhere(ctx context.Context, known map[attendees.EventID]events.Event, groups map[attendees.EventID][]attendees.Layer) (all []moved, err error) {
	asked := map[uuid.UUID]place{}
	for id, layers := range groups {
		e, ok := known[id]
		for _, l := range layers {
			if ticket, _ := l.Registration(); ok && l.Changed().After(l.Registered()) {
				base, err := s.Registration(e, ticket)
				if err != nil {
					return nil, err
				}
				asked[base] = place{e, ticket}
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
	to := map[attendees.AttendeeID]uuid.UUID{}
	for _, p := range asked {
		to[p.id] = p.event.Key
	}
	in, err := s.everywhere(ctx, slices.Collect(maps.Keys(to))...)
	if err != nil {
		return nil, err
	}
	there, err := s.attending(ctx, in)
	for base := range there {
		if p := in[base]; p.event.Key != to[p.id] {
			all = append(all, moved{p.event.Key, to[p.id], p.id})
		}
	}
	return all, err
}

// attending tells which registrations, by their keys, have a holder who has not left.
func (s *Store) attending(ctx context.Context, asked map[uuid.UUID]place) (map[uuid.UUID]bool, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	found, err := s.holders(ctx, s.pool, maps.Keys(asked))
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
	for _, b := range from.Bars(old.ID) {
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

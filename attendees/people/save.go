package people

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// Incoming is one registration, minimised.
type Incoming struct {
	Event attendees.EventID
	Layer attendees.Layer
}

// Batch is what a page of registrations comes to.
type Batch struct {
	Registrations []Incoming
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
	groups := map[attendees.EventID][]attendees.Layer{}
	var ids []attendees.EventID
	for _, r := range b.Registrations {
		if groups[r.Event] == nil {
			ids = append(ids, r.Event)
		}
		groups[r.Event] = append(groups[r.Event], r.Layer)
	}
	known, err := s.events.Known(ctx, s.pool, ids)
	if err != nil {
		return saved, err
	}
	before, err := s.elsewhere(ctx, known, groups)
	if err != nil {
		return saved, err
	}
	keys := make([]uuid.UUID, 0, len(known)+len(before))
	for _, e := range known {
		keys = append(keys, e.Key)
	}
	for _, m := range before {
		keys = append(keys, m.event)
	}
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		saved = Saved{}
		locked, err := s.events.Write(ctx, tx, keys...)
		if err != nil {
			return err
		}
		sheets := map[uuid.UUID]*sheet{}
		on := func(key uuid.UUID) (*sheet, error) {
			if sheets[key] != nil {
				return sheets[key], nil
			}
			sh, err := s.sheet(ctx, tx, locked[key])
			sheets[key] = sh
			return sh, err
		}
		for id, layers := range groups {
			e, ok := locked[known[id].Key]
			if !ok || !e.Writable(s.now()) {
				saved.Skipped += len(layers)
				continue
			}
			sh, err := on(e.Key)
			if err != nil {
				return err
			}
			own, then := events.FieldLinks(sh.links, id, attendees.EventbriteForm), events.FieldLinks(b.Links, id, attendees.EventbriteForm)
			if !slices.Equal(own, then) {
				return events.ErrRewound
			}
			if err := sh.registrations(ctx, layers, &saved); err != nil {
				return err
			}
		}
		for _, m := range before {
			from, err := on(m.event)
			if err != nil {
				return err
			}
			to := sheets[known[m.to].Key]
			if to == nil {
				continue
			}
			if err := s.move(ctx, from, to, m, &saved); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if sh := sheets[key]; sh != nil {
				if err := sh.flush(ctx); err != nil {
					return err
				}
				delete(sheets, key)
			}
		}
		if b.Progress != nil {
			return b.Progress(ctx, tx)
		}
		return nil
	})
	return saved, err
}

// registrations takes what a source says of one event's registrations onto the sheet.
func (sh *sheet) registrations(ctx context.Context, layers []attendees.Layer, saved *Saved) error {
	bases := make([]uuid.UUID, len(layers))
	ids := make([]attendees.AttendeeID, len(layers))
	for i, l := range layers {
		ids[i], _ = l.Registration()
		bases[i] = sh.base(ids[i])
	}
	if err := sh.loadFor(ctx, bases); err != nil {
		return err
	}
	err := sh.loadBars(ctx, bases, func(h seal.Hashes) []uuid.UUID {
		all := make([]uuid.UUID, len(ids))
		for i, id := range ids {
			all[i] = h.Registration("", string(sh.Source), string(id))
		}
		return all
	})
	if err != nil {
		return err
	}
	var arrived []*person
	for i, l := range layers {
		p, err := sh.registration(ctx, bases[i], l, saved)
		if err != nil {
			return err
		}
		if p != nil {
			arrived = append(arrived, p)
		}
	}
	return sh.rematch(ctx, arrived, saved)
}

// registration takes one registration onto the sheet. It gives the attendee where somebody
// new, or under another address, has come.
func (sh *sheet) registration(ctx context.Context, base uuid.UUID, l attendees.Layer, saved *Saved) (*person, error) {
	if b, ok := sh.barred(base, BarErased); ok {
		saved.Barred++
		return nil, sh.changedAfter(ctx, base, l, b)
	}
	p := sh.present(base)
	if p == nil {
		p = sh.add(base, 0, sh.store.policy.Again(l, sh.withdrawn(base)...))
		saved.New++
		if b, ok := sh.barred(base, BarRestricted); ok {
			return nil, sh.restrict(ctx, p, b.Reason)
		}
		return p, nil
	}
	if p.State != attendees.Open { // restricted, or blocked before the event was reopened
		if !sh.isAnother(p, l) {
			if p.State == attendees.Restricted {
				saved.Same++
				return nil, nil
			}
			saved.Changed++
			sh.set(p, l)
			return p, nil
		}
		return sh.handOver(p, l, saved), nil
	}
	if attendees.HandedOver(p.registration, l, seal.FoldName, seal.Normalise) {
		if !sh.isHeld(p.ID) {
			p.registration, p.dirty = p.registration.Left(), true
		} else {
			p.registration, p.dirty = p.registration.Left().Keeping(p.registration), true
		}
		return sh.handOver(p, l, saved), nil
	}
	_, holder := p.registration.Registration()
	email := p.registration.Email()
	if !sh.set(p, l.As(holder, p.registration.HeldSince())) {
		saved.Same++
		return nil, nil
	}
	saved.Changed++
	if seal.Normalise(email.Reveal()) != seal.Normalise(l.Email().Reveal()) {
		return p, nil
	}
	return nil, nil
}

// handOver gives a ticket to a new holder: what was answered before stays the former
// holder's, and the new one has agreed to nothing.
func (sh *sheet) handOver(former *person, l attendees.Layer, saved *Saved) *person {
	base, number := seal.HolderOf(former.ID)
	former.Standing, former.dirty = attendees.Gone, true
	saved.HandedOver++
	if number == seal.MaxHolder {
		return nil // a ticket that changed hands so often is nobody's any more
	}
	return sh.add(base, number+1, sh.store.policy.Again(l.As(number+1, l.Changed())))
}

// isAnother tells that a registration names somebody else than a holder whose layer the
// server cannot read: both the hashed name and the hashed address differ.
func (sh *sheet) isAnother(p *person, l attendees.Layer) bool {
	name, address := sh.hashes.Name(string(sh.ID), l.Name().Reveal()), sh.address(l.Email())
	differ := func(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) }
	return differ(p.NameHash, name) && differ(p.AddressIndex, address)
}

// changedAfter asks staff where an erased registration changed at its source since.
func (sh *sheet) changedAfter(ctx context.Context, base uuid.UUID, l attendees.Layer, b bar) error {
	if !b.MadeOn.Before(attendees.DateOf(l.Changed())) {
		return nil
	}
	return sh.store.events.Tasks.Ask(ctx, sh.tx, events.Task{
		Kind: events.TaskErased, Event: sh.Key, Attendee: base, Count: 1, Sealed: sh.store.sealID(sh.Key, l),
	})
}

// sealID seals the id of a registration for a task.
func (s *Store) sealID(event uuid.UUID, l attendees.Layer) []byte {
	id, _ := l.Registration()
	return s.SealIDs(event, string(id))
}

// SealIDs seals ids at a source under the text subkey, for a task or for deletion there.
func (s *Store) SealIDs(event uuid.UUID, id string) []byte {
	return s.secrets.SealText(idPlace(event), []byte(id))
}

// OpenIDs opens what SealIDs sealed.
func (s *Store) OpenIDs(event uuid.UUID, sealed []byte) (string, error) {
	text, err := s.secrets.OpenText(idPlace(event), sealed)
	return string(text), err
}

func idPlace(event uuid.UUID) seal.Place {
	return seal.Place{Event: event.String(), Key: "ids", Subject: event}
}

// moved is a ticket that its source has in another event now.
type moved struct {
	event uuid.UUID // the one that it was in
	id    attendees.AttendeeID
	to    attendees.EventID
}

// elsewhere finds tickets of a batch that are stored in another open event: those that are
// not known in their own, and were changed since they were bought.
func (s *Store) elsewhere(ctx context.Context, known map[attendees.EventID]events.Event, groups map[attendees.EventID][]attendees.Layer) (all []moved, err error) {
	var bases []uuid.UUID
	var asked []moved
	for id, layers := range groups {
		e, ok := known[id]
		if !ok || e.State != attendees.Open {
			continue
		}
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		for _, l := range layers {
			if l.Changed().After(l.Registered()) {
				ticket, _ := l.Registration()
				bases, asked = append(bases, h.Registration(string(id), string(e.Source), string(ticket))), append(asked, moved{id: ticket, to: id})
			}
		}
	}
	if len(bases) == 0 {
		return nil, nil
	}
	here, err := s.stored(ctx, bases)
	if err != nil {
		return nil, err
	}
	open, err := s.events.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range open {
		if e.State != attendees.Open {
			continue
		}
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		var there []uuid.UUID
		byBase := map[uuid.UUID]moved{}
		for i, m := range asked {
			if m.to == e.ID || here[bases[i]] {
				continue
			}
			base := h.Registration(string(e.ID), string(e.Source), string(m.id))
			there = append(there, base)
			byBase[base] = moved{e.Key, m.id, m.to}
		}
		found, err := s.stored(ctx, there)
		if err != nil {
			return nil, err
		}
		for base := range found {
			all = append(all, byBase[base])
		}
	}
	return all, nil
}

// stored tells of which registrations a holder, or an erasure, is stored.
func (s *Store) stored(ctx context.Context, bases []uuid.UUID) (map[uuid.UUID]bool, error) {
	found := map[uuid.UUID]bool{}
	if len(bases) == 0 {
		return found, nil
	}
	highs := make([]uuid.UUID, len(bases))
	for i, b := range bases {
		highs[i] = seal.Holder(b, seal.MaxHolder)
	}
	var rows []uuid.UUID
	err := db.Select(ctx, s.pool, &rows, `
		select w.low
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		where exists (select from attendees a where a.id between w.low and w.high)
		   or exists (select from bars b where b.hash = w.low and b.what = 'erased')`, texts(bases), texts(highs))
	for _, r := range rows {
		found[r] = true
	}
	return found, err
}

// move takes a ticket from the event that it was in: its holder is gone there, and what is
// decided about them, their correction, and their responses of forms that both events share
// go along.
func (s *Store) move(ctx context.Context, from, to *sheet, m moved, saved *Saved) error {
	base, there := from.base(m.id), to.base(m.id)
	if err := from.loadFor(ctx, []uuid.UUID{base}); err != nil {
		return err
	}
	if err := from.loadBars(ctx, []uuid.UUID{base}, nil); err != nil {
		return err
	}
	old, new := from.present(base), to.present(there)
	if _, ok := from.barred(base, BarErased); ok && new != nil {
		new.removed = true // erased there, it stays out here
		saved.Barred, saved.New = saved.Barred+1, saved.New-1
		return s.SetBar(ctx, to.tx, *to.Event, Bar{Hash: there, What: BarErased})
	}
	if old == nil || new == nil || old.Standing == attendees.Gone && old.State == attendees.Open {
		return nil
	}
	saved.Moved++
	if from.isAnother(old, new.registration) || old.State == attendees.Open && attendees.HandedOver(old.registration, new.registration, seal.FoldName, seal.Normalise) {
		old.Standing, old.dirty = attendees.Gone, true
		if old.State == attendees.Open {
			old.registration = old.registration.Left()
		}
		return nil // moved, and handed over
	}
	for _, b := range from.bars[old.ID] {
		if err := s.SetBar(ctx, to.tx, *to.Event, Bar{Hash: new.ID, What: b.What, Purpose: b.Purpose, Reason: b.Reason}); err != nil {
			return err
		}
		b.Hash = new.ID
		to.bars[new.ID] = append(to.bars[new.ID], b)
	}
	if old.State == attendees.Restricted {
		old.Standing, old.dirty = attendees.Gone, true
		if new.State == attendees.Restricted {
			return nil
		}
		return to.restrict(ctx, new, old.Reason)
	}
	if !old.correction.IsZero() {
		new.correction, new.corrected = old.correction, true
		old.correction, old.corrected = attendees.Layer{}, true
	}
	old.registration, old.dirty = old.registration.Left(), true
	new.CountsAsAgreed = new.CountsAsAgreed || old.CountsAsAgreed
	for _, a := range slices.Clone(old.responses) {
		form, id := a.layer.Response()
		if a.layer.IsZero() || len(events.FieldLinks(to.links, to.ID, form)) == 0 {
			continue
		}
		key := uuid.UUID(to.hashes.Response(string(to.ID), string(form), string(id)))
		moved := to.answers[key]
		if moved == nil {
			moved = &answer{fresh: true}
			moved.ID, moved.Form = key, form
			to.answers[key] = moved
		}
		if !moved.layer.IsZero() && moved.Attendee == nil {
			moved.layer, _ = moved.layer.KeepYes(a.layer)
		} else {
			moved.layer = a.layer
		}
		to.match(moved, new, a.MatchedBy)
		if !from.isHeld(old.ID) {
			from.match(a, nil, "")
			a.removed = true
		}
	}
	return nil
}

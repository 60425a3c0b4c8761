package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/seal"
)

// Reading is what a page of a form's responses comes to: each response minimised by the
// links of each event that the form is linked to.
type Reading struct {
	Form attendees.FormID
	// Layers are the responses as each event's links have them.
	Layers map[attendees.EventID][]attendees.Layer
	// Links are those that they were minimised by. Where the form is linked otherwise by
	// now, the reading is refused with events.ErrRewound.
	Links []events.Link
	// Unsaid is how many readings of this run would have taken a yes away before this page.
	Unsaid int
	// Progress stores how far the form was read, in the same transaction; may be nil.
	Progress func(ctx context.Context, tx db.Tx) error
}

// SaveResponses stores responses in each open event that their form is linked to, in one
// transaction. One that is matched in an event is stored in no other as unmatched. An
// *UnsaidError says that nothing was stored: too many agreements would have gone.
func (s *Store) SaveResponses(ctx context.Context, r Reading) (saved Saved, err error) {
	defer db.Wrap(&err, "save responses of form %s", r.Form)
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		saved = Saved{}
		keys, err := s.linked(ctx, tx, r.Form)
		if err != nil {
			return err
		}
		locked, err := s.events.Write(ctx, tx, keys...)
		if err != nil {
			return err
		}
		var sheets []*sheet
		for _, key := range keys {
			if e := locked[key]; e.Writable(s.now()) {
				sh, err := s.sheet(ctx, tx, e)
				if err != nil {
					return err
				}
				own, then := events.FieldLinks(sh.links, e.ID, r.Form), events.FieldLinks(r.Links, e.ID, r.Form)
				if !equal(own, then) {
					return events.ErrRewound
				}
				sheets = append(sheets, sh)
			}
		}
		blocked, err := s.blockedOwners(ctx, tx, locked, r)
		if err != nil {
			return err
		}
		if err := s.responses(ctx, sheets, r, blocked, &saved); err != nil {
			return err
		}
		for _, sh := range sheets {
			if err := sh.flush(ctx); err != nil {
				return err
			}
		}
		if r.Progress != nil {
			return r.Progress(ctx, tx)
		}
		return nil
	})
	if unsaid, ok := errors.AsType[*UnsaidError](err); ok {
		return Saved{Unsaid: unsaid.N}, errors.Join(err, s.askUnsaid(ctx, r, unsaid.N))
	}
	return saved, err
}

func equal(a, b attendees.FieldLinks) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// linked are the events that a form is linked to and that are not deleted.
func (s *Store) linked(ctx context.Context, tx db.Tx, form attendees.FormID) (keys []uuid.UUID, err error) {
	err = db.Select(ctx, tx, &keys, `
		select distinct e.id
		from links l
		join events e on e.id = l.event_id
		where l.form_id = $1 and e.state <> 'deleted'
		order by e.id`, form)
	return keys, err
}

func (s *Store) askUnsaid(ctx context.Context, r Reading, n int) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		for id := range r.Layers {
			err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskUnsaid, Event: events.Key(attendees.Eventbrite, id), Form: r.Form, Count: n})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// blockedOwners are the responses that belong to an attendee of a blocked event: those are
// readable in no other event that shares the form.
func (s *Store) blockedOwners(ctx context.Context, tx db.Tx, locked map[uuid.UUID]events.Event, r Reading) (map[attendees.ResponseID]bool, error) {
	owned := map[attendees.ResponseID]bool{}
	for _, e := range locked {
		if e.State != attendees.Blocked {
			continue
		}
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		byKey := map[uuid.UUID][]attendees.ResponseID{}
		byIndex := map[string][]attendees.ResponseID{}
		var keys []uuid.UUID
		var indexes [][]byte
		for _, layers := range r.Layers {
			for _, l := range layers {
				_, id := l.Response()
				if l.Claims() != "" {
					key := uuid.UUID(h.Registration(string(e.ID), string(e.Source), string(l.Claims())))
					keys, byKey[key] = append(keys, key), append(byKey[key], id)
				} else if index := h.Address(string(e.ID), l.Email().Reveal()); len(index) > 0 {
					indexes, byIndex[string(index)] = append(indexes, index), append(byIndex[string(index)], id)
				}
			}
			break // the same responses in each event
		}
		var rows []struct {
			ID    uuid.UUID `db:"id"`
			Index []byte    `db:"address_index"`
		}
		err = db.Select(ctx, tx, &rows, `
			select id, address_index
			from attendees
			where event_id = $1 and (id = any($2::uuid[]) or address_index = any($3))`, e.Key, texts(keys), byteas(indexes))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			for _, id := range byKey[row.ID] {
				owned[id] = true
			}
			for _, id := range byIndex[string(row.Index)] {
				owned[id] = true
			}
		}
	}
	return owned, nil
}

// loadAround loads all that responses may have to do with: themselves, the attendees that
// they name, and those of their addresses.
func (sh *sheet) loadAround(ctx context.Context, layers []attendees.Layer) error {
	var keys, bases []uuid.UUID
	var indexes [][]byte
	for _, l := range layers {
		form, id := l.Response()
		keys = append(keys, sh.hashes.Response(string(sh.ID), string(form), string(id)))
		if l.Claims() != "" {
			bases = append(bases, sh.base(l.Claims()))
		}
		if index := sh.address(l.Email()); len(index) > 0 {
			indexes = append(indexes, index)
		}
	}
	if err := sh.loadFor(ctx, bases); err != nil {
		return err
	}
	if err := sh.loadAt(ctx, indexes); err != nil {
		return err
	}
	var rows []responseRow
	if err := db.Select(ctx, sh.tx, &rows, `select `+responseColumns+` from responses r where r.id = any($1::uuid[])`, texts(keys)); err != nil {
		return err
	}
	var owners []uuid.UUID
	for _, r := range rows {
		if r.Attendee != nil && sh.people[*r.Attendee] == nil {
			base, _ := seal.HolderOf(*r.Attendee)
			owners = append(owners, base)
		}
	}
	if err := sh.loadFor(ctx, owners); err != nil {
		return err
	}
	if err := sh.takeAnswers(rows); err != nil {
		return err
	}
	hashes := append([]uuid.UUID(nil), keys...)
	for id := range sh.people {
		hashes = append(hashes, id)
	}
	return sh.loadBars(ctx, hashes, func(h seal.Hashes) []uuid.UUID {
		all := make([]uuid.UUID, len(layers))
		for i, l := range layers {
			form, id := l.Response()
			all[i] = h.Response("", string(form), string(id))
		}
		return all
	})
}

// responses takes a form's responses onto the sheets of its events.
func (s *Store) responses(ctx context.Context, sheets []*sheet, r Reading, blocked map[attendees.ResponseID]bool, saved *Saved) error {
	homes := map[attendees.ResponseID]bool{} // matched in some event
	size := 0
	for _, sh := range sheets {
		sh.anyone = true
		layers := r.Layers[sh.ID]
		if err := sh.loadAround(ctx, layers); err != nil {
			return err
		}
		var stored int
		err := db.Get(ctx, sh.tx, &stored, `select count(*) from attendees where event_id = $1 and standing = 'attending'`, sh.Key)
		if err != nil {
			return err
		}
		size = max(size, stored)
		for _, l := range layers {
			if err := sh.response(ctx, l, blocked, homes, saved); err != nil {
				return err
			}
		}
	}
	if n := r.Unsaid + saved.Unsaid; n > Handful(size) {
		return &UnsaidError{r.Form, n}
	}
	for _, sh := range sheets { // what found its attendee in one event is unmatched in no other
		for _, a := range sh.answers {
			form, id := a.layer.Response()
			if form == r.Form && a.Attendee == nil && homes[id] {
				a.removed = true
			}
		}
	}
	return nil
}

// response takes one response onto an event's sheet.
func (sh *sheet) response(ctx context.Context, l attendees.Layer, blocked, homes map[attendees.ResponseID]bool, saved *Saved) error {
	form, id := l.Response()
	key := uuid.UUID(sh.hashes.Response(string(sh.ID), string(form), string(id)))
	if _, ok := sh.barred(key, BarErased); ok {
		saved.Barred++
		return nil
	}
	a := sh.answers[key]
	fresh := a == nil
	if fresh {
		if blocked[id] {
			saved.Skipped++
			return nil
		}
		a = &answer{fresh: true, dirty: true}
		a.ID, a.Form = key, form
		sh.answers[key] = a
		saved.New++
	}
	if a.Attendee != nil {
		p := sh.people[*a.Attendee]
		if homes[id] = true; p == nil || p.State == attendees.Restricted {
			saved.Same++
			return nil // sealed, with what it said
		}
	}
	changed, took := sh.answered(a, l)
	if took {
		saved.Unsaid++
	}
	switch {
	case fresh:
	case changed:
		saved.Changed++
	default:
		saved.Same++
	}
	if a.Attendee == nil && (fresh || changed) {
		if err := sh.place(ctx, a, sh.judge(a.layer)); err != nil {
			return err
		}
	}
	if a.Attendee != nil {
		homes[id] = true
	} else if fresh {
		saved.Unmatched++
	}
	return nil
}

// DropUnmatched removes responses of an open event that were unmatched for longer than the
// policy keeps them. A bar keeps each from coming back. Claims wait until the event is blocked.
func (s *Store) DropUnmatched(ctx context.Context, event attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "drop unmatched responses of event %s", event)
	before := attendees.DateOf(s.now().UTC()).AddDays(-s.policy.UnmatchedDays).String()
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		e, err := s.events.WriteOne(ctx, tx, event)
		if err != nil || e.State != attendees.Open || e.Held {
			return err
		}
		sh, err := s.sheet(ctx, tx, e)
		if err != nil {
			return err
		}
		var rows []responseRow
		err = db.Select(ctx, tx, &rows, `
			select `+responseColumns+`
			from responses r
			where r.event_id = $1 and r.attendee_id is null and r.came_on < $2::date
			  and not exists (select from attendees a where a.id = r.claims)`, e.Key, before)
		if err != nil {
			return err
		}
		if err := sh.takeAnswers(rows); err != nil {
			return err
		}
		for _, a := range sh.answers {
			a.removed = true
			if err := s.SetBar(ctx, tx, e, Bar{Hash: a.ID, What: BarErased}); err != nil {
				return err
			}
		}
		n = len(rows)
		return sh.flush(ctx)
	})
	return n, err
}

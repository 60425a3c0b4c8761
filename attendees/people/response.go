package people

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/people/sheet"
	"lethe/attendees/reader"
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
	// Confirmed says that staff have looked at the form's questions: however many readings
	// lack their yes, each yes stays and the rest is stored.
	Confirmed bool
	// Progress stores how far the form was read, in the same transaction; may be nil.
	Progress func(ctx context.Context, tx db.Tx) error
}

// SaveResponses stores responses in each open event that their form is linked to, in one
// transaction. One that is matched in an event is stored in no other as unmatched. An
// *UnsaidError says that nothing was stored: too many agreements would have gone.
func (s *Store) SaveResponses(ctx context.Context, r Reading) (saved Saved, err error) {
	defer db.Wrap(&err, "save responses of form %s", r.Form)
	var asked []uuid.UUID
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		saved = Saved{}
		keys, err := s.linked(ctx, tx, r.Form)
		if err != nil {
			return err
		}
		d, err := s.take(ctx, tx, keys...)
		if err != nil {
			return err
		}
		var sheets []*sheet.Sheet
		for _, key := range keys {
			sh, err := d.of(ctx, key)
			if err != nil {
				return err
			}
			if sh == nil {
				continue
			}
			if !slices.Equal(events.FieldLinks(sh.Links, sh.Event.ID, r.Form), events.FieldLinks(r.Links, sh.Event.ID, r.Form)) {
				return events.ErrRewound
			}
			sheets, asked = append(sheets, sh), append(asked, key)
		}
		owned, err := s.ownedByBlocked(ctx, tx, d.locked, r)
		if err != nil {
			return err
		}
		if err := s.responses(ctx, sheets, r, owned, &saved); err != nil {
			return err
		}
		if err := d.flush(ctx); err != nil || r.Progress == nil {
			return err
		}
		return r.Progress(ctx, tx)
	})
	if unsaid, ok := errors.AsType[*UnsaidError](err); ok {
		return Saved{Unsaid: unsaid.N - r.Unsaid}, errors.Join(err, s.askUnsaid(ctx, asked, r.Form, unsaid.N))
	}
	return saved, err
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

func (s *Store) askUnsaid(ctx context.Context, keys []uuid.UUID, form attendees.FormID, n int) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		for _, key := range keys {
			if err := s.events.Tasks.Ask(ctx, tx, events.Task{Kind: events.TaskUnsaid, Event: key, Form: form, Count: n}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ownedByBlocked are the responses that belong to an attendee of a blocked event: those are
// readable in no other event that shares the form. What was submitted after an event was
// blocked is none of its.
func (s *Store) ownedByBlocked(ctx context.Context, tx db.Tx, locked map[uuid.UUID]events.Event, r Reading) (map[attendees.ResponseID]bool, error) {
	owned := map[attendees.ResponseID]bool{}
	for _, e := range locked {
		if e.State != attendees.Blocked || e.BlockedAt == nil {
			continue
		}
		h, err := s.secrets.Hashes(e.Secret)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		by := map[string][]attendees.ResponseID{} // key of the registration that it names, or index of its address
		var lows, highs []uuid.UUID
		var indexes pq.ByteaArray
		for _, layers := range r.Layers {
			for _, l := range layers {
				_, id := l.Response()
				index := h.Address(string(e.ID), l.Email().Reveal())
				switch {
				case !l.Submitted().Before(*e.BlockedAt):
				case l.Claims() != "":
					base := h.Registration(string(e.ID), string(e.Source), string(l.Claims()))
					lows, highs = append(lows, base), append(highs, seal.Holder(base, seal.MaxHolder))
					by[string(base[:])] = append(by[string(base[:])], id)
				case len(index) > 0:
					indexes, by[string(index)] = append(indexes, index), append(by[string(index)], id)
				}
			}
		}
		var rows [][]byte
		err = db.Select(ctx, tx, &rows, `
			select uuid_send(w.low)
			from unnest($1::uuid[], $2::uuid[]) as w (low, high)
			where exists (select from attendees where id between w.low and w.high order by id limit 1)
			union all
			select address_index
			from attendees
			where event_id = $3 and address_index = any($4)`, sheet.Texts(lows), sheet.Texts(highs), e.Key, indexes)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			for _, id := range by[string(row)] {
				owned[id] = true
			}
		}
	}
	return owned, nil
}

// responses takes a form's responses onto the sheets of its events.
func (s *Store) responses(ctx context.Context, sheets []*sheet.Sheet, r Reading, owned map[attendees.ResponseID]bool, saved *Saved) error {
	homes, unsaid := map[attendees.ResponseID]bool{}, map[attendees.ResponseID]bool{}
	type reading struct {
		sheet  *sheet.Sheet
		answer *sheet.Answer
		id     attendees.ResponseID
	}
	var read []reading
	for _, sh := range sheets {
		layers := r.Layers[sh.Event.ID]
		if err := sh.LoadAround(ctx, layers); err != nil {
			return err
		}
		asks := slices.ContainsFunc(r.Links, func(l events.Link) bool {
			return l.Event == sh.Event.ID && l.Form == r.Form && slices.ContainsFunc(l.Fields, func(f attendees.FieldLink) bool {
				return f.Field == attendees.Agreed || f.Field == attendees.Consented
			})
		})
		for _, l := range layers {
			_, id := l.Response()
			a, took, err := s.response(ctx, sh, l, owned[id], saved)
			if err != nil {
				return err
			}
			if a != nil {
				read, homes[id] = append(read, reading{sh, a, id}), homes[id] || a.Attendee != nil
			}
			if took && asks {
				unsaid[id] = true
			}
		}
	}
	if saved.Unsaid = len(unsaid); saved.Unsaid > 0 && !r.Confirmed {
		if err := s.fewUnsaid(ctx, sheets, r, saved.Unsaid); err != nil {
			return err
		}
	}
	for _, one := range read { // what found its attendee in one event is unmatched in no other
		switch {
		case one.answer.Attendee != nil:
		case homes[one.id]:
			one.sheet.Drop(one.answer)
		case one.answer.Fresh:
			saved.Unmatched++
		}
	}
	return nil
}

// fewUnsaid is an *UnsaidError where more readings than a handful would have taken a yes away.
func (s *Store) fewUnsaid(ctx context.Context, sheets []*sheet.Sheet, r Reading, n int) error {
	size := 0
	for _, sh := range sheets {
		var attending int
		err := db.Get(ctx, sh.Tx, &attending, `select count(*) from attendees where event_id = $1 and standing = 'attending'`, sh.Event.Key)
		if err != nil {
			return err
		}
		size = max(size, attending)
	}
	if n += r.Unsaid; n > Handful(size) {
		return &UnsaidError{r.Form, n}
	}
	return nil
}

// response takes one response onto an event's sheet; nil where it stays out. took tells that
// the reading would have taken a yes away.
func (s *Store) response(ctx context.Context, sh *sheet.Sheet, l attendees.Layer, owned bool, saved *Saved) (a *sheet.Answer, took bool, err error) {
	key := sh.ResponseKey(l.Response())
	if _, ok := sh.Barred(key, sheet.Erased); ok {
		saved.Barred++
		return nil, false, nil
	}
	a = sh.Answers[key]
	if a == nil && owned {
		saved.Skipped++
		return nil, false, nil
	}
	a, changed, took := sh.Read(l)
	switch {
	case a.Fresh:
		saved.New++
	case changed:
		saved.Changed++
	default:
		saved.Same++
	}
	if a.Attendee == nil && a.MatchedBy != sheet.ByHand {
		err = sh.Place(ctx, a)
	}
	return a, took, err
}

// DropUnmatched removes responses of an open event that were unmatched for longer than the
// policy keeps them. A bar keeps each from coming back. Claims wait until the event is blocked.
func (s *Store) DropUnmatched(ctx context.Context, event attendees.EventID) (n int, err error) {
	defer db.Wrap(&err, "drop unmatched responses of event %s", event)
	before := attendees.DateOf(s.now().UTC()).AddDays(-s.policy.UnmatchedDays)
	err = s.onSheet(ctx, event, func(sh *sheet.Sheet) error {
		if sh.Event.Held {
			return nil
		}
		old, err := sh.LoadWaiting(ctx, before)
		if err != nil {
			return err
		}
		for _, a := range old {
			sh.Drop(a)
			if err := sh.SetBar(ctx, sheet.Bar{Hash: a.ID, What: sheet.Erased}); err != nil {
				return err
			}
		}
		n = len(old)
		return nil
	})
	return n, err
}

// dropCopies removes the copies of responses that wait unmatched in one open event while
// another has found their attendee.
func (s *Store) dropCopies(ctx context.Context) (err error) {
	defer db.Wrap(&err, "drop copies of matched responses")
	var open []struct {
		Key    uuid.UUID         `db:"id"`
		ID     attendees.EventID `db:"source_id"`
		Secret string            `db:"secret"`
		Waits  bool              `db:"waits"`
	}
	err = db.Select(ctx, s.pool, &open, `
		select e.id, e.source_id, e.secret, exists (select from responses r where r.event_id = e.id and r.attendee_id is null) as waits
		from events e
		where e.state = 'open' and exists (
			select from links l
			join links o on o.form_id = l.form_id and o.event_id <> l.event_id
			where l.event_id = e.id and l.form_id <> $1)`, attendees.EventbriteForm)
	if err != nil {
		return err
	}
	type copied struct {
		event attendees.EventID
		key   uuid.UUID
	}
	copies := map[uuid.UUID][]copied{} // by the keys that they have elsewhere
	for _, here := range open {
		if !here.Waits {
			continue
		}
		e, err := s.events.ByKey(ctx, s.pool, here.Key)
		if err != nil {
			return err
		}
		err = s.reader.ReadUnmatched(ctx, s.pool, e, 0, func(r reader.Response) error {
			form, id := r.Layer.Response()
			for _, there := range open {
				h, err := s.secrets.Hashes(there.Secret)
				if err != nil {
					return fmt.Errorf("event %s: %w", there.ID, err)
				}
				if key := h.Response(string(there.ID), string(form), string(id)); there.Key != here.Key {
					copies[key] = append(copies[key], copied{here.ID, r.ID})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var matched []uuid.UUID
	err = db.Select(ctx, s.pool, &matched, `
		select id
		from responses
		where id = any($1::uuid[]) and attendee_id is not null`, sheet.Texts(slices.Collect(maps.Keys(copies))))
	for _, id := range matched {
		for _, c := range copies[id] {
			err = errors.Join(err, s.onSheet(ctx, c.event, func(sh *sheet.Sheet) error {
				err := sh.LoadAnswers(ctx, c.key)
				if a := sh.Answers[c.key]; a != nil && a.Attendee == nil {
					sh.Drop(a)
				}
				return err
			}))
		}
	}
	return err
}

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
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// sheet is the part of one event's people that a writer works on, who has the event's row in
// tx: loaded and opened, changed in memory, derived and written by flush.
type sheet struct {
	*events.Event
	store  *Store
	tx     db.Tx
	ref    vault.Ref
	cipher *seal.Cipher
	hashes seal.Hashes

	people  map[uuid.UUID]*person
	top     map[uuid.UUID]int // the highest holder of a registration
	answers map[uuid.UUID]*answer
	bars    map[uuid.UUID][]bar // by hash
	anyone  bool                // whether the event has responses at all
	links   []events.Link
}

// person is one attendee on a sheet.
type person struct {
	attendeeRow
	registration attendees.Layer
	correction   attendees.Layer
	responses    []*answer

	fresh, dirty, removed bool
	corrected             bool // the correction changed
}

// answer is one response on a sheet.
type answer struct {
	responseRow
	layer                 attendees.Layer
	fresh, dirty, removed bool
}

func (s *Store) sheet(ctx context.Context, tx db.Tx, e events.Event) (*sheet, error) {
	sh := &sheet{Event: &e, store: s, tx: tx, ref: reader.Ref(e), people: map[uuid.UUID]*person{}, top: map[uuid.UUID]int{}, answers: map[uuid.UUID]*answer{}, bars: map[uuid.UUID][]bar{}}
	var err error
	if sh.cipher, err = s.vault.Working(ctx, tx, &sh.ref); err != nil {
		return nil, err
	}
	if sh.hashes, err = s.secrets.Hashes(e.Secret); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	if sh.links, err = s.events.Forms.Links(ctx, tx, e.Key); err != nil {
		return nil, err
	}
	err = db.Get(ctx, tx, &sh.anyone, `select exists (select from responses where event_id = $1)`, e.Key)
	return sh, err
}

// base is the key of a registration's first holder.
func (sh *sheet) base(id attendees.AttendeeID) uuid.UUID {
	return sh.hashes.Registration(string(sh.ID), string(sh.Source), string(id))
}

// address is the index of an address.
func (sh *sheet) address(a attendees.Personal) []byte {
	return sh.hashes.Address(string(sh.ID), a.Reveal())
}

// holders are the holders of a registration that are stored, the first one first.
func (sh *sheet) holders(base uuid.UUID) (all []*person) {
	for n := 0; n <= sh.top[base]; n++ {
		if p, ok := sh.people[seal.Holder(base, n)]; ok && !p.removed {
			all = append(all, p)
		}
	}
	return all
}

// present is the present holder of a registration, or nil.
func (sh *sheet) present(base uuid.UUID) *person {
	all := sh.holders(base)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// add puts a new attendee on the sheet.
func (sh *sheet) add(base uuid.UUID, holder int, l attendees.Layer) *person {
	p := &person{registration: l, fresh: true, dirty: true}
	p.ID, p.Source, p.State = seal.Holder(base, holder), sh.Source, attendees.Open
	sh.put(p)
	return p
}

func (sh *sheet) put(p *person) {
	base, number := seal.HolderOf(p.ID)
	sh.people[p.ID], sh.top[base] = p, max(sh.top[base], number)
}

// set gives an attendee a registration's layer, where it differs from the one they have.
// Under a hold nothing leaves a layer.
func (sh *sheet) set(p *person, l attendees.Layer) (changed bool) {
	l = sh.store.policy.Again(l, sh.withdrawn(p.ID)...)
	if !p.registration.IsZero() {
		l, _ = l.KeepYes(p.registration)
		if bytes.Equal(l.Text(), p.registration.Text()) && p.State == attendees.Open {
			return false
		}
		if sh.isHeld(p.ID) {
			l = l.Keeping(p.registration)
			if bytes.Equal(l.Text(), p.registration.Text()) {
				return false
			}
		}
	}
	p.registration, p.dirty, p.State = l, true, attendees.Open
	return true
}

// answered gives a response a layer, as set does. took tells that the reading would have
// taken a yes away.
func (sh *sheet) answered(a *answer, l attendees.Layer) (changed, took bool) {
	var withdrawn []attendees.PurposeName
	if a.Attendee != nil {
		withdrawn = sh.withdrawn(*a.Attendee)
	}
	l = sh.store.policy.Again(l, withdrawn...)
	if !a.layer.IsZero() {
		l, took = l.KeepYes(a.layer)
		if bytes.Equal(l.Text(), a.layer.Text()) {
			return false, took
		}
		if a.Attendee != nil && sh.isHeld(*a.Attendee) {
			l = l.Keeping(a.layer)
			if bytes.Equal(l.Text(), a.layer.Text()) {
				return false, took
			}
		}
	}
	a.layer, a.dirty = l, true
	if a.Attendee != nil {
		if p := sh.people[*a.Attendee]; p != nil {
			p.dirty = true
		}
	}
	return true, took
}

// match gives a response to an attendee; nil takes it from whoever has it.
func (sh *sheet) match(a *answer, p *person, how string) {
	if a.Attendee != nil {
		if old := sh.people[*a.Attendee]; old != nil {
			old.responses = slices.DeleteFunc(old.responses, func(o *answer) bool { return o == a })
			old.dirty = true
		}
	}
	a.Attendee, a.MatchedBy, a.dirty = nil, how, true
	if p == nil {
		a.MatchedBy = ""
		return
	}
	id := p.ID
	a.Attendee, a.Claims = &id, nil
	p.responses, p.dirty = append(p.responses, a), true
}

// layers are those of an attendee's responses.
func (p *person) layers() (all []attendees.Layer) {
	for _, a := range p.responses {
		if !a.removed && !a.layer.IsZero() {
			all = append(all, a.layer)
		}
	}
	return all
}

// merged is what is shown of an attendee.
func (sh *sheet) merged(p *person) attendees.Attendee {
	return attendees.Merge(sh.store.policy, p.registration, p.layers(), p.correction)
}

// derive brings an attendee's columns up to what the layers say.
func (sh *sheet) derive(p *person) {
	if p.State != attendees.Open {
		return
	}
	a := sh.merged(p)
	p.Standing, p.AddressIndex, p.NameHash = a.Standing, sh.address(a.Email), nil
	p.Agreed = p.CountsAsAgreed || !a.AgreedAt.IsZero()
	if p.correction.IsZero() {
		return
	}
	if left := attendees.Ended(sh.store.policy, p.registration, p.layers(), p.correction); !bytes.Equal(left.Text(), p.correction.Text()) && !sh.isHeld(p.ID) {
		p.correction, p.corrected = left, true
	}
}

// loadFor loads all holders of registrations, with their responses and corrections.
func (sh *sheet) loadFor(ctx context.Context, bases []uuid.UUID) error {
	var rows []attendeeRow
	highs := make([]uuid.UUID, len(bases))
	for i, b := range bases {
		highs[i] = seal.Holder(b, seal.MaxHolder)
	}
	err := db.Select(ctx, sh.tx, &rows, `
		select `+attendeeColumns+`
		from unnest($1::uuid[], $2::uuid[]) as w (low, high)
		join attendees a on a.id between w.low and w.high`, texts(bases), texts(highs))
	if err != nil {
		return err
	}
	return sh.take(ctx, rows)
}

// loadAt loads the attendees of addresses.
func (sh *sheet) loadAt(ctx context.Context, indexes [][]byte) error {
	var rows []attendeeRow
	err := db.Select(ctx, sh.tx, &rows, `
		select `+attendeeColumns+`
		from attendees a
		where a.event_id = $1 and a.address_index = any($2)`, sh.Key, byteas(indexes))
	if err != nil {
		return err
	}
	return sh.take(ctx, rows)
}

// take opens attendees that are not on the sheet yet, and loads their responses and
// corrections.
func (sh *sheet) take(ctx context.Context, rows []attendeeRow) error {
	var ids []uuid.UUID
	for _, r := range rows {
		if sh.people[r.ID] != nil {
			continue
		}
		p := &person{attendeeRow: r}
		if r.Layer != nil {
			l, err := sh.open(r.ID, attendees.FromRegistration, r.Layer)
			if err != nil {
				return err
			}
			p.registration = l
		}
		sh.put(p)
		ids = append(ids, r.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := sh.loadCorrections(ctx, ids); err != nil || !sh.anyone {
		return err
	}
	var answers []responseRow
	err := db.Select(ctx, sh.tx, &answers, `
		select `+responseColumns+`
		from responses r
		where r.attendee_id = any($1::uuid[])`, texts(ids))
	if err != nil {
		return err
	}
	return sh.takeAnswers(answers)
}

func (sh *sheet) loadCorrections(ctx context.Context, ids []uuid.UUID) error {
	var rows []struct {
		ID    uuid.UUID `db:"attendee_id"`
		Layer []byte    `db:"layer"`
	}
	err := db.Select(ctx, sh.tx, &rows, `select attendee_id, layer from corrections where attendee_id = any($1::uuid[])`, texts(ids))
	if err != nil {
		return err
	}
	for _, r := range rows {
		l, err := sh.open(r.ID, attendees.FromCorrection, r.Layer)
		if err != nil {
			return err
		}
		sh.people[r.ID].correction = l
	}
	return nil
}

// takeAnswers opens responses that are not on the sheet yet.
func (sh *sheet) takeAnswers(rows []responseRow) error {
	for _, r := range rows {
		if sh.answers[r.ID] != nil {
			continue
		}
		a := &answer{responseRow: r}
		if r.Layer != nil {
			l, err := sh.open(r.ID, attendees.FromResponse, r.Layer)
			if err != nil {
				return err
			}
			a.layer = l
		}
		sh.answers[r.ID] = a
		if r.Attendee != nil {
			if p := sh.people[*r.Attendee]; p != nil {
				p.responses = append(p.responses, a)
			}
		}
	}
	return nil
}

func (sh *sheet) open(id uuid.UUID, origin attendees.Origin, sealed []byte) (attendees.Layer, error) {
	text, err := sh.cipher.Open(nil, id, 0, string(origin), sealed)
	if err != nil {
		return attendees.Layer{}, fmt.Errorf("a layer of event %s: %w", sh.ID, err)
	}
	return attendees.ParseLayer(text)
}

func (sh *sheet) seal(id uuid.UUID, l attendees.Layer) []byte {
	return sh.cipher.Seal(nil, id, 0, string(l.Origin()), l.Text())
}

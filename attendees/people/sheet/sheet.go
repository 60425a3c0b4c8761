// Package sheet holds a part of one event's people in memory while a writer has the event's
// row: loaded and opened, changed, derived by Merge, and written with one statement for
// each table and kind of change. It knows whose a response is, what was decided about
// somebody before (bars), and how somebody is sealed before their event is blocked.
//
// Start at Desk.Open and Sheet.Flush. Nothing of a sheet outlives its transaction.
package sheet

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// Desk is where sheets are written.
type Desk struct {
	Events  *events.Store
	Vault   *vault.Store
	Secrets *seal.Keyring
	Policy  *attendees.Policy
	Now     func() time.Time
}

func (d *Desk) today() attendees.Date { return attendees.DateOf(d.Now().UTC()) }

// Sheet is the part of one event's people that a writer works on.
type Sheet struct {
	Event events.Event
	Links []events.Link // of the event's forms
	Tx    db.Tx

	// What was loaded, by its key.
	People  map[uuid.UUID]*Person
	Answers map[uuid.UUID]*Answer
	// Found is how many waiting responses have found their attendee.
	Found int

	desk   *Desk
	cipher *seal.Cipher // nil: the event is not open
	hashes seal.Hashes
	bars   map[uuid.UUID]Bars                 // what is decided about attendees and responses
	bases  map[attendees.AttendeeID]uuid.UUID // as they were hashed
	top    map[uuid.UUID]int                  // the highest holder of a registration
	at     map[string][]*Person               // those who have, or had, an address, by its index
	some   some
}

// some is what an event has any of: what it has none of is not asked for.
type some struct {
	People    bool `db:"people"`
	Responses bool `db:"responses"`
	Waiting   bool `db:"waiting"` // responses that are matched to nobody
	Bars      bool `db:"bars"`    // of the event, or of all events
}

// Person is one attendee on a sheet.
type Person struct {
	row
	Registration, Correction attendees.Layer // zero: nobody can read it here
	Responses                []*Answer
	change

	index []byte // AddressIndex, as it is stored
	moved bool   // waiting responses may be theirs, or theirs no more
}

// late tells that the attendee is derived on the way to the database, which works meanwhile.
func (p *Person) late() bool { return p.Fresh && p.Correction.IsZero() }

// Answer is one response on a sheet.
type Answer struct {
	answerRow
	Layer attendees.Layer // zero: its attendee is restricted
	change

	claimed *uuid.UUID // Claims, as it is stored
	asks    bool       // staff are to be asked about the claim
}

// change is what becomes of a row.
type change struct {
	Fresh          bool // it is not stored yet
	dirty, removed bool
}

// old tells that the row, as it is stored, is deleted; fresh, that it is written.
func (c change) old() bool   { return !c.Fresh && (c.dirty || c.removed) }
func (c change) fresh() bool { return c.dirty && !c.removed }

// Open begins a sheet of an event for a caller who has its row in tx. Where the event is not
// open, no layer opens on it, and none may come onto it.
func (d *Desk) Open(ctx context.Context, tx db.Tx, e events.Event) (*Sheet, error) {
	sh := &Sheet{
		Event: e, Tx: tx, People: map[uuid.UUID]*Person{}, Answers: map[uuid.UUID]*Answer{}, bars: map[uuid.UUID]Bars{},
		desk: d, bases: map[attendees.AttendeeID]uuid.UUID{}, top: map[uuid.UUID]int{}, at: map[string][]*Person{},
	}
	var err error
	if sh.hashes, err = d.Secrets.Hashes(e.Secret); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	if ref := reader.Ref(e); e.State == attendees.Open {
		if sh.cipher, err = d.Vault.Working(ctx, tx, &ref); err != nil {
			return nil, err
		}
		sh.Event.Generation = ref.Generation
	}
	if sh.Links, err = d.Events.Forms.Links(ctx, tx, e.Key); err != nil {
		return nil, err
	}
	err = db.Get(ctx, tx, &sh.some, `
		select exists (select from attendees where event_id = $1) as people,
			exists (select from responses where event_id = $1) as responses,
			exists (select from responses where event_id = $1 and attendee_id is null) as waiting,
			exists (select from bars where event_id in ($1, $2)) as bars`, e.Key, uuid.Nil)
	return sh, err
}

// Base is the key of a registration's first holder.
func (sh *Sheet) Base(id attendees.AttendeeID) uuid.UUID {
	base, ok := sh.bases[id]
	if !ok {
		base = sh.hashes.Registration(string(sh.Event.ID), string(sh.Event.Source), string(id))
		sh.bases[id] = base
	}
	return base
}

// ResponseKey is the key of a response.
func (sh *Sheet) ResponseKey(form attendees.FormID, id attendees.ResponseID) uuid.UUID {
	return sh.hashes.Response(string(sh.Event.ID), string(form), string(id))
}

func (sh *Sheet) address(a attendees.Personal) []byte {
	return sh.hashes.Address(string(sh.Event.ID), a.Reveal())
}

// Present is the present holder of a registration that was loaded, or nil.
func (sh *Sheet) Present(base uuid.UUID) *Person {
	for n := sh.top[base]; n >= 0; n-- {
		if p := sh.People[seal.Holder(base, n)]; p != nil && !p.removed {
			return p
		}
	}
	return nil
}

// Knows tells whether a response that LoadAround loaded for names somebody who is here, or
// gives their address.
func (sh *Sheet) Knows(l attendees.Layer) bool {
	if l.Claims() != "" {
		return sh.Present(sh.Base(l.Claims())) != nil
	}
	return len(sh.at[string(sh.address(l.Email()))]) > 0
}

// Add puts a new attendee on the sheet, the holder of a number of a registration.
func (sh *Sheet) Add(base uuid.UUID, holder int, l attendees.Layer) *Person {
	p := &Person{change: change{Fresh: true, dirty: true}, moved: true}
	p.ID, p.Source, p.State, p.CameOn = seal.Holder(base, holder), sh.Event.Source, attendees.Open, sh.desk.today()
	if p.Registration = l; len(sh.bars[p.ID]) > 0 {
		p.Registration = sh.again(p.ID, l)
	}
	sh.put(p)
	return p
}

func (sh *Sheet) put(p *Person) {
	base, number := seal.HolderOf(p.ID)
	sh.People[p.ID], sh.top[base] = p, max(sh.top[base], number)
	if len(p.AddressIndex) > 0 {
		sh.at[string(p.AddressIndex)] = append(sh.at[string(p.AddressIndex)], p)
	}
}

// again minimises a layer of an attendee by the policy and their withdrawals.
func (sh *Sheet) again(id uuid.UUID, l attendees.Layer) attendees.Layer {
	return sh.desk.Policy.Again(l, sh.withdrawn(id)...)
}

// later is a later reading of a layer of an attendee: minimised again, and under a hold with all
// that it said before.
func (sh *Sheet) later(id uuid.UUID, l, before attendees.Layer) (_ attendees.Layer, changed bool) {
	if l = sh.again(id, l); sh.isHeld(id) {
		l = l.Keeping(before)
	}
	return l, !bytes.Equal(l.Text(), before.Text())
}

// Set gives an attendee a later reading of their registration.
func (sh *Sheet) Set(p *Person, l attendees.Layer) (changed bool) {
	l, _ = l.KeepYes(p.Registration)
	if l, changed = sh.later(p.ID, l, p.Registration); changed {
		p.Registration, p.State, p.dirty, p.moved = l, attendees.Open, true, true
	}
	return changed
}

// Leave makes an attendee gone.
func (sh *Sheet) Leave(p *Person) {
	p.Standing, p.dirty, p.moved = attendees.Gone, true, true
	if !p.Registration.IsZero() {
		p.Registration, _ = sh.later(p.ID, p.Registration.Left(), p.Registration)
	}
}

// Read gives a response a reading, as Set does: a new one where it is not stored. That of a
// restricted attendee stays sealed, with what it said. took tells that the reading would have
// taken a yes away.
func (sh *Sheet) Read(l attendees.Layer) (a *Answer, changed, took bool) {
	key := sh.ResponseKey(l.Response())
	if a = sh.Answers[key]; a == nil {
		a = &Answer{change: change{Fresh: true}}
		a.ID, a.CameOn = key, sh.desk.today()
		a.Form, _ = l.Response()
		sh.Answers[key], sh.some.Responses = a, true
	}
	if p := sh.People[a.owner()]; p != nil && p.State == attendees.Restricted {
		return a, false, false
	}
	l, took = l.KeepYes(a.Layer)
	if l, changed = sh.later(a.owner(), l, a.Layer); changed {
		sh.say(a, l)
	}
	return a, changed, took
}

// say gives a response a layer; the zero Layer: it is sealed.
func (sh *Sheet) say(a *Answer, l attendees.Layer) {
	if a.Layer, a.dirty = l, true; !l.IsZero() {
		a.Agreed, a.AddressIndex = l.Agreed(), sh.address(l.Email())
	}
	if p := sh.People[a.owner()]; p != nil {
		p.dirty = true
	}
}

// Correct gives an attendee another correction; the zero Layer: none. Under a hold the one
// before stays in it.
func (sh *Sheet) Correct(p *Person, l attendees.Layer) {
	if l, changed := sh.later(p.ID, l, p.Correction); changed {
		p.Correction, p.dirty, p.moved = l, true, true
	}
}

// Lifted makes a restricted attendee of a blocked event one like the others.
func (p *Person) Lifted() { p.State, p.Reason, p.dirty = attendees.Blocked, "", true }

// Amend adds to an attendee's correction. Of a restricted one it is sealed with the rest, for
// the person where contact is their address.
func (sh *Sheet) Amend(ctx context.Context, p *Person, l attendees.Layer, contact attendees.Personal) error {
	if p.State == attendees.Restricted {
		return sh.sealMore(ctx, p, p.Reason, contact, l)
	}
	sh.Correct(p, p.Correction.Also(l))
	return nil
}

// Remove removes an attendee with their responses.
func (sh *Sheet) Remove(p *Person) {
	p.removed, p.moved = true, true
	for _, a := range p.Responses {
		a.removed = true
	}
}

// Drop removes a response, unless a hold keeps it.
func (sh *Sheet) Drop(a *Answer) {
	if a.Fresh || !sh.isHeld(a.owner()) {
		sh.match(a, nil, "")
		a.removed = true
	}
}

// owner is the attendee that the response is matched to; zero: none.
func (a *Answer) owner() uuid.UUID {
	if a.Attendee == nil {
		return uuid.Nil
	}
	return *a.Attendee
}

// Layers are those of an attendee's responses.
func (p *Person) Layers() (all []attendees.Layer) {
	for _, a := range p.Responses {
		if !a.removed && !a.Layer.IsZero() {
			all = append(all, a.Layer)
		}
	}
	return all
}

func (sh *Sheet) merged(p *Person) attendees.Attendee {
	return attendees.Merge(sh.desk.Policy, p.Registration, p.Layers(), p.Correction)
}

// derive brings an attendee's columns up to what the layers say.
func (sh *Sheet) derive(p *Person) {
	if p.State != attendees.Open || sh.cipher == nil {
		return
	}
	if !p.Correction.IsZero() {
		sh.Correct(p, attendees.Ended(sh.desk.Policy, p.Registration, p.Layers(), p.Correction))
	}
	a := sh.merged(p)
	p.Standing, p.NameHash = a.Standing, nil
	p.Agreed = p.CountsAsAgreed || !a.AgreedAt.IsZero()
	if index := sh.address(a.Email); !bytes.Equal(index, p.AddressIndex) || p.Fresh {
		p.AddressIndex = index
		if len(index) > 0 && !slices.Contains(sh.at[string(index)], p) {
			sh.at[string(index)] = append(sh.at[string(index)], p)
		}
	}
}

// Renew minimises what was loaded by policy, links and bars as they are now.
func (sh *Sheet) Renew() {
	for _, p := range sh.People {
		sh.renew(p)
	}
	for _, a := range sh.Answers {
		if a.Attendee == nil {
			sh.renewAnswer(a)
		}
	}
}

func (sh *Sheet) renew(p *Person) {
	if p.State != attendees.Open || sh.cipher == nil {
		return
	}
	links := events.FieldLinks(sh.Links, sh.Event.ID, attendees.EventbriteForm)
	if l, changed := sh.later(p.ID, p.Registration.Linked(links).Released(), p.Registration); changed {
		p.Registration, p.dirty, p.moved = l, true, true
	}
	for _, a := range slices.Clone(p.Responses) {
		sh.renewAnswer(a)
	}
	// Uncorrect of no field makes a correction that says nothing any more the zero Layer.
	if !p.Correction.IsZero() {
		sh.Correct(p, sh.again(p.ID, p.Correction).Released().Uncorrect(""))
	}
}

// renewAnswer drops a response whose form is linked no more.
func (sh *Sheet) renewAnswer(a *Answer) {
	if a.Layer.IsZero() {
		return
	}
	links := events.FieldLinks(sh.Links, sh.Event.ID, a.Form)
	if l, changed := sh.later(a.owner(), a.Layer.Linked(links).Released(), a.Layer); changed {
		sh.say(a, l)
	}
	if len(links) == 0 {
		sh.Drop(a)
	}
}

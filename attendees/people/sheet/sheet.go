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

func (d *Desk) today() string { return attendees.DateOf(d.Now().UTC()).String() }

// Sheet is the part of one event's people that a writer works on.
type Sheet struct {
	Event events.Event
	Links []events.Link // of the event's forms
	Tx    db.Tx

	// What was loaded, by its key: attendees, responses, and what is decided about them.
	People  map[uuid.UUID]*Person
	Answers map[uuid.UUID]*Answer
	Bars    map[uuid.UUID][]Bar

	desk   *Desk
	cipher *seal.Cipher
	hashes seal.Hashes
	bases  map[attendees.AttendeeID]uuid.UUID // as they were hashed
	top    map[uuid.UUID]int                  // the highest holder of a registration
	at     map[string][]*Person               // those who have, or had, an address, by its index
	some   some
}

// some is what an event has any of: what it has none of is not asked for.
type some struct {
	People      bool `db:"people"`
	Responses   bool `db:"responses"`
	Waiting     bool `db:"waiting"` // responses that are matched to nobody
	Corrections bool `db:"corrections"`
	Bars        bool `db:"bars"`
	Everywhere  bool `db:"everywhere"` // bars for all events
}

// Person is one attendee on a sheet.
type Person struct {
	row
	Registration, Correction attendees.Layer // zero: nobody can read it here
	Responses                []*Answer

	index                            []byte // AddressIndex, as it is stored
	fresh, dirty, removed, corrected bool
}

// late tells that the attendee is derived on the way to the database, which works meanwhile.
func (p *Person) late() bool { return p.fresh && p.Correction.IsZero() }

// Answer is one response on a sheet.
type Answer struct {
	answerRow
	Layer attendees.Layer // zero: its attendee is restricted
	Fresh bool            // it is not stored yet

	claimed        *uuid.UUID // Claims, as it is stored
	dirty, removed bool
}

// Open begins a sheet of an event for a caller who has its row in tx. It refuses one that
// is not open: nobody seals a layer under a new key there.
func (d *Desk) Open(ctx context.Context, tx db.Tx, e events.Event) (*Sheet, error) {
	if e.State != attendees.Open {
		return nil, &events.BlockedError{Event: e}
	}
	sh := &Sheet{
		Event: e, Tx: tx, People: map[uuid.UUID]*Person{}, Answers: map[uuid.UUID]*Answer{}, Bars: map[uuid.UUID][]Bar{},
		desk: d, bases: map[attendees.AttendeeID]uuid.UUID{}, top: map[uuid.UUID]int{}, at: map[string][]*Person{},
	}
	ref := reader.Ref(e)
	var err error
	if sh.cipher, err = d.Vault.Working(ctx, tx, &ref); err != nil {
		return nil, err
	}
	sh.Event.Generation = ref.Generation
	if sh.hashes, err = d.Secrets.Hashes(e.Secret); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	if sh.Links, err = d.Events.Forms.Links(ctx, tx, e.Key); err != nil {
		return nil, err
	}
	err = db.Get(ctx, tx, &sh.some, `
		select exists (select from attendees where event_id = $1) as people,
			exists (select from responses where event_id = $1) as responses,
			exists (select from responses where event_id = $1 and attendee_id is null) as waiting,
			exists (select from corrections where event_id = $1) as corrections,
			exists (select from bars where event_id = $1) as bars,
			exists (select from bars where event_id = $2) as everywhere`, e.Key, uuid.Nil)
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

// holders are the loaded holders of a registration, the first one first.
func (sh *Sheet) holders(base uuid.UUID) (all []*Person) {
	for n := 0; n <= sh.top[base]; n++ {
		if p, ok := sh.People[seal.Holder(base, n)]; ok && !p.removed {
			all = append(all, p)
		}
	}
	return all
}

// Present is the present holder of a registration that was loaded, or nil.
func (sh *Sheet) Present(base uuid.UUID) *Person {
	if all := sh.holders(base); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// Add puts a new attendee on the sheet, the holder of a number of a registration.
func (sh *Sheet) Add(base uuid.UUID, holder int, l attendees.Layer) *Person {
	p := &Person{fresh: true, dirty: true}
	p.ID, p.Source, p.State = seal.Holder(base, holder), sh.Event.Source, attendees.Open
	if p.Registration = l; len(sh.Bars[p.ID]) > 0 {
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

// Set gives an attendee a later reading of their registration. Under a hold nothing leaves a
// layer.
func (sh *Sheet) Set(p *Person, l attendees.Layer) (changed bool) {
	l = sh.again(p.ID, l)
	if !p.Registration.IsZero() {
		l, _ = l.KeepYes(p.Registration)
		if l = sh.keeping(p.ID, l, p.Registration); bytes.Equal(l.Text(), p.Registration.Text()) {
			return false
		}
	}
	p.Registration, p.State, p.dirty = l, attendees.Open, true
	return true
}

func (sh *Sheet) keeping(id uuid.UUID, l, before attendees.Layer) attendees.Layer {
	if sh.isHeld(id) {
		return l.Keeping(before)
	}
	return l
}

// Leave makes an attendee gone.
func (sh *Sheet) Leave(p *Person) {
	p.Standing, p.dirty = attendees.Gone, true
	if !p.Registration.IsZero() {
		p.Registration = sh.keeping(p.ID, p.Registration.Left(), p.Registration)
	}
}

// Read gives a response a reading, as Set does: a new one where it is not stored. That of a
// restricted attendee stays sealed, with what it said. took tells that the reading would have
// taken a yes away.
func (sh *Sheet) Read(l attendees.Layer) (a *Answer, changed, took bool) {
	key := sh.ResponseKey(l.Response())
	if a = sh.Answers[key]; a == nil {
		a = &Answer{Fresh: true}
		a.ID = key
		a.Form, _ = l.Response()
		sh.Answers[key], sh.some.Responses = a, true
	}
	if p := sh.People[a.owner()]; p != nil && p.State == attendees.Restricted {
		return a, false, false
	}
	if a.Attendee != nil {
		l = sh.again(*a.Attendee, l)
	}
	if !a.Layer.IsZero() {
		l, took = l.KeepYes(a.Layer)
		if a.Attendee != nil {
			l = sh.keeping(*a.Attendee, l, a.Layer)
		}
		if bytes.Equal(l.Text(), a.Layer.Text()) {
			return a, false, took
		}
	}
	sh.say(a, l)
	return a, true, took
}

// say gives a response a layer.
func (sh *Sheet) say(a *Answer, l attendees.Layer) {
	a.Layer, a.dirty = l, true
	if a.Attendee != nil && sh.People[*a.Attendee] != nil {
		sh.People[*a.Attendee].dirty = true
	}
}

// Correct gives an attendee another correction; the zero Layer: none.
func (sh *Sheet) Correct(p *Person, l attendees.Layer) {
	p.Correction, p.corrected, p.dirty = l, true, true
}

// Remove removes an attendee with their responses, whose keys it returns.
func (sh *Sheet) Remove(p *Person) (responses []uuid.UUID) {
	p.removed = true
	for _, a := range p.Responses {
		a.removed, responses = true, append(responses, a.ID)
	}
	return responses
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
	if p.State != attendees.Open {
		return
	}
	a := sh.merged(p)
	p.Standing, p.NameHash = a.Standing, nil
	p.Agreed = p.CountsAsAgreed || !a.AgreedAt.IsZero()
	if index := sh.address(a.Email); !bytes.Equal(index, p.AddressIndex) || p.fresh {
		p.AddressIndex = index
		if len(index) > 0 && !slices.Contains(sh.at[string(index)], p) {
			sh.at[string(index)] = append(sh.at[string(index)], p)
		}
	}
	if p.Correction.IsZero() || sh.isHeld(p.ID) {
		return
	}
	if left := attendees.Ended(sh.desk.Policy, p.Registration, p.Layers(), p.Correction); !bytes.Equal(left.Text(), p.Correction.Text()) {
		p.Correction, p.corrected = left, true
	}
}

// Renew minimises what an attendee's sources say by policy, links and bars as they are now.
func (sh *Sheet) Renew(p *Person) {
	if p.State != attendees.Open {
		return
	}
	if l, changed := sh.renewed(p.ID, p.Registration, events.FieldLinks(sh.Links, sh.Event.ID, attendees.EventbriteForm)); changed {
		p.Registration, p.dirty = l, true
	}
	for _, a := range slices.Clone(p.Responses) {
		sh.RenewAnswer(a)
	}
	if p.Correction.IsZero() {
		return
	}
	if l := sh.again(p.ID, p.Correction); !sh.isHeld(p.ID) && !bytes.Equal(l.Text(), p.Correction.Text()) {
		sh.Correct(p, l)
	}
}

// RenewAnswer does so with a response: it is dropped where its form is linked no more.
func (sh *Sheet) RenewAnswer(a *Answer) {
	if a.Layer.IsZero() {
		return
	}
	links := events.FieldLinks(sh.Links, sh.Event.ID, a.Form)
	if l, changed := sh.renewed(a.owner(), a.Layer, links); changed {
		sh.say(a, l)
	}
	if len(links) == 0 {
		sh.Drop(a)
	}
}

func (sh *Sheet) renewed(who uuid.UUID, l attendees.Layer, links attendees.FieldLinks) (_ attendees.Layer, changed bool) {
	fresh := sh.keeping(who, sh.again(who, l).Linked(links).Released(), l)
	return fresh, !bytes.Equal(fresh.Text(), l.Text())
}

package sheet

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
)

// What is what a bar decides.
type What string

// The bars.
const (
	Erased     What = "erased"
	Restricted What = "restricted"
	Held       What = "held"
	Withdrawn  What = "withdrawn"
)

// Bar is what is decided about one attendee, registration or response: in one event, or in
// all. Erased is decided about registrations, not about one holder.
type Bar struct {
	Hash    uuid.UUID             `db:"hash"` // the key in the event; in all events that of no event, under any secret
	What    What                  `db:"what"`
	Purpose attendees.PurposeName `db:"purpose"` // of Withdrawn
	Reason  attendees.Reason      `db:"reason"`  // of Restricted
	MadeOn  attendees.Date        `db:"made_on"` // today, where it is set
}

// SetBar decides something about somebody, for a caller who has the event's row in tx. The
// zero Event: in all events.
func (d *Desk) SetBar(ctx context.Context, tx db.Tx, e events.Event, b Bar) error {
	_, err := db.Exec(ctx, tx, `
		insert into bars (event_id, hash, what, purpose, reason, made_on)
		values ($1, $2, $3, $4, $5, $6::date)
		on conflict (hash, event_id, what, purpose) do update set reason = excluded.reason`,
		e.Key, b.Hash, b.What, b.Purpose, b.Reason, d.today())
	return err
}

// LiftBar takes a decision back, for a caller who has the event's row in tx.
func (d *Desk) LiftBar(ctx context.Context, tx db.Tx, e events.Event, hash uuid.UUID, what What) error {
	_, err := db.Exec(ctx, tx, `delete from bars where event_id = $1 and hash = $2 and what = $3`, e.Key, hash, what)
	return err
}

// SetBar decides something about somebody, on the sheet too.
func (sh *Sheet) SetBar(ctx context.Context, b Bar) error {
	sh.bars[b.Hash] = append(sh.bars[b.Hash], b)
	return sh.desk.SetBar(ctx, sh.Tx, sh.Event, b)
}

// ticket is the registration that a layer is of, or that a response names.
func ticket(l attendees.Layer) attendees.AttendeeID {
	if l.Origin() == attendees.FromResponse {
		return l.Claims()
	}
	id, _ := l.Registration()
	return id
}

// loadBars loads what is decided about attendees and responses by their keys, and what is
// decided for all events about what layers are of, or name.
func (sh *Sheet) loadBars(ctx context.Context, keys []uuid.UUID, layers []attendees.Layer) error {
	if !sh.some.Bars {
		return nil
	}
	here := make(map[uuid.UUID]uuid.UUID, len(keys)+2*len(layers))
	for _, k := range keys {
		here[k] = k
	}
	for _, h := range sh.desk.Secrets.AllHashes() {
		for _, l := range layers {
			if id := ticket(l); id != "" {
				here[h.Registration("", string(sh.Event.Source), string(id))] = sh.Base(id)
			}
			if form, id := l.Response(); l.Origin() == attendees.FromResponse {
				here[h.Response("", string(form), string(id))] = sh.ResponseKey(form, id)
			}
		}
	}
	hashes := make([]uuid.UUID, 0, len(here))
	for hash := range here {
		hashes = append(hashes, hash)
	}
	var rows []Bar
	err := db.Select(ctx, sh.Tx, &rows, `
		select hash, what, purpose, reason, made_on
		from bars
		where hash = any($1::uuid[]) and event_id in ($2, $3)`, Texts(hashes), sh.Event.Key, uuid.Nil)
	for _, b := range rows {
		if b.Hash = here[b.Hash]; !slices.Contains(sh.bars[b.Hash], b) {
			sh.bars[b.Hash] = append(sh.bars[b.Hash], b)
		}
	}
	return err
}

// Bars are what is decided about an attendee, registration or response that was loaded, by its key.
type Bars []Bar

// Bars are those of a key.
func (sh *Sheet) Bars(hash uuid.UUID) Bars { return sh.bars[hash] }

// Of is the one of a kind.
func (all Bars) Of(what What) (b Bar, ok bool) {
	i := slices.IndexFunc(all, func(b Bar) bool { return b.What == what })
	if i < 0 {
		return b, false
	}
	return all[i], true
}

func (sh *Sheet) withdrawn(id uuid.UUID) (all []attendees.PurposeName) {
	for _, b := range sh.bars[id] {
		if b.What == Withdrawn {
			all = append(all, b.Purpose)
		}
	}
	return all
}

// isHeld tells whether a hold on the event or the attendee is active.
func (sh *Sheet) isHeld(id uuid.UUID) bool {
	_, ok := sh.Bars(id).Of(Held)
	return ok || sh.Event.Held
}

// The kinds of what is sealed to an event's lock for one attendee.
const (
	KindRestricted = "restricted"
	KindLifted     = "lifted"
	KindCorrected  = "corrected"
)

// Restrict seals all layers of an attendee to the officers and the person, and removes them.
// Where the reason is an erasure that a duty stops, only what the duty names is sealed.
// seal.ErrNoOfficer where there is no officer's key.
func (sh *Sheet) Restrict(ctx context.Context, p *Person, reason attendees.Reason) error {
	sh.derive(p)
	p.NameHash = sh.nameHash(p)
	layers := slices.DeleteFunc(append([]attendees.Layer{p.Registration, p.Correction}, p.Layers()...), attendees.Layer.IsZero)
	if err := sh.sealMore(ctx, p, reason, sh.merged(p).Email, layers...); err != nil {
		return err
	}
	p.State, p.Reason, p.Registration, p.Correction = attendees.Restricted, reason, attendees.Layer{}, attendees.Layer{}
	p.dirty = true
	for _, a := range p.Responses {
		sh.say(a, attendees.Layer{})
	}
	return sh.SetBar(ctx, Bar{Hash: p.ID, What: Restricted, Reason: reason})
}

// sealMore seals layers of an attendee who is restricted for a reason, as one number more:
// opening and lifting merge them.
func (sh *Sheet) sealMore(ctx context.Context, p *Person, reason attendees.Reason, address attendees.Personal, layers ...attendees.Layer) error {
	if reason == attendees.ErasureAsked {
		for i, l := range layers {
			layers[i] = sh.desk.Policy.Again(l, sh.desk.withoutDuty()...).Released()
		}
	}
	return sh.SealFor(ctx, p, KindRestricted, address, attendees.JoinLayers(layers))
}

// withoutDuty are the purposes that nothing has to be kept for.
func (d *Desk) withoutDuty() (all []attendees.PurposeName) {
	for _, u := range d.Policy.Purposes {
		if !u.Sealed {
			all = append(all, u.Name)
		}
	}
	return all
}

// SealFor seals a text of an attendee to the event's lock, as one number more of its kind; for
// the person of address, too, unless several people of the event have, or have had, it.
func (sh *Sheet) SealFor(ctx context.Context, p *Person, kind string, address attendees.Personal, text []byte) error {
	index := sh.address(address)
	if len(index) > 0 {
		if err := sh.loadAt(ctx, pq.ByteaArray{index}); err != nil {
			return err
		}
	}
	if p.Shared || len(sh.sharing(p, index)) > 0 {
		address = "" // a group order: whose the address is, it does not say
	}
	return sh.seal(ctx, p.ID, kind, address, text)
}

// seal seals a text of one attendee to the event's lock, and for the person of address;
// without an address for officers alone.
func (sh *Sheet) seal(ctx context.Context, id uuid.UUID, kind string, address attendees.Personal, text []byte) error {
	e, ref := sh.Event.Key, reader.Ref(sh.Event)
	lock, err := sh.desk.Vault.Lock(ctx, sh.Tx, ref)
	if err != nil {
		return err
	}
	if sh.desk.Policy.OfficersOnly {
		address = ""
	}
	var number int
	err = db.Get(ctx, sh.Tx, &number, `
		select coalesce(max(number) + 1, 0)
		from records
		where event_id = $1 and attendee_id = $2 and kind = $3`, e, id, kind)
	if err != nil {
		return err
	}
	sealed, half, err := lock.Seal(ref, id, number, kind, address.Reveal(), text)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, sh.Tx, `
		insert into records (event_id, attendee_id, kind, generation, number, sealed, half, recorded_on)
		values ($1, $2, $3, $4, $5, $6, $7, $8::date)`, e, id, kind, lock.Generation, number, sealed, half, sh.desk.today())
	return err
}

package sheet

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
)

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
	if err := sh.SealMore(ctx, p, reason, sh.merged(p).Email, layers...); err != nil {
		return err
	}
	p.State, p.Reason, p.Registration, p.Correction = attendees.Restricted, reason, attendees.Layer{}, attendees.Layer{}
	p.dirty, p.corrected = true, true
	for _, a := range p.Responses {
		sh.say(a, attendees.Layer{})
	}
	return sh.SetBar(ctx, Bar{Hash: p.ID, What: Restricted, Reason: reason})
}

// SealMore seals layers of an attendee who is restricted for a reason, as one number more:
// opening and lifting merge them.
func (sh *Sheet) SealMore(ctx context.Context, p *Person, reason attendees.Reason, address attendees.Personal, layers ...attendees.Layer) error {
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
	shared, err := sh.shares(ctx, p, address)
	if err != nil {
		return err
	}
	if shared {
		address = "" // a group order: whose the address is, it does not say
	}
	return sh.seal(ctx, p.ID, kind, address, text)
}

// shares tells whether several people of the event have, or have had, an address of an
// attendee.
func (sh *Sheet) shares(ctx context.Context, p *Person, address attendees.Personal) (bool, error) {
	index := sh.address(address)
	if p.Shared || len(index) == 0 {
		return p.Shared, nil
	}
	if err := sh.loadAt(ctx, pq.ByteaArray{index}); err != nil {
		return false, err
	}
	return slices.ContainsFunc(sh.at[string(index)], func(o *Person) bool {
		return o != p && !o.removed && bytes.Equal(o.AddressIndex, index) && !sh.samePerson(p, o)
	}), nil
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

// SealIDs seals ids at a source under the text subkey, for a task or for deletion there.
func (d *Desk) SealIDs(event uuid.UUID, ids string) []byte {
	return d.Secrets.SealText(idPlace(event), []byte(ids))
}

// OpenIDs opens what SealIDs sealed.
func (d *Desk) OpenIDs(event uuid.UUID, sealed []byte) (string, error) {
	text, err := d.Secrets.OpenText(idPlace(event), sealed)
	return string(text), err
}

func idPlace(event uuid.UUID) seal.Place {
	return seal.Place{Event: event.String(), Key: "ids", Subject: event}
}

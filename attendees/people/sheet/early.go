package sheet

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
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
	shared, err := sh.shares(ctx, p, address)
	if err != nil {
		return err
	}
	if shared {
		address = "" // a group order: whose the address is, it does not say
	}
	return sh.desk.Seal(ctx, sh.Tx, sh.Event, p.ID, KindRestricted, address, attendees.JoinLayers(layers))
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

// Seal seals a text of one attendee to the event's lock, as one number more of its kind, and
// for the person of address; without an address for officers alone.
func (d *Desk) Seal(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, kind string, address attendees.Personal, text []byte) error {
	lock, err := d.Vault.Lock(ctx, tx, reader.Ref(e))
	if err != nil {
		return err
	}
	if d.Policy.OfficersOnly {
		address = ""
	}
	var number int
	err = db.Get(ctx, tx, &number, `
		select coalesce(max(number) + 1, 0)
		from records
		where event_id = $1 and attendee_id = $2 and kind = $3`, e.Key, id, kind)
	if err != nil {
		return err
	}
	sealed, half, err := lock.Seal(reader.Ref(e), id, number, kind, address.Reveal(), text)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `
		insert into records (event_id, attendee_id, kind, generation, number, sealed, half, recorded_on)
		values ($1, $2, $3, $4, $5, $6, $7, $8::date)`, e.Key, id, kind, lock.Generation, number, sealed, half, d.today())
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

package sheet

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Flush derives and writes all that changed on the sheet: one statement for each table and
// kind of change, in the order of the keys, so that row order tells nothing.
func (sh *Sheet) Flush(ctx context.Context) error {
	for _, p := range sh.people {
		if p.dirty && !p.removed {
			sh.derive(p)
		}
	}
	if err := sh.leaveAddresses(ctx); err != nil {
		return err
	}
	var fresh, changed, corrected []*Person
	var gone []uuid.UUID
	for _, p := range sh.people {
		switch {
		case p.removed && p.fresh, !p.removed && !p.dirty:
			continue
		case p.removed:
			gone = append(gone, p.ID)
		case p.fresh:
			fresh = append(fresh, p)
		default:
			changed = append(changed, p)
		}
		if p.corrected || p.removed {
			corrected = append(corrected, p)
		}
	}
	var freshAnswers, changedAnswers []*Answer
	var goneAnswers, unclaimed []uuid.UUID
	for _, a := range sh.answers {
		if a.claimed != nil && (a.removed || a.Claims == nil) {
			unclaimed = append(unclaimed, *a.claimed)
		}
		switch {
		case a.removed && a.fresh, !a.removed && !a.dirty:
			continue
		case a.removed:
			goneAnswers = append(goneAnswers, a.ID)
		case a.fresh:
			freshAnswers = append(freshAnswers, a)
		default:
			changedAnswers = append(changedAnswers, a)
		}
		if !a.Layer.IsZero() { // else its attendee is restricted
			a.Agreed, a.AddressIndex = a.Layer.Agreed(), sh.address(a.Layer.Email())
		}
	}
	for _, step := range []func() error{
		func() error { return sh.deleteRows(ctx, gone, goneAnswers) },
		func() error { return sh.insertPeople(ctx, byKey(fresh)) },
		func() error { return sh.updatePeople(ctx, byKey(changed)) },
		func() error { return sh.insertAnswers(ctx, byAnswer(freshAnswers)) },
		func() error { return sh.updateAnswers(ctx, byAnswer(changedAnswers)) },
		func() error { return sh.writeCorrections(ctx, corrected) },
		func() error { return sh.settleClaims(ctx, unclaimed) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func byKey(all []*Person) []*Person {
	slices.SortFunc(all, func(a, b *Person) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

func byAnswer(all []*Answer) []*Answer {
	slices.SortFunc(all, func(a, b *Answer) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

// leaveAddresses marks those who have an address that somebody else leaves: whose it was, it
// does not say any more.
func (sh *Sheet) leaveAddresses(ctx context.Context) error {
	var leaving []*Person
	var left [][]byte
	for _, p := range sh.people {
		if p.fresh || len(p.index) == 0 {
			continue
		}
		if p.removed && (p.Standing == attendees.Attending || p.Standing == attendees.Gone) || !p.removed && !bytes.Equal(p.index, p.AddressIndex) {
			leaving, left = append(leaving, p), append(left, p.index)
		}
	}
	if err := sh.loadAt(ctx, left); err != nil {
		return err
	}
	for _, p := range leaving {
		for _, other := range sh.at[string(p.index)] {
			if other != p && !other.removed && !other.Shared && bytes.Equal(other.AddressIndex, p.index) && !sh.samePerson(p, other) {
				other.Shared, other.dirty = true, true
			}
		}
	}
	return nil
}

// samePerson tells of two tickets under one address that one is not attending and names the
// same person: cancelled and bought again.
func (sh *Sheet) samePerson(a, b *Person) bool {
	return (a.Standing != attendees.Attending || b.Standing != attendees.Attending) && bytes.Equal(sh.nameHash(a), sh.nameHash(b))
}

// nameHash is of the name that the registration itself gives: a corrected one says nothing
// about whom the source names.
func (sh *Sheet) nameHash(p *Person) []byte {
	if p.Registration.IsZero() {
		return p.NameHash
	}
	name := p.Registration.Name()
	if name.Empty() {
		name = sh.merged(p).Name
	}
	return sh.hashes.Name(string(sh.Event.ID), name.Reveal())
}

// IsAnother tells that a registration names somebody else than a holder whose layer nobody
// can read here: both the hashed name and the hashed address differ.
func (sh *Sheet) IsAnother(p *Person, l attendees.Layer) bool {
	differ := func(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) }
	return differ(p.NameHash, sh.hashes.Name(string(sh.Event.ID), l.Name().Reveal())) && differ(p.AddressIndex, sh.address(l.Email()))
}

// shares tells whether several people of the event have, or have had, an address of an
// attendee.
func (sh *Sheet) shares(ctx context.Context, p *Person, address attendees.Personal) (bool, error) {
	index := sh.address(address)
	if p.Shared || len(index) == 0 {
		return p.Shared, nil
	}
	if err := sh.loadAt(ctx, [][]byte{index}); err != nil {
		return false, err
	}
	return slices.ContainsFunc(sh.at[string(index)], func(o *Person) bool {
		return o != p && !o.removed && bytes.Equal(o.AddressIndex, index) && !sh.samePerson(p, o)
	}), nil
}

// settleClaims ends the tasks about registrations that no response claims any more.
func (sh *Sheet) settleClaims(ctx context.Context, bases []uuid.UUID) error {
	for _, base := range bases {
		var claimed bool
		err := db.Get(ctx, sh.tx, &claimed, `select exists (select from responses where event_id = $1 and claims = $2)`, sh.Event.Key, base)
		if err != nil || claimed {
			return err
		}
		if err := sh.desk.Events.Tasks.Settle(ctx, sh.tx, events.Task{Kind: events.TaskClaim, Event: sh.Event.Key, Attendee: base}); err != nil {
			return err
		}
	}
	return nil
}

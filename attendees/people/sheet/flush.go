package sheet

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
)

// Flush looks whose waiting responses are by now, derives and writes all that changed on the
// sheet, with one statement for each table to delete what was there and one to insert what
// is there now, in the order of the keys, so that row order tells nothing.
func (sh *Sheet) Flush(ctx context.Context) error {
	if err := sh.rematch(ctx); err != nil {
		return err
	}
	for _, p := range sh.People {
		if p.dirty && !p.removed && !p.late() {
			sh.derive(p)
		}
	}
	if err := sh.leaveAddresses(ctx); err != nil {
		return err
	}
	var oldPeople, oldAnswers, oldCorrections, removed, unclaimed []uuid.UUID
	var people, corrected []*Person
	var answers, claims []*Answer
	for _, p := range sh.People {
		if !p.Fresh && (p.dirty || p.removed) {
			oldPeople = append(oldPeople, p.ID)
		}
		if p.corrected || p.removed {
			oldCorrections = append(oldCorrections, p.ID)
		}
		switch {
		case p.removed:
			removed = append(removed, p.ID)
			continue
		case p.dirty:
			people = append(people, p)
		}
		if p.corrected && !p.Correction.IsZero() {
			corrected = append(corrected, p)
		}
	}
	for _, a := range sh.Answers {
		if !a.Fresh && (a.dirty || a.removed) {
			oldAnswers = append(oldAnswers, a.ID)
		}
		if a.claimed != nil && (a.removed || a.Claims == nil) {
			unclaimed = append(unclaimed, *a.claimed)
		}
		switch {
		case a.removed && !a.Fresh:
			removed = append(removed, a.ID)
		case a.removed:
		case a.dirty:
			answers = append(answers, a)
		}
		if a.asks && !a.removed {
			claims = append(claims, a)
		}
	}
	slices.SortFunc(people, func(a, b *Person) int { return Compare(a.ID, b.ID) })
	slices.SortFunc(answers, func(a, b *Answer) int { return Compare(a.ID, b.ID) })
	for _, step := range []func() error{
		func() error { return sh.delete(ctx, `delete from attendees where id = any($1::uuid[])`, oldPeople) },
		func() error { return sh.delete(ctx, `delete from responses where id = any($1::uuid[])`, oldAnswers) },
		func() error {
			return sh.delete(ctx, `delete from corrections where attendee_id = any($1::uuid[])`, oldCorrections)
		},
		func() error { return sh.mark(ctx, removed) },
		func() error { return sh.writePeople(ctx, people) },
		func() error { return sh.writeAnswers(ctx, answers) },
		func() error { return sh.writeCorrections(ctx, corrected) },
		func() error { return sh.askAbout(ctx, claims) },
		func() error { return sh.settle(ctx, unclaimed) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (sh *Sheet) delete(ctx context.Context, statement string, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.Tx, statement, Texts(ids))
	return err
}

// leaveAddresses marks those who have an address that somebody else leaves: whose it was, it
// does not say any more.
func (sh *Sheet) leaveAddresses(ctx context.Context) error {
	var leaving []*Person
	var left pq.ByteaArray
	for _, p := range sh.People {
		if p.Fresh || len(p.index) == 0 {
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
	name := sh.nameHash(a)
	return (a.Standing != attendees.Attending || b.Standing != attendees.Attending) && len(name) > 0 && bytes.Equal(name, sh.nameHash(b))
}

// nameHash is of the name that the registration itself gives: a corrected one does not
// say who the source names.
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

// IsAnother tells that a registration names somebody else than a holder: both name and
// address differ, by their hashes where nobody can read the holder's. What lacks either says
// nothing.
func (sh *Sheet) IsAnother(p *Person, l attendees.Layer) bool {
	address := p.AddressIndex
	if !p.Registration.IsZero() {
		address = sh.address(p.Registration.Email())
	}
	differ := func(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && !bytes.Equal(a, b) }
	return differ(sh.nameHash(p), sh.hashes.Name(string(sh.Event.ID), l.Name().Reveal())) && differ(address, sh.address(l.Email()))
}

// askAbout asks staff about responses that claim to be somebody's.
func (sh *Sheet) askAbout(ctx context.Context, claims []*Answer) error {
	for _, a := range claims {
		err := sh.desk.Events.Tasks.Ask(ctx, sh.Tx, events.Task{
			Kind: events.TaskClaim, Event: sh.Event.Key, Attendee: *a.Claims, Count: 1, Sealed: sh.desk.SealIDs(sh.Event.Key, string(a.Layer.Claims())),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settle ends the tasks about registrations that no response claims any more.
func (sh *Sheet) settle(ctx context.Context, bases []uuid.UUID) error {
	if len(bases) == 0 {
		return nil
	}
	_, err := db.Exec(ctx, sh.Tx, `
		update tasks t
		set done_at = $4, done_by = 'lethe', sealed = null
		where kind = $1 and event_id = $2 and attendee_id = any($3::uuid[]) and done_at is null
		  and not exists (select from responses where event_id = $2 and claims = t.attendee_id)`,
		events.TaskClaim, sh.Event.Key, Texts(bases), sh.desk.Now())
	return err
}

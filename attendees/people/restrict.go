package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/reader"
	"lethe/attendees/seal"
)

// Restrict seals all layers of one attendee of an open event to the officers and the person,
// for a caller who has the event's row in tx (GDPR Art. 18, 21): a restricted attendee may
// only be stored. Where the reason is an erasure that a duty stops (Art. 17(3)(b)), only what
// the duty names is sealed, and the rest is gone. seal.ErrNoOfficer where there is no officer's key.
func (s *Store) Restrict(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, reason attendees.Reason) (err error) {
	defer db.Wrap(&err, "restrict an attendee of event %s", e.ID)
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	if p.State != attendees.Open {
		if p.Reason == reason || reason != attendees.ErasureAsked {
			return nil
		}
		return fmt.Errorf("the attendee is restricted already: lift that first")
	}
	if err := sh.restrict(ctx, p, reason); err != nil {
		return err
	}
	return sh.flush(ctx)
}

// withoutDuty are the purposes that nothing has to be kept for.
func (s *Store) withoutDuty() (all []attendees.PurposeName) {
	for _, u := range s.policy.Purposes {
		if !u.Sealed {
			all = append(all, u.Name)
		}
	}
	return all
}

func (sh *sheet) restrict(ctx context.Context, p *person, reason attendees.Reason) error {
	sh.derive(p)
	a := sh.merged(p)
	layers := append([]attendees.Layer{p.registration}, p.layers()...)
	if !p.correction.IsZero() {
		layers = append(layers, p.correction)
	}
	if err := sh.sealLayers(ctx, p, a.Email, reason, layers); err != nil {
		return err
	}
	p.State, p.Reason, p.NameHash, p.dirty = attendees.Restricted, reason, sh.hashes.Name(string(sh.ID), a.Name.Reveal()), true
	p.registration, p.correction, p.corrected = attendees.Layer{}, attendees.Layer{}, true
	for _, r := range p.responses {
		r.Agreed, r.AddressIndex = r.layer.Agreed(), sh.address(r.layer.Email())
		r.layer, r.dirty = attendees.Layer{}, true
	}
	return sh.store.SetBar(ctx, sh.tx, *sh.Event, Bar{Hash: p.ID, What: BarRestricted, Reason: reason})
}

// sealMore seals a response that came for a restricted attendee.
func (sh *sheet) sealMore(ctx context.Context, p *person, a *answer) error {
	if err := sh.sealLayers(ctx, p, a.layer.Email(), p.Reason, []attendees.Layer{a.layer}); err != nil {
		return err
	}
	p.Agreed = p.Agreed || a.layer.Agreed()
	a.Agreed, a.AddressIndex = a.layer.Agreed(), sh.address(a.layer.Email())
	a.layer = attendees.Layer{}
	return nil
}

// sealLayers seals layers of an attendee to the lock, as one number more.
func (sh *sheet) sealLayers(ctx context.Context, p *person, address attendees.Personal, reason attendees.Reason, layers []attendees.Layer) error {
	if reason == attendees.ErasureAsked {
		for i, l := range layers {
			layers[i] = sh.store.policy.Again(l, sh.store.withoutDuty()...).Released()
		}
	}
	return sh.store.sealTo(ctx, sh.tx, *sh.Event, p.ID, "restricted", address, attendees.JoinLayers(layers), p.Shared)
}

// sealTo seals a text of one attendee to the event's lock, as one number more of its kind.
func (s *Store) sealTo(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, kind string, address attendees.Personal, text []byte, shared bool) error {
	lock, err := s.vault.Lock(ctx, tx, reader.Ref(e))
	if err != nil {
		return err
	}
	var number int
	err = db.Get(ctx, tx, &number, `
		select coalesce(max(number) + 1, 0)
		from records
		where event_id = $1 and attendee_id = $2 and kind = $3 and generation = $4`, e.Key, id, kind, lock.Generation)
	if err != nil {
		return err
	}
	if s.policy.OfficersOnly || shared || address.Empty() {
		address = ""
	} else if shared, err = s.isShared(ctx, tx, e, id, address); err != nil {
		return err
	} else if shared {
		address = "" // a group order: whose the address is, it does not say
	}
	sealed, half, err := lock.Seal(reader.Ref(e), id, number, kind, address.Reveal(), text)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `
		insert into records (event_id, attendee_id, kind, generation, number, sealed, half, recorded_on)
		values ($1, $2, $3, $4, $5, $6, $7, $8::date)`, e.Key, id, kind, lock.Generation, number, sealed, half, attendees.DateOf(s.now().UTC()).String())
	return err
}

// isShared tells whether somebody else of the event who attends, or held a ticket before,
// has an address.
func (s *Store) isShared(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, address attendees.Personal) (shared bool, err error) {
	h, err := s.secrets.Hashes(e.Secret)
	if err != nil {
		return false, err
	}
	err = db.Get(ctx, tx, &shared, `
		select exists (
			select from attendees
			where event_id = $1 and address_index = $2 and id <> $3 and (standing in ('attending', 'gone') or shared))`,
		e.Key, h.Address(string(e.ID), address.Reveal()), id)
	return shared, err
}

// Lift ends a restriction, for a caller who has the event's row in tx and has opened all
// that was sealed for it, in its order. In an open event the layers come back under today's
// working key, and the sources are read again for what came meanwhile. In a blocked one only
// what a duty keeps is sealed; where none keeps anything, the attendee is removed.
func (s *Store) Lift(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, opened [][]byte) (err error) {
	defer db.Wrap(&err, "lift a restriction in event %s", e.ID)
	var registration, correction attendees.Layer
	responses := map[string]attendees.Layer{}
	for _, text := range opened {
		layers, err := attendees.SplitLayers(text)
		if err != nil {
			return err
		}
		for _, l := range layers {
			switch l.Origin() {
			case attendees.FromRegistration:
				registration = l
			case attendees.FromCorrection:
				correction = l
			default:
				form, response := l.Response()
				responses[string(form)+"\x00"+string(response)] = l
			}
		}
	}
	if e.State != attendees.Open {
		return s.liftBlocked(ctx, tx, e, id, registration, responses, correction)
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return err
	}
	if p.State != attendees.Restricted {
		return nil
	}
	withdrawn := sh.withdrawn(id)
	p.registration, p.State, p.Reason, p.dirty = s.policy.Again(registration, withdrawn...), attendees.Open, "", true
	if p.Standing == attendees.Gone {
		p.registration = p.registration.Left()
	}
	p.correction, p.corrected = s.policy.Again(correction, withdrawn...), true
	for _, l := range responses {
		form, response := l.Response()
		key := uuid.UUID(sh.hashes.Response(string(sh.ID), string(form), string(response)))
		a := sh.answers[key]
		if a == nil {
			a = &answer{fresh: true}
			a.ID, a.Form = key, form
			sh.answers[key] = a
			sh.match(a, p, "hidden")
		}
		a.layer, a.dirty = s.policy.Again(l, withdrawn...), true
	}
	if err := s.dropRestricted(ctx, tx, e, id); err != nil {
		return err
	}
	if err := sh.flush(ctx); err != nil {
		return err
	}
	return s.events.ReadAgain(ctx, tx, e)
}

func (s *Store) dropRestricted(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) error {
	_, err := db.Exec(ctx, tx, `
		delete from records
		where event_id = $1 and attendee_id = $2 and kind = 'restricted'`, e.Key, id)
	if err != nil {
		return err
	}
	return s.LiftBar(ctx, tx, e, id, BarRestricted)
}

func (s *Store) liftBlocked(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID, registration attendees.Layer, responses map[string]attendees.Layer, correction attendees.Layer) error {
	if err := s.dropRestricted(ctx, tx, e, id); err != nil {
		return err
	}
	var layers []attendees.Layer
	for _, l := range responses {
		layers = append(layers, l)
	}
	a := attendees.Merge(s.policy, registration, layers, correction)
	links, err := s.events.Forms.Links(ctx, tx, e.Key)
	if err != nil {
		return err
	}
	agreed := !events.AsksToAgree(links, e.ID) || !a.AgreedAt.IsZero()
	if !s.policy.Keeps() || !agreed || e.Expired(s.now()) {
		return s.removeBlocked(ctx, tx, e, id)
	}
	if err := s.sealTo(ctx, tx, e, id, "lifted", a.Email, a.Record(s.policy, e.ID, false).Text(), false); err != nil {
		return err
	}
	_, err = db.Exec(ctx, tx, `update attendees set state = 'blocked', reason = '' where id = $1`, id)
	return err
}

// removeBlocked removes an attendee of a blocked event with all records.
func (s *Store) removeBlocked(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) error {
	if err := s.shareOn(ctx, tx, e, id); err != nil {
		return err
	}
	if _, err := db.Exec(ctx, tx, `delete from records where event_id = $1 and attendee_id = $2`, e.Key, id); err != nil {
		return err
	}
	_, err := db.Exec(ctx, tx, `delete from attendees where id = $1`, id)
	return err
}

// shareOn marks those who have the address of an attendee who is removed: whose it was, it
// does not say any more.
func (s *Store) shareOn(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) error {
	_, err := db.Exec(ctx, tx, `
		update attendees a
		set shared = true
		from attendees o
		where o.id = $2 and a.event_id = $1 and a.id <> o.id and a.address_index = o.address_index and a.address_index <> ''
		  and o.standing in ('attending', 'gone')`, e.Key, id)
	return err
}

// Erase removes one attendee, for a caller who has the event's row in tx: layers, records and
// responses are gone, and bars keep them out. A ticket's present holder leaves the ticket
// barred, a former one only their responses. It gives the ids of the responses that went, as
// their source has them, where the server could read them.
func (s *Store) Erase(ctx context.Context, tx db.Tx, e events.Event, id uuid.UUID) (gone []attendees.Layer, err error) {
	defer db.Wrap(&err, "erase an attendee of event %s", e.ID)
	base, _ := seal.HolderOf(id)
	if e.State != attendees.Open {
		if err := s.SetBar(ctx, tx, e, Bar{Hash: base, What: BarErased}); err != nil {
			return nil, err
		}
		return nil, s.removeBlocked(ctx, tx, e, id)
	}
	sh, p, err := s.one(ctx, tx, e, id)
	if err != nil {
		return nil, err
	}
	if sh.present(base) == p {
		if err := s.SetBar(ctx, tx, e, Bar{Hash: base, What: BarErased}); err != nil {
			return nil, err
		}
	}
	for _, a := range slices.Clone(p.responses) {
		if !a.layer.IsZero() {
			gone = append(gone, a.layer)
		}
		a.removed = true
		if err := s.SetBar(ctx, tx, e, Bar{Hash: a.ID, What: BarErased}); err != nil {
			return nil, err
		}
	}
	if err := s.shareOn(ctx, tx, e, id); err != nil {
		return nil, err
	}
	if _, err := db.Exec(ctx, tx, `delete from records where event_id = $1 and attendee_id = $2`, e.Key, id); err != nil {
		return nil, err
	}
	p.removed = true
	return gone, sh.flush(ctx)
}

package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"lethe/attendees/db"
	"lethe/attendees/seal"
)

// PublicLock is the half of an event's lock that the server keeps.
type PublicLock struct {
	Public     string
	Generation []byte
	Halves     *seal.Halves // of what is sealed to it; nil: the pepper is gone
}

// Lock gives the lock that is sealed to now, for a caller who has the event's row in tx: the
// one to today's officers, which is made where there is none. seal.ErrNoOfficer where
// there is no officer's key; seal.ErrKey where somebody else has put a public key there.
func (s *Store) Lock(ctx context.Context, tx db.Tx, e Ref) (lock PublicLock, err error) {
	defer db.Wrap(&err, "use the lock of event %s", e.ID)
	if err := s.Sealable(); err != nil {
		return lock, err
	}
	who := s.officers.Names()
	var row keyRow
	err = db.Get(ctx, tx, &row, `
		select generation, public, public_mac, pepper
		from keys
		where event_id = $1 and name = $2 and recipients = $3
		order by made_on desc, generation
		limit 1`, e.Key, Lock, who)
	if errors.Is(err, sql.ErrNoRows) {
		return s.makeLock(ctx, tx, e)
	}
	if err != nil {
		return lock, err
	}
	if err := s.secrets.CheckMAC(place(e, Lock, row.Generation, who), row.Public.String, row.MAC); err != nil {
		return lock, fmt.Errorf("its public half is not the one that was made: %w", err)
	}
	lock = PublicLock{Public: row.Public.String, Generation: row.Generation}
	if row.Pepper != nil {
		lock.Halves, err = s.halves(e, Lock, row.Generation, row.Pepper)
	}
	return lock, err
}

// Sealable is nil where something can be sealed, seal.ErrNoOfficer where there is no
// officer's key.
func (s *Store) Sealable() error {
	if s.officers.Names() == "" {
		return seal.ErrNoOfficer
	}
	return nil
}

// makeLock makes a new generation of an event's lock. The server forgets its private half
// at once.
func (s *Store) makeLock(ctx context.Context, tx db.Tx, e Ref) (made PublicLock, err error) {
	generation := seal.NewGeneration()
	lock, err := seal.NewLock(e.ID, generation)
	if err != nil {
		return made, err
	}
	file, who, err := s.officers.SealLock(lock)
	if err != nil {
		return made, err
	}
	pepper := seal.NewPepper()
	_, err = db.Exec(ctx, tx, `
		insert into keys (event_id, name, generation, public, public_mac, pepper, officers, recipients, made_on)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, e.Key, Lock, generation, lock.Public(),
		s.secrets.MAC(place(e, Lock, generation, who), lock.Public()), s.secrets.Wrap(place(e, Lock, generation, ofPepper), pepper), file, who, s.today())
	return PublicLock{lock.Public(), generation, seal.NewHalves(s.secrets, pepper, e.ID, string(Lock), generation)}, err
}

// Seal seals a text for one attendee to the lock, and for the person of address, where the
// pepper lives and there is an address.
func (l PublicLock) Seal(e Ref, attendee [16]byte, number int, kind, address string, text []byte) (sealed, half []byte, err error) {
	p := place(e, Lock, l.Generation, kind)
	p.Subject, p.Number = attendee, number
	if sealed, err = seal.SealTo(l.Public, p, text); err != nil {
		return nil, nil, err
	}
	if l.Halves != nil {
		half = l.Halves.Seal(address, attendee, number, kind, text)
	}
	return sealed, half, nil
}

// KeyOf is the key that a record of a kind is sealed under.
func KeyOf(kind string) Name {
	switch name := Name(kind); name {
	case Kept, Doubt, Held:
		return name
	}
	return Lock // restricted, lifted, corrected
}

// Opener opens an event's records with an officer's key.
type Opener struct {
	event   Ref
	locks   map[string]*seal.Lock   // by generation
	ciphers map[string]*seal.Cipher // by name and generation
}

// OpenAs opens all keys of an event that an officer's key opens. seal.ErrKey where it opens
// none; no error where the event has none.
func (s *Store) OpenAs(ctx context.Context, q db.Queryer, officer seal.Officer, e Ref) (_ *Opener, err error) {
	defer db.Wrap(&err, "open the keys of event %s", e.ID)
	var rows []struct {
		Name       Name   `db:"name"`
		Generation []byte `db:"generation"`
		Lock       []byte `db:"lock"`
		Officers   []byte `db:"officers"`
	}
	err = db.Select(ctx, q, &rows, `
		select name, generation, lock, officers
		from keys
		where event_id = $1 and officers is not null
		order by name = 'lock' desc, made_on, generation`, e.Key)
	if err != nil {
		return nil, err
	}
	o := &Opener{e, map[string]*seal.Lock{}, map[string]*seal.Cipher{}}
	for _, r := range rows {
		if r.Name == Lock {
			if lock, err := officer.OpenLock(r.Officers, e.ID, r.Generation); err == nil {
				o.locks[string(r.Generation)] = lock
			}
			continue
		}
		lock := o.locks[string(r.Lock)]
		if lock == nil {
			continue // sealed to other officers
		}
		key, err := lock.OpenKey(place(e, r.Name, r.Generation, ""), r.Officers)
		if err != nil {
			return nil, fmt.Errorf("the key %s: %w", r.Name, err)
		}
		o.ciphers[string(r.Name)+string(r.Generation)] = seal.NewCipher(key, e.ID, string(r.Name), r.Generation)
	}
	if len(rows) > 0 && len(o.locks) == 0 {
		return nil, seal.ErrKey
	}
	return o, nil
}

// Open opens a record; ErrDestroyed where its key is gone, or is for other officers.
func (o *Opener) Open(attendee [16]byte, number int, kind string, generation, sealed []byte) ([]byte, error) {
	name := KeyOf(kind)
	if name == Lock {
		lock := o.locks[string(generation)]
		if lock == nil {
			return nil, ErrDestroyed
		}
		p := place(o.event, Lock, generation, kind)
		p.Subject, p.Number = attendee, number
		return lock.Open(p, sealed)
	}
	c := o.ciphers[string(name)+string(generation)]
	if c == nil {
		return nil, ErrDestroyed
	}
	return c.Open(nil, attendee, number, kind, sealed)
}

// Package vault keeps the keys of events: it makes, uses and destroys them. Forgetting is
// destroying a key: what it opened opens to nobody from that transaction on.
//
// Who makes, uses for writing, or destroys a key holds the row of its event (events.Write),
// so that nobody seals under a key that is being destroyed. Destroyed keys leave their
// table's file with the next Rewrite.
//
// Start at Store.Working, which writers of layers use, then at Store.Prepare and
// Store.Destroy. Opener opens what is sealed, with an officer's key.
package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/db"
	"lethe/attendees/seal"
)

// Name is the name of a key.
type Name string

// The keys of an event.
const (
	Working Name = "working"     // opens layers
	Kept    Name = "kept"        // opens the records that a duty keeps
	Doubt   Name = "doubt"       // opens the records of attendees who may or may not have agreed
	Held    Name = "held"        // opens everything of attendees who were on hold when the event was blocked
	Lock    Name = seal.LockName // opens what is sealed for one attendee, and the officers' copies of the others
)

// ErrDestroyed says that a key does not exist any more.
var ErrDestroyed = errors.New("its key has been destroyed")

// Ref names an event, and the generation of its working key as its row has it.
type Ref struct {
	Key        uuid.UUID
	ID         string // the event's id at its source
	Generation []byte // nil: there is no working key
}

// Store keeps keys.
type Store struct {
	pool     *sqlx.DB
	secrets  *seal.Keyring
	officers *seal.Officers // nil: nothing can be sealed
	private  bool
	now      func() time.Time

	mu         sync.Mutex
	remembered map[uuid.UUID]*seal.Cipher
}

// New makes a store of keys. private says that the cluster is Lethe's own, so that
// Rewrite may switch its WAL.
func New(pool *sqlx.DB, secrets *seal.Keyring, officers *seal.Officers, private bool, now func() time.Time) *Store {
	return &Store{pool: pool, secrets: secrets, officers: officers, private: private, now: now, remembered: map[uuid.UUID]*seal.Cipher{}}
}

// Working gives the cipher of an event's layers to a writer who has the event's row in tx.
// It makes the key where there is none, and sets e.Generation.
func (s *Store) Working(ctx context.Context, tx db.Tx, e *Ref) (c *seal.Cipher, err error) {
	if e.Generation != nil {
		return s.Reading(ctx, tx, *e)
	}
	defer db.Wrap(&err, "make the working key of event %s", e.ID)
	key, generation := seal.NewKey(), seal.NewGeneration()
	_, err = db.Exec(ctx, tx, `
		insert into keys (event_id, name, generation, server, made_on)
		values ($1, $2, $3, $4, $5)`, e.Key, Working, generation, s.secrets.Wrap(place(*e, Working, generation, ""), key[:]), s.today())
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(ctx, tx, `update events set generation = $2 where id = $1`, e.Key, generation); err != nil {
		return nil, err
	}
	e.Generation = generation
	return seal.NewCipher(key, e.ID, string(Working), generation), nil
}

// Reading gives the cipher of an event's layers; ErrDestroyed where its working key is gone.
// A remembered key is used only while the event's row names its generation.
func (s *Store) Reading(ctx context.Context, q db.Queryer, e Ref) (_ *seal.Cipher, err error) {
	defer db.Wrap(&err, "use the working key of event %s", e.ID)
	if e.Generation == nil {
		return nil, ErrDestroyed
	}
	s.mu.Lock()
	c := s.remembered[e.Key]
	s.mu.Unlock()
	if c.Is(e.Generation) {
		return c, nil
	}
	var wrapped []byte
	err = db.Get(ctx, q, &wrapped, `
		select server
		from keys
		where event_id = $1 and name = $2 and generation = $3`, e.Key, Working, e.Generation)
	if errors.Is(err, sql.ErrNoRows) || err == nil && wrapped == nil {
		return nil, ErrDestroyed
	}
	if err != nil {
		return nil, err
	}
	key, err := s.unwrap(e, Working, e.Generation, wrapped)
	if err != nil {
		return nil, err
	}
	c = seal.NewCipher(key, e.ID, string(Working), e.Generation)
	s.mu.Lock()
	s.remembered[e.Key] = c
	s.mu.Unlock()
	return c, nil
}

func (s *Store) unwrap(e Ref, name Name, generation, wrapped []byte) (key seal.Key, err error) {
	plain, err := s.secrets.Unwrap(place(e, name, generation, ""), wrapped)
	if err != nil {
		return key, fmt.Errorf("the key %s: %w", name, err)
	}
	if len(plain) != len(key) {
		return key, fmt.Errorf("the key %s: %w", name, seal.ErrKey)
	}
	return seal.Key(plain), nil
}

// ofPepper is the origin in a pepper's place.
const ofPepper = "pepper"

// place is where an event's key itself belongs, its pepper, or, with the officers that it
// is for as origin, the public half of a lock.
func place(e Ref, name Name, generation []byte, origin string) seal.Place {
	return seal.Place{Event: e.ID, Key: string(name), Generation: generation, Origin: origin}
}

func (s *Store) today() string { return s.now().UTC().Format(time.DateOnly) }

// Sealer seals records under one key: for the officers, and each for its person.
type Sealer struct {
	Cipher *seal.Cipher
	Halves *seal.Halves // nil: the policy wants none
}

// Prepare makes a key for records while its event is prepared, for a caller who has the
// event's row in tx. With halves it makes a pepper, too. The server can use it until EndUse;
// from then on officers alone. seal.ErrNoOfficer where there is no officer's key.
func (s *Store) Prepare(ctx context.Context, tx db.Tx, e Ref, name Name, halves bool) (made Sealer, err error) {
	defer db.Wrap(&err, "make the key %s of event %s", name, e.ID)
	lock, err := s.Lock(ctx, tx, e)
	if err != nil {
		return made, err
	}
	key, generation := seal.NewKey(), seal.NewGeneration()
	copied, err := seal.SealKeyTo(lock.Public, place(e, name, generation, ""), key)
	if err != nil {
		return made, err
	}
	var pepper []byte
	made.Cipher = seal.NewCipher(key, e.ID, string(name), generation)
	if halves {
		fresh := seal.NewPepper()
		pepper = s.secrets.Wrap(place(e, name, generation, ofPepper), fresh)
		made.Halves = seal.NewHalves(s.secrets, fresh, e.ID, string(name), generation)
	}
	_, err = db.Exec(ctx, tx, `
		insert into keys (event_id, name, generation, lock, server, pepper, officers, made_on)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, e.Key, name, generation, lock.Generation,
		s.secrets.Wrap(place(e, name, generation, ""), key[:]), pepper, copied, s.today())
	return made, err
}

// EndUse ends the server's use of an event's keys for records: those that were made while it
// was prepared are the officers' from now on.
func (s *Store) EndUse(ctx context.Context, tx db.Tx, e Ref) (err error) {
	defer db.Wrap(&err, "end the server's use of the keys of event %s", e.ID)
	return s.destroy(ctx, tx, `
		update keys
		set server = null
		where event_id = $1 and name in ('kept', 'doubt', 'held') and server is not null`, e.Key)
}

// DropPrepared destroys the keys that were made for an event that was prepared and not
// blocked: what they sealed opens to nobody.
func (s *Store) DropPrepared(ctx context.Context, tx db.Tx, e Ref) (err error) {
	defer db.Wrap(&err, "drop the prepared keys of event %s", e.ID)
	return s.destroy(ctx, tx, `
		delete from keys
		where event_id = $1 and name in ('kept', 'doubt', 'held') and server is not null`, e.Key)
}

// Destroy ends the life of an event's keys of these names, for a caller who has the event's
// row in tx: from its commit on nothing that they opened can be opened through them.
//
// It is idempotent. What must outlive a key has to be sealed under another one before:
// Destroy does not look.
func (s *Store) Destroy(ctx context.Context, tx db.Tx, e Ref, names ...Name) (err error) {
	defer db.Wrap(&err, "destroy keys of event %s", e.ID)
	if err := s.destroy(ctx, tx, `delete from keys where event_id = $1 and name = any($2)`, e.Key, pq.Array(names)); err != nil {
		return err
	}
	if slices.Contains(names, Working) {
		s.mu.Lock()
		delete(s.remembered, e.Key)
		s.mu.Unlock()
		_, err = db.Exec(ctx, tx, `update events set generation = null where id = $1`, e.Key)
	}
	return err
}

// DestroyBut destroys an event's keys of a name but those of some generations.
func (s *Store) DestroyBut(ctx context.Context, tx db.Tx, e Ref, name Name, keep ...[]byte) (err error) {
	defer db.Wrap(&err, "destroy keys %s of event %s", name, e.ID)
	return s.destroy(ctx, tx, `
		delete from keys
		where event_id = $1 and name = $2 and generation <> all($3)`, e.Key, name, append(pq.ByteaArray{}, keep...))
}

// EndPeppers closes people's own halves of an event for good.
func (s *Store) EndPeppers(ctx context.Context, tx db.Tx, e Ref) (err error) {
	defer db.Wrap(&err, "destroy the peppers of event %s", e.ID)
	return s.destroy(ctx, tx, `update keys set pepper = null where event_id = $1 and pepper is not null`, e.Key)
}

// Halves opens people's own halves of what a key of that generation sealed; ErrDestroyed
// once its pepper is gone.
func (s *Store) Halves(ctx context.Context, q db.Queryer, e Ref, name Name, generation []byte) (_ *seal.Halves, err error) {
	defer db.Wrap(&err, "open halves of event %s", e.ID)
	var wrapped []byte
	err = db.Get(ctx, q, &wrapped, `
		select pepper
		from keys
		where event_id = $1 and name = $2 and generation = $3`, e.Key, name, generation)
	if errors.Is(err, sql.ErrNoRows) || err == nil && wrapped == nil {
		return nil, ErrDestroyed
	}
	if err != nil {
		return nil, err
	}
	return s.halves(e, name, generation, wrapped)
}

// halves are those of a key's pepper.
func (s *Store) halves(e Ref, name Name, generation, wrapped []byte) (*seal.Halves, error) {
	pepper, err := s.secrets.Unwrap(place(e, name, generation, ofPepper), wrapped)
	if err != nil {
		return nil, err
	}
	return seal.NewHalves(s.secrets, pepper, e.ID, string(name), generation), nil
}

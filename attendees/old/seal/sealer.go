package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// ErrNoOfficer says that there is nobody to seal to.
var ErrNoOfficer = errors.New("there is no officer's key: make one with `lethe keys new --out officer.key` and set LETHE_OFFICER_KEY to its public half")

// Sealer seals records. It may be used by several goroutines at once.
type Sealer struct {
	officers *Officers
	keys     *Keyring
}

// NewSealer seals to the officers, and to each record's own person under the newest
// secret.
func NewSealer(officers *Officers, keys *Keyring) (*Sealer, error) {
	if officers == nil || len(officers.keys) == 0 {
		return nil, ErrNoOfficer
	}
	return &Sealer{officers: officers, keys: keys}, nil
}

// Officers are those who are sealed to.
func (s *Sealer) Officers() *Officers { return s.officers }

// Sealed is a record in its two halves.
type Sealed struct {
	Officers []byte // an age file to all officers
	Person   []byte // nil where there is no address
	Key      string // id of the secret under which the person's half stands
}

// Seal seals a record, with a person's half for the address; for "" there is none.
func (s *Sealer) Seal(r Record, address string) (Sealed, error) {
	text, err := r.text()
	if err != nil {
		return Sealed{}, err
	}
	out := bytes.NewBuffer(make([]byte, 0, len(text)+ageOverhead*len(s.officers.keys)+ageOverhead))
	w, err := age.Encrypt(out, s.officers.recipients()...)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	if _, err := w.Write(text); err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	sealed := Sealed{Officers: out.Bytes(), Key: s.keys.Newest()}
	if address = Normalise(address); address != "" {
		salt := make([]byte, saltSize)
		rand.Read(salt) //nolint:errcheck // it never fails (crypto/rand)
		box, nonce := personBox(s.keys.keys[0].secret, salt, r.Event, address)
		sealed.Person = box.Seal(salt, nonce, text, frame(r.Event, r.Attendee, r.Part))
	}
	return sealed, nil
}

const (
	// ageOverhead is about what age adds to a text for each of its readers, in bytes.
	ageOverhead = 200
	// saltSize is in bytes: each record has a salt of its own, so that two records of
	// one person have nothing in common.
	saltSize = 16
)

// personBox is the lock of a person's half. Its key is used once, so the nonce may
// come from the same place.
func personBox(secret, salt []byte, event, address string) (box interface {
	Seal(dst, nonce, plaintext, additional []byte) []byte
	Open(dst, nonce, sealed, additional []byte) ([]byte, error)
}, nonce []byte) {
	const size = chacha20poly1305.KeySize + chacha20poly1305.NonceSizeX
	both, err := hkdf.Key(sha256.New, secret, salt, "lethe person half"+string(frame(event, address)), size)
	if err != nil {
		panic(err) // the size is far below what HKDF can give
	}
	box, err = chacha20poly1305.NewX(both[:chacha20poly1305.KeySize])
	if err != nil {
		panic(err) // the key has its size
	}
	return box, both[chacha20poly1305.KeySize:]
}

// Open opens the officers' half of the record that was asked for.
func (o Officer) Open(half []byte, event, attendee, part string) (Record, error) {
	r, err := o.OpenAny(half)
	if err != nil {
		return Record{}, err
	}
	if !r.is(event, attendee, part) {
		return Record{}, ErrMoved
	}
	return r, nil
}

// OpenAny opens an officers' half wherever it was found.
func (o Officer) OpenAny(half []byte) (Record, error) {
	r, err := age.Decrypt(bytes.NewReader(half), o.identity)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return Record{}, ErrKey
		}
		return Record{}, ErrDamaged
	}
	text, err := io.ReadAll(io.LimitReader(r, maxRecord))
	if err != nil {
		return Record{}, ErrDamaged
	}
	return parseRecord(text)
}

// OpenPerson opens a person's half with the address that she has proved to be hers.
// key is the id of the secret under which it stands. It gives ErrKey for another
// address, another record and a damaged half alike: they cannot be told apart.
func (k *Keyring) OpenPerson(half []byte, key, event, attendee, part, address string) (Record, error) {
	if address = Normalise(address); address == "" || len(half) < saltSize || len(half) > maxRecord {
		return Record{}, ErrKey // a half that was dropped is empty
	}
	secret, ok := k.secret(key)
	if !ok {
		return Record{}, fmt.Errorf("open a sealed record: the secret %s is not here", key)
	}
	box, nonce := personBox(secret, half[:saltSize], event, address)
	text, err := box.Open(nil, nonce, half[saltSize:], frame(event, attendee, part))
	if err != nil {
		return Record{}, ErrKey
	}
	r, err := parseRecord(text)
	if err != nil {
		return Record{}, err
	}
	if !r.is(event, attendee, part) {
		return Record{}, ErrMoved
	}
	return r, nil
}

// frame joins parts, each behind its length so that none can reach into the next.
func frame(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

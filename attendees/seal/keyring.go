package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
)

// SecretSize is the length of a secret in bytes.
const SecretSize = 32

// ErrSecret says that a secret cannot be used, and not a letter of it.
var ErrSecret = errors.New("a secret is 32 random bytes in base64: make one with `openssl rand -base64 32`")

// MissingSecretError says that something was sealed or hashed under a secret that is not
// here.
type MissingSecretError struct{ ID string }

func (e *MissingSecretError) Error() string {
	return fmt.Sprintf("secret %s is missing: append it to LETHE_SECRET", e.ID)
}

// Keyring is LETHE_SECRET: one secret, or several, newest first. The newest writes; the
// older ones still find and open. It may be used by several goroutines.
type Keyring struct{ secrets []*secret }

type secret struct {
	id    string // 8 hexadecimal digits
	short [4]byte
	value []byte
	// Subkeys, one per use, derived once.
	person, mac []byte
	index       *sync.Pool
	wrap, text  cipher.AEAD
}

// NewKeyring makes a keyring of secrets in base64, newest first, separated by commas. Its
// errors say which of them is unusable, never what it is.
func NewKeyring(secrets string) (*Keyring, error) {
	k := &Keyring{}
	for i, text := range strings.Split(secrets, ",") {
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(value) != SecretSize {
			return nil, fmt.Errorf("secret %d: %w", i+1, ErrSecret)
		}
		s := &secret{value: value, person: derive(value, "person"), mac: derive(value, "wrapping mac")}
		index := derive(value, "index")
		s.index = &sync.Pool{New: func() any { return hmac.New(sha256.New, index) }}
		copy(s.short[:], keyed(value, part(nil, "lethe key id")))
		s.id, s.wrap, s.text = hex.EncodeToString(s.short[:]), gcm(derive(value, "wrapping")), gcm(derive(value, "text"))
		k.secrets = append(k.secrets, s)
	}
	return k, nil
}

func derive(value []byte, use string) []byte {
	subkey, err := hkdf.Key(sha256.New, value, nil, "lethe "+use, SecretSize)
	if err != nil {
		panic(err) // the size is far below what HKDF can give
	}
	return subkey
}

func keyed(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// Newest is the id of the secret that writes.
func (k *Keyring) Newest() string { return k.secrets[0].id }

// IDs are the ids of all secrets, newest first.
func (k *Keyring) IDs() []string {
	var ids []string
	for _, s := range k.secrets {
		ids = append(ids, s.id)
	}
	return ids
}

// Has tells whether the secret of an id is here.
func (k *Keyring) Has(id string) bool { return k.find(id) != nil }

// Derive gives each secret's own 32 bytes for a use, newest first, so that no secret
// leaves this package.
func (k *Keyring) Derive(use string) [][]byte {
	var all [][]byte
	for _, s := range k.secrets {
		all = append(all, derive(s.value, use))
	}
	return all
}

func (k *Keyring) find(id string) *secret {
	for _, s := range k.secrets {
		if s.id == id {
			return s
		}
	}
	return nil
}

// Hashes makes keyed hashes under one secret: an event's are all made under the secret
// that was the newest when the event was first seen, so that they meet.
type Hashes struct{ macs *sync.Pool } // a keyed HMAC is reused: to key one costs as much as to use it

// Hashes are those of the secret of an id; a *MissingSecretError where it is not here.
func (k *Keyring) Hashes(id string) (Hashes, error) {
	if s := k.find(id); s != nil {
		return Hashes{s.index}, nil
	}
	return Hashes{}, &MissingSecretError{id}
}

// AllHashes are those of every secret, newest first, for what is known of all events.
func (k *Keyring) AllHashes() []Hashes {
	var all []Hashes
	for _, s := range k.secrets {
		all = append(all, Hashes{s.index})
	}
	return all
}

// IndexSize is in bytes: 128 bits keep apart more people than there are.
const IndexSize = 16

func (h Hashes) sum(use string, parts ...string) (sum [IndexSize]byte) {
	b := part(make([]byte, 0, 192), use)
	for _, p := range parts {
		b = part(b, p)
	}
	m := h.macs.Get().(hash.Hash)
	m.Reset()
	m.Write(b)
	copy(sum[:], m.Sum(b[:0]))
	h.macs.Put(m)
	return sum
}

// Registration gives the row key of the first holder of a registration; an event of ""
// means all events. Holder gives those of the others.
func (h Hashes) Registration(event, source, id string) [16]byte {
	return rowKey(h.sum("registration", event, source, id))
}

// Response gives the row key of a response; an event of "" means all events.
func (h Hashes) Response(event, form, id string) [16]byte {
	return rowKey(h.sum("response", event, form, id))
}

// Address gives the index of an address in an event; two events' of one address look
// unrelated. Empty without an address: people without one are not one person.
func (h Hashes) Address(event, address string) []byte {
	if address = Normalise(address); address == "" {
		return []byte{}
	}
	sum := h.sum("address", event, address)
	return sum[:]
}

// Name gives the hash of a folded name in an event; empty without a name.
func (h Hashes) Name(event, name string) []byte {
	if name = FoldName(name); name == "" {
		return []byte{}
	}
	sum := h.sum("name", event, name)
	return sum[:]
}

// rowKey gives a hash the version and variant bits of a UUID of version 8 (RFC 9562
// sec. 5.8), and clears its last byte for the holder's number.
func rowKey(sum [16]byte) [16]byte {
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	sum[15] = 0
	return sum
}

// MaxHolder is the highest number of a registration's holder.
const MaxHolder = 255

// Holder is the row key of a registration's holder of a number, from 0 to MaxHolder.
func Holder(registration [16]byte, number int) [16]byte {
	registration[15] = byte(number)
	return registration
}

// HolderOf takes a row key apart.
func HolderOf(key [16]byte) (registration [16]byte, number int) {
	number = int(key[15])
	key[15] = 0
	return key, number
}

// Wrap seals a key for the server itself, under the newest secret.
func (k *Keyring) Wrap(p Place, plain []byte) []byte {
	s := k.secrets[0]
	return sealShort(s, s.wrap, p, plain)
}

// Unwrap opens what Wrap sealed. ErrKey where it was changed or moved; a
// *MissingSecretError where its secret is not here.
func (k *Keyring) Unwrap(p Place, wrapped []byte) ([]byte, error) {
	return k.openShort(p, wrapped, func(s *secret) cipher.AEAD { return s.wrap })
}

// SealText seals words of staff or of a request, under the newest secret.
func (k *Keyring) SealText(p Place, plain []byte) []byte {
	s := k.secrets[0]
	return sealShort(s, s.text, p, pad(nil, plain))
}

// OpenText opens what SealText sealed, as Unwrap does.
func (k *Keyring) OpenText(p Place, sealed []byte) ([]byte, error) {
	text, err := k.openShort(p, sealed, func(s *secret) cipher.AEAD { return s.text })
	return unpad(text), err
}

func sealShort(s *secret, aead cipher.AEAD, p Place, plain []byte) []byte {
	nonce := random(nonceSize)
	return aead.Seal(append(slices.Clone(s.short[:]), nonce...), nonce, plain, p.append(nil))
}

func (k *Keyring) openShort(p Place, sealed []byte, aead func(*secret) cipher.AEAD) ([]byte, error) {
	const head = 4
	if len(sealed) < head+nonceSize+tagSize {
		return nil, ErrKey
	}
	s := k.find(SecretOf(sealed))
	if s == nil {
		return nil, &MissingSecretError{SecretOf(sealed)}
	}
	text, err := aead(s).Open(nil, sealed[head:head+nonceSize], sealed[head+nonceSize:], p.append(nil))
	if err != nil {
		return nil, ErrKey
	}
	return text, nil
}

// SecretOf is the id of the secret that something wrapped, a sealed text or a half needs.
func SecretOf(sealed []byte) string {
	if len(sealed) < 4 {
		return ""
	}
	return hex.EncodeToString(sealed[:4])
}

// MAC authenticates public under the newest secret: without the secret nobody can put a
// public key of their own in its place.
func (k *Keyring) MAC(p Place, public string) []byte {
	s := k.secrets[0]
	return append(append([]byte(nil), s.short[:]...), keyed(s.mac, part(p.append(nil), public))...)
}

// CheckMAC is nil where mac authenticates public.
func (k *Keyring) CheckMAC(p Place, public string, mac []byte) error {
	s := k.find(SecretOf(mac))
	if s == nil {
		return &MissingSecretError{SecretOf(mac)}
	}
	if !hmac.Equal(mac[4:], keyed(s.mac, part(p.append(nil), public))) {
		return ErrKey
	}
	return nil
}

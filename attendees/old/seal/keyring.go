package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// SecretSize is the length of a secret in bytes.
const SecretSize = 32

// ErrSecret says that a secret cannot be used, and not a letter of it.
var ErrSecret = errors.New("a secret is 32 random bytes in base64: make one with `openssl rand -base64 32`")

// Keyring is the server's secret, or several of them, newest first: the newest
// writes, the older ones still find. The zero Keyring holds none and finds nobody.
type Keyring struct{ keys []key }

type key struct {
	id     string
	secret []byte
}

// NewKeyring makes a keyring of secrets in base64, newest first, separated by
// commas. Errors say which of them is unusable, never what it is.
func NewKeyring(secrets string) (*Keyring, error) {
	k := &Keyring{}
	for i, text := range strings.Split(secrets, ",") {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(secret) != SecretSize {
			return nil, fmt.Errorf("secret %d: %w", i+1, ErrSecret)
		}
		id := mac(secret, "lethe key id")
		k.keys = append(k.keys, key{id: hex.EncodeToString(id[:4]), secret: secret})
	}
	return k, nil
}

// Newest is the id of the secret that writes.
func (k *Keyring) Newest() string { return k.keys[0].id }

// Has tells whether the secret of that id is here.
func (k *Keyring) Has(id string) bool {
	_, ok := k.secret(id)
	return ok
}

// AddressIndex hashes an address for one event with the newest secret. Two events'
// hashes of one address look unrelated. An empty address has an empty index: people
// without an address are not one person.
func (k *Keyring) AddressIndex(event, address string) []byte {
	return k.AddressIndexUnder(k.Newest(), event, address)
}

// AddressIndexUnder is AddressIndex with the secret of an id, or the newest, where that is
// not here: what was hashed with one secret never meets what was with another.
func (k *Keyring) AddressIndexUnder(id, event, address string) []byte {
	address = Normalise(address)
	if address == "" {
		return []byte{}
	}
	secret, ok := k.secret(id)
	if !ok {
		secret = k.keys[0].secret
	}
	return mac(secret, "lethe address index", event, address)[:indexSize]
}

// indexSize is in bytes: 128 bits keep apart more people than there are.
const indexSize = 16

// KeyedID hashes the source's id of a registration, and a purpose where only that was
// withdrawn, with the newest secret: a tombstone, which keeps the id out and tells
// nobody's.
func (k *Keyring) KeyedID(source, id, purpose string) (hash []byte, key string) {
	return keyedID(k.keys[0].secret, source, id, purpose), k.keys[0].id
}

// KeyedIDs are the hashes of one id under all secrets, to find what an older one wrote.
func (k *Keyring) KeyedIDs(source, id, purpose string) [][]byte {
	var all [][]byte
	for _, key := range k.keys {
		all = append(all, keyedID(key.secret, source, id, purpose))
	}
	return all
}

func keyedID(secret []byte, source, id, purpose string) []byte {
	return mac(secret, "lethe tombstone", source, id, purpose)
}

// IDs are the ids of all secrets, the newest first.
func (k *Keyring) IDs() []string {
	var ids []string
	for _, key := range k.keys {
		ids = append(ids, key.id)
	}
	return ids
}

// AddressIndexes are an address's hashes for one event under all secrets.
func (k *Keyring) AddressIndexes(event, address string) [][]byte {
	address = Normalise(address)
	if address == "" {
		return nil
	}
	var all [][]byte
	for _, key := range k.keys {
		all = append(all, mac(key.secret, "lethe address index", event, address)[:indexSize])
	}
	return all
}

// Derive gives each secret's own 32 bytes for a use, the newest first, so that no
// secret ever leaves this package.
func (k *Keyring) Derive(use string) [][]byte {
	var all [][]byte
	for _, key := range k.keys {
		seed, err := hkdf.Key(sha256.New, key.secret, nil, "lethe "+use, SecretSize)
		if err != nil {
			panic(err) // the size is far below what HKDF can give
		}
		all = append(all, seed)
	}
	return all
}

func (k *Keyring) secret(id string) ([]byte, bool) {
	for _, key := range k.keys {
		if key.id == id {
			return key.secret, true
		}
	}
	return nil, false
}

// mac is HMAC-SHA-256 over the framed parts.
func mac(secret []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(frame(parts...))
	return h.Sum(nil)
}

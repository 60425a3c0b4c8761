package seal

import (
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
	for _, key := range k.keys {
		if key.id == id {
			return true
		}
	}
	return false
}

// AddressIndex hashes an address for one event with the newest secret. Two events'
// hashes of one address look unrelated. An empty address has an empty index: people
// without an address are not one person.
func (k *Keyring) AddressIndex(event, address string) []byte {
	address = Normalise(address)
	if address == "" {
		return []byte{}
	}
	return mac(k.keys[0].secret, "lethe address index", event, address)[:indexSize]
}

// indexSize is in bytes: 128 bits keep apart more people than there are.
const indexSize = 16

// mac is HMAC-SHA-256 over the parts, each behind its length so that none can
// reach into the next.
func mac(secret []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, secret)
	for _, p := range parts {
		var size [4]byte
		size[0], size[1], size[2], size[3] = byte(len(p)>>24), byte(len(p)>>16), byte(len(p)>>8), byte(len(p))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

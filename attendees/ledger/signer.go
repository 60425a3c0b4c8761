package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Name is who signs, as notes have it, and the origin of the tree.
const Name = "lethe"

// SeedUse is the use that a secret's seed is derived for.
const SeedUse = "ledger"

// Signer signs checkpoints.
type Signer struct {
	signer note.Signer
	public string
}

// ed25519Note is the algorithm's number in a note's key.
const ed25519Note = 1

// NewSigner signs with the Ed25519 key of a seed of 32 bytes.
func NewSigner(seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("ledger: a seed has 32 bytes")
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	keyed := append([]byte{ed25519Note}, public...)
	sum := sha256.Sum256(append([]byte(Name+"\n"), keyed...))
	hash := binary.BigEndian.Uint32(sum[:])
	private := base64.StdEncoding.EncodeToString(append([]byte{ed25519Note}, seed...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", Name, hash, private))
	if err != nil {
		return nil, errors.New("ledger: the signing key cannot be made") // its words may quote the key
	}
	return &Signer{signer, fmt.Sprintf("%s+%08x+%s", Name, hash, base64.StdEncoding.EncodeToString(keyed))}, nil
}

// Key is the verifier's key, for strangers to check with.
func (s *Signer) Key() string { return s.public }

// KeyHash is the hash by which a signature names its key: the second part of what
// Signer.Key gives.
func (s *Signer) KeyHash() uint32 { return s.signer.KeyHash() }

// Verifiers knows the keys that a checkpoint may be signed with.
type Verifiers struct {
	known map[uint32]note.Verifier
	own   map[uint32]*Signer
}

// NewVerifiers takes keys as Signer.Key gives them.
func NewVerifiers(keys ...string) (*Verifiers, error) {
	known := map[uint32]note.Verifier{}
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil || v.Name() != Name {
			return nil, fmt.Errorf("this is no key of a ledger: `lethe ledger key` prints it, %s+…", Name)
		}
		known[v.KeyHash()] = v
	}
	return &Verifiers{known: known}, nil
}

// OwnVerifiers are for who holds the signing keys. Ed25519 has one signature of a key for
// each text (RFC 8032, 5.1.6), so a checkpoint is checked by signing it again: byte for
// byte, and in half the time.
func OwnVerifiers(signers ...*Signer) *Verifiers {
	own := map[uint32]*Signer{}
	for _, s := range signers {
		own[s.KeyHash()] = s
	}
	return &Verifiers{own: own}
}

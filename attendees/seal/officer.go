package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
)

// Officers are the public keys of those who open sealed records: the data-protection
// officer and a deputy, say. Each opens by itself, so that a lost key loses nothing. The
// zero Officers, and nil, have none, and nothing can be sealed to them.
type Officers struct{ keys []*age.X25519Recipient }

// ParseOfficers reads public keys, age1…, separated by commas. It says which of them
// is unusable, never more of it than that.
func ParseOfficers(keys string) (*Officers, error) {
	o := &Officers{}
	for i, text := range strings.Split(keys, ",") {
		key, err := age.ParseX25519Recipient(strings.TrimSpace(text))
		if err != nil { // its words may quote a private key that was put here by mistake
			return nil, fmt.Errorf("officer key %d is no public key: it begins with age1 and is printed by `lethe keys new`", i+1)
		}
		if slices.ContainsFunc(o.keys, func(k *age.X25519Recipient) bool { return k.String() == key.String() }) {
			return nil, fmt.Errorf("officer key %d is there twice", i+1)
		}
		o.keys = append(o.keys, key)
	}
	return o, nil
}

// IDs are short names of the keys, as sealed records keep them: the first letters of
// each public key, enough to tell one organisation's keys apart.
func (o *Officers) IDs() []string {
	var ids []string
	if o != nil {
		for _, k := range o.keys {
			ids = append(ids, shortKey(k))
		}
	}
	return ids
}

// shortKeySize is "age1" and twelve letters of five bits each.
const shortKeySize = 16

func shortKey(k *age.X25519Recipient) string { return k.String()[:shortKeySize] }

// ErrNoOfficer says that there is no officer's key to seal to.
var ErrNoOfficer = errors.New("no officer's key is set, so nothing can be blocked or restricted: make one with `lethe keys new`, and put its public half into LETHE_OFFICER_KEY")

// SealLock seals a lock's private half to all officers. who are the short names of their
// keys, sorted, separated by commas: age files do not tell.
func (o *Officers) SealLock(l *Lock) (file []byte, who string, err error) {
	if o == nil || len(o.keys) == 0 {
		return nil, "", ErrNoOfficer
	}
	file, err = encrypt(l.text(), o.recipients()...)
	return file, o.Names(), err
}

// Names are the officers' short names, sorted, separated by commas; empty without officers.
func (o *Officers) Names() string {
	ids := o.IDs()
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

func (o *Officers) recipients() []age.Recipient {
	all := make([]age.Recipient, len(o.keys))
	for i, k := range o.keys {
		all[i] = k
	}
	return all
}

// Officer is a private key, which opens what was sealed to its public half.
type Officer struct{ identity *age.X25519Identity }

// NewOfficer makes a key pair.
func NewOfficer() (Officer, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return Officer{}, fmt.Errorf("make an officer's key: %w", err)
	}
	return Officer{identity}, nil
}

// OpenLock opens the private half of an event's lock of that generation.
func (o Officer) OpenLock(file []byte, event string, generation []byte) (*Lock, error) {
	text, err := decrypt(file, o.identity)
	if err != nil {
		return nil, err
	}
	return parseLock(text, event, generation)
}

// Public is the half that seals: what LETHE_OFFICER_KEY wants.
func (o Officer) Public() string { return o.identity.Recipient().String() }

// ID is the key's short name, as Officers.IDs gives it.
func (o Officer) ID() string { return shortKey(o.identity.Recipient()) }

// File is the private half as an identity file, which `age -d -i` reads too. It opens
// everything that is sealed to the officer.
func (o Officer) File(made time.Time) string {
	return fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", made.UTC().Format(time.RFC3339), o.Public(), o.identity)
}

// maxKeyFile bounds an identity file in bytes: it holds one key and two comments.
const maxKeyFile = 64 << 10

// ReadOfficer reads an identity file with one private key.
func ReadOfficer(r io.Reader) (Officer, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return Officer{}, fmt.Errorf("read an officer's key: %w", err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err == nil && len(identities) == 1 {
		if identity, ok := identities[0].(*age.X25519Identity); ok {
			return Officer{identity}, nil
		}
	}
	return Officer{}, errNoKeyFile // the words of err may quote the key
}

var errNoKeyFile = errors.New("this is no officer's key: it wants the file that `lethe keys new` wrote, with one line AGE-SECRET-KEY-1…")

package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// LockName is the name of the key that a lock is.
const LockName = "lock"

// Lock is an event's age key pair. The server keeps its public half alone.
type Lock struct {
	event      string
	generation []byte
	identity   *age.X25519Identity
}

// NewLock makes an event's lock.
func NewLock(event string, generation []byte) (*Lock, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make the lock of event %s: %w", event, err)
	}
	return &Lock{event, generation, identity}, nil
}

// Public is the half that seals: age1…
func (l *Lock) Public() string { return l.identity.Recipient().String() }

// Generation is the lock's.
func (l *Lock) Generation() []byte { return l.generation }

// text is the private half as an identity file of age, which names its event and
// generation.
func (l *Lock) text() []byte {
	return fmt.Appendf(nil, "# lethe lock of event %q, generation %x\n%s\n", l.event, l.generation, l.identity)
}

// SealTo seals a text, JSON, to a lock's public half, for one place.
func SealTo(public string, p Place, text []byte) ([]byte, error) {
	return sealAge(public, pad(p.append(nil), text))
}

// SealKeyTo seals a key to a lock's public half: the officers' copy of it.
func SealKeyTo(public string, p Place, key Key) ([]byte, error) {
	return sealAge(public, append(p.append(nil), key[:]...))
}

func sealAge(public string, text []byte) ([]byte, error) {
	recipient, err := age.ParseX25519Recipient(public)
	if err != nil {
		return nil, fmt.Errorf("seal: a lock's public half cannot be read")
	}
	return encrypt(text, recipient)
}

func encrypt(text []byte, to ...age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err == nil {
		_, err = w.Write(text)
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return b.Bytes(), nil
}

func decrypt(file []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), with)
	if err != nil {
		return nil, ErrKey
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil || len(text) > maxText {
		return nil, ErrKey
	}
	return text, nil
}

// Open opens what was sealed to the lock for one place. ErrKey where it was not sealed to
// it, ErrMoved where it was sealed for another place.
func (l *Lock) Open(p Place, file []byte) ([]byte, error) {
	text, err := l.open(p, file)
	return unpad(text), err
}

// OpenKey opens the officers' copy of a key.
func (l *Lock) OpenKey(p Place, file []byte) (key Key, err error) {
	text, err := l.open(p, file)
	if err == nil && len(text) != len(key) {
		err = ErrMoved
	}
	if err != nil {
		return key, err
	}
	return Key(text), nil
}

func (l *Lock) open(p Place, file []byte) ([]byte, error) {
	text, err := decrypt(file, l.identity)
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(text, p.append(nil))
	if !ok {
		return nil, ErrMoved
	}
	return rest, nil
}

// parseLock reads an identity file that text made, of that event and generation.
func parseLock(text []byte, event string, generation []byte) (*Lock, error) {
	lines := strings.SplitN(string(text), "\n", 3)
	l := &Lock{event: event, generation: generation}
	if len(lines) != 3 {
		return nil, ErrKey
	}
	if lines[0] != fmt.Sprintf("# lethe lock of event %q, generation %x", event, generation) {
		return nil, ErrMoved
	}
	var err error
	if l.identity, err = age.ParseX25519Identity(lines[1]); err != nil {
		return nil, ErrKey
	}
	return l, nil
}

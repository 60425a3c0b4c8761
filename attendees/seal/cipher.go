package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
)

// Key is one of an event's symmetric keys.
type Key [32]byte

// NewKey makes a key at random.
func NewKey() Key { return Key(random(len(Key{}))) }

// NewGeneration makes a generation at random.
func NewGeneration() []byte { return random(GenerationSize) }

func random(size int) []byte {
	b := make([]byte, size)
	rand.Read(b) //nolint:errcheck // it never fails (crypto/rand)
	return b
}

// Cipher seals what one key of one event opens. It may be used by several goroutines.
type Cipher struct {
	aead   cipher.AEAD
	place  []byte // the first half of each frame: event, name, generation
	fields Place
}

const (
	nonceSize = 12
	tagSize   = 16
)

// NewCipher makes the cipher of an event's key.
func NewCipher(key Key, event, name string, generation []byte) *Cipher {
	c := places(event, name, generation)
	c.aead = gcm(key[:])
	return c
}

func places(event, name string, generation []byte) *Cipher {
	place := part(part(part(nil, event), name), generation)
	return &Cipher{place: place, fields: Place{Event: event, Key: name, Generation: generation}}
}

// gcm is AES-256-GCM under a key of 32 bytes.
func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the block size that GCM wants
	}
	return aead
}

// Generation is that of the cipher's key.
func (c *Cipher) Generation() []byte { return c.fields.Generation }

// Place is where something is sealed under the cipher's key.
func (c *Cipher) Place(subject [16]byte, number int, origin string) Place {
	p := c.fields
	p.Subject, p.Number, p.Origin = subject, number, origin
	return p
}

// Is tells whether the cipher's key is of that generation.
func (c *Cipher) Is(generation []byte) bool {
	return c != nil && bytes.Equal(c.fields.Generation, generation)
}

// Seal appends a text, JSON, sealed for one place, to b.
func (c *Cipher) Seal(b []byte, subject [16]byte, number int, origin string, text []byte) []byte {
	if len(text) > maxText {
		panic("seal: a text is larger than policies allow")
	}
	size := padded(len(text))
	at := len(b)
	b = append(b, make([]byte, nonceSize)...)
	rand.Read(b[at:]) //nolint:errcheck // it never fails (crypto/rand)
	b = pad(b, text)
	var room [128]byte
	extra := appendSubject(append(room[:0], c.place...), subject, number, origin)
	plain := b[at+nonceSize : at+nonceSize+size]
	return c.aead.Seal(b[:at+nonceSize], b[at:at+nonceSize], plain, extra)
}

// Open appends the text of what was sealed for one place to b; ErrKey where it was not.
func (c *Cipher) Open(b []byte, subject [16]byte, number int, origin string, sealed []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, ErrKey
	}
	var room [128]byte
	extra := appendSubject(append(room[:0], c.place...), subject, number, origin)
	text, err := c.aead.Open(b, sealed[:nonceSize], sealed[nonceSize:], extra)
	if err != nil {
		return nil, ErrKey
	}
	return unpad(text), nil
}

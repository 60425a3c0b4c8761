package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// Halves seal records once more, for the person of an address: what they seal opens with
// the pepper, LETHE_SECRET and exactly that address. They may be used by several goroutines.
type Halves struct {
	keys   *Keyring
	pepper []byte
	cipher *Cipher // for its places
}

// PepperSize is the length of a pepper in bytes.
const PepperSize = 32

// NewPepper makes a pepper at random.
func NewPepper() []byte { return random(PepperSize) }

// NewHalves are the halves of what is sealed under an event's key.
func NewHalves(keys *Keyring, pepper []byte, event, name string, generation []byte) *Halves {
	return &Halves{keys, pepper, places(event, name, generation)}
}

func (h *Halves) box(s *secret, address string, subject [16]byte, number int) cipher.AEAD {
	info := append([]byte(nil), h.cipher.place...)
	info = part(info, address)
	info = part(info, subject[:])
	info = part(info, binary.BigEndian.AppendUint32(nil, uint32(number)))
	key, err := hkdf.Key(sha256.New, s.person, h.pepper, string(info), SecretSize)
	if err != nil {
		panic(err) // the size is far below what HKDF can give
	}
	return gcm(key)
}

// Seal seals a record's text for the person of an address; nil without an address.
func (h *Halves) Seal(address string, subject [16]byte, number int, kind string, text []byte) []byte {
	if address = Normalise(address); address == "" {
		return nil
	}
	s := h.keys.secrets[0]
	return sealShort(s, h.box(s, address, subject, number), h.cipher.Place(subject, number, kind), pad(nil, text))
}

// Open opens a half with an address; ErrKey where it is not that person's.
func (h *Halves) Open(address string, subject [16]byte, number int, kind string, half []byte) ([]byte, error) {
	if address = Normalise(address); address == "" {
		return nil, ErrKey
	}
	text, err := h.keys.openShort(h.cipher.Place(subject, number, kind), half, func(s *secret) cipher.AEAD { return h.box(s, address, subject, number) })
	return unpad(text), err
}

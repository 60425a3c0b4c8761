package seal

import (
	"encoding/binary"
	"errors"
)

// Why something sealed does not open.
var (
	// ErrKey says that it was not sealed for this key, or this address, or that it is
	// damaged: authenticated encryption does not tell which.
	ErrKey = errors.New("it does not open with this key")
	// ErrMoved says that it was sealed for another place.
	ErrMoved = errors.New("it was sealed for another record")
)

// Place is where something sealed belongs. It opens in no other place.
type Place struct {
	Event      string   // the event's id at its source
	Key        string   // the key's name
	Generation []byte   // the key's, GenerationSize bytes
	Subject    [16]byte // key of the attendee or response; zero for a key itself
	Number     int
	Origin     string // a layer's origin or a record's kind
}

// GenerationSize is the length of a key's generation in bytes.
const GenerationSize = 8

func (p Place) append(b []byte) []byte {
	b = part(b, p.Event)
	b = part(b, p.Key)
	b = part(b, p.Generation)
	return appendSubject(b, p.Subject, p.Number, p.Origin)
}

// appendSubject appends the second half of a Place's frame.
func appendSubject(b []byte, subject [16]byte, number int, origin string) []byte {
	if subject == ([16]byte{}) {
		b = part(b, "")
	} else {
		b = part(b, subject[:])
	}
	b = binary.BigEndian.AppendUint32(b, 4)
	b = binary.BigEndian.AppendUint32(b, uint32(number))
	return part(b, origin)
}

// part appends one part of a frame.
func part[T ~string | ~[]byte](b []byte, p T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
}

const (
	// padLeast is the size in bytes that every sealed text has at least: most layers.
	padLeast = 256
	// maxText bounds a sealed text in bytes: fields are bounded long before.
	maxText = 1 << 22
)

// padded is how long a text is with its spaces: what a cipher text's length shows.
func padded(n int) int {
	size := padLeast
	for size < n {
		size *= 2
	}
	return size
}

// pad appends a text with the spaces that JSON allows behind it.
func pad(b, text []byte) []byte {
	b = append(b, text...)
	for range padded(len(text)) - len(text) {
		b = append(b, ' ')
	}
	return b
}

// unpad cuts the spaces off.
func unpad(text []byte) []byte {
	for len(text) > 0 && text[len(text)-1] == ' ' {
		text = text[:len(text)-1]
	}
	return text
}

package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Record is what is sealed: one part of what is held of one registration. Its ids
// stand inside what is sealed, so that no sealed half can be moved to another record
// unnoticed.
type Record struct {
	Event    string          `json:"event"`    // the source's id
	Attendee string          `json:"attendee"` // the source's id
	Part     string          `json:"part"`     // registration, response:…, or held: what a hold keeps
	Fields   json.RawMessage `json:"fields"`   // an object
}

// Why something sealed does not open.
var (
	// ErrKey says that it was not sealed for this key, or this address.
	ErrKey = errors.New("it was not sealed for this key")
	// ErrDamaged says that it is not as it was sealed.
	ErrDamaged = errors.New("it is damaged")
	// ErrMoved says that it is somebody else's, or another event's.
	ErrMoved = errors.New("it was sealed for another record")
)

const (
	// padTo hides how long a name or an address is: sizes are multiples of it.
	padTo = 128
	// maxRecord bounds a record in bytes: fields are bounded long before.
	maxRecord = 1 << 20
)

// text is the record as it is sealed: one line of JSON, which a person can read,
// padded with the spaces that JSON allows.
func (r Record) text() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, errors.New("seal: a record's fields are no JSON") // its words would quote them
	}
	line := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(line) >= maxRecord {
		return nil, fmt.Errorf("seal: a record is larger than %d bytes", maxRecord)
	}
	pad := padTo - (len(line)+1)%padTo
	line = append(line, bytes.Repeat([]byte(" "), pad%padTo)...)
	return append(line, '\n'), nil
}

func parseRecord(text []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return Record{}, ErrDamaged
	}
	return r, nil
}

// is tells whether it is the record that was asked for.
func (r Record) is(event, attendee, part string) bool {
	return r.Event == event && r.Attendee == attendee && r.Part == part
}

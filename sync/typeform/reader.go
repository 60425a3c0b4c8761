package typeform

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// reader walks through a JSON text once, without building what nobody asked for. A
// value of an unexpected kind is skipped and reads as nothing: one odd item must not
// stop a page. Only what is not JSON at all stops it, and is kept as err.
type reader struct {
	dec *jsontext.Decoder
	err error
}

func newReader(body []byte) *reader {
	// From a bytes.Buffer the decoder reads in place: the raw values that it gives stay
	// valid as long as body does.
	return &reader{dec: jsontext.NewDecoder(bytes.NewBuffer(body), lenient()...)}
}

// reset begins another text.
func (r *reader) reset(body []byte) {
	r.err = nil
	r.dec.Reset(bytes.NewBuffer(body), lenient()...)
}

func lenient() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// kind is that of the next value; 0 at an error.
func (r *reader) kind() jsontext.Kind {
	if r.err != nil {
		return 0
	}
	return r.dec.PeekKind()
}

// raw takes the next value as it stands.
func (r *reader) raw() jsontext.Value {
	if r.err != nil {
		return nil
	}
	v, err := r.dec.ReadValue()
	r.fail(err)
	return v
}

// skip leaves out the next value.
func (r *reader) skip() {
	if r.err == nil {
		r.fail(r.dec.SkipValue())
	}
}

// token takes a brace or a bracket.
func (r *reader) token() {
	if r.err == nil {
		_, err := r.dec.ReadToken()
		r.fail(err)
	}
}

// fail keeps the first error, as a place: its own text may quote the body.
func (r *reader) fail(err error) {
	if err == nil || r.err != nil {
		return
	}
	at := r.dec.InputOffset()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = syntax.ByteOffset
	}
	r.err = fmt.Errorf("not JSON from byte %d on: %w", at, ErrReply)
}

// members yields the names of an object's members. The loop's body takes or skips each
// value, and does not break off.
func (r *reader) members(yield func(name []byte) bool) {
	if r.kind() != jsontext.KindBeginObject {
		r.skip()
		return
	}
	for r.token(); r.kind() == jsontext.KindString; {
		if !yield(unquoted(r.raw())) {
			return
		}
	}
	r.token()
}

// elements yields once for each element of an array; the same holds.
func (r *reader) elements(yield func() bool) {
	if r.kind() != jsontext.KindBeginArray {
		r.skip()
		return
	}
	for r.token(); r.kind() != jsontext.KindEndArray && r.err == nil; {
		if !yield() {
			return
		}
	}
	r.token()
}

// scalar takes the next value as text.
func (r *reader) scalar() string {
	s, _ := scalar(r.raw())
	return s
}

// scalar gives a string's text, and numbers, true and false as they are written. null
// is empty; false tells of what is none of these.
func scalar(v jsontext.Value) (string, bool) {
	switch v.Kind() {
	case jsontext.KindString:
		return string(unquoted(v)), true
	case jsontext.KindNumber, jsontext.KindTrue, jsontext.KindFalse:
		return string(v), true
	case jsontext.KindNull:
		return "", true
	}
	return "", false
}

// unquoted gives a string's text, in place where nothing in it needs mending. NUL goes:
// no database takes it, and one such text would turn away a whole batch.
func unquoted(v jsontext.Value) []byte {
	if len(v) < 2 || v[0] != '"' {
		return nil
	}
	if bytes.IndexByte(v, '\\') < 0 && utf8.Valid(v) {
		return v[1 : len(v)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, v) // the error tells of broken UTF-8, which is mended
	return bytes.ReplaceAll(text, []byte{0}, nil)
}

package export

import (
	"io"
	"time"
	"unicode/utf8"

	"lethe/attendees/roster"
)

// jsonSheet is a list as one object with event, purpose, exported_at and attendees, an array
// of objects whose keys are the CSV's columns. Forums and answers are arrays, what is not
// known is null. It is written as it comes: an error leaves it cut off.
type jsonSheet struct {
	gathering
	some bool
}

func newJSON(w io.Writer, h Header) (sheet, error) {
	b := append(make([]byte, 0, 2*flushAt), `{"event":`...)
	b = appendJSON(b, []byte(h.Event))
	b = append(b, `,"purpose":`...)
	b = appendJSON(b, []byte(h.Purpose))
	b = append(b, `,"exported_at":`...)
	b = appendJSON(b, h.At.UTC().AppendFormat(nil, time.RFC3339))
	b = append(b, `,"attendees":[`...)
	return &jsonSheet{gathering: gathering{Header: h, w: w, b: b}}, nil
}

func (s *jsonSheet) person(v roster.View) error {
	b := s.b
	if s.some {
		b = append(b, ',')
	}
	s.some = true
	b = append(b, "\n{"...)
	for i := range s.Columns {
		c := &s.Columns[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, []byte(c.Name)), ':')
		if c.kind == texts {
			b = append(b, '[')
			from := len(b)
			for value := range v.Values(c.purpose, c.field) {
				if len(b) > from {
					b = append(b, ',')
				}
				b = appendJSON(b, value)
			}
			b = append(b, ']')
			continue
		}
		var is bool
		switch s.value, is = c.append(s.value[:0], &v); {
		case !is:
			b = append(b, "null"...)
		case c.kind == boolean:
			b = append(b, s.value...)
		default:
			b = appendJSON(b, s.value)
		}
	}
	s.b = append(b, '}')
	return s.flush(flushAt)
}

func (s *jsonSheet) end() error {
	s.b = append(s.b, "\n]}\n"...)
	return s.flush(0)
}

// appendJSON appends a string as RFC 8259 has it.
func appendJSON(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for len(s) > 0 {
		c := s[0]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRune(s)
			b = utf8.AppendRune(b, r) // what is not UTF-8 becomes U+FFFD
			s = s[size:]
			continue
		}
		s = s[1:]
	}
	return append(b, '"')
}

package export

import (
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"
)

// JSON writes a list as one object with event, purpose, exported_at and attendees,
// an array of objects whose keys are the CSV's columns. Forums are an array, what is
// not known is null. It is written as it comes: an error leaves it cut off. It
// returns how many people it wrote.
func JSON(w io.Writer, h Header, rows iter.Seq2[*Row, error]) (n int, err error) {
	columns := Columns(h.Purpose)
	b := append(make([]byte, 0, 2*flushAt), `{"event":`...)
	b = appendJSON(b, []byte(h.Event))
	b = append(b, `,"purpose":`...)
	b = appendJSON(b, []byte(h.Purpose))
	b = append(b, `,"exported_at":`...)
	b = appendJSON(b, h.At.UTC().AppendFormat(nil, time.RFC3339))
	b = append(b, `,"attendees":[`...)
	var value []byte
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		if n > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{"...)
		for i, column := range columns {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = append(b, column...)
			b = append(b, `":`...)
			if column == "forums" {
				b = appendForums(b, row)
				continue
			}
			var k kind
			switch value, k = cell(value[:0], row, column); k {
			case text:
				b = appendJSON(b, value)
			case literal:
				b = append(b, value...)
			case nothing:
				b = append(b, "null"...)
			}
		}
		b = append(b, '}')
		n++
		if len(b) >= flushAt {
			if _, err := w.Write(b); err != nil {
				return n, fmt.Errorf("write the list: %w", err)
			}
			b = b[:0]
		}
	}
	b = append(b, "\n]}\n"...)
	if _, err := w.Write(b); err != nil {
		return n, fmt.Errorf("write the list: %w", err)
	}
	return n, nil
}

func appendForums(b []byte, r *Row) []byte {
	b = append(b, '[')
	for i, f := range r.Forums {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, []byte(f.Reveal()))
	}
	return append(b, ']')
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

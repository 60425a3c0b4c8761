package export

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lethe/attendees/roster"
)

// flushAt is how much is gathered before it is written: few system calls, and
// memory that does not grow with the list.
const flushAt = 64 << 10

// gathering gathers what is written into pieces.
type gathering struct {
	Header
	w     io.Writer
	b     []byte
	value []byte // room for one
}

func (g *gathering) flush(from int) error {
	if len(g.b) < from {
		return nil
	}
	_, err := g.w.Write(g.b)
	if g.b = g.b[:0]; err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}

// csvSheet is a list as UTF-8 CSV by RFC 4180: a header row, CRLF at line ends, and
// quotes where a cell needs them. A cell that a spreadsheet would take for a formula
// gets an apostrophe in front, and so does what follows a semicolon in it (OWASP,
// "CSV Injection").
type csvSheet struct{ gathering }

func newCSV(w io.Writer, h Header) (sheet, error) {
	s := &csvSheet{gathering{Header: h, w: w, b: make([]byte, 0, 2*flushAt)}}
	for i, c := range h.Columns {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		s.b = append(s.b, c.Name...)
	}
	s.b = append(s.b, "\r\n"...)
	return s, nil
}

func (s *csvSheet) person(v roster.View) error {
	for i := range s.Columns {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		from := len(s.b)
		s.b, _ = s.Columns[i].append(s.b, &v)
		if value := s.b[from:]; formula(value) || slices.ContainsFunc(value, special) {
			s.value = append(s.value[:0], value...)
			s.b = appendCSV(s.b[:from], s.value)
		}
	}
	s.b = append(s.b, "\r\n"...)
	return s.flush(flushAt)
}

func (s *csvSheet) end() error { return s.flush(0) }

// special tells of a character that needs quotes, or a look: where the decimal sign is a comma
// a spreadsheet takes ; for the end of a cell.
func special(c byte) bool {
	return c <= ';' && (c == '"' || c == ',' || c == ';' || c == '\r' || c == '\n')
}

// appendCSV appends a cell that is a formula, or has something special.
func appendCSV(b, value []byte) []byte {
	from := len(b)
	b = append(b, '"')
	quote := formula(value)
	if quote {
		b = append(b, '\'')
	}
	for i, c := range value {
		quote = quote || c != ';' && special(c)
		if c == '"' {
			b = append(b, '"')
		}
		if b = append(b, c); c == ';' && formula(value[i+1:]) {
			b, quote = append(b, '\''), true
		}
	}
	if !quote { // semicolons that do no harm
		return append(b[:from], value...)
	}
	return append(b, '"')
}

// Harmless is a cell with an apostrophe in front where a spreadsheet would take it for
// a formula, for lists that others write.
func Harmless(cell string) string {
	parts := strings.Split(cell, ";")
	for i, part := range parts {
		if formula([]byte(part)) {
			parts[i] = "'" + part
		}
	}
	return strings.Join(parts, ";")
}

// formula tells whether a spreadsheet would take the cell for one: by its first
// character, in full width too, behind white space too, which some skip.
func formula(value []byte) bool {
	for len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if len(value) == 0 {
		return false
	}
	switch value[0] {
	case '=', '+', '-', '@', '\t', '\r', '\n', '|', '%':
		return true
	case 0xef: // U+FF0B +, U+FF0D -, U+FF1D =, U+FF20 @
		const size = 3 // of each, as UTF-8
		return slices.Contains([]string{"＋", "－", "＝", "＠"}, string(value[:min(size, len(value))]))
	}
	return false
}

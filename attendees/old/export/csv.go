package export

import (
	"fmt"
	"io"
	"iter"
	"strings"
)

// flushAt is how much is gathered before it is written: few system calls, and
// memory that does not grow with the list.
const flushAt = 64 << 10

// CSV writes a list as UTF-8 CSV by RFC 4180: a header row, CRLF at line ends, and
// quotes where a cell needs them. A cell that a spreadsheet would take for a formula
// gets an apostrophe in front, and so does what stands behind a semicolon in it (OWASP,
// "CSV Injection"). It returns how many people it wrote.
func CSV(w io.Writer, h Header, rows iter.Seq2[*Row, error]) (n int, err error) {
	columns := Columns(h.Purpose)
	b := append(make([]byte, 0, 2*flushAt), strings.Join(columns, ",")...)
	b = append(b, "\r\n"...)
	var value []byte
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		for i, column := range columns {
			if i > 0 {
				b = append(b, ',')
			}
			value, _ = cell(value[:0], row, column)
			b = appendCSV(b, value)
		}
		b = append(b, "\r\n"...)
		n++
		if len(b) >= flushAt {
			if _, err := w.Write(b); err != nil {
				return n, fmt.Errorf("write the list: %w", err)
			}
			b = b[:0]
		}
	}
	if _, err := w.Write(b); err != nil {
		return n, fmt.Errorf("write the list: %w", err)
	}
	return n, nil
}

// appendCSV appends one cell.
func appendCSV(b, value []byte) []byte {
	quote := formula(value)
	mark := quote
	for i, c := range value {
		// Where the decimal sign is a comma a spreadsheet takes ; for the end of a cell.
		if c == '"' || c == ',' || c == '\n' || c == '\r' || c == ';' && formula(value[i+1:]) {
			quote = true
			break
		}
	}
	if !quote {
		return append(b, value...)
	}
	b = append(b, '"')
	if mark {
		b = append(b, '\'')
	}
	for i, c := range value {
		if c == '"' {
			b = append(b, '"')
		}
		if b = append(b, c); c == ';' && formula(value[i+1:]) {
			b = append(b, '\'')
		}
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
		for _, wide := range []string{"＋", "－", "＝", "＠"} {
			if strings.HasPrefix(string(value[:min(len(value), len(wide))]), wide) {
				return true
			}
		}
	}
	return false
}

package export

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"lethe/attendees/roster"
)

// Limits of Excel's own.
const (
	maxPeople = 1<<20 - 1 // of a sheet, without its heading
	maxCell   = 32767     // letters, as UTF-16 counts them
	// cutMark ends a text of which a cell does not hold all.
	cutMark = " [cut off]"
)

// columnWidths are in characters, wide enough for most; answers have defaultWidth.
var columnWidths = map[string]int{
	"attendee_id": 16, "name": 28, "email": 34, "ticket": 18, "status": 12, "agreement_version": 18, "agreed_at": 20,
	"attended": 10, "consented_at": 20, "consented_version": 18, "affiliation": 32, "forums": 40,
}

const defaultWidth = 30

// xlsxSheet is a list as an Excel workbook: a sheet with the people, its heading frozen
// and with filters, and one that says which list it is and when it must be gone. Text
// is typed as text, whatever it looks like; times are dates, in UTC; characters that
// XML cannot hold become U+FFFD. A text that is too long for a cell ends with a mark, and
// the second sheet says how many do.
//
// It is written as it comes. The libraries for workbooks keep rows in the folder for
// temporary files, readable, once there are many.
type xlsxSheet struct {
	gathering
	zip    *zip.Writer
	people int
	cut    int // cells that do not hold all of their text
}

// Styles, by their place in styles.xml.
const (
	textStyle   = 1 // stays text when somebody edits it
	momentStyle = 2
	boldStyle   = 3
)

func newXLSX(w io.Writer, h Header) (sheet, error) {
	s := &xlsxSheet{gathering: gathering{Header: h, b: make([]byte, 0, 2*flushAt)}, zip: zip.NewWriter(w)}
	s.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, part := range fixedParts {
		if err := s.part(part.name, part.xml); err != nil {
			return nil, err
		}
	}
	if err := s.part("xl/worksheets/sheet1.xml", xmlHead+`<worksheet xmlns="`+mainSpace+`"><sheetViews><sheetView tabSelected="1" workbookViewId="0">`+
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>`); err != nil {
		return nil, err
	}
	for i, c := range h.Columns {
		style, width := textStyle, columnWidths[c.Name]
		switch c.kind {
		case moment:
			style = momentStyle
		case boolean:
			style = 0
		}
		if width == 0 {
			width = defaultWidth
		}
		s.b = fmt.Appendf(s.b, `<col min="%d" max="%d" width="%d" style="%d" customWidth="1"/>`, i+1, i+1, width, style)
	}
	s.b = append(s.b, `</cols><sheetData><row r="1">`...)
	for i, c := range h.Columns {
		s.text(i, 1, boldStyle, []byte(c.Name))
	}
	s.b = append(s.b, `</row>`...)
	return s, nil
}

// part begins a file of the workbook.
func (s *xlsxSheet) part(name, xml string) error {
	if s.w != nil {
		if err := s.flush(0); err != nil {
			return err
		}
	}
	w, err := s.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	if err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	s.w, s.b = w, append(s.b, xml...)
	return nil
}

func (s *xlsxSheet) person(v roster.View) error {
	if s.people++; s.people > maxPeople {
		return fmt.Errorf("a sheet of Excel holds %d people and no more: take the list as csv", maxPeople)
	}
	row := s.people + 1
	s.b = append(strconv.AppendInt(append(s.b, `<row r="`...), int64(row), 10), `">`...)
	for i := range s.Columns {
		c := &s.Columns[i]
		switch c.kind {
		case boolean:
			s.cell(i, row, 0, `b"><v>`)
			s.b = append(s.b, map[bool]string{true: "1", false: "0"}[v.Attended()]...)
			s.b = append(s.b, `</v></c>`...)
		case moment:
			if at := c.at(&v); !at.IsZero() {
				s.moment(i, row, at)
			}
		default:
			if s.value, _ = c.append(s.value[:0], &v); len(s.value) > 0 {
				s.text(i, row, textStyle, s.value)
			}
		}
	}
	s.b = append(s.b, `</row>`...)
	return s.flush(flushAt)
}

func (s *xlsxSheet) end() error {
	column, row := columnName(len(s.Columns)-1), strconv.Itoa(s.people+1)
	s.b = append(s.b, `</sheetData><autoFilter ref="A1:`+column+row+`"/></worksheet>`...)
	err := s.part("xl/workbook.xml", xmlHead+`<workbook xmlns="`+mainSpace+`" xmlns:r="`+relationSpace+`"><sheets>`+
		`<sheet name="People" sheetId="1" r:id="rId1"/><sheet name="About this list" sheetId="2" r:id="rId2"/></sheets><definedNames>`+
		`<definedName name="_xlnm._FilterDatabase" localSheetId="0" hidden="1">'People'!$A$1:$`+column+`$`+row+`</definedName></definedNames></workbook>`)
	if err != nil {
		return err
	}
	if err := s.part("xl/worksheets/sheet2.xml", xmlHead+`<worksheet xmlns="`+mainSpace+`"><cols>`+
		`<col min="1" max="1" width="30" customWidth="1"/><col min="2" max="2" width="60" customWidth="1"/></cols><sheetData>`); err != nil {
		return err
	}
	s.about()
	s.b = append(s.b, `</sheetData></worksheet>`...)
	if err := s.flush(0); err != nil {
		return err
	}
	if err := s.zip.Close(); err != nil {
		return fmt.Errorf("write the list: %w", err)
	}
	return nil
}

// about says which list it is.
func (s *xlsxSheet) about() {
	lines := []struct {
		what  string
		value any
	}{
		{"Event", s.Name}, {"Event's id", string(s.Event)}, {"Purpose", string(s.Purpose)}, {"Taken at (UTC)", s.At.UTC()}, {"Taken by", s.By},
		{"People", s.people}, {"This copy must be deleted by", s.Until.String()}, {"Times", "in UTC"},
		{"Cells that do not hold all of their text", s.cut},
		{"", "Excel allows " + strconv.Itoa(maxCell) + " letters in a cell. They end with" + cutMark + ": take the list as csv to have them whole"},
	}
	if s.cut == 0 {
		lines = lines[:len(lines)-2]
	}
	for i, line := range lines {
		s.b = fmt.Appendf(s.b, `<row r="%d">`, i+1)
		s.text(0, i+1, boldStyle, []byte(line.what))
		switch v := line.value.(type) {
		case string:
			s.text(1, i+1, textStyle, []byte(v))
		case time.Time:
			s.moment(1, i+1, v)
		case int:
			s.cell(1, i+1, 0, `n"><v>`)
			s.b = append(strconv.AppendInt(s.b, int64(v), 10), `</v></c>`...)
		}
		s.b = append(s.b, `</row>`...)
	}
}

// cell begins a cell; rest is what follows `t="`.
func (s *xlsxSheet) cell(column, row, style int, rest string) {
	s.b = append(append(s.b, `<c r="`...), columnName(column)...)
	s.b = append(strconv.AppendInt(s.b, int64(row), 10), `" s="`...)
	s.b = append(append(strconv.AppendInt(s.b, int64(style), 10), `" t="`...), rest...)
}

func (s *xlsxSheet) text(column, row, style int, value []byte) {
	s.cell(column, row, style, `inlineStr"><is><t xml:space="preserve">`)
	s.b = append(appendXML(s.b, s.fitting(value)), `</t></is></c>`...)
}

// moment writes a time as Excel counts it: days since 30 December 1899.
func (s *xlsxSheet) moment(column, row int, at time.Time) {
	s.cell(column, row, momentStyle, `n"><v>`)
	days := at.UTC().Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours() / 24
	s.b = append(strconv.AppendFloat(s.b, days, 'f', -1, 64), `</v></c>`...)
}

// fitting is a text as a cell holds it.
func (s *xlsxSheet) fitting(value []byte) []byte {
	if len(value) <= maxCell { // of letters there are no more than of bytes
		return value
	}
	units := utf16.Encode([]rune(string(value)))
	if len(units) <= maxCell {
		return value
	}
	s.cut++
	end := maxCell - len(cutMark)
	if 0xdc00 <= units[end] && units[end] < 0xe000 {
		end-- // not through the middle of a letter
	}
	return []byte(string(utf16.Decode(units[:end])) + cutMark)
}

// appendXML appends a text. Excel reads _x000D_ as an escaped letter, so that what looks like
// one has its underscore escaped.
func appendXML(b, value []byte) []byte {
	for i := 0; i < len(value); {
		c := value[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(value[i:])
			if r == 0xfffe || r == 0xffff {
				r = utf8.RuneError
			}
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		switch {
		case c == '<':
			b = append(b, "&lt;"...)
		case c == '>':
			b = append(b, "&gt;"...)
		case c == '&':
			b = append(b, "&amp;"...)
		case c == '\r':
			b = append(b, "&#13;"...)
		case c == '_' && looksEscaped(value[i:]):
			b = append(b, "_x005F_"...)
		case c >= ' ' || c == '\t' || c == '\n':
			b = append(b, c)
		default:
			b = utf8.AppendRune(b, utf8.RuneError)
		}
		i++
	}
	return b
}

func looksEscaped(value []byte) bool {
	if len(value) < len("_x005F_") || value[1] != 'x' || value[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(string(value[2:6]), 16, 16)
	return err == nil
}

// columnName is A to Z, then AA.
func columnName(i int) string {
	if i < 26 {
		return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i : i+1]
	}
	return columnName(i/26-1) + columnName(i%26)
}

const (
	xmlHead       = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	mainSpace     = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	relationSpace = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packageSpace  = "http://schemas.openxmlformats.org/package/2006/"
	contentType   = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// fixedParts are the same in every workbook (ECMA-376).
var fixedParts = []struct{ name, xml string }{
	{"[Content_Types].xml", xmlHead + `<Types xmlns="` + packageSpace + `content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="` + contentType + `sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="` + contentType + `worksheet+xml"/><Override PartName="/xl/worksheets/sheet2.xml" ContentType="` + contentType + `worksheet+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="` + contentType + `styles+xml"/></Types>`},
	{"_rels/.rels", xmlHead + `<Relationships xmlns="` + packageSpace + `relationships"><Relationship Id="rId1" Type="` + relationSpace + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
	{"xl/_rels/workbook.xml.rels", xmlHead + `<Relationships xmlns="` + packageSpace + `relationships"><Relationship Id="rId1" Type="` + relationSpace + `/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="` + relationSpace + `/worksheet" Target="worksheets/sheet2.xml"/><Relationship Id="rId3" Type="` + relationSpace + `/styles" Target="styles.xml"/></Relationships>`},
	{"xl/styles.xml", xmlHead + `<styleSheet xmlns="` + mainSpace + `"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy-mm-dd hh:mm:ss"/></numFmts>` +
		`<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>` +
		`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
		`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
		`<cellXfs count="4"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>` +
		`<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs></styleSheet>`},
}

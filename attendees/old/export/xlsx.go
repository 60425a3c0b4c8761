package export

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

const (
	peopleSheet = "People"
	aboutSheet  = "About this list"
	// maxPeople is what a sheet of Excel holds, without its heading.
	maxPeople = excelize.TotalRows - 1
	// cutMark ends a text of which a cell of Excel does not hold all.
	cutMark = " [cut off]"
	// hideEvery is after how many rows it is looked whether rows went to the disk.
	hideEvery = 1000
)

// columnWidths are in characters, wide enough for most.
var columnWidths = map[string]float64{
	"attendee_id": 16, "name": 28, "email": 34, "ticket": 18, "status": 12, "agreement_version": 18, "agreed_at": 20,
	"attended": 10, "affiliation": 32, "forums": 40,
}

// XLSX writes a list as an Excel workbook: a sheet with the people, its heading frozen
// and with filters, and one that says which list it is and when it must be gone. Text
// is typed as text, whatever it looks like; times are dates, in UTC; characters that
// XML cannot hold become U+FFFD. A text that is too long for a cell ends with a mark, and
// the second sheet says how many do. It returns how many people it wrote.
//
// Past some 30,000 people the rows wait on disk, in the folder for temporary files, in a
// file that has no name there: it is gone with the process, however that ends.
func XLSX(w io.Writer, h Header, rows iter.Seq2[*Row, error]) (n int, err error) {
	dir, err := os.MkdirTemp("", "lethe-") // 0700
	if err != nil {
		return 0, fmt.Errorf("write the list: %w", plain(err))
	}
	defer os.RemoveAll(dir)
	f := excelize.NewFile(excelize.Options{TmpDir: dir})
	defer func() { err = errors.Join(err, closed(f)) }()
	// Straight to w, without a copy of the whole in memory.
	f.SetZipWriter(func(io.Writer) excelize.ZipWriter {
		z := zip.NewWriter(w)
		z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
		return z
	})
	b := &workbook{File: f}
	if n, err = b.people(h, rows, dir); err != nil {
		return n, err
	}
	if err := b.about(h, n); err != nil {
		return n, fmt.Errorf("write the list: %w", err)
	}
	if _, err := f.WriteTo(io.Discard); err != nil {
		return n, fmt.Errorf("write the list: %w", err)
	}
	return n, nil
}

// closed closes a workbook. That its file has no name any more is no error.
func closed(f *excelize.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write the list: %w", plain(err))
	}
	return nil
}

// workbook is one workbook being written.
type workbook struct {
	*excelize.File
	cut int // cells that do not hold all of their text
}

// fitting is a text as a cell holds it, whose letters Excel counts as UTF-16 does.
func (b *workbook) fitting(value []byte) string {
	text := strings.ToValidUTF8(string(value), string(utf8.RuneError))
	if len(text) <= excelize.TotalCellChars { // of letters there are no more than of bytes
		return text
	}
	units := utf16.Encode([]rune(text))
	if len(units) <= excelize.TotalCellChars {
		return text
	}
	b.cut++
	end := excelize.TotalCellChars - len(cutMark)
	if 0xdc00 <= units[end] && units[end] < 0xe000 {
		end-- // not through the middle of a letter
	}
	return string(utf16.Decode(units[:end])) + cutMark
}

func (b *workbook) people(h Header, rows iter.Seq2[*Row, error], dir string) (n int, err error) {
	sheet, columns, err := b.heading(h)
	if err != nil {
		return 0, fmt.Errorf("write the list: %w", err)
	}
	hidden := false
	cells := make([]any, len(columns))
	var value []byte
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		if n == maxPeople {
			return n, fmt.Errorf("a sheet of Excel holds %d people and no more: take the list as csv", maxPeople)
		}
		for i, column := range columns {
			switch column {
			case "attended":
				cells[i] = row.Attended
			case "agreed_at":
				if cells[i] = nil; !row.AgreedAt.IsZero() {
					cells[i] = row.AgreedAt.UTC()
				}
			default:
				value, _ = cell(value[:0], row, column)
				if cells[i] = nil; len(value) > 0 {
					cells[i] = b.fitting(value)
				}
			}
		}
		n++
		if err := sheet.SetRow("A"+strconv.Itoa(n+1), cells); err != nil {
			return n, fmt.Errorf("write the list: %w", plain(err))
		}
		if !hidden && n%hideEvery == 0 {
			if hidden, err = hide(dir); err != nil {
				return n, err
			}
		}
	}
	last, err := excelize.CoordinatesToCellName(len(columns), n+1)
	if err != nil {
		return n, fmt.Errorf("write the list: %w", err)
	}
	if err := errors.Join(b.AutoFilter(peopleSheet, "A1:"+last, nil), sheet.Flush()); err != nil {
		return n, fmt.Errorf("write the list: %w", plain(err))
	}
	return n, nil
}

// heading begins the sheet of people.
func (b *workbook) heading(h Header) (*excelize.StreamWriter, []string, error) {
	columns := Columns(h.Purpose)
	if err := b.SetSheetName("Sheet1", peopleSheet); err != nil {
		return nil, nil, err
	}
	sheet, err := b.NewStreamWriter(peopleSheet)
	if err != nil {
		return nil, nil, err
	}
	if err := sheet.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return nil, nil, err
	}
	text, moment, bold, err := b.styles()
	if err != nil {
		return nil, nil, err
	}
	titles := make([]any, len(columns))
	for i, column := range columns {
		titles[i] = excelize.Cell{Value: column, StyleID: bold}
		style := text
		switch column {
		case "agreed_at":
			style = moment
		case "attended":
			style = 0
		}
		if err := sheet.SetColStyle(i+1, i+1, style); err != nil {
			return nil, nil, err
		}
		if err := sheet.SetColWidth(i+1, i+1, columnWidths[column]); err != nil {
			return nil, nil, err
		}
	}
	return sheet, columns, sheet.SetRow("A1", titles)
}

// styles are of text, which stays text when somebody edits it; of times; of titles.
func (b *workbook) styles() (text, moment, bold int, err error) {
	if text, err = b.NewStyle(&excelize.Style{NumFmt: 49}); err != nil { // "@"
		return 0, 0, 0, err
	}
	format := "yyyy-mm-dd hh:mm:ss"
	if moment, err = b.NewStyle(&excelize.Style{CustomNumFmt: &format}); err != nil {
		return 0, 0, 0, err
	}
	bold, err = b.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	return text, moment, bold, err
}

// about writes the sheet that says which list it is.
func (b *workbook) about(h Header, people int) error {
	if _, err := b.NewSheet(aboutSheet); err != nil {
		return err
	}
	text, moment, bold, err := b.styles()
	if err != nil {
		return err
	}
	type line struct {
		what  string
		value any
		style int
	}
	lines := []line{
		{"Event", h.Name, text},
		{"Event's id", string(h.Event), text},
		{"Purpose", string(h.Purpose), text},
		{"Taken at (UTC)", h.At.UTC(), moment},
		{"Taken by", h.By, text},
		{"People", people, 0},
		{"This copy must be deleted by", h.Until.String(), text},
		{"Times", "in UTC", text},
	}
	if b.cut > 0 {
		lines = append(lines, line{"Cells that do not hold all of their text", b.cut, 0},
			line{"", "Excel allows " + strconv.Itoa(excelize.TotalCellChars) + " letters in a cell. They end with" + cutMark + ": take the list as csv to have them whole", text})
	}
	for i, line := range lines {
		row := strconv.Itoa(i + 1)
		err := errors.Join(
			b.SetCellValue(aboutSheet, "A"+row, line.what), b.SetCellStyle(aboutSheet, "A"+row, "A"+row, bold),
			b.SetCellValue(aboutSheet, "B"+row, line.value), b.SetCellStyle(aboutSheet, "B"+row, "B"+row, line.style))
		if err != nil {
			return err
		}
	}
	return errors.Join(b.SetColWidth(aboutSheet, "A", "A", 30), b.SetColWidth(aboutSheet, "B", "B", 60))
}

// hide takes the name of the file in dir away, once there is one. Where a file that is
// open cannot be removed, it goes at the end.
func hide(dir string) (bool, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return false, fmt.Errorf("write the list: %w", plain(err))
	}
	for _, f := range files {
		_ = os.Remove(filepath.Join(dir, f.Name()))
	}
	return len(files) > 0, nil
}

package export_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
)

var header = export.Header{
	Event: "4711", Name: "Example Days", Purpose: attendees.ParticipationAgreement, At: june, By: "ada@example.org",
	Until: attendees.Date{Year: 2027, Month: time.July, Day: 20},
}

func workbook(t interface{ Fatal(...any) }, h export.Header, list ...export.Row) *excelize.File {
	var out bytes.Buffer
	if _, err := export.XLSX(&out, h, rows(list...)); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAWorkbookReadsBackToTheSameRows(t *testing.T) {
	t.Parallel()
	f := workbook(t, header, odd...)
	got, err := f.GetRows("People", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"attendee_id", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended"}}
	for _, r := range odd {
		agreed, attended := "", "0"
		if !r.AgreedAt.IsZero() {
			agreed = strconv.FormatFloat(r.AgreedAt.UTC().Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours()/24, 'f', -1, 64)
		}
		if r.Attended {
			attended = "1"
		}
		want = append(want, []string{r.ID, r.Name.Reveal(), r.Email.Reveal(), r.Ticket, r.Status, r.AgreementVersion, agreed, attended})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for cell, kind := range map[string]excelize.CellType{
		"B3": excelize.CellTypeInlineString, "H2": excelize.CellTypeBool, "A2": excelize.CellTypeInlineString,
	} {
		if got, err := f.GetCellType("People", cell); err != nil || got != kind {
			t.Errorf("%s is of type %v (%v), want %v", cell, got, err, kind)
		}
		if formula, err := f.GetCellFormula("People", cell); err != nil || formula != "" {
			t.Errorf("%s is a formula: %q (%v)", cell, formula, err)
		}
	}
	if shown, err := f.GetCellValue("People", "G2"); err != nil || shown != "2027-06-14 12:30:00" {
		t.Errorf("agreed at %q (%v), want a date, in UTC", shown, err)
	}
	panes, err := f.GetPanes("People")
	if err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("panes %+v (%v), want the heading frozen", panes, err)
	}
	filtered := false
	for _, name := range f.GetDefinedName() {
		filtered = filtered || strings.HasSuffix(name.Name, "_FilterDatabase") && name.RefersTo == "'People'!$A$1:$H$6"
	}
	if !filtered {
		t.Errorf("the filter does not span the list: %+v", f.GetDefinedName())
	}
}

func TestAWorkbookSaysWhichListItIs(t *testing.T) {
	t.Parallel()
	f := workbook(t, header, odd...)
	got, err := f.GetRows("About this list")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"Event", "Example Days"}, {"Event's id", "4711"}, {"Purpose", "participation_agreement"}, {"Taken at (UTC)", "2027-06-14 12:30:00"},
		{"Taken by", "ada@example.org"}, {"People", "5"}, {"This copy must be deleted by", "2027-07-20"}, {"Times", "in UTC"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnyNameIsHarmlessInAWorkbook(t *testing.T) {
	t.Parallel()
	clean := func(s string) string { // as XML 1.0 has it
		return strings.Map(func(r rune) rune {
			if r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r != 0xFFFE && r != 0xFFFF {
				return r
			}
			return '\uFFFD'
		}, strings.ToValidUTF8(s, "\uFFFD"))
	}
	rapid.Check(t, func(t *rapid.T) {
		name := anyText.Draw(t, "name")
		f := workbook(t, header, export.Row{ID: "1", Name: attendees.Personal(name)}, export.Row{ID: "2", Name: "last"})
		got, err := f.GetCellValue("People", "B2")
		if err != nil || got != clean(name) {
			t.Errorf("%q came back as %q (%v)", name, got, err)
		}
	})
	long := strings.Repeat("ä", 10_000)
	f := workbook(t, header, export.Row{ID: "1", Name: attendees.Personal(long)})
	if got, err := f.GetCellValue("People", "B2"); err != nil || got != long {
		t.Errorf("a name of 10,000 letters came back with %d bytes (%v)", len(got), err)
	}
}

func TestATextThatNoCellHoldsIsMarkedWhereItIsCut(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		text attendees.Personal
		want string
	}{
		"as long as a cell": {attendees.Personal(strings.Repeat("ä", 32_767)), strings.Repeat("ä", 32_767)},
		"one letter more":   {attendees.Personal(strings.Repeat("ä", 32_768)), strings.Repeat("ä", 32_757) + " [cut off]"},
		"of wide letters":   {attendees.Personal(strings.Repeat("\U0001F30A", 20_000)), strings.Repeat("\U0001F30A", 16_378) + " [cut off]"},
	} {
		f := workbook(t, header, export.Row{ID: "1", Name: test.text}, export.Row{ID: "2", Name: "Bo Example"})
		if got, err := f.GetCellValue("People", "B2"); err != nil || got != test.want {
			t.Errorf("%s: it came back with %d bytes, want %d (%v)", what, len(got), len(test.want), err)
		}
		cut, err := f.GetCellValue("About this list", "B9")
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "1"}[string(test.text) != test.want]; cut != want {
			t.Errorf("%s: the second sheet says that %q cells are cut off, want %q", what, cut, want)
		}
	}
}

func TestALongWorkbookLeavesNoFileBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	const people = 60_000
	n, err := export.XLSX(io.Discard, header, func(yield func(*export.Row, error) bool) {
		for i := range people {
			if i == people-1 {
				err := walk(dir)
				if err != nil {
					t.Error(err)
				}
			}
			if !yield(&odd[0], nil) {
				return
			}
		}
	})
	if err != nil || n != people {
		t.Errorf("%d rows (%v)", n, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind (%v)", left, err)
	}
}

// walk tells of a file in dir that has a name.
func walk(dir string) error {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range folders {
		files, err := os.ReadDir(dir + "/" + f.Name())
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return fmt.Errorf("rows lie in %s", files[0].Name())
		}
	}
	return nil
}

// BenchmarkXLSX writes workbooks of 200,000 people; MiB is how much the heap grew at most.
func BenchmarkXLSX(b *testing.B) {
	const people = 200_000
	var peak uint64
	for b.Loop() {
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		row := odd[0]
		_, err := export.XLSX(io.Discard, header, func(yield func(*export.Row, error) bool) {
			for i := range people {
				row.ID = strconv.Itoa(4_000_000_000 + i)
				row.Email = attendees.Personal("person." + row.ID + "@example.org")
				if i%20_000 == 0 {
					runtime.ReadMemStats(&now)
					peak = max(peak, now.Sys-before.Sys)
				}
				if !yield(&row, nil) {
					return
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		runtime.ReadMemStats(&now)
		peak = max(peak, now.Sys-before.Sys)
	}
	b.ReportMetric(float64(people*b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(peak)/(1<<20), "MiB")
}

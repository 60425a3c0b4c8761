package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
)

var update = flag.Bool("update", false, "renew the golden files")

var june = time.Date(2027, 6, 14, 14, 30, 0, 0, time.FixedZone("CEST", 2*3600))

func rows(list ...export.Row) iter.Seq2[*export.Row, error] {
	return func(yield func(*export.Row, error) bool) {
		for _, r := range list {
			if !yield(&r, nil) {
				return
			}
		}
	}
}

var odd = []export.Row{
	{ID: "1", Name: "Zaphira Quillfeather", Email: "zaphira@example.org", Ticket: "Regular", Status: "attending",
		AgreementVersion: "2027-1", AgreedAt: june, Attended: true, Affiliation: "Example \"Labs\", Ltd", Forums: []attendees.Personal{"Rivers", "Lakes; small"}},
	{ID: "2", Name: "=cmd|' /C calc'!A0", Email: "+49 30 1234", Ticket: "-1", Status: "attending", Affiliation: "@SUM(A1)"},
	{ID: "3", Name: "  =HYPERLINK(\"x\")", Email: "＝1+1", Ticket: "\t=1", Status: "cancelled", Affiliation: "two\r\nlines"},
	{ID: "4", Name: "\u202Eevil\u202C <script>alert(1)</script>", Status: "attending", Affiliation: attendees.Personal(strings.Repeat("ä", 40))},
	{ID: "5"},
}

func TestListsLookAsTheyAlwaysDid(t *testing.T) {
	t.Parallel()
	for file, write := range map[string]func(io.Writer) (int, error){
		"agreement.csv": func(w io.Writer) (int, error) {
			return export.CSV(w, export.Header{Event: "4711", Purpose: "participation_agreement", At: june}, rows(odd...))
		},
		"forum.csv": func(w io.Writer) (int, error) {
			return export.CSV(w, export.Header{Event: "4711", Purpose: "forum", At: june}, rows(odd...))
		},
		"agreement.json": func(w io.Writer) (int, error) {
			return export.JSON(w, export.Header{Event: "4711", Purpose: "participation_agreement", At: june}, rows(odd...))
		},
		"forum.json": func(w io.Writer) (int, error) {
			return export.JSON(w, export.Header{Event: "4711", Purpose: "forum", At: june}, rows(odd...))
		},
		"empty.json": func(w io.Writer) (int, error) {
			return export.JSON(w, export.Header{Event: "4711", Purpose: "forum", At: june}, rows())
		},
	} {
		var got bytes.Buffer
		if _, err := write(&got); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// anyText leans towards what lists break on.
var anyText = rapid.Custom(func(t *rapid.T) string {
	start := rapid.SampledFrom([]string{"", "=", "+", "-", "@", "\t", "\r", " =", "＝", "'", "\"", ",", "%", "|"}).Draw(t, "start")
	return start + rapid.String().Draw(t, "text")
})

func TestEveryValueIsReadBackFromCSV(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := []string{"1", anyText.Draw(t, "name"), anyText.Draw(t, "email"), anyText.Draw(t, "affiliation"), ""}
		var out bytes.Buffer
		_, err := export.CSV(&out, export.Header{Purpose: attendees.Forum}, rows(export.Row{
			ID: want[0], Name: attendees.Personal(want[1]), Email: attendees.Personal(want[2]), Affiliation: attendees.Personal(want[3]),
		}))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
		for i, got := range lines[1] {
			first := strings.TrimLeft(got, " ")
			if first != "" && strings.ContainsAny(first[:1], "=+-@\t\r|%") || strings.HasPrefix(first, "＝") {
				t.Errorf("a spreadsheet would run %q", got)
			}
			// encoding/csv reads CRLF inside quotes as LF.
			plain := strings.ReplaceAll(want[i], "\r\n", "\n")
			if strings.ReplaceAll(got, "'", "") != strings.ReplaceAll(plain, "'", "") {
				t.Errorf("%q came back as %q", want[i], got)
			}
		}
	})
}

func TestEveryValueIsReadBackFromJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name, forum := anyText.Draw(t, "name"), anyText.Draw(t, "forum")
		var out bytes.Buffer
		_, err := export.JSON(&out, export.Header{Event: "4711", Purpose: attendees.Forum, At: june}, rows(
			export.Row{ID: "1", Name: attendees.Personal(name), Forums: []attendees.Personal{attendees.Personal(forum)}}, export.Row{ID: "2"},
		))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Event, Purpose string
			Attendees      []struct {
				Name   string
				Forums []string
			}
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v", out.String(), err)
		}
		name, forum = strings.ToValidUTF8(name, "\uFFFD"), strings.ToValidUTF8(forum, "\uFFFD")
		if len(got.Attendees) != 2 || got.Attendees[0].Name != name || got.Attendees[0].Forums[0] != forum {
			t.Errorf("%q and %q came back as %+v", name, forum, got)
		}
	})
}

func TestAListNeedsNoMoreMemoryWhenItIsLong(t *testing.T) {
	for format, write := range map[string]func(io.Writer, export.Header, iter.Seq2[*export.Row, error]) (int, error){"csv": export.CSV, "json": export.JSON} {
		one := func(n int) float64 {
			return testing.AllocsPerRun(3, func() {
				_, err := write(io.Discard, export.Header{Purpose: attendees.Forum}, func(yield func(*export.Row, error) bool) {
					for range n {
						if !yield(&odd[1], nil) {
							return
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
		if short, long := one(10), one(20_000); long > short+100 {
			t.Errorf("%s: 10 rows take %.0f allocations, 20,000 take %.0f", format, short, long)
		}
	}
}

func TestAFileIsThereWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list.csv")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, _ = io.WriteString(w, text)
			return err
		}
	}
	broken := errors.New("the database went away")
	if err := export.File(path, false, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := export.File(path, false, write("whole", nil)); err != nil {
		t.Fatal(err)
	}
	if err := export.File(path, false, write("other", nil)); !errors.Is(err, export.ErrExists) {
		t.Errorf("error %v, want that there is a file", err)
	}
	if err := export.File(path, true, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	// A file that comes while ours is written is not replaced either.
	late := filepath.Join(dir, "late.csv")
	err := export.File(late, false, func(io.Writer) error { return os.WriteFile(late, []byte("theirs"), 0o600) })
	if !errors.Is(err, export.ErrExists) {
		t.Errorf("error %v, want that there is a file", err)
	}
	for file, want := range map[string]string{path: "whole", late: "theirs"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", file, got, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if err := export.File(path, true, write("newer", nil)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v (%v), want the two files alone", entries, err)
	}
	for _, nowhere := range []string{filepath.Join(dir, "no", "list.csv"), dir} {
		err := export.File(nowhere, true, write("x", nil))
		if err == nil || strings.Contains(err.Error(), ".lethe-") {
			t.Errorf("%s: error %v, want one that names the file asked for", nowhere, err)
		}
	}
}

func TestAFolderIsNoFileAndWhatAKilledExportLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(w io.Writer) error { _, err := io.WriteString(w, "list"); return err }
	if err := export.File(dir, true, write); !errors.Is(err, export.ErrFolder) {
		t.Errorf("a folder: %v, want ErrFolder", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	if err := export.File(link, true, write); !errors.Is(err, export.ErrDevice) {
		t.Errorf("a device: %v, want ErrDevice", err)
	}
	for name, age := range map[string]time.Duration{".lethe-123": 25 * time.Hour, ".lethe-456": time.Hour, ".lethe-notes": 99 * time.Hour} {
		path := filepath.Join(dir, name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := export.File(filepath.Join(dir, "list.csv"), false, write); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if diff := cmp.Diff([]string{".lethe-456", ".lethe-notes", "list.csv"}, left); diff != "" {
		t.Errorf("beside the list (-want +got)\n%s", diff)
	}
}

// OWASP, "CSV Injection": "take care of the field separator (e.g. ',' or ';'), as attackers
// could use this to start a new cell". Where the decimal sign is a comma, Excel separates by ;.
func TestNoCellBeginsAFormulaWhereASemicolonSeparates(t *testing.T) {
	var out bytes.Buffer
	_, err := export.CSV(&out, export.Header{Purpose: attendees.Forum}, rows(export.Row{
		ID: "1", Name: `Ada;=HYPERLINK("http://example.org/"&A1);Example`, Email: "ada@example.org", Affiliation: "Lab;=1+1;x",
		Forums: []attendees.Personal{"Rivers", "=1+2"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, cell := range strings.Split(strings.Split(out.String(), "\r\n")[1], ";") {
		if strings.ContainsAny(strings.TrimLeft(cell, " ")[:1], "=+-@") {
			t.Errorf("opened with ; as separator, a cell begins a formula: %s\nthe line is %s", cell, strings.Split(out.String(), "\r\n")[1])
		}
	}
}

package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/roster"
)

var update = flag.Bool("update", false, "renew the golden files")

var june = time.Date(2027, 6, 14, 14, 30, 0, 0, time.FixedZone("CEST", 2*3600))

var odd = []attendees.Attendee{
	{ID: "1", Name: "Zaphira Quillfeather", Email: "zaphira@example.org", Ticket: "Regular", Standing: attendees.Attending,
		AgreementVersion: "2027-1", AgreedAt: june, Attended: true, Given: forum("Example \"Labs\", Ltd", "Rivers", "Lakes; small")},
	{ID: "2", Name: "=cmd|' /C calc'!A0", Email: "+49 30 1234", Ticket: "-1", Standing: attendees.Attending, Given: forum("@SUM(A1)")},
	{ID: "3", Name: "  =HYPERLINK(\"x\")", Email: "＝1+1", Ticket: "\t=1", Standing: attendees.Cancelled, Given: forum("two\r\nlines")},
	{ID: "4", Name: "\u202Eevil\u202C <script>alert(1)</script>", Standing: attendees.Attending, Given: forum(attendees.Personal(strings.Repeat("ä", 40)))},
}

// forum is what links filled for the forum.
func forum(affiliation attendees.Personal, forums ...attendees.Personal) (all []attendees.Given) {
	all = append(all, attendees.Given{Purpose: attendees.Forum, Field: attendees.Affiliation, Values: []attendees.Personal{affiliation}, Origin: attendees.FromResponse})
	if len(forums) > 0 {
		all = append(all, attendees.Given{Purpose: attendees.Forum, Field: attendees.Forums, Values: forums, Origin: attendees.FromResponse})
	}
	return all
}

func header(p attendees.PurposeName, links ...events.Link) Header {
	policy := attendees.BuiltIn()
	u, _ := policy.Purpose(p)
	return Header{
		Event: "4711", Name: "Example Days", Purpose: p, At: june, By: "ada@example.org",
		Until: attendees.Date{Year: 2027, Month: time.July, Day: 20}, Columns: Columns(u, links),
	}
}

// written is a list of people in a format.
func written(t interface{ Fatal(...any) }, format string, h Header, people ...attendees.Attendee) []byte {
	policy := attendees.BuiltIn()
	var entries []*roster.Entry
	for i, a := range people {
		entries = append(entries, &roster.Entry{ID: uuid.UUID{byte(i)}, Attendee: a})
	}
	var out bytes.Buffer
	s, err := formats[format](&out, h)
	if err == nil {
		err = roster.Of(&policy, events.Event{}, entries...).Walk(s.person)
	}
	if err == nil {
		err = s.end()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestListsLookAsTheyAlwaysDid(t *testing.T) {
	t.Parallel()
	five := append(odd[:4:4], attendees.Attendee{ID: "5", Standing: attendees.Attending})
	for file, got := range map[string][]byte{
		"agreement.csv":  written(t, "csv", header(attendees.ParticipationAgreement), five...),
		"forum.csv":      written(t, "csv", header(attendees.Forum), five...),
		"agreement.json": written(t, "json", header(attendees.ParticipationAgreement), five...),
		"forum.json":     written(t, "json", header(attendees.Forum), five...),
		"empty.json":     written(t, "json", header(attendees.Forum)),
	} {
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// anyText leans towards what lists break on.
var anyText = rapid.Custom(func(t *rapid.T) string {
	start := rapid.SampledFrom([]string{"", "=", "+", "-", "@", "\t", "\r", " =", "＝", "'", "\"", ",", "%", "|", "_x000D_", ";", "; ="}).Draw(t, "start")
	return start + rapid.String().Draw(t, "text")
})

func TestEveryValueIsReadBackFromCSV(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := []string{"1", anyText.Draw(t, "name"), anyText.Draw(t, "email"), anyText.Draw(t, "affiliation"), ""}
		out := written(t, "csv", header(attendees.Forum), attendees.Attendee{
			ID: "1", Name: attendees.Personal(want[1]), Email: attendees.Personal(want[2]), Standing: attendees.Attending, Given: forum(attendees.Personal(want[3])),
		})
		lines, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		for i, got := range lines[1] {
			for _, cell := range strings.Split(got, ";") { // where a semicolon separates
				first := strings.TrimLeft(cell, " ")
				if first != "" && strings.ContainsAny(first[:1], "=+-@\t\r|%") || strings.HasPrefix(first, "＝") {
					t.Errorf("a spreadsheet would run %q", got)
				}
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
		name, chosen := anyText.Draw(t, "name"), anyText.Draw(t, "forum")
		out := written(t, "json", header(attendees.Forum),
			attendees.Attendee{ID: "1", Name: attendees.Personal(name), Standing: attendees.Attending, Given: forum("", attendees.Personal(chosen))},
			attendees.Attendee{ID: "2", Standing: attendees.Attending})
		var got struct {
			Event, Purpose string
			Attendees      []struct {
				Name   string
				Forums []string
			}
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		name, chosen = strings.ToValidUTF8(name, "\uFFFD"), strings.ToValidUTF8(chosen, "\uFFFD")
		if len(got.Attendees) != 2 || got.Attendees[0].Name != name || got.Attendees[0].Forums[0] != chosen {
			t.Errorf("%q and %q came back as %+v", name, chosen, got)
		}
	})
}

// FAULTS.md B4: mapped answers are columns, in the order of the links, and only of their purpose.
func TestAnswersAreColumnsOfTheirPurposeInTheOrderOfTheLinks(t *testing.T) {
	t.Parallel()
	links := []events.Link{
		{Form: "f", Purpose: attendees.Forum, Fields: attendees.FieldLinks{
			{Purpose: attendees.Forum, Field: "answers.seat"}, {Purpose: attendees.Forum, Field: attendees.Affiliation}, {Purpose: attendees.Forum, Field: "answers.chair"},
		}},
		{Form: "f", Purpose: attendees.ParticipationAgreement, Fields: attendees.FieldLinks{{Purpose: attendees.ParticipationAgreement, Field: "answers.other"}}},
		{Form: "g", Purpose: attendees.Forum, Fields: attendees.FieldLinks{{Purpose: attendees.Forum, Field: "answers.chair"}, {Purpose: attendees.Forum, Field: "answers.topics"}}},
	}
	given := func(p attendees.PurposeName, f attendees.Field, values ...attendees.Personal) attendees.Given {
		return attendees.Given{Purpose: p, Field: f, Values: values, Origin: attendees.FromResponse}
	}
	a := attendees.Attendee{ID: "1", Name: "Ada Lind", Standing: attendees.Attending, Given: []attendees.Given{
		given(attendees.Forum, "answers.topics", "Rivers", "Lakes"), given(attendees.ParticipationAgreement, "answers.chair", "not this"), given(attendees.Forum, "answers.chair", "yes"),
	}}
	want := "attendee_id,name,email,affiliation,forums,answers.seat,answers.chair,answers.topics\r\n1,Ada Lind,,,,,yes,Rivers; Lakes\r\n"
	if diff := cmp.Diff(want, string(written(t, "csv", header(attendees.Forum, links...), a))); diff != "" {
		t.Errorf("csv (-want +got):\n%s", diff)
	}
	if got := string(written(t, "json", header(attendees.Forum, links...), a)); !strings.Contains(got, `"answers.seat":[],"answers.chair":["yes"],"answers.topics":["Rivers","Lakes"]`) {
		t.Errorf("json is %s", got)
	}
}

// FAULTS.md B6.
func TestAPurposeOfAPolicyFileHasItsOwnColumnsAndNoOthers(t *testing.T) {
	t.Parallel()
	for want, fields := range map[string][]attendees.Field{
		"attendee_id,name":                                            {attendees.Name},
		"attendee_id,email,attended":                                  {attendees.Attended, attendees.Email},
		"attendee_id,ticket,status,forums":                            {attendees.Forums, attendees.Ticket},
		"attendee_id,agreed_at":                                       {attendees.AgreedAt},
		"attendee_id,name,consented_at,consented_version,affiliation": {attendees.Affiliation, attendees.Consented, attendees.Name},
	} {
		var names []string
		for _, c := range Columns(attendees.Purpose{Name: "x", Fields: fields}, nil) {
			names = append(names, c.Name)
		}
		if got := strings.Join(names, ","); got != want {
			t.Errorf("%v: %s, want %s", fields, got, want)
		}
	}
}

func TestAConsentIsOnTheListWithItsTimeAndVersion(t *testing.T) {
	t.Parallel()
	u := attendees.Purpose{Name: "news", Basis: "a", Fields: []attendees.Field{attendees.Email, attendees.Consented}}
	h := header(attendees.Forum)
	h.Purpose, h.Columns = u.Name, Columns(u, nil)
	yes := attendees.Given{Purpose: "news", Field: attendees.Consented, Values: []attendees.Personal{"yes"}, At: june, Version: "2027-2", Origin: attendees.FromResponse}
	got := string(written(t, "csv", h, attendees.Attendee{ID: "1", Email: "ada@example.org", Standing: attendees.Attending, Given: []attendees.Given{yes}}, attendees.Attendee{ID: "2", Standing: attendees.Attending}))
	want := "attendee_id,email,consented_at,consented_version\r\n1,ada@example.org,2027-06-14T12:30:00Z,2027-2\r\n2,,,\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func workbook(t interface{ Fatal(...any) }, people ...attendees.Attendee) *excelize.File {
	f, err := excelize.OpenReader(bytes.NewReader(written(t, "xlsx", header(attendees.ParticipationAgreement), people...)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAWorkbookReadsBackToTheSameRows(t *testing.T) {
	t.Parallel()
	f := workbook(t, odd...)
	got, err := f.GetRows("People", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"attendee_id", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended"}}
	for _, a := range odd {
		agreed, attended := "", "0"
		if !a.AgreedAt.IsZero() {
			agreed = strconv.FormatFloat(a.AgreedAt.UTC().Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours()/24, 'f', -1, 64)
		}
		if a.Attended {
			attended = "1"
		}
		want = append(want, []string{string(a.ID), a.Name.Reveal(), a.Email.Reveal(), a.Ticket, string(a.Standing), a.AgreementVersion, agreed, attended})
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
		filtered = filtered || strings.HasSuffix(name.Name, "_FilterDatabase") && name.RefersTo == "'People'!$A$1:$H$5"
	}
	if !filtered {
		t.Errorf("the filter does not span the list: %+v", f.GetDefinedName())
	}
}

func TestAWorkbookSaysWhichListItIs(t *testing.T) {
	t.Parallel()
	got, err := workbook(t, odd...).GetRows("About this list")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"Event", "Example Days"}, {"Event's id", "4711"}, {"Purpose", "participation_agreement"}, {"Taken at (UTC)", "2027-06-14 12:30:00"},
		{"Taken by", "ada@example.org"}, {"People", "4"}, {"This copy must be deleted by", "2027-07-20"}, {"Times", "in UTC"},
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
		f := workbook(t, attendees.Attendee{ID: "1", Name: attendees.Personal(name), Standing: attendees.Attending}, attendees.Attendee{ID: "2", Name: "last", Standing: attendees.Attending})
		got, err := f.GetCellValue("People", "B2")
		if err != nil || got != clean(name) {
			t.Errorf("%q came back as %q (%v)", name, got, err)
		}
	})
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
		f := workbook(t, attendees.Attendee{ID: "1", Name: test.text, Standing: attendees.Attending}, attendees.Attendee{ID: "2", Name: "Bo Example", Standing: attendees.Attending})
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

func TestAListNeedsNoMoreMemoryWhenItIsLong(t *testing.T) {
	policy := attendees.BuiltIn()
	r := roster.Of(&policy, events.Event{}, &roster.Entry{ID: uuid.UUID{1}, Attendee: odd[1]})
	for _, format := range Formats() {
		one := func(n int) float64 {
			return testing.AllocsPerRun(2, func() {
				s, err := formats[format](io.Discard, header(attendees.Forum))
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					if err := r.Walk(s.person); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.end(); err != nil {
					t.Fatal(err)
				}
			})
		}
		if short, long := one(10), one(20_000); long > short+100 {
			t.Errorf("%s: 10 rows take %.0f allocations, 20,000 take %.0f", format, short, long)
		}
	}
}

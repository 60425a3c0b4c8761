package export_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/export"
)

// TestLibreOfficeReadsAWorkbook opens one with the command that README names.
func TestLibreOfficeReadsAWorkbook(t *testing.T) {
	t.Parallel()
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("LibreOffice is not installed: Debian's package libreoffice-calc has it")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "list.xlsx")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.XLSX(f, header, rows(odd...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(soffice, "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76", "--outdir", dir, file)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "list.csv"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"attendee_id", "name", "email", "ticket", "status", "agreement_version", "agreed_at", "attended"}}
	for _, r := range odd {
		agreed, attended := "", "FALSE"
		if !r.AgreedAt.IsZero() {
			agreed = r.AgreedAt.UTC().Format("2006-01-02 15:04:05")
		}
		if r.Attended {
			attended = "TRUE"
		}
		want = append(want, []string{r.ID, r.Name.Reveal(), r.Email.Reveal(), r.Ticket, r.Status, r.AgreementVersion, agreed, attended})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("LibreOffice reads it otherwise (-want +got):\n%s", diff)
	}
}

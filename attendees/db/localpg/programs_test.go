package localpg

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// pretend makes a folder of programs that claim a version.
func pretend(t *testing.T, says string) string {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s'\n", says)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestInspectTakesFourteenAndNewer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		says string
		want int // 0: unfit
	}{
		{"postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", 15},
		{"postgres (PostgreSQL) 14.0", 14},
		{"postgres (PostgreSQL) 19beta1", 19},
		{"postgres (PostgreSQL) 13.22", 0},
		{"postgres (PostgreSQL) 9.6.24", 0},
		{"something else 15", 0},
	} {
		got, err := inspect(t.Context(), pretend(t, test.says))
		if got != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%s: got %d, %v; want %d", test.says, got, err, test.want)
		}
	}
}

func TestDataWantsTheVersionThatMadeIt(t *testing.T) {
	const other = 99
	here := installed(t.Context())
	if len(here) == 0 {
		t.Skip("no PostgreSQL is installed")
	}
	newest := pretend(t, fmt.Sprintf("postgres (PostgreSQL) %d.1", other))
	t.Setenv("PATH", newest+":"+os.Getenv("PATH"))
	p, err := findPrograms(t.Context(), filepath.Join(t.TempDir(), "none"), slog.New(slog.DiscardHandler))
	if err != nil || p.major != other {
		t.Errorf("new data: got %+v, %v; want the first in PATH", p, err)
	}
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), fmt.Appendln(nil, here[0].major), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err = findPrograms(t.Context(), data, slog.New(slog.DiscardHandler))
	if err != nil || p.major != here[0].major {
		t.Errorf("data of %d: got %+v, %v", here[0].major, p, err)
	}
}

package export

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
	if err := File(path, false, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := File(path, false, write("whole", nil)); err != nil {
		t.Fatal(err)
	}
	if err := File(path, false, write("other", nil)); !errors.Is(err, ErrExists) {
		t.Errorf("error %v, want that there is a file", err)
	}
	if err := File(path, true, write("half", broken)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	// A file that comes while ours is written is not replaced either.
	late := filepath.Join(dir, "late.csv")
	err := File(late, false, func(io.Writer) error { return os.WriteFile(late, []byte("theirs"), 0o600) })
	if !errors.Is(err, ErrExists) {
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
	if err := File(path, true, write("newer", nil)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v (%v), want the two files and nothing else", entries, err)
	}
	for _, nowhere := range []string{filepath.Join(dir, "no", "list.csv"), dir} {
		err := File(nowhere, true, write("x", nil))
		if err == nil || strings.Contains(err.Error(), ".lethe-") {
			t.Errorf("%s: error %v, want one that names the file asked for", nowhere, err)
		}
	}
}

func TestAFolderIsNoFileAndWhatAKilledExportLeftIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(w io.Writer) error { _, err := io.WriteString(w, "list"); return err }
	if err := File(dir, true, write); !errors.Is(err, ErrFolder) {
		t.Errorf("a folder: %v, want ErrFolder", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	if err := File(link, true, write); !errors.Is(err, ErrDevice) {
		t.Errorf("a device: %v, want ErrDevice", err)
	}
	for name, age := range map[string]time.Duration{".lethe-123": 25 * time.Hour, ".lethe-456": time.Hour, ".lethe-notes": 99 * time.Hour} {
		path := filepath.Join(dir, name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := File(filepath.Join(dir, "list.csv"), false, write); err != nil {
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
		t.Errorf("next to the list (-want +got)\n%s", diff)
	}
}

package localpg

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// repository serves an archive as Maven Central does, with a PostgreSQL that can say
// its version and nothing else.
func repository(t *testing.T, checksum func([]byte) string) embedded.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := "#!/bin/sh\necho 'postgres (PostgreSQL) 17.5'\n"
		if err := os.WriteFile(filepath.Join(dir, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	txz, err := exec.Command("tar", "-C", dir, "-cJf", "-", "bin").Output()
	if err != nil {
		t.Skipf("tar can't write xz here: %v", err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	f, err := z.Create("postgres-linux-x86_64.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(txz); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			w.Write([]byte(checksum(jar.Bytes())))
			return
		}
		w.Write(jar.Bytes())
	}))
	t.Cleanup(server.Close)
	return embedded.DefaultConfig().Version(embedded.V17).BinaryRepositoryURL(server.URL)
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestFetchUnpacksTheProgramsAndStartsNothing(t *testing.T) {
	t.Parallel()
	config := repository(t, sha)
	home := filepath.Join(t.TempDir(), "postgresql-17")
	for range 2 { // the second finds that another was faster
		if err := fetch(t.Context(), config, home); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := inspect(t.Context(), filepath.Join(home, "bin")); err != nil || got != 17 {
		t.Errorf("got major %d, %v", got, err)
	}
	left, err := os.ReadDir(filepath.Dir(home))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetchRefusesWhatTheChecksumDoesNotCover(t *testing.T) {
	t.Parallel()
	config := repository(t, func([]byte) string { return sha([]byte("another")) })
	home := filepath.Join(t.TempDir(), "postgresql-17")
	err := fetch(t.Context(), config, home)
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("got error %v", err)
	}
	if _, err := os.Stat(home); !os.IsNotExist(err) {
		t.Errorf("unpacked all the same: %v", err)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	config := embedded.DefaultConfig().BinaryRepositoryURL(silent.URL)
	if err := fetch(ctx, config, filepath.Join(t.TempDir(), "postgresql")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
}

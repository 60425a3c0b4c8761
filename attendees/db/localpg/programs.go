package localpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest major version that still got security fixes when this was
// written, and the first with "detach partition concurrently".
const oldest = 14

// programs is one installation of PostgreSQL.
type programs struct {
	bin   string
	major int
}

func (p programs) path(name string) string { return filepath.Join(p.bin, name) }

// wellKnown are the folders of packagers that leave the server out of PATH.
var wellKnown = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // PGDG on Red Hat
	"/usr/libexec/postgresql*",                           // Alpine
	"/usr/lib/postgresql*/bin",                           // SUSE
	"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew
	"/usr/local/opt/postgresql*/bin",                     // Homebrew, Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew, Linux
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/usr/local/pgsql/bin",                               // built from source
	"/usr/local/bin",                                     // FreeBSD
}

// findPrograms finds an installation that can serve the data folder, else fetches
// one. Data that is there already wants the major version that made it.
func findPrograms(ctx context.Context, data string, log *slog.Logger) (programs, error) {
	wanted, err := madeBy(data)
	if err != nil {
		return programs{}, err
	}
	for _, p := range installed(ctx) {
		if p.major == wanted || wanted == 0 {
			return p, nil
		}
	}
	p, err := fetched(ctx, wanted, log)
	if err != nil {
		missing := fmt.Sprintf("PostgreSQL %d or newer is not installed here", oldest)
		if wanted != 0 {
			missing = fmt.Sprintf("PostgreSQL %d, which made the data, is not installed here", wanted)
		}
		return programs{}, fmt.Errorf("%s, and fetching it failed (%w); install it or set DATABASE_URL", missing, err)
	}
	return p, nil
}

// madeBy is the major version that made the data, 0 where there is none yet.
func madeBy(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// installed lists what is fit to be used: first what PATH and pg_config name, then
// the well-known folders, newest first.
func installed(ctx context.Context) []programs {
	var found, others []programs
	if path, err := exec.LookPath("postgres"); err == nil {
		found = appendFit(ctx, found, filepath.Dir(path))
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		found = appendFit(ctx, found, strings.TrimSpace(string(out)))
	}
	for _, pattern := range wellKnown {
		folders, _ := filepath.Glob(pattern) // its one error is a malformed pattern
		for _, bin := range folders {
			others = appendFit(ctx, others, bin)
		}
	}
	slices.SortStableFunc(others, func(a, b programs) int { return cmp.Compare(b.major, a.major) })
	return append(found, others...)
}

// appendFit follows links first: often the server alone is linked into a folder of
// PATH, and its siblings are not.
func appendFit(ctx context.Context, list []programs, bin string) []programs {
	postgres, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
	if err != nil {
		return list
	}
	bin = filepath.Dir(postgres)
	if major, err := inspect(ctx, bin); err == nil {
		list = append(list, programs{bin, major})
	}
	return list
}

// saidVersion is how "postgres --version" puts it: postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)
var saidVersion = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

// inspect tells the major version of the server in a folder, or why it is unfit.
func inspect(ctx context.Context, bin string) (int, error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	said := saidVersion.FindSubmatch(out)
	if said == nil {
		return 0, fmt.Errorf("%s/postgres does not tell its version", bin)
	}
	major, err := strconv.Atoi(string(said[1]))
	if err == nil && major < oldest {
		return 0, fmt.Errorf("PostgreSQL %d in %s is older than %d", major, bin, oldest)
	}
	return major, err
}

package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// fetchTimeout bounds a download of some 30 MB on a slow line. The library's own
// requests know no bound.
const fetchTimeout = 5 * time.Minute

// afterUnpacking begins the error with which the library stops once all is unpacked.
const afterUnpacking = "unable to clean up data directory"

// fetchedVersion is the release to fetch for a major version; 0 is for new data.
func fetchedVersion(major int) (embedded.PostgresVersion, error) {
	switch major {
	case 14:
		return embedded.V14, nil
	case 15:
		return embedded.V15, nil
	case 16:
		return embedded.V16, nil
	case 0, 17:
		return embedded.V17, nil
	case 18:
		return embedded.V18, nil
	}
	return "", fmt.Errorf("PostgreSQL %d is none of those that can be fetched", major)
}

// fetched gives PostgreSQL as fetched earlier, or fetches it now.
func fetched(ctx context.Context, major int, log *slog.Logger) (programs, error) {
	version, err := fetchedVersion(major)
	if err != nil {
		return programs{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return programs{}, err
	}
	home := filepath.Join(cache, "lethe", "postgresql-"+string(version))
	bin := filepath.Join(home, "bin")
	if major, err := inspect(ctx, bin); err == nil {
		return programs{bin, major}, nil
	}
	log.DebugContext(ctx, "fetching PostgreSQL", "version", string(version), "folder", home)
	config := embedded.DefaultConfig().Version(version)
	if err := fetch(ctx, config, home); err != nil {
		return programs{}, err
	}
	major, err = inspect(ctx, bin)
	return programs{bin, major}, err
}

// fetch downloads and unpacks PostgreSQL into the folder home. The library checks
// the SHA-256 where the repository states one.
//
// The library knows no fetching alone, only a whole start, which root is refused. So
// it is given a data folder that it cannot clear, and stops right after unpacking,
// before initdb: os.RemoveAll refuses a path that ends in a dot.
func fetch(ctx context.Context, config embedded.Config, home string) error {
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(filepath.Dir(home), "fetch-")
	if err != nil {
		return err
	}
	unpacked := filepath.Join(stage, "unpacked")
	config = config.Port(0).Logger(io.Discard).
		CachePath(filepath.Join(stage, "archive")).
		RuntimePath(filepath.Join(stage, "run")).
		BinariesPath(unpacked).
		DataPath(stage + "/.")

	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("not done in %s", fetchTimeout))
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- embedded.NewDatabase(config).Start() }()
	select {
	case <-ctx.Done():
		// The library can't be broken off, and panics where its files vanish.
		go func() { <-stopped; os.RemoveAll(stage) }()
		return context.Cause(ctx)
	case err = <-stopped:
		defer os.RemoveAll(stage)
	}
	if err == nil {
		return errors.New("embedded-postgres started a server that it should not")
	}
	if !strings.HasPrefix(err.Error(), afterUnpacking) {
		return fmt.Errorf("fetch PostgreSQL: %w", err)
	}
	if err := os.Rename(unpacked, home); err != nil && !errors.Is(err, fs.ErrExist) { // another lethe was faster
		return err
	}
	return nil
}

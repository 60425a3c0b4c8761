package localpg

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const (
	socketPrefix = "lethe-pg-"
	socketName   = ".s.PGSQL.5432"
	// socketPathLimit is what fits into a sockaddr_un on every system we know:
	// 107 bytes on Linux (unix(7)), 103 on macOS and the BSDs.
	socketPathLimit = 103
)

// socketFolder makes a folder for the socket. It is a new one each time, so that no
// stale socket lies in the way, and in a short place, for socket paths are bounded.
// A link in dir remembers it, so that the next start can sweep up after a crash.
func socketFolder(dir string, owner account) (string, error) {
	removeSocket(dir)
	tmp := os.TempDir()
	if len(filepath.Join(tmp, socketPrefix+"4294967295", socketName)) > socketPathLimit {
		tmp = "/tmp"
	}
	folder, err := os.MkdirTemp(tmp, socketPrefix) // 0700
	if err != nil {
		return "", err
	}
	if err := os.Symlink(folder, filepath.Join(dir, "socket")); err != nil {
		os.Remove(folder)
		return "", err
	}
	if err := owner.own(folder); err != nil {
		return "", fmt.Errorf("prepare the socket's folder: %w", err)
	}
	return folder, nil
}

// removeSocket sweeps up the folder that the link in dir remembers. It removes the
// names it knows and nothing else.
func removeSocket(dir string) {
	link := filepath.Join(dir, "socket")
	folder, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(filepath.Base(folder), socketPrefix) {
		return
	}
	for _, path := range []string{filepath.Join(folder, socketName), filepath.Join(folder, socketName+".lock"), folder, link} {
		_ = os.Remove(path) // what is left over harms nobody
	}
}

func socketURL(folder, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(User),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {folder}, "port": {"5432"}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

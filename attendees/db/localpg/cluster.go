package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// settings of the server. They are given on its command line, which outranks every
// file in the data folder.
func (s *Server) settings() []string {
	settings := []string{
		// A socket in a folder of ours, and no network.
		"listen_addresses=", "unix_socket_directories=" + s.socket, "unix_socket_permissions=0700", "port=5432",

		// Names must not reach the log. An error's detail quotes rows, its statement
		// and parameters quote what was sent, and even its first line may quote a
		// value ("invalid input syntax"): so errors go to the client alone.
		"log_min_messages=log", "log_error_verbosity=terse", "log_min_error_statement=panic",
		"log_parameter_max_length=0", "log_parameter_max_length_on_error=0", "log_checkpoints=off",
		// A recycled WAL file keeps old rows until it is overwritten.
		"wal_recycle=off",

		// One web and one worker on a small machine.
		"max_connections=100", "shared_buffers=128MB", "max_wal_size=512MB",
		// A statement that names no event locks every room and each of its indexes.
		"max_locks_per_transaction=1024",
		// Costs add up over partitions: thousands of them would have each query compiled.
		"jit=off",
	}
	if s.unsafe {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	return settings
}

// initdb makes the data folder where there is none. It works beside it and renames
// at the end, so that one that was cut off is not taken for a database.
func (s *Server) initdb(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.data(), "PG_VERSION")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.log.DebugContext(ctx, "initdb", "folder", s.data())
	fresh := filepath.Join(s.dir, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + fresh, "--username=" + User, "--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions",
		"--auth=trust", // who can enter the socket's folder is its owner
	}
	if s.unsafe {
		args = append(args, "--no-sync")
	}
	p, err := launch(s.account, s.output, s.programs.path("initdb"), args...)
	if err != nil {
		return fmt.Errorf("run initdb: %w", err)
	}
	select {
	case <-p.gone:
	case <-ctx.Done():
		p.signal(syscall.SIGINT)
		p.waitGone(goneTimeout)
		return fmt.Errorf("run initdb: %w", context.Cause(ctx))
	}
	if p.err != nil {
		return fmt.Errorf("run initdb: %w; it said: %s", p.err, s.lastWords())
	}
	if err := os.Rename(fresh, s.data()); err != nil {
		return err
	}
	return syncFolder(s.dir)
}

// syncFolder has the disk know the folder's new names: a power cut must not undo the
// rename, or the next start would make an empty database over a full one.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// noProcess is a process id that no system gives out.
const noProcess = "2147483647"

// errPredecessor tells that processes of an earlier server still hold the folder.
var errPredecessor = errors.New("an earlier PostgreSQL still runs on it")

// checkPredecessor makes sure that postmaster.pid does not keep us out for nothing.
// After a crash the process it names may be somebody else's by now, and PostgreSQL
// would refuse to start for as long as that one lives. We hold the folder's lock, so
// only a dying server, or one that somebody started by hand, can still be here.
//
// The number is overwritten and the rest kept: there PostgreSQL finds the shared
// memory to look at, and refuses while an orphan of the old server still uses it.
func (s *Server) checkPredecessor() error {
	path := filepath.Join(s.data(), "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && pid > 0 && runsOn(pid, s.data()) {
		return fmt.Errorf("%w, as process %d; if it does not end by itself, end it with: kill -INT %d", errPredecessor, pid, pid)
	}
	if rest == "" { // cut off while it was written; PostgreSQL would call it fatal
		return os.Remove(path)
	}
	return os.WriteFile(path, []byte(noProcess+"\n"+rest), 0o600)
}

// freshLog opens the server's log, and keeps the one before it.
func freshLog(dir string) (*os.File, error) {
	path := filepath.Join(dir, "postgres.log")
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
}

// lastWordsLimit is enough for PostgreSQL's reason and short enough for an error.
const lastWordsLimit = 1000

// lastWords is the end of the server's log, on one line.
func (s *Server) lastWords() string {
	info, err := s.output.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(0, info.Size()-lastWordsLimit)
	text, err := io.ReadAll(io.NewSectionReader(s.output, from, lastWordsLimit))
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), " | ")
}

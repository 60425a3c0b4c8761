// Package localpg runs a private PostgreSQL for those who have none: found on the
// machine or fetched, started with us, gone with us.
//
// It listens on a socket in a folder that only its owner can enter, never on a
// network. Its settings keep names out of its log, of old WAL files and of core
// dumps. It dies with the process that started it, on Linux even where that one is
// killed. It knows nothing of our tables. Start is the place to start reading.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// User and Database are made by the first Start in a folder.
const (
	User     = "lethe"
	Database = "lethe"
)

const (
	// stopTimeout is how long a fast shutdown may write back what it holds, before
	// it is told to leave that to the next start's recovery.
	stopTimeout = 30 * time.Second
	// goneTimeout bounds the wait for processes that were told to drop everything:
	// PostgreSQL itself kills its own after five seconds.
	goneTimeout = 10 * time.Second
)

// Options tell where the server lives, and how.
type Options struct {
	// Dir holds the database, the server's log and a lock; it is made, or changed
	// to, 0700. Let nothing else live there: where root has to start the server as
	// somebody else, the folder becomes theirs.
	Dir string
	// Log hears of slow steps, at debug level. Nil is silent.
	Log *slog.Logger
	// Unsafe trades every guarantee against a crash for speed. For tests.
	Unsafe bool

	noNamespace bool // as if the kernel forbade user namespaces
}

// Server is a running private PostgreSQL.
type Server struct {
	dir      string
	programs programs
	account  account
	unsafe   bool
	log      *slog.Logger
	lock     *os.File
	output   *os.File
	socket   string
	process  *process
}

// Start starts the server in o.Dir, making its database first where there is none,
// and returns when it answers queries. ctx bounds the start alone: the server runs
// until Stop, or until our process ends.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start the private PostgreSQL in %s: %w", o.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (_ *Server, err error) {
	dir, err := privateFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, unsafe: o.Unsafe, log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if s.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if s.programs, err = findPrograms(ctx, s.data(), s.log); err != nil {
		return nil, err
	}
	if s.account, err = chooseAccount(ctx, s.programs.path("postgres"), o.noNamespace); err != nil {
		return nil, err
	}
	if err = s.account.own(dir); err != nil {
		return nil, err
	}
	if s.output, err = freshLog(dir); err != nil {
		return nil, err
	}
	if err = s.initdb(ctx); err != nil {
		return nil, err
	}
	if s.socket, err = socketFolder(dir, s.account); err != nil {
		return nil, err
	}
	if err = s.run(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// URL addresses a database of the server, in a form that lib/pq, pgx and
// PostgreSQL's own programs understand.
func (s *Server) URL(database string) string { return socketURL(s.socket, database) }

// Bin finds a program of the same installation, such as pg_dump. Where PostgreSQL
// was fetched there is none but the server's own.
func (s *Server) Bin(name string) (string, error) {
	path := s.programs.path(name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s beside the private PostgreSQL: %w; install PostgreSQL's client programs", name, err)
	}
	return path, nil
}

// Stop ends every session, writes back what is held, and waits until the last
// process is gone. To stop what is stopped does nothing.
func (s *Server) Stop() error {
	defer s.release()
	s.process.signal(syscall.SIGINT) // "fast shutdown"
	if s.process.waitGone(stopTimeout) {
		return nil
	}
	s.process.signal(syscall.SIGQUIT) // "immediate shutdown": the next start recovers
	if s.process.waitGone(goneTimeout) {
		return fmt.Errorf("stop the private PostgreSQL in %s: not done in %s, so it was cut short; the next start recovers", s.dir, stopTimeout)
	}
	return s.Kill()
}

// Kill ends the server as a crash would, with SIGKILL, and waits until every
// process of it is gone. For tests of what survives.
func (s *Server) Kill() error {
	defer s.release()
	s.process.signal(syscall.SIGKILL)
	if !s.process.waitGone(goneTimeout) {
		return fmt.Errorf("kill the private PostgreSQL in %s: some of its processes still run after %s", s.dir, goneTimeout)
	}
	return nil
}

// release gives back all that outlives the processes.
func (s *Server) release() {
	if s.socket != "" { // else the folder may be another's
		removeSocket(s.dir)
	}
	if s.lock != nil {
		// Not by closing alone: a process that we are just starting may still have the file.
		_ = syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN)
	}
	for _, f := range []io.Closer{s.output, s.lock} { // the lock last: then the folder is free
		_ = f.Close() // nothing was written through them that could be lost; nil and closed files refuse politely
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// privateFolder makes a folder that nobody else can enter, or closes it to others.
func privateFolder(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("no folder was named")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o700)
}

// ErrInUse says that another process of ours runs a server in the folder.
var ErrInUse = errors.New("the folder is in use by another lethe; stop that one, or name another folder in LETHE_DATA")

// Running addresses a database of the server that another process of ours runs in
// dir; false where none does. It ends when that process does.
func Running(dir, database string) (url string, ok bool) {
	folder, err := os.Readlink(filepath.Join(dir, "socket"))
	if err != nil {
		return "", false
	}
	if _, err := os.Stat(filepath.Join(folder, socketName)); err != nil {
		return "", false
	}
	return socketURL(folder, database), true
}

// lock keeps the folder to us. The kernel lets go of it when we end, however we end.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, ErrInUse
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the folder: %w", err)
	}
	return f, nil
}

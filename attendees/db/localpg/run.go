package localpg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
)

const (
	// readyTimeout is how long the server may give no sign at all.
	readyTimeout = 30 * time.Second
	// predecessorTimeout is how long a dying server may take to leave: an immediate
	// shutdown kills what lingers after five seconds.
	predecessorTimeout = 10 * time.Second
	// pollEvery is short against a start, and long against a connection.
	pollEvery = 50 * time.Millisecond
)

// run starts the server and returns when it answers, waiting for an earlier one to
// leave.
func (s *Server) run(ctx context.Context) error {
	s.log.DebugContext(ctx, "starting", "programs", s.programs.bin, "folder", s.data())
	for deadline := time.Now().Add(predecessorTimeout); ; {
		err := s.runOnce(ctx)
		if !errors.Is(err, errPredecessor) || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func (s *Server) runOnce(ctx context.Context) error {
	if err := s.checkPredecessor(); err != nil {
		return err
	}
	if err := s.output.Truncate(0); err != nil {
		return err
	}
	args := []string{"-D", s.data()}
	for _, setting := range s.settings() {
		args = append(args, "-c", setting)
	}
	p, err := launch(s.account, s.output, s.programs.path("postgres"), args...)
	if err != nil {
		return err
	}
	s.process = p
	if err := s.ready(ctx); err != nil {
		p.signal(syscall.SIGQUIT)
		p.waitGone(goneTimeout)
		return err
	}
	return nil
}

// ready waits until the server answers, and makes our database where it is missing.
func (s *Server) ready(ctx context.Context) error {
	db, err := sql.Open("postgres", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(readyTimeout); ; {
		err := ping(ctx, db)
		if err == nil {
			break
		}
		if recovering(err) { // after a crash that may take long, and to break it off means to begin again
			deadline = time.Now().Add(readyTimeout)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer in %s: %w; its log ends: %s", readyTimeout, err, s.lastWords())
		}
		select {
		case <-s.process.ended:
			return s.obituary()
		default:
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	var found bool
	if err := db.QueryRowContext(ctx, `select exists (select from pg_database where datname = $1)`, Database).Scan(&found); err != nil || found {
		return err
	}
	_, err = db.ExecContext(ctx, `create database `+pq.QuoteIdentifier(Database))
	return err
}

// ping bounds one attempt: what accepts a connection may still never answer it.
func ping(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return db.PingContext(ctx)
}

// obituary says why the server ended before it was ready.
func (s *Server) obituary() error {
	words := s.lastWords()
	// The texts are PostgreSQL's own (miscinit.c, CreateLockFile; pg_shmem.c).
	if strings.Contains(words, "lock file") || strings.Contains(words, "is still in use") {
		return fmt.Errorf("%w; its log ends: %s", errPredecessor, words)
	}
	return fmt.Errorf("it ended (%w); its log ends: %s", s.process.err, words)
}

// recovering tells that the server is there but not open yet: 57P03 is
// cannot_connect_now.
func recovering(err error) bool {
	pqErr, ok := errors.AsType[*pq.Error](err)
	return ok && pqErr.Code == "57P03"
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

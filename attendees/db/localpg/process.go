package localpg

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a program of PostgreSQL with all its offspring.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the program itself has ended
	err   error         // how it ended; to be read after that
	gone  chan struct{} // closed when its last descendant is gone too
}

// withoutCore runs a program that leaves no core dump, for one would hold names.
// The limit is set in a shell that then becomes the program, since limits belong to
// whole processes: set in ours it would be everybody's. systemd-coredump and apport
// obey it too.
const withoutCore = `ulimit -c 0 && exec "$0" "$@"`

// launch starts a program as the account, its output going to the file.
func launch(as account, output *os.File, program string, args ...string) (*process, error) {
	// Who inherits the writing end keeps it open for life, and so do the children
	// it forks: the reading end sees the end of the last of them.
	life, inherited, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", withoutCore, program}, args...)...)
	cmd.Dir = "/"
	// Our own environment holds secrets and perhaps PGPORT, PGTZ and the like, which
	// the server would take for its settings.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{inherited}
	attr := as.attr
	cmd.SysProcAttr = &attr

	p := &process{cmd: cmd, ended: make(chan struct{}), gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends a parent-death signal when the *thread* that forked ends
		// (prctl(2), PR_SET_PDEATHSIG), and Go ends idle threads: so this one is
		// kept for as long as the program lives.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.ended)
	}()
	err = <-started
	inherited.Close()
	if err != nil {
		life.Close()
		return nil, err
	}
	go func() {
		defer life.Close()
		_, _ = life.Read(make([]byte, 1)) // nobody writes: it returns at the end of the last
		<-p.ended
		close(p.gone)
	}()
	return p, nil
}

// signal sends a signal to the program; one that has ended takes none.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// waitGone tells whether program and offspring were gone in time.
func (p *process) waitGone(d time.Duration) bool {
	select {
	case <-p.gone:
		return true
	case <-time.After(d):
		return false
	}
}

package web

import (
	"context"
	"log/slog"
	"time"
)

// later does things after the answer was sent, one after the other, from memory: what
// it holds is gone when the process is killed, and was never on a disk.
type later struct {
	work chan func(context.Context) error
	done chan struct{}
	stop context.CancelFunc
	log  *slog.Logger
}

const (
	// maxLater bounds what waits. An office signing in at nine is far below it; who
	// floods the form fills it, and what does not fit is dropped.
	maxLater = 256
	// laterTimeout bounds one thing: a few queries.
	laterTimeout = 20 * time.Second
)

func startLater(log *slog.Logger) *later {
	ctx, stop := context.WithCancel(context.Background())
	l := &later{work: make(chan func(context.Context) error, maxLater), done: make(chan struct{}), stop: stop, log: log}
	go func() {
		defer close(l.done)
		for do := range l.work {
			each, cancel := context.WithTimeout(ctx, laterTimeout)
			if err := do(each); err != nil {
				log.Error("after an answer", "err", err)
			}
			cancel()
		}
	}()
	return l
}

// do puts something off. It never waits.
func (l *later) do(work func(context.Context) error) {
	select {
	case l.work <- work:
	default:
		l.log.Warn("too much is put off, so something is dropped", "waiting", maxLater)
	}
}

// close does the rest, until ctx ends. Nothing may be put off any more.
func (l *later) close(ctx context.Context) error {
	close(l.work)
	defer l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package web

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// later does things after the answer was sent, one after the other, from memory: what
// it holds is gone when the process is killed, and was never on a disk.
type later struct {
	work chan func(context.Context) error
	done chan struct{}
	stop context.CancelFunc
	log  *slog.Logger
	asks *shares // of networks

	mu     sync.Mutex
	closed bool
}

const (
	// maxLater bounds what waits. An office signing in at nine is far below it; what does
	// not fit is dropped.
	maxLater = 256
	// maxAsked bounds what waits for one network: who floods a form fills that, and leaves
	// room for others. More than a network may ask for in a minute is of no use to it.
	maxAsked = 30
	// laterTimeout bounds one thing: a few queries.
	laterTimeout = 20 * time.Second
)

func startLater(log *slog.Logger) *later {
	ctx, stop := context.WithCancel(context.Background())
	l := &later{work: make(chan func(context.Context) error, maxLater), done: make(chan struct{}), stop: stop, log: log, asks: newShares(maxAsked)}
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

// do puts something off, and tells whether it fits. It never waits.
func (l *later) do(work func(context.Context) error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.log.Warn("something is dropped that was put off when all had ended")
		return false
	}
	select {
	case l.work <- work:
		return true
	default:
		l.log.Warn("too much is put off, so something is dropped", "waiting", maxLater)
		return false
	}
}

// doFor puts something off that a network asks for. What is more than its share is
// dropped without a word: a flood would fill the log, too.
func (l *later) doFor(network string, work func(context.Context) error) {
	if !l.asks.take(network) {
		return
	}
	if !l.do(func(ctx context.Context) error {
		defer l.asks.leave(network)
		return work(ctx)
	}) {
		l.asks.leave(network)
	}
}

// close does the rest, until ctx ends. What is put off after that is dropped.
func (l *later) close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	close(l.work)
	l.mu.Unlock()
	defer l.stop()
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

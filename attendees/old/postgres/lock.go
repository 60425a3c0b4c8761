package postgres

import (
	"context"
	"fmt"
	"time"

	"lethe/attendees/old/attendees"
)

// locks bound how many locks of each kind this process holds at once. A lock that outlasts
// a transaction keeps a connection, and who holds it needs another for its work: if locks
// and those who wait for them took the whole pool, nobody could go on. So who waits keeps
// no connection, and together they take about half of maxConns.
type locks struct{ feeds, lives, teardowns chan struct{} }

func newLocks() locks {
	return locks{feeds: make(chan struct{}, 4), lives: make(chan struct{}, 8), teardowns: make(chan struct{}, 2)}
}

const (
	// lockRetry is after how long a lock is tried again, and twice as long each time, up to
	// lockRetryMost.
	lockRetry, lockRetryMost = 2 * time.Millisecond, 250 * time.Millisecond
	// unlockTimeout is for a database that has just gone away.
	unlockTimeout = 2 * time.Second
)

// LockFeed waits until nobody else reads the feed, and calls waiting once if it has
// to. The lock dies with its connection: there is no lease to expire too early, nor
// one to wait for after a kill. The caller must call unlock.
func (s *Store) LockFeed(ctx context.Context, name FeedName, waiting func()) (unlock func(), err error) {
	return s.lock(ctx, s.locks.feeds, "feed "+string(name), waiting)
}

// lockLife lets one at a time block or delete an event, or seal or erase one of its people.
func (s *Store) lockLife(ctx context.Context, id attendees.EventID) (unlock func(), err error) {
	return s.lock(ctx, s.locks.lives, "life of event "+string(id), func() {})
}

// lockTeardown lets one at a time take rooms out of a house.
func (s *Store) lockTeardown(ctx context.Context, h house) (unlock func(), err error) {
	return s.lock(ctx, s.locks.teardowns, "teardown of "+string(h), func() {})
}

func (s *Store) lock(ctx context.Context, held chan struct{}, name string, waiting func()) (unlock func(), err error) {
	for wait := lockRetry; ; wait = min(2*wait, lockRetryMost) {
		if unlock, err = s.tryLock(ctx, held, name); unlock != nil || err != nil {
			return unlock, err
		}
		if wait == lockRetry {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the %s: %w", name, ctx.Err())
		case <-time.After(wait):
		}
	}
}

// tryLock gives nil where the lock is somebody else's.
func (s *Store) tryLock(ctx context.Context, held chan struct{}, name string) (unlock func(), err error) {
	select {
	case held <- struct{}{}:
	default:
		return nil, nil
	}
	conn, err := s.db.Connx(ctx)
	if err != nil {
		<-held
		return nil, quiet("lock the "+name, err)
	}
	release := func() {
		// A connection that cannot say goodbye is closed, and the lock with it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		_, _ = conn.ExecContext(ctx, `select pg_advisory_unlock_all()`)
		_ = conn.Close()
		<-held
	}
	var got bool
	err = conn.GetContext(ctx, &got, `select pg_try_advisory_lock(hashtextextended($1, 0))`, name)
	if err != nil || !got {
		release()
		return nil, quiet("lock the "+name, err)
	}
	return release, nil
}

package retention_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/seal"
)

// crowd is how many people the benchmarks block and delete.
const crowd = 200_000

// stage makes a database once; each run has a copy of it.
type stage struct {
	*testing.B
	template string
	officer  seal.Officer
	now      time.Time
}

func newStage(b *testing.B, set func(w *coretest.World)) *stage {
	b.Helper()
	w := coretest.New(b)
	w.Link("1")
	w.Many("1", crowd)
	if err := w.Retention.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	past(w, "1")
	set(w)
	if _, err := w.Pool.Exec(`vacuum analyze`); err != nil {
		b.Fatal(err)
	}
	s := &stage{b, pgtest.Name(b, w.Pool), w.Officer, w.Now}
	if err := w.Pool.Close(); err != nil {
		b.Fatal(err)
	}
	return s
}

// pool connects to a fresh copy.
func (s *stage) pool() *sqlx.DB {
	s.Helper()
	pool, err := db.Open(pgtest.Server(s.B).URL(pgtest.Copy(s.B, s.template)))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { pool.Close() })
	return pool
}

func (s *stage) world() *coretest.World {
	s.Helper()
	w := coretest.Again(s.B, s.pool(), s.officer)
	w.Now = s.now
	return w
}

// timed is how long something takes.
func (s *stage) timed(do func() error) time.Duration {
	s.Helper()
	began := time.Now()
	if err := do(); err != nil {
		s.Fatal(err)
	}
	return time.Since(began)
}

// locked asks every few milliseconds for an event's row, as each writer does, and for the
// keys, as each reader does, without waiting for them, until stop, which gives the longest
// that they were not to be had.
func locked(w *coretest.World) (stop func() time.Duration) {
	done, longest := make(chan struct{}), make(chan time.Duration)
	free := func() bool {
		err := db.InTx(w.Context(), w.Pool, func(tx db.Tx) error {
			if _, err := db.Exec(w.Context(), tx, `lock table keys in access share mode nowait`); err != nil {
				return err
			}
			_, err := db.Exec(w.Context(), tx, `select from events where source_id = '1' for update nowait`)
			return err
		})
		var refused *pq.Error
		if err != nil && !(errors.As(err, &refused) && refused.Code == "55P03") {
			w.Error(err)
		}
		return err == nil
	}
	go func() {
		var since time.Time // zero: they are free
		var worst time.Duration
		for {
			select {
			case <-done:
				longest <- worst
				return
			case <-time.After(2 * time.Millisecond):
			}
			began := time.Now()
			switch is := free(); {
			case !is && since.IsZero():
				since = began
			case is && !since.IsZero():
				worst, since = max(worst, began.Sub(since)), time.Time{}
			}
		}
	}()
	return func() time.Duration {
		close(done)
		return <-longest
	}
}

// BenchmarkBlock blocks an event of 200,000 people, half of whom agreed, while others want
// its row and its keys.
func BenchmarkBlock(b *testing.B) {
	s := newStage(b, func(*coretest.World) {})
	var prepare, commit, cleanUp, longest time.Duration
	for b.Loop() {
		b.StopTimer()
		w := s.world()
		stop := locked(w)
		b.StartTimer()
		prepare += s.timed(func() error { return w.Retention.Prepare(b.Context(), "1") })
		commit += s.timed(func() error { return w.Retention.Commit(b.Context(), "1") })
		cleanUp += s.timed(func() error { return w.Retention.CleanUp(b.Context(), "1") })
		longest = max(longest, stop())
	}
	b.ReportMetric((prepare+commit).Seconds()/float64(b.N), "s/prepare+commit")
	b.ReportMetric(cleanUp.Seconds()/float64(b.N), "s/cleanup")
	b.ReportMetric(float64(commit.Milliseconds())/float64(b.N), "ms/commit")
	b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-lock")
}

// BenchmarkDelete deletes an event that 200,000 people registered for, with the ledger, and
// compares that with a bare delete of the same rows.
func BenchmarkDelete(b *testing.B) {
	s := newStage(b, func(w *coretest.World) {
		if _, err := w.Pool.Exec(`delete from links`); err != nil { // so that all are kept
			b.Fatal(err)
		}
		if err := w.Retention.Block(b.Context(), "1"); err != nil {
			b.Fatal(err)
		}
		w.Now = time.Date(2040, 1, 1, 12, 0, 0, 0, time.UTC)
	})
	var ours, bare time.Duration
	for b.Loop() {
		b.StopTimer()
		plain, w := s.pool(), s.world()
		b.StartTimer()
		bare += s.timed(func() error {
			_, err := plain.Exec(`delete from records; delete from attendees`)
			return err
		})
		ours += s.timed(func() error {
			n, err := w.Retention.Delete(b.Context(), "1")
			if n != crowd {
				b.Errorf("%d people were deleted, want %d", n, crowd)
			}
			return err
		})
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/delete")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "×bare")
}

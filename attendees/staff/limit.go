package staff

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"lethe/attendees/db"
)

// Limit bounds how often something may be done: Most times within each of any length.
// The zero Limit allows nothing.
type Limit struct {
	Most   int
	Within time.Duration // a day at most: older times are forgotten
}

// limitsFor is how long it is known that somebody asked, under a keyed hash alone.
const limitsFor = 24 * time.Hour

// Allow tells whether what somebody asks for stays within all limits, and counts it if
// so: what is refused does not put off the next. What and who are kept as a keyed hash.
func (s *Store) Allow(ctx context.Context, what, who string, limits ...Limit) (bool, error) {
	most, within := make(pq.Int64Array, len(limits)), make(pq.Float64Array, len(limits))
	for i, l := range limits {
		if l.Most == 0 {
			return false, nil
		}
		most[i], within[i] = int64(l.Most), l.Within.Seconds()
	}
	now := s.now()
	var allowed bool
	// One statement, so that its row's lock counts those who ask at once, too.
	err := s.pool.GetContext(ctx, &allowed, `
		insert into limits (key, times, last_at)
		values ($1, array[$2::timestamptz], $2)
		on conflict (key) do update set
			times = array(select t from unnest(limits.times) as t where t > $3) || excluded.times,
			last_at = excluded.last_at
		where not exists (
			select from unnest($4::int[], $5::float[]) as l (most, within)
			where most <= (
				select count(*) from unnest(limits.times) as t
				where t > $2 - make_interval(secs => within)))
		returning true`, s.keyed(limitUse, what+"\x00"+who)[0], now, now.Add(-limitsFor), most, within)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return allowed, db.Failed("look at a limit", err)
}

// DropSpent drops limits that are older than a day, and links and sessions that have ended.
func (s *Store) DropSpent(ctx context.Context) error {
	now := s.now()
	if err := db.InTx(ctx, s.pool, func(tx db.Tx) error { return db.Believe(ctx, tx, now) }); err != nil {
		return err
	}
	for _, d := range []struct {
		what, by string
		before   any
	}{
		{"limits", `delete from limits where last_at < $1`, now.Add(-limitsFor)},
		{"sign-in links", `delete from signins where expires_at < $1`, now},
	} {
		if _, err := s.pool.ExecContext(ctx, d.by, d.before); err != nil {
			return db.Failed("drop old "+d.what, err)
		}
	}
	_, err := s.pool.ExecContext(ctx, `delete from sessions where expires_at < now()`)
	return db.Failed("drop old sessions", err)
}

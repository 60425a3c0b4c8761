package postgres

import (
	"context"
	"fmt"
	"time"
)

// maxSkew is how far the host's clock may be from the database's: a purge must not come
// early because one machine's clock is wrong.
const maxSkew = 10 * time.Minute

// CheckClock refuses to believe the clock where it differs from the database's, or
// stands before the ledger's newest entry. A simulated clock is compared with the
// ledger alone.
func (s *Store) CheckClock(ctx context.Context, simulated bool) error {
	now := s.now()
	if !simulated {
		theirs, err := s.Now(ctx)
		if err != nil {
			return err
		}
		if d := now.Sub(theirs).Abs(); d > maxSkew {
			return fmt.Errorf("this machine's clock and the database's are %s apart: nothing is blocked or deleted until one of them is right again", d.Round(time.Second))
		}
	}
	_, last, err := s.ledgerHead(ctx, s.db)
	if err == nil && now.UTC().Truncate(time.Second).Before(last) {
		err = ErrClock
	}
	return err
}

// At is the same store at another time, to look at a plan as it will stand then.
func (s *Store) At(now func() time.Time) *Store {
	then := *s
	then.now = now
	return &then
}

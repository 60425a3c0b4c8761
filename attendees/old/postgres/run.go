package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// Run is what one sweep did, or, where it leaves events to jobs, asked for: each has an
// entry of its own in the ledger.
type Run struct {
	Block, Delete int // events
	Tidied
}

// recorded is the mark that says when a run was last written into the ledger.
const recorded Mark = "run recorded"

// idleEvery is how often a run that did nothing is recorded: that it came by is worth a
// line a day.
const idleEvery = 24 * time.Hour

// EndRun notes that a sweep has come by, and records what it did.
func (s *Store) EndRun(ctx context.Context, r Run) error {
	if err := s.SetMark(ctx, Swept); err != nil {
		return err
	}
	last, err := s.Marked(ctx, recorded)
	if err != nil || r == (Run{}) && s.now().Sub(last) < idleEvery {
		return err
	}
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Run, Counts: map[string]int64{
			"block": int64(r.Block), "delete": int64(r.Delete),
			"released": int64(r.Released), "halves": int64(r.Halves), "rewritten": int64(r.Rewritten),
		}})
		return err
	})
	if err != nil {
		return err
	}
	return s.SetMark(ctx, recorded)
}

// Sealing tells how far the blocking of an event has come: how many registrations are
// sealed, of how many that are held.
func (s *Store) Sealing(ctx context.Context, id attendees.EventID) (sealed, of int, err error) {
	err = s.db.QueryRowxContext(ctx, `
		select (select count(*) from sealed where event_id = $1 and part = 'registration'),
			(select count(*) from attendees where event_id = $1)`, eventKey(attendees.Eventbrite, id)).Scan(&sealed, &of)
	return sealed, of, quiet("look how far a blocking is", err)
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/jmoiron/sqlx"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/seal"
)

// Replayed is what a replay did again.
type Replayed struct {
	Entries int // that the backup did not have
	Holds   int
	Waiting int // holds of registrations that the backup does not have
	Sealing int // who was restricted, or erased in part, and comes in sealed with the next pull
	Erased  int
	Lost    int // what the ledger alone cannot do again: staff are asked
	Blocked []Redone
	Deleted []Redone
	Kept    []attendees.EventID // to be deleted, and held by now: deleted when the hold is released
}

// Redone is one event with whom it concerned.
type Redone struct {
	Event  attendees.EventID
	People int
}

// Replay brings a restored backup up to date with a copy of the ledger. The entries that it
// lacks go back byte for byte, then what they say is done again, by what they say alone:
// see redo.steps. Last of all the rooms are written anew, so that no file has a name.
// Everybody is signed out, and no link that was mailed before is good any more.
//
// It may be cut off anywhere and goes on when it is called again. From its first write to
// its last CheckCopy and CheckConfirmed refuse, with ErrReplaying. A sealer is wanted where
// an event is to be blocked again: without one, nothing is written. An erasure that cannot
// be done again, since its opening is gone, becomes a task for staff.
func (s *Store) Replay(ctx context.Context, f ledger.File, sealer *seal.Sealer) (Replayed, error) {
	unlock, err := s.LockFeed(ctx, "replay", func() {})
	if err != nil {
		return Replayed{}, err
	}
	defer unlock()
	c, err := f.Read()
	if errors.Is(err, os.ErrNotExist) {
		return Replayed{}, ErrNoCopy
	}
	if err != nil {
		return Replayed{}, err
	}
	v, err := s.Verifiers()
	if err != nil {
		return Replayed{}, err
	}
	if _, err := c.Verify(v); err != nil {
		return Replayed{}, ledger.Apart(err)
	}
	openings, err := f.Openings()
	if err != nil {
		return Replayed{}, err
	}
	r := redo{Store: s, sealer: sealer}
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		if err := s.putBack(ctx, tx, c, v); err != nil {
			return err
		}
		return r.begin(ctx, tx, openings)
	})
	if err != nil || len(r.entries) == 0 {
		return Replayed{}, err
	}
	for _, step := range r.steps() {
		if err := step(ctx); err != nil {
			return r.done, err
		}
	}
	if _, err := s.Tidy(ctx); err != nil {
		return r.done, err
	}
	return r.done, s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `delete from marks where name = $1`, Replaying); err != nil {
			return quiet("end a replay", err)
		}
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Replayed, Counts: map[string]int64{
			"entries": int64(r.done.Entries), "erased": int64(r.done.Erased), "holds": int64(r.done.Holds), "lost": int64(r.done.Lost),
		}})
		return err
	})
}

// putBack appends the entries that the table lacks, with their hashes and checkpoints, and
// marks that they are yet to be done again, in the same transaction. A backup that was made
// while another one was replayed has such a mark already: both are done then.
func (s *Store) putBack(ctx context.Context, tx *sqlx.Tx, c ledger.Copy, v *ledger.Verifiers) error {
	if _, err := tx.ExecContext(ctx, `lock table ledger_entries in share row exclusive mode`); err != nil {
		return quiet("lock the ledger", err)
	}
	size, _, err := s.ledgerHead(ctx, tx)
	if err != nil {
		return err
	}
	if size >= int64(len(c.Leaves)) {
		return s.book.CompareCopy(ctx, c, size)
	}
	var have []string
	if err := tx.SelectContext(ctx, &have, `select leaf from ledger_entries order by index`); err != nil {
		return quiet("read the ledger", err)
	}
	for i, leaf := range have {
		if leaf != string(c.Leaves[i]) {
			return ledger.Apart(&ledger.Damage{Entry: int64(i), What: "the database and the ledger's copy differ"})
		}
	}
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return readHashes(ctx, tx, indexes) })
	for i := size; i < int64(len(c.Leaves)); i++ {
		if err := s.book.Append(ctx, tx, i, c.Leaves[i], stored); err != nil {
			return err
		}
	}
	for _, signed := range c.Checkpoints {
		cp, err := v.Open(signed)
		if err != nil {
			return err
		}
		if cp.Size <= size {
			continue
		}
		if _, err := tx.ExecContext(ctx, `insert into ledger_checkpoints (size, note) values ($1, $2)`, cp.Size, signed); err != nil {
			return quiet("put checkpoints back", err)
		}
	}
	// Who signed out since, was removed, or used a link up, the backup does not know.
	for _, table := range []string{"sessions", "signins", "visits"} {
		if _, err := tx.ExecContext(ctx, `delete from `+table); err != nil {
			return quiet("sign everybody out", err)
		}
	}
	from, _, err := s.replaying(ctx, tx)
	if err != nil {
		return err
	}
	return s.setMark(ctx, tx, Replaying, fmt.Sprint(min(from, size), " ", len(c.Leaves)))
}

// replaying are the entries that are to be done again: those from one on, until another.
// Both are the ledger's size where there is nothing to do.
func (s *Store) replaying(ctx context.Context, tx *sqlx.Tx) (from, until int64, err error) {
	var span string
	err = tx.GetContext(ctx, &span, `select value from marks where name = $1`, Replaying)
	if errors.Is(err, sql.ErrNoRows) {
		size, _, err := s.ledgerHead(ctx, tx)
		return size, size, err
	}
	if err != nil {
		return 0, 0, quiet("read a mark", err)
	}
	if _, err := fmt.Sscan(span, &from, &until); err != nil {
		return 0, 0, fmt.Errorf("the mark of a replay under way reads %q, and wants two numbers", span)
	}
	return from, until, nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/ledger"
)

// Copied is the mark that a copy of the ledger is kept, of how many entries, and when
// that was last confirmed.
const Copied Mark = "copied"

// Why workers and pages stay off.
var (
	// ErrRestored says that the database is older than the ledger's copy.
	ErrRestored = errors.New("the database is older than the ledger's copy, so a backup was restored, and with it people who were erased or deleted since: run `lethe ledger replay`, which does again what the copy says was done")
	// ErrNoCopy says that the ledger's copy is missing.
	ErrNoCopy = errors.New("the ledger's copy (LETHE_LEDGER) is missing: put it back, or run `lethe ledger replay --from FILE` with one kept elsewhere; if it is truly lost, `lethe ledger adopt --reason …`")
	// ErrReplaying says that a restored backup is not brought up to date yet.
	ErrReplaying = errors.New("a backup was restored, and doing again what was done since was cut off: run `lethe ledger replay` once more, it goes on")
	// ErrUnconfirmed says that nobody has compared the ledger with its copy for too long.
	ErrUnconfirmed = errors.New("LETHE_LEDGER is none here, and no machine that keeps the ledger's copy has confirmed it for two hours: start that one first")
)

// CheckCopy compares the ledger with its copy: ErrReplaying, ErrRestored, ErrNoCopy, or a
// *ledger.Damage where the two have grown apart. A copy that is behind is no fault.
func (s *Store) CheckCopy(ctx context.Context, f ledger.File) error {
	if err := s.checkReplaying(ctx); err != nil {
		return err
	}
	// The copy first: it may grow meanwhile, behind the ledger, never before it.
	c, missing := f.Read()
	if missing != nil && !errors.Is(missing, os.ErrNotExist) {
		return missing
	}
	size, _, err := s.ledgerHead(ctx, s.db)
	if err != nil {
		return err
	}
	if missing == nil {
		return s.compare(ctx, c, size)
	}
	since, err := s.Marked(ctx, Copied)
	if err == nil && !since.IsZero() && size > 0 {
		err = ErrNoCopy
	}
	return err
}

func (s *Store) compare(ctx context.Context, c ledger.Copy, size int64) error {
	n := int64(len(c.Leaves))
	if n == 0 {
		return nil
	}
	v, err := s.Verifiers()
	if err != nil {
		return err
	}
	head, err := v.Open(c.Checkpoints[len(c.Checkpoints)-1])
	if err != nil || head.Size != n {
		return apart(&ledger.Damage{Entry: n - 1, What: "the checkpoint after it is not this ledger's"})
	}
	if n > size {
		return ErrRestored
	}
	root, err := tlog.TreeHash(n, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return readHashes(ctx, s.db, indexes) }))
	if err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	if root != head.Root {
		return apart(&ledger.Damage{Entry: n - 1, What: "up to it the two differ"})
	}
	return nil
}

// apart says what to do where the ledger and its copy differ.
func apart(damage error) error {
	return fmt.Errorf("the ledger and its copy have grown apart, so one of them was damaged or tampered with: `lethe ledger verify` tells which. "+
		"Where it is the copy, put back another one of it, or have it written anew with `lethe ledger adopt --reason …`; "+
		"where it is the database, restore a backup: %w", damage)
}

func (s *Store) checkReplaying(ctx context.Context) error {
	since, err := s.Marked(ctx, Replaying)
	if err == nil && !since.IsZero() {
		err = ErrReplaying
	}
	return err
}

// CopyLedger lets the copy grow by what was recorded since, and notes that it was
// confirmed.
func (s *Store) CopyLedger(ctx context.Context, f ledger.File) error {
	if err := s.CheckCopy(ctx, f); err != nil {
		return err
	}
	return s.growCopy(ctx, f)
}

// RestoreCopy writes a missing copy anew. It is for after a Replay from one that was kept
// elsewhere, which has shown that the ledger has everything; a copy that is there grows.
func (s *Store) RestoreCopy(ctx context.Context, f ledger.File) error {
	if err := s.CheckCopy(ctx, f); err != nil && !errors.Is(err, ErrNoCopy) {
		return err
	}
	return s.growCopy(ctx, f)
}

func (s *Store) growCopy(ctx context.Context, f ledger.File) error {
	size, _, err := s.ledgerHead(ctx, s.db)
	if err != nil || size == 0 {
		return err
	}
	v, err := s.Verifiers()
	if err != nil {
		return err
	}
	err = f.Append(func(have [][]byte) ([]ledger.Group, []ledger.Opening, error) {
		// Read while the file is held, so that the last who writes knows the most.
		t, err := s.Ledger(ctx)
		if err != nil {
			return nil, nil, err
		}
		if _, err := ledger.Compare(t.Leaves, have); err != nil {
			return nil, nil, apart(err)
		}
		size = int64(len(t.Leaves))
		groups, err := t.Groups(int64(len(have)), v)
		return groups, t.Openings, err
	})
	if err != nil {
		return err
	}
	return s.setMark(ctx, s.db, Copied, strconv.FormatInt(size, 10))
}

// confirmedFor is how long the keeper's confirmation is good for the machines that keep
// no copy.
const confirmedFor = 2 * time.Hour

// CheckConfirmed is for machines that keep no copy: it wants the keeper's confirmation,
// younger than two hours, else ErrUnconfirmed; or ErrReplaying.
func (s *Store) CheckConfirmed(ctx context.Context) error {
	if err := s.checkReplaying(ctx); err != nil {
		return err
	}
	size, _, err := s.ledgerHead(ctx, s.db)
	if err != nil || size == 0 {
		return err
	}
	at, err := s.Marked(ctx, Copied)
	if err == nil && s.now().Sub(at) > confirmedFor {
		err = ErrUnconfirmed
	}
	return err
}

// AdoptLedger gives a lost copy up: the next one begins with the ledger as it is. Its entry
// alone may be older than the one before it, for where that was made by a wrong clock.
func (s *Store) AdoptLedger(ctx context.Context, reason string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `delete from marks where name = $1`, Copied); err != nil {
			return quiet("give a lost copy up", err)
		}
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Adopted, Reason: reason})
		return err
	})
}

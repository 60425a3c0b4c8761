package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/db"
)

// Replaying is the mark that is set while a restored backup is being brought up to date, and
// tells which entries are done again: "FROM UNTIL".
const Replaying db.Mark = "replaying"

func (s *Store) marked(ctx context.Context, m db.Mark) (time.Time, error) {
	_, at, err := db.Marked(ctx, s.pool, m)
	return at, err
}

// Copied is the mark that a copy of the ledger is kept, of how many entries, and when
// that was last confirmed.
const Copied db.Mark = "copied"

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
// *Damage where the two have grown apart. A copy that is behind is no fault.
func (s *Store) CheckCopy(ctx context.Context, f File) error {
	if err := s.checkReplaying(ctx); err != nil {
		return err
	}
	// The copy first: it may grow meanwhile, behind the ledger, never before it.
	c, missing := f.Read()
	if missing != nil && !errors.Is(missing, os.ErrNotExist) {
		return missing
	}
	size, _, err := s.Head(ctx, s.pool)
	if err != nil {
		return err
	}
	if missing == nil {
		return s.CompareCopy(ctx, c, size)
	}
	since, err := s.marked(ctx, Copied)
	if err == nil && !since.IsZero() && size > 0 {
		err = ErrNoCopy
	}
	return err
}

// CompareCopy looks whether a copy of up to size entries is the beginning of the ledger.
func (s *Store) CompareCopy(ctx context.Context, c Copy, size int64) error {
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
		return Apart(&Damage{Entry: n - 1, What: "the checkpoint after it is not this ledger's"})
	}
	if n > size {
		return ErrRestored
	}
	root, err := tlog.TreeHash(n, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return ReadHashes(ctx, s.pool, indexes) }))
	if err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	if root != head.Root {
		return Apart(&Damage{Entry: n - 1, What: "up to it the two differ"})
	}
	return nil
}

// Apart says what to do where the ledger and its copy differ.
func Apart(damage error) error {
	return fmt.Errorf("the ledger and its copy have grown apart, so one of them was damaged or tampered with: `lethe ledger verify` tells which. "+
		"Where it is the copy, put back another one of it, or have it written anew with `lethe ledger adopt --reason …`; "+
		"where it is the database, restore a backup: %w", damage)
}

func (s *Store) checkReplaying(ctx context.Context) error {
	since, err := s.marked(ctx, Replaying)
	if err == nil && !since.IsZero() {
		err = ErrReplaying
	}
	return err
}

// GrowCopy appends to the copy what was recorded since, and notes that it was
// confirmed.
func (s *Store) GrowCopy(ctx context.Context, f File) error {
	if err := s.CheckCopy(ctx, f); err != nil {
		return err
	}
	return s.growCopy(ctx, f)
}

// RestoreCopy writes a missing copy again. It is for after a Replay from one that was kept
// elsewhere, which has shown that the ledger has everything; a copy that is there grows.
func (s *Store) RestoreCopy(ctx context.Context, f File) error {
	if err := s.CheckCopy(ctx, f); err != nil && !errors.Is(err, ErrNoCopy) {
		return err
	}
	return s.growCopy(ctx, f)
}

func (s *Store) growCopy(ctx context.Context, f File) error {
	size, _, err := s.Head(ctx, s.pool)
	if err != nil || size == 0 {
		return err
	}
	v, err := s.Verifiers()
	if err != nil {
		return err
	}
	err = f.Append(func(have [][]byte) ([]Group, []Opening, error) {
		// Read while the file is held, so that the last who writes knows the most.
		t, err := s.Read(ctx)
		if err != nil {
			return nil, nil, err
		}
		if _, err := Compare(t.Leaves, have); err != nil {
			return nil, nil, Apart(err)
		}
		size = int64(len(t.Leaves))
		groups, err := t.Groups(int64(len(have)), v)
		return groups, t.Openings, err
	})
	if err != nil {
		return err
	}
	return db.SetMark(ctx, s.pool, Copied, strconv.FormatInt(size, 10), s.now())
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
	size, _, err := s.Head(ctx, s.pool)
	if err != nil || size == 0 {
		return err
	}
	at, err := s.marked(ctx, Copied)
	if err == nil && s.now().Sub(at) > confirmedFor {
		err = ErrUnconfirmed
	}
	return err
}

// Adopt gives a lost copy up: the next one begins with the ledger as it is. Its entry
// alone may be older than the one before it, for where that was made by a wrong clock.
func (s *Store) Adopt(ctx context.Context, reason string) error {
	return db.InTx(ctx, s.pool, func(tx db.Tx) error {
		if _, err := tx.ExecContext(ctx, `delete from marks where name = $1`, Copied); err != nil {
			return db.Failed("give a lost copy up", err)
		}
		_, err := s.Record(ctx, tx, Entry{Kind: Adopted, Reason: reason})
		return err
	})
}

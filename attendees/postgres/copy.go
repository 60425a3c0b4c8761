package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees"
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
)

// verifiers knows the keys of this store's ledger.
func (s *Store) verifiers() (*ledger.Verifiers, error) {
	keys, err := s.LedgerKeys()
	if err != nil {
		return nil, err
	}
	return ledger.NewVerifiers(keys...)
}

// CheckCopy compares the ledger with its copy: ErrRestored, ErrNoCopy, or a
// *ledger.Damage where the two have grown apart. A copy that is behind is no fault.
func (s *Store) CheckCopy(ctx context.Context, f ledger.File) error {
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
	v, err := s.verifiers()
	if err != nil {
		return err
	}
	head, err := v.Open(c.Checkpoints[len(c.Checkpoints)-1])
	if err != nil || head.Size != n {
		return fmt.Errorf("the ledger's copy: %w", &ledger.Damage{Entry: n - 1, What: "the checkpoint after it is not this ledger's"})
	}
	if n > size {
		return ErrRestored
	}
	root, err := tlog.TreeHash(n, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return readHashes(ctx, s.db, indexes) }))
	if err != nil {
		return fmt.Errorf("the ledger: %w", err)
	}
	if root != head.Root {
		return fmt.Errorf("the ledger and its copy have grown apart, so one of them was tampered with: `lethe ledger verify` tells where: %w",
			&ledger.Damage{Entry: n - 1, What: "up to it the two differ"})
	}
	return nil
}

// CopyLedger lets the copy grow by what was recorded since, and notes that it was
// confirmed.
func (s *Store) CopyLedger(ctx context.Context, f ledger.File) error {
	t, err := s.Ledger(ctx)
	if err != nil || len(t.Leaves) == 0 {
		return err
	}
	if err := s.CheckCopy(ctx, f); err != nil {
		return err
	}
	v, err := s.verifiers()
	if err != nil {
		return err
	}
	err = f.Append(func(have [][]byte) ([]ledger.Group, []ledger.Opening, error) {
		if _, err := ledger.Compare(t.Leaves, have); err != nil {
			return nil, nil, err
		}
		groups, err := t.Groups(int64(len(have)), v)
		if err != nil {
			return nil, nil, err
		}
		openings, err := s.openings(ctx, int64(len(have)))
		return groups, openings, err
	})
	if err != nil {
		return err
	}
	kept, err := s.openings(ctx, 0)
	if err != nil {
		return err
	}
	if err := f.KeepOpenings(kept); err != nil {
		return err
	}
	return s.setMark(ctx, Copied, strconv.Itoa(len(t.Leaves)))
}

func (s *Store) openings(ctx context.Context, from int64) ([]ledger.Opening, error) {
	var rows []struct {
		Index   int64  `db:"index"`
		Salt    []byte `db:"salt"`
		KeyedID []byte `db:"keyed_id"`
	}
	err := s.db.SelectContext(ctx, &rows, `select index, salt, keyed_id from openings where index >= $1 order by index`, from)
	openings := make([]ledger.Opening, len(rows))
	for i, r := range rows {
		openings[i] = ledger.Opening(r)
	}
	return openings, quiet("read openings", err)
}

// confirmedFor is how long the keeper's confirmation is good for the machines that keep
// no copy.
const confirmedFor = 2 * time.Hour

// CheckConfirmed is for machines that keep no copy: it wants the keeper's confirmation,
// younger than two hours.
func (s *Store) CheckConfirmed(ctx context.Context) error {
	size, _, err := s.ledgerHead(ctx, s.db)
	if err != nil || size == 0 {
		return err
	}
	at, err := s.Marked(ctx, Copied)
	if err == nil && s.now().Sub(at) > confirmedFor {
		err = errors.New("LETHE_LEDGER is none here, and no machine that keeps the ledger's copy has confirmed it for two hours: start that one first")
	}
	return err
}

// AdoptLedger gives a lost copy up: the next one begins with the ledger as it is.
func (s *Store) AdoptLedger(ctx context.Context, reason string) error {
	return s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `delete from marks where name = $1`, Copied); err != nil {
			return quiet("give a lost copy up", err)
		}
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Adopted, Reason: reason})
		return err
	})
}

// Replayed is what a replay did again.
type Replayed struct {
	Entries                          int // put back
	Holds, Erased, ToBlock, ToDelete int
	blocked, deleted                 []attendees.EventID
}

// Events are those that were blocked, and deleted, after the backup was made.
func (r Replayed) Events() (blocked, deleted []attendees.EventID) { return r.blocked, r.deleted }

// Replay brings a restored backup up to date with a copy of the ledger: the entries that
// it lacks go back byte for byte, then holds and erasures are done again. Which events
// have to be blocked and deleted again it returns: the caller does that next, with Block
// and Delete. It may be run again after it was cut off.
func (s *Store) Replay(ctx context.Context, f ledger.File) (Replayed, error) {
	var r Replayed
	v, err := s.verifiers()
	if err != nil {
		return r, err
	}
	c, err := f.Read()
	if err != nil {
		return r, err
	}
	if _, err := c.Verify(v); err != nil {
		return r, fmt.Errorf("the ledger's copy: %w", err)
	}
	openings, err := f.Openings()
	if err != nil {
		return r, err
	}
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `lock table ledger_entries in share row exclusive mode`); err != nil {
			return quiet("lock the ledger", err)
		}
		size, _, err := s.ledgerHead(ctx, tx)
		if err != nil {
			return err
		}
		if size >= int64(len(c.Leaves)) {
			return s.compare(ctx, c, size)
		}
		var have []string
		if err := tx.SelectContext(ctx, &have, `select leaf from ledger_entries order by index`); err != nil {
			return quiet("read the ledger", err)
		}
		for i, leaf := range have {
			if leaf != string(c.Leaves[i]) {
				return &ledger.Damage{Entry: int64(i), What: "the database and the ledger's copy differ"}
			}
		}
		if err := s.putBack(ctx, tx, c, size, v, openings); err != nil {
			return err
		}
		r.Entries = len(c.Leaves) - int(size)
		return s.redo(ctx, tx, c.Leaves[size:], size, openings, &r)
	})
	if err != nil || r.Entries == 0 {
		return r, err
	}
	err = s.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := s.record(ctx, tx, ledger.Entry{Kind: ledger.Replayed, Counts: map[string]int64{
			"entries": int64(r.Entries), "erased": int64(r.Erased), "holds": int64(r.Holds),
		}})
		return err
	})
	return r, err
}

// putBack appends the entries that the table lacks, with their hashes and checkpoints.
func (s *Store) putBack(ctx context.Context, tx *sqlx.Tx, c ledger.Copy, size int64, v *ledger.Verifiers, openings map[int64]ledger.Opening) error {
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return readHashes(ctx, tx, indexes) })
	for i := size; i < int64(len(c.Leaves)); i++ {
		if err := s.append(ctx, tx, i, c.Leaves[i], stored); err != nil {
			return err
		}
		if o, ok := openings[i]; ok {
			_, err := tx.ExecContext(ctx, `
				insert into openings (index, salt, keyed_id, made_on)
				values ($1, $2, $3, $4)
				on conflict do nothing`, i, o.Salt, o.KeyedID, s.today())
			if err != nil {
				return quiet("put openings back", err)
			}
		}
	}
	for _, signed := range c.Checkpoints {
		cp, err := v.Open(signed)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `insert into ledger_checkpoints (size, note) values ($1, $2) on conflict do nothing`, cp.Size, signed)
		if err != nil {
			return quiet("put checkpoints back", err)
		}
	}
	return nil
}

// redo does again what entries say was done: holds first, then erasures.
func (s *Store) redo(ctx context.Context, tx *sqlx.Tx, leaves [][]byte, first int64, openings map[int64]ledger.Opening, r *Replayed) error {
	entries := make([]ledger.Entry, len(leaves))
	for i, leaf := range leaves {
		var err error
		if entries[i], err = ledger.ParseEntry(leaf); err != nil {
			return &ledger.Damage{Entry: first + int64(i), What: err.Error()}
		}
	}
	for i, e := range entries {
		if e.Kind != ledger.HoldAdded && e.Kind != ledger.HoldEnded {
			continue
		}
		if err := s.redoHold(ctx, tx, e, openings[first+int64(i)]); err != nil {
			return err
		}
		r.Holds++
	}
	for i, e := range entries {
		id := attendees.EventID(e.Event)
		switch e.Kind {
		case ledger.Erased:
			o, ok := openings[first+int64(i)]
			if !ok || !o.Opens(e) {
				return &ledger.Damage{Entry: first + int64(i), What: "its opening is missing beside the ledger's copy, so it is not known whom to erase again"}
			}
			if err := s.redoErasure(ctx, tx, id, o.KeyedID); err != nil {
				return err
			}
			r.Erased++
		case ledger.Blocked:
			r.blocked = append(r.blocked, id)
		case ledger.Deleted:
			r.deleted = append(r.deleted, id)
		}
	}
	r.ToBlock, r.ToDelete = len(r.blocked), len(r.deleted)
	return nil
}

func (s *Store) redoHold(ctx context.Context, tx *sqlx.Tx, e ledger.Entry, o ledger.Opening) error {
	event := eventKey(attendees.Eventbrite, attendees.EventID(e.Event))
	var whom any
	if e.Person != nil {
		key, ok, err := s.whose(ctx, tx, attendees.EventID(e.Event), o.KeyedID)
		if err != nil || !ok {
			return err // not in the backup, so there is nobody to hold
		}
		whom = key.String()
	}
	if e.Kind == ledger.HoldEnded {
		_, err := tx.ExecContext(ctx, `
			update holds
			set released_at = $4
			where id = (
				select min(id) from holds
				where event_id = $1 and attendee_id is not distinct from $2::uuid and reason = $3 and released_at is null)`,
			event, whom, e.Reason, e.At)
		return quiet("release a hold again", err)
	}
	var until any
	if e.Until != "" {
		until = e.Until
	}
	_, err := tx.ExecContext(ctx, `
		insert into holds (event_id, attendee_id, reason, until, added_by, added_at)
		values ($1, $2, $3, $4, '', $5)`, event, whom, e.Reason, until, e.At)
	return quiet("add a hold again", err)
}

// redoErasure sets the tombstone, and erases who came back with the backup.
func (s *Store) redoErasure(ctx context.Context, tx *sqlx.Tx, event attendees.EventID, keyedID []byte) error {
	e, err := s.Event(ctx, event)
	var unknown *UnknownEventError
	if errors.As(err, &unknown) {
		e.Key = eventKey(attendees.Eventbrite, event) // it was discovered after the backup
	} else if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		insert into tombstones (keyed_id, key, event_id, made_at)
		values ($1, $2, $3, $4)
		on conflict do nothing`, keyedID, s.keys.Newest(), e.Key, s.now())
	if err != nil {
		return quiet("set a tombstone again", err)
	}
	key, ok, err := s.whose(ctx, tx, event, keyedID)
	if err != nil || !ok {
		return err
	}
	var source attendees.AttendeeID
	if err := tx.GetContext(ctx, &source, `select source_id from attendees where id = $1`, key); err != nil {
		return quiet("find an attendee", err)
	}
	if _, err := s.recall(ctx, tx, e, key); err != nil {
		return err
	}
	return s.leaveForever(ctx, tx, e, source)
}

// whose finds the registration of an event that a keyed id is of.
func (s *Store) whose(ctx context.Context, tx *sqlx.Tx, event attendees.EventID, keyedID []byte) (key uuid.UUID, found bool, err error) {
	var rows []struct {
		ID     uuid.UUID `db:"id"`
		Source string    `db:"source_id"`
	}
	err = tx.SelectContext(ctx, &rows, `select id, source_id from attendees where event_id = $1`, eventKey(attendees.Eventbrite, event))
	if err != nil {
		return key, false, quiet("find an attendee", err)
	}
	for _, r := range rows {
		for _, id := range s.keys.KeyedIDs(string(attendees.Eventbrite), r.Source, "") {
			if string(id) == string(keyedID) {
				return r.ID, true, nil
			}
		}
	}
	return key, false, nil
}

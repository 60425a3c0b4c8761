package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// ErrClock says that the host's clock stands before what was already done.
var ErrClock = errors.New("the clock stands before the ledger's newest entry: nothing is recorded, blocked or deleted until it is right again; " +
	"if it is, and was wrong when that entry was made: `lethe ledger adopt --reason …`")

// signers sign the ledger's checkpoints, each with a secret's own key; the newest first.
func (s *Store) signers() ([]*ledger.Signer, error) {
	var signers []*ledger.Signer
	for _, seed := range s.keys.Derive(ledger.SeedUse) {
		signer, err := ledger.NewSigner(seed)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// LedgerKeys are the keys that verify the ledger's checkpoints, the newest first.
func (s *Store) LedgerKeys() ([]string, error) {
	signers, err := s.signers()
	var keys []string
	for _, signer := range signers {
		keys = append(keys, signer.Key())
	}
	return keys, err
}

// Verifiers know the keys of this store's ledger.
func (s *Store) Verifiers() (*ledger.Verifiers, error) {
	signers, err := s.signers()
	return ledger.OwnVerifiers(signers...), err
}

// record appends entries to the ledger and signs a checkpoint, in the transaction of
// what they record. It gives the index of the first of them.
func (s *Store) record(ctx context.Context, tx *sqlx.Tx, entries ...ledger.Entry) (first int64, err error) {
	signers, err := s.signers()
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `lock table ledger_entries in share row exclusive mode`); err != nil {
		return 0, quiet("lock the ledger", err)
	}
	size, last, err := s.ledgerHead(ctx, tx)
	if err != nil {
		return 0, err
	}
	now := s.now().UTC().Truncate(time.Second)
	if now.Before(last) && (len(entries) == 0 || entries[0].Kind != ledger.Adopted) {
		return 0, ErrClock
	}
	if err := s.believe(ctx, tx, now); err != nil {
		return 0, err
	}
	first = size
	if size == 0 {
		entries = append([]ledger.Entry{{Kind: ledger.Opened}}, entries...)
		first++
	}
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return readHashes(ctx, tx, indexes) })
	for _, e := range entries {
		e.At = now
		leaf, err := e.Leaf()
		if err != nil {
			return 0, err
		}
		if err := s.append(ctx, tx, size, leaf, stored); err != nil {
			return 0, err
		}
		size++
	}
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		return 0, fmt.Errorf("grow the ledger: %w", err)
	}
	signed, err := signers[0].Sign(ledger.Checkpoint{Size: size, Root: root})
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `insert into ledger_checkpoints (size, note) values ($1, $2)`, size, signed)
	return first, quiet("sign the ledger", err)
}

// append adds one leaf with the hashes that it brings.
func (s *Store) append(ctx context.Context, tx *sqlx.Tx, index int64, leaf []byte, stored tlog.HashReader) error {
	added, err := ledger.Grow(index, leaf, stored)
	if err != nil {
		return fmt.Errorf("grow the ledger: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `insert into ledger_entries (index, leaf) values ($1, $2)`, index, string(leaf)); err != nil {
		return quiet("append to the ledger", err)
	}
	hashes := make(pq.ByteaArray, len(added))
	for i := range added {
		hashes[i] = added[i][:]
	}
	_, err = tx.ExecContext(ctx, `
		insert into ledger_hashes (position, hash)
		select $1 + n - 1, hash
		from unnest($2::bytea[]) with ordinality as t (hash, n)`, tlog.StoredHashCount(index), hashes)
	return quiet("append to the ledger", err)
}

// LedgerTime is when the ledger's newest entry was made; the zero time: there is none.
func (s *Store) LedgerTime(ctx context.Context) (time.Time, error) {
	_, last, err := s.ledgerHead(ctx, s.db)
	return last, err
}

// ledgerHead is how many entries there are, and when the newest was made.
func (s *Store) ledgerHead(ctx context.Context, q sqlx.QueryerContext) (size int64, last time.Time, err error) {
	var leaf string
	err = q.QueryRowxContext(ctx, `select index + 1, leaf from ledger_entries order by index desc limit 1`).Scan(&size, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, quiet("read the ledger", err)
	}
	e, err := ledger.ParseEntry([]byte(leaf))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("the ledger's newest entry: %w: `lethe ledger verify` tells more", err)
	}
	return size, e.At, nil
}

func readHashes(ctx context.Context, q sqlx.QueryerContext, indexes []int64) ([]tlog.Hash, error) {
	var rows []struct {
		Position int64  `db:"position"`
		Hash     []byte `db:"hash"`
	}
	err := sqlx.SelectContext(ctx, q, &rows, `select position, hash from ledger_hashes where position = any($1)`, pq.Array(indexes))
	if err != nil {
		return nil, quiet("read the ledger's hashes", err)
	}
	found := make(map[int64]tlog.Hash, len(rows))
	for _, r := range rows {
		var h tlog.Hash
		if copy(h[:], r.Hash) != len(h) {
			return nil, fmt.Errorf("the ledger's hash %d has %d bytes", r.Position, len(r.Hash))
		}
		found[r.Position] = h
	}
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := found[index]
		if !ok {
			return nil, fmt.Errorf("the ledger's hash %d is missing", index)
		}
		out[i] = h
	}
	return out, nil
}

// Ledger reads the whole ledger, as it stands at one moment.
func (s *Store) Ledger(ctx context.Context) (ledger.Table, error) {
	var t ledger.Table
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return t, quiet("read the ledger", err)
	}
	defer func() { _ = tx.Rollback() }()
	var entries []struct {
		Index int64  `db:"index"`
		Leaf  string `db:"leaf"`
	}
	if err := tx.SelectContext(ctx, &entries, `select index, leaf from ledger_entries order by index`); err != nil {
		return t, quiet("read the ledger", err)
	}
	for i, e := range entries {
		if e.Index != int64(i) {
			return t, &ledger.Damage{Entry: int64(i), What: "it is missing"}
		}
		t.Leaves = append(t.Leaves, []byte(e.Leaf))
	}
	var hashes []struct {
		Position int64  `db:"position"`
		Hash     []byte `db:"hash"`
	}
	if err := tx.SelectContext(ctx, &hashes, `select position, hash from ledger_hashes order by position`); err != nil {
		return t, quiet("read the ledger", err)
	}
	t.Hashes = make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		if h.Position != int64(i) || len(h.Hash) != tlog.HashSize {
			return t, &ledger.Damage{Entry: entryOf(int64(i)), What: "a hash of the tree is missing"}
		}
		copy(t.Hashes[i][:], h.Hash)
	}
	var checkpoints []struct {
		Size int64  `db:"size"`
		Note string `db:"note"`
	}
	if err := tx.SelectContext(ctx, &checkpoints, `select size, note from ledger_checkpoints order by size`); err != nil {
		return t, quiet("read the ledger", err)
	}
	for _, c := range checkpoints {
		if signed, err := ledger.ReadCheckpoint(c.Note); err == nil && signed.Size != c.Size {
			return t, &ledger.Damage{Entry: max(min(c.Size, signed.Size)-1, 0), What: "the size of the checkpoint after it is not the signed one"}
		}
		t.Checkpoints = append(t.Checkpoints, c.Note)
	}
	t.Openings, err = openings(ctx, tx)
	return t, err
}

// entryOf is the entry that added a stored hash.
func entryOf(position int64) int64 {
	return int64(sort.Search(int(position)+1, func(n int) bool { return tlog.StoredHashCount(int64(n)+1) > position }))
}

// Checkpoint is the newest signed checkpoint; empty where nothing was done yet.
func (s *Store) Checkpoint(ctx context.Context) (string, error) {
	var signed string
	err := s.db.GetContext(ctx, &signed, `select note from ledger_checkpoints order by size desc limit 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return signed, quiet("read the ledger", err)
}

// ErrNoEntry says that the ledger has no such entry.
var ErrNoEntry = errors.New("the ledger has no entry about it")

// Certificate makes a certificate of the newest entry about an event, or about one
// registration that was erased.
func (s *Store) Certificate(ctx context.Context, event attendees.EventID, attendee attendees.AttendeeID) (ledger.Certificate, error) {
	var c ledger.Certificate
	err := s.InTx(ctx, func(tx *sqlx.Tx) error {
		index, opening, err := s.entryAbout(ctx, tx, event, attendee)
		if err != nil {
			return err
		}
		c, err = s.certify(ctx, tx, index, opening)
		return err
	})
	return c, err
}

func (s *Store) entryAbout(ctx context.Context, tx *sqlx.Tx, event attendees.EventID, attendee attendees.AttendeeID) (int64, *ledger.Opening, error) {
	if attendee == "" {
		var index int64
		err := tx.GetContext(ctx, &index, `
			select index
			from ledger_entries
			where substring(leaf from '"event":"([^"]+)"') = $1 and leaf ~ '"kind":"(blocked|deleted)"'
			order by index desc
			limit 1`, event)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, nil, ErrNoEntry
		}
		return index, nil, quiet("read the ledger", err)
	}
	ids := pq.ByteaArray(s.keys.KeyedIDs(string(attendees.Eventbrite), string(attendee), ""))
	o := &ledger.Opening{}
	err := tx.QueryRowxContext(ctx, `
		select index, salt, keyed_id, key
		from openings
		where keyed_id = any($1)
		order by index desc
		limit 1`, ids).Scan(&o.Index, &o.Salt, &o.KeyedID, &o.Key)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, ErrNoEntry
	}
	return o.Index, o, quiet("read the ledger", err)
}

// recordPerson appends an entry about one registration: a commitment, with its opening
// beside the ledger.
func (s *Store) recordPerson(ctx context.Context, tx *sqlx.Tx, e ledger.Entry, keyedID []byte) error {
	salt := make([]byte, ledger.SaltSize)
	rand.Read(salt) //nolint:errcheck // it never fails (crypto/rand)
	e.Person = ledger.Commit(salt, keyedID)
	index, err := s.record(ctx, tx, e)
	if err != nil {
		return err
	}
	return keepOpening(ctx, tx, ledger.Opening{Index: index, Salt: salt, KeyedID: keyedID, Key: s.keys.Newest()})
}

// keepOpening keeps what opens an entry.
func keepOpening(ctx context.Context, tx *sqlx.Tx, o ledger.Opening) error {
	_, err := tx.ExecContext(ctx, `
		insert into openings (index, salt, keyed_id, key)
		values ($1, $2, $3, $4)
		on conflict do nothing`, o.Index, o.Salt, o.KeyedID, o.Key)
	return quiet("keep an opening", err)
}

// openings are those that are not pruned.
func openings(ctx context.Context, q sqlx.QueryerContext) ([]ledger.Opening, error) {
	var rows []struct {
		Index   int64  `db:"index"`
		Salt    []byte `db:"salt"`
		KeyedID []byte `db:"keyed_id"`
		Key     string `db:"key"`
	}
	err := sqlx.SelectContext(ctx, q, &rows, `select index, salt, keyed_id, key from openings order by index`)
	openings := make([]ledger.Opening, len(rows))
	for i, r := range rows {
		openings[i] = ledger.Opening(r)
	}
	return openings, quiet("read openings", err)
}

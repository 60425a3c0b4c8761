package ledger

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

	"lethe/attendees/db"
)

// Keys derive the keys that sign the ledger: one per secret, the newest first.
type Keys interface {
	Derive(use string) [][]byte
	IDs() []string
}

// Store is the ledger's table.
type Store struct {
	pool *sqlx.DB
	keys Keys
	now  func() time.Time
}

// New makes a store of the ledger.
func New(pool *sqlx.DB, keys Keys, now func() time.Time) *Store { return &Store{pool, keys, now} }

// ErrClock says that the host's clock stands before what was already done.
var ErrClock = errors.New("the clock stands before the ledger's newest entry: nothing is recorded, blocked or deleted until it is right again; " +
	"if it is, and was wrong when that entry was made: `lethe ledger adopt --reason …`")

// Signers sign checkpoints, each with a secret's own key; the newest first.
func (s *Store) Signers() ([]*Signer, error) {
	var signers []*Signer
	for _, seed := range s.keys.Derive(SeedUse) {
		signer, err := NewSigner(seed)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

// PublicKeys are the keys that verify the ledger's checkpoints, the newest first.
func (s *Store) PublicKeys() ([]string, error) {
	signers, err := s.Signers()
	var keys []string
	for _, signer := range signers {
		keys = append(keys, signer.Key())
	}
	return keys, err
}

// Verifiers know the keys that this store's checkpoints are signed with.
func (s *Store) Verifiers() (*Verifiers, error) {
	signers, err := s.Signers()
	return OwnVerifiers(signers...), err
}

// Record appends entries to the ledger and signs a checkpoint, in the transaction of
// what they record. It gives the index of the first of them.
func (s *Store) Record(ctx context.Context, tx db.Tx, entries ...Entry) (first int64, err error) {
	signers, err := s.Signers()
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `lock table ledger_entries in share row exclusive mode`); err != nil {
		return 0, db.Failed("lock the ledger", err)
	}
	size, last, err := s.Head(ctx, tx)
	if err != nil {
		return 0, err
	}
	now := s.now().UTC().Truncate(time.Second)
	if now.Before(last) && (len(entries) == 0 || entries[0].Kind != Adopted) {
		return 0, ErrClock
	}
	if err := db.Believe(ctx, tx, now); err != nil {
		return 0, err
	}
	first = size
	if size == 0 {
		entries = append([]Entry{{Kind: Opened}}, entries...)
		first++
	}
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return ReadHashes(ctx, tx, indexes) })
	for _, e := range entries {
		e.At = now
		leaf, err := e.Leaf()
		if err != nil {
			return 0, err
		}
		if err := s.Append(ctx, tx, size, leaf, stored); err != nil {
			return 0, err
		}
		size++
	}
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		return 0, fmt.Errorf("grow the ledger: %w", err)
	}
	signed, err := signers[0].Sign(Checkpoint{Size: size, Root: root})
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `insert into ledger_checkpoints (size, note) values ($1, $2)`, size, signed)
	return first, db.Failed("sign the ledger", err)
}

// Append adds one leaf with the hashes that it brings.
func (s *Store) Append(ctx context.Context, tx db.Tx, index int64, leaf []byte, stored tlog.HashReader) error {
	added, err := Grow(index, leaf, stored)
	if err != nil {
		return fmt.Errorf("grow the ledger: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `insert into ledger_entries (index, leaf) values ($1, $2)`, index, string(leaf)); err != nil {
		return db.Failed("append to the ledger", err)
	}
	hashes := make(pq.ByteaArray, len(added))
	for i := range added {
		hashes[i] = added[i][:]
	}
	_, err = tx.ExecContext(ctx, `
		insert into ledger_hashes (position, hash)
		select $1 + n - 1, hash
		from unnest($2::bytea[]) with ordinality as t (hash, n)`, tlog.StoredHashCount(index), hashes)
	return db.Failed("append to the ledger", err)
}

// Time is when the ledger's newest entry was made; the zero time: there is none.
func (s *Store) Time(ctx context.Context) (time.Time, error) {
	_, last, err := s.Head(ctx, s.pool)
	return last, err
}

// Head is how many entries there are, and when the newest was made.
func (s *Store) Head(ctx context.Context, q db.Queryer) (size int64, last time.Time, err error) {
	var leaf string
	err = q.QueryRowxContext(ctx, `select index + 1, leaf from ledger_entries order by index desc limit 1`).Scan(&size, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, db.Failed("read the ledger", err)
	}
	e, err := ParseEntry([]byte(leaf))
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("the ledger's newest entry: %w: `lethe ledger verify` tells more", err)
	}
	return size, e.At, nil
}

// ReadHashes reads hashes of the tree, in the order in which they are asked for.
func ReadHashes(ctx context.Context, q db.Queryer, indexes []int64) ([]tlog.Hash, error) {
	var rows []struct {
		Position int64  `db:"position"`
		Hash     []byte `db:"hash"`
	}
	err := db.Select(ctx, q, &rows, `select position, hash from ledger_hashes where position = any($1)`, pq.Array(indexes))
	if err != nil {
		return nil, db.Failed("read the ledger's hashes", err)
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

// Read reads the whole ledger, as it is at one moment.
func (s *Store) Read(ctx context.Context) (Table, error) {
	var t Table
	tx, err := s.pool.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return t, db.Failed("read the ledger", err)
	}
	defer func() { _ = tx.Rollback() }()
	var entries []struct {
		Index int64  `db:"index"`
		Leaf  string `db:"leaf"`
	}
	if err := tx.SelectContext(ctx, &entries, `select index, leaf from ledger_entries order by index`); err != nil {
		return t, db.Failed("read the ledger", err)
	}
	for i, e := range entries {
		if e.Index != int64(i) {
			return t, &Damage{Entry: int64(i), What: "it is missing"}
		}
		t.Leaves = append(t.Leaves, []byte(e.Leaf))
	}
	var hashes []struct {
		Position int64  `db:"position"`
		Hash     []byte `db:"hash"`
	}
	if err := tx.SelectContext(ctx, &hashes, `select position, hash from ledger_hashes order by position`); err != nil {
		return t, db.Failed("read the ledger", err)
	}
	t.Hashes = make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		if h.Position != int64(i) || len(h.Hash) != tlog.HashSize {
			return t, &Damage{Entry: entryOf(int64(i)), What: "a hash of the tree is missing"}
		}
		copy(t.Hashes[i][:], h.Hash)
	}
	var checkpoints []struct {
		Size int64  `db:"size"`
		Note string `db:"note"`
	}
	if err := tx.SelectContext(ctx, &checkpoints, `select size, note from ledger_checkpoints order by size`); err != nil {
		return t, db.Failed("read the ledger", err)
	}
	for _, c := range checkpoints {
		if signed, err := ReadCheckpoint(c.Note); err == nil && signed.Size != c.Size {
			return t, &Damage{Entry: max(min(c.Size, signed.Size)-1, 0), What: "the size of the checkpoint after it is not the signed one"}
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
	err := s.pool.GetContext(ctx, &signed, `select note from ledger_checkpoints order by size desc limit 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return signed, db.Failed("read the ledger", err)
}

// ErrNoEntry says that the ledger has no such entry.
var ErrNoEntry = errors.New("the ledger has no entry about it")

// Certificate makes a certificate of the newest entry about an event, or about somebody who
// was erased: person are their keyed ids, under each secret.
func (s *Store) Certificate(ctx context.Context, event string, person [][]byte) (Certificate, error) {
	var c Certificate
	err := db.InTx(ctx, s.pool, func(tx db.Tx) error {
		index, opening, err := s.entryAbout(ctx, tx, event, person)
		if err != nil {
			return err
		}
		c, err = s.certify(ctx, tx, index, opening)
		return err
	})
	return c, err
}

func (s *Store) entryAbout(ctx context.Context, tx db.Tx, event string, person [][]byte) (int64, *Opening, error) {
	if person == nil {
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
		return index, nil, db.Failed("read the ledger", err)
	}
	o := &Opening{}
	err := tx.QueryRowxContext(ctx, `
		select index, salt, keyed_id, key
		from openings
		where keyed_id = any($1)
		order by index desc
		limit 1`, pq.ByteaArray(person)).Scan(&o.Index, &o.Salt, &o.KeyedID, &o.Key)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, ErrNoEntry
	}
	return o.Index, o, db.Failed("read the ledger", err)
}

// RecordPerson appends an entry about one registration: a commitment, whose opening is kept
// in a table of its own, from which it can be pruned.
func (s *Store) RecordPerson(ctx context.Context, tx db.Tx, e Entry, keyedID []byte) error {
	salt := make([]byte, SaltSize)
	rand.Read(salt) //nolint:errcheck // it never fails (crypto/rand)
	e.Person = Commit(salt, keyedID)
	index, err := s.Record(ctx, tx, e)
	if err != nil {
		return err
	}
	return KeepOpening(ctx, tx, Opening{Index: index, Salt: salt, KeyedID: keyedID, Key: s.keys.IDs()[0]})
}

// KeepOpening keeps what opens an entry.
func KeepOpening(ctx context.Context, tx db.Tx, o Opening) error {
	_, err := tx.ExecContext(ctx, `
		insert into openings (index, salt, keyed_id, key)
		values ($1, $2, $3, $4)
		on conflict do nothing`, o.Index, o.Salt, o.KeyedID, o.Key)
	return db.Failed("keep an opening", err)
}

// openings are those that are not pruned.
func openings(ctx context.Context, q db.Queryer) ([]Opening, error) {
	var rows []struct {
		Index   int64  `db:"index"`
		Salt    []byte `db:"salt"`
		KeyedID []byte `db:"keyed_id"`
		Key     string `db:"key"`
	}
	err := db.Select(ctx, q, &rows, `select index, salt, keyed_id, key from openings order by index`)
	openings := make([]Opening, len(rows))
	for i, r := range rows {
		openings[i] = Opening(r)
	}
	return openings, db.Failed("read openings", err)
}

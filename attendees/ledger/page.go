package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/db"
)

// Indexed is one entry of the ledger with its place.
type Indexed struct {
	Index int64
	Entry
}

// Page gives the newest n entries that stand before a place, the newest first; a
// place of 0 is the end. size is how many there are in all.
func (s *Store) Page(ctx context.Context, before int64, n int) (page []Indexed, size int64, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	if size, _, err = s.Head(ctx, s.pool); err != nil {
		return nil, 0, err
	}
	var rows []struct {
		Index int64  `db:"index"`
		Leaf  string `db:"leaf"`
	}
	err = s.pool.SelectContext(ctx, &rows, `
		select index, leaf
		from ledger_entries
		where index < $1
		order by index desc
		limit $2`, before, n)
	if err != nil {
		return nil, 0, db.Failed("read the ledger", err)
	}
	for _, r := range rows {
		e, err := ParseEntry([]byte(r.Leaf))
		if err != nil {
			return nil, 0, fmt.Errorf("the ledger's entry %d: %w: `lethe ledger verify` tells more", r.Index, err)
		}
		page = append(page, Indexed{r.Index, e})
	}
	return page, size, nil
}

// CertificateAt makes a certificate of the entry at a place; ErrNoEntry where there is
// none. One about a person has its opening, unless that was pruned.
func (s *Store) CertificateAt(ctx context.Context, index int64) (c Certificate, err error) {
	err = db.InTx(ctx, s.pool, func(tx db.Tx) error {
		o := &Opening{}
		err := tx.QueryRowxContext(ctx, `select index, salt, keyed_id from openings where index = $1`, index).Scan(&o.Index, &o.Salt, &o.KeyedID)
		if errors.Is(err, sql.ErrNoRows) {
			o, err = nil, nil
		}
		if err != nil {
			return db.Failed("read the ledger", err)
		}
		c, err = s.certify(ctx, tx, index, o)
		return err
	})
	return c, err
}

func (s *Store) certify(ctx context.Context, tx db.Tx, index int64, o *Opening) (c Certificate, err error) {
	var leaf, signed string
	err = tx.GetContext(ctx, &leaf, `select leaf from ledger_entries where index = $1`, index)
	if errors.Is(err, sql.ErrNoRows) {
		return c, ErrNoEntry
	}
	if err != nil {
		return c, db.Failed("read the ledger", err)
	}
	var size int64
	if err := tx.QueryRowxContext(ctx, `select size, note from ledger_checkpoints order by size desc limit 1`).Scan(&size, &signed); err != nil {
		return c, db.Failed("read the ledger", err)
	}
	return Certify(index, []byte(leaf), o, size, signed,
		tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return ReadHashes(ctx, tx, indexes) }))
}

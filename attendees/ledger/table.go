package ledger

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Table is a ledger as a database keeps it: every leaf, every hash of the tree, and
// the signed checkpoints by rising size.
type Table struct {
	Leaves      [][]byte
	Hashes      []tlog.Hash // in tlog's order of stored hashes
	Checkpoints []string
}

// Damage says what is wrong with a ledger, and the first entry that it is about.
type Damage struct {
	Entry int64 // counted from 0
	What  string
}

func (d *Damage) Error() string { return fmt.Sprintf("entry %d: %s", d.Entry, d.What) }

// hashes reads stored hashes from memory.
type hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(h)) {
			return nil, fmt.Errorf("ledger: the tree has no hash %d", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

// Grow gives the hashes that a new leaf adds to a tree of that size.
func Grow(size int64, leaf []byte, stored tlog.HashReader) ([]tlog.Hash, error) {
	return tlog.StoredHashes(size, leaf, stored)
}

// Verify checks everything: that each leaf is an entry, that the tree's hashes are
// those of its leaves, that times never run backwards, that each checkpoint is signed
// and is the tree's own at its size, so that the tree has only grown, and that the
// last one covers all. The error is a *Damage that names the first wrong entry.
func (t Table) Verify(v *Verifiers) (Checkpoint, error) {
	if len(t.Leaves) == 0 {
		return Checkpoint{}, &Damage{0, "the ledger is empty: not even its own beginning is there"}
	}
	computed := make(hashes, 0, 2*len(t.Leaves))
	var last time.Time
	for i, leaf := range t.Leaves {
		n := int64(i)
		e, err := ParseEntry(leaf)
		if err != nil {
			return Checkpoint{}, &Damage{n, err.Error()}
		}
		if e.At.Before(last) {
			return Checkpoint{}, &Damage{n, "it is older than the one before it"}
		}
		last = e.At
		added, err := Grow(n, leaf, computed)
		if err != nil {
			return Checkpoint{}, &Damage{n, err.Error()}
		}
		for _, h := range added {
			if at := len(computed); t.Hashes != nil && (at >= len(t.Hashes) || t.Hashes[at] != h) {
				return Checkpoint{}, &Damage{n, "it is not what the tree's hashes say"}
			}
			computed = append(computed, h)
		}
	}
	if t.Hashes != nil && len(t.Hashes) != len(computed) {
		return Checkpoint{}, &Damage{int64(len(t.Leaves)), "the tree has hashes of more entries than there are"}
	}
	var c Checkpoint
	for _, signed := range t.Checkpoints {
		before := c.Size
		next, err := v.Open(signed)
		if err != nil {
			return Checkpoint{}, &Damage{before, "the checkpoint after it: " + err.Error()}
		}
		switch {
		case next.Size <= before:
			return Checkpoint{}, &Damage{before, "the checkpoint after it is older"}
		case next.Size > int64(len(t.Leaves)):
			return Checkpoint{}, &Damage{int64(len(t.Leaves)), fmt.Sprintf("it is missing: a signed checkpoint counts %d", next.Size)}
		}
		root, err := tlog.TreeHash(next.Size, computed)
		if err != nil || root != next.Root {
			return Checkpoint{}, &Damage{before, "from it on, the tree is not the one that was signed"}
		}
		c = next
	}
	if c.Size != int64(len(t.Leaves)) {
		return Checkpoint{}, &Damage{c.Size, "no signed checkpoint covers it"}
	}
	return c, nil
}

// Compare tells how a copy stands to the table: how many entries both have, alike. A
// *Damage names the first entry in which they differ.
func Compare(table, copied [][]byte) (common int64, err error) {
	for i := range min(len(table), len(copied)) {
		if !bytes.Equal(table[i], copied[i]) {
			return int64(i), &Damage{int64(i), "the database and the ledger's copy differ"}
		}
	}
	return int64(min(len(table), len(copied))), nil
}

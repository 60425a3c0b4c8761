package ledger

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Table is a ledger as a database keeps it: every leaf, every hash of the tree, and
// the signed checkpoints by rising size.
type Table struct {
	Leaves      [][]byte
	Hashes      []tlog.Hash // in tlog's order of stored hashes
	Checkpoints []string
	Openings    []Opening // those that are not pruned
}

// Damage says what is wrong with a ledger, and the first entry that it is about.
type Damage struct {
	Entry int64 // counted from 0
	What  string
}

func (d *Damage) Error() string { return fmt.Sprintf("entry %d: %s", d.Entry, d.What) }

// Grow gives the hashes that a new leaf adds to a tree of that size.
func Grow(size int64, leaf []byte, stored tlog.HashReader) ([]tlog.Hash, error) {
	return tlog.StoredHashes(size, leaf, stored)
}

// edge is the right edge of a growing tree: the roots of its whole subtrees, the largest
// first.
type edge []tlog.Hash

// add takes the leaf of that index in. It gives the hashes that the leaf brings, in tlog's
// order: its own, and one for each subtree that it makes whole.
func (e *edge) add(index int64, leaf tlog.Hash) []tlog.Hash {
	added := []tlog.Hash{leaf}
	for ; index&1 == 1; index >>= 1 {
		last := len(*e) - 1
		leaf = tlog.NodeHash((*e)[last], leaf)
		*e, added = (*e)[:last], append(added, leaf)
	}
	*e = append(*e, leaf)
	return added
}

// root is the whole tree's.
func (e edge) root() tlog.Hash {
	root := e[len(e)-1]
	for i := len(e) - 2; i >= 0; i-- {
		root = tlog.NodeHash(e[i], root)
	}
	return root
}

// Verify checks everything: that each leaf is an entry, that the tree's hashes are
// those of its leaves, that times never run backwards (but where an operator adopts it), that each checkpoint is signed
// and is the tree's own at its size, so that the tree has only grown, that the last one
// covers all, and that openings are their entries' own. The error is a *Damage that names
// the first wrong entry.
func (t Table) Verify(v *Verifiers) (Checkpoint, error) {
	if len(t.Leaves) == 0 {
		return Checkpoint{}, &Damage{0, "the ledger is empty: not even its own beginning is there"}
	}
	leaves, signed := t.read(v)
	var tree edge
	var last time.Time
	var n, hashes int64
	grow := func(size int64) *Damage {
		for ; n < size; n++ {
			l := leaves[n]
			if l.err != nil {
				return &Damage{n, l.err.Error()}
			}
			if l.entry.At.Before(last) && l.entry.Kind != Adopted {
				return &Damage{n, "it is older than the one before it"}
			}
			last = l.entry.At
			for _, h := range tree.add(n, l.hash) {
				if t.Hashes != nil && (hashes >= int64(len(t.Hashes)) || t.Hashes[hashes] != h) {
					return &Damage{n, "it is not what the tree's hashes say"}
				}
				hashes++
			}
		}
		return nil
	}
	var c Checkpoint
	for _, next := range signed {
		switch {
		case next.err != nil:
			return Checkpoint{}, &Damage{c.Size, "the checkpoint after it: " + next.err.Error()}
		case next.Size <= c.Size:
			return Checkpoint{}, &Damage{c.Size, "the checkpoint after it is older"}
		case next.Size > int64(len(t.Leaves)):
			return Checkpoint{}, &Damage{int64(len(t.Leaves)), fmt.Sprintf("it is missing: a signed checkpoint counts %d", next.Size)}
		}
		if d := grow(next.Size); d != nil {
			return Checkpoint{}, d
		}
		if tree.root() != next.Root {
			return Checkpoint{}, &Damage{c.Size, "from it on, the tree is not the one that was signed"}
		}
		c = next.Checkpoint
	}
	if d := grow(int64(len(t.Leaves))); d != nil {
		return Checkpoint{}, d
	}
	if c.Size != n {
		return Checkpoint{}, &Damage{c.Size, "no signed checkpoint covers it"}
	}
	if t.Hashes != nil && int64(len(t.Hashes)) != hashes {
		return Checkpoint{}, &Damage{n, "the tree has hashes of more entries than there are"}
	}
	for _, o := range t.Openings {
		if o.Index < 0 || o.Index >= n || !o.Opens(leaves[o.Index].entry) {
			return Checkpoint{}, &Damage{o.Index, "the opening beside it is not its own"}
		}
	}
	return c, nil
}

// readLeaf is what one leaf says, and its hash.
type readLeaf struct {
	entry Entry
	hash  tlog.Hash
	err   error
}

// openCheckpoint is what one checkpoint says, if it is signed.
type openCheckpoint struct {
	Checkpoint
	err error
}

// read does what can be done to each leaf and checkpoint alone, on all processors:
// parsing and signatures are nearly all of the work.
func (t Table) read(v *Verifiers) ([]readLeaf, []openCheckpoint) {
	leaves, signed := make([]readLeaf, len(t.Leaves)), make([]openCheckpoint, len(t.Checkpoints))
	workers := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(leaves); i += workers {
				l := &leaves[i]
				l.entry, l.err = ParseEntry(t.Leaves[i])
				l.hash = tlog.RecordHash(t.Leaves[i])
			}
			for i := w; i < len(signed); i += workers {
				signed[i].Checkpoint, signed[i].err = v.Open(t.Checkpoints[i])
			}
		})
	}
	group.Wait()
	return leaves, signed
}

// Compare tells how far a copy agrees with the table: how many first entries are the same in both. A
// *Damage names the first entry in which they differ.
func Compare(table, copied [][]byte) (common int64, err error) {
	for i := range min(len(table), len(copied)) {
		if !bytes.Equal(table[i], copied[i]) {
			return int64(i), &Damage{int64(i), "the database and the ledger's copy differ"}
		}
	}
	return int64(min(len(table), len(copied))), nil
}

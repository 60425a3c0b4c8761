package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Certificate is one entry for somebody to keep, with the proof that it is in the tree
// that was signed. It can be checked without a database.
type Certificate struct {
	Index      int64
	Leaf       []byte
	Opening    *Opening // nil: the entry is about no single person, or the opening was pruned
	Proof      tlog.RecordProof
	Checkpoint string // signed
}

// Certify makes a certificate of the entry at index in a tree of the checkpoint's size.
func Certify(index int64, leaf []byte, o *Opening, size int64, checkpoint string, stored tlog.HashReader) (Certificate, error) {
	proof, err := tlog.ProveRecord(size, index, stored)
	if err != nil {
		return Certificate{}, fmt.Errorf("ledger: prove entry %d: %w", index, err)
	}
	return Certificate{Index: index, Leaf: leaf, Opening: o, Proof: proof, Checkpoint: checkpoint}, nil
}

const certificateHeader = "lethe certificate 1"

// Text is the certificate as a small file; doc.go describes it line by line.
func (c Certificate) Text() string {
	opening, proof := "-", "-"
	if c.Opening != nil {
		opening = base64.StdEncoding.EncodeToString(c.Opening.Salt) + " " + base64.StdEncoding.EncodeToString(c.Opening.KeyedID)
	}
	if len(c.Proof) > 0 {
		var all []string
		for _, h := range c.Proof {
			all = append(all, h.String())
		}
		proof = strings.Join(all, " ")
	}
	return fmt.Sprintf("%s\nindex %d\nentry %s\nopening %s\nproof %s\n\n%s", certificateHeader, c.Index, c.Leaf, opening, proof, c.Checkpoint)
}

var errCertificate = errors.New("this is no certificate, or it was changed")

// ParseCertificate reads a certificate. It refuses one that Text would not have
// written so, to the byte.
func ParseCertificate(text string) (Certificate, error) {
	var c Certificate
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) != 5 || len(text) > maxCertificate {
		return c, errCertificate
	}
	c.Checkpoint = checkpoint
	value := func(line int, word string) string {
		rest, _ := strings.CutPrefix(lines[line], word+" ")
		return rest
	}
	index, err := strconv.ParseInt(value(1, "index"), 10, 64)
	if err != nil {
		return c, errCertificate
	}
	c.Index, c.Leaf = index, []byte(value(2, "entry"))
	if opening := value(3, "opening"); opening != "-" {
		salt, id, _ := strings.Cut(opening, " ")
		o := Opening{Index: index}
		var errSalt, errID error
		o.Salt, errSalt = base64.StdEncoding.DecodeString(salt)
		o.KeyedID, errID = base64.StdEncoding.DecodeString(id)
		if errSalt != nil || errID != nil {
			return c, errCertificate
		}
		c.Opening = &o
	}
	if proof := value(4, "proof"); proof != "-" {
		for text := range strings.SplitSeq(proof, " ") {
			h, err := tlog.ParseHash(text)
			if err != nil {
				return c, errCertificate
			}
			c.Proof = append(c.Proof, h)
		}
	}
	if c.Text() != text {
		return c, errCertificate
	}
	return c, nil
}

// maxCertificate bounds a certificate in bytes: a leaf, and one hash for each halving
// of a tree that holds more than will ever be done.
const maxCertificate = maxLeaf + 64*64 + 1024

// Verify checks that the entry is in the tree that was signed, and that the opening
// is its own.
func (c Certificate) Verify(v *Verifiers) (Entry, Checkpoint, error) {
	checkpoint, err := v.Open(c.Checkpoint)
	if err != nil {
		return Entry{}, Checkpoint{}, err
	}
	e, err := ParseEntry(c.Leaf)
	if err != nil {
		return Entry{}, Checkpoint{}, errCertificate
	}
	if err := tlog.CheckRecord(c.Proof, checkpoint.Size, checkpoint.Root, c.Index, tlog.RecordHash(c.Leaf)); err != nil {
		return Entry{}, Checkpoint{}, errors.New("the entry does not stand in the tree that was signed")
	}
	if c.Opening != nil && !c.Opening.Opens(e) {
		return Entry{}, Checkpoint{}, errors.New("the opening is another entry's")
	}
	return e, checkpoint, nil
}

package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a tree at one moment: who has it can tell later whether the tree has
// only grown (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	Size int64
	Root tlog.Hash
}

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", Name, c.Size, c.Root)
}

// Sign gives the checkpoint as a signed note.
func (s *Signer) Sign(c Checkpoint) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, s.signer)
	if err != nil {
		return "", fmt.Errorf("ledger: sign a checkpoint: %w", err)
	}
	return string(signed), nil
}

var errCheckpoint = errors.New("it is no checkpoint that this ledger has signed")

// Open reads a signed checkpoint and checks its signature. Each of its bytes counts:
// one that is spelled differently is refused although its signature would do.
func (v *Verifiers) Open(signed string) (Checkpoint, error) {
	n, err := note.Open([]byte(signed), v.list)
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return Checkpoint{}, errCheckpoint
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 {
		return Checkpoint{}, errCheckpoint
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errCheckpoint
	}
	c := Checkpoint{size, root}
	// Base64 has several spellings of the same bytes.
	signature, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || signed != c.text()+"\n— "+Name+" "+base64.StdEncoding.EncodeToString(signature)+"\n" {
		return Checkpoint{}, errCheckpoint
	}
	return c, nil
}

package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
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

// ReadCheckpoint reads what a signed checkpoint says, and checks no signature: Open does.
// There is one spelling of each, base64's several included.
func ReadCheckpoint(signed string) (Checkpoint, error) {
	c, _, err := readCheckpoint(signed)
	return c, err
}

// keyHashSize is in bytes: a note's signature begins with the hash of its key.
const keyHashSize = 4

func readCheckpoint(signed string) (c Checkpoint, signature []byte, err error) {
	text, base, _ := strings.Cut(signed, "\n\n— "+Name+" ")
	lines := strings.Split(text, "\n")
	if len(lines) != 3 {
		return c, nil, errCheckpoint
	}
	size, errSize := strconv.ParseInt(lines[1], 10, 64)
	root, errRoot := tlog.ParseHash(lines[2])
	signature, errSignature := base64.StdEncoding.DecodeString(strings.TrimSuffix(base, "\n"))
	if errors.Join(errSize, errRoot, errSignature) != nil || size < 1 || len(signature) != keyHashSize+ed25519.SignatureSize {
		return c, nil, errCheckpoint
	}
	c = Checkpoint{size, root}
	if signed != c.text()+"\n— "+Name+" "+base64.StdEncoding.EncodeToString(signature)+"\n" {
		return Checkpoint{}, nil, errCheckpoint
	}
	return c, signature, nil
}

// Open reads a signed checkpoint and checks its signature. Each of its bytes counts.
func (v *Verifiers) Open(signed string) (Checkpoint, error) {
	c, signature, err := readCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	key := binary.BigEndian.Uint32(signature)
	if own, ok := v.own[key]; ok {
		if again, err := own.Sign(c); err != nil || again != signed {
			return Checkpoint{}, errCheckpoint
		}
		return c, nil
	}
	if known, ok := v.known[key]; !ok || !known.Verify([]byte(c.text()), signature[keyHashSize:]) {
		return Checkpoint{}, errCheckpoint
	}
	return c, nil
}

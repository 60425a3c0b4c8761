package ledger

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// A copy is a ledger outside its database: a text file that only grows. Its first
// line names it; then come, in order, "entry JSON" and "checkpoint BASE64" lines.
const copyHeader = "lethe ledger 1\n"

// Copy is what such a file holds.
type Copy struct {
	Leaves      [][]byte
	Checkpoints []string
	// Whole is up to which byte the file can be trusted to have been written whole: a
	// crash while it grows may leave half a line, which is no damage.
	Whole int64
	Torn  bool // something follows that
}

// Grown is the text by which a copy grows, its first line included where it is new.
func Grown(fresh bool, leaves [][]byte, checkpoint string) string {
	var b strings.Builder
	if fresh {
		b.WriteString(copyHeader)
	}
	for _, leaf := range leaves {
		fmt.Fprintf(&b, "entry %s\n", leaf)
	}
	fmt.Fprintf(&b, "checkpoint %s\n", base64.StdEncoding.EncodeToString([]byte(checkpoint)))
	return b.String()
}

// maxLine bounds a line of a copy in bytes.
const maxLine = maxLeaf + 16

// errUnbegun says that a copy was cut off before its first line was whole.
var errUnbegun = fmt.Errorf("it was never begun: %w", fs.ErrNotExist)

// ReadCopy reads a copy; fs.ErrNotExist says that none was begun. What follows its last checkpoint line is left out and
// not counted in Whole: it was never finished.
func ReadCopy(r io.Reader) (Copy, error) {
	var c Copy
	lines := bufio.NewReaderSize(r, maxLine)
	line, err := lines.ReadSlice('\n')
	if errors.Is(err, io.EOF) && strings.HasPrefix(copyHeader, string(line)) {
		return c, errUnbegun
	}
	if err != nil || string(line) != copyHeader {
		return c, errors.New("this is no copy of a ledger")
	}
	at := int64(len(line))
	c.Whole = at
	var leaves [][]byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return c, &Damage{int64(len(c.Leaves) + len(leaves)), "a line of the copy is too long"}
		}
		at += int64(len(line))
		word, rest, _ := strings.Cut(string(line[:len(line)-1]), " ")
		switch word {
		case "entry":
			leaves = append(leaves, []byte(rest))
		case "checkpoint":
			signed, err := base64.StdEncoding.DecodeString(rest)
			if err != nil || base64.StdEncoding.EncodeToString(signed) != rest || len(leaves) == 0 {
				return c, &Damage{int64(len(c.Leaves) + len(leaves)), "the copy's checkpoint cannot be read"}
			}
			c.Leaves, c.Checkpoints, leaves = append(c.Leaves, leaves...), append(c.Checkpoints, string(signed)), nil
			c.Whole = at
		default:
			return c, &Damage{int64(len(c.Leaves) + len(leaves)), "the copy has a line that is neither entry nor checkpoint"}
		}
	}
}

// Verify checks a copy as Table.Verify does, and that each checkpoint comes right
// after the entries that it covers.
func (c Copy) Verify(v *Verifiers) (Checkpoint, error) {
	return Table{Leaves: c.Leaves, Checkpoints: c.Checkpoints}.Verify(v)
}

package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// File is a copy on disk, at its path; the openings lie in a file beside it.
type File struct{ Path string }

// Group is some entries with the checkpoint that covers them.
type Group struct {
	Leaves     [][]byte
	Checkpoint string
}

// Groups are a table's entries from one on, each with the checkpoint behind it.
func (t Table) Groups(from int64, v *Verifiers) ([]Group, error) {
	var groups []Group
	for _, signed := range t.Checkpoints {
		c, err := ReadCheckpoint(signed)
		if err == nil && c.Size <= from {
			continue // the copy has it
		}
		if err == nil {
			c, err = v.Open(signed)
		}
		if err != nil || c.Size > int64(len(t.Leaves)) {
			return nil, &Damage{from, "the checkpoint after it: " + errCheckpoint.Error()}
		}
		groups = append(groups, Group{t.Leaves[from:c.Size], signed})
		from = c.Size
	}
	return groups, nil
}

// Read reads the copy. os.ErrNotExist says that there is none, or none was begun.
func (f File) Read() (Copy, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return Copy{}, fmt.Errorf("read the ledger's copy: %w", err)
	}
	defer func() { _ = file.Close() }()
	return readFile(file)
}

func readFile(file *os.File) (Copy, error) {
	c, err := ReadCopy(file)
	if err != nil {
		return c, fmt.Errorf("the ledger's copy %s: %w", file.Name(), err)
	}
	info, err := file.Stat()
	if err != nil {
		return c, fmt.Errorf("read the ledger's copy: %w", err)
	}
	c.Torn = c.Whole < info.Size()
	return c, nil
}

// AtLeast is how many entries a damaged copy once had at the least: as many as it has lines
// of entries, before the damage and behind it, or as any checkpoint of it covers that is
// whole.
func (f File) AtLeast(v *Verifiers) (n int64, err error) {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return 0, fmt.Errorf("read the ledger's copy: %w", err)
	}
	var covered int64
	for line := range strings.Lines(string(text)) {
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "entry":
			n++
		case "checkpoint":
			signed, err := base64.StdEncoding.DecodeString(rest) // which skips the line's end
			if err != nil {
				continue
			}
			if c, err := v.Open(string(signed)); err == nil {
				covered = max(covered, c.Size)
			}
		}
	}
	return max(n, covered), nil
}

// Append appends to the copy what it does not have yet: more is asked for what comes
// behind its entries, and for all openings that are kept. It holds the file meanwhile,
// takes half a line that a crash has left away, and comes back when all is on the disk.
func (f File) Append(more func(have [][]byte) ([]Group, []Opening, error)) (err error) {
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the ledger's copy (LETHE_LEDGER): %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("hold the ledger's copy: %w", err)
	}
	c, err := readFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	groups, openings, err := more(c.Leaves)
	if err != nil {
		return err
	}
	// First the openings: an entry without its opening could not be done again.
	if err := f.keepOpenings(openings); err != nil || len(groups) == 0 {
		return err
	}
	if err := file.Truncate(c.Whole); err != nil {
		return fmt.Errorf("write the ledger's copy: %w", err)
	}
	if _, err := file.Seek(c.Whole, io.SeekStart); err != nil {
		return fmt.Errorf("write the ledger's copy: %w", err)
	}
	fresh := c.Whole == 0
	for _, g := range groups {
		if _, err := file.WriteString(Grown(fresh, g.Leaves, g.Checkpoint)); err != nil {
			return fmt.Errorf("write the ledger's copy: %w", err)
		}
		fresh = false
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the ledger's copy: %w", err)
	}
	return nil
}

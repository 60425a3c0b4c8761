package ledger

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
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
		c, err := v.Open(signed)
		if err != nil {
			return nil, &Damage{from, "the checkpoint after it: " + err.Error()}
		}
		if c.Size <= from || c.Size > int64(len(t.Leaves)) {
			continue
		}
		groups = append(groups, Group{t.Leaves[from:c.Size], signed})
		from = c.Size
	}
	return groups, nil
}

// Read reads the copy. os.ErrNotExist says that there is none.
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

// Append lets the copy grow by what it does not have yet: more is asked for what comes
// behind its entries. It holds the file meanwhile, takes half a line that a crash has
// left away, and comes back when all is on the disk.
func (f File) Append(more func(have [][]byte) ([]Group, []Opening, error)) (err error) {
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the ledger's copy (LETHE_LEDGER): %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("hold the ledger's copy: %w", err)
	}
	var c Copy
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read the ledger's copy: %w", err)
	}
	if info.Size() > 0 {
		if c, err = readFile(file); err != nil {
			return err
		}
	}
	groups, openings, err := more(c.Leaves)
	if err != nil || len(groups) == 0 {
		return err
	}
	// First the openings: an entry without its opening could not be done again.
	if err := f.appendOpenings(openings); err != nil {
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

func (f File) openings() string { return f.Path + ".openings" }

func (f File) appendOpenings(openings []Opening) error {
	if len(openings) == 0 {
		return nil
	}
	file, err := os.OpenFile(f.openings(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the openings beside the ledger's copy: %w", err)
	}
	var b strings.Builder
	for _, o := range openings {
		fmt.Fprintf(&b, "%d %s %s\n", o.Index, base64.StdEncoding.EncodeToString(o.Salt), base64.StdEncoding.EncodeToString(o.KeyedID))
	}
	_, err = file.WriteString(b.String())
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the openings beside the ledger's copy: %w", err)
	}
	return nil
}

// KeepOpenings writes the openings anew with those alone, where the file has more: what
// was pruned is forgotten here, too.
func (f File) KeepOpenings(all []Opening) error {
	have, err := f.Openings()
	if err != nil || len(have) <= len(all) {
		return err
	}
	fresh := File{Path: f.Path + ".new"}
	_ = os.Remove(fresh.openings()) // a crash may have left one
	file, err := os.OpenFile(fresh.openings(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = fresh.appendOpenings(all)
	}
	if err == nil {
		err = os.Rename(fresh.openings(), f.openings())
	}
	if err != nil {
		return fmt.Errorf("write the openings beside the ledger's copy anew: %w", err)
	}
	return nil
}

// Openings reads the openings beside the copy. A line that cannot be read, as a crash
// may leave one, opens nothing and is left out.
func (f File) Openings() (map[int64]Opening, error) {
	openings := map[int64]Opening{}
	file, err := os.Open(f.openings())
	if errors.Is(err, os.ErrNotExist) {
		return openings, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the openings beside the ledger's copy: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			continue
		}
		index, errIndex := strconv.ParseInt(words[0], 10, 64)
		salt, errSalt := base64.StdEncoding.DecodeString(words[1])
		id, errID := base64.StdEncoding.DecodeString(words[2])
		if errors.Join(errIndex, errSalt, errID) == nil {
			openings[index] = Opening{index, salt, id}
		}
	}
	return openings, lines.Err()
}

package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrExists says that there is a file of that name already.
var ErrExists = errors.New("the file is there already")

var (
	// ErrFolder says that there is a folder of that name.
	ErrFolder = errors.New("it is a folder: name a file in it")
	// ErrDevice says that there is something of that name that is no file, a pipe perhaps.
	ErrDevice = errors.New("it is no file: name one, or - for the standard output")
	errNoRoom = errors.New("there is no such folder: make it, or name another")
)

const (
	// unfinished begins the name of a list that has not got its own yet; digits follow.
	unfinished = ".lethe-"
	// leftAfter is from when on such a file has nobody who still writes it.
	leftAfter = 24 * time.Hour
)

// sweep removes what exports that were killed have left next to a new one: they hold
// people that no receipt tells of. The file system's own clock counts.
func sweep(next *os.File) {
	info, err := next.Stat()
	if err != nil {
		return
	}
	dir := filepath.Dir(next.Name())
	entries, _ := os.ReadDir(dir) // some are better than none
	for _, e := range entries {
		digits, ours := strings.CutPrefix(e.Name(), unfinished)
		if _, err := strconv.ParseUint(digits, 10, 64); !ours || err != nil {
			continue
		}
		old, err := e.Info()
		if err == nil && old.Mode().IsRegular() && info.ModTime().Sub(old.ModTime()) > leftAfter {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// File writes a file that is there whole or not at all: next to its place, readable
// by its owner only, synced, and renamed when write has come back without an error.
// Without force it refuses to replace a file (ErrExists). Whatever fails, nothing
// half-written remains.
func File(path string, force bool, write func(io.Writer) error) (err error) {
	switch info, err := os.Stat(path); {
	case err != nil: // it is not there yet, or cannot be written: creating it says so
	case info.IsDir():
		return fmt.Errorf("write %s: %w", path, ErrFolder)
	case !info.Mode().IsRegular():
		return fmt.Errorf("write %s: %w", path, ErrDevice)
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("write %s: %w", path, ErrExists)
	}
	f, err := os.CreateTemp(filepath.Dir(path), unfinished+"*") // 0600
	if errors.Is(err, os.ErrNotExist) {
		err = errNoRoom
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	sweep(f)
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		if p := new(os.PathError); errors.As(err, &p) {
			return fmt.Errorf("write %s: %w", path, p.Err)
		}
		return err // the list's own error, which says enough
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	if force {
		err = os.Rename(f.Name(), path)
	} else if err = os.Link(f.Name(), path); err == nil { // a link replaces nothing that came meanwhile
		_ = os.Remove(f.Name())
	} else if errors.Is(err, os.ErrExist) {
		err = ErrExists
	} else {
		err = os.Rename(f.Name(), path) // a file system without links
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	return nil
}

// plain takes the temporary file's name out of an error: nobody asked for it.
func plain(err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

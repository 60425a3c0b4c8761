package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrExists says that there is a file of that name already.
var ErrExists = errors.New("the file is there already")

// File writes a file that is there whole or not at all: beside its place, readable
// by its owner alone, synced, and renamed when write has come back without an error.
// Without force it refuses to replace a file (ErrExists). Whatever fails, nothing
// half-written stays.
func File(path string, force bool, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil && !force {
		return fmt.Errorf("write %s: %w", path, ErrExists)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".lethe-*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
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

package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The openings next to a copy are a text file of their own, so that it can be rewritten
// when some are pruned: a line each, "INDEX SALT ID KEY", by rising index.

func (f File) openings() string { return f.Path + ".openings" }

func openingsText(all []Opening) string {
	var b strings.Builder
	for _, o := range all {
		fmt.Fprintf(&b, "%d %s %s %s\n", o.Index, base64.StdEncoding.EncodeToString(o.Salt), base64.StdEncoding.EncodeToString(o.KeyedID), o.Key)
	}
	return b.String()
}

func (f File) readOpenings() (string, error) {
	text, err := os.ReadFile(f.openings())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the openings beside the ledger's copy: %w", err)
	}
	return string(text), nil
}

// HasOpenings tells whether the file has those openings, and not a byte more.
func (f File) HasOpenings(all []Opening) (bool, error) {
	text, err := f.readOpenings()
	return text == openingsText(all), err
}

// Openings reads the openings beside the copy. A line that cannot be read, as a crash
// may leave one, opens nothing and is left out.
func (f File) Openings() (map[int64]Opening, error) {
	text, err := f.readOpenings()
	openings := map[int64]Opening{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		index, errIndex := strconv.ParseInt(words[0], 10, 64)
		salt, errSalt := base64.StdEncoding.DecodeString(words[1])
		id, errID := base64.StdEncoding.DecodeString(words[2])
		if errors.Join(errIndex, errSalt, errID) == nil {
			openings[index] = Opening{index, salt, id, strings.Join(words[3:], " ")}
		}
	}
	return openings, err
}

// keepOpenings makes the file hold exactly those openings: new ones are appended; where it has
// others, or half a line that a crash left, it is rewritten.
func (f File) keepOpenings(all []Opening) error {
	have, err := f.readOpenings()
	if err != nil {
		return err
	}
	fresh, grows := strings.CutPrefix(openingsText(all), have)
	switch {
	case grows && fresh == "":
		return nil
	case grows:
		err = writeSynced(f.openings(), os.O_APPEND, fresh)
	default:
		aside := f.openings() + ".new"
		if err = writeSynced(aside, os.O_TRUNC, openingsText(all)); err == nil {
			err = os.Rename(aside, f.openings())
		}
	}
	if err != nil {
		return fmt.Errorf("write the openings beside the ledger's copy: %w", err)
	}
	return nil
}

func writeSynced(path string, how int, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}

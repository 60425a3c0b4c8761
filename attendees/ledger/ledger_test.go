package ledger_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/ledger"
)

var update = flag.Bool("update", false, "renew the golden files")

var noon = time.Date(2027, 7, 14, 12, 0, 0, 0, time.UTC)

func signer(t testing.TB, seed byte) *ledger.Signer {
	t.Helper()
	s, err := ledger.NewSigner(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verifiers(t testing.TB, signers ...*ledger.Signer) *ledger.Verifiers {
	t.Helper()
	var keys []string
	for _, s := range signers {
		keys = append(keys, s.Key())
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, s[i])
	}
	return out, nil
}

var opening = ledger.Opening{Index: 3, Salt: bytes.Repeat([]byte{5}, ledger.SaltSize), KeyedID: bytes.Repeat([]byte{6}, 32)}

// grown is a ledger of n entries with a checkpoint after every few, and its copy.
func grown(t testing.TB, s *ledger.Signer, n, every int) (ledger.Table, string) {
	t.Helper()
	var table ledger.Table
	var text strings.Builder
	signed := 0
	for i := range n {
		e := ledger.Entry{At: noon.Add(time.Duration(i) * time.Minute), Kind: ledger.Blocked, Event: fmt.Sprint(4711 + i), Rule: "de-ao-6", Counts: map[string]int64{"sealed": int64(100 + i), "dropped": 3}}
		switch i {
		case 0:
			e = ledger.Entry{At: noon, Kind: ledger.Opened}
		case 3:
			e.Kind, e.Counts, e.Reason, e.Person = ledger.Erased, nil, "asked <for> & done", ledger.Commit(opening.Salt, opening.KeyedID)
		}
		leaf, err := e.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		added, err := ledger.Grow(int64(i), leaf, stored(table.Hashes))
		if err != nil {
			t.Fatal(err)
		}
		table.Leaves, table.Hashes = append(table.Leaves, leaf), append(table.Hashes, added...)
		if (i+1)%every == 0 || i == n-1 {
			root, err := tlog.TreeHash(int64(i+1), stored(table.Hashes))
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.Sign(ledger.Checkpoint{Size: int64(i + 1), Root: root})
			if err != nil {
				t.Fatal(err)
			}
			table.Checkpoints = append(table.Checkpoints, c)
			text.WriteString(ledger.Grown(signed == 0, table.Leaves[signed:i+1], c))
			signed = i + 1
		}
	}
	return table, text.String()
}

// changes are what can happen to one byte.
func changes(text string, at int) []string {
	var all []string
	for _, c := range []byte{0, ' ', '\n', 'A', text[at] + 1, text[at] ^ 0x20} {
		if c != text[at] {
			all = append(all, text[:at]+string(c)+text[at+1:])
		}
	}
	return append(all, text[:at]+text[at+1:], text[:at]+text[at:at+1]+text[at:])
}

func TestEveryChangedByteOfACopyIsFound(t *testing.T) {
	s := signer(t, 1)
	table, text := grown(t, s, 7, 2)
	v := verifiers(t, s)
	sound := func(text string) bool {
		c, err := ledger.ReadCopy(strings.NewReader(text))
		if err != nil || c.Whole != int64(len(text)) {
			return false
		}
		if _, err := c.Verify(v); err != nil {
			return false
		}
		common, err := ledger.Compare(table.Leaves, c.Leaves)
		return err == nil && common == int64(len(table.Leaves))
	}
	if !sound(text) {
		t.Fatal("the copy itself is not found sound")
	}
	for at := range len(text) {
		for _, changed := range changes(text, at) {
			if changed != text && sound(changed) {
				t.Errorf("byte %d: %q is found sound", at, changed[max(0, at-10):min(len(changed), at+10)])
			}
		}
	}
}

func TestEveryChangeOfTheTableIsFoundAndItsEntryNamed(t *testing.T) {
	s := signer(t, 1)
	v := verifiers(t, s)
	whole, _ := grown(t, s, 7, 2)
	clone := func() ledger.Table {
		return ledger.Table{Leaves: slices.Clone(whole.Leaves), Hashes: slices.Clone(whole.Hashes), Checkpoints: slices.Clone(whole.Checkpoints)}
	}
	if _, err := clone().Verify(v); err != nil {
		t.Fatal(err)
	}
	for i, leaf := range whole.Leaves {
		for at := range leaf {
			for _, changed := range changes(string(leaf), at) {
				table := clone()
				table.Leaves[i] = []byte(changed)
				_, err := table.Verify(v)
				var d *ledger.Damage
				if changed != string(leaf) && (!errors.As(err, &d) || d.Entry != int64(i)) {
					t.Errorf("entry %d, byte %d: error %v, want damage of that entry", i, at, err)
				}
			}
		}
	}
	for i := range whole.Hashes {
		for at := range whole.Hashes[i] {
			table := clone()
			table.Hashes[i][at] ^= 1
			if _, err := table.Verify(v); err == nil {
				t.Errorf("hash %d, byte %d may change", i, at)
			}
		}
	}
	for i, c := range whole.Checkpoints {
		for at := range len(c) {
			for _, changed := range changes(c, at) {
				table := clone()
				table.Checkpoints[i] = changed
				for who, v := range map[string]*ledger.Verifiers{"a stranger": v, "who holds the key": ledger.OwnVerifiers(s)} {
					if _, err := table.Verify(v); err == nil && changed != c {
						t.Errorf("checkpoint %d, byte %d may change for %s", i, at, who)
					}
				}
			}
		}
	}
	for what, o := range map[string]ledger.Opening{
		"another's":     {Index: 2, Salt: opening.Salt, KeyedID: opening.KeyedID},
		"another salt":  {Index: 3, Salt: opening.KeyedID[:ledger.SaltSize], KeyedID: opening.KeyedID},
		"of no entry":   {Index: 7, Salt: opening.Salt, KeyedID: opening.KeyedID},
		"before others": {Index: -1, Salt: opening.Salt, KeyedID: opening.KeyedID},
	} {
		table := clone()
		table.Openings = []ledger.Opening{opening, o}
		if _, err := table.Verify(v); err == nil {
			t.Errorf("an opening that is %s is not found", what)
		}
	}
	for what, change := range map[string]func(*ledger.Table){
		"a leaf is gone":           func(t *ledger.Table) { t.Leaves = t.Leaves[:6] },
		"two are swapped":          func(t *ledger.Table) { t.Leaves[1], t.Leaves[2] = t.Leaves[2], t.Leaves[1] },
		"a hash is gone":           func(t *ledger.Table) { t.Hashes = t.Hashes[:len(t.Hashes)-1] },
		"a hash too many":          func(t *ledger.Table) { t.Hashes = append(t.Hashes, tlog.Hash{}) },
		"the last checkpoint":      func(t *ledger.Table) { t.Checkpoints = t.Checkpoints[:3] },
		"a checkpoint twice":       func(t *ledger.Table) { t.Checkpoints = append(t.Checkpoints, t.Checkpoints[3]) },
		"everything":               func(t *ledger.Table) { *t = ledger.Table{} },
		"all but the checkpoints":  func(t *ledger.Table) { t.Leaves, t.Hashes = nil, nil },
		"a tail with its hashes":   func(t *ledger.Table) { t.Leaves, t.Hashes = t.Leaves[:6], t.Hashes[:tlog.StoredHashCount(6)] },
		"an entry of another kind": func(t *ledger.Table) { t.Leaves[6] = []byte(`{"at":"2027-07-14T13:00:00Z","kind":"deleted"}`) },
	} {
		table := clone()
		change(&table)
		if _, err := table.Verify(v); err == nil {
			t.Errorf("%s: not found", what)
		}
	}
}

func TestEveryChangedByteOfACertificateIsFound(t *testing.T) {
	s := signer(t, 1)
	v := verifiers(t, s)
	for _, n := range []int{1, 7} {
		table, _ := grown(t, s, n, 7)
		for index, leaf := range table.Leaves {
			var o *ledger.Opening
			if index == 3 {
				o = &opening
			}
			c, err := ledger.Certify(int64(index), leaf, o, int64(n), table.Checkpoints[0], stored(table.Hashes))
			if err != nil {
				t.Fatal(err)
			}
			text := c.Text()
			sound := func(text string) bool {
				c, err := ledger.ParseCertificate(text)
				if err != nil {
					return false
				}
				_, _, err = c.Verify(v)
				return err == nil
			}
			if !sound(text) {
				t.Fatalf("the certificate of entry %d is not found sound:\n%s", index, text)
			}
			for at := range len(text) {
				for _, changed := range changes(text, at) {
					if changed != text && sound(changed) {
						t.Errorf("entry %d, byte %d: %q is found sound", index, at, changed[max(0, at-10):min(len(changed), at+10)])
					}
				}
			}
		}
	}
}

func TestOnlyKnownKeysAreBelieved(t *testing.T) {
	old, current, stranger := signer(t, 1), signer(t, 2), signer(t, 3)
	table, _ := grown(t, old, 4, 4)
	if _, err := table.Verify(verifiers(t, current, old)); err != nil {
		t.Errorf("an older key is not believed: %v", err)
	}
	if _, err := table.Verify(verifiers(t, current, stranger)); err == nil {
		t.Error("a stranger's key is believed")
	}
	for _, bad := range []string{"", "lethe+1+2", "other+" + strings.SplitN(old.Key(), "+", 2)[1]} {
		if _, err := ledger.NewVerifiers(bad); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func TestACommitmentOpensForItsOwnAlone(t *testing.T) {
	e := ledger.Entry{Person: ledger.Commit(opening.Salt, opening.KeyedID)}
	if !opening.Opens(e) {
		t.Error("it does not open")
	}
	for what, o := range map[string]ledger.Opening{
		"another salt":  {Salt: bytes.Repeat([]byte{4}, ledger.SaltSize), KeyedID: opening.KeyedID},
		"another id":    {Salt: opening.Salt, KeyedID: bytes.Repeat([]byte{7}, 32)},
		"nothing":       {},
		"a longer salt": {Salt: append(bytes.Clone(opening.Salt), opening.KeyedID[0]), KeyedID: opening.KeyedID[1:]},
	} {
		if o.Opens(e) {
			t.Errorf("%s opens it", what)
		}
	}
}

func TestACopyThatIsBehindOrAheadOrForkedIsToldApart(t *testing.T) {
	s := signer(t, 1)
	table, text := grown(t, s, 6, 2)
	half := text[:len(text)-20]
	c, err := ledger.ReadCopy(strings.NewReader(half))
	if err != nil || len(c.Leaves) != 4 || c.Whole >= int64(len(half)) {
		t.Fatalf("a torn copy has %d entries, whole up to %d of %d (%v)", len(c.Leaves), c.Whole, len(half), err)
	}
	if _, err := c.Verify(verifiers(t, s)); err != nil {
		t.Error(err)
	}
	if n, err := ledger.Compare(table.Leaves, c.Leaves); n != 4 || err != nil {
		t.Errorf("behind: %d are common (%v)", n, err)
	}
	if n, err := ledger.Compare(c.Leaves, table.Leaves); n != 4 || err != nil {
		t.Errorf("ahead: %d are common (%v)", n, err)
	}
	var d *ledger.Damage
	c.Leaves[2] = []byte("{}")
	if _, err := ledger.Compare(table.Leaves, c.Leaves); !errors.As(err, &d) || d.Entry != 2 {
		t.Errorf("forked: %v", err)
	}
}

func TestADamagedCopyTellsHowManyEntriesItHad(t *testing.T) {
	s := signer(t, 1)
	_, text := grown(t, s, 7, 2)
	f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	for at := range len(text) {
		for _, changed := range changes(text, at) {
			if err := os.WriteFile(f.Path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if n, err := f.AtLeast(verifiers(t, s)); err != nil || n != 7 {
				t.Errorf("byte %d changed: it had %d entries or more (%v), want 7", at, n, err)
			}
		}
	}
}

func TestTheOpeningsBesideACopyBecomeThoseThatAreKept(t *testing.T) {
	s := signer(t, 1)
	table, _ := grown(t, s, 5, 2)
	f := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	all := []ledger.Opening{opening, {Index: 4, Salt: opening.Salt, KeyedID: bytes.Repeat([]byte{7}, 32), Key: "0a1b2c3d"}}
	keep := func(openings []ledger.Opening) {
		t.Helper()
		err := f.Append(func(have [][]byte) ([]ledger.Group, []ledger.Opening, error) {
			groups, err := table.Groups(int64(len(have)), verifiers(t, s))
			return groups, openings, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if same, err := f.HasOpenings(openings); err != nil || !same {
			t.Errorf("the file does not have those %d openings (%v)", len(openings), err)
		}
	}
	keep(all)
	path := f.Path + ".openings"
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := f.Openings()
	if err != nil || len(read) != 2 || read[4].Key != "0a1b2c3d" || !bytes.Equal(read[3].KeyedID, opening.KeyedID) {
		t.Errorf("read back: %v (%v)", read, err)
	}
	for at := range len(whole) {
		for _, changed := range changes(string(whole), at) {
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if same, _ := f.HasOpenings(all); same && changed != string(whole) {
				t.Errorf("byte %d may change", at)
			}
		}
	}
	for what, left := range map[string]string{
		"gone": "", "cut off in a line": string(whole[:len(whole)-30]), "glued": string(whole[:30]) + string(whole), "others": "9 AA== AA== x\n",
	} {
		if err := os.WriteFile(path, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(what, func(*testing.T) { keep(all) })
	}
	keep(all[1:]) // the first was pruned
	keep(nil)
}

func TestTheFormatsStayAsTheyAre(t *testing.T) {
	s := signer(t, 1)
	table, text := grown(t, s, 5, 3)
	c, err := ledger.Certify(3, table.Leaves[3], &opening, 5, table.Checkpoints[1], stored(table.Hashes))
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"copy": text, "certificate": c.Text(), "key": s.Key() + "\n"} {
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != got {
			t.Errorf("%s: got %s (%v), want %s", file, got, err, want)
		}
	}
}

// BenchmarkVerify verifies 100,000 entries with a signed checkpoint each, as a table has
// them: by whoever holds the key, and by a stranger.
func BenchmarkVerify(b *testing.B) {
	s := signer(b, 1)
	table, _ := grown(b, s, 100_000, 1)
	for who, v := range map[string]*ledger.Verifiers{"own": ledger.OwnVerifiers(s), "stranger": verifiers(b, s)} {
		b.Run(who, func(b *testing.B) {
			for b.Loop() {
				if _, err := table.Verify(v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCertificate(b *testing.B) {
	s := signer(b, 1)
	table, _ := grown(b, s, 100_000, 100_000)
	for b.Loop() {
		if _, err := ledger.Certify(4711, table.Leaves[4711], nil, 100_000, table.Checkpoints[0], stored(table.Hashes)); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzReadCopy(f *testing.F) {
	s := signer(f, 1)
	_, text := grown(f, s, 3, 2)
	f.Add([]byte(text))
	v := verifiers(f, s)
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := ledger.ReadCopy(bytes.NewReader(text)); err == nil {
			_, _ = c.Verify(v) // it may be refused, it must not panic
		}
		if c, err := ledger.ParseCertificate(string(text)); err == nil && c.Text() != string(text) {
			t.Error("a certificate has two spellings")
		}
		if e, err := ledger.ParseEntry(text); err == nil {
			if leaf, err := e.Leaf(); err != nil || !bytes.Equal(leaf, text) {
				t.Errorf("an entry has two spellings: %s (%v)", leaf, err)
			}
		}
	})
}

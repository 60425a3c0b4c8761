package seal_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"lethe/attendees/seal"
)

func FuzzArbitraryBytesOpenNowhere(f *testing.F) {
	k := keyring(f, 7)
	c := seal.NewCipher(seal.NewKey(), "4711", "working", generation)
	h := seal.NewHalves(k, seal.NewPepper(), "4711", "kept", generation)
	o := officer(f)
	lock, err := seal.NewLock("4711", generation)
	if err != nil {
		f.Fatal(err)
	}
	p := c.Place([16]byte{1}, 0, "registration")
	sealed, err := seal.SealTo(lock.Public(), seal.Place{Event: "1"}, []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{
		nil, {1}, make([]byte, 32), sealed, k.Wrap(seal.Place{Event: "1"}, make([]byte, 32)), c.Seal(nil, [16]byte{2}, 0, "", []byte("{}")),
		h.Seal("ada@example.org", [16]byte{2}, 0, "kept", []byte("{}")), k.MAC(p, "age1")[:3],
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for what, open := range map[string]func() error{
			"a layer":        func() error { _, err := c.Open(nil, [16]byte{1}, 0, "registration", b); return err },
			"a half":         func() error { _, err := h.Open("ada@example.org", [16]byte{1}, 0, "kept", b); return err },
			"a wrapped key":  func() error { _, err := k.Unwrap(p, b); return err },
			"a text":         func() error { _, err := k.OpenText(p, b); return err },
			"an age file":    func() error { _, err := lock.Open(p, b); return err },
			"a key's copy":   func() error { _, err := lock.OpenKey(p, b); return err },
			"a lock":         func() error { _, err := o.OpenLock(b, "4711", generation); return err },
			"an authentic":   func() error { return k.CheckMAC(p, "age1", b) },
			"officers' keys": func() error { return refused(seal.ParseOfficers(string(b))) },
		} {
			if open() == nil && what != "officers' keys" {
				t.Errorf("%x opens as %s", b, what)
			}
		}
		_, _ = seal.ReadOfficer(bytes.NewReader(b))
	})
}

func refused(_ *seal.Officers, err error) error { return err }

func TestEveryFlippedBitIsRefused(t *testing.T) {
	k := keyring(t, 7)
	lock, err := seal.NewLock("4711", generation)
	if err != nil {
		t.Fatal(err)
	}
	h := seal.NewHalves(k, seal.NewPepper(), "4711", "kept", generation)
	p := seal.Place{Event: "4711", Key: seal.LockName, Generation: generation, Subject: [16]byte{1}, Origin: "restricted"}
	file, err := seal.SealTo(lock.Public(), p, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		sealed []byte
		open   func([]byte) error
	}{
		"an age file": {file, func(b []byte) error { _, err := lock.Open(p, b); return err }},
		"a half": {h.Seal("ada@example.org", [16]byte{1}, 0, "kept", []byte("{}")), func(b []byte) error {
			_, err := h.Open("ada@example.org", [16]byte{1}, 0, "kept", b)
			return err
		}},
		"a wrapped key": {k.Wrap(p, make([]byte, 32)), func(b []byte) error { _, err := k.Unwrap(p, b); return err }},
		"a text":        {k.SealText(p, []byte("{}")), func(b []byte) error { _, err := k.OpenText(p, b); return err }},
		"a MAC":         {k.MAC(p, "age1"), func(b []byte) error { return k.CheckMAC(p, "age1", b) }},
	} {
		if err := c.open(c.sealed); err != nil {
			t.Errorf("%s does not open unchanged: %v", what, err)
		}
		for i := range c.sealed {
			for bit := range 8 {
				changed := bytes.Clone(c.sealed)
				changed[i] ^= 1 << bit
				if c.open(changed) == nil {
					t.Fatalf("%s opens though bit %d of byte %d was changed", what, bit, i)
				}
			}
		}
	}
}

func FuzzNormalisingTwiceChangesNothing(f *testing.F) {
	for _, s := range []string{
		"ada@example.org", " Ada@BÜCHER.example\u200b", "jose\u0301@nfd.example", "@", "a@xn--a", "\u212a@\u212a.example", "a@\u0130.example",
		"a\u00ad\u0301@b", "\xff@\xfe", "a@b c", "a@ \u200b", "a@-.\u3002",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := seal.Normalise(s)
		if twice := seal.Normalise(once); twice != once {
			t.Errorf("Normalise(%+q) is %+q, and that is %+q", s, once, twice)
		}
	})
}

func FuzzFoldingANameTwiceChangesNothing(f *testing.F) {
	for _, s := range []string{
		"Ada  Lind", "ΟΔΥΣΣΕΥΣ", "İstanbul", "Stra\u00dfe", "\u0345\u0301", "\u1fb3\u0301", "\ufdfa", "\u00b4a", "A\u200dB", "\xff", "\u01f0\u0345",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := seal.FoldName(s)
		if twice := seal.FoldName(once); twice != once {
			t.Errorf("FoldName(%+q) is %+q, and that is %+q", s, once, twice)
		}
		if strings.Contains(once, "  ") {
			t.Errorf("FoldName(%+q) is %+q, with two spaces", s, once)
		}
	})
}

// Every letter there is, with the marks that change how letters compose.
func TestEveryLetterFoldsOnce(t *testing.T) {
	for r := range rune(unicode.MaxRune) {
		if !unicode.IsLetter(r) && !unicode.IsMark(r) || unicode.Is(unicode.Han, r) || unicode.Is(unicode.Hangul, r) {
			continue
		}
		for _, mark := range []string{"", "\u0301", "\u0345", "\u0323"} {
			for what, fold := range map[string]func(string) string{"FoldName": seal.FoldName, "Normalise": seal.Normalise} {
				once := fold("a" + string(r) + mark + "@" + string(r) + mark + ".example")
				if twice := fold(once); twice != once {
					t.Errorf("%s(%U %+q) is %+q, and that is %+q", what, r, mark, once, twice)
				}
			}
		}
	}
}

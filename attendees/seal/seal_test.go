package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"lethe/attendees/seal"
)

func keyring(t testing.TB, seeds ...byte) *seal.Keyring {
	t.Helper()
	var texts []string
	for _, s := range seeds {
		texts = append(texts, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{s}, seal.SecretSize)))
	}
	k, err := seal.NewKeyring(strings.Join(texts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var generation = []byte("gen-0001")

func TestALayerOpensOnlyWhereItWasSealed(t *testing.T) {
	key := seal.NewKey()
	c := seal.NewCipher(key, "4711", "working", generation)
	subject := [16]byte{1, 2, 3}
	text := []byte(`{"name":"Ada Lind"}`)
	sealed := c.Seal(nil, subject, 0, "registration", text)
	if got, err := c.Open(nil, subject, 0, "registration", sealed); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("it opens as %q, %v", got, err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"another attendee": func() ([]byte, error) { return c.Open(nil, [16]byte{9}, 0, "registration", sealed) },
		"another number":   func() ([]byte, error) { return c.Open(nil, subject, 1, "registration", sealed) },
		"another origin":   func() ([]byte, error) { return c.Open(nil, subject, 0, "response", sealed) },
		"another event": func() ([]byte, error) {
			return seal.NewCipher(key, "4712", "working", generation).Open(nil, subject, 0, "registration", sealed)
		},
		"another name": func() ([]byte, error) {
			return seal.NewCipher(key, "4711", "kept", generation).Open(nil, subject, 0, "registration", sealed)
		},
		"another generation": func() ([]byte, error) {
			return seal.NewCipher(key, "4711", "working", []byte("gen-0002")).Open(nil, subject, 0, "registration", sealed)
		},
		"another key": func() ([]byte, error) {
			return seal.NewCipher(seal.NewKey(), "4711", "working", generation).Open(nil, subject, 0, "registration", sealed)
		},
	} {
		if _, err := open(); !errors.Is(err, seal.ErrKey) {
			t.Errorf("in the place of %s: %v, want ErrKey", what, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			if _, err := c.Open(nil, subject, 0, "registration", changed); err == nil {
				t.Fatalf("bit %d of byte %d was changed, and it opens", bit, i)
			}
		}
	}
}

func TestALockOpensForEachOfficerAndItsFileOnlyInItsPlace(t *testing.T) {
	one, other := officer(t), officer(t)
	officers, err := seal.ParseOfficers(one.Public() + "," + other.Public())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := seal.NewLock("4711", generation)
	if err != nil {
		t.Fatal(err)
	}
	file, _, err := officers.SealLock(lock)
	if err != nil {
		t.Fatal(err)
	}
	p := seal.Place{Event: "4711", Key: seal.LockName, Generation: generation, Subject: [16]byte{7}, Origin: "restricted"}
	text := []byte(`{"a":1}`)
	sealed, err := seal.SealTo(lock.Public(), p, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []seal.Officer{one, other} {
		l, err := o.OpenLock(file, "4711", generation)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.Open(p, sealed); err != nil || !bytes.Equal(got, text) {
			t.Errorf("it opens as %q, %v", got, err)
		}
		moved := p
		moved.Subject = [16]byte{8}
		if _, err := l.Open(moved, sealed); !errors.Is(err, seal.ErrMoved) {
			t.Errorf("for another attendee: %v, want ErrMoved", err)
		}
	}
	if _, err := officer(t).OpenLock(file, "4711", generation); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a stranger's key: %v, want ErrKey", err)
	}
	if _, err := one.OpenLock(file, "4712", generation); !errors.Is(err, seal.ErrMoved) {
		t.Errorf("as another event's: %v, want ErrMoved", err)
	}
}

func officer(t testing.TB) seal.Officer {
	t.Helper()
	o, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAHalfOpensOnlyForItsOwnAddress(t *testing.T) {
	k := keyring(t, 1)
	h := seal.NewHalves(k, seal.NewPepper(), "4711", "kept", generation)
	subject := [16]byte{3}
	half := h.Seal("Ada@example.org", subject, 0, "kept", []byte(`{}`))
	if got, err := h.Open(" ada@EXAMPLE.org", subject, 0, "kept", half); err != nil || string(got) != "{}" {
		t.Errorf("it opens as %q, %v", got, err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"another address":  func() ([]byte, error) { return h.Open("eda@example.org", subject, 0, "kept", half) },
		"another attendee": func() ([]byte, error) { return h.Open("ada@example.org", [16]byte{4}, 0, "kept", half) },
		"another pepper": func() ([]byte, error) {
			return seal.NewHalves(k, seal.NewPepper(), "4711", "kept", generation).Open("ada@example.org", subject, 0, "kept", half)
		},
	} {
		if _, err := open(); !errors.Is(err, seal.ErrKey) {
			t.Errorf("%s: %v, want ErrKey", what, err)
		}
	}
	if h.Seal("", subject, 0, "kept", []byte(`{}`)) != nil {
		t.Error("somebody without an address has a half")
	}
}

func TestTwoSpellingsOfAnAddressAreOneOnlyWhereDesignSaysSo(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"ada@example.org", " ADA@Example.ORG\t", true},
		{"ada@bücher.example", "ada@xn--bcher-kva.example", true},
		{"k@BÜRO.example", "k@büro.example", true},
		{"zed@zero.example\u200b", "zed@zero.example", true},
		{"\ufeffbom@zero.example", "bom@zero.example", true},
		{"rtl@zero.example\u200e", "rtl@zero.example", true},
		{"soft\u00ad@hy.example", "soft@hy.example", true},
		{"jose\u0301@nfd.example", "jos\u00e9@nfd.example", true},
		{"a.b@example.org", "ab@example.org", false},
		{"ab+c@example.org", "ab@example.org", false},
		{"ada@gmail.com", "ada@gma\u0130l.com", false},
		{"ada@example.org", "\u0430da@example.org", false},
		{"ada@example.org", "ada@ex\uFF41mple.org", false},
		{"\"odd@local\"@example.org", "\"odd@local\"@EXAMPLE.org", true},
		{"no address", "NO ADDRESS", true},
	} {
		if got := seal.Normalise(c.a) == seal.Normalise(c.b); got != c.same {
			t.Errorf("Normalise(%+q) == Normalise(%+q) is %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

func BenchmarkSealALayer(b *testing.B) {
	c := seal.NewCipher(seal.NewKey(), "4711", "working", generation)
	text := bytes.Repeat([]byte("a"), 250)
	buffer := make([]byte, 0, 512)
	for b.Loop() {
		c.Seal(buffer[:0], [16]byte{1}, 0, "registration", text)
	}
}

func BenchmarkSealAHalf(b *testing.B) {
	h := seal.NewHalves(keyring(b, 1), seal.NewPepper(), "4711", "kept", generation)
	text := bytes.Repeat([]byte("a"), 250)
	for b.Loop() {
		h.Seal("ada@example.org", [16]byte{1}, 0, "kept", text)
	}
}

func BenchmarkHashAnAddress(b *testing.B) {
	k := keyring(b, 1)
	h, _ := k.Hashes(k.Newest())
	for b.Loop() {
		h.Address("4711", "ada@example.org")
	}
}

package seal_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"lethe/attendees/old/seal"
)

func TestOnlyTheExactNormalisedAddressIsTheSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"ada@example.org", " ADA@Example.ORG\t", true},
		{"ada@bücher.example", "ada@xn--bcher-kva.example", true},
		{"a.b@example.org", "ab@example.org", false},
		{"ab+c@example.org", "ab@example.org", false},
		{"ada@gmail.com", "ada@gma\u0130l.com", false},     // dotted capital I
		{"kim@example.org", "\u212Aim@example.org", false}, // Kelvin sign
		{"ada@example.org", "\u0430da@example.org", false}, // Cyrillic a
		{"ada@example.org", "ada@ex\uFF41mple.org", false}, // full-width a
		{"\"odd@local\"@example.org", "\"odd@local\"@EXAMPLE.org", true},
		{"no address", "NO ADDRESS", true},
	} {
		if got := seal.Normalise(c.a) == seal.Normalise(c.b); got != c.same {
			t.Errorf("Normalise(%+q) == Normalise(%+q) is %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

func TestAddressIndexDiffersByEventAndBySecret(t *testing.T) {
	one, two := keyring(t, 1), keyring(t, 2)
	a := one.AddressIndex("4711", "ada@example.org")
	if !bytes.Equal(a, one.AddressIndex("4711", " Ada@EXAMPLE.org")) {
		t.Error("two spellings of one address have two indexes")
	}
	for what, b := range map[string][]byte{
		"another event":   one.AddressIndex("4712", "ada@example.org"),
		"another address": one.AddressIndex("4711", "eda@example.org"),
		"another secret":  two.AddressIndex("4711", "ada@example.org"),
		"shifted borders": one.AddressIndex("471", "1ada@example.org"),
	} {
		if bytes.Equal(a, b) {
			t.Errorf("%s gives the same index", what)
		}
	}
	if got := one.AddressIndex("4711", "  "); len(got) != 0 {
		t.Errorf("no address has index %x, want none", got)
	}
}

func TestASecretThatDoesNotParseIsNotPrinted(t *testing.T) {
	for _, bad := range []string{"", "c2hvcnQ=", "not base64 but secret", base64.StdEncoding.EncodeToString(make([]byte, 32)) + ",oops"} {
		_, err := seal.NewKeyring(bad)
		if err == nil {
			t.Errorf("%q was taken for a secret", bad)
			continue
		}
		for part := range strings.SplitSeq(bad, ",") {
			if part != "" && strings.Contains(err.Error(), part) {
				t.Errorf("the error prints the secret: %v", err)
			}
		}
	}
}

// keyring is one of several secrets, the newest first.
func keyring(t testing.TB, seeds ...byte) *seal.Keyring {
	t.Helper()
	var secrets []string
	for _, seed := range seeds {
		secrets = append(secrets, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{seed}, seal.SecretSize)))
	}
	k, err := seal.NewKeyring(strings.Join(secrets, ","))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

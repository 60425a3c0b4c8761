package seal_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"lethe/attendees/seal"
)

var update = flag.Bool("update", false, "make the test vectors again")

const vectorsFile = "testdata/vectors.json"

// vectors are one event's sealed things with the keys that open them. The secret is 32
// times the byte 7; everybody in them is invented.
type vectors struct {
	Secret, Officer     string // LETHE_SECRET and the officer's identity file
	Event               string
	Generation, Subject []byte // one generation for all keys, and one attendee
	Address             string
	Lock                []byte // its private half, for the officer
	Working             []byte // the server's copy of the key `working`
	Layer               []byte // under working, number 0, origin registration
	Kept                []byte // the officers' copy of the key `kept`
	Pepper              []byte // of kept
	Record, Half        []byte // under kept, number 0, kind kept
	Restricted          []byte // to the lock, number 2, kind restricted
	AddressIndex        []byte
	LayerText           string
	RecordText          string
	RestrictedText      string
}

// TestTheVectorsOpenWithThisPackageToo is where -update makes them.
func TestTheVectorsOpenWithThisPackageToo(t *testing.T) {
	if *update {
		makeVectors(t)
	}
	v := readVectors(t)
	k, err := seal.NewKeyring(v.Secret)
	if err != nil {
		t.Fatal(err)
	}
	place := seal.Place{Event: v.Event, Key: "kept", Generation: v.Generation, Origin: "pepper"}
	pepper, err := k.Unwrap(place, v.Pepper)
	if err != nil {
		t.Fatal(err)
	}
	text, err := seal.NewHalves(k, pepper, v.Event, "kept", v.Generation).Open(v.Address, [16]byte(v.Subject), 0, "kept", v.Half)
	if err != nil || string(text) != v.RecordText {
		t.Errorf("the half opens as %q, %v", text, err)
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	file, err := os.ReadFile(vectorsFile)
	if err == nil {
		err = json.Unmarshal(file, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func makeVectors(t *testing.T) {
	t.Helper()
	must := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := vectors{
		Secret: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", Event: "4711", Generation: generation, Address: "ada@xn--bcher-kva.example",
		LayerText:      `{"name":"Ada Lind","email":"ada@xn--bcher-kva.example"}`,
		RecordText:     `{"fields":{"name":{"value":"Ada Lind","origin":"registration"}}}`,
		RestrictedText: `[{"origin":"registration","name":"Ada Lind"}]`,
	}
	o := officer(t)
	v.Officer = o.File(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	officers, err := seal.ParseOfficers(o.Public())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := seal.NewLock(v.Event, generation)
	if err != nil {
		t.Fatal(err)
	}
	if v.Lock, _, err = officers.SealLock(lock); err != nil {
		t.Fatal(err)
	}
	k := keyring(t, 7)
	hashes := k.AllHashes()[0]
	subject := hashes.Registration(v.Event, "eventbrite", "1001")
	v.Subject, v.AddressIndex = subject[:], hashes.Address(v.Event, v.Address)

	working, kept, pepper := seal.NewKey(), seal.NewKey(), seal.NewPepper()
	place := func(key, origin string) seal.Place {
		return seal.Place{Event: v.Event, Key: key, Generation: generation, Origin: origin}
	}
	v.Working = k.Wrap(place("working", ""), working[:])
	v.Layer = seal.NewCipher(working, v.Event, "working", generation).Seal(nil, subject, 0, "registration", []byte(v.LayerText))
	v.Kept = must(seal.SealKeyTo(lock.Public(), place("kept", ""), kept))
	v.Pepper = k.Wrap(place("kept", "pepper"), pepper)
	v.Record = seal.NewCipher(kept, v.Event, "kept", generation).Seal(nil, subject, 0, "kept", []byte(v.RecordText))
	v.Half = seal.NewHalves(k, pepper, v.Event, "kept", generation).Seal(v.Address, subject, 0, "kept", []byte(v.RecordText))
	p := place(seal.LockName, "restricted")
	p.Subject, p.Number = subject, 2
	v.Restricted = must(seal.SealTo(lock.Public(), p, []byte(v.RestrictedText)))
	file := must(json.MarshalIndent(v, "", "\t"))
	if err := os.WriteFile(vectorsFile, append(file, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

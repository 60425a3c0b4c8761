package seal_test

// This file opens what Lethe sealed with age and the standard library alone, by what the
// package comment says. It may import nothing of ours.

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestAnOfficerOpensARecordWithAgeAndTheStandardLibrary(t *testing.T) {
	v := vectorsWithoutLethe(t)
	lock := ageFile(t, v.Lock, v.Officer)
	key := behind(t, frameOf(v.Event, "kept", v.Generation, nil, 0, ""), ageFile(t, v.Kept, lock))
	record := unpadded(gcmOpen(t, key, frameOf(v.Event, "kept", v.Generation, v.Subject, 0, "kept"), v.Record))
	if record != v.RecordText {
		t.Errorf("the record is %q", record)
	}
	restricted := behind(t, frameOf(v.Event, "lock", v.Generation, v.Subject, 2, "restricted"), ageFile(t, v.Restricted, lock))
	if unpadded(restricted) != v.RestrictedText {
		t.Errorf("what was restricted is %q", restricted)
	}
}

func TestTheServersKeyOpensALayerWithTheStandardLibrary(t *testing.T) {
	v := vectorsWithoutLethe(t)
	key := unwrap(t, v.Secret, frameOf(v.Event, "working", v.Generation, nil, 0, ""), v.Working)
	layer := unpadded(gcmOpen(t, key, frameOf(v.Event, "working", v.Generation, v.Subject, 0, "registration"), v.Layer))
	if layer != v.LayerText {
		t.Errorf("the layer is %q", layer)
	}
}

func TestAnAddressOpensItsHalfWithTheStandardLibrary(t *testing.T) {
	v := vectorsWithoutLethe(t)
	pepper := unwrap(t, v.Secret, frameOf(v.Event, "kept", v.Generation, nil, 0, "pepper"), v.Pepper)
	number := make([]byte, 4)
	info := parts([]byte(v.Event), []byte("kept"), v.Generation, []byte(v.Address), v.Subject, number)
	key, err := hkdf.Key(sha256.New, subkey(t, v.Secret, "person"), []byte(pepper), string(info), 32)
	if err != nil {
		t.Fatal(err)
	}
	half := unpadded(gcmOpen(t, string(key), frameOf(v.Event, "kept", v.Generation, v.Subject, 0, "kept"), v.Half[4:]))
	if half != v.RecordText {
		t.Errorf("the half is %q", half)
	}
	h := hmac.New(sha256.New, subkey(t, v.Secret, "index"))
	h.Write(parts([]byte("address"), []byte(v.Event), []byte(v.Address)))
	if !bytes.Equal(h.Sum(nil)[:16], v.AddressIndex) {
		t.Error("the address is indexed otherwise")
	}
}

func vectorsWithoutLethe(t *testing.T) (v struct {
	Secret, Officer, Event, Address                         string
	Generation, Subject, Lock, Working, Layer, Kept, Pepper []byte
	Record, Half, Restricted, AddressIndex                  []byte
	LayerText, RecordText, RestrictedText                   string
}) {
	t.Helper()
	file, err := os.ReadFile("testdata/vectors.json")
	if err := errors.Join(err, json.Unmarshal(file, &v)); err != nil {
		t.Fatal(err)
	}
	return v
}

func parts(all ...[]byte) (b []byte) {
	for _, p := range all {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

func frameOf(event, key string, generation, subject []byte, number uint32, origin string) []byte {
	return parts([]byte(event), []byte(key), generation, subject, binary.BigEndian.AppendUint32(nil, number), []byte(origin))
}

func ageFile(t *testing.T, file []byte, identities string) string {
	t.Helper()
	with, err := age.ParseIdentities(strings.NewReader(identities))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(file), with...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func behind(t *testing.T, frame []byte, text string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(text, string(frame))
	if !ok {
		t.Fatal("it begins with another frame")
	}
	return rest
}

func gcmOpen(t *testing.T, key string, frame, sealed []byte) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	text, err := aead.Open(nil, sealed[:12], sealed[12:], frame)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unpadded is a text without the spaces behind it.
func unpadded(text string) string { return strings.TrimRight(text, " ") }

func subkey(t *testing.T, secret, use string) []byte {
	t.Helper()
	value, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, value, nil, "lethe "+use, 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// unwrap opens the server's copy of a key, or a pepper: 32 bytes without padding.
func unwrap(t *testing.T, secret string, frame, wrapped []byte) string {
	t.Helper()
	return gcmOpen(t, string(subkey(t, secret, "wrapping")), frame, wrapped[4:])
}

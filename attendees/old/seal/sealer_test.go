package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"lethe/attendees/old/seal"
)

var ada = seal.Record{
	Event: "4711", Attendee: "3000000001", Part: "registration",
	Fields: json.RawMessage(`{"name":"Zaphira Quillfeather","email":"zaphira@example.org"}`),
}

const hers = "zaphira@example.org"

func officer(t testing.TB) seal.Officer {
	t.Helper()
	o, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sealer(t testing.TB, keys *seal.Keyring, to ...seal.Officer) *seal.Sealer {
	t.Helper()
	var public []string
	for _, o := range to {
		public = append(public, o.Public())
	}
	officers, err := seal.ParseOfficers(strings.Join(public, ", "))
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.NewSealer(officers, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealed(t testing.TB, s *seal.Sealer, r seal.Record, address string) seal.Sealed {
	t.Helper()
	out, err := s.Seal(r, address)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachOfficerOpensAloneAndNobodyElse(t *testing.T) {
	one, deputy, stranger := officer(t), officer(t), officer(t)
	s := sealed(t, sealer(t, keyring(t, 1), one, deputy), ada, hers)
	for _, o := range []seal.Officer{one, deputy} {
		got, err := o.Open(s.Officers, "4711", "3000000001", "registration")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ada, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := stranger.OpenAny(s.Officers); !errors.Is(err, seal.ErrKey) {
		t.Errorf("a stranger gets %v", err)
	}
	for _, other := range [][3]string{{"4712", ada.Attendee, ada.Part}, {ada.Event, "3000000002", ada.Part}, {ada.Event, ada.Attendee, "held"}} {
		if _, err := one.Open(s.Officers, other[0], other[1], other[2]); !errors.Is(err, seal.ErrMoved) {
			t.Errorf("moved to %v it gives %v", other, err)
		}
	}
}

func TestTheStandardAgeLibraryOpensTheOfficersHalf(t *testing.T) {
	o := officer(t)
	s := sealed(t, sealer(t, keyring(t, 1), o), ada, hers)
	identities, err := age.ParseIdentities(strings.NewReader(o.File(time.Unix(0, 0))))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(s.Officers), identities...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"event":"4711","attendee":"3000000001","part":"registration","fields":{"name":"Zaphira Quillfeather","email":"zaphira@example.org"}}`
	if got := strings.TrimRight(string(text), " \n"); got != want || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("got %q", text)
	}
}

func TestAPersonsHalfOpensOnlyForItsOwnAddress(t *testing.T) {
	keys := keyring(t, 1)
	s := sealed(t, sealer(t, keys, officer(t)), ada, hers)
	open := func(k *seal.Keyring, half []byte, event, attendee, part, address string) error {
		_, err := k.OpenPerson(half, s.Key, event, attendee, part, address)
		return err
	}
	for _, address := range []string{hers, " Zaphira@EXAMPLE.org\t"} {
		if err := open(keys, s.Person, "4711", "3000000001", "registration", address); err != nil {
			t.Errorf("%q does not open it: %v", address, err)
		}
	}
	for what, err := range map[string]error{
		"another address":   open(keys, s.Person, "4711", "3000000001", "registration", "zaphir@example.org"),
		"a look-alike":      open(keys, s.Person, "4711", "3000000001", "registration", "z\u0430phira@example.org"),
		"no address":        open(keys, s.Person, "4711", "3000000001", "registration", " "),
		"another event":     open(keys, s.Person, "4712", "3000000001", "registration", hers),
		"another record":    open(keys, s.Person, "4711", "3000000002", "registration", hers),
		"another part":      open(keys, s.Person, "4711", "3000000001", "held", hers),
		"another secret":    open(keyring(t, 2), s.Person, "4711", "3000000001", "registration", hers),
		"nothing":           open(keys, nil, "4711", "3000000001", "registration", hers),
		"the officers half": open(keys, s.Officers, "4711", "3000000001", "registration", hers),
	} {
		if err == nil {
			t.Errorf("%s opens it", what)
		} else if strings.Contains(err.Error(), "example.org") {
			t.Errorf("%s: the error %v names the address", what, err)
		}
	}
}

func TestAnOlderSecretStillOpensAndFinds(t *testing.T) {
	old := keyring(t, 1)
	s := sealed(t, sealer(t, old, officer(t)), ada, hers)
	both := keyring(t, 2, 1)
	if _, err := both.OpenPerson(s.Person, s.Key, "4711", "3000000001", "registration", hers); err != nil {
		t.Error(err)
	}
	hash, _ := old.KeyedID("eventbrite", "1", "")
	found := false
	for _, h := range both.KeyedIDs("eventbrite", "1", "") {
		found = found || bytes.Equal(h, hash)
	}
	if !found || both.Newest() == old.Newest() {
		t.Error("a tombstone of the older secret is not found")
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	keys, o := keyring(t, 1), officer(t)
	s := sealed(t, sealer(t, keys, o), ada, hers)
	for i := range s.Person {
		half := bytes.Clone(s.Person)
		half[i] ^= 1
		if _, err := keys.OpenPerson(half, s.Key, ada.Event, ada.Attendee, ada.Part, hers); err == nil {
			t.Errorf("byte %d of the person's half may change", i)
		}
	}
	for i := range s.Officers {
		half := bytes.Clone(s.Officers)
		half[i] ^= 1
		if _, err := o.OpenAny(half); err == nil {
			t.Errorf("byte %d of the officers' half may change", i)
		}
	}
}

func TestTwoRecordsOfOnePersonHaveNothingInCommon(t *testing.T) {
	s := sealer(t, keyring(t, 1), officer(t))
	other := ada
	other.Event, other.Attendee = "4712", "3000000002"
	a, b := sealed(t, s, ada, hers), sealed(t, s, other, hers)
	again := sealed(t, s, ada, hers)
	common := func(x, y []byte) bool {
		const run = 8
		// What every age file has: its version, the words before each key and before the MAC.
		x = bytes.TrimPrefix(x, []byte("age-encryption.org/v1\n-> X25519 "))
		for line := range bytes.SplitSeq(x, []byte("\n")) {
			line = bytes.TrimPrefix(line, []byte("--- "))
			for i := 0; i+run <= len(line); i++ {
				if bytes.Contains(y, line[i:i+run]) {
					return true
				}
			}
		}
		return false
	}
	for what, pair := range map[string][2][]byte{
		"two events' officers": {a.Officers, b.Officers}, "two events' persons": {a.Person, b.Person},
		"the same, officers": {a.Officers, again.Officers}, "the same, person": {a.Person, again.Person},
		"the two halves": {a.Officers, a.Person},
	} {
		if common(pair[0], pair[1]) {
			t.Errorf("%s share eight bytes", what)
		}
	}
}

func TestLengthTellsNoName(t *testing.T) {
	s := sealer(t, keyring(t, 1), officer(t))
	sizes := map[int]bool{}
	for n := range 40 {
		r := ada
		r.Fields = json.RawMessage(fmt.Sprintf(`{"name":%q}`, strings.Repeat("x", n)))
		sizes[len(sealed(t, s, r, hers).Person)] = true
	}
	if len(sizes) > 2 {
		t.Errorf("forty names have %d sizes, want at most 2", len(sizes))
	}
}

func TestWithoutAnOfficerNothingIsSealed(t *testing.T) {
	if _, err := seal.NewSealer(nil, keyring(t, 1)); !errors.Is(err, seal.ErrNoOfficer) {
		t.Errorf("error %v", err)
	}
	private := strings.Split(officer(t).File(time.Unix(0, 0)), "\n")[2]
	for _, bad := range []string{"", "age1nonsense", private, officer(t).Public() + ",", "age1pq1abc"} {
		_, err := seal.ParseOfficers(bad)
		if err == nil {
			t.Errorf("%q was taken for keys", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error prints the key: %v", err)
		}
		if _, err := seal.ReadOfficer(strings.NewReader(bad)); err == nil && bad != private {
			t.Errorf("%q was taken for a key file", bad)
		}
	}
	twice := officer(t).Public()
	if _, err := seal.ParseOfficers(twice + "," + twice); err == nil {
		t.Error("one officer was taken for two")
	}
}

// BenchmarkSeal seals one record; "x-age" is against age alone on the same text.
func BenchmarkSeal(b *testing.B) {
	keys, one, two := keyring(b, 1), officer(b), officer(b)
	for what, to := range map[string][]seal.Officer{"officers=1": {one}, "officers=2": {one, two}} {
		b.Run(what, func(b *testing.B) {
			s := sealer(b, keys, to...)
			var recipients []age.Recipient
			for _, o := range to {
				r, err := age.ParseX25519Recipient(o.Public())
				if err != nil {
					b.Fatal(err)
				}
				recipients = append(recipients, r)
			}
			text := bytes.Repeat([]byte("x"), 256)
			var bare time.Duration
			for b.Loop() {
				sealed(b, s, ada, hers)
				b.StopTimer()
				began := time.Now()
				w, err := age.Encrypt(io.Discard, recipients...)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = w.Write(text)
				_ = w.Close()
				bare += time.Since(began)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(bare), "x-age")
		})
	}
}

func FuzzOpen(f *testing.F) {
	keys, o := keyring(f, 1), officer(f)
	s := sealed(f, sealer(f, keys, o), ada, hers)
	f.Add(s.Officers)
	f.Add(s.Person)
	f.Fuzz(func(t *testing.T, half []byte) {
		if r, err := o.OpenAny(half); err == nil && !cmp.Equal(r, ada) {
			t.Error("something that was never sealed opens for the officer")
		}
		r, err := keys.OpenPerson(half, keys.Newest(), ada.Event, ada.Attendee, ada.Part, hers)
		if err == nil && !cmp.Equal(r, ada) {
			t.Error("something that was never sealed opens for the person")
		}
	})
}

package postgres_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/lib/pq"
	"golang.org/x/mod/sumdb/tlog"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
)

// benchEntries is the size that the aims are stated for.
const benchEntries = 100_000

type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		out[i] = s[index]
	}
	return out, nil
}

// fillLedger writes a ledger as single erasures and blockings make it: a signed checkpoint
// for each entry, and an opening for every other one.
func (w world) fillLedger() {
	w.t.Helper()
	signer, err := ledger.NewSigner(w.Keys().Derive(ledger.SeedUse)[0])
	if err != nil {
		w.t.Fatal(err)
	}
	var hashes storedHashes
	var leaves, notes pq.StringArray
	var salts, ids, raw pq.ByteaArray
	var erased pq.Int64Array
	for i := range benchEntries {
		e := ledger.Entry{At: june.Add(-time.Hour), Kind: ledger.Blocked, Event: fmt.Sprint(71_000_000_000 + i), Rule: "de-ao-6",
			BlockOn: "2027-07-20", DeleteOn: "2034-01-01", Counts: map[string]int64{"sealed": int64(i), "dropped": 3, "recalled": 1}}
		if i%2 == 1 {
			id, _ := w.Keys().KeyedID(string(attendees.Eventbrite), fmt.Sprint(i), "")
			salt := fmt.Appendf(nil, "%016d", i)
			e = ledger.Entry{At: e.At, Kind: ledger.Erased, Event: e.Event, Reason: "asked", Person: ledger.Commit(salt, id)}
			salts, ids, erased = append(salts, salt), append(ids, id), append(erased, int64(i))
		}
		leaf, err := e.Leaf()
		if err != nil {
			w.t.Fatal(err)
		}
		added, err := ledger.Grow(int64(i), leaf, hashes)
		if err != nil {
			w.t.Fatal(err)
		}
		hashes = append(hashes, added...)
		root, err := tlog.TreeHash(int64(i+1), hashes)
		if err != nil {
			w.t.Fatal(err)
		}
		note, err := signer.Sign(ledger.Checkpoint{Size: int64(i + 1), Root: root})
		if err != nil {
			w.t.Fatal(err)
		}
		leaves, notes = append(leaves, string(leaf)), append(notes, note)
	}
	for i := range hashes {
		raw = append(raw, hashes[i][:])
	}
	for _, c := range []struct {
		statement string
		args      []any
	}{
		{`insert into ledger_entries select n - 1, leaf from unnest($1::text[]) with ordinality as t (leaf, n)`, []any{leaves}},
		{`insert into ledger_hashes select n - 1, hash from unnest($1::bytea[]) with ordinality as t (hash, n)`, []any{raw}},
		{`insert into ledger_checkpoints select n, note from unnest($1::text[]) with ordinality as t (note, n)`, []any{notes}},
		{`insert into openings (index, salt, keyed_id, key) select i, s, k, $4 from unnest($1::bigint[], $2::bytea[], $3::bytea[]) as t (i, s, k)`,
			[]any{erased, salts, ids, w.Keys().Newest()}},
	} {
		if _, err := w.DB().Exec(c.statement, c.args...); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := w.DB().Exec(`vacuum analyze`); err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkLedger reads and verifies a ledger of 100,000 entries as `lethe ledger verify`
// does, and makes certificates from it.
func BenchmarkLedger(b *testing.B) {
	w := newWorld(b)
	w.fillLedger()
	b.Run("verify", func(b *testing.B) {
		v, err := w.Verifiers()
		if err != nil {
			b.Fatal(err)
		}
		before := cpu(b)
		for b.Loop() {
			table, err := w.Ledger(b.Context())
			if err == nil {
				_, err = table.Verify(v)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	})
	for what, about := range map[string][2]string{"event": {"71000050000", ""}, "attendee": {"", "50001"}} {
		b.Run("certificate of one "+what, func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Certificate(b.Context(), attendees.EventID(about[0]), attendees.AttendeeID(about[1])); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cpu is the time that this process has had on processors: what a busy machine leaves alike.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

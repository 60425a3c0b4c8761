package export_test

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/export"
)

// BenchmarkExport writes CSV lists of 200,000 people, cold and warm, and compares each with
// psql's \copy of the same columns from a plain table, in turns: cold-x and warm-x are how
// many times as long they take, by the medians. Twice: without responses, and where every
// second attendee gave one.
//
//	go test ./attendees/export -run '^$' -bench Export -benchtime 9x
func BenchmarkExport(b *testing.B) {
	for name, linked := range map[string]bool{"registrations": false, "responses": true} {
		b.Run(name, func(b *testing.B) {
			w := coretest.New(b)
			if linked {
				w.Link("1")
			}
			w.Many("1", 200_000)
			l := agreements(w)
			plainTable(w, l)
			took := map[string][]time.Duration{}
			timed := func(what string, do func()) {
				runtime.GC()
				start := time.Now()
				do()
				took[what] = append(took[what], time.Since(start))
			}
			list := func() {
				if _, err := w.Exports.Write(b.Context(), io.Discard, l); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				timed("copy", func() { copyOut(w) })
				timed("cold", list)
				if _, err := w.Rosters.Open(b.Context(), "1"); err != nil {
					b.Fatal(err)
				}
				timed("warm", list)
				w.Rosters.Forget(w.Stored("1").Key)
			}
			median := func(what string) time.Duration {
				slices.Sort(took[what])
				return took[what][len(took[what])/2]
			}
			for _, what := range []string{"copy", "cold", "warm"} {
				b.ReportMetric(float64(median(what).Milliseconds()), what+"-ms")
				b.ReportMetric(float64(median(what))/float64(median("copy")), what+"-x")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// plainTable makes a table with the columns of a list, and its values.
func plainTable(w *coretest.World, l export.List) {
	if _, err := db.Exec(w.Context(), w.Pool, `
		create table plain (attendee_id text, name text, email text, ticket text, status text, agreement_version text, agreed_at timestamptz, attended boolean)`); err != nil {
		w.Fatal(err)
	}
	psql := exec.Command("psql", pgtest.URL(w, w.Pool), "-q", "-c", `\copy plain from stdin csv header`)
	in, err := psql.StdinPipe()
	if err != nil {
		w.Fatal(err)
	}
	psql.Stderr = os.Stderr
	if err := psql.Start(); err != nil {
		w.Fatal(err)
	}
	if _, err := w.Exports.Write(w.Context(), in, l); err != nil {
		w.Fatal(err)
	}
	in.Close()
	if err := psql.Wait(); err != nil {
		w.Fatal(err)
	}
}

func copyOut(w *coretest.World) {
	if out, err := exec.Command("psql", pgtest.URL(w, w.Pool), "-q", "-c", `\copy plain to '/dev/null' csv header`).CombinedOutput(); err != nil {
		w.Fatalf("%v: %s", err, out)
	}
}

// peak runs do and tells how much memory the process had from the system meanwhile for its
// heap, at most, more than before, in MiB.
func peak(do func()) float64 {
	debug.FreeOSMemory()
	used := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before, most := used(), uint64(0)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				most = max(most, used())
			}
		}
	})
	do()
	close(stop)
	group.Wait()
	return float64(most-min(before, most)) / (1 << 20)
}

// BenchmarkExportMemory tells the most memory that lists of any size take: LETHE_PEOPLE is of
// how many people, 1,000,000 where it is not set.
//
//	go test ./attendees/export -run '^$' -bench ExportMemory -benchtime 1x
func BenchmarkExportMemory(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("LETHE_PEOPLE"))
	if err != nil {
		n = 1_000_000
	}
	w := coretest.New(b)
	w.Many("1", n)
	for _, format := range []string{"csv", "json", "xlsx"} {
		b.Run(format, func(b *testing.B) {
			l := agreements(w)
			l.Format = format
			for b.Loop() {
				b.ReportMetric(peak(func() {
					if _, err := w.Exports.Write(b.Context(), io.Discard, l); err != nil {
						b.Fatal(err)
					}
				}), "MiB")
			}
		})
	}
}

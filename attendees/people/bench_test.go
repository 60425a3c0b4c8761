package people_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db/pgtest"
)

// crowd are invented registrations of event 1.
func crowd(n int) []attendees.Registration {
	all := make([]attendees.Registration, n)
	for i := range all {
		all[i] = coretest.Ticket(fmt.Sprint(1_000_000+i), "1", fmt.Sprintf("Person Example %d", i), fmt.Sprintf("person%d@mail.example", i))
	}
	return all
}

// BenchmarkSave stores 20,000 attendees from memory, in one batch and in pages of a thousand,
// and compares that with a \copy of the same sealed rows into the same tables and indexes.
func BenchmarkSave(b *testing.B) {
	for _, page := range []int{20_000, 1000} {
		b.Run(fmt.Sprintf("by %d", page), func(b *testing.B) { save(b, page) })
	}
}

func save(b *testing.B, page int) {
	ours, theirs := time.Hour, time.Hour // the best of each: other work on the machine disturbs both
	all := crowd(20_000)
	for b.Loop() {
		b.StopTimer()
		w := coretest.New(b)
		b.StartTimer()
		began := time.Now()
		for at := 0; at < len(all); at += page {
			w.Save(all[at : at+page]...)
		}
		ours = min(ours, time.Since(began))
		b.StopTimer()
		file := filepath.Join(b.TempDir(), "rows")
		psql(b, w, `\copy (select * from attendees order by ctid) to '`+file+`'`, `truncate attendees`)
		began = time.Now()
		psql(b, w, `\copy attendees from '`+file+`'`)
		theirs = min(theirs, time.Since(began))
		b.StartTimer()
	}
	b.ReportMetric(float64(len(all))/ours.Seconds(), "people/s")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "×copy")
}

// psql runs commands by PostgreSQL's own client.
func psql(t testing.TB, w *coretest.World, commands ...string) {
	t.Helper()
	args := []string{"-X", "-q", "-v", "ON_ERROR_STOP=1", pgtest.URL(t, w.Pool)}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	var said bytes.Buffer
	run := exec.CommandContext(t.Context(), "/usr/lib/postgresql/15/bin/psql", args...)
	run.Stderr, run.Env = &said, append(os.Environ(), "PGOPTIONS=")
	if err := run.Run(); err != nil {
		t.Fatalf("psql: %v: %s", err, said.String())
	}
}

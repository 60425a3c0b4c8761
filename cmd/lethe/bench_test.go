package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/sync/eventbrite/eventbritetest"
)

// BenchmarkMemory measures the most memory that a process of ours takes while it
// pulls registrations and answers, and exports, of events of two sizes: the sizes differ, the memory must not.
func BenchmarkMemory(b *testing.B) {
	for _, people := range []int{20_000, 100_000} {
		b.Run(fmt.Sprint("people=", people), func(b *testing.B) {
			for b.Loop() {
				s := newSandbox(b, people, eventbritetest.Options{Limit: -1})
				env := s.env(b, pgtest.URL(b, pgtest.New(b)))
				lethe(b, env, "events", "discover")
				b.ReportMetric(peak(b, env, "sync"), "MiB/sync")
				s.answered(b, env)
				b.ReportMetric(peak(b, env, "sync"), "MiB/answers")
				file := filepath.Join(b.TempDir(), "list")
				for _, format := range []string{"csv", "json", "xlsx"} {
					b.ReportMetric(peak(b, env, "export", string(s.event), "--purpose", "participation_agreement",
						"--format", format, "--out", file, "--force"), "MiB/"+format)
				}
			}
		})
	}
}

// peak runs a command and returns the most memory it had resident, in MiB. It asks
// /proc: what wait4 reports of a child counts its parent's memory at the fork too.
func peak(b *testing.B, env []string, args ...string) float64 {
	b.Helper()
	p := start(b, env, args...)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	var kB int
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		for line := range strings.Lines(string(status)) {
			if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(text), " kB"))
				kB = max(kB, n)
			}
		}
		select {
		case err := <-ended:
			if err != nil {
				b.Fatalf("lethe %s: %v\n%s", args[0], err, p.out.String())
			}
			return float64(kB) / 1024
		case <-time.After(5 * time.Millisecond):
		}
	}
}

package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// lockWaits counts what PostgreSQL's log says of waits for locks of at least 100 ms.
func (w world) lockWaits() int {
	w.t.Helper()
	var dir string
	if err := w.DB().Get(&dir, `show data_directory`); err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "postgres.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.Count(text, []byte(" still waiting for "))
}

// A wait for a lock is counted by PostgreSQL itself: how long a read takes on a machine that
// has other things to do tells nothing.
func TestBlockingKeepsNoOtherReaderWaitingForALock(t *testing.T) {
	w := newWorld(t)
	people := 3000
	if os.Getenv("LETHE_TEST_MORE") != "" {
		people = benchPeople
	}
	var regs []attendees.Registration
	for i := range people {
		regs = append(regs, person(fmt.Sprint(i), "4711", "Person", fmt.Sprint(i, "@example.org")))
	}
	w.save(regs...)
	w.save(person("x", "4712", "Ada Example", "ada@example.org"))
	var name string
	if err := w.DB().Get(&name, `select current_database()`); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"log_lock_waits = on", "deadlock_timeout = '100ms'", "log_min_messages = log"} {
		if _, err := w.DB().Exec(`alter database ` + name + ` set ` + setting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.DB().Exec(`update events set block_on = '2030-01-01' where source_id = '4712'`); err != nil {
		t.Fatal(err)
	}
	others, err := postgres.Open(pgtest.URL(t, w.DB())) // sessions that have the settings
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	reader := postgres.New(others, keyring(t), w.Policy(), w.clock.Now)
	read := func() {
		for _, err := range reader.Attending(t.Context(), "4712", attendees.ParticipationAgreement, postgres.AnyStatus) {
			if err != nil {
				t.Error(err)
				return
			}
		}
	}

	// That such a wait is seen at all.
	before := w.lockWaits()
	tx := w.DB().MustBegin()
	tx.MustExec(`lock table personal in access exclusive mode`)
	seen := make(chan struct{})
	go func() { read(); close(seen) }()
	for range 100 {
		if w.lockWaits() > before {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if w.lockWaits() == before {
		t.Fatal("a wait for a lock is not seen, so this test shows nothing")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	<-seen

	before = w.lockWaits()
	w.clock.now = july
	blocked := make(chan struct{})
	s := sealer(t, officer(t))
	go func() { w.block("4711", s); close(blocked) }()
	reads := 0
	for blocking := true; blocking; reads++ {
		read()
		select {
		case <-blocked:
			blocking = false
		default:
		}
	}
	if n := w.lockWaits() - before; n > 0 {
		t.Errorf("%d of %d reads of another event waited for a lock for 100 ms or longer", n, reads)
	}
}

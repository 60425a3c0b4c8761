package coretest_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/people"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

// What a child process of these tests needs to know.
const (
	childDeed     = "LETHE_TEST_DEED"
	childDatabase = "LETHE_TEST_DATABASE"
	childOfficer  = "LETHE_TEST_OFFICER"
	childNow      = "LETHE_TEST_NOW"
)

func TestMain(m *testing.M) {
	if os.Getenv(childDeed) != "" {
		os.Exit(m.Run()) // on its parent's server
	}
	pgtest.Main(m)
}

const crowd = 3000

// deeds are what is killed at random points.
var deeds = map[string]func(w *coretest.World) error{
	"save":     save,
	"prepare":  func(w *coretest.World) error { return w.Retention.Prepare(w.Context(), "1") },
	"commit":   func(w *coretest.World) error { return w.Retention.Commit(w.Context(), "1") },
	"clean up": func(w *coretest.World) error { return w.Retention.CleanUp(w.Context(), "1") },
	"delete":   func(w *coretest.World) error { _, err := w.Retention.Delete(w.Context(), "1"); return err },
	"rewrite": func(w *coretest.World) error {
		for range 20 { // each time one more key is destroyed
			var key []string
			if err := w.Pool.Select(&key, `select source_id from events where generation is not null and source_id <> '1' order by source_id limit 1`); err != nil || len(key) == 0 {
				return err
			}
			err := db.InTx(w.Context(), w.Pool, func(tx db.Tx) error {
				e, err := w.Events.WriteOne(w.Context(), tx, attendees.EventID(key[0]))
				if err != nil {
					return err
				}
				return w.Vault.Destroy(w.Context(), tx, vault.Ref{Key: e.Key, ID: string(e.ID), Generation: e.Generation}, vault.Working)
			})
			if err != nil {
				return err
			}
			if err := w.Vault.Rewrite(w.Context()); err != nil {
				return err
			}
		}
		return nil
	},
}

// savePages are how many pages of registrations, of responses and of hand-overs save stores.
const savePages = crowd / 200

// save is a sync: it goes on behind the last page that is stored.
func save(w *coretest.World) error {
	name := events.EventFeed("1")
	for {
		f, err := w.Events.Feeds.Get(w.Context(), w.Pool, name)
		if err != nil || f.RunPage == 3*savePages {
			return err
		}
		links, err := w.Events.Forms.Links(w.Context(), w.Pool)
		if err != nil {
			return err
		}
		from := f.RunPage % savePages * 200
		b := people.Batch{Links: links, Layers: map[attendees.EventID][]attendees.Layer{}}
		r := people.Reading{Form: "f", Links: links, Layers: map[attendees.EventID][]attendees.Layer{}}
		for i := from; i < from+200; i++ {
			id, who := fmt.Sprint(i), "P"
			said := coretest.Response("t"+id, id, w.Now.AddDate(0, 0, -9), coretest.Answers{"agree": {"true"}})
			r.Layers["1"] = append(r.Layers["1"], w.Policy.MinimiseResponse(said, events.FieldLinks(links, "1", "f")))
			if f.RunPage >= 2*savePages && i%10 == 0 {
				who = "Q" // has the ticket now
			}
			ticket := coretest.Ticket(id, "1", who+" "+id, who+id+"@n.example")
			b.Layers["1"] = append(b.Layers["1"], w.Policy.Minimise(ticket, nil))
		}
		f.RunPage++
		b.Progress = func(ctx context.Context, tx db.Tx) error { return w.Events.Feeds.Save(ctx, tx, f) }
		if r.Progress = b.Progress; (f.RunPage-1)/savePages == 1 {
			_, err = w.People.SaveResponses(w.Context(), r)
		} else {
			_, err = w.People.SaveRegistrations(w.Context(), b)
		}
		if err != nil {
			return err
		}
	}
}

// TestChild is the process that is killed; by itself it does nothing.
func TestChild(t *testing.T) {
	deed := deeds[os.Getenv(childDeed)]
	if deed == nil {
		return
	}
	w := again(t, os.Getenv(childDatabase), os.Getenv(childOfficer), os.Getenv(childNow))
	fmt.Println("begins")
	if err := deed(w); err != nil {
		t.Fatal(err)
	}
	fmt.Println("ends")
}

func again(t *testing.T, url, officer, now string) *coretest.World {
	t.Helper()
	pool, err := db.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	o, err := seal.ReadOfficer(strings.NewReader(officer))
	if err != nil {
		t.Fatal(err)
	}
	w := coretest.Again(t, pool, o)
	if w.Now, err = time.Parse(time.RFC3339, now); err != nil {
		t.Fatal(err)
	}
	return w
}

// kills is how often each deed is killed.
func kills() int {
	switch {
	case os.Getenv("LETHE_TEST_MORE") != "":
		return 50
	case os.Getenv("CI") != "":
		return 15
	}
	return 5
}

// scene makes a database for a deed, once; each kill has a copy of it.
type scene struct {
	t        *testing.T
	template string
	officer  string
	now      time.Time
}

func newScene(t *testing.T, make func(w *coretest.World)) *scene {
	t.Helper()
	w := coretest.New(t)
	make(w)
	s := &scene{t, pgtest.Name(t, w.Pool), w.Officer.File(w.Now), w.Now}
	if err := w.Pool.Close(); err != nil { // one that is connected to can't be copied
		t.Fatal(err)
	}
	return s
}

func (s *scene) world() *coretest.World {
	s.t.Helper()
	name := pgtest.Copy(s.t, s.template)
	return again(s.t, pgtest.Server(s.t).URL(name), s.officer, s.now.Format(time.RFC3339))
}

// kill runs a deed in a process of its own and kills it after a while of at most longest; it
// says how long the deed took where it was not killed in the middle.
func (s *scene) kill(deed string, w *coretest.World, longest time.Duration) (middle bool, took time.Duration) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childDeed+"="+deed, childDatabase+"="+pgtest.URL(s.t, w.Pool), childOfficer+"="+s.officer, childNow+"="+s.now.Format(time.RFC3339))
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			lines <- in.Text()
		}
	}()
	var said []string
	var begun time.Time
	var due <-chan time.Time
	for open := true; open; {
		select {
		case line, ok := <-lines:
			said, open = append(said, line), ok
			switch line {
			case "begins":
				begun, due = time.Now(), time.After(time.Duration(rand.Int64N(int64(longest)+1)))
			case "ends":
				took = time.Since(begun)
			}
		case <-due:
			due = nil
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if begun.IsZero() {
		s.t.Fatalf("the child never began: %v", said)
	}
	return took == 0, took
}

// killed kills a deed many times, each time on a copy of the scene, and checks what is there
// after it was done again.
func killed(t *testing.T, deed string, s *scene, check func(w *coretest.World)) {
	t.Helper()
	_, took := s.kill(deed, s.world(), time.Hour)
	longest, inside := took, 0
	for range kills() {
		w := s.world()
		middle, ended := s.kill(deed, w, longest)
		if middle {
			inside++
		} else {
			longest = min(longest, ended)
		}
		var waiting int
		for range 100 { // the server ends a session whose process is gone when it notices
			if err := w.Pool.Get(&waiting, `select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`); err != nil {
				t.Fatal(err)
			}
			if waiting == 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		check(w)
		pgtest.Drop(t, pgtest.Name(t, w.Pool))
	}
	t.Logf("%d of %d kills came in the middle of %s", inside, kills(), deed)
	if inside == 0 {
		t.Errorf("no kill came in the middle of %s, which took %s", deed, took)
	}
}

func count(w *coretest.World, query string) (n int) {
	w.Helper()
	if err := w.Pool.Get(&n, query); err != nil {
		w.Fatal(err)
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAKilledSaveGoesOnWhereItStopped(t *testing.T) {
	killed(t, "save", newScene(t, func(w *coretest.World) { w.Link("1") }), func(w *coretest.World) {
		f, err := w.Events.Feeds.Get(t.Context(), w.Pool, events.EventFeed("1"))
		must(t, err)
		pages := func(kind int) int { return max(0, min(savePages, f.RunPage-kind*savePages)) }
		if n := count(w, `select count(*) from attendees`); n != 200*pages(0)+20*pages(2) {
			t.Errorf("%d people are stored with %d pages", n, f.RunPage)
		}
		if n := count(w, `select count(*) from responses where attendee_id is not null`); n != 200*pages(1) {
			t.Errorf("%d responses are stored with %d pages", n, f.RunPage)
		}
		must(t, deeds["save"](w))
		gone, agreed := 0, 0
		shown := w.Shown("1")
		for _, a := range shown {
			if a.Standing == attendees.Gone {
				gone++
			}
			if !a.AgreedAt.IsZero() {
				agreed++
			}
		}
		if len(shown) != crowd+crowd/10 || gone != crowd/10 || agreed != crowd {
			t.Errorf("%d people are shown, of whom %d are gone and %d agreed", len(shown), gone, agreed)
		}
	})
}

// ended is a scene of an event with many people, whose block date has come.
func ended(t *testing.T, after func(w *coretest.World)) *scene {
	return newScene(t, func(w *coretest.World) {
		w.Link("1")
		w.Many("1", crowd)
		must(t, w.Retention.Start(t.Context()))
		w.Now = w.Stored("1").BlockedFrom().Add(time.Hour)
		w.Dry("1")
		after(w)
	})
}

// blocked checks that an event is blocked and cleaned up: half of its people agreed.
func blocked(t *testing.T, w *coretest.World) {
	t.Helper()
	e := w.Stored("1")
	if e.State != attendees.Blocked || !e.Cleaned || e.Generation != nil {
		t.Errorf("the event is %s, cleaned up %v", e.State, e.Cleaned)
	}
	for what, query := range map[string]string{
		"records":           `select count(*) from records r where exists (select from keys k where k.event_id = r.event_id and k.name = r.kind and k.generation = r.generation)`,
		"people in records": `select count(distinct attendee_id) from records`,
		"blocked people":    `select count(*) from attendees where state = 'blocked' and layer is null and name_hash is not null`,
		"people":            `select count(*) from attendees`,
	} {
		if n := count(w, query); n != crowd/2 {
			t.Errorf("%d %s, want %d", n, what, crowd/2)
		}
	}
	if n := count(w, `select (select count(*) from responses) + (select count(*) from records r where not exists (select from keys k where k.event_id = r.event_id and k.name = r.kind and k.generation = r.generation))`); n != 0 {
		t.Errorf("%d dead rows are left", n)
	}
	if n := count(w, `select count(*) from ledger_entries where leaf like '%"kind":"blocked"%'`); n != 1 {
		t.Errorf("it is in the ledger %d times", n)
	}
}

func TestAKilledPreparationBeginsAgain(t *testing.T) {
	killed(t, "prepare", ended(t, func(*coretest.World) {}), func(w *coretest.World) {
		if e := w.Stored("1"); e.State != attendees.Open || len(w.Shown("1")) != crowd {
			t.Error("a preparation changes what is shown")
		}
		must(t, w.Retention.Block(t.Context(), "1"))
		blocked(t, w)
	})
}

func TestAKilledCommitIsDoneOrNot(t *testing.T) {
	s := ended(t, func(w *coretest.World) { must(t, w.Retention.Prepare(t.Context(), "1")) })
	killed(t, "commit", s, func(w *coretest.World) {
		if w.Stored("1").State == attendees.Open {
			must(t, w.Retention.Commit(t.Context(), "1"))
		}
		must(t, w.Retention.CleanUp(t.Context(), "1"))
		blocked(t, w)
	})
}

func TestAKilledCleaningUpResumes(t *testing.T) {
	s := ended(t, func(w *coretest.World) {
		must(t, w.Retention.Prepare(t.Context(), "1"))
		must(t, w.Retention.Commit(t.Context(), "1"))
	})
	killed(t, "clean up", s, func(w *coretest.World) {
		must(t, w.Retention.CleanUp(t.Context(), "1"))
		blocked(t, w)
	})
}

func TestAKilledDeletionResumes(t *testing.T) {
	s := ended(t, func(w *coretest.World) {
		must(t, w.Retention.Block(t.Context(), "1"))
		w.Now = time.Date(2040, 1, 1, 12, 0, 0, 0, time.UTC)
	})
	killed(t, "delete", s, func(w *coretest.World) {
		_, err := w.Retention.Delete(t.Context(), "1")
		must(t, err)
		if n := count(w, `select (select count(*) from attendees) + (select count(*) from records) + (select count(*) from keys)`); n != 0 || w.Stored("1").State != attendees.Deleted {
			t.Errorf("%d rows are left, the event is %s", n, w.Stored("1").State)
		}
		if n := count(w, `select count(*) from ledger_entries where leaf like '%"kind":"deleted"%'`); n != 1 {
			t.Errorf("it is in the ledger %d times", n)
		}
	})
}

func TestAKilledRewritingLosesNoKey(t *testing.T) {
	const events = 60
	s := newScene(t, func(w *coretest.World) {
		for i := range events {
			id := attendees.EventID(fmt.Sprint(100 + i))
			w.Event(id)
			w.Save(coretest.Ticket("1", string(id), "Ada Lind", "ada@n.example"))
		}
	})
	killed(t, "rewrite", s, func(w *coretest.World) {
		must(t, w.Vault.Rewrite(t.Context()))
		all, err := w.Events.List(t.Context())
		must(t, err)
		living := 0
		for _, e := range all {
			if e.Generation != nil {
				living++
				if _, err := w.Vault.Reading(t.Context(), w.Pool, ref(e)); err != nil {
					t.Errorf("the key of a living event: %v", err)
				}
			}
		}
		if n := count(w, `select count(*) from keys`); n != living {
			t.Errorf("%d keys, want those of %d living events", n, living)
		}
	})
}

func ref(e events.Event) vault.Ref {
	return vault.Ref{Key: e.Key, ID: string(e.ID), Generation: e.Generation}
}

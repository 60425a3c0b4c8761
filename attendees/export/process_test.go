package export_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/reader"
	"lethe/attendees/roster"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
)

const otherProcess = "LETHE_TEST_OTHER_PROCESS" // the URL of the database that it works on

func TestMain(m *testing.M) {
	if url := os.Getenv(otherProcess); url != "" {
		if err := other(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pgtest.Main(m)
}

// other is another process with a roster of its own: for each line that it reads it
// tells which attendees it shows and which it exports.
func other(url string) error {
	pool, err := db.Open(url)
	if err != nil {
		return err
	}
	secrets, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		return err
	}
	policy := attendees.BuiltIn()
	clock := func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
	e := events.New(pool, &policy, secrets.Newest(), clock)
	opened := reader.New(pool, vault.New(pool, secrets, nil, true, clock))
	rosters := roster.New(pool, e, opened, &policy, clock)
	exports := export.New(pool, e, opened, rosters, &policy, clock)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var shown, listed []string
		r, err := rosters.Open(context.Background(), "1")
		if err == nil {
			page, _ := r.List(roster.Query{Standing: roster.AnyStanding, Sort: "email", Limit: roster.MaxPage})
			for _, one := range page {
				shown = append(shown, string(one.Handle()))
			}
			var out bytes.Buffer
			_, err = exports.Write(context.Background(), &out, export.List{Event: "1", Purpose: attendees.ParticipationAgreement, Format: "csv", By: "b", At: clock()})
			rows, _ := csv.NewReader(&out).ReadAll()
			for _, row := range rows[min(1, len(rows)):] {
				listed = append(listed, row[0])
			}
		}
		if errors.As(err, new(*events.BlockedError)) {
			shown, listed = []string{"blocked"}, []string{"blocked"}
		} else if err != nil {
			return err
		}
		fmt.Println(strings.Join(shown, ",") + " " + strings.Join(listed, ","))
	}
	return in.Err()
}

// Two processes with a roster each: whatever the one commits, the other shows and exports
// nobody of it from the commit on.
func TestAnotherProcessShowsAndExportsNobodyFromTheCommitOn(t *testing.T) {
	t.Parallel()
	w := coretest.New(t)
	var tickets []attendees.Registration
	var left []string
	for i := range 30 {
		id := fmt.Sprint(100 + i)
		tickets, left = append(tickets, coretest.Ticket(id, "1", "Person "+id, "p"+id+"@n.example")), append(left, id)
	}
	w.Save(tickets...)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), otherProcess+"="+pgtest.URL(t, w.Pool))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	}()
	answers := bufio.NewScanner(out)
	ask := func(what, want string) {
		t.Helper()
		if _, err := fmt.Fprintln(in); err != nil || !answers.Scan() {
			t.Fatalf("the other process is gone: %v", err)
		}
		if got := answers.Text(); got != want+" "+want {
			t.Errorf("after %s the other shows and exports %s, want %s", what, got, want)
		}
	}
	ask("nothing", strings.Join(left, ","))
	for i := 0; len(left) > 2; i++ {
		id := left[(i*7)%len(left)]
		key := w.Key("1", attendees.AttendeeID(id))
		what := []string{"an erasure", "a restriction"}[i%2]
		w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
			if i%2 == 1 {
				return w.People.Restrict(ctx, tx, e, key, attendees.Objected)
			}
			_, err := w.People.Erase(ctx, tx, e, key, attendees.AttendeeID(id))
			return err
		})
		left = slices.DeleteFunc(left, func(o string) bool { return o == id })
		ask(what, strings.Join(left, ","))
	}
	w.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error { return w.Events.Block(ctx, tx, e, "") })
	ask("a blocking", "blocked")
}

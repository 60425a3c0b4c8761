package jobs

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/pull"
)

// fakeSender takes letters, or fails.
type fakeSender struct {
	mu   sync.Mutex
	got  []mail.Letter
	fail error
}

func (f *fakeSender) Send(_ context.Context, l mail.Letter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.got = append(f.got, l)
	return nil
}

func (f *fakeSender) sent() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// posting is a store with a worker that sends by a fake.
func posting(t *testing.T, f Sender, before func(*postgres.Store)) (*postgres.Store, *Queue) {
	t.Helper()
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	policy := attendees.BuiltIn()
	db := pgtest.New(t)
	store := postgres.New(db, keys, &policy, time.Now)
	before(store)
	log := slog.New(slog.DiscardHandler)
	queue, err := NewQueue(store, log)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Schedule(t.Context(), pgtest.URL(t, db), &pull.Puller{Store: store, Now: time.Now, Log: log},
		Life{KeepCopy: func(context.Context) error { return nil }}, f, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return store, queue
}

func TestALetterIsSentByAJobThatKnowsItsIDAlone(t *testing.T) {
	t.Parallel()
	f := &fakeSender{}
	store, queue := posting(t, f, func(*postgres.Store) {})
	if err := queue.Post(t.Context(), mail.Letter{To: "ada@example.org", Subject: "Hush", Text: []string{"Secret."}}); err != nil {
		t.Fatal(err)
	}
	await(t, store, `select exists (select from river_job where kind = 'send_mail' and state = 'completed')`)
	await(t, store, `select not exists (select from outbox)`)
	if f.sent() != 1 || f.got[0].To != "ada@example.org" {
		t.Errorf("%d letters went", f.sent())
	}
	var text string
	if err := store.DB().Get(&text, `select string_agg(j::text, ' ') from river_job j`); err != nil || strings.Contains(text, "ada@") || strings.Contains(text, "Secret") {
		t.Errorf("a job knows more than an id (%v)", err)
	}
}

func TestALetterThatIsRefusedForGoodOrTriedOftenGoes(t *testing.T) {
	t.Parallel()
	f := &fakeSender{fail: &mail.Refused{Host: "mail.example.org", Code: 550}}
	store, queue := posting(t, f, func(*postgres.Store) {})
	if err := queue.Post(t.Context(), mail.Letter{To: "ada@example.org"}); err != nil {
		t.Fatal(err)
	}
	await(t, store, `select exists (select from river_job where kind = 'send_mail' and state = 'cancelled')`)
	await(t, store, `select not exists (select from outbox)`)
	kinds, err := store.Work(t.Context())
	if i := slices.IndexFunc(kinds, func(k postgres.Work) bool { return k.Kind == "send_mail" }); err != nil || i < 0 || kinds[i].Failed != 1 || !strings.Contains(kinds[i].Failure, "550") {
		t.Errorf("a letter was given up, and operators see %+v (%v)", kinds, err)
	}

	// The last of several tries, by hand: River would wait hours between them.
	p := &postman{store: store, sender: &fakeSender{fail: errors.New("mail: busy")}, log: slog.New(slog.DiscardHandler)}
	for attempt, waits := range map[int]bool{1: true, mailTries - 1: true, mailTries: false} {
		var id uuid.UUID
		if err := store.KeepMail(t.Context(), mail.Letter{To: "ada@example.org"}, func(_ *sql.Tx, i uuid.UUID) error { id = i; return nil }); err != nil {
			t.Fatal(err)
		}
		err := p.Work(t.Context(), &river.Job[SendMail]{JobRow: &rivertype.JobRow{Attempt: attempt, MaxAttempts: mailTries}, Args: SendMail{Letter: id}})
		var held bool
		if dberr := store.DB().Get(&held, `select exists (select from outbox where id = $1)`, id); dberr != nil || err == nil || held != waits {
			t.Errorf("try %d: %v, the letter waits: %v (%v)", attempt, err, held, dberr)
		}
	}
}

func TestALetterWaitsForAServerAndThatCostsNoTry(t *testing.T) {
	t.Parallel()
	store, queue := posting(t, nil, func(*postgres.Store) {})
	if err := queue.Post(t.Context(), mail.Letter{To: "ada@example.org"}); err != nil {
		t.Fatal(err)
	}
	await(t, store, `select exists (select from river_job where kind = 'send_mail' and state = 'scheduled' and attempt = 0)`)
	await(t, store, `select exists (select from outbox)`)
}

func TestOfficersGetTheCheckpointOnceAWeek(t *testing.T) {
	t.Parallel()
	f := &fakeSender{}
	store, queue := posting(t, f, func(s *postgres.Store) {
		ctx := t.Context()
		for address, role := range map[string]attendees.Role{"dpo@example.org": attendees.Officer, "deputy@example.org": attendees.Officer, "ada@example.org": attendees.Organiser} {
			if _, err := s.SaveUser(ctx, address, []attendees.Role{role}, nil); err != nil {
				t.Fatal(err)
			}
		}
		end := time.Now().AddDate(0, 1, 0)
		if _, err := s.SaveEvents(ctx, attendees.Eventbrite, []attendees.Event{{ID: "4711", Organization: "900", Zone: "UTC", Start: end, End: end}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddHold(ctx, "4711", "", "open claim", "operator", attendees.Date{}); err != nil {
			t.Fatal(err)
		}
	})
	await(t, store, `select count(*) = 2 from river_job where kind = 'send_mail' and state = 'completed'`)
	f.mu.Lock()
	for _, l := range f.got {
		var signed bool // the worker's own first run may have signed a newer one since
		if err := store.DB().Get(&signed, `select exists (select from ledger_checkpoints where note = $1)`, l.Quoted); err != nil {
			t.Fatal(err)
		}
		if l.To == "ada@example.org" || !signed {
			t.Error("a letter went to the wrong person, or says something else")
		}
	}
	f.mu.Unlock()
	for _, c := range []struct {
		since string
		mails int
	}{{"6 days", 2}, {"7 days", 4}} {
		if _, err := store.DB().Exec(`update marks set at = now() - $1::interval where name = $2`, c.since, postgres.Witnessed); err != nil {
			t.Fatal(err)
		}
		if _, err := queue.client.Insert(t.Context(), MailCheckpoint{}, nil); err != nil {
			t.Fatal(err)
		}
		await(t, store, `select not exists (select from river_job where kind in ('mail_checkpoint', 'send_mail') and state not in ('completed', 'cancelled'))`)
		if f.sent() != c.mails {
			t.Errorf("%s after the last there were %d mails, want %d", c.since, f.sent(), c.mails)
		}
	}
}

package mail_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/mail"
	"lethe/attendees/seal"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Two secrets.
var (
	first  = strings.Repeat("A", 43) + "="
	second = strings.Repeat("B", 42) + "A="
)

// post is an outbox on a database of its own, with a clock that the test sets.
type post struct {
	*mail.Outbox
	t   testing.TB
	db  *sqlx.DB
	now time.Time
}

func newPost(t testing.TB) *post {
	t.Helper()
	p := &post{t: t, db: pgtest.Next(t), now: time.Date(2027, 7, 14, 12, 0, 0, 0, time.UTC)}
	p.Outbox = p.under(first)
	return p
}

// under is the same outbox under other secrets.
func (p *post) under(secrets string) *mail.Outbox {
	p.t.Helper()
	keys, err := seal.NewKeyring(secrets)
	if err != nil {
		p.t.Fatal(err)
	}
	return mail.NewOutbox(p.db, keys, func() time.Time { return p.now })
}

var hello = mail.Letter{To: "ada@example.org", Subject: "Quillfeather", Text: []string{"One."}, Link: "https://lethe.test/opensesame"}

func (p *post) keep() (id uuid.UUID) {
	p.t.Helper()
	err := p.Keep(p.t.Context(), hello, func(_ *sql.Tx, made uuid.UUID) error { id = made; return nil })
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

func (p *post) waiting() (n int) {
	p.t.Helper()
	if err := p.db.Get(&n, `select count(*) from outbox`); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// never is a way to send that must not be taken.
func (p *post) never(mail.Letter) error {
	p.t.Error("it is sent")
	return nil
}

func TestALetterIsKeptWithItsJobOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	no := errors.New("no")
	if err := p.Keep(t.Context(), hello, func(*sql.Tx, uuid.UUID) error { return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	if n := p.waiting(); n != 0 {
		t.Errorf("%d letters wait that no job knows", n)
	}
	var id uuid.UUID
	err := p.Keep(t.Context(), hello, func(tx *sql.Tx, made uuid.UUID) error {
		id = made
		var seen int
		if err := tx.QueryRowContext(t.Context(), `select count(*) from outbox where id = $1`, id).Scan(&seen); err != nil || seen != 1 {
			t.Errorf("its job's transaction sees %d letters (%v)", seen, err)
		}
		return nil
	})
	if err != nil || p.waiting() != 1 {
		t.Errorf("%d letters wait (%v)", p.waiting(), err)
	}
}

func TestALetterThatWasSentIsGoneAndOneThatFailedStays(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	id, no := p.keep(), errors.New("no")
	if err := p.Send(t.Context(), id, func(mail.Letter) error { return no }); !errors.Is(err, no) || p.waiting() != 1 {
		t.Errorf("after a failure %d letters wait (%v)", p.waiting(), err)
	}
	sent := 0
	for range 2 { // a job may run twice
		err := p.Send(t.Context(), id, func(l mail.Letter) error {
			sent++
			if l.To != hello.To || l.Subject != hello.Subject || l.Plain() != hello.Plain() {
				t.Error("another letter comes out than went in")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if sent != 1 || p.waiting() != 0 {
		t.Errorf("it was sent %d times, and %d wait", sent, p.waiting())
	}
}

func TestTwoWhoSendALetterAtOnceSendItOnce(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	id := p.keep()
	var all sync.WaitGroup
	var mu sync.Mutex
	sent := 0
	for range 4 {
		all.Go(func() {
			err := p.Send(context.WithoutCancel(t.Context()), id, func(mail.Letter) error {
				mu.Lock()
				defer mu.Unlock()
				sent++
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if sent != 1 {
		t.Errorf("it was sent %d times", sent)
	}
}

func TestALetterOpensUnderItsOwnSecretAlone(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	id := p.keep()
	if err := p.under(second).Send(t.Context(), id, p.never); err == nil || strings.Contains(err.Error(), "ada@") {
		t.Errorf("without its secret it gives %v", err)
	}
	if err := p.under(second+","+first).Send(t.Context(), id, func(mail.Letter) error { return errors.New("later") }); err == nil || err.Error() != "later" {
		t.Errorf("with a newer secret in front it gives %v", err)
	}
	other := p.keep()
	for what, change := range map[string]string{
		"a changed byte":       `update outbox set sealed = set_byte(sealed, 30, get_byte(sealed, 30) # 1)`,
		"another letter's":     `update outbox set sealed = (select o.sealed from outbox o where o.id <> outbox.id)`,
		"one that is cut off":  `update outbox set sealed = substring(sealed for 5)`,
		"one that has nothing": `update outbox set sealed = ''`,
	} {
		var before [][]byte
		if err := p.db.Select(&before, `select sealed from outbox order by id`); err != nil {
			t.Fatal(err)
		}
		if _, err := p.db.Exec(change); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uuid.UUID{id, other} {
			if err := p.Send(t.Context(), id, p.never); err == nil {
				t.Errorf("%s opens", what)
			}
		}
		for i, s := range before {
			if _, err := p.db.Exec(`update outbox set sealed = $1 where id = (select id from outbox order by id offset $2 limit 1)`, s, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Send(t.Context(), id, func(mail.Letter) error { return nil }); err != nil {
		t.Errorf("put back as it was it gives %v", err)
	}
}

func TestNothingOfALetterIsReadableWhileItWaits(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.keep()
	if _, err := p.db.Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"outbox", "pg_stats"} {
		var text string
		if err := p.db.Get(&text, `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`); err != nil || text == "" {
			t.Fatalf("%s: %d bytes (%v)", table, len(text), err)
		}
		for _, word := range []string{"ada@", "Quillfeather", "opensesame", "6164614065", "5175696c6c"} { // bytea shows as hexadecimal
			if strings.Contains(text, word) {
				t.Errorf("%s shows %q", table, word)
			}
		}
	}
	var statistics int
	if err := p.db.Get(&statistics, `select attstattarget from pg_attribute where attrelid = 'outbox'::regclass and attname = 'sealed'`); err != nil || statistics != 0 {
		t.Errorf("the planner samples letters (%v)", err)
	}
}

func TestALetterThatNobodySendsIsGivenUpAfterTwoDays(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.keep()
	old := p.keep()
	if err := p.Drop(t.Context(), old); err != nil || p.waiting() != 1 {
		t.Errorf("given up by hand: %d wait (%v)", p.waiting(), err)
	}
	for _, step := range []struct {
		ahead time.Duration
		want  int
	}{{48 * time.Hour, 1}, {time.Second, 0}} {
		p.now = p.now.Add(step.ahead)
		if err := p.DropOld(t.Context()); err != nil || p.waiting() != step.want {
			t.Errorf("at %s %d letters wait, want %d (%v)", p.now, p.waiting(), step.want, err)
		}
	}
}

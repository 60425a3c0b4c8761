package postgres_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func TestAUserIsFoundUnderAnySpellingAndHoldsOnlyKnownEvents(t *testing.T) {
	w := newWorld(t)
	u, err := w.SaveUser(t.Context(), " Ada@EXAMPLE.org ", []attendees.Role{attendees.Organiser}, []attendees.EventID{"4711"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.SaveUser(t.Context(), "ada@example.org", []attendees.Role{attendees.Officer, attendees.Operator}, nil)
	if err != nil || again.ID != u.ID {
		t.Errorf("adding her again makes another user (%v)", err)
	}
	users, err := w.Users(t.Context())
	if err != nil || len(users) != 1 || users[0].Has(attendees.Organiser) || !users[0].Has(attendees.Officer) {
		t.Errorf("users are %+v (%v)", users, err)
	}
	var unknown *postgres.UnknownEventError
	if _, err := w.SaveUser(t.Context(), "eve@example.org", []attendees.Role{attendees.Organiser}, []attendees.EventID{"1"}); !errors.As(err, &unknown) {
		t.Errorf("an event that is not known: %v", err)
	}
	if _, err := w.UserOf(t.Context(), "a.da@example.org"); !errors.Is(err, postgres.ErrNoUser) {
		t.Errorf("a look-alike is found: %v", err)
	}
	if err := w.RemoveUser(t.Context(), "ADA@example.org"); err != nil {
		t.Error(err)
	}
	if err := w.RemoveUser(t.Context(), "ada@example.org"); !errors.Is(err, postgres.ErrNoUser) {
		t.Errorf("removing her twice: %v", err)
	}
}

func TestNothingOfUsersAndMailLiesReadable(t *testing.T) {
	w := newWorld(t)
	u, err := w.SaveUser(t.Context(), "quillfeather@example.org", []attendees.Role{attendees.Officer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.NewSignIn(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Allow(t.Context(), "mail", "quillfeather@example.org", postgres.Limit{Most: 1, Within: time.Hour}); err != nil {
		t.Fatal(err)
	}
	letter := mail.Letter{To: "quillfeather@example.org", Subject: "Hush", Link: "https://lethe.test/signin/" + token}
	if err := w.KeepMail(t.Context(), letter, func(*sql.Tx, uuid.UUID) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB().Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"signins", "limits", "outbox", "sessions", "pg_stats"} {
		var text string
		err := w.DB().Get(&text, `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`)
		if err != nil || strings.Contains(text, "quillfeather") || strings.Contains(text, token) || strings.Contains(text, "Hush") {
			t.Errorf("%s can be read (%v)", table, err)
		}
	}
	var targets []string
	err = w.DB().Select(&targets, `
		select attrelid::regclass || '.' || attname from pg_attribute
		where (attrelid::regclass::text, attname) in (('users', 'email'), ('signins', 'hash'), ('sessions', 'token'), ('sessions', 'data'), ('limits', 'key'), ('outbox', 'sealed'))
		  and attstattarget = 0`)
	if err != nil || len(targets) != 6 {
		t.Errorf("only %v keep no statistics (%v)", targets, err)
	}
}

func TestALetterIsOpenedByItsOwnSecretAndGoesWhenSent(t *testing.T) {
	w := newWorld(t)
	var id uuid.UUID
	letter := mail.Letter{To: "ada@example.org", Subject: "Hello", Text: []string{"One."}}
	keep := func() {
		t.Helper()
		if err := w.KeepMail(t.Context(), letter, func(_ *sql.Tx, i uuid.UUID) error { id = i; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("no")
	if err := w.KeepMail(t.Context(), letter, func(*sql.Tx, uuid.UUID) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	keep()
	var rows int
	if err := w.DB().Get(&rows, `select count(*) from outbox`); err != nil || rows != 1 {
		t.Errorf("%d letters wait, want the one whose job was asked for (%v)", rows, err)
	}
	if err := w.SendMail(t.Context(), id, func(mail.Letter) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	sent := 0
	for range 2 { // a job may run twice
		err := w.SendMail(t.Context(), id, func(l mail.Letter) error {
			sent++
			if l.To != letter.To || l.Plain() != letter.Plain() {
				t.Error("another letter comes out than went in")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if sent != 1 {
		t.Errorf("it was sent %d times", sent)
	}
	keep()
	other, err := seal.NewKeyring("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err != nil {
		t.Fatal(err)
	}
	stranger := postgres.New(w.DB(), other, w.Policy(), w.clock.Now)
	if err := stranger.SendMail(t.Context(), id, func(mail.Letter) error { t.Error("sent"); return nil }); err == nil {
		t.Error("a letter opens without its secret")
	}
	uses, err := w.SecretUses(t.Context())
	if err != nil || len(uses) != 1 || uses[0].Key != w.Keys().Newest() {
		t.Errorf("secrets in use: %v (%v)", uses, err)
	}
	if _, err := w.DB().Exec(`update outbox set sealed = sealed || 'x'`); err != nil {
		t.Fatal(err)
	}
	if err := w.SendMail(t.Context(), id, func(mail.Letter) error { t.Error("sent"); return nil }); err == nil {
		t.Error("a changed letter opens")
	}
	w.clock.now = w.clock.now.Add(49 * time.Hour)
	if err := w.DropSpent(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.DB().Get(&rows, `select count(*) from outbox`); err != nil || rows != 0 {
		t.Errorf("%d letters lie for good (%v)", rows, err)
	}
}

package postgres_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
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

func TestTheZeroUserMayNothing(t *testing.T) {
	var u postgres.User
	for _, r := range append(attendees.Roles(), "") {
		if u.Has(r) {
			t.Errorf("the zero user is %q", r)
		}
	}
	if u.Sees("4711") || attendees.Role("").Known() {
		t.Error("the zero user sees an event, or the zero role is one")
	}
	officer := postgres.User{Roles: []attendees.Role{attendees.Officer}}
	if officer.Sees("4711") {
		t.Error("who is no organiser sees an event as one")
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

func TestALimitCountsThoseWhoAskAtOnce(t *testing.T) {
	w := newWorld(t)
	limits := []postgres.Limit{{Most: 3, Within: time.Hour}, {Most: 5, Within: 24 * time.Hour}}
	ask := func(who string) bool {
		ok, err := w.Allow(t.Context(), "mail", who, limits...)
		if err != nil {
			t.Error(err)
		}
		return ok
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 20 {
		all.Go(func() {
			if ask("ada") {
				mu.Lock()
				allowed++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if allowed != 3 {
		t.Errorf("%d of twenty at once were allowed, want 3", allowed)
	}
	if !ask("eve") {
		t.Error("another pays for it")
	}
	w.clock.now = w.clock.now.Add(time.Hour - time.Second)
	if ask("ada") {
		t.Error("a second before the hour is over she is allowed again")
	}
	w.clock.now = w.clock.now.Add(time.Second)
	if first, second, third := ask("ada"), ask("ada"), ask("ada"); !first || !second || third {
		t.Error("after the hour two more were due, up to five in a day")
	}
	if ok, err := w.Allow(t.Context(), "mail", "eve", postgres.Limit{}); ok || err != nil {
		t.Errorf("the zero limit allows (%v)", err)
	}
}

func TestThePagesOfTheLedgerGoBackToItsBeginning(t *testing.T) {
	w := newWorld(t)
	for range 7 {
		h, err := w.AddHold(t.Context(), "4711", "", "open claim", "operator", attendees.Date{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.ReleaseHold(t.Context(), h.ID); err != nil {
			t.Fatal(err)
		}
	}
	var seen []int64
	for before := int64(0); ; {
		page, size, err := w.LedgerPage(t.Context(), before, 4)
		if err != nil || size != 15 {
			t.Fatalf("the ledger has %d entries (%v)", size, err)
		}
		for _, e := range page {
			seen = append(seen, e.Index)
		}
		if before = page[len(page)-1].Index; before == 0 {
			break
		}
	}
	if len(seen) != 15 || seen[0] != 14 || seen[14] != 0 {
		t.Errorf("the pages hold %v", seen)
	}
	if _, err := w.CertificateAt(t.Context(), 15); !errors.Is(err, postgres.ErrNoEntry) {
		t.Errorf("the certificate of no entry: %v", err)
	}
	c, err := w.CertificateAt(t.Context(), 3)
	if err != nil || c.Index != 3 {
		t.Errorf("the certificate is of entry %d (%v)", c.Index, err)
	}
}

package staff_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/seal"
	"lethe/attendees/staff"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Two secrets.
var (
	first  = strings.Repeat("A", 43) + "="
	second = strings.Repeat("B", 42) + "A="
)

// office is a store on a database of its own that knows event 4711, with a clock that the
// test sets.
type office struct {
	*staff.Store
	t   testing.TB
	db  *sqlx.DB
	now time.Time
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{t: t, db: pgtest.Next(t), now: time.Date(2027, 7, 14, 12, 0, 0, 0, time.UTC)}
	o.exec(`
		insert into events (id, source, source_id, organization_id, name, status, time_zone, ends_on, first_seen_on, rule, block_on, delete_on,
			planned_rule, planned_block_on, planned_delete_on, accepted_rule, accepted_block_on, accepted_delete_on, applied_at, secret)
		values (gen_random_uuid(), 'eventbrite', '4711', '900', '', 'live', 'UTC', '2027-08-01', '2027-07-01', 'none', '2027-09-01', '2027-09-01',
			'none', '2027-09-01', '2027-09-01', 'none', '2027-09-01', '2027-09-01', '2027-07-01', 'x')`)
	o.Store = o.under(first)
	return o
}

// under is the same store under other secrets.
func (o *office) under(secrets string) *staff.Store {
	o.t.Helper()
	keys, err := seal.NewKeyring(secrets)
	if err != nil {
		o.t.Fatal(err)
	}
	return staff.New(o.db, keys, func() time.Time { return o.now })
}

func (o *office) exec(statement string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Exec(statement, args...); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) count(table string) (n int) {
	o.t.Helper()
	if err := o.db.Get(&n, `select count(*) from `+table); err != nil {
		o.t.Fatal(err)
	}
	return n
}

func (o *office) user(address string, roles ...attendees.Role) staff.User {
	o.t.Helper()
	u, err := o.SaveUser(o.t.Context(), address, roles, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return u
}

func (o *office) link(u staff.User) string {
	o.t.Helper()
	token, err := o.NewSignIn(o.t.Context(), u.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	return token
}

func TestAUserIsFoundUnderAnySpellingAndSeesOnlyKnownEvents(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	u, err := o.SaveUser(t.Context(), " Ada@EXAMPLE.org ", []attendees.Role{attendees.Organiser}, []attendees.EventID{"4711"})
	if err != nil || !u.Sees("4711") || u.Sees("4712") {
		t.Fatalf("Ada sees %v (%v)", u.Events, err)
	}
	again, err := o.SaveUser(t.Context(), "ada@example.org", []attendees.Role{attendees.Officer, attendees.Operator}, nil)
	if err != nil || again.ID != u.ID {
		t.Errorf("saving Ada again makes another user (%v)", err)
	}
	users, err := o.Users(t.Context())
	if err != nil || len(users) != 1 || users[0].Has(attendees.Organiser) || !users[0].Has(attendees.Officer) || len(users[0].Events) != 0 {
		t.Errorf("users are %+v (%v)", users, err)
	}
	var unknown *staff.UnknownEventError
	_, err = o.SaveUser(t.Context(), "eve@example.org", []attendees.Role{attendees.Organiser}, []attendees.EventID{"4711", "1"})
	if !errors.As(err, &unknown) || unknown.Event != "1" || o.count("users") != 1 {
		t.Errorf("an event that is not known: %v, %d users", err, o.count("users"))
	}
	for _, find := range []func() (staff.User, error){
		func() (staff.User, error) { return o.UserOf(t.Context(), "ADA@Example.ORG") },
		func() (staff.User, error) { return o.User(t.Context(), u.ID) },
	} {
		if found, err := find(); err != nil || found.ID != u.ID {
			t.Errorf("Ada is not found: %v", err)
		}
	}
	if _, err := o.UserOf(t.Context(), "a.da@example.org"); !errors.Is(err, staff.ErrNoUser) {
		t.Errorf("a look-alike is found: %v", err)
	}
	if err := o.RemoveUser(t.Context(), "ADA@example.org"); err != nil {
		t.Error(err)
	}
	if err := o.RemoveUser(t.Context(), "ada@example.org"); !errors.Is(err, staff.ErrNoUser) {
		t.Errorf("removing Ada twice: %v", err)
	}
	if _, err := o.User(t.Context(), u.ID); !errors.Is(err, staff.ErrNoUser) {
		t.Errorf("a removed user is found: %v", err)
	}
}

func TestAnAddressThatIsSavedAtOnceIsOneUser(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { o.user("ada@example.org", attendees.Officer) })
	}
	all.Wait()
	if n := o.count("users"); n != 1 {
		t.Errorf("Ada is %d users", n)
	}
}

func TestTheZeroUserMayDoNothing(t *testing.T) {
	t.Parallel()
	var u staff.User
	for _, r := range append(attendees.Roles(), "") {
		if u.Has(r) {
			t.Errorf("the zero user is %q", r)
		}
	}
	if u.Sees("4711") || attendees.Role("").Known() {
		t.Error("the zero user sees an event, or the zero role is one")
	}
	if (staff.User{Roles: []attendees.Role{attendees.Officer, attendees.Operator}}).Sees("4711") {
		t.Error("a user who is no organiser sees an event as one")
	}
	if !(staff.User{Roles: []attendees.Role{attendees.Organiser}}).Sees("4711") {
		t.Error("an organiser without a list of events does not see all")
	}
}

func TestALinkSignsInOnceWithinAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	u, eve := o.user("ada@example.org", attendees.Officer), o.user("eve@example.org", attendees.Operator)
	use := func(when, token string, want error) {
		t.Helper()
		who, err := o.UseSignIn(t.Context(), token)
		if !errors.Is(err, want) || err == nil && who != u.ID || err != nil && who != uuid.Nil {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	token, other := o.link(u), o.link(eve)
	use("a token that was never one", "x"+token, staff.ErrLink)
	use("the first time", token, nil)
	use("the second time", token, staff.ErrLink)
	if who, err := o.UseSignIn(t.Context(), other); err != nil || who != eve.ID {
		t.Errorf("Eve's link: %v", err)
	}
	token = o.link(u)
	o.now = o.now.Add(staff.SignInFor - time.Second)
	use("at the last second", token, nil)
	token = o.link(u)
	o.now = o.now.Add(staff.SignInFor)
	use("too late", token, staff.ErrLink)
	token = o.link(u)
	o.Store = o.under(second + "," + first)
	use("under a newer secret", token, nil)
	o.Store = o.under(first)
	token = o.link(u)
	o.Store = o.under(second)
	use("without its secret", token, staff.ErrLink)
}

func TestALinkThatSeveralUseAtOnceSignsInOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.link(o.user("ada@example.org", attendees.Officer))
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range 8 {
		all.Go(func() {
			_, err := o.UseSignIn(t.Context(), token)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				in++
			case !errors.Is(err, staff.ErrLink):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in != 1 {
		t.Errorf("it signed in %d times", in)
	}
}

func TestLinksExpireWithTheRightsTheyWereMailedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	u := o.user("ada@example.org", attendees.Officer)
	eves := o.link(o.user("eve@example.org", attendees.Officer))
	for what, change := range map[string]func() error{
		"other roles": func() error {
			_, err := o.SaveUser(t.Context(), "ada@example.org", []attendees.Role{attendees.Operator}, nil)
			return err
		},
		"signing out everywhere": func() error { return o.SignOutEverywhere(t.Context(), u.ID) },
	} {
		token := o.link(u)
		o.now = o.now.Add(time.Minute)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, err := o.UseSignIn(t.Context(), token); !errors.Is(err, staff.ErrLink) {
			t.Errorf("after %s an older link signs in (%v)", what, err)
		}
		if now, err := o.User(t.Context(), u.ID); err != nil || !now.SignedOutAt.Equal(o.now) {
			t.Errorf("after %s sessions until %s have ended, want %s (%v)", what, now.SignedOutAt, o.now, err)
		}
	}
	token := o.link(u)
	if err := o.RemoveUser(t.Context(), "ada@example.org"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.UseSignIn(t.Context(), token); !errors.Is(err, staff.ErrLink) {
		t.Errorf("a removed user's link signs in (%v)", err)
	}
	if _, err := o.UseSignIn(t.Context(), eves); err != nil {
		t.Errorf("another's link ended, too: %v", err)
	}
}

func TestASessionIsBegunOnlyByASignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sessions := o.Sessions(time.Hour)
	ctx, begins, later := t.Context(), staff.BeginsSession(t.Context()), time.Now().Add(24*time.Hour)
	keep := func(data string) {
		t.Helper()
		if err := sessions.CommitCtx(ctx, "token", []byte(data), later); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when, want string) {
		t.Helper()
		data, found, err := sessions.FindCtx(ctx, "token")
		if err != nil || string(data) != want || found != (want != "") {
			t.Errorf("%s: %q, want %q (%v)", when, data, want, err)
		}
	}
	keep("none")
	check("kept without a sign-in", "")
	if err := sessions.CommitCtx(begins, "token", []byte("one"), later); err != nil {
		t.Fatal(err)
	}
	check("signed in", "one")
	keep("two")
	check("kept again", "two")
	if err := sessions.DeleteCtx(ctx, "token"); err != nil {
		t.Fatal(err)
	}
	keep("three") // a page that was still under way
	check("after signing out", "")
}

func TestASessionEndsWhenItIsIdleOrAtItsEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, sessions := staff.BeginsSession(t.Context()), o.Sessions(time.Hour)
	begin := func(token string, in time.Duration) {
		t.Helper()
		if err := sessions.CommitCtx(ctx, token, []byte(token), time.Now().Add(in)); err != nil {
			t.Fatal(err)
		}
	}
	left := func(token string) (left time.Duration) {
		t.Helper()
		var seconds float64
		if err := o.db.Get(&seconds, `select extract(epoch from expires_at - now()) from sessions where token = $1`, token); err != nil {
			t.Fatal(err)
		}
		return time.Duration(seconds * float64(time.Second)).Round(time.Minute)
	}
	begin("idle", 24*time.Hour)
	begin("short", 10*time.Minute)
	if a, b := left("idle"), left("short"); a != time.Hour || b != 10*time.Minute {
		t.Errorf("they last %s and %s", a, b)
	}
	o.exec(`update sessions set expires_at = now() + interval '20 minutes' where token = 'idle'`)
	if _, found, err := sessions.FindCtx(ctx, "idle"); err != nil || !found || left("idle") != time.Hour {
		t.Errorf("used after forty minutes it lasts %s more (%v)", left("idle"), err)
	}
	o.exec(`update sessions set expires_at = now() - interval '1 second'`)
	if _, found, err := sessions.FindCtx(ctx, "idle"); err != nil || found {
		t.Errorf("one that has ended is found (%v)", err)
	}
	begin("fresh", time.Hour)
	if err := o.DropSpent(t.Context()); err != nil || o.count("sessions") != 1 {
		t.Errorf("%d sessions stay (%v)", o.count("sessions"), err)
	}
}

func TestALimitCountsThoseWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	limits := []staff.Limit{{Most: 3, Within: time.Hour}, {Most: 5, Within: 24 * time.Hour}}
	ask := func(who string) bool {
		ok, err := o.Allow(t.Context(), "mail", who, limits...)
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
				defer mu.Unlock()
				allowed++
			}
		})
	}
	all.Wait()
	if allowed != 3 {
		t.Errorf("%d of twenty at once were allowed, want 3", allowed)
	}
	if !ask("eve") {
		t.Error("another person pays for it")
	}
	if ok, err := o.Allow(t.Context(), "letters", "ada", limits...); err != nil || !ok {
		t.Errorf("another thing pays for it (%v)", err)
	}
	o.now = o.now.Add(time.Hour - time.Second)
	if ask("ada") {
		t.Error("a second before the hour is over Ada is allowed again")
	}
	o.now = o.now.Add(time.Second)
	if one, two, three := ask("ada"), ask("ada"), ask("ada"); !one || !two || three {
		t.Errorf("after the hour Ada is allowed %v, %v, %v; want two more, up to five in a day", one, two, three)
	}
	if ok, err := o.Allow(t.Context(), "mail", "eve", staff.Limit{}); ok || err != nil {
		t.Errorf("the zero limit allows (%v)", err)
	}
}

func TestWhatIsSpentIsDropped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.link(o.user("ada@example.org", attendees.Officer))
	if _, err := o.Allow(t.Context(), "mail", "ada", staff.Limit{Most: 1, Within: time.Hour}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		ahead          time.Duration
		links, asks    int
		whatHasElapsed string
	}{
		{0, 1, 1, "at once"},
		{staff.SignInFor + time.Second, 0, 1, "after a link's time"},
		{24 * time.Hour, 0, 0, "after a day"},
	} {
		o.now = o.now.Add(step.ahead)
		if err := o.DropSpent(t.Context()); err != nil {
			t.Fatal(err)
		}
		if links, asks := o.count("signins"), o.count("limits"); links != step.links || asks != step.asks {
			t.Errorf("%s %d links and %d limits stay", step.whatHasElapsed, links, asks)
		}
	}
	o.exec(`delete from marks where name = 'simulated'`)
	if err := o.DropSpent(t.Context()); err == nil {
		t.Error("a clock that differs from the database's drops things")
	}
}

func TestNoTableSignsAnybodyInOrTellsWhoAsked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token := o.link(o.user("quillfeather@example.org", attendees.Officer))
	if _, err := o.Allow(t.Context(), "mail", "quillfeather@example.org", staff.Limit{Most: 1, Within: time.Hour}); err != nil {
		t.Fatal(err)
	}
	o.exec(`analyze`)
	for _, table := range []string{"signins", "limits", "pg_stats"} {
		var text string
		if err := o.db.Get(&text, `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`); err != nil || text == "" {
			t.Fatalf("%s: %d bytes (%v)", table, len(text), err)
		}
		if strings.Contains(text, "quillfeather") || strings.Contains(text, token) {
			t.Errorf("%s can be read", table)
		}
	}
	var sampled []string
	err := o.db.Select(&sampled, `
		select attrelid::regclass || '.' || attname
		from pg_attribute
		where (attrelid::regclass::text, attname) in (('users', 'email'), ('signins', 'hash'), ('sessions', 'token'), ('sessions', 'data'), ('limits', 'key'))
		  and attstattarget <> 0`)
	if err != nil || len(sampled) > 0 {
		t.Errorf("the planner samples %v (%v)", sampled, err)
	}
}

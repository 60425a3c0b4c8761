package pull_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform"
	"lethe/sync/typeform/typeformtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a store, both sandboxes, and a puller between them.
type world struct {
	*pull.Puller
	t          testing.TB
	eventbrite *eventbritetest.Server
	typeform   *typeformtest.Server
	urls       [2]string
	log        *pgtest.Log
	org        attendees.OrganizationID
}

func newWorld(t testing.TB, o eventbritetest.Options) world {
	t.Helper()
	w := world{t: t, eventbrite: eventbritetest.New(o), typeform: typeformtest.New(typeformtest.Options{}), log: &pgtest.Log{}}
	url, stop, err := w.eventbrite.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	formURL, err := w.typeform.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.typeform.Close() })
	w.urls = [2]string{url, formURL}
	w.org = w.eventbrite.AddOrganization("Example Science Foundation")

	policy := attendees.BuiltIn()
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Puller = w.another(postgres.New(pgtest.New(t), keys, &policy, time.Now), log)
	t.Cleanup(func() { // every test of a pull is one of the first promise, too
		for _, secret := range []string{eventbritetest.Secret, typeformtest.Secret} {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("the log holds a marked secret %s", secret)
			}
		}
	})
	return w
}

// another is one more puller, as another process would have it.
func (w world) another(store *postgres.Store, log *slog.Logger) *pull.Puller {
	w.t.Helper()
	eb, err := eventbrite.New(eventbrite.Options{
		URL: w.urls[0], Token: eventbritetest.Token, Log: log,
		Timeout: time.Second, Attempts: 8, MinWait: time.Millisecond, MaxWait: 20 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	tf, err := typeform.New(typeform.Options{
		URL: w.urls[1], Token: typeformtest.Token, Log: log, PerSecond: 1000,
		Timeout: time.Second, Attempts: 8, MinWait: time.Millisecond, MaxWait: 20 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return &pull.Puller{Store: store, Eventbrite: eb, Typeform: tf, Now: time.Now, Log: log}
}

// event adds a coming event with n people to the sandbox.
func (w world) event(n int) attendees.EventID {
	id, _ := w.eventbrite.AddEvent(w.org, eventbritetest.Event{
		Name: "Example Days", Zone: "Europe/Berlin", Start: time.Now().AddDate(0, 0, 20), End: time.Now().AddDate(0, 0, 21),
	}, eventbritetest.Questions()...)
	w.eventbrite.AddPeople(id, n)
	return id
}

// arrive lets n more people register now: those that AddPeople invents came an hour ago.
func (w world) arrive(event attendees.EventID, n int) []attendees.AttendeeID {
	w.t.Helper()
	ids := w.eventbrite.AddPeople(event, n)
	for _, id := range ids {
		if err := w.eventbrite.Change(id, func(*eventbritetest.Person) {}); err != nil {
			w.t.Error(err)
		}
	}
	return ids
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w world) discover() { w.t.Helper(); must[pull.Discovery](w.t)(w.Discover(w.t.Context())) }

// link links one of the sandbox's forms to an event, all that the purposes can use.
func (w world) link(event attendees.EventID, form typeformtest.Form) {
	w.t.Helper()
	w.typeform.AddForm(form)
	fields := map[attendees.PurposeName]map[attendees.Field]attendees.QuestionID{
		attendees.ParticipationAgreement: {
			attendees.Name: typeformtest.Name, attendees.Email: typeformtest.Email,
			attendees.Agreed: typeformtest.Agree, attendees.AgreementVersion: typeformtest.AgreementVersion,
		},
		attendees.Forum: {
			attendees.Name: typeformtest.Name, attendees.Email: typeformtest.Email,
			attendees.Affiliation: typeformtest.Affiliation, attendees.Forums: typeformtest.Forums,
		},
	}
	purpose := attendees.Forum
	if form.ID == typeformtest.AgreementFormID {
		purpose = attendees.ParticipationAgreement
	}
	l := postgres.Link{Event: event, Form: form.ID, Title: form.Title, Purpose: purpose}
	for field, ref := range fields[purpose] {
		q, ok := form.Question(ref)
		if !ok {
			continue
		}
		l.Fields = append(l.Fields, postgres.LinkedField{Field: field, Question: ref, ID: q.ID})
	}
	e := must[postgres.Event](w.t)(w.Store.Event(w.t.Context(), event))
	if err := w.Store.SaveLink(w.t.Context(), e, l); err != nil {
		w.t.Fatal(err)
	}
}

// same compares what is held of an event with the sandbox's own list, field by field.
func (w world) same(event attendees.EventID) {
	w.t.Helper()
	type person struct {
		ID, Name, Email, Ticket, Status string
		Attended                        bool
	}
	var want []person
	for _, r := range w.eventbrite.Attendees(event, nil) {
		m := w.Store.Policy().Minimise(r, nil).Attendee()
		want = append(want, person{string(m.ID), m.Name.Reveal(), m.Email.Reveal(), m.Ticket, string(m.Status), m.Attended})
	}
	slices.SortFunc(want, func(a, b person) int { return cmp.Compare(a.ID, b.ID) })
	var got []person
	for r, err := range w.Store.Attending(w.t.Context(), event, attendees.ParticipationAgreement, postgres.AnyStatus) {
		if err != nil {
			w.t.Fatal(err)
		}
		got = append(got, person{r.ID, r.Name.Reveal(), r.Email.Reveal(), r.Ticket, r.Status, r.Attended})
	}
	if len(got) != len(want) {
		w.t.Errorf("%d are held of event %s, the source knows %d", len(got), event, len(want))
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		w.t.Errorf("event %s differs from the source (-source +held): %.2000s", event, diff)
	}
}

func TestTwentyThousandWithTiesShiftsAndChangesAreListedExactlyOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(20_000)
	w.discover()
	ids := w.eventbrite.Attendees(event, nil)
	pages := 0
	w.Progress = func(p pull.Progress) {
		// Every tenth page somebody changes, which moves her to the listing's end and
		// everyone behind her one place forwards; somebody new comes, somebody cancels.
		if pages++; pages%10 != 0 || pages > 400 {
			return
		}
		for _, err := range []error{
			w.eventbrite.Change(ids[pages].ID, func(p *eventbritetest.Person) { p.Name = fmt.Sprint("Changed Person ", pages) }),
			w.eventbrite.Cancel(ids[len(ids)-pages].ID),
			w.eventbrite.CheckIn(ids[len(ids)-2*pages].ID),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		w.arrive(event, 1)
	}
	report := must[pull.Report](t)(w.Event(t.Context(), event))
	t.Logf("%d pages, %d people read", report.Pages, report.People)
	w.Progress = nil
	must[pull.Report](t)(w.Reconcile(t.Context(), event)) // check-ins do not move a change time
	w.same(event)
	var double int
	if err := w.Store.DB().Get(&double, `select count(*) - count(distinct source_id) from attendees`); err != nil || double != 0 {
		t.Errorf("%d are held twice (%v)", double, err)
	}
}

func TestEveryFaultEndsInACompletePull(t *testing.T) {
	for _, fault := range []eventbritetest.Fault{
		eventbritetest.ServerError, eventbritetest.TooMany, eventbritetest.TooManyAfter, eventbritetest.CutBody,
		eventbritetest.WebPage, eventbritetest.Silence, eventbritetest.BrokenConnection,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, eventbritetest.Options{Limit: -1})
			event := w.event(2000)
			w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) {
				q.FaultEvery, q.Faults, q.RetryAfter = 20, []eventbritetest.Fault{fault}, time.Second
			})
			w.discover()
			must[pull.Report](t)(w.Event(t.Context(), event))
			w.same(event)
		})
	}
}

func TestAnIdlePullOfManyEventsCostsOneCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	var events []attendees.EventID
	for range 200 {
		events = append(events, w.event(3))
	}
	w.discover()
	w.link(events[0], typeformtest.AgreementForm())
	w.link(events[1], typeformtest.ForumForm())
	for _, e := range must[[]attendees.EventID](t)(w.Unpulled(t.Context())) {
		must[pull.Report](t)(w.Event(t.Context(), e))
	}
	all := func() {
		must[pull.Report](t)(w.Organization(t.Context(), w.org))
		for _, form := range must[[]attendees.FormID](t)(w.Store.LinkedForms(t.Context())) {
			must[pull.Report](t)(w.Form(t.Context(), form))
		}
	}
	all()
	w.eventbrite.ForgetCalls()
	w.typeform.ResetLog()
	all()
	if got := len(w.eventbrite.Calls()); got != 1 {
		t.Errorf("an idle pull of 200 events costs %d calls at Eventbrite, want 1: %v", got, w.eventbrite.Calls())
	}
	if got := w.typeform.Calls(""); got != 2 {
		t.Errorf("an idle pull of 2 forms costs %d calls at Typeform, want 2", got)
	}
}

func TestTheOrganizationsListingBringsWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	first, second := w.event(30), w.event(10)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), first))
	must[pull.Report](t)(w.Event(t.Context(), second))
	must[pull.Report](t)(w.Organization(t.Context(), w.org))

	ids := w.arrive(first, 120)
	for _, err := range []error{
		w.eventbrite.Refund(ids[0]), w.eventbrite.Move(ids[1], second),
		w.eventbrite.Change(ids[2], func(p *eventbritetest.Person) { p.Name, p.First, p.Last, p.Email = "", "", "", "" }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	third := w.event(5) // not discovered yet
	w.arrive(third, 1)
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	for _, e := range must[[]attendees.EventID](t)(w.Unpulled(t.Context())) {
		must[pull.Report](t)(w.Event(t.Context(), e))
	}
	for _, e := range []attendees.EventID{first, second, third} {
		w.same(e)
	}
}

func TestWhereTheOrganizationsListingIsRefusedEachEventIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(30)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.OrganizationListingRefused = true })
	w.arrive(event, 3)
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.same(event)
	f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.OrganizationFeed(w.org)))
	if !strings.Contains(f.Attention, "refuses") {
		t.Errorf("the operator is told %q, want that the listing is refused", f.Attention)
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.OrganizationListingRefused = false })
	w.arrive(event, 3)
	must[pull.Report](t)(w.Organization(t.Context(), w.org))
	w.same(event)
}

func TestReconcileLetsGoWhoIsGoneAndNobodyWhenHalfIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(60)
	w.discover()
	must[pull.Report](t)(w.Event(t.Context(), event))
	gone := w.eventbrite.Attendees(event, nil)[7].ID
	if err := w.eventbrite.Remove(gone); err != nil {
		t.Fatal(err)
	}
	attending := func() (n int) {
		for _, err := range w.Store.Attending(t.Context(), event, attendees.Forum, postgres.AnyStatus) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		for r := range w.Store.Attending(t.Context(), event, attendees.Forum, attendees.Gone) {
			if r.ID != string(gone) {
				t.Errorf("%s went, who is still known", r.ID)
			}
			n--
		}
		return n
	}
	report := must[pull.Report](t)(w.Reconcile(t.Context(), event))
	if got := report.Events[event].Gone; got != 1 || attending() != 59 {
		t.Errorf("%d went and %d are left, want 1 and 59", got, attending())
	}

	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.HalfListed = true })
	report = must[pull.Report](t)(w.Reconcile(t.Context(), event))
	if report.Events[event].Gone != 0 || attending() != 59 || !report.Stopped || !strings.Contains(report.Attention, "Nobody was let go") {
		t.Errorf("a listing that misses half: %d went, %d are left, the operator is told %q", report.Events[event].Gone, attending(), report.Attention)
	}
	w.BelieveGone = true // an operator who errs is still asked for each by id
	report = must[pull.Report](t)(w.Reconcile(t.Context(), event))
	if report.Events[event].Gone != 0 || attending() != 59 {
		t.Errorf("who answers by id went: %d", report.Events[event].Gone)
	}
	w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.HalfListed = false })
	w.BelieveGone = false
	must[pull.Report](t)(w.Reconcile(t.Context(), event))
	if f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.EventFeed(event))); f.Attention != "" {
		t.Errorf("the listing is whole again and the operator is still told %q", f.Attention)
	}
}

func TestARateLimitIsNoFailureAndThePullGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: 90, Window: 8 * time.Second})
	event := w.event(5000) // 100 pages
	w.discover()
	limits, from := 0, 0
	for {
		report, err := w.Event(t.Context(), event)
		var limited *pull.RateLimited
		if !errors.As(err, &limited) {
			if err != nil {
				t.Fatal(err)
			}
			if report.Pages >= 100 {
				t.Errorf("the last run read %d pages: it began anew", report.Pages)
			}
			break
		}
		if limits++; limits > 10 {
			t.Fatal("the pull does not come to an end")
		}
		f := must[postgres.Feed](t)(w.Store.Feed(t.Context(), postgres.EventFeed(event)))
		if f.RunPage < max(from, 1) || f.Watermark != nil || f.Failure != "" {
			t.Errorf("after a limit the run stands at page %d (before: %d), watermark %v, failure %q", f.RunPage, from, f.Watermark, f.Failure)
		}
		from = f.RunPage
		time.Sleep(time.Until(limited.Until))
	}
	if limits == 0 {
		t.Error("the limit was never met")
	}
	for _, c := range w.eventbrite.Calls() {
		if c.Fault != "" {
			t.Errorf("a call was refused: the budget was not kept: %v", c)
		}
	}
	w.same(event)
}

func TestTwoWorkersAndASyncDoubleNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	one, two := w.event(1500), w.event(1500)
	w.discover()
	var wg sync.WaitGroup
	for range 3 {
		p := w.another(w.Store, w.Log)
		wg.Go(func() {
			for range 3 {
				for _, do := range []func(context.Context) (pull.Report, error){
					func(ctx context.Context) (pull.Report, error) { return p.Event(ctx, one) },
					func(ctx context.Context) (pull.Report, error) { return p.Organization(ctx, w.org) },
					func(ctx context.Context) (pull.Report, error) { return p.Reconcile(ctx, two) },
				} {
					if _, err := do(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	w.same(one)
	w.same(two)
}

func TestFormsAreReadWholeAndOnlyWhatIsMapped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, eventbritetest.Options{Limit: -1})
	event := w.event(2500)
	w.discover()
	w.link(event, typeformtest.AgreementForm())
	w.link(event, typeformtest.ForumForm())
	must[pull.Report](t)(w.Event(t.Context(), event))
	var people []typeformtest.Person
	for _, r := range w.eventbrite.Attendees(event, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	people = append(people, typeformtest.Person{Name: "Nobody Here", Email: "nobody.here@example.org"})
	w.typeform.Fill(typeformtest.AgreementFormID, people, time.Now().Add(-30*time.Hour))
	w.typeform.Fill(typeformtest.ForumFormID, people[:1200], time.Now().Add(-30*time.Hour))
	w.typeform.SetFaults(typeformtest.Faults{Share: 0.05, Limited: 1, Cut: 1, HTML: 1, Silent: 1})

	report := must[pull.Report](t)(w.Form(t.Context(), typeformtest.AgreementFormID))
	if got := report.Answers.New; got != len(people) {
		t.Errorf("%d responses are new, want %d", got, len(people))
	}
	must[pull.Report](t)(w.Form(t.Context(), typeformtest.ForumFormID))
	all, unmatched, err := w.Store.Answered(t.Context(), typeformtest.AgreementFormID)
	if err != nil || all != len(people) || unmatched == 0 || unmatched > len(people)/4 {
		t.Errorf("of %d responses %d belong to nobody (%v); group orders without hidden field and one stranger should", all, unmatched, err)
	}
	agreed, chosen := 0, 0
	for r, err := range w.Store.Attending(t.Context(), event, attendees.ParticipationAgreement, attendees.Attending) {
		if err != nil {
			t.Fatal(err)
		}
		if !r.AgreedAt.IsZero() && r.AgreementVersion != "" {
			agreed++
		}
	}
	for r := range w.Store.Attending(t.Context(), event, attendees.Forum, attendees.Attending) {
		if len(r.Forums) > 0 && r.Affiliation != "" {
			chosen++
		}
	}
	if agreed < 1500 || chosen < 500 {
		t.Errorf("%d agreed and %d chose forums: the answers did not reach their people", agreed, chosen)
	}
	for _, c := range w.typeform.Log() {
		if strings.HasSuffix(c.Path, "/responses") && c.Query.Get("fields") == "" {
			t.Errorf("a listing asked for every field: %s?%s", c.Path, c.Query.Encode())
		}
	}
	w.noSecrets()
}

// noSecrets looks for the sandboxes' marked secrets in all that a thief would get:
// a dump, with River's tables, the planner's statistics, and the log.
func (w world) noSecrets() {
	w.t.Helper()
	if _, err := w.Store.DB().Exec(`analyze`); err != nil {
		w.t.Fatal(err)
	}
	dump, err := pgtest.Server(w.t).Bin("pg_dump")
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := exec.Command(dump, "--dbname", pgtest.URL(w.t, w.Store.DB())).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("COPY public.personal_")) {
		w.t.Fatal("the dump holds no room: the search would prove nothing")
	}
	var stats string
	if err := w.Store.DB().Get(&stats, `select string_agg(pg_stats::text, ' ') from pg_stats`); err != nil {
		w.t.Fatal(err)
	}
	for where, text := range map[string]string{"the dump": string(text), "the statistics": stats, "the log": w.log.String()} {
		for _, secret := range []string{eventbritetest.Secret, typeformtest.Secret} {
			if i := strings.Index(text, secret); i >= 0 {
				w.t.Errorf("%s holds a marked secret: …%s…", where, text[max(i-80, 0):min(i+80, len(text))])
			}
		}
	}
}

func TestTheSumOfThreePullersKeepsTheRateBudget(t *testing.T) {
	t.Parallel()
	const limit = 600
	w := newWorld(t, eventbritetest.Options{PageSize: 1, Limit: limit})
	var events []attendees.EventID
	for range 3 {
		events = append(events, w.event(400)) // a call each, so 1,200 in all
	}
	w.discover()
	var wg sync.WaitGroup
	var ended atomic.Int32
	for _, event := range events {
		other := w.another(w.Store, w.Log)
		wg.Go(func() {
			_, err := other.Event(t.Context(), event)
			var limited *pull.RateLimited
			switch {
			case err == nil:
				ended.Add(1)
			case !errors.As(err, &limited):
				t.Errorf("error %v, want the rate limit", err)
			}
		})
	}
	wg.Wait()
	if n := ended.Load(); n > 1 { // on a busy machine one may be through before the others begin
		t.Errorf("%d of three ended, with calls enough for one", n)
	}
	if n := len(w.eventbrite.Calls()); n > limit || n < limit*8/10 {
		t.Errorf("%d calls of %d were made", n, limit)
	}
}

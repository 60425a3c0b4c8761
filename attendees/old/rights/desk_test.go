package rights_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/attendees/old/seal"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var may = time.Date(2027, 5, 4, 12, 0, 0, 0, time.UTC)

// office is a desk on a database of its own, with a clock that a test moves.
type office struct {
	*rights.Desk
	t       testing.TB
	now     time.Time
	letters []mail.Letter
}

func (o *office) Post(_ context.Context, l mail.Letter) error {
	o.letters = append(o.letters, l)
	return nil
}

const hers = attendees.Personal("zaphira@example.org")

// newOffice has events 4711 to 4713, which end on 20 June 2027, and an officer.
func newOffice(t testing.TB) *office {
	t.Helper()
	keys, err := seal.NewKeyring(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, seal.SecretSize)))
	must(t, err)
	policy := attendees.BuiltIn()
	policy.Purposes[1].Basis = "a"
	o := &office{t: t, now: may}
	clock := func() time.Time { return o.now }
	store := postgres.New(pgtest.New(t), keys, &policy, clock)
	private, err := seal.NewOfficer()
	must(t, err)
	officers, err := seal.ParseOfficers(private.Public())
	must(t, err)
	sealer, err := seal.NewSealer(officers, keys)
	must(t, err)
	o.Desk, err = rights.NewDesk(rights.Desk{
		Store: store, Sealer: sealer, Post: o, Now: clock, BaseURL: "http://lethe.test", KeepCopy: func(context.Context) error { return nil },
	})
	must(t, err)
	end := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	for _, id := range []attendees.EventID{"4711", "4712", "4713"} {
		_, err := store.SaveEvents(t.Context(), attendees.Eventbrite, []attendees.Event{{
			ID: id, Organization: "900", Name: "Example Days " + string(id), Zone: "Europe/Berlin", Start: end.AddDate(0, 0, -1), End: end}})
		must(t, err)
	}
	_, err = store.SaveUser(t.Context(), "officer@example.org", []attendees.Role{attendees.Officer}, nil)
	must(t, err)
	return o
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) save(id, event string, address attendees.Personal) {
	o.t.Helper()
	m := o.Store.Policy().Minimise(attendees.Registration{
		ID: attendees.AttendeeID(id), Event: attendees.EventID(event), Name: "Zaphira Quillfeather", Email: address, Ticket: "Standard",
		Created: may, Changed: may,
	}, nil)
	must(o.t, o.Store.InTx(o.t.Context(), func(tx *sqlx.Tx) error {
		_, err := o.Store.Save(o.t.Context(), tx, nil, attendees.Eventbrite, []attendees.Minimised{m})
		return err
	}))
}

// to are the letters to an address since the last time.
func (o *office) to(address string) (text string) {
	for _, l := range o.letters {
		if l.To == address {
			text += strings.Join(l.Text, " ") + "\n"
		}
	}
	o.letters = nil
	return text
}

func (o *office) kinds() []ledger.Kind {
	o.t.Helper()
	table, err := o.Store.Ledger(o.t.Context())
	must(o.t, err)
	var kinds []ledger.Kind
	for _, leaf := range table.Leaves {
		e, err := ledger.ParseEntry(leaf)
		must(o.t, err)
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// The states that a registration of 4711 can be in when its person asks.
var states = []struct {
	name string
	make func(o *office)
}{
	{"active", func(*office) {}},
	{"over", func(o *office) { o.now = time.Date(2027, 7, 1, 12, 0, 0, 0, time.UTC) }},
	{"blocked", func(o *office) {
		o.now = time.Date(2027, 7, 21, 12, 0, 0, 0, time.UTC)
		_, err := o.Store.Block(o.t.Context(), "4711", o.Sealer)
		must(o.t, err)
	}},
	{"restricted", func(o *office) {
		_, err := o.Store.Restrict(o.t.Context(), "1", attendees.RestrictionAsked, o.Sealer)
		must(o.t, err)
	}},
	{"held", func(o *office) {
		_, err := o.Store.AddHold(o.t.Context(), "4711", "", "an open claim", "test", attendees.Date{})
		must(o.t, err)
	}},
	{"deleted", func(o *office) {
		_, err := o.Store.Forget(o.t.Context(), "1", "test")
		must(o.t, err)
	}},
	{"never", func(o *office) {
		must(o.t, o.Store.InTx(o.t.Context(), func(tx *sqlx.Tx) error {
			_, err := tx.Exec(`delete from personal where part = 'registration'; delete from attendees`)
			return err
		}))
	}},
}

// waits stands for a request that staff have to decide.
const waits attendees.Outcome = ""

func TestEveryRightInEveryStateHasItsOutcomeItsLetterAndItsEntry(t *testing.T) {
	const (
		later    = "has to look at it; you get an answer by"
		nothing  = "Nothing is held about you"
		inPart   = "sealed now and deleted on 1 January 2034: Abgabenordnung"
		stored   = "sealed and may only be stored"
		objected = "While we look at your reasons"
		taken    = "is gone and does not come back"
	)
	type want struct {
		outcome attendees.Outcome
		says    string
		entries string // what the request adds to the ledger
	}
	none := want{attendees.NothingHeld, nothing, "decided"}
	wait := want{waits, later, ""}
	table := map[attendees.Right]map[string]want{
		attendees.Access:        {"active": wait, "over": wait, "blocked": wait, "restricted": wait, "held": wait, "deleted": none, "never": none},
		attendees.Rectification: {"active": wait, "over": wait, "blocked": wait, "restricted": wait, "held": wait, "deleted": none, "never": none},
		attendees.ErasureRight: {
			"active": {attendees.GrantedInPart, inPart, "sealed_early decided"}, "over": {attendees.GrantedInPart, inPart, "sealed_early decided"},
			"blocked": {attendees.GrantedInPart, inPart, "sealed_early decided"}, "restricted": {attendees.GrantedInPart, inPart, "sealed_early decided"},
			"held": wait, "deleted": none, "never": none,
		},
		attendees.Restriction: {
			"active": {attendees.Granted, stored, "restricted decided"}, "over": {attendees.Granted, stored, "restricted decided"},
			"blocked": {attendees.Granted, stored, "restricted decided"}, "restricted": {attendees.Granted, stored, "decided"},
			"held": {attendees.Granted, stored, "restricted decided"}, "deleted": none, "never": none,
		},
		attendees.Objection: {
			"active": {waits, objected, "objected"}, "over": {waits, objected, "objected"}, "blocked": {waits, objected, "objected"},
			"restricted": {waits, objected, "objected"}, "held": {waits, objected, "objected"}, "deleted": none, "never": none,
		},
		attendees.Withdrawal: {
			"active": {attendees.Granted, taken, "withdrawn decided"}, "over": {attendees.Granted, taken, "withdrawn decided"},
			"blocked": {attendees.Granted, taken, "withdrawn decided"}, "restricted": {attendees.Granted, taken, "withdrawn decided"},
			"held": wait, "deleted": none, "never": none,
		},
	}
	for _, right := range attendees.Rights() {
		for _, state := range states {
			t.Run(fmt.Sprintf("%s when %s", right, state.name), func(t *testing.T) {
				t.Parallel()
				w, ok := table[right][state.name]
				if !ok {
					t.Fatal("the table does not say")
				}
				o := newOffice(t)
				o.save("1", "4711", hers)
				state.make(o)
				before := len(o.kinds())
				cases, err := o.Take(t.Context(), hers, rights.Request{
					Asks: right, Event: "4711", Field: attendees.Name, Value: "Zaphira Q.", Language: "en", CameBy: "page"})
				must(t, err)
				if len(cases) != 1 || cases[0].Outcome != w.outcome || cases[0].Open() != (w.outcome == waits) {
					t.Errorf("it ends as %+v, want %q", cases, w.outcome)
				}
				if says := o.to(hers.Reveal()); !strings.Contains(says, w.says) || !strings.Contains(says, "Art. 77") {
					t.Errorf("the letter says %q, want %q", says, w.says)
				}
				var added []string
				for _, k := range o.kinds()[before:] {
					if k != ledger.Opened {
						added = append(added, string(k))
					}
				}
				if got := strings.Join(added, " "); got != w.entries {
					t.Errorf("the ledger has %q, want %q", got, w.entries)
				}
			})
		}
	}
}

func TestStaffDecideWhatWaitsAndObjectionsThatAreGrantedErase(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for i, event := range []string{"4711", "4712", "4713"} {
		o.save(fmt.Sprint(i+1), event, hers)
	}
	cases, err := o.Take(t.Context(), hers, rights.Request{Asks: attendees.Objection, Language: "de", CameBy: "page"})
	must(t, err)
	if len(cases) != 3 {
		t.Fatalf("of all events there are %d cases, want one for each", len(cases))
	}
	if says := o.to("officer@example.org"); strings.Count(says, "waits for somebody to decide, by 2027-06-04") != 3 || strings.Contains(says, "zaphira") {
		t.Errorf("officers are told %q", says)
	}
	c, err := o.Decide(t.Context(), cases[0].Number, rights.Decision{Grant: true, Reason: "good reasons", By: "test"})
	must(t, err)
	if says := o.to(hers.Reveal()); c.Outcome != attendees.GrantedInPart || !strings.Contains(says, "versiegelt und wird am 1. Januar 2034 gelöscht") || !strings.Contains(says, "good reasons") {
		t.Errorf("granted it is %s, %q", c.Outcome, says)
	}
	c, err = o.Decide(t.Context(), cases[1].Number, rights.Decision{Reason: "no reasons", Extra: "Noch ein Satz.", By: "test"})
	must(t, err)
	if says := o.to(hers.Reveal()); c.Outcome != attendees.Refused || !strings.Contains(says, "no reasons") || !strings.Contains(says, "Noch ein Satz.") || !strings.Contains(says, "Art. 18 Abs. 3") {
		t.Errorf("refused it is %s, %q", c.Outcome, says)
	}
	if _, err := o.Decide(t.Context(), cases[1].Number, rights.Decision{Reason: "again"}); err == nil {
		t.Error("it is decided twice")
	}
	o.save("8", "4711", "group@example.org")
	o.save("9", "4711", "group@example.org")
	group, err := o.Take(t.Context(), "group@example.org", rights.Request{Asks: attendees.ErasureRight, Event: "4711"})
	must(t, err)
	if _, err := o.Decide(t.Context(), group[0].Number, rights.Decision{Grant: true, Reason: "r"}); err != rights.ErrWhose {
		t.Errorf("of a group order somebody is erased unnamed: %v", err)
	}
	if _, err := o.Decide(t.Context(), group[0].Number, rights.Decision{Grant: true, Reason: "r", Attendees: []attendees.AttendeeID{"3"}}); err == nil {
		t.Error("another event's registration is erased")
	}
	_, err = o.Decide(t.Context(), group[0].Number, rights.Decision{Grant: true, Reason: "r", Attendees: []attendees.AttendeeID{"8"}})
	must(t, err)
	held, err := o.Store.HeldUnder(t.Context(), "group@example.org")
	must(t, err)
	if len(held) != 1 || held[0].Shared != 2 {
		t.Errorf("of the order is held %+v", held)
	}
}

func TestWhatWentBeforeStaffDecidedIsAnsweredAsNotHeld(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("8", "4711", "group@example.org")
	o.save("9", "4711", "group@example.org")
	cases, err := o.Take(t.Context(), "group@example.org", rights.Request{Asks: attendees.ErasureRight, Event: "4711"})
	must(t, err)
	for _, id := range []attendees.AttendeeID{"8", "9"} {
		_, err := o.Store.Forget(t.Context(), id, "asked")
		must(t, err)
	}
	o.letters = nil
	c, err := o.Decide(t.Context(), cases[0].Number, rights.Decision{Grant: true, Reason: "good reasons", By: "test"})
	must(t, err)
	if says := o.to("group@example.org"); c.Outcome != attendees.NothingHeld || !strings.Contains(says, "Nothing is held") {
		t.Errorf("it is %s, and the letter says %q", c.Outcome, says)
	}
}

func TestTimeStandsStillWhileItIsDoubtedWhoAsks(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("1", "4711", hers)
	cases, err := o.Add(t.Context(), hers, rights.Request{Asks: attendees.Restriction, Event: "4711", CameBy: "letter", Language: "en"})
	must(t, err)
	n := cases[0].Number
	if _, err := o.Decide(t.Context(), n, rights.Decision{Grant: true, Reason: "r"}); err != rights.ErrUnproved {
		t.Errorf("granted before she proved her address: %v", err)
	}
	link := o.letters[0].Link
	if !strings.HasPrefix(link, "http://lethe.test/my-data/link/") {
		t.Fatalf("the mail has the link %q", link)
	}
	_, err = o.Pause(t.Context(), n, "the hand is another one")
	must(t, err)
	o.now = may.AddDate(0, 0, 10)
	c, _, err := o.Store.Case(t.Context(), n)
	must(t, err)
	if got := o.Deadline(c).String(); got != "2027-06-14" {
		t.Errorf("paused for ten days it is due on %s", got)
	}
	must(t, o.Proved(t.Context(), hers, []int{n}))
	if c, _, err = o.Store.Case(t.Context(), n); err != nil || c.Outcome != attendees.Granted {
		t.Errorf("once she has proved it, it is %+v (%v)", c, err)
	}
	late, err := o.Add(t.Context(), hers, rights.Request{Asks: attendees.Access, Event: "4711", Received: attendees.DateOf(may).AddDays(-10), CameBy: "mail"})
	must(t, err)
	if _, err := o.Pause(t.Context(), late[0].Number, "too late"); err == nil {
		t.Error("a doubt is raised after three weeks")
	}
	before := o.Deadline(late[0])
	extended, err := o.Extend(t.Context(), late[0].Number, "many requests")
	must(t, err)
	if !before.Before(extended.Deadline) {
		t.Errorf("extended it is due on %s", extended.Deadline)
	}
	if _, err := o.Extend(t.Context(), late[0].Number, "again"); err == nil {
		t.Error("it is extended twice")
	}
}

func TestStaffHearOfWhatIsDueInTenFiveAndOneDaysAndOfWhatIsOverdueEachDay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("1", "4711", hers)
	_, err := o.Take(t.Context(), hers, rights.Request{Asks: attendees.Access, Event: "4711"})
	must(t, err)
	o.letters = nil
	var told []int
	for day := range 40 {
		o.now = may.AddDate(0, 0, day)
		for range 3 { // several times a day, as the sweep comes
			overdue, err := o.Remind(t.Context())
			must(t, err)
			if n := len(o.letters); n > 0 {
				told = append(told, attendees.Date{Year: 2027, Month: 6, Day: 4}.Days(attendees.DateOf(o.now)))
				if shouts := strings.HasPrefix(o.letters[0].Subject, "OVERDUE"); shouts != (overdue > 0) || n != 1 {
					t.Errorf("%d letters, the first is %q", n, o.letters[0].Subject)
				}
			}
			o.letters = nil
		}
	}
	if want := []int{10, 5, 1, -1, -2, -3, -4, -5, -6, -7, -8}; !slices.Equal(told, want) {
		t.Errorf("staff heard of it %v days before, want %v", told, want)
	}
}

// An event's id stands in the ledger for good.
func TestNobodyWritesWhatSheLikesAsAnEvent(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("1", "4711", hers)
	ask := rights.Request{Asks: attendees.ErasureRight, Event: "anything about anybody", CameBy: "page", Language: "en"}
	if _, err := o.Take(t.Context(), hers, ask); !errors.Is(err, rights.ErrRequest) {
		t.Errorf("it gives %v", err)
	}
	if _, err := o.Add(t.Context(), hers, ask); !errors.Is(err, rights.ErrRequest) {
		t.Errorf("of staff it gives %v", err)
	}
}

func TestTheDatabaseDoesNotTellThatTwoCasesAreOnePersons(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("1", "4711", hers)
	o.save("2", "4712", hers)
	if _, err := o.Take(t.Context(), hers, rights.Request{Asks: attendees.Objection, CameBy: "page", Language: "en"}); err != nil {
		t.Fatal(err)
	}
	var n int
	must(t, o.Store.DB().Get(&n, `select count(distinct whose) from cases where closed_at is null`))
	open, err := o.Store.CasesOf(t.Context(), hers)
	must(t, err)
	if n != 2 || len(open) != 2 {
		t.Errorf("%d owners of %d cases, expected 2 of 2", n, len(open))
	}
}

func TestWhatCannotBeDoneWaitsForStaffAndTheOtherEventsDoNot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.save("1", "4711", hers)
	o.save("2", "4712", hers)
	if _, err := o.Store.DB().Exec(`alter table attendees add constraint broken check (source_id <> '1' or state = 'active')`); err != nil {
		t.Fatal(err)
	}
	cases, err := o.Take(t.Context(), hers, rights.Request{Asks: attendees.Restriction, CameBy: "page"})
	if err == nil {
		t.Error("a database that refuses goes unnoticed")
	}
	if len(cases) != 2 || !cases[0].Open() || cases[1].Outcome != attendees.Granted {
		t.Errorf("the cases are %+v, want one that waits and one that is done", cases)
	}
	if text := o.to(string(hers)); strings.Count(text, "\n") != 2 || !strings.Contains(text, "4711") {
		t.Errorf("she is told %q", text)
	}
}

// during does something while the first letter is posted.
type during struct {
	*office
	do func()
}

func (d *during) Post(ctx context.Context, l mail.Letter) error {
	if do := d.do; do != nil {
		d.do = nil
		do()
	}
	return d.office.Post(ctx, l)
}

// While her request for the first of her events is settled, a pull brings in that the ticket
// for the second is somebody else's.
func TestWhoHasHerTicketByNowIsNotErasedByHerRequest(t *testing.T) {
	for _, right := range []attendees.Right{attendees.ErasureRight, attendees.Restriction} {
		o := newOffice(t)
		o.save("1", "4711", hers)
		o.save("2", "4712", hers)
		o.Desk.Post = &during{o, func() {
			m := o.Store.Policy().Minimise(attendees.Registration{ID: "2", Event: "4712", Name: "Bo Otherson", Email: "bo@example.org", Ticket: "Standard",
				Created: may, Changed: may.Add(time.Minute)}, nil)
			must(t, o.Store.InTx(t.Context(), func(tx *sqlx.Tx) error {
				_, err := o.Store.Save(t.Context(), tx, nil, attendees.Eventbrite, []attendees.Minimised{m})
				return err
			}))
		}}
		_, err := o.Take(t.Context(), hers, rights.Request{Asks: right, CameBy: "page"})
		must(t, err)
		held, err := o.Store.HeldUnder(t.Context(), "bo@example.org")
		must(t, err)
		if len(held) != 1 || held[0].Own == nil || held[0].Own.Reason != "" {
			t.Errorf("%s: Bo, who never asked, is %+v", right, held[0].Own)
		}
	}
}

package rights_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/mail"
	"lethe/attendees/rights"
)

// says is what the letters to an address said since the last time.
func (o *office) says(to string) (text string) {
	for _, l := range o.letters {
		if l.To == to {
			text += l.Subject + "\n" + strings.Join(l.Text, "\n") + "\n"
		}
	}
	o.letters = nil
	return text
}

// more stores tickets of an address for events 2 and 3.
func (o *office) more(address string) {
	o.Helper()
	for _, id := range []string{"2", "3"} {
		o.Event(attendees.EventID(id))
		o.Save(coretest.Ticket(id, id, "Ada Lind", address))
	}
}

func (o *office) decide(number int, n rights.Decision) rights.Case {
	o.Helper()
	n.By = "officer"
	c, err := o.desk.Decide(o.Context(), number, n)
	if err != nil {
		o.Fatal(err)
	}
	return c
}

func TestARefusalSaysWhyWhereToComplainAndWhatBecomesOfARestriction(t *testing.T) {
	o := newOffice(t)
	o.more("ada@n.example")
	cases, err := o.desk.Take(t.Context(), ada, rights.Request{Asks: attendees.Objection, CameBy: "page", Language: "de"})
	if err != nil || len(cases) != 3 {
		t.Fatal(len(cases), err)
	}
	if says := o.says("officer@example.org"); strings.Count(says, "It needs your decision by 2026-12-01") != 3 || strings.Contains(says, "ada@") {
		t.Errorf("officers are told %q", says)
	}
	draft, err := o.desk.Draft(t.Context(), cases[0].Number, false, "no reasons")
	if err != nil {
		t.Fatal(err)
	}
	c := o.decide(cases[0].Number, rights.Decision{Reason: "no reasons", Extra: "Noch ein Satz."})
	says := o.says(string(ada))
	for _, want := range append(strings.Split(draft, "\n\n"), "Ihrem Antrag können wir nicht entsprechen", "Grund: no reasons", "Noch ein Satz.", "Art. 18 Abs. 3", "Art. 77", "Guten Tag,") {
		if !strings.Contains(says, want) {
			t.Errorf("the letter does not say %q: %s", want, says)
		}
	}
	if c.Outcome != attendees.Refused || o.Tasks(events.TaskLift) != 1 || len(o.Shown("1"))+len(o.Shown("2"))+len(o.Shown("3")) != 0 {
		t.Errorf("refused it is %s, with %d tasks", c.Outcome, o.Tasks(events.TaskLift))
	}
	if _, err := o.desk.Decide(t.Context(), cases[0].Number, rights.Decision{Reason: "again"}); !errors.As(err, new(*rights.UnknownCaseError)) {
		t.Errorf("it is decided twice: %v", err)
	}
	c = o.decide(cases[1].Number, rights.Decision{Grant: true, Letter: "Mein Brief.\r\n\r\n" + rights.Result + "\n\n \n\nSchluss."})
	if says := o.says(string(ada)); c.Outcome != attendees.GrantedInPart || !strings.Contains(says, "Mein Brief.\nWir haben alle Daten zu Congress gelöscht") || !strings.Contains(says, "Schluss.\nSie können sich") {
		t.Errorf("granted it is %s: %s", c.Outcome, says)
	}
}

func TestOfAGroupOrderStaffNameWhoIsMeant(t *testing.T) {
	o := newOffice(t)
	o.Event("2")
	o.Save(coretest.Ticket("8", "1", "Gus Ohm", "group@n.example"), coretest.Ticket("9", "1", "Hal Pine", "group@n.example"), coretest.Ticket("7", "2", "Ida Quist", "ida@n.example"))
	take := func(right attendees.Right) int {
		cases, err := o.desk.Take(t.Context(), "group@n.example", rights.Request{Asks: right, Event: "1"})
		if err != nil || len(cases) != 1 || !cases[0].Open() {
			t.Fatal(cases, err)
		}
		return cases[0].Number
	}
	erase, access := take(attendees.ErasureRight), take(attendees.Access)
	for _, id := range []attendees.AttendeeID{"", "7"} {
		n := rights.Decision{Grant: true, Reason: "r"}
		if id != "" {
			n.Attendees = append(n.Attendees, id)
		}
		if _, err := o.desk.Decide(t.Context(), erase, n); err == nil || id == "" && !errors.Is(err, rights.ErrWhose) {
			t.Errorf("of a group order somebody is erased, named %q: %v", id, err)
		}
	}
	if _, err := o.desk.Decide(t.Context(), access, rights.Decision{Grant: true, Reason: "r"}); !errors.Is(err, rights.ErrUnanswered) {
		t.Errorf("access is granted without data: %v", err)
	}
	o.decide(access, rights.Decision{Grant: true, Extra: "We sent each of you a letter."})
	if c := o.decide(erase, rights.Decision{Grant: true, Attendees: []attendees.AttendeeID{"8"}}); c.Outcome != attendees.Granted {
		t.Errorf("it ends as %s", c.Outcome)
	}
	if shown := o.Shown("1"); len(shown) != 2 || shown["9/0"].Name != "Hal Pine" {
		t.Errorf("%d are left", len(shown))
	}
	for _, id := range []attendees.AttendeeID{"9"} {
		again := take(attendees.ErasureRight)
		who, err := o.Rights.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Rights.Forget(t.Context(), who, "asked"); err != nil {
			t.Fatal(err)
		}
		if c := o.decide(again, rights.Decision{Grant: true}); c.Outcome != attendees.NothingHeld {
			t.Errorf("what is gone by now ends as %s", c.Outcome)
		}
	}
}

// GDPR Art. 12(3) and 12(6).
func TestADeadlineIsPausedAndExtendedOnceAndThePersonIsToldWhy(t *testing.T) {
	o := newOffice(t)
	cases, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.Restriction, CameBy: "letter", Language: "en"})
	if err != nil || len(cases) != 1 {
		t.Fatal(len(cases), err)
	}
	n, link := cases[0].Number, o.letters[0].Link
	token, _, _ := strings.Cut(strings.TrimPrefix(link, "http://lethe.test/my-data/link/"), "?")
	if says := o.says(string(ada)); !strings.Contains(says, "To confirm that it is yours") {
		t.Errorf("the letter says %q", says)
	}
	if _, err := o.desk.Decide(t.Context(), n, rights.Decision{Grant: true, Reason: "r"}); !errors.Is(err, rights.ErrUnproved) {
		t.Errorf("granted before the address was proved: %v", err)
	}
	if _, err := o.desk.Pause(t.Context(), n, "another signature"); err != nil {
		t.Fatal(err)
	}
	if says := o.says(string(ada)); !strings.Contains(says, "Reason: another signature") || !strings.Contains(says, "The deadline is paused") {
		t.Errorf("the letter says %q", says)
	}
	if _, err := o.desk.Pause(t.Context(), n, "again"); err == nil {
		t.Error("it is paused twice")
	}
	o.Now = o.Now.Add(10 * time.Minute)
	_, v, err := o.Rights.UseVisitLink(t.Context(), token)
	if err != nil || !slices.Equal(v.Cases, []int{n}) {
		t.Fatal(v.Cases, err)
	}
	o.Now = o.Now.AddDate(0, 0, 10)
	c, err := o.Rights.Case(t.Context(), n)
	if err != nil || o.desk.Deadline(c).String() != "2026-12-11" || !c.Paused() {
		t.Errorf("paused for ten days it is due on %s, %v", o.desk.Deadline(c), err)
	}
	if err := o.desk.Proved(t.Context(), v.Address, v.Cases); err != nil {
		t.Fatal(err)
	}
	if c, err = o.Rights.Case(t.Context(), n); err != nil || c.Outcome != attendees.Granted || c.Contact != "" {
		t.Errorf("once it is proved it ends as %q, %v", c.Outcome, err)
	}
	late, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.Access, Received: attendees.DateOf(o.Now).AddDays(-15), CameBy: "mail", Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.desk.Pause(t.Context(), late[0].Number, "too late"); err == nil {
		t.Error("identity is doubted after two weeks")
	}
	o.says("")
	c, err = o.desk.Extend(t.Context(), late[0].Number, "many requests")
	if err != nil || o.desk.Deadline(c).String() != "2027-01-27" {
		t.Errorf("extended it is due on %s, %v", o.desk.Deadline(c), err)
	}
	if says := o.says(string(ada)); !strings.Contains(says, "no later than 27 January 2027 (Art. 12(3) GDPR). Reason: many requests") {
		t.Errorf("the letter says %q", says)
	}
	if _, err := o.desk.Extend(t.Context(), late[0].Number, "again"); err == nil {
		t.Error("it is extended twice")
	}
	o.Now = o.Now.AddDate(0, 0, 60)
	other, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.ErasureRight, Received: attendees.DateOf(o.Now).AddDays(-40), CameBy: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.desk.Extend(t.Context(), other[0].Number, "r"); err == nil {
		t.Error("it is extended after its deadline")
	}
}

func TestStaffHearOfWhatIsDueInTenFiveAndOneDaysAndOfWhatIsOverdueEachDay(t *testing.T) {
	o := newOffice(t)
	for range 2 { // of two that are due at once both are named
		o.take(rights.Request{Asks: attendees.Access, Event: "1"})
		o.take(rights.Request{Asks: attendees.Rectification, Field: attendees.Name, Value: "Ada L."})
	}
	start, due := o.Now, attendees.Date{Year: 2026, Month: 12, Day: 1}
	o.letters = nil
	var told []int
	for day := range 35 {
		o.Now = start.AddDate(0, 0, day)
		for range 3 { // several times a day
			overdue, err := o.desk.Remind(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n := len(o.letters); n > 0 {
				told = append(told, due.Days(attendees.DateOf(o.Now)))
				if late := strings.HasPrefix(o.letters[0].Subject, "OVERDUE"); late != (overdue > 0) || n != 1 || len(o.letters[0].Text) != 2 {
					t.Errorf("%d letters, the first is %q", n, o.letters[0].Subject)
				}
			}
			o.letters = nil
		}
	}
	if want := []int{10, 5, 1, -1, -2, -3, -4}; !slices.Equal(told, want) {
		t.Errorf("staff heard of it %v days before, want %v", told, want)
	}
}

func TestWhatIsNoRequestIsRefusedAndNothingIsStored(t *testing.T) {
	o := newOffice(t)
	for what, r := range map[string]rights.Request{
		"no right":                  {},
		"an unknown right":          {Asks: "everything"},
		"free text as an event":     {Asks: attendees.ErasureRight, Event: "anything about anybody"},
		"an event that is no text":  {Asks: attendees.ErasureRight, Event: "1\x00"},
		"a book as a message":       {Asks: attendees.ErasureRight, Message: rights.Value(strings.Repeat("a", 9<<10))},
		"a correction of nothing":   {Asks: attendees.Rectification, Value: "Ada L."},
		"a correction to nothing":   {Asks: attendees.Rectification, Field: attendees.Name},
		"a field nobody may change": {Asks: attendees.Rectification, Field: attendees.AgreedAt, Value: "2026-01-01T00:00:00Z"},
		"maybe there":               {Asks: attendees.Rectification, Field: attendees.Attended, Value: "maybe"},
	} {
		for _, take := range []func(context.Context, attendees.Personal, rights.Request) ([]rights.Case, error){o.desk.Take, o.desk.Add} {
			if _, err := take(t.Context(), ada, r); !errors.Is(err, rights.ErrRequest) {
				t.Errorf("%s gives %v", what, err)
			}
		}
	}
	if _, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.Access, Received: attendees.DateOf(o.Now).AddDays(1)}); err == nil {
		t.Error("one from the future is entered")
	}
	if all, err := o.Rights.Cases(t.Context()); err != nil || len(all)+len(o.letters) != 0 {
		t.Errorf("%d cases, %d letters, %v", len(all), len(o.letters), err)
	}
}

func TestTheDatabaseDoesNotTellThatTwoCasesAreOnePersons(t *testing.T) {
	o := newOffice(t)
	o.more("ada@n.example")
	if _, err := o.desk.Take(t.Context(), ada, rights.Request{Asks: attendees.Access}); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := o.Pool.Get(&n, `select count(distinct owner) from cases where owner not in (select address_index from attendees)`); err != nil || n != 3 {
		t.Errorf("%d owners of 3 cases, %v", n, err)
	}
	if open, err := o.Rights.CasesOf(t.Context(), " ADA@n.example "); err != nil || len(open) != 3 {
		t.Errorf("%d are found, %v", len(open), err)
	}
}

func TestWhatCannotBeDoneWaitsForStaffAndTheOtherEventsDoNot(t *testing.T) {
	o := newOffice(t)
	o.more("ada@n.example")
	broken := fmt.Sprintf(`alter table attendees add constraint broken check (id <> '%s' or state = 'open')`, o.Key("2", "2"))
	if _, err := o.Pool.Exec(broken); err != nil {
		t.Fatal(err)
	}
	cases, err := o.desk.Take(t.Context(), ada, rights.Request{Asks: attendees.Restriction})
	if err == nil || strings.Contains(err.Error(), "Ada") {
		t.Errorf("a database that refuses gives %v", err)
	}
	waiting := 0
	for _, c := range cases {
		if c.Open() {
			waiting++
		}
	}
	if says := o.says(string(ada)); len(cases) != 3 || waiting != 1 || strings.Count(says, "Art. 77") != 3 || strings.Count(says, "Our staff need to review it") != 1 {
		t.Errorf("%d of %d wait: %s", waiting, len(cases), says)
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

// While a request for the first of somebody's events is settled, a sync brings in that the
// ticket for another is somebody else's.
func TestWhoHasTheTicketByNowIsNotErasedByAFormerHoldersRequest(t *testing.T) {
	for _, right := range []attendees.Right{attendees.ErasureRight, attendees.Restriction} {
		t.Run(string(right), func(t *testing.T) {
			o := newOffice(t)
			o.more("ada@n.example")
			o.desk.Post = &during{o, func() {
				for _, id := range []string{"1", "2", "3"} {
					r := coretest.Ticket(id, id, "Bo Berg", "bo@n.example")
					r.Changed = r.Changed.Add(time.Minute)
					o.Save(r)
				}
			}}
			if _, err := o.desk.Take(t.Context(), ada, rights.Request{Asks: right}); err != nil {
				t.Fatal(err)
			}
			held := o.under("bo@n.example")
			if len(held) < 2 {
				t.Fatalf("of Bo there are %d holdings", len(held))
			}
			for _, h := range held {
				if h.Own == nil || h.Own.Reason != "" || text(h.Own.Fields, attendees.Name) != "Bo Berg" {
					t.Errorf("Bo, who never asked, is restricted or gone in event %s", h.ID)
				}
			}
		})
	}
}

func TestSomebodyElsesRequestIsNotDoneByProvingOnesOwn(t *testing.T) {
	o := newOffice(t)
	one, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.ErasureRight, CameBy: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		address attendees.Personal
		number  int
	}{{"bo@n.example", one[0].Number}, {ada, one[0].Number + 1}} {
		if err := o.desk.Proved(t.Context(), try.address, []int{try.number}); err != nil {
			t.Error(err)
		}
		if c, err := o.Rights.Case(t.Context(), one[0].Number); err != nil || c.Verified != nil || len(o.Shown("1")) != 1 {
			t.Errorf("it counts as proved: %v", err)
		}
	}
}

func TestTheSameRequestIsOneCase(t *testing.T) {
	o := newOffice(t)
	first := o.take(rights.Request{Asks: attendees.Access, Message: "Please."})
	again := o.take(rights.Request{Asks: attendees.Access, Message: "I am still waiting."})
	mailed, err := o.desk.Add(t.Context(), ada, rights.Request{Asks: attendees.Access, CameBy: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.desk.Verify(t.Context(), mailed[0].Number); err != nil {
		t.Fatal(err)
	}
	c, err := o.Rights.Case(t.Context(), mailed[0].Number)
	if err != nil || again.Number != first.Number || c.Outcome != attendees.Merged {
		t.Errorf("requests %d and %d, the third is %s, %v", first.Number, again.Number, c.Outcome, err)
	}
	if c, err = o.Rights.Case(t.Context(), first.Number); err != nil || c.Message != "Please.\n\nI am still waiting." {
		t.Errorf("a message is lost, %v", err)
	}
}

func TestOneRequestIsAboutAllRegistrationsOfAnEvent(t *testing.T) {
	o := newOffice(t)
	gone := coretest.Ticket("2", "1", "Ada Lind", "ada@n.example")
	gone.Cancelled = true
	o.Save(gone)
	if held := o.under(ada); len(held) != 2 {
		t.Fatalf("%d holdings", len(held))
	}
	if c := o.take(rights.Request{Asks: attendees.Restriction}); c.Outcome != attendees.Granted {
		t.Errorf("it ends as %q", c.Outcome)
	}
	for _, h := range o.under(ada) {
		if h.Own == nil || h.Own.Reason != attendees.RestrictionAsked {
			t.Error("one registration is left out")
		}
	}
}

// A restriction that was asked for after blocking is a hold, which the person ends.
func TestARestrictionOfABlockedRecordIsLiftedByItsPersonAlone(t *testing.T) {
	o := newOffice(t)
	o.block()
	if err := o.desk.Lift(t.Context(), ada, "1"); !errors.Is(err, rights.ErrRequest) {
		t.Errorf("without a restriction: %v", err)
	}
	o.take(rights.Request{Asks: attendees.Restriction})
	o.take(rights.Request{Asks: attendees.Restriction})
	if held := o.under(ada); !held[0].OnHold {
		t.Error("it is not held")
	}
	if err := o.desk.Lift(t.Context(), "bo@n.example", "1"); !errors.Is(err, rights.ErrRequest) {
		t.Errorf("somebody else lifts it: %v", err)
	}
	if err := o.desk.Lift(t.Context(), ada, "1"); err != nil {
		t.Fatal(err)
	}
	if held := o.under(ada); held[0].OnHold || held[0].Own == nil || held[0].Closed {
		t.Error("lifted, it is held, or gone")
	}
}

func TestAResponseWithoutARegistrationIsErasedForItsPerson(t *testing.T) {
	o := newOffice(t)
	stray := coretest.Response("t9", "", october, coretest.Answers{"email": {"cy@n.example"}, "aff": {"Quarry"}})
	o.Answer(stray)
	take := func(right attendees.Right) rights.Case {
		cases, err := o.desk.Take(t.Context(), "cy@n.example", rights.Request{Asks: right, Language: "en"})
		if err != nil || len(cases) != 1 {
			t.Fatal(cases, err)
		}
		return cases[0]
	}
	if c := take(attendees.Restriction); !c.Open() {
		t.Errorf("without an attendee it is restricted: %s", c.Outcome)
	}
	if c := take(attendees.ErasureRight); c.Outcome != attendees.Granted {
		t.Errorf("it ends as %q", c.Outcome)
	}
	if o.Answer(stray); len(o.under("cy@n.example")) != 0 {
		t.Error("something is left, or a sync brings it back")
	}
	if got := o.kinds(); !slices.Contains(got, "erased_answer") || slices.Contains(got, "erased") {
		t.Errorf("the ledger has %v", got)
	}
}

// GDPR Art. 15: earlier readings and what was corrected are stored, so they are shown.
func TestTheDataFileHasEverythingThatIsStored(t *testing.T) {
	o := newOffice(t)
	o.Answer(coretest.Response("t3", "1", october.AddDate(0, 0, 2), coretest.Answers{"aff": {"Newer Clinic"}}))
	o.In("1", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return o.People.Correct(ctx, tx, e, o.Key("1", "1"), attendees.Name, "Ada Lindh", ada)
	})
	o.take(rights.Request{Asks: attendees.Access, Message: "What is stored?"})
	cases, err := o.Rights.CasesOf(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	written, err := o.desk.File(ada, o.under(ada), cases).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Ada Lindh", "Ada Lind", "Newer Clinic", "Quill Clinic", "ada@n.example", "What is stored?", "General"} {
		if !strings.Contains(string(written), `"`+want+`"`) {
			t.Errorf("%q is missing: %s", want, written)
		}
	}
	if printed := fmt.Sprintf("%v %+v", o.under(ada), cases); strings.Contains(printed, "Lind") || strings.Contains(printed, "stored?") {
		t.Error("printed, it shows somebody's data")
	}
	conforms(t, written)
}

// conforms tells whether a file has the keys that its schema names, and no others.
func conforms(t *testing.T, file []byte) {
	t.Helper()
	text, err := os.ReadFile("my-data.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	var value any
	if err := errors.Join(json.Unmarshal(text, &schema), json.Unmarshal(file, &value)); err != nil {
		t.Fatal(err)
	}
	kinds := schema["$defs"].(map[string]any)
	var check func(at string, s map[string]any, v any)
	check = func(at string, s map[string]any, v any) {
		if ref, ok := s["$ref"].(string); ok {
			s = kinds[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		switch s["type"] {
		case "array":
			all, ok := v.([]any)
			if !ok {
				t.Errorf("%s is no list", at)
			}
			for _, one := range all {
				check(at+"[]", s["items"].(map[string]any), one)
			}
		case "object":
			all, properties := v.(map[string]any), s["properties"].(map[string]any)
			for _, key := range s["required"].([]any) {
				if _, ok := all[key.(string)]; !ok {
					t.Errorf("%s has no %s", at, key)
				}
			}
			for key, one := range all {
				if p, ok := properties[key].(map[string]any); ok {
					check(at+"."+key, p, one)
				} else {
					t.Errorf("%s has %s, which the schema does not name", at, key)
				}
			}
		}
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
			t.Errorf("%s is %v", at, v)
		}
	}
	check("file", schema, value)
}

// What a withdrawn consent was for is used no more from then on, and a hold keeps it meanwhile.
func TestAConsentThatIsWithdrawnUnderAHoldIsKeptAndShownToItsPersonAlone(t *testing.T) {
	o := newOffice(t)
	o.Policy.Purposes[1].Basis = "a"
	o.hold()
	o.take(rights.Request{Asks: attendees.Withdrawal})
	if a := o.Shown("1")["1/0"]; len(a.Given) != 0 || a.Name != "Ada Lind" {
		t.Errorf("organisers see %d answers", len(a.Given))
	}
	own := o.under(ada)[0].Own
	if text(own.Fields, attendees.Affiliation) != "" || text(own.Other, attendees.Affiliation) != "Quill Clinic" || !slices.Equal(own.Withdrawn, []attendees.PurposeName{attendees.Forum}) {
		t.Error("the person is not shown what is kept")
	}
	o.release("test")
	if own := o.under(ada)[0].Own; len(own.Other) != 0 {
		t.Error("it outlives the hold")
	}
}

func TestWhoExportedSomebodyIsAskedToDeleteTheirCopies(t *testing.T) {
	o := newOffice(t)
	_, err := o.Exports.Write(t.Context(), io.Discard, export.List{Event: "1", Purpose: attendees.ParticipationAgreement, Format: "csv", By: "org@example.org", At: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	o.take(rights.Request{Asks: attendees.Restriction, Language: "en"})
	letters := o.letters
	if says := o.says("org@example.org"); !strings.Contains(says, "Please delete an export") || !strings.Contains(says, "the attendees of Congress for participation_agreement") || strings.Contains(says, "Ada") {
		t.Errorf("they are told %q", says)
	}
	o.letters = letters
	if says := o.says(string(ada)); !strings.Contains(says, "You are included in the following exports") || !strings.Contains(says, "the participation agreement, 1 November 2026") {
		t.Errorf("the person is told %q", says)
	}
	if lists := o.under(ada)[0].Lists; len(lists) != 1 {
		t.Errorf("the person sees %d exports", len(lists))
	}
}

// An attendee who never agreed has no contract that a duty could keep, restricted or not.
func TestARestrictedRecordWithoutADutyIsErasedWholeAfterBlocking(t *testing.T) {
	o := newOffice(t)
	o.Save(coretest.Ticket("2", "1", "Bo Berg", "bo@n.example"))
	who, err := o.Rights.Find(t.Context(), "2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Rights.Restrict(t.Context(), who, attendees.RestrictionAsked); err != nil {
		t.Fatal(err)
	}
	o.block()
	if printed := fmt.Sprintf("%+v", o.under("bo@n.example")); strings.Contains(printed, fmt.Sprint([]byte("Bo"))[1:6]) {
		t.Error("printed, it shows what was opened")
	}
	cases, err := o.desk.Take(t.Context(), "bo@n.example", rights.Request{Asks: attendees.ErasureRight})
	if err != nil || cases[0].Outcome != attendees.Granted || len(o.under("bo@n.example")) != 0 {
		t.Errorf("it ends as %q, %v", cases[0].Outcome, err)
	}
}

// What nobody here can open may be a duty's: it is not erased unseen.
func TestARestrictedRecordThatDoesNotOpenIsErasedOnlyOnceItIsLifted(t *testing.T) {
	o := newOffice(t)
	o.restrict()
	if _, err := o.Rights.Erase(t.Context(), o.subject(), "asked"); !errors.Is(err, rights.ErrRestricted) {
		t.Errorf("while the event is open: %v", err)
	}
	o.block()
	if _, err := o.Rights.Erase(t.Context(), o.subject(), "asked"); !errors.Is(err, rights.ErrRestricted) {
		t.Errorf("once it is blocked: %v", err)
	}
	if own := o.under(ada)[0].Own; own.Reason != attendees.RestrictionAsked || text(own.Fields, attendees.Affiliation) != "Quill Clinic" {
		t.Error("something was erased")
	}
	if _, err := o.Rights.Forget(t.Context(), o.subject(), "test"); err != nil || len(o.under(ada)) != 0 {
		t.Errorf("forgotten, something is left: %v", err)
	}
}

// A second erasure does not take what the first one kept.
func TestWhatADutyKeepsOutlivesASecondErasureUntilTheEventIsDeleted(t *testing.T) {
	o := newOffice(t)
	o.take(rights.Request{Asks: attendees.ErasureRight})
	again := o.take(rights.Request{Asks: attendees.ErasureRight})
	o.block()
	third := o.take(rights.Request{Asks: attendees.ErasureRight})
	own := o.under(ada)[0].Own
	if again.Outcome != attendees.GrantedInPart || third.Outcome != attendees.GrantedInPart || text(own.Fields, attendees.Name) != "Ada Lind" {
		t.Errorf("they end as %q and %q", again.Outcome, third.Outcome)
	}
	d := o.Stored("1").DeleteOn
	o.Now = time.Date(d.Year, d.Month, d.Day+2, 12, 0, 0, 0, time.UTC)
	if _, err := o.Retention.Delete(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if len(o.under(ada)) != 0 {
		t.Error("it outlives its event")
	}
}

package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// seen is what is held under an address, as lines.
func (w world) seen(address attendees.Personal) []string {
	w.t.Helper()
	held, err := w.HeldUnder(w.t.Context(), address)
	if err != nil {
		w.t.Fatal(err)
	}
	fields := func(all []postgres.OwnField) (line string) {
		for _, f := range all {
			line += " " + string(f.Field) + "="
			for i, v := range f.Values {
				line += strings.Repeat("+", min(i, 1)) + v.Reveal()
			}
			if f.Corrected {
				line += "!"
			}
		}
		return line
	}
	var lines []string
	for _, h := range held {
		line := string(h.Event.ID)
		if h.Own != nil {
			line += fmt.Sprintf(" %s %s%s", h.Own.ID, h.Own.State, fields(h.Own.Fields))
		}
		if h.Shared > 0 {
			line += fmt.Sprintf(" shared %d", h.Shared)
		}
		if h.Closed {
			line += " closed"
		}
		for _, a := range h.Answers {
			line += " answer" + fields(a.Fields)
		}
		lines = append(lines, line)
	}
	return lines
}

func (w world) lines(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func TestEverythingUnderAnAddressIsSeenByThatAddressAlone(t *testing.T) {
	w, _ := ada(t)
	w.save(person("3", "4712", "Ada Example", " ADA@Example.ORG"))
	s := sealer(t, officer(t))
	if _, err := w.Restrict(t.Context(), "3", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	open := "4711 1 active name=Ada Example email=ada@example.org ticket=Standard status=attending attended=no agreed_at=2027-05-25T12:00:00Z affiliation=Example Lab forums=Rivers"
	restricted := "4712 3 blocked name=Ada Example email= ADA@Example.ORG ticket=Standard status=attending attended=no"
	got := w.seen("Ada@example.org")
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	for i, l := range []string{open, restricted} {
		if i >= len(got) || !strings.HasPrefix(got[i], strings.Join(strings.Fields(l), " ")[:30]) {
			t.Errorf("line %d is %v", i, got)
		}
	}
	for _, other := range []attendees.Personal{
		"a.da@example.org", "ada+x@example.org", "ada@exampl\u0435.org", "ad\u0430@example.org", "ada@example.com", "", "bo", "\u0130da@example.org",
	} {
		if lines := w.seen(other); len(lines) > 0 {
			t.Errorf("another address sees %v", lines)
		}
	}
	w.clock.now = july
	w.block("4711", s)
	if got := w.seen("ada@example.org"); !strings.HasPrefix(got[0], "4711 1 blocked name=Ada Example") || strings.Contains(got[0], "Example Lab") {
		t.Errorf("after the block date she sees %v", got)
	}
	w.clock.now = july.AddDate(2, 1, 0)
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, l := range w.seen("ada@example.org") {
		if !strings.HasSuffix(l, "closed") || strings.Contains(l, "Ada") {
			t.Errorf("after the halves went she sees %q", l)
		}
	}
}

func TestABuyerSeesNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "buyer@example.org"), person("2", "4711", "Bo Example", "buyer@example.org"),
		person("3", "4712", "Ada Example", "buyer@example.org"))
	w.lines("a group order", w.seen("buyer@example.org"), "4711 shared 2", "4712 3 active name=Ada Example email=buyer@example.org ticket=Standard status=attending attended=no")
	w.linkAgreement("4711")
	w.answer("4711", response("r7", "", "Bo Example", "buyer@example.org", nil), response("r8", "", "Cy Example", "buyer@example.org", nil))
	w.lines("its answers", w.seen("buyer@example.org")[:1], "4711 shared 2")
	// A ticket that a colleague's own answer fills is not the buyer's alone; the colleague
	// sees what she answered.
	link := postgres.Link{Event: "4712", Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
		Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agreed", ID: "agreed"}}}
	e, err := w.Event(t.Context(), "4712")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SaveLink(t.Context(), e, link); err != nil {
		t.Fatal(err)
	}
	w.answer("4712", response("r1", "3", "Cy Example", "cy@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Cy's Lab"}}))
	w.lines("a colleague's answers", w.seen("buyer@example.org"), "4711 shared 2", "4712 shared 1")
	w.lines("the colleague", w.seen("cy@example.org"), "4712 answer name=Cy Example email=cy@example.org agreed_at=2027-05-29T12:00:00Z affiliation=Cy's Lab")
}

func TestACorrectionStandsUntilItsSourceAgrees(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Exmaple", "ada@example.org"))
	s := sealer(t, officer(t))
	address := attendees.Personal("ada@example.org")
	correct := func(f attendees.Field, value attendees.Personal) {
		t.Helper()
		if _, err := w.Correct(t.Context(), "1", f, value, address, s); err != nil {
			t.Fatal(err)
		}
	}
	correct(attendees.Name, "Ada Example")
	correct(attendees.Email, "new@example.org")
	address = "new@example.org"
	const corrected = "4711 1 active name=Ada Example! email=new@example.org! ticket=Standard status=attending attended=no"
	w.lines("corrected", w.seen("new@example.org"), corrected)
	w.lines("the old address", w.seen("ada@example.org"))
	again := person("1", "4711", "Ada Exmaple", "ada@example.org")
	again.Changed, again.Ticket = june, "Premium"
	w.save(again)
	w.lines("after a pull", w.seen("new@example.org"), strings.Replace(corrected, "Standard", "Premium", 1))
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 1 || !strings.Contains(tasks[0].Says, "Correct it at the source") {
		t.Errorf("the organiser's tasks are %v (%v)", tasks, err)
	}
	if _, err := w.Restrict(t.Context(), "1", attendees.RestrictionAsked, s); err != nil {
		t.Fatal(err)
	}
	correct(attendees.Ticket, "Student")
	w.lines("corrected while sealed", w.seen("new@example.org"), "4711 1 blocked name=Ada Example! email=new@example.org! ticket=Student status=attending attended=no")
	if err := w.Lift(t.Context(), "1", w.OpenedBy("new@example.org"), "told"); err != nil {
		t.Fatal(err)
	}
	w.save(again)
	w.lines("lifted and pulled", w.seen("new@example.org"), "4711 1 active name=Ada Example! email=new@example.org! ticket=Student! status=attending attended=no")
	agrees := again
	agrees.Changed, agrees.Name, agrees.Email, agrees.Ticket = june.AddDate(0, 0, 1), "Ada Example", "new@example.org", "Student"
	w.save(agrees)
	w.lines("the source agrees", w.seen("new@example.org"), "4711 1 active name=Ada Example email=new@example.org ticket=Student status=attending attended=no")
	handed := person("1", "4711", "Bo Other", "bo@example.org")
	handed.Changed = june.AddDate(0, 0, 2)
	w.save(handed)
	correct(attendees.Name, "Bo Right")
	handed.Changed, handed.Name, handed.Email = june.AddDate(0, 0, 3), "Cy Third", "cy@example.org"
	w.save(handed)
	w.lines("handed to somebody else", w.seen("cy@example.org"), "4711 1 active name=Cy Third email=cy@example.org ticket=Standard status=attending attended=no")
	w.ledgerIsSound()
	for _, bad := range []struct {
		f attendees.Field
		v attendees.Personal
	}{{attendees.AgreedAt, "2027-01-01"}, {"nonsense", "x"}, {attendees.Name, " "}, {attendees.Email, "none"}, {attendees.Attended, "perhaps"}, {attendees.Name, "a\nb"}} {
		if err := w.CheckCorrection(bad.f, bad.v); err == nil {
			t.Errorf("%s takes what it cannot be", bad.f)
		}
	}
}

func TestACorrectionOfAFormsAnswerStandsUntilTheFormAgrees(t *testing.T) {
	w, answer := ada(t)
	if _, err := w.Correct(t.Context(), "1", attendees.Affiliation, "Example Laboratory", "ada@example.org", nil); err != nil {
		t.Fatal(err)
	}
	w.answer("4711", answer)
	newer := person("1", "4711", "Ada Example", "ada@example.org")
	newer.Changed, newer.Ticket = june, "Premium"
	w.save(newer)
	const line = "1 Ada Example <ada@example.org> attending of Example Laboratory +Rivers"
	equal(t, "kept over the form", w.forum(), []string{line, boOnForum})
	agrees := response("r2", "1", "", "ada@example.org", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Laboratory"}})
	agrees.Submitted = june
	w.answer("4711", agrees)
	equal(t, "the form agrees", w.forum(), []string{line, boOnForum})
	if n := w.count(`select count(*) from personal where corrected <> '{}' and 'affiliation' = any(select jsonb_object_keys(corrected))`); n > 0 {
		t.Error("the correction stands still")
	}
}

func TestACaseTellsOfNobodyOnceItIsClosed(t *testing.T) {
	w := newWorld(t)
	today := attendees.DateOf(june)
	open := func(verified bool, message attendees.Personal) (postgres.Case, bool) {
		t.Helper()
		c := postgres.Case{Asks: attendees.ErasureRight, Event: "4711", CameBy: "page", Received: today, Deadline: today.AddMonths(1)}
		if verified {
			c.Verified = june
		}
		c, merged, err := w.OpenCase(t.Context(), c, postgres.CaseText{Contact: "Zaphira@example.org ", Message: message, Language: "de"})
		if err != nil {
			t.Fatal(err)
		}
		return c, merged
	}
	letter, _ := open(false, "by letter")
	first, _ := open(true, "once")
	if _, merged := open(false, "a stranger's"); merged {
		t.Error("one that was not verified was merged")
	}
	second, merged := open(true, "twice")
	if !merged || second.Number != first.Number {
		t.Errorf("the same request is %d and %d", first.Number, second.Number)
	}
	_, text, err := w.Case(t.Context(), first.Number)
	if err != nil || text.Message.Reveal() != "once\n\ntwice" || text.Contact.Reveal() != "zaphira@example.org" || text.Language != "de" {
		t.Errorf("the case holds %q for %q (%v)", text.Message.Reveal(), text.Contact.Reveal(), err)
	}
	for _, secret := range []string{"zaphira", "twice"} {
		if files := w.found(secret); len(files) > 0 {
			t.Errorf("%v hold what the request says", files)
		}
	}
	if _, err := w.VerifyCases(t.Context(), "zaphira@example.org", []int{letter.Number}); err != nil {
		t.Fatal(err)
	}
	if c, _, err := w.Case(t.Context(), letter.Number); err != nil || c.Outcome != attendees.Merged {
		t.Errorf("the letter's case is %+v (%v), want it merged", c, err)
	}
	if err := w.CloseCase(t.Context(), first.Number, attendees.Granted, "lethe", ""); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from cases where closed_at is not null and (sealed is not null or whose is not null or key <> '')`); n > 0 {
		t.Errorf("%d closed cases still hold somebody", n)
	}
	if err := w.CloseCase(t.Context(), first.Number, attendees.Refused, "x", ""); err == nil {
		t.Error("a closed case is decided again")
	}
	w.clock.now = june.AddDate(3, 0, 1)
	if err := w.DropCases(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from cases where closed_at is not null`); n != 0 {
		t.Errorf("%d closed cases are left after three years", n)
	}
	w.ledgerIsSound()
}

func TestAVisitIsOpenedByItsOwnTokenAlone(t *testing.T) {
	w := newWorld(t)
	link, err := w.NewVisitLink(t.Context(), "Zaphira@Example.org")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.UseVisitLink(t.Context(), link[1:]+"A"); err != postgres.ErrLink {
		t.Errorf("an altered link: %v", err)
	}
	if _, err := w.Visit(t.Context(), link); err != postgres.ErrLink {
		t.Errorf("a link is taken for a cookie: %v", err)
	}
	token, visit, err := w.UseVisitLink(t.Context(), link)
	if err != nil || visit.Address.Reveal() != "zaphira@example.org" {
		t.Fatal(err)
	}
	if _, _, err := w.UseVisitLink(t.Context(), link); err != postgres.ErrLink {
		t.Errorf("used twice: %v", err)
	}
	if _, _, err := w.UseVisitLink(t.Context(), token); err != postgres.ErrLink {
		t.Errorf("a cookie is taken for a link: %v", err)
	}
	for range 3 {
		w.clock.now = w.clock.now.Add(postgres.VisitFor - time.Second)
		if v, err := w.Visit(t.Context(), token); err != nil || v.Address != visit.Address {
			t.Fatal("a visit that is used ended: ", err)
		}
	}
	visit.Cases = []int{7, 9}
	if err := w.KeepVisit(t.Context(), token, visit); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Visit(t.Context(), token); err != nil || !slices.Equal(v.Cases, visit.Cases) {
		t.Errorf("the visit remembers %v (%v)", v.Cases, err)
	}
	if files := w.found("zaphira"); len(files) > 0 {
		t.Errorf("%v hold the visitor's address", files)
	}
	w.clock.now = w.clock.now.Add(postgres.VisitFor)
	if _, err := w.Visit(t.Context(), token); err != postgres.ErrLink {
		t.Errorf("a visit that nobody used: %v", err)
	}
	old, err := w.NewVisitLink(t.Context(), "zaphira@example.org")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.now = w.clock.now.Add(postgres.VisitLinkFor)
	if _, _, err := w.UseVisitLink(t.Context(), old); err != postgres.ErrLink {
		t.Errorf("an old link: %v", err)
	}
}

func TestASealedRecordTellsWhoOpenedItAndWhereItCameFrom(t *testing.T) {
	w := newWorld(t)
	s := sealer(t, officer(t))
	w.linkAgreement("4711")
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", nil), response("r2", "2", "", "", nil))
	w.clock.now = july
	w.block("4711", s)
	open := func(attendee attendees.AttendeeID) {
		for _, err := range w.SealedRecords(t.Context(), "4711", attendee, "", "the officer") {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	open("2")
	for looks, attendee := range []attendees.AttendeeID{"", "1"} {
		held, err := w.HeldUnder(t.Context(), "ada@example.org")
		if err != nil || len(held) != 1 {
			t.Fatal(held, err)
		}
		if len(held[0].Looks) != looks {
			t.Errorf("%d openings of hers are told, want %d", len(held[0].Looks), looks)
		}
		for _, f := range held[0].Own.Fields {
			want := attendees.Eventbrite
			if f.Field == attendees.AgreedAt {
				want = attendees.Typeform
			}
			if f.From != want {
				t.Errorf("%s comes from %s, want %s", f.Field, f.From, want)
			}
		}
		open(attendee)
	}
	if held, err := w.HeldUnder(t.Context(), "ada@example.org"); err != nil || len(held[0].Looks) != 2 || held[0].Looks[0].At.IsZero() {
		t.Errorf("told is %+v (%v)", held[0].Looks, err)
	}
	if n := w.count(`select max(rows) from receipts where purpose = 'unseal'`); n != 2 {
		t.Errorf("%d people were opened at once, as the accesses say", n)
	}
}

// A buyer's own ticket of a group order is erased, or moved: what is left is somebody else's.
func TestABuyerDoesNotBecomeHerGuestWhenHerOwnTicketGoes(t *testing.T) {
	for _, how := range []string{"erased", "moved"} {
		w := newWorld(t)
		ada := person("1", "4711", "Ada Example", "buyer@example.org")
		w.save(ada, person("2", "4711", "Bo Guest", "buyer@example.org"))
		w.answer("4711", response("r2", "2", "Bo Guest", "", nil))
		if got := w.seen("buyer@example.org"); len(got) != 1 || got[0] != "4711 shared 2" {
			t.Fatal(got)
		}
		if how == "erased" {
			w.forget("1") // as she had asked staff to
		} else {
			ada.Event, ada.Changed = "4712", june
			w.save(ada)
		}
		for _, line := range w.seen("buyer@example.org") {
			if line[:4] == "4711" && line != "4711 shared 1" {
				t.Errorf("%s: she sees, and may erase, %s", how, line)
			}
		}
	}
}

package attendees_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
)

// plain is a layer as an officer reads its text.
type plain struct {
	Origin, ID, Standing, Status, Form, Claims string
	Holder                                     int
	HeldSince                                  time.Time `json:"held_since"`
	Registered, Changed, Submitted             time.Time
	Name, Email, Ticket                        string
	Attended                                   bool
	Given                                      []said
	Was                                        []plain
}

type said struct {
	For, Field string
	Values     []string
	At         time.Time
}

func read(l attendees.Layer) (p plain) {
	d := json.NewDecoder(strings.NewReader(string(l.Text())))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		panic(err)
	}
	return p
}

func registered() attendees.Registration {
	return attendees.Registration{
		ID: "457731909-1", Event: "4711", Name: "Ada Invented", Email: " Ada@Example.org ", Ticket: "Standard", Status: "Attending",
		Attended: true, Created: at("2026-05-01T12:00:00+02:00"), Changed: at("2026-05-02T10:00:00.75Z"),
		Answers: answers{
			"agree": {"I accept"}, "version": {"2026-1"}, "from": {"Example Institute"},
			"forums": {"Open Data", "Archives"}, "chair": {"true"}, "diet": {"none of your business"}, "name": {"Ada I."}, "email": {"other@example.org"},
		},
	}
}

// everyLink has links that a policy allows, behind them some that it does not.
var everyLink = attendees.FieldLinks{
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agree"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.AgreementVersion, Question: "version"},
	{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "from"},
	{Purpose: attendees.Forum, Field: attendees.Forums, Question: "forums"},
	{Purpose: attendees.Forum, Field: "answers.chair", Question: "chair"},
	{Purpose: attendees.Forum, Field: attendees.Name, Question: "name"},
	{Purpose: attendees.Forum, Field: attendees.Email, Question: "email"},
	{Purpose: attendees.Forum, Field: attendees.Agreed, Question: "diet"},
	{Purpose: attendees.Forum, Field: attendees.Consented, Question: "agree"},
	{Purpose: "marketing", Field: attendees.Affiliation, Question: "diet"},
	{Purpose: attendees.Forum, Field: "answers", Question: "diet"},
	{Purpose: attendees.Forum, Field: "answers.", Question: "diet"},
	{Purpose: attendees.Forum, Field: "diet", Question: "diet"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Ticket, Question: "diet"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.AgreedAt, Question: "diet"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Attended, Question: "diet"},
}

// given are the fields that everyLink fills, an agreement said at a time.
func given(agreed time.Time) []said {
	return []said{
		{"participation_agreement", "agreed", []string{"yes"}, agreed},
		{"participation_agreement", "agreement_version", []string{"2026-1"}, time.Time{}},
		{"forum", "affiliation", []string{"Example Institute"}, time.Time{}},
		{"forum", "forums", []string{"Open Data", "Archives"}, time.Time{}},
		{"forum", "answers.chair", []string{"true"}, time.Time{}},
		{"forum", "name", []string{"Ada I."}, time.Time{}},
		{"forum", "email", []string{"other@example.org"}, time.Time{}},
	}
}

func TestARegistrationKeepsWhatThePolicyNamesAndLinksFill(t *testing.T) {
	created := at("2026-05-01T10:00:00Z")
	want := plain{
		Origin: "registration", ID: "457731909-1", Standing: "attending", Status: "Attending", Registered: created, Changed: at("2026-05-02T10:00:00Z"),
		Name: "Ada Invented", Email: "Ada@Example.org", Ticket: "Standard", Attended: true, Given: given(created),
	}
	if diff := cmp.Diff(want, read(policy.Minimise(registered(), everyLink))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAResponseKeepsWhatLinksFill(t *testing.T) {
	submitted := at("2026-05-03T10:00:00Z")
	r := attendees.Response{Form: "u6nXL7", ID: "r1", Attendee: "457731909-1", Submitted: submitted, Answers: registered().Answers}
	want := plain{Origin: "response", ID: "r1", Form: "u6nXL7", Claims: "457731909-1", Submitted: submitted, Given: given(submitted)}
	if diff := cmp.Diff(want, read(policy.MinimiseResponse(r, everyLink))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r.Answers["agree"] = attendees.Answer{"I do not accept"}
	if l := policy.MinimiseResponse(r, everyLink); l.Agreed() {
		t.Error("who refuses has agreed")
	}
}

func TestWhatTheRegistrationSaysCountsBeforeAnAnswer(t *testing.T) {
	r := registered()
	r.Name, r.Email = "Info Requested", ""
	if l := policy.Minimise(r, everyLink); l.Name() != "Ada I." || l.Email() != "other@example.org" {
		t.Errorf("name %q, email %q, want the answers where the registration says nothing", l.Name().Reveal(), l.Email().Reveal())
	}
	if p := read(policy.Minimise(r, nil)); p.Name != "" || p.Email != "" || p.Given != nil {
		t.Errorf("unlinked answers are kept: %+v", p)
	}
}

func TestTwoFlagsOfTheSourceDecideTheStandingAndItsStatusNothing(t *testing.T) {
	for _, status := range []string{"", "Attending", "Not Attending", "Deleted", "Cancelled", "Guests Attending"} {
		for _, c := range []struct {
			cancelled, refunded bool
			want                attendees.Standing
		}{{false, false, attendees.Attending}, {true, false, attendees.Cancelled}, {false, true, attendees.Refunded}, {true, true, attendees.Refunded}} {
			l := policy.Minimise(attendees.Registration{Status: status, Cancelled: c.cancelled, Refunded: c.refunded}, nil)
			if l.Standing() != c.want || read(l).Status != status {
				t.Errorf("status %q, cancelled %t, refunded %t became %s, want %s", status, c.cancelled, c.refunded, l.Standing(), c.want)
			}
		}
	}
}

func TestTheZeroPolicyKeepsNobody(t *testing.T) {
	var p attendees.Policy
	r := registered()
	want := plain{Origin: "registration", ID: "457731909-1", Standing: "attending", Status: "Attending", Registered: at("2026-05-01T10:00:00Z"), Changed: at("2026-05-02T10:00:00Z")}
	if diff := cmp.Diff(want, read(p.Minimise(r, everyLink))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(plain{Origin: "response", Form: "f", ID: "1"}, read(p.MinimiseResponse(attendees.Response{Form: "f", ID: "1", Answers: r.Answers}, everyLink))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestInfoRequestedIsNoName(t *testing.T) {
	for name, kept := range map[string]bool{
		"Info Requested": false, "Info Requested Info Requested": false, "info  requested": false, " INFO REQUESTED\tinfo requested ": false,
		"Info\nRequested": false, "": false, "   ": false, "\x00": false,
		"Info Requested Smith": true, "Ingo Requested": true, "Info": true,
	} {
		if got := ticket("1", name, "").Name(); got.Empty() == kept {
			t.Errorf("%q became %q", name, got.Reveal())
		}
	}
}

func TestTextIsCleanedButStaysItself(t *testing.T) {
	long := strings.Repeat("ß", 1000)
	for from, want := range map[string]string{
		"  Ada \t": "Ada", "A\x00d\x07a": "Ada", "Ad\xffa\xc3": "Ada", "\xff": "", "Ada\u2028Invented": "Ada Invented",
		"Ada\r\nInvented": "Ada  Invented", "Ada\u0085Invented\v": "Ada Invented", "Ada\u200b": "Ada\u200b",
		"\u202eadA\u202c": "adA", "\u2066Ada\u2069": "Ada", // overrides read as another text
		"עדה מומצאת": "עדה מומצאת", "آدا\u200fx": "آدا\u200fx", "Zoë 李 👩‍🚀": "Zoë 李 👩‍🚀", "O'Neil-Müller, Jr.": "O'Neil-Müller, Jr.",
		long: long, long + "x": long, strings.Repeat("x", 999) + "  y": strings.Repeat("x", 999), strings.Repeat("\x00", 5000) + "Ada": "Ada",
	} {
		if got := ticket("1", from, "").Name().Reveal(); got != want {
			t.Errorf("%.40q became %.40q, want %.40q", from, got, want)
		}
	}
}

// A time zone takes the last hour of the year 9999 into a year that RFC 3339 cannot write.
func TestNoTimeMakesALayerThatCannotBeReadBack(t *testing.T) {
	for _, text := range []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "0000-06-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"} {
		odd := at(text)
		yes := answers{"agree": {"true"}}
		for _, l := range []attendees.Layer{
			policy.Minimise(attendees.Registration{ID: "1", Created: odd, Changed: odd, Answers: yes}, links).As(1, odd),
			policy.MinimiseResponse(attendees.Response{ID: "1", Submitted: odd, Answers: yes}, links),
		} {
			again, err := attendees.ParseLayer(l.Text())
			if err != nil || !again.Agreed() || attendees.Merge(&policy, again, nil, attendees.Layer{}).AgreedAt.IsZero() {
				t.Errorf("%s: %v, or the yes is lost", text, err)
			}
		}
	}
}

func TestANarrowerPolicyTakesAwayWhatNoPurposeNames(t *testing.T) {
	p := attendees.Policy{Purposes: []attendees.Purpose{{Name: attendees.Forum, Basis: "b", Fields: []attendees.Field{attendees.Name, attendees.Forums}}}}
	got := read(p.Again(policy.Minimise(registered(), everyLink)))
	if got.Name == "" || got.Email != "" || got.Ticket != "" || got.Attended {
		t.Errorf("left are name %v, address %v, ticket %v, attended %v, want the name", got.Name != "", got.Email != "", got.Ticket != "", got.Attended)
	}
	want := slices.DeleteFunc(given(noon), func(s said) bool { return s.For != "forum" || s.Field != "forums" && s.Field != "name" })
	if diff := cmp.Diff(want, got.Given); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestUnlinkingTakesAwayWhatNoLinkFills(t *testing.T) {
	l := policy.Minimise(registered(), everyLink)
	if got := read(l.Linked(everyLink[:1])); got.Name == "" || len(got.Given) != 1 || got.Given[0].Field != "agreed" {
		t.Errorf("left are %d fields, want the agreement, and the registration's own", len(got.Given))
	}
	if got := read(l.Linked(nil)); got.Name == "" || got.Given != nil {
		t.Errorf("left are %d fields, want the registration's own", len(got.Given))
	}
}

func BenchmarkMinimise(b *testing.B) {
	r := registered()
	b.ReportAllocs()
	for b.Loop() {
		policy.Minimise(r, everyLink)
	}
}

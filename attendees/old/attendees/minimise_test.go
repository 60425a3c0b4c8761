package attendees

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func registered() Registration {
	return Registration{
		ID: "457731909-1", Event: "4711", Name: "Ada Invented", Email: " Ada@Example.org ", Ticket: "Standard", Status: "Attending",
		Attended: true, Created: at("2026-05-01T10:00:00Z"), Changed: at("2026-05-02T10:00:00Z"),
		Answers: map[QuestionID]Answer{
			"agree": {"I accept"}, "version": {"2026-1"}, "from": {"Example Institute"},
			"forums": {"Open Data", "Archives"}, "chair": {"true"}, "diet": {"none of your business"}, "name": {"Ada I."}, "email": {"other@example.org"},
		},
	}
}

var everyLink = FieldLinks{
	{ParticipationAgreement, Agreed, "agree"}, {ParticipationAgreement, AgreementVersion, "version"},
	{Forum, Affiliation, "from"}, {Forum, Forums, "forums"}, {Forum, "answers.chair", "chair"},
	{Forum, Name, "name"}, {Forum, Email, "email"},
	{Forum, Agreed, "diet"}, {"marketing", Affiliation, "diet"}, {Forum, "answers", "diet"}, {Forum, "answers.", "diet"},
	{Forum, "diet", "diet"}, {ParticipationAgreement, Ticket, "diet"}, {ParticipationAgreement, AgreedAt, "diet"}, {ParticipationAgreement, Attended, "diet"},
}

// show makes what is hidden comparable in a test's output.
func show(a Attendee) string {
	return fmt.Sprintf("id %s, event %s, name %q, email %q, ticket %q, %s (%s), attended %t, version %q, agreed %s, from %q, forums %q, chair %q, registered %s, changed %s",
		a.ID, a.Event, a.Name.Reveal(), a.Email.Reveal(), a.Ticket, a.Status, a.SourceStatus, a.Attended, a.AgreementVersion,
		a.AgreedAt.Format(time.RFC3339), a.Affiliation.Reveal(), Answer(a.Forums).text().Reveal(), a.Answers["chair"].text().Reveal(),
		a.Registered.Format(time.RFC3339), a.Changed.Format(time.RFC3339))
}

func TestARegistrationKeepsWhatThePolicyNamesAndLinksFill(t *testing.T) {
	p := BuiltIn()
	got := p.Minimise(registered(), everyLink).Attendee()
	want := Attendee{
		ID: "457731909-1", Event: "4711", Name: "Ada Invented", Email: "Ada@Example.org", Ticket: "Standard", Status: Attending, SourceStatus: "Attending",
		Attended: true, AgreementVersion: "2026-1", AgreedAt: at("2026-05-01T10:00:00Z"), Affiliation: "Example Institute",
		Forums: []Personal{"Open Data", "Archives"}, Answers: map[string]Answer{"chair": {"true"}},
		Registered: at("2026-05-01T10:00:00Z"), Changed: at("2026-05-02T10:00:00Z"),
	}
	if diff := cmp.Diff(show(want), show(got)); diff != "" || !cmp.Equal(want, got) {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatTheRegistrationSaysStandsBeforeAnAnswer(t *testing.T) {
	p := BuiltIn()
	r := registered()
	r.Name, r.Email = "Info Requested", ""
	got := p.Minimise(r, everyLink).Attendee()
	if got.Name != "Ada I." || got.Email != "other@example.org" {
		t.Errorf("name %q, email %q, want the answers where the registration says nothing", got.Name.Reveal(), got.Email.Reveal())
	}
	if got := p.Minimise(r, nil).Attendee(); !got.Name.Empty() || !got.Email.Empty() || !got.AgreedAt.IsZero() || got.Forums != nil {
		t.Errorf("unlinked answers were kept: %s", show(got))
	}
}

func TestWhoDoesNotAttendKeepsNoFieldWithoutADuty(t *testing.T) {
	p := BuiltIn()
	for _, c := range []struct {
		cancelled, refunded bool
		want                Standing
	}{{true, false, Cancelled}, {false, true, Refunded}, {true, true, Refunded}} {
		r := registered()
		r.Cancelled, r.Refunded = c.cancelled, c.refunded
		got := p.Minimise(r, everyLink).Attendee()
		if got.Status != c.want {
			t.Errorf("cancelled %t, refunded %t: %s, want %s", c.cancelled, c.refunded, got.Status, c.want)
		}
		if !got.Affiliation.Empty() || got.Forums != nil || got.Answers != nil {
			t.Errorf("%s keeps what only the forum needs: %s", c.want, show(got))
		}
		if got.Name.Empty() || got.Email.Empty() || got.Ticket == "" || got.AgreedAt.IsZero() || got.AgreementVersion == "" {
			t.Errorf("%s loses what the agreement needs: %s", c.want, show(got))
		}
	}
}

func TestTheSourcesStatusDecidesNothing(t *testing.T) {
	p := BuiltIn()
	for _, status := range []string{"", "Attending", "Not Attending", "Deleted", "Cancelled", "Guests Attending"} {
		got := p.Minimise(Registration{Status: status}, nil).Attendee()
		if got.Status != Attending || got.SourceStatus != status {
			t.Errorf("status %q became %s (%q)", status, got.Status, got.SourceStatus)
		}
	}
}

func TestTheZeroPolicyKeepsNobody(t *testing.T) {
	var p Policy
	r := registered()
	want := Attendee{ID: r.ID, Event: r.Event, Status: Attending, SourceStatus: r.Status, Registered: r.Created, Changed: r.Changed}
	if got := p.Minimise(r, everyLink).Attendee(); !cmp.Equal(want, got) {
		t.Errorf("kept %s", show(got))
	}
	if got := p.MinimiseResponse(Response{Form: "f", ID: "1", Answers: r.Answers}, everyLink).Response(); !cmp.Equal(FormAnswers{Form: "f", ID: "1"}, got) {
		t.Error("kept something of a response")
	}
}

func TestAResponseKeepsWhatLinksFill(t *testing.T) {
	p := BuiltIn()
	submitted := at("2026-05-03T10:00:00Z")
	r := Response{Form: "u6nXL7", ID: "r1", Attendee: "457731909-1", Submitted: submitted, Answers: registered().Answers}
	got := p.MinimiseResponse(r, everyLink).Response()
	want := FormAnswers{
		Form: "u6nXL7", ID: "r1", Attendee: "457731909-1", Submitted: submitted, Name: "Ada I.", Email: "other@example.org",
		AgreementVersion: "2026-1", AgreedAt: submitted, Affiliation: "Example Institute",
		Forums: []Personal{"Open Data", "Archives"}, Answers: map[string]Answer{"chair": {"true"}},
	}
	if !cmp.Equal(want, got) {
		t.Error("a response lost or kept what it was not to")
	}
	r.Answers["agree"] = Answer{"I do not accept"}
	if got := p.MinimiseResponse(r, everyLink).Response(); !got.AgreedAt.IsZero() {
		t.Error("who refuses has agreed")
	}
}

func TestInfoRequestedIsNobodysName(t *testing.T) {
	p := BuiltIn()
	for name, kept := range map[string]bool{
		"Info Requested": false, "Info Requested Info Requested": false, "info  requested": false, " INFO REQUESTED\tinfo requested ": false,
		"Info\nRequested": false, "": false, "   ": false, "\x00": false,
		"Info Requested Smith": true, "Ingo Requested": true, "Info": true,
	} {
		got := p.Minimise(Registration{Name: Personal(name)}, nil).Attendee().Name
		if got.Empty() == kept {
			t.Errorf("%q became %q", name, got.Reveal())
		}
	}
}

func TestTextIsCleanedButStaysItself(t *testing.T) {
	long := strings.Repeat("ß", maxText)
	for from, want := range map[string]string{
		"  Ada \t": "Ada", "A\x00d\x07a": "Ada", "Ad\xffa\xc3": "Ada", "\xff": "", "Ada\u2028Invented": "Ada Invented",
		"Ada\r\nInvented": "Ada  Invented", "Ada\u0085Invented\v": "Ada Invented", "Ada\u200b": "Ada\u200b",
		"\u202eadA\u202c": "adA", "\u2066Ada\u2069": "Ada", // overrides read as another text
		"עדה מומצאת": "עדה מומצאת", "آدا\u200fx": "آدا\u200fx", "Zoë 李 👩‍🚀": "Zoë 李 👩‍🚀", "O'Neil-Müller, Jr.": "O'Neil-Müller, Jr.",
		long: long, long + "x": long, strings.Repeat("x", maxText-1) + "  y": strings.Repeat("x", maxText-1), strings.Repeat("\x00", 5000) + "Ada": "Ada",
	} {
		if got := clean(from, maxText); got != want {
			t.Errorf("%.40q became %.40q, want %.40q", from, got, want)
		}
	}
}

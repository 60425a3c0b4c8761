package attendees

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Minimise reduces a registration to what the policy names. It is pure, and the only
// way to a Minimised.
//
// Name, address, ticket and attendance come from the registration itself; links say
// which of its answers fill other fields, and name and address where they are
// empty. Who does not attend keeps no field that only purposes without a duty name.
func (p *Policy) Minimise(r Registration, links FieldLinks) Minimised {
	a := Attendee{
		ID: AttendeeID(clean(string(r.ID), maxID)), Event: EventID(clean(string(r.Event), maxID)),
		Status: r.standing(), SourceStatus: clean(r.Status, maxID), Registered: r.Created, Changed: r.Changed,
	}
	if p.Allows(Name) {
		a.Name = nameOf(r.Name)
	}
	if p.Allows(Email) {
		a.Email = cleanPersonal(r.Email)
	}
	if p.Allows(Ticket) {
		a.Ticket = clean(r.Ticket, maxText)
	}
	a.Attended = r.Attended && p.Allows(Attended)

	answered := p.answered(r.Answers, links)
	if a.Name.Empty() {
		a.Name = answered.name
	}
	if a.Email.Empty() {
		a.Email = answered.email
	}
	if answered.agreed {
		a.AgreedAt = r.Created // the source tells no time of an answer
	}
	a.AgreementVersion, a.Affiliation = answered.version, answered.affiliation
	a.Forums, a.Answers = answered.forums, answered.answers
	if a.Status != Attending {
		for _, f := range p.DroppedFields() {
			a.drop(f)
		}
	}
	return Minimised{func() Attendee { return a }}
}

// MinimiseResponse reduces a response to what the policy names and some link maps.
func (p *Policy) MinimiseResponse(r Response, links FieldLinks) MinimisedResponse {
	answered := p.answered(r.Answers, links)
	f := FormAnswers{
		Form: FormID(clean(string(r.Form), maxID)), ID: ResponseID(clean(string(r.ID), maxID)),
		Attendee: AttendeeID(clean(string(r.Attendee), maxID)), Submitted: r.Submitted,
		Name: answered.name, Email: answered.email, AgreementVersion: answered.version,
		Affiliation: answered.affiliation, Forums: answered.forums, Answers: answered.answers,
	}
	if answered.agreed {
		f.AgreedAt = r.Submitted
	}
	return MinimisedResponse{func() FormAnswers { return f }}
}

// standing is decided by what Eventbrite says in three flags; its status is being
// retired and takes values that nobody announced.
func (r Registration) standing() Standing {
	switch {
	case r.Refunded:
		return Refunded
	case r.Cancelled:
		return Cancelled
	}
	return Attending
}

// answered is what answers say, by the fields that they fill.
type answered struct {
	name, email, affiliation Personal
	version                  string
	agreed                   bool
	forums                   []Personal
	answers                  map[string]Answer
}

func (p *Policy) answered(answers map[QuestionID]Answer, links FieldLinks) answered {
	var a answered
	for _, l := range links {
		purpose, ok := p.Purpose(l.Purpose)
		if !ok || !purpose.Allows(l.Field) {
			continue // the policy has changed since the form was linked
		}
		answer := cleanAnswer(answers[l.Question])
		if len(answer) == 0 {
			continue
		}
		switch l.Field {
		case Name:
			a.name = nameOf(answer.text())
		case Email:
			a.email = answer.text()
		case Agreed:
			a.agreed = Agrees(answer)
		case AgreementVersion:
			a.version = answer.text().Reveal()
		case Affiliation:
			a.affiliation = answer.text()
		case Forums:
			a.forums = answer
		default:
			if name, ok := l.Field.AnswerName(); ok {
				if a.answers == nil {
					a.answers = map[string]Answer{}
				}
				a.answers[name] = answer
			}
		}
	}
	return a
}

// drop empties a field that is dropped when the event is blocked.
func (a *Attendee) drop(f Field) {
	switch f {
	case Name:
		a.Name = ""
	case Email:
		a.Email = ""
	case Ticket:
		a.Ticket = ""
	case Attended:
		a.Attended = false
	case AgreementVersion:
		a.AgreementVersion = ""
	case AgreedAt:
		a.AgreedAt = time.Time{}
	case Affiliation:
		a.Affiliation = ""
	case Forums:
		a.Forums = nil
	case Answers:
		a.Answers = nil
	}
}

// text is an answer as one text, as long as one may be.
func (a Answer) text() Personal {
	if len(a) == 1 {
		return a[0]
	}
	parts := make([]string, len(a))
	for i, v := range a {
		parts[i] = v.Reveal()
	}
	return cleanPersonal(Personal(strings.Join(parts, "; ")))
}

const (
	// maxText bounds one value in characters: longer ones are free text that nobody
	// asked for.
	maxText = 1000
	// maxID bounds what sources use as ids and states.
	maxID = 200
	// maxChoices bounds how many choices one answer may have.
	maxChoices = 100
)

func cleanPersonal(p Personal) Personal { return Personal(clean(p.Reveal(), maxText)) }

func cleanAnswer(a Answer) Answer {
	var out Answer
	for _, v := range a {
		if v = cleanPersonal(v); !v.Empty() && len(out) < maxChoices {
			out = append(out, v)
		}
	}
	return out
}

// clean makes text fit to store and to show: valid UTF-8 without control characters
// (PostgreSQL refuses NUL) and without the bidirectional overrides that make text
// read as another (Unicode TR 36), trimmed, at most so many characters.
func clean(s string, most int) string {
	if isClean(s, most) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.White_Space, r) && (unicode.IsControl(r) || r == '\u2028' || r == '\u2029'):
			return ' ' // a line's or a paragraph's end, a tab
		case r == utf8.RuneError || unicode.IsControl(r) || bidiOverride(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	n := 0
	for i := range s {
		if n++; n > most {
			return strings.TrimSpace(s[:i])
		}
	}
	return s
}

// isClean recognises what nearly all text is: short ASCII that needs nothing.
func isClean(s string, most int) bool {
	if len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}

func bidiOverride(r rune) bool {
	return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// infoRequested is what Eventbrite writes until a buyer has told the name: for the
// whole, or for each part of it.
const infoRequested = "info requested"

// nameOf is a person's name, or nothing where it is none.
func nameOf(p Personal) Personal {
	p = cleanPersonal(p)
	rest := strings.Join(strings.Fields(strings.ToLower(p.Reveal())), " ")
	if rest == "" || strings.Trim(strings.ReplaceAll(rest, infoRequested, ""), " ") == "" {
		return ""
	}
	return p
}

package attendees

import (
	"regexp"
	"slices"
	"strings"
)

// Field names one piece of what may be kept of a person.
type Field string

// The fields that Lethe knows. A policy picks from them; what it does not pick is
// not kept.
const (
	Name             Field = "name"
	Email            Field = "email"
	Ticket           Field = "ticket"
	Attended         Field = "attended"
	AgreementVersion Field = "agreement_version"
	AgreedAt         Field = "agreed_at"
	Affiliation      Field = "affiliation"
	Forums           Field = "forums"
	// Answers are the answers that an organiser maps by a name of her own:
	// a link fills "answers.chair", a policy allows "answers".
	Answers Field = "answers"
	// Agreed is what a link fills: a yes or a no. Kept is the time of the yes,
	// AgreedAt, so Agreed goes wherever AgreedAt goes.
	Agreed Field = "agreed"
	// Consented is what a link fills for a purpose that rests on consent: a yes, kept with
	// its time.
	Consented Field = "consented"
)

// Fields are those that a policy may name.
var fields = []Field{Name, Email, Ticket, Attended, AgreementVersion, AgreedAt, Affiliation, Forums, Answers, Consented}

var answerName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// AllFields are all fields that a policy may name, in the order in which people read them.
func AllFields() []Field { return slices.Clone(fields) }

// Base is the field that a policy must name so that f may be filled.
func (f Field) Base() Field {
	if f == Agreed {
		return AgreedAt
	}
	if _, ok := f.AnswerName(); ok {
		return Answers
	}
	return f
}

// AnswerName gives NAME of a field "answers.NAME".
func (f Field) AnswerName() (string, bool) {
	name, ok := strings.CutPrefix(string(f), string(Answers)+".")
	return name, ok && answerName.MatchString(name)
}

// FieldLink says which question of a form fills which field, for which purpose.
type FieldLink struct {
	Purpose  PurposeName
	Field    Field
	Question QuestionID
}

// FieldLinks are the links of one form for one event.
type FieldLinks []FieldLink

// Questions are those that the links name, each once, in their order.
func (ls FieldLinks) Questions() []QuestionID {
	var qs []QuestionID
	seen := map[QuestionID]bool{}
	for _, l := range ls {
		if !seen[l.Question] {
			seen[l.Question] = true
			qs = append(qs, l.Question)
		}
	}
	return qs
}

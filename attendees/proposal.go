package attendees

import (
	"slices"
	"strings"
	"unicode"
)

// Propose guesses from types, titles and refs of a form's questions which of them
// fills which field of a purpose: a start for the organiser who links the form, and never
// linked unseen. It knows English, German, French and Spanish, proposes at most one question
// a field, and none that invites long text.
func Propose(p Purpose, questions []Question) []FieldLink {
	var links []FieldLink
	taken := map[QuestionID]bool{}
	for _, hint := range hints {
		if !p.Allows(hint.field) {
			continue
		}
		free := func(q Question) bool {
			// Nobody ticks a version, whatever the title of what is ticked says.
			ticked := hint.field == AgreementVersion && slices.Contains(ticked, q.Type)
			return !q.FreeText && q.Key() != "" && !taken[q.Key()] && !ticked
		}
		i := slices.IndexFunc(questions, func(q Question) bool { return free(q) && slices.Contains(hint.types, q.Type) })
		if i < 0 { // a type says more than a title: "May we write you an e-mail?" asks for none
			i = slices.IndexFunc(questions, func(q Question) bool { return free(q) && hint.named(q) })
		}
		if i < 0 {
			continue
		}
		taken[questions[i].Key()] = true
		links = append(links, FieldLink{Purpose: p.Name, Field: hint.field, Question: questions[i].Key()})
	}
	return links
}

// Key is by what a question is linked: its ref, which lasts, or its id.
func (q Question) Key() QuestionID {
	if q.Ref != "" {
		return q.Ref
	}
	return q.ID
}

// hint tells a field by words in a question's title, or by its type.
type hint struct {
	field Field
	types []string
	words []string
}

// ticked are the types of questions that are answered by ticking something.
var ticked = []string{"checkbox", "radio", "legal", "waiver", "yes_no", "multiple_choice"}

// hints go from what is most surely recognised to what is least, so that "name of
// your institution" is an affiliation before it could be a name.
var hints = []hint{
	{Email, []string{"email"}, []string{"email", "e-mail", "mail", "courriel", "correo"}},
	{AgreementVersion, nil, []string{"version", "versión", "fassung"}},
	{Agreed, []string{"legal", "waiver"}, []string{
		"agree", "accept", "consent", "terms", "zustimm", "einverstanden", "akzept", "einwillig",
		"accepte", "j'accepte", "consens", "d'accord", "acepto", "acuerdo", "conforme",
	}},
	{Affiliation, nil, []string{
		"affiliation", "organi", "institut", "institución", "universit", "company", "employer", "firma", "einrichtung", "hochschule",
		"société", "entreprise", "empresa", "afiliación", "rattachement",
	}},
	{Forums, nil, []string{"forum", "forums", "foren", "foro", "foros", "working group", "arbeitsgruppe", "track", "session"}},
	{Name, nil, []string{"full name", "your name", "name", "nom", "nombre"}},
}

// named tells whether a word of the question's title, or of its ref where its author
// chose one, begins with one of the hint's.
func (h hint) named(q Question) bool {
	text := strings.ToLower(strings.ReplaceAll(q.Title, "’", "'") + " " + strings.ReplaceAll(string(q.Ref), "-", " "))
	words := " " + strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && r != '-' && r != '\''
	}), " ")
	return slices.ContainsFunc(h.words, func(w string) bool { return strings.Contains(words, " "+w) })
}

package attendees

import (
	"slices"
	"strings"
	"unicode"
)

// Propose guesses from the titles of a form's questions which of them fills which
// field of a purpose: a start for whoever links the form, and never linked unseen.
// It knows English, German, French and Spanish, proposes at most one question a
// field, and none that invites long text.
func Propose(p Purpose, questions []Question) []FieldLink {
	var links []FieldLink
	taken := map[QuestionID]bool{}
	for _, hint := range hints {
		if !p.Allows(hint.field) {
			continue
		}
		for _, q := range questions {
			if taken[q.ID] || q.FreeText || !hint.fits(q) {
				continue
			}
			taken[q.ID] = true
			links = append(links, FieldLink{Purpose: p.Name, Field: hint.field, Question: q.Key()})
			break
		}
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

// hints go from what is most surely recognised to what is least, so that "name of
// your institution" is an affiliation before it could be a name.
var hints = []hint{
	{Email, []string{"email"}, []string{"email", "e-mail", "mail", "courriel", "correo"}},
	{AgreementVersion, nil, []string{"version", "versión", "fassung"}},
	{Agreed, []string{"legal", "waiver"}, []string{
		"agree", "accept", "consent", "terms", "zustimm", "einverstanden", "akzept", "einwillig",
		"accepte", "consens", "d'accord", "acepto", "acuerdo", "conforme",
	}},
	{Affiliation, nil, []string{
		"affiliation", "organi", "institut", "universit", "company", "employer", "firma", "einrichtung", "hochschule",
		"société", "entreprise", "empresa", "afiliación", "rattachement",
	}},
	{Forums, nil, []string{"forum", "forums", "foren", "foro", "foros", "working group", "arbeitsgruppe", "track", "session"}},
	{Name, nil, []string{"full name", "your name", "name", "nom", "nombre"}},
}

func (h hint) fits(q Question) bool {
	if slices.Contains(h.types, q.Type) {
		return true
	}
	title := " " + strings.Join(strings.FieldsFunc(strings.ToLower(q.Title), func(r rune) bool {
		return !unicode.IsLetter(r) && r != '-' && r != '\''
	}), " ")
	return slices.ContainsFunc(h.words, func(w string) bool { return strings.Contains(title, " "+w) })
}

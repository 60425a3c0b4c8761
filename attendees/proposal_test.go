package attendees_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lethe/attendees"
)

func TestQuestionsAreProposedByTypeTitleAndRef(t *testing.T) {
	type proposal map[attendees.Field]attendees.QuestionID
	agreement, forum := attendees.BuiltIn().Purposes[0], attendees.BuiltIn().Purposes[1]
	for what, c := range map[string]struct {
		purpose   attendees.Purpose
		questions []attendees.Question
		want      proposal
	}{
		"English": {agreement, []attendees.Question{
			{ID: "1", Title: "What is your name?", Type: "short_text"},
			{ID: "2", Title: "Your e-mail address", Type: "email"},
			{ID: "3", Title: "Do you agree to the participation agreement?", Type: "yes_no"},
			{ID: "4", Title: "Agreement version", Type: "short_text"},
		}, proposal{attendees.Name: "1", attendees.Email: "2", attendees.Agreed: "3", attendees.AgreementVersion: "4"}},
		"German": {forum, []attendees.Question{
			{ID: "1", Title: "Name Ihrer Einrichtung"},
			{ID: "2", Title: "In welchen Foren möchten Sie mitarbeiten?"},
			{ID: "3", Title: "Vor- und Nachname"},
			{ID: "4", Title: "Ihr Name"},
			{ID: "5", Title: "E-Mail-Adresse"},
		}, proposal{attendees.Name: "4", attendees.Affiliation: "1", attendees.Forums: "2", attendees.Email: "5"}},
		"French": {agreement, []attendees.Question{
			{ID: "1", Title: "Votre nom"}, {ID: "2", Title: "Courriel"}, {ID: "3", Title: "J’accepte les conditions"},
		}, proposal{attendees.Name: "1", attendees.Email: "2", attendees.Agreed: "3"}},
		"Spanish": {forum, []attendees.Question{
			{ID: "1", Title: "Nombre y apellidos"}, {ID: "2", Title: "Correo electrónico"}, {ID: "3", Title: "Institución"}, {ID: "4", Title: "Foros"},
		}, proposal{attendees.Name: "1", attendees.Email: "2", attendees.Affiliation: "3", attendees.Forums: "4"}},
		"a ref that its author chose, which is what is linked": {agreement, []attendees.Question{
			{ID: "1", Ref: "agreement_version", Title: "Which one did you get?"},
			{ID: "2", Ref: "01f9d2a4-face-4bad-8c1e-0123456789ab", Title: "Full name"},
		}, proposal{attendees.AgreementVersion: "agreement_version", attendees.Name: "01f9d2a4-face-4bad-8c1e-0123456789ab"}},
		"a type before a title": {agreement, []attendees.Question{
			{ID: "1", Title: "May we send you e-mail?", Type: "yes_no"}, {ID: "2", Title: "Where do we reach you?", Type: "email"},
		}, proposal{attendees.Email: "2"}},
		"the first of two, once": {agreement, []attendees.Question{
			{ID: "1", Title: "Name"}, {ID: "2", Title: "Name on the badge"},
		}, proposal{attendees.Name: "1"}},
		"a version that is ticked": {agreement, []attendees.Question{
			{ID: "1", Title: "I have read the participation agreement, version 3, and agree", Type: "checkbox"},
		}, proposal{attendees.Agreed: "1"}},
		"no long text": {forum, []attendees.Question{
			{ID: "1", Title: "Name and anything else", FreeText: true}, {ID: "2", Title: "E-mail", Type: "email", FreeText: true},
		}, proposal{}},
		"no field of another purpose": {forum, []attendees.Question{
			{ID: "1", Title: "I agree", Type: "legal"},
		}, proposal{}},
		"nothing by nothing": {agreement, []attendees.Question{{}, {Title: "Name"}, {ID: "3", Title: "Diet"}, {ID: "4", Title: "Nickname"}}, proposal{}},
	} {
		got := proposal{}
		for _, l := range attendees.Propose(c.purpose, c.questions) {
			if l.Purpose != c.purpose.Name {
				t.Errorf("%s: a link for purpose %q", what, l.Purpose)
			}
			if _, twice := got[l.Field]; twice {
				t.Errorf("%s: two questions for %s", what, l.Field)
			}
			got[l.Field] = l.Question
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
}

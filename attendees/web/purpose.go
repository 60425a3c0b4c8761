package web

import (
	"strings"

	"lethe/attendees/old/attendees"
)

// purposeShown is a purpose in words.
type purposeShown struct {
	Name   attendees.PurposeName
	Title  string
	For    string // what it allows
	Fields string
	Basis  string
	Then   string // what becomes of the fields when the event is blocked
}

func (s *Site) purposes() []purposeShown {
	var all []purposeShown
	for _, u := range s.Store.Policy().Purposes {
		p := purposeShown{Name: u.Name, Title: title(spoken(u.Name)), For: allows(u.Name), Basis: basisName(u.Basis), Then: "deleted"}
		if u.Sealed {
			p.Then = "sealed"
		}
		var fields []string
		for _, f := range u.Fields {
			fields = append(fields, strings.ToLower(fieldName(f)))
		}
		p.Fields = strings.Join(fields, ", ")
		all = append(all, p)
	}
	return all
}

// spoken is a purpose's name as people say it.
func spoken(p attendees.PurposeName) string { return strings.ReplaceAll(string(p), "_", " ") }

func title(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// allows says what a list for a purpose may be used for.
func allows(p attendees.PurposeName) string {
	switch p {
	case attendees.ParticipationAgreement:
		return "To let people in, and to know who has agreed to what. Not for newsletters, and not for others."
	case attendees.Forum:
		return "To prepare the forums, and to write to those who chose them. Not for newsletters, and not for others."
	}
	return "For this purpose, and no other."
}

// basisName is a legal basis of GDPR Art. 6(1).
func basisName(letter string) string {
	name := map[string]string{"a": "consent", "b": "contract", "c": "legal obligation", "f": "legitimate interest"}[letter]
	return name + ", Art. 6(1)(" + letter + ")"
}

// fieldName is a field as people say it.
func fieldName(f attendees.Field) string {
	switch f {
	case attendees.Email:
		return "E-mail address"
	case attendees.Attended:
		return "Checked in"
	case attendees.AgreementVersion:
		return "Agreement version"
	case attendees.AgreedAt, attendees.Agreed:
		return "Agreed at"
	case attendees.Answers:
		return "Further answers"
	}
	return title(strings.ReplaceAll(string(f), "_", " "))
}

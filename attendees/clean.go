package attendees

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is an answer as one text, as long as one may be.
func (a Answer) text() Personal {
	if len(a) == 1 {
		return a[0]
	}
	return cleanPersonal(Personal(a.joined()))
}

// joined is an answer as a person writes it, with "; " between several values.
func (a Answer) joined() string {
	if len(a) == 1 {
		return a[0].Reveal()
	}
	parts := make([]string, len(a))
	for i, v := range a {
		parts[i] = v.Reveal()
	}
	return strings.Join(parts, "; ")
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

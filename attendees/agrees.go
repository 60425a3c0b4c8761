package attendees

import "strings"

// Agrees tells whether an answer is a clear yes, in English, German, French or
// Spanish. In doubt it is none: a contract that nobody concluded would keep people
// under a duty that does not exist.
func Agrees(a Answer) bool {
	if len(a) != 1 {
		return false
	}
	words := strings.FieldsFunc(strings.ToLower(a[0].Reveal()), func(r rune) bool {
		return r == ' ' || r == ',' || r == '.' || r == '!' || r == ':' || r == ';' || r == '(' || r == ')' || r == '-'
	})
	text := " " + strings.Join(words, " ") + " "
	for _, no := range refusals {
		if strings.Contains(text, " "+no+" ") {
			return false
		}
	}
	for _, yes := range consents {
		if strings.HasPrefix(text, " "+yes+" ") {
			return true
		}
	}
	return false
}

// refusals deny wherever they stand.
var refusals = []string{
	"no", "not", "don't", "don’t", "dont", "disagree", "decline", "never", "false",
	"nein", "nicht", "kein", "keine", "keinen", "ablehnen", "lehne",
	"non", "ne", "pas", "refuse", "jamais",
	"nunca", "rechazo", "tampoco",
}

// consents agree where an answer begins with them.
var consents = []string{
	"true", "yes", "y", "ok", "agree", "agreed", "accept", "accepted", "i agree", "i accept", "i have read and agree", "i have read and accept",
	"i consent", "i have agreed", "we agree", "we accept",
	"ja", "zugestimmt", "akzeptiert", "einverstanden", "ich stimme", "ich bin einverstanden", "ich akzeptiere", "ich willige",
	"oui", "j'accepte", "j’accepte", "accepté", "d'accord", "d’accord", "je suis d'accord", "je suis d’accord", "je consens",
	"sí", "si", "acepto", "aceptado", "de acuerdo", "estoy de acuerdo", "consiento",
}

package attendees

import (
	"slices"
	"strings"
	"unicode"
)

// Agrees tells whether an answer is a clear yes, in English, German, French or
// Spanish: one choice or line that says so, with no word that denies it or makes it
// depend on something. In doubt it is none: a contract that nobody concluded would
// keep people under a duty that does not exist.
func Agrees(a Answer) bool {
	if len(a) != 1 || strings.ContainsRune(a[0].Reveal(), '?') {
		return false // a question back is no answer
	}
	words := strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(a[0].Reveal(), "’", "'")), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\''
	})
	for _, w := range words {
		if slices.Contains(refusals, w) || strings.HasSuffix(w, "n't") {
			return false
		}
	}
	text := " " + strings.Join(words, " ") + " "
	says := func(yes string) bool { return strings.Contains(text, " "+yes+" ") }
	begins := func(yes string) bool { return strings.HasPrefix(text, " "+yes+" ") }
	whole := func(yes string) bool { return text == " "+yes+" " }
	return slices.ContainsFunc(vows, says) || slices.ContainsFunc(yeses, begins) || slices.ContainsFunc(ticks, whole)
}

// refusals deny, or make a yes depend on something, wherever they stand.
var refusals = []string{
	"no", "not", "dont", "cannot", "never", "none", "neither", "without", "disagree", "decline", "reject", "refuse", "withdraw",
	"nothing", "false", "if", "unless", "before", "until", "whether", "maybe", "perhaps", "later",
	"nein", "nicht", "nichts", "kein", "keine", "keinen", "keiner", "keinem", "nie", "niemals", "keinesfalls", "keineswegs",
	"ablehnen", "lehne", "dagegen", "widerspreche", "widerrufe", "ohne", "wenn", "falls", "sofern", "ob", "vielleicht", "später",
	"non", "ne", "rien", "n'accepte", "pas", "jamais", "aucun", "aucune", "refusé", "désaccord", "sans", "sauf", "peut", "s'il",
	"nunca", "nada", "jamás", "tampoco", "ni", "ningún", "ninguna", "rechazo", "desacuerdo", "sin", "salvo", "excepto", "quizás", "quizá",
}

// vows agree wherever they stand, as behind "I have read the agreement and".
var vows = []string{
	"i agree", "i accept", "i consent", "i have agreed", "we agree", "we accept", "read and agree", "read and accept",
	"ich stimme zu", "ich akzeptiere", "ich willige ein", "ich bin einverstanden", "gelesen und akzeptiere", "gelesen und akzeptiert",
	"gelesen und stimme zu", "gelesen und bin einverstanden",
	"j'accepte", "et accepte", "je consens", "je suis d'accord", "lu et approuvé",
	"acepto", "estoy de acuerdo", "consiento",
}

// yeses agree where an answer begins with them.
var yeses = []string{
	"yes", "ok", "okay", "agree", "agreed", "accept", "accepted",
	"ja", "zugestimmt", "akzeptiert", "einverstanden", "ich stimme",
	"oui", "accepté", "d'accord",
	"sí", "si\u0301", "aceptado", "aceptada", "de acuerdo",
}

// ticks agree alone; in a sentence they are another word, such as Spanish "y", and,
// or French "si", if.
var ticks = []string{"true", "y", "si"}

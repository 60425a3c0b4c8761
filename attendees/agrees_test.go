package attendees_test

import (
	"testing"

	"pgregory.net/rapid"

	"lethe/attendees"
)

var clearYeses = []string{
	"true", "yes", "Yes", "YES!", " yes ", "y", "OK", "Agree", "Agreed", "I agree", "I agree.", "I accept", "I Accept the participation agreement (v3)",
	"Yes, I agree to the terms", "I have read and agree to the terms", "I have read the agreement and I accept", "✓ Yes", "We agree", "I consent",
	"ja", "Ja.", "Ja, ich bin einverstanden", "Einverstanden", "Ich stimme zu", "Ich stimme der Vereinbarung zu", "Ich akzeptiere die Bedingungen",
	"Ich habe die Vereinbarung gelesen und akzeptiere sie", "Ich willige ein", "zugestimmt",
	"oui", "Oui, j'accepte", "J’accepte", "j'accepte les conditions", "J'ai lu et j'accepte", "D'accord", "Je suis d’accord", "Lu et approuvé",
	"sí", "Si", "si\u0301", "Sí, acepto", "acepto", "Acepto las condiciones", "Estoy de acuerdo", "He leído y acepto",
}

var noYeses = []string{
	"", " ", "false", "no", "No.", "No, thanks", "No, I agree to nothing", "I do not agree", "I don't agree", "I don’t accept", "I can't agree", "I disagree",
	"yes but I won’t sign", "not yet", "Yes, if my employer pays", "Yes?", "Do I accept?", "maybe", "Accept later", "I agree to disagree", "none",
	"agreement", "acceptable", "v2", "12", "2027-06-13", "the participation agreement",
	"nein", "Nein danke", "nicht einverstanden", "Ich bin nicht einverstanden", "Ich stimme nicht zu", "Ich stimme dagegen", "ich lehne ab", "keine Zustimmung", "Ja, sofern es nichts kostet",
	"non", "Non merci", "je n'accepte pas", "Je ne suis pas d'accord", "en désaccord", "peut-être", "refusé",
	"no acepto", "No estoy de acuerdo", "en desacuerdo", "nunca", "si puedo", "y tú", "Ni acepto ni rechazo",
}

func TestAYesAgrees(t *testing.T) {
	for _, text := range clearYeses {
		if !attendees.Agrees(attendees.Answer{attendees.Personal(text)}) {
			t.Errorf("%q is a yes", text)
		}
	}
}

func TestWhatIsDeniedConditionalOrUnclearDoesNotAgree(t *testing.T) {
	for _, text := range noYeses {
		if attendees.Agrees(attendees.Answer{attendees.Personal(text)}) {
			t.Errorf("%q is no yes", text)
		}
	}
	for _, a := range []attendees.Answer{nil, {}, {"yes", "no"}, {"yes", "yes"}} {
		if attendees.Agrees(a) {
			t.Errorf("an answer of %d parts is no yes", len(a))
		}
	}
}

func TestADenialNextToAYesTakesItBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		yes := rapid.SampledFrom(clearYeses).Draw(t, "yes")
		no := rapid.SampledFrom([]string{"no", "not", "don't", "nein", "nicht", "kein", "non", "pas", "nunca", "false"}).Draw(t, "no")
		for _, text := range []string{yes + " " + no, no + " " + yes, yes + ", " + no + "!"} {
			if attendees.Agrees(attendees.Answer{attendees.Personal(text)}) {
				t.Fatalf("%q is no yes", text)
			}
		}
	})
}

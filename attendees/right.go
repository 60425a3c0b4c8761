package attendees

import "slices"

// Right is what a person asks for. The zero Right asks for nothing.
type Right string

// The rights, by their articles of the GDPR. Portability (Art. 20) is a file that anybody
// takes along with access.
const (
	Access        Right = "access"        // Art. 15: what is held
	Rectification Right = "rectification" // Art. 16: this is wrong
	ErasureRight  Right = "erasure"       // Art. 17: let it go
	Restriction   Right = "restriction"   // Art. 18: keep it and don't use it
	Objection     Right = "objection"     // Art. 21: I have reasons against it
	Withdrawal    Right = "withdrawal"    // Art. 7(3): I take my consent back
)

// Rights are all that a person may ask for.
func Rights() []Right {
	return []Right{Access, Rectification, ErasureRight, Restriction, Objection, Withdrawal}
}

// Known tells whether there is such a right.
func (r Right) Known() bool { return slices.Contains(Rights(), r) }

// Article is where the GDPR has it.
func (r Right) Article() string {
	return map[Right]string{
		Access: "Art. 15", Rectification: "Art. 16", ErasureRight: "Art. 17", Restriction: "Art. 18",
		Objection: "Art. 21", Withdrawal: "Art. 7(3)",
	}[r]
}

// Outcome is how a request ended. The zero Outcome: it has not.
type Outcome string

// The outcomes.
const (
	Granted       Outcome = "granted"
	GrantedInPart Outcome = "granted_in_part" // as far as a duty to keep allows
	Refused       Outcome = "refused"
	NothingHeld   Outcome = "nothing_held"
	Merged        Outcome = "merged" // it goes on as another case of the same person
)

// Correctable are the fields that a person may propose a value for. Which registration it
// is, and what was agreed when, the sources alone can say.
func Correctable() []Field {
	return []Field{Name, Email, Ticket, Attended, AgreementVersion, Affiliation, Forums}
}

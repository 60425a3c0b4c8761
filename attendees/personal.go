package attendees

import (
	"fmt"
	"io"
	"log/slog"
)

// Personal is a piece of personal data. It prints, logs and marshals as
// "[personal]": only Reveal gives the text, so to
// see every use of personal data in the program, search for "Reveal(".
//
// What no string type can do: package fmt calls no method of what lies in an unexported
// field, so whatever keeps personal data there must not be printed, and none for %p, nor
// for %w of what is no error (go vet refuses that one); and encoding/json writes a map's
// key of a string type as it is. So no map is keyed by Personal and nothing is printed by
// %p: a test reads our source for both.
//
// database/sql sees through to the string below; that is how it gets into, and out
// of, its room in the database, and the one way that does not say Reveal.
type Personal string

const redacted = "[personal]"

// Reveal gives the text itself.
func (p Personal) Reveal() string { return string(p) }

// Empty tells whether there is anything to hide.
func (p Personal) Empty() bool { return p == "" }

// String hides the text.
func (p Personal) String() string { return redacted }

// Format hides the text from every verb of package fmt, %q and %x included.
func (p Personal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides the text from log/slog.
func (p Personal) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the text from encoding/json and its like. Exports reveal what they
// write.
func (p Personal) MarshalText() ([]byte, error) { return []byte(redacted), nil }

package roster

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/people"
	"lethe/attendees/reader"
)

// Entry is one attendee of a roster, with what lists show. Which origin said what, and when,
// a person's own page asks the reader for.
type Entry struct {
	ID uuid.UUID
	attendees.Attendee
	// HasAgreed tells that they agreed, or counted as having agreed when their event was
	// blocked before.
	HasAgreed bool
	Former    bool // somebody else has the ticket now
}

func entryOf(p reader.Person, policy *attendees.Policy) Entry {
	return Entry{ID: p.ID, Attendee: p.Merged(policy).Shown(policy), HasAgreed: p.Agreed, Former: p.Former}
}

// Handle is how pages and commands name an attendee: a former holder as ID~N.
func (e *Entry) Handle() attendees.AttendeeID {
	if e.Former {
		return people.HolderID(e.Attendee.ID, e.Holder)
	}
	return e.Attendee.ID
}

// View is one attendee as it lies in memory: exports read it without copying a text.
type View struct {
	c               *chunk
	r               *row
	holder          int
	id, name, email []byte
	rest            unpacker // from what was given on
}

func (c *chunk) view(i int) View {
	u := unpacker{c.texts[c.rows[i].texts:c.end(i, textsAt)]}
	v := View{c: c, r: &c.rows[i], id: u.text(), holder: u.number(), name: u.text(), email: u.text()}
	v.rest = u
	return v
}

// Format hides the attendee from every verb of package fmt.
func (v View) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[personal]") }

// Key is the attendee's row key.
func (v View) Key() uuid.UUID { return v.r.key }

// Standing is what has become of the registration.
func (v View) Standing() attendees.Standing { return standings[v.r.standing] }

// Attended tells whether they checked in.
func (v View) Attended() bool { return v.r.flags&attended != 0 }

// HasAgreed tells whether they agreed, or count as having agreed.
func (v View) HasAgreed() bool { return v.r.flags&agreed != 0 }

// AgreedAt is when they agreed, in UTC; zero: never.
func (v View) AgreedAt() time.Time { return moment(v.r.agreed) }

// For tells whether the purpose at a place of the policy has a reason for the attendee.
func (v View) For(place int) bool { return v.r.purposes>>place&1 != 0 }

// AppendID appends how an attendee is named: see Entry.Handle.
func (v View) AppendID(b []byte) []byte {
	b = append(b, v.id...)
	if v.r.flags&former != 0 {
		b = strconv.AppendInt(append(b, '~'), int64(v.holder)+1, 10)
	}
	return b
}

// Append appends a field that has one value whatever the purpose.
func (v View) Append(b []byte, f attendees.Field) []byte {
	switch f {
	case attendees.Name:
		return append(b, v.name...)
	case attendees.Email:
		return append(b, v.email...)
	case attendees.Ticket:
		return append(b, v.c.words[v.r.ticket]...)
	case attendees.AgreementVersion:
		return append(b, v.c.words[v.r.agreement]...)
	}
	return b
}

// Values are what was given for a purpose and a field.
func (v View) Values(p attendees.PurposeName, f attendees.Field) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		g := v.given(p, f)
		for range g.n {
			if !yield(g.values.text()) {
				return
			}
		}
	}
}

// Consent is when consent to a purpose was given, and to which version of the text; the zero
// time: it was not.
func (v View) Consent(p attendees.PurposeName) (at time.Time, version []byte) {
	g := v.given(p, attendees.Consented)
	return moment(g.at), g.version
}

// given is one field that was filled for one purpose, as it is packed.
type given struct {
	kind    string
	at      int64
	version []byte
	n       int
	values  unpacker
}

func (u *unpacker) given(words []string) (g given) {
	g.kind, g.at, g.version, g.n = words[u.number()], u.time(), u.text(), u.number()
	g.values = *u
	for range g.n {
		u.text()
	}
	return g
}

func (v View) given(p attendees.PurposeName, f attendees.Field) given {
	u := v.rest
	for range u.number() {
		g := u.given(v.c.words)
		if k := g.kind; len(k) == len(p)+1+len(f) && k[:len(p)] == string(p) && k[len(p)+1:] == string(f) {
			return g
		}
	}
	return given{}
}

// entry copies an attendee out.
func (v View) entry() *Entry {
	personal := func(b []byte) attendees.Personal { return attendees.Personal(b) }
	e := &Entry{ID: v.r.key, HasAgreed: v.HasAgreed(), Former: v.r.flags&former != 0, Attendee: attendees.Attendee{
		ID: attendees.AttendeeID(v.id), Holder: v.holder, Standing: v.Standing(), Registered: moment(v.r.registered),
		Name: personal(v.name), Email: personal(v.email), Ticket: v.c.words[v.r.ticket], Attended: v.Attended(),
		AgreedAt: v.AgreedAt(), AgreementVersion: v.c.words[v.r.agreement],
	}}
	u := v.rest
	for range u.number() {
		g := u.given(v.c.words)
		p, f, _ := strings.Cut(g.kind, " ")
		one := attendees.Given{Purpose: attendees.PurposeName(p), Field: attendees.Field(f), At: moment(g.at), Version: string(g.version)}
		for range g.n {
			one.Values = append(one.Values, personal(g.values.text()))
		}
		e.Given = append(e.Given, one)
	}
	for range u.number() {
		e.Corrected = append(e.Corrected, attendees.Field(v.c.words[u.number()]))
	}
	for range u.number() {
		e.Answered = append(e.Answered, attendees.Answered{Form: attendees.FormID(v.c.words[u.number()]), Submitted: moment(u.time())})
	}
	return e
}

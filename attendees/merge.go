package attendees

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Attendee is what is shown of one holder of a registration: derived from layers by Merge,
// stored nowhere.
type Attendee struct {
	ID        AttendeeID // the source's
	Holder    int        // 0: the first; later ones got the ticket from the one before
	HeldSince time.Time  // of a later holder

	Standing            Standing
	SourceStatus        string // as the source words it, for people to read
	Registered, Changed time.Time

	Name, Email      Personal
	Ticket           string
	Attended         bool
	AgreedAt         time.Time // zero: never
	AgreementVersion string

	Given     []Given    // what links filled, in their order
	Corrected []Field    // fields whose corrected value is shown
	Filled    []Field    // fields of the registration's own, and of the agreement, that a response filled
	Answered  []Answered // the responses that it comes from, the newest first
	Layers    []Layer    // all that it comes from, in the order in which they count
}

// Given is one field that was filled for one purpose.
type Given struct {
	Purpose   PurposeName
	Field     Field // affiliation, forums, answers.NAME or consented
	Values    []Personal
	At        time.Time // of a consent: when it was given
	Version   string    // of a consent: of what text
	Origin    Origin
	Corrected bool
}

// Answered is one response that an attendee gave.
type Answered struct {
	Form      FormID
	Submitted time.Time
}

// Merge derives what is shown of an attendee: each field from the correction, else the
// registration, else the newest response that has it. A yes counts with the version and the
// time that it was said with, and the latest yes counts.
func Merge(p *Policy, registration Layer, responses []Layer, correction Layer) Attendee {
	r := registration.get()
	a := Attendee{
		ID: AttendeeID(r.ID), Holder: r.Holder, HeldSince: r.HeldSince, Standing: r.Standing, SourceStatus: r.Status,
		Registered: r.Registered, Changed: r.Changed,
		Name: r.Name, Email: r.Email, Ticket: r.Ticket, Attended: r.Attended,
	}
	layers := newestFirst(registration, responses)
	n := 0
	for _, l := range layers {
		n += len(l.c().Given)
	}
	a.Given = make([]Given, 0, n)
	for _, l := range layers {
		c := l.c()
		if c.Origin == FromResponse {
			a.Answered = append(a.Answered, Answered{c.Form, c.Submitted})
		}
		for _, g := range c.Given {
			a.fill(g, c)
		}
	}
	a.agree(layers)
	if correction.c != nil {
		a.correct(p, correction.c())
		layers = append(layers, correction)
	}
	a.Layers = layers
	return a
}

// newestFirst are the layers in the order in which they count.
func newestFirst(registration Layer, responses []Layer) []Layer {
	layers := make([]Layer, 0, len(responses)+2) // with the correction
	for _, l := range responses {
		if l.c != nil {
			layers = append(layers, l)
		}
	}
	slices.SortFunc(layers, func(a, b Layer) int {
		return cmp.Or(b.c().Submitted.Compare(a.c().Submitted), strings.Compare(string(a.c().Form), string(b.c().Form)), strings.Compare(a.c().ID, b.c().ID))
	})
	if registration.c != nil {
		layers = slices.Insert(layers, 0, registration)
	}
	return layers
}

// fill takes a field that nothing newer has filled.
func (a *Attendee) fill(g given, from *content) {
	own := func(field *Personal) {
		if !field.Empty() {
			return
		}
		if *field = g.Values[0]; from.Origin == FromResponse {
			a.Filled = append(a.Filled, g.Field)
		}
	}
	switch g.Field {
	case Name:
		own(&a.Name)
		return
	case Email:
		own(&a.Email)
		return
	case Agreed, AgreementVersion:
		return // see agree
	}
	one := g.of(from)
	for i := range a.Given {
		if o := &a.Given[i]; o.Purpose == g.Purpose && o.Field == g.Field {
			if o.At.Before(g.At) { // of consents the latest counts, as with an agreement
				*o = one
			}
			return
		}
	}
	a.Given = append(a.Given, one)
}

// of is what was given as a content says it.
func (g given) of(c *content) Given {
	one := Given{Purpose: g.Purpose, Field: g.Field, Values: g.Values, At: g.At, Origin: c.Origin}
	if g.Field == Consented {
		one.Version = c.version(g.Purpose)
	}
	return one
}

// version is the version of the text that a yes for a purpose was given to.
func (c *content) version(p PurposeName) string {
	if g := c.find(AgreementVersion, p); g != nil {
		return g.Values[0].Reveal()
	}
	return ""
}

// agree takes the latest yes with its version, or, where nobody was asked for a yes, the
// newest version.
func (a *Attendee) agree(layers []Layer) {
	var from Origin
	for _, l := range layers {
		if yes := l.yes(Agreed); yes != nil && a.AgreedAt.Before(yes.At) {
			a.AgreedAt, a.AgreementVersion, from = yes.At, l.c().version(yes.Purpose), l.c().Origin
		}
	}
	for _, l := range layers {
		i := slices.IndexFunc(l.c().Given, func(g given) bool { return g.Field == AgreementVersion })
		if a.AgreedAt.IsZero() && a.AgreementVersion == "" && i >= 0 {
			a.AgreementVersion, from = l.c().Given[i].Values[0].Reveal(), l.c().Origin
		}
	}
	if from == FromResponse {
		a.Filled = append(a.Filled, AgreedAt, AgreementVersion)
	}
}

// correct puts corrected values over the others. One that says what its source says by now
// has ended.
func (a *Attendee) correct(p *Policy, c *content) {
	for _, g := range c.Given {
		if a.says(g) {
			continue
		}
		a.Corrected = append(a.Corrected, g.Field)
		text := Answer(g.Values).joined()
		switch g.Field {
		case Name:
			a.Name = Personal(text)
		case Email:
			a.Email = Personal(text)
		case Ticket:
			a.Ticket = text
		case Attended:
			a.Attended = text == "yes"
		case AgreementVersion:
			a.AgreementVersion = text
		default:
			a.correctGiven(p, g)
		}
	}
}

// says tells that a field has a correction's values already, for every purpose that has it.
func (a *Attendee) says(correction given) bool {
	text := Answer(correction.Values).joined()
	return a.Text(correction.Field) == text && !slices.ContainsFunc(a.Given, func(g Given) bool {
		return g.Field == correction.Field && Answer(g.Values).joined() != text
	})
}

// correctGiven corrects a field for every purpose that has it; where none does, for the
// first that names it.
func (a *Attendee) correctGiven(p *Policy, c given) {
	some := false
	for i := range a.Given {
		if g := &a.Given[i]; g.Field == c.Field {
			g.Values, g.Origin, g.Corrected, some = c.Values, FromCorrection, true, true
		}
	}
	i := slices.IndexFunc(p.Purposes, func(u Purpose) bool { return u.Allows(c.Field) })
	if !some && i >= 0 {
		a.Given = append(a.Given, Given{Purpose: p.Purposes[i].Name, Field: c.Field, Values: c.Values, Origin: FromCorrection, Corrected: true})
	}
	a.Given = slices.DeleteFunc(a.Given, func(g Given) bool { return len(g.Values) == 0 })
}

// Ended is a correction without the fields that their source agrees with by now; the zero
// Layer where none is left.
func Ended(p *Policy, registration Layer, responses []Layer, correction Layer) Layer {
	a := Merge(p, registration, responses, correction)
	for _, g := range correction.get().Given {
		if !slices.Contains(a.Corrected, g.Field) {
			correction = correction.Uncorrect(g.Field)
		}
	}
	return correction
}

// Text is one field as a person writes it; several values with "; " between.
func (a Attendee) Text(f Field) string {
	switch f {
	case Name:
		return a.Name.Reveal()
	case Email:
		return a.Email.Reveal()
	case Ticket:
		return a.Ticket
	case Attended:
		if a.Attended {
			return "yes"
		}
		return "no"
	case AgreementVersion:
		return a.AgreementVersion
	case AgreedAt:
		if a.AgreedAt.IsZero() {
			return ""
		}
		return a.AgreedAt.Format(time.RFC3339)
	}
	for _, g := range a.Given {
		if g.Field == f {
			return Answer(g.Values).joined()
		}
	}
	return ""
}

// Forums are the forums that were chosen, each once.
func (a Attendee) Forums() []Personal {
	var all []Personal
	for _, g := range a.Given {
		if g.Field != Forums {
			continue
		}
		for _, v := range g.Values {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// Shown is what organisers see of an attendee: the fields of the purposes that have a reason
// for them, and no others.
func (a Attendee) Shown(p *Policy) Attendee {
	some := func(f Field) bool {
		return slices.ContainsFunc(p.Purposes, func(u Purpose) bool { return u.Allows(f) && a.For(u) })
	}
	all := a
	keepOwn(some, &all.Name, &all.Email, &all.Ticket, &all.Attended)
	if !some(AgreementVersion) {
		all.AgreementVersion = ""
	}
	all.Layers = nil
	all.Given = slices.DeleteFunc(slices.Clone(a.Given), func(g Given) bool {
		u, ok := p.Purpose(g.Purpose)
		return !ok || !a.For(u)
	})
	return all
}

// For tells whether a purpose has a reason for this attendee. A registration is one for a
// purpose with a duty, and for one whose fields the registration itself fills. Otherwise
// something must have been given for the purpose; where it names consented, the consent.
// For somebody who is not attending only a duty is a reason.
func (a Attendee) For(u Purpose) bool {
	if a.Standing != Attending && !u.Sealed {
		return false
	}
	gave := func(f func(Field) bool) bool {
		return slices.ContainsFunc(a.Given, func(g Given) bool { return g.Purpose == u.Name && f(g.Field) })
	}
	if slices.Contains(u.Fields, Consented) {
		return gave(func(f Field) bool { return f == Consented })
	}
	if u.Sealed || !slices.ContainsFunc(u.Fields, Field.given) || slices.ContainsFunc(u.Fields, Field.ofRegistration) {
		return true
	}
	return gave(func(Field) bool { return true })
}

// given tells that only links fill the field.
func (f Field) given() bool { return f == Affiliation || f == Forums || f == Answers }

// ofRegistration tells that the field says something of the registration itself.
func (f Field) ofRegistration() bool {
	return f == Ticket || f == Attended || f == AgreedAt || f == AgreementVersion
}

// Stored are the fields that something is stored for.
func (a Attendee) Stored() (fields []Field) {
	for _, f := range []Field{Name, Email, Ticket, AgreementVersion, AgreedAt} {
		if a.Text(f) != "" {
			fields = append(fields, f)
		}
	}
	if a.Attended {
		fields = append(fields, Attended)
	}
	for _, g := range a.Given {
		if f := g.Field.Base(); !slices.Contains(fields, f) {
			fields = append(fields, f)
		}
	}
	return fields
}

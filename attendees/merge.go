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
	Filled    []Field    // fields of the registration's own that a response filled
	Answered  []Answered // the responses that it comes from, the newest first
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
		Name: Personal(r.Name), Email: Personal(r.Email), Ticket: r.Ticket, Attended: r.Attended,
	}
	layers := newestFirst(registration, responses)
	for _, l := range layers {
		if l.c().Origin == FromResponse {
			a.Answered = append(a.Answered, Answered{l.c().Form, l.c().Submitted})
		}
		for _, g := range l.c().Given {
			a.fill(g, l)
		}
	}
	a.agree(layers)
	a.correct(p, correction.get())
	return a
}

// newestFirst are the layers in the order in which they count.
func newestFirst(registration Layer, responses []Layer) []Layer {
	layers := make([]Layer, 0, len(responses)+1)
	if registration.c != nil {
		layers = append(layers, registration)
	}
	for _, l := range responses {
		if l.c != nil {
			layers = append(layers, l)
		}
	}
	from := layers[min(len(layers), 1):]
	if registration.c == nil {
		from = layers
	}
	slices.SortFunc(from, func(a, b Layer) int {
		return cmp.Or(b.c().Submitted.Compare(a.c().Submitted), strings.Compare(string(a.c().Form), string(b.c().Form)), strings.Compare(a.c().ID, b.c().ID))
	})
	return layers
}

// fill takes a field that nothing newer has filled.
func (a *Attendee) fill(g given, l Layer) {
	switch g.Field {
	case Name:
		if a.Name.Empty() {
			a.Name, a.Filled = Personal(g.Values[0]), append(a.Filled, Name)
		}
		return
	case Email:
		if a.Email.Empty() {
			a.Email, a.Filled = Personal(g.Values[0]), append(a.Filled, Email)
		}
		return
	case Agreed, AgreementVersion:
		return // see agree
	}
	if slices.ContainsFunc(a.Given, func(o Given) bool { return o.Purpose == g.Purpose && o.Field == g.Field && g.Field != Consented }) {
		return
	}
	one := Given{Purpose: g.Purpose, Field: g.Field, Values: personal(g.Values), At: g.At, Origin: l.c().Origin}
	if g.Field == Consented { // the latest counts, as with an agreement
		one.Version = l.version(g.Purpose)
		if i := slices.IndexFunc(a.Given, func(o Given) bool { return o.Purpose == g.Purpose && o.Field == Consented }); i >= 0 {
			if a.Given[i].At.Before(one.At) {
				a.Given[i] = one
			}
			return
		}
	}
	a.Given = append(a.Given, one)
}

func personal(texts []string) []Personal {
	all := make([]Personal, len(texts))
	for i, t := range texts {
		all[i] = Personal(t)
	}
	return all
}

// version is the version of the text that a layer's yes for a purpose was given to.
func (l Layer) version(p PurposeName) string {
	for _, g := range l.c().Given {
		if g.Field == AgreementVersion && g.Purpose == p {
			return g.Values[0]
		}
	}
	return ""
}

// agree takes the latest yes with its version, or, where nobody was asked for a yes, the
// newest version.
func (a *Attendee) agree(layers []Layer) {
	for _, l := range layers {
		if yes := l.yes(Agreed, ""); yes != nil && a.AgreedAt.Before(yes.At) {
			a.AgreedAt, a.AgreementVersion = yes.At, l.version(yes.Purpose)
		}
	}
	if !a.AgreedAt.IsZero() {
		return
	}
	for _, l := range layers {
		for _, g := range l.c().Given {
			if g.Field == AgreementVersion && a.AgreementVersion == "" {
				a.AgreementVersion = g.Values[0]
			}
		}
	}
}

// correct puts corrected values over the others. One that says what its source says by now
// has ended.
func (a *Attendee) correct(p *Policy, c content) {
	for _, g := range c.Given {
		text := strings.Join(g.Values, "; ")
		if a.Text(g.Field) == text {
			continue
		}
		a.Corrected = append(a.Corrected, g.Field)
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

// correctGiven corrects a field for every purpose that has it; where none does, for the
// first that names it.
func (a *Attendee) correctGiven(p *Policy, g given) {
	some := false
	for i, o := range a.Given {
		if o.Field == g.Field {
			a.Given[i].Values, a.Given[i].Origin, a.Given[i].Corrected, some = personal(g.Values), FromCorrection, true, true
		}
	}
	i := slices.IndexFunc(p.Purposes, func(u Purpose) bool { return u.Allows(g.Field) })
	if !some && i >= 0 && len(g.Values) > 0 {
		a.Given = append(a.Given, Given{Purpose: p.Purposes[i].Name, Field: g.Field, Values: personal(g.Values), Origin: FromCorrection, Corrected: true})
	}
	a.Given = slices.DeleteFunc(a.Given, func(o Given) bool { return len(o.Values) == 0 })
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
			texts := make([]string, len(g.Values))
			for i, v := range g.Values {
				texts[i] = v.Reveal()
			}
			return strings.Join(texts, "; ")
		}
	}
	return ""
}

// Values are what was given for a field and a purpose.
func (a Attendee) Values(p PurposeName, f Field) []Personal {
	for _, g := range a.Given {
		if g.Purpose == p && g.Field == f {
			return g.Values
		}
	}
	return nil
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

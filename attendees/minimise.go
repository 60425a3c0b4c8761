package attendees

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Minimise reduces a registration to what the policy names. It is pure, and with
// MinimiseResponse and Correct the only way from what came from outside to a Layer.
//
// Name, address, ticket and attendance come from the registration itself; links say which
// of its answers fill which fields.
func (p *Policy) Minimise(r Registration, links FieldLinks) Layer {
	c := &content{
		Origin: FromRegistration, ID: clean(string(r.ID), maxID), Standing: r.standing(), Status: clean(r.Status, maxID),
		Registered: second(r.Created), Changed: second(r.Changed),
		Name: nameOf(r.Name), Email: cleanPersonal(r.Email), Ticket: clean(r.Ticket, maxText), Attended: r.Attended,
	}
	keepOwn(p.Allows, &c.Name, &c.Email, &c.Ticket, &c.Attended)
	// The source tells no time of an answer.
	c.Given = p.given(r.Answers, links, cmp.Or(c.Registered, c.Changed))
	return wrap(c)
}

// keepOwn empties those of a registration's own fields that nothing allows.
func keepOwn(allowed func(Field) bool, name, email *Personal, ticket *string, attended *bool) {
	if !allowed(Name) {
		*name = ""
	}
	if !allowed(Email) {
		*email = ""
	}
	if !allowed(Ticket) {
		*ticket = ""
	}
	*attended = *attended && allowed(Attended)
}

// MinimiseResponse reduces a response to what the policy names and some link maps.
func (p *Policy) MinimiseResponse(r Response, links FieldLinks) Layer {
	return wrap(&content{
		Origin: FromResponse, ID: clean(string(r.ID), maxID), Form: FormID(clean(string(r.Form), maxID)),
		Claims: AttendeeID(clean(string(r.Attendee), maxID)), Submitted: second(r.Submitted),
		Given: p.given(r.Answers, links, second(r.Submitted)),
	})
}

// second is a time as a layer has it. What RFC 3339 cannot write is none: no source may
// make a layer that cannot be read back.
func second(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// undated is when somebody agreed where the source tells no time at all: a yes counts.
var undated = time.Unix(0, 0).UTC()

// given is what answers say, each with its link's purpose, in the order of the links.
func (p *Policy) given(answers map[QuestionID]Answer, links FieldLinks, at time.Time) []given {
	var all []given
	for _, l := range links {
		purpose, ok := p.Purpose(l.Purpose)
		if !ok || !purpose.Allows(l.Field) {
			continue // the policy has changed since the form was linked
		}
		answer := cleanAnswer(answers[l.Question])
		if len(answer) == 0 {
			continue
		}
		g := given{Purpose: l.Purpose, Field: l.Field}
		switch l.Field {
		case Agreed, Consented:
			if !Agrees(answer) {
				continue
			}
			g.Values, g.At = []Personal{"yes"}, cmp.Or(at, undated)
		case Name:
			g.Values = []Personal{nameOf(answer.text())}
		case Email, AgreementVersion, Affiliation:
			g.Values = []Personal{answer.text()}
		case Forums:
			g.Values = answer
		default:
			if _, ok := l.Field.AnswerName(); !ok {
				continue // no answer fills it
			}
			g.Values = answer
		}
		if !g.Values[0].Empty() {
			all = append(all, g)
		}
	}
	return all
}

// Correct adds a corrected field to an attendee's correction, which is zero before the first.
func (p *Policy) Correct(current Layer, f Field, value Personal, at time.Time) (Layer, error) {
	if !slices.Contains(Correctable(), f) || !p.Allows(f) {
		return current, fmt.Errorf("field %q cannot be corrected", f)
	}
	parts := Answer{value}
	if f == Forums {
		parts = nil
		for part := range strings.SplitSeq(value.Reveal(), ";") {
			parts = append(parts, Personal(part))
		}
	}
	values := cleanAnswer(parts)
	if f == Attended && (len(values) != 1 || values[0] != "yes" && values[0] != "no") {
		return current, fmt.Errorf("field %q is corrected to yes or no", f)
	}
	c := current.get()
	c.Origin = FromCorrection
	c.Given = append(c.without(func(g given) bool { return g.Field == f }), given{Field: f, Values: values, At: second(at)})
	return wrap(&c), nil
}

// Uncorrect takes one corrected field back; the zero Layer where none is left.
func (l Layer) Uncorrect(f Field) Layer {
	c := l.get()
	if c.Given = c.without(func(g given) bool { return g.Field == f }); c.Given == nil {
		return Layer{}
	}
	return wrap(&c)
}

// Again minimises a layer by a policy that has become narrower, and by the consents that
// were withdrawn since: what no other purpose names is gone.
func (p *Policy) Again(l Layer, withdrawn ...PurposeName) Layer {
	if l.c == nil {
		return l
	}
	allows := func(u PurposeName, f Field) bool {
		purpose, ok := p.Purpose(u)
		return ok && !slices.Contains(withdrawn, u) && purpose.Allows(f)
	}
	some := func(f Field) bool {
		return slices.ContainsFunc(p.Purposes, func(u Purpose) bool { return allows(u.Name, f) })
	}
	c := *l.c()
	keepOwn(some, &c.Name, &c.Email, &c.Ticket, &c.Attended)
	c.Given = c.without(func(g given) bool {
		if g.Purpose == "" {
			return !some(g.Field)
		}
		return !allows(g.Purpose, g.Field)
	})
	return wrap(&c)
}

// without is what was given but what is gone; nil where nothing is left, as in a layer
// that never had any.
func (c *content) without(gone func(given) bool) []given {
	if left := slices.DeleteFunc(slices.Clone(c.Given), gone); len(left) > 0 {
		return left
	}
	return nil
}

// Linked is a layer with what links still fill: the rest was unlinked.
func (l Layer) Linked(links FieldLinks) Layer {
	if l.c == nil {
		return l
	}
	c := *l.c()
	c.Given = c.without(func(g given) bool {
		return !slices.ContainsFunc(links, func(f FieldLink) bool { return f.Purpose == g.Purpose && f.Field == g.Field })
	})
	return wrap(&c)
}

// Also is a correction with what a later one corrects.
func (l Layer) Also(later Layer) Layer {
	if l.c == nil {
		return later
	}
	c := *l.c()
	for _, g := range later.get().Given {
		c.Given = append(c.without(func(o given) bool { return o.Field == g.Field }), g)
	}
	return wrap(&c)
}

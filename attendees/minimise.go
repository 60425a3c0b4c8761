package attendees

import (
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
	}
	if p.Allows(Name) {
		c.Name = nameOf(r.Name).Reveal()
	}
	if p.Allows(Email) {
		c.Email = cleanPersonal(r.Email).Reveal()
	}
	if p.Allows(Ticket) {
		c.Ticket = clean(r.Ticket, maxText)
	}
	c.Attended = r.Attended && p.Allows(Attended)
	c.Given = p.given(r.Answers, links, r.Created) // the source tells no time of an answer
	return wrap(c)
}

// MinimiseResponse reduces a response to what the policy names and some link maps.
func (p *Policy) MinimiseResponse(r Response, links FieldLinks) Layer {
	return wrap(&content{
		Origin: FromResponse, ID: clean(string(r.ID), maxID), Form: FormID(clean(string(r.Form), maxID)),
		Claims: AttendeeID(clean(string(r.Attendee), maxID)), Submitted: second(r.Submitted),
		Given: p.given(r.Answers, links, r.Submitted),
	})
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

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
			g.Values, g.At = []string{"yes"}, second(at)
		case Name:
			g.Values = []string{nameOf(answer.text()).Reveal()}
		case Email, AgreementVersion, Affiliation:
			g.Values = []string{answer.text().Reveal()}
		default:
			for _, v := range answer {
				g.Values = append(g.Values, v.Reveal())
			}
		}
		if g.Values[0] != "" {
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
	var values []string
	if f == Forums {
		for part := range strings.SplitSeq(value.Reveal(), ";") {
			if part = clean(part, maxText); part != "" && len(values) < maxChoices {
				values = append(values, part)
			}
		}
	} else if text := clean(value.Reveal(), maxText); text != "" {
		values = []string{text}
	}
	if f == Attended && (len(values) != 1 || values[0] != "yes" && values[0] != "no") {
		return current, fmt.Errorf("field %q is corrected to yes or no", f)
	}
	c := current.get()
	c.Origin = FromCorrection
	c.Given = slices.DeleteFunc(slices.Clone(c.Given), func(g given) bool { return g.Field == f })
	c.Given = append(c.Given, given{Field: f, Values: values, At: second(at)})
	return wrap(&c), nil
}

// Uncorrect takes one corrected field back; the zero Layer where none is left.
func (l Layer) Uncorrect(f Field) Layer {
	c := l.get()
	if c.Given = slices.DeleteFunc(slices.Clone(c.Given), func(g given) bool { return g.Field == f }); len(c.Given) == 0 {
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
	for f, text := range map[Field]*string{Name: &c.Name, Email: &c.Email, Ticket: &c.Ticket} {
		if !some(f) {
			*text = ""
		}
	}
	c.Attended = c.Attended && some(Attended)
	c.Given = slices.DeleteFunc(slices.Clone(c.Given), func(g given) bool {
		if g.Purpose == "" {
			return !some(g.Field)
		}
		return !allows(g.Purpose, g.Field)
	})
	if len(c.Given) == 0 {
		c.Given = nil
	}
	return wrap(&c)
}

// Linked is a layer with what links still fill: the rest was unlinked.
func (l Layer) Linked(links FieldLinks) Layer {
	if l.c == nil {
		return l
	}
	c := *l.c()
	c.Given = slices.DeleteFunc(slices.Clone(c.Given), func(g given) bool {
		return !slices.ContainsFunc(links, func(f FieldLink) bool { return f.Purpose == g.Purpose && f.Field == g.Field })
	})
	if len(c.Given) == 0 {
		c.Given = nil
	}
	return wrap(&c)
}

// Also is a correction with what a later one corrects.
func (l Layer) Also(later Layer) Layer {
	if l.c == nil {
		return later
	}
	c := *l.c()
	c.Given = slices.Clone(c.Given)
	for _, g := range later.get().Given {
		c.Given = append(slices.DeleteFunc(c.Given, func(o given) bool { return o.Field == g.Field }), g)
	}
	return wrap(&c)
}

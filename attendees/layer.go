package attendees

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Origin is who says something about an attendee.
type Origin string

// The origins.
const (
	FromRegistration Origin = "registration"
	FromResponse     Origin = "response"
	FromCorrection   Origin = "correction"
)

// Layer is what one origin says about an attendee, minimised, each answer with the purpose
// of its link. Only Policy.Minimise, MinimiseResponse and Correct make one of what came from
// outside, and the store takes nothing else: the compiler keeps the first promise.
//
// Its text, which is sealed, is JSON without spaces, its keys in a fixed order, what is
// empty left out, times in UTC to the second:
//
//	{"origin":"registration","id":"7001","standing":"attending","status":"Attending",
//	 "registered":"2026-10-01T09:00:00Z","changed":"2026-10-01T09:00:00Z",
//	 "name":"Juno Hale","email":"juno@mail.example","ticket":"General","attended":true}
//
//	{"origin":"response","id":"t1","form":"u6nXL7","claims":"7001","submitted":"2026-10-02T10:00:00Z","given":[
//	 {"for":"participation_agreement","field":"agreed","values":["yes"],"at":"2026-10-02T10:00:00Z"},
//	 {"for":"forum","field":"forums","values":["Archives","Open Data"]}]}
//
// A later holder's registration has "holder" and "held_since", too. A correction's fields
// name no purpose. Under a hold, "was" lists earlier readings, the newest first. Equal
// layers have equal texts: a sync compares them to see whether something changed.
//
// The zero Layer says nothing.
type Layer struct{ c func() *content } // a func: package fmt prints what is in unexported fields, and cannot look into one

func wrap(c *content) Layer { return Layer{func() *content { return c }} }

// content is what a layer says.
type content struct {
	Origin Origin `json:"origin"`
	ID     string `json:"id,omitempty"` // the registration's or response's, at its source

	Holder     int       `json:"holder,omitempty"`
	HeldSince  time.Time `json:"held_since,omitzero"` // when a later holder got the ticket
	Standing   Standing  `json:"standing,omitempty"`
	Status     string    `json:"status,omitempty"` // as the source words it
	Registered time.Time `json:"registered,omitzero"`
	Changed    time.Time `json:"changed,omitzero"`

	Form      FormID     `json:"form,omitempty"`
	Claims    AttendeeID `json:"claims,omitempty"` // the attendee that the hidden field names
	Submitted time.Time  `json:"submitted,omitzero"`

	// What the registration itself says, for each purpose that names it.
	Name     Personal `json:"name,omitempty"`
	Email    Personal `json:"email,omitempty"`
	Ticket   string   `json:"ticket,omitempty"`
	Attended bool     `json:"attended,omitempty"`

	Given []given `json:"given,omitempty"` // what links and corrections filled, in the links' order

	// Was are earlier readings, the newest first, of somebody on hold: nothing leaves a layer.
	Was []*content `json:"was,omitempty"`
}

// given is one field that a link or a correction filled, for one purpose.
type given struct {
	Purpose PurposeName `json:"for,omitempty"` // a correction's is empty: it counts for all that name the field
	Field   Field       `json:"field"`
	Values  []Personal  `json:"values,omitempty"`
	At      time.Time   `json:"at,omitzero"` // of a yes: when it was said
}

// errLayer says no more: what cannot be read is personal.
var errLayer = errors.New("a layer cannot be read")

// sound tells that what was parsed can be a layer: only a correction says that something is
// empty.
func (c *content) sound() bool {
	return c != nil && c.Origin != "" &&
		!slices.ContainsFunc(c.Given, func(g given) bool { return len(g.Values) == 0 && c.Origin != FromCorrection }) &&
		!slices.ContainsFunc(c.Was, func(was *content) bool { return !was.sound() })
}

// ParseLayer reads the text of a layer that was opened.
func ParseLayer(text []byte) (Layer, error) {
	c, ok := parseContent(text)
	if !ok || !c.sound() {
		return Layer{}, errLayer
	}
	return wrap(c), nil
}

// Text is the plain text that is sealed: the same bytes for the same layer.
func (l Layer) Text() []byte {
	if l.c == nil {
		return nil
	}
	w := make(writer, 0, 512)
	w.content(l.c())
	return w
}

// JoinLayers is the text of several layers, as a restricted attendee's are sealed.
func JoinLayers(layers []Layer) []byte {
	b := []byte{'['}
	for i, l := range layers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, l.Text()...)
	}
	return append(b, ']')
}

// SplitLayers reads what JoinLayers wrote.
func SplitLayers(text []byte) ([]Layer, error) {
	var all []*content
	if json.Unmarshal(text, &all) != nil {
		return nil, errLayer
	}
	layers := make([]Layer, len(all))
	for i, c := range all {
		if !c.sound() {
			return nil, errLayer
		}
		layers[i] = wrap(c)
	}
	return layers, nil
}

// Format hides the layer from every verb of package fmt.
func (l Layer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (l Layer) get() content {
	if l.c == nil {
		return content{}
	}
	return *l.c()
}

// IsZero tells that the layer says nothing.
func (l Layer) IsZero() bool { return l.c == nil }

// Origin is who says it.
func (l Layer) Origin() Origin { return l.get().Origin }

// Registration is the source's id of the registration, and the number of its holder.
func (l Layer) Registration() (AttendeeID, int) {
	c := l.get()
	return AttendeeID(c.ID), c.Holder
}

// HeldSince is when a later holder got the ticket; zero of the first.
func (l Layer) HeldSince() time.Time { return l.get().HeldSince }

// Standing is what has become of the registration.
func (l Layer) Standing() Standing { return l.get().Standing }

// Registered is when the registration was made, at its source.
func (l Layer) Registered() time.Time { return l.get().Registered }

// Changed is when the registration last changed, at its source.
func (l Layer) Changed() time.Time { return l.get().Changed }

// Response is the source's ids of the form and of the response.
func (l Layer) Response() (FormID, ResponseID) {
	c := l.get()
	return c.Form, ResponseID(c.ID)
}

// Claims is the attendee that the hidden field names; empty where there is none.
func (l Layer) Claims() AttendeeID { return l.get().Claims }

// Submitted is when the response was submitted.
func (l Layer) Submitted() time.Time { return l.get().Submitted }

// Name is the name that it gives.
func (l Layer) Name() Personal { return l.text(l.get().Name, Name) }

// Email is the address that it gives.
func (l Layer) Email() Personal { return l.text(l.get().Email, Email) }

func (l Layer) text(own Personal, f Field) Personal {
	if own != "" || l.c == nil {
		return own
	}
	for _, g := range l.c().Given {
		if g.Field == f && len(g.Values) > 0 {
			return g.Values[0]
		}
	}
	return ""
}

// Agreed tells whether it says yes to the agreement.
func (l Layer) Agreed() bool { return l.yes(Agreed) != nil }

// yes is the latest yes to a field, of all purposes.
func (l Layer) yes(f Field) *given {
	var latest *given
	if l.c == nil {
		return nil
	}
	for i := range l.c().Given {
		if g := &l.c().Given[i]; g.Field == f && (latest == nil || latest.At.Before(g.At)) {
			latest = g
		}
	}
	return latest
}

// As is the layer of a registration's holder of a number, who got the ticket at since.
func (l Layer) As(holder int, since time.Time) Layer {
	c := l.get()
	c.Holder, c.HeldSince = holder, second(since)
	return wrap(&c)
}

// Left is the layer of a registration that is gone at its source, or was handed over.
func (l Layer) Left() Layer {
	c := l.get()
	c.Standing = Gone
	return wrap(&c)
}

// KeepYes is a later reading of the same response, or registration, with each yes of the
// earlier one: questions are made again under new ids, and answers are removed at the
// source, but what was agreed to was agreed to. A yes keeps the version that it was said
// with, whatever the later reading says. took tells that a yes would have been lost.
func (l Layer) KeepYes(before Layer) (kept Layer, took bool) {
	c := l.get()
	c.Given = slices.Clone(c.Given)
	for _, yes := range before.get().Given {
		if yes.Field != Agreed && yes.Field != Consented {
			continue
		}
		version := before.get().find(AgreementVersion, yes.Purpose)
		switch now := c.find(yes.Field, yes.Purpose); {
		case now == nil:
			took = true
			c.Given = append(c.without(func(g given) bool { return g.Field == AgreementVersion && g.Purpose == yes.Purpose }), yes)
		case c.Origin == FromRegistration:
			now.At = yes.At // the source tells no time of an answer: the first reading's stays
		}
		if version != nil && c.find(AgreementVersion, yes.Purpose) == nil {
			c.Given = append(c.Given, *version)
		}
	}
	return wrap(&c), took
}

// find finds what was given for a field and a purpose; nil where nothing was.
func (c content) find(f Field, p PurposeName) *given {
	i := slices.IndexFunc(c.Given, func(g given) bool { return g.Field == f && g.Purpose == p })
	if i < 0 {
		return nil
	}
	return &c.Given[i]
}

// Keeping is a later reading of somebody on hold: the earlier one stays in it, even where
// nothing else is left.
func (l Layer) Keeping(before Layer) Layer {
	if before.c == nil {
		return l
	}
	now, was := l.get(), before.get()
	now.Origin = was.Origin
	earlier := was.Was
	was.Was, now.Was = nil, nil
	if a, b := (wrap(&now)), (wrap(&was)); bytes.Equal(a.Text(), b.Text()) {
		now.Was = earlier
	} else {
		now.Was = append([]*content{&was}, earlier...)
	}
	return wrap(&now)
}

// Released is the layer of somebody whose last hold has ended.
func (l Layer) Released() Layer {
	if l.c == nil || l.c().Was == nil {
		return l
	}
	c := *l.c()
	c.Was = nil
	return wrap(&c)
}

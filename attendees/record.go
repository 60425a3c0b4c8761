package attendees

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Record is what a duty keeps of an attendee once the event is blocked, or, of an attendee on
// hold, everything. Its text, which is sealed, is JSON as plain as it can be, since an
// officer may read it years later with another program:
//
//	{"event":"1","attendee":"7001","standing":"attending","registered":"2026-10-01T09:00:00Z","fields":[
//	 {"field":"name","values":["Juno Hale"],"origin":"registration","purposes":["participation_agreement"]},
//	 {"field":"agreed_at","values":["2026-10-02T10:00:00Z"],"origin":"response","purposes":["participation_agreement"]}],
//	 "responses":[{"form":"u6nXL7","submitted":"2026-10-02T10:00:00Z"}]}
//
// "holder" counts the ticket's earlier holders, "origin" may also be "correction", and then
// "corrected" is true. A consent, "consented", has two values: when it was given, and to
// which version. "other" lists what else is stored of somebody
// on hold: values of earlier readings and older responses, and those that were corrected.
type Record struct {
	Event      EventID        `json:"event"`
	Attendee   AttendeeID     `json:"attendee"`
	Holder     int            `json:"holder,omitempty"`
	Standing   Standing       `json:"standing,omitempty"`
	Registered time.Time      `json:"registered,omitzero"`
	Fields     []RecordField  `json:"fields"`
	Other      []RecordField  `json:"other,omitempty"`
	Responses  []RecordAnswer `json:"responses,omitempty"`
}

// RecordField is one field of a record.
type RecordField struct {
	Field     Field         `json:"field"`
	Values    []string      `json:"values"`
	Origin    Origin        `json:"origin"`
	Corrected bool          `json:"corrected,omitempty"`
	Purposes  []PurposeName `json:"purposes"` // that have a reason for it
}

// RecordAnswer is one response that the record comes from.
type RecordAnswer struct {
	Form      FormID    `json:"form"`
	Submitted time.Time `json:"submitted,omitzero"`
}

// Record makes the record of an attendee: with what purposes with a duty name, or, where
// whole, with all that is stored, whether or not a purpose still has a reason for it.
func (a Attendee) Record(p *Policy, event EventID, whole bool) Record {
	r := Record{Event: event, Attendee: a.ID, Holder: a.Holder, Standing: a.Standing, Registered: a.Registered, Fields: []RecordField{}}
	for _, f := range []Field{Name, Email, Ticket, Attended, AgreementVersion, AgreedAt} {
		one := RecordField{Field: f, Values: []string{a.Text(f)}, Origin: FromRegistration, Corrected: slices.Contains(a.Corrected, f), Purposes: []PurposeName{}}
		for _, u := range p.Purposes {
			if (whole || u.Sealed) && u.Allows(f) && a.For(u) {
				one.Purposes = append(one.Purposes, u.Name)
			}
		}
		stored := whole && (f != Attended || a.Attended)
		if one.Values[0] == "" || len(one.Purposes) == 0 && !stored {
			continue
		}
		switch {
		case one.Corrected:
			one.Origin = FromCorrection
		case slices.Contains(a.Filled, f):
			one.Origin = FromResponse
		}
		r.Fields = append(r.Fields, one)
	}
	for _, g := range a.Given {
		if u, ok := p.Purpose(g.Purpose); whole || ok && u.Sealed && a.For(u) {
			r.Fields = append(r.Fields, g.record())
		}
	}
	if whole {
		r.Other = a.other()
	}
	for _, x := range a.Answered {
		r.Responses = append(r.Responses, RecordAnswer(x))
	}
	return r
}

// other is what layers say, their earlier readings included, and nobody is shown.
func (a Attendee) other() (all []RecordField) {
	for _, l := range a.Layers {
		for _, c := range append([]*content{l.c()}, l.c().Was...) {
			for _, g := range c.said() {
				if len(g.Values) == 0 || a.shows(g) {
					continue
				}
				if one := g.of(c).record(); !slices.ContainsFunc(all, func(o RecordField) bool { return reflect.DeepEqual(o, one) }) {
					all = append(all, one)
				}
			}
		}
	}
	return all
}

// shows tells that something said is what is shown.
func (a Attendee) shows(g given) bool {
	switch g.Field {
	case Name, Email, Ticket, Attended, AgreementVersion:
		return a.Text(g.Field) == Answer(g.Values).joined()
	case Agreed:
		return a.AgreedAt.Equal(g.At)
	}
	return slices.ContainsFunc(a.Given, func(o Given) bool {
		return o.Field == g.Field && (o.Purpose == g.Purpose || g.Purpose == "") && slices.Equal(o.Values, g.Values) && (g.Field != Consented || o.At.Equal(g.At))
	})
}

// said is all that a content says of a person, its own fields included.
func (c *content) said() (all []given) {
	for _, own := range []given{{Field: Name, Values: Answer{c.Name}}, {Field: Email, Values: Answer{c.Email}}, {Field: Ticket, Values: Answer{Personal(c.Ticket)}}} {
		if !own.Values[0].Empty() {
			all = append(all, own)
		}
	}
	if c.Attended {
		all = append(all, given{Field: Attended, Values: Answer{"yes"}})
	}
	return append(all, c.Given...)
}

func (g Given) record() RecordField {
	one := RecordField{Field: g.Field, Origin: g.Origin, Corrected: g.Corrected, Purposes: []PurposeName{}}
	if g.Purpose != "" {
		one.Purposes = append(one.Purposes, g.Purpose)
	}
	for _, v := range g.Values {
		one.Values = append(one.Values, v.Reveal())
	}
	switch g.Field {
	case Consented:
		one.Values = []string{g.At.Format(time.RFC3339), g.Version}
	case Agreed:
		one.Values = []string{g.At.Format(time.RFC3339)}
	}
	return one
}

var errRecord = errors.New("a record cannot be read")

// Text is the plain text that is sealed.
func (r Record) Text() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		panic("attendees: a record is no JSON") // its words would quote the record
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// ParseRecord reads the text of a record that was opened.
func ParseRecord(text []byte) (r Record, err error) {
	if json.Unmarshal(text, &r) != nil || r.Attendee == "" {
		return Record{}, errRecord
	}
	return r, nil
}

// Keeps tells whether any purpose has a duty to keep records.
func (p *Policy) Keeps() bool {
	return slices.ContainsFunc(p.Purposes, func(u Purpose) bool { return u.Sealed })
}

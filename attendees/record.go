package attendees

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Record is what a duty keeps of an attendee once the event is blocked: Merge's result, as
// plain as it can be, since an officer may read it years later with another program.
type Record struct {
	Event      EventID        `json:"event"`
	Attendee   AttendeeID     `json:"attendee"`
	Holder     int            `json:"holder,omitempty"`
	Standing   Standing       `json:"standing,omitempty"`
	Registered time.Time      `json:"registered,omitzero"`
	Fields     []RecordField  `json:"fields"`
	Responses  []RecordAnswer `json:"responses,omitempty"`
}

// RecordField is one field of a record.
type RecordField struct {
	Field     Field         `json:"field"`
	Values    []string      `json:"values"`
	Origin    Origin        `json:"origin"`
	Corrected bool          `json:"corrected,omitempty"`
	Purposes  []PurposeName `json:"purposes"`
}

// RecordAnswer is one response that the record comes from.
type RecordAnswer struct {
	Form      FormID    `json:"form"`
	Submitted time.Time `json:"submitted,omitzero"`
}

// Record makes the record of an attendee: with what purposes with a duty name, or, where
// whole, with everything.
func (a Attendee) Record(p *Policy, event EventID, whole bool) Record {
	r := Record{Event: event, Attendee: a.ID, Holder: a.Holder, Standing: a.Standing, Registered: a.Registered, Fields: []RecordField{}}
	keeps := func(u Purpose) bool { return whole || u.Sealed }
	for _, f := range []Field{Name, Email, Ticket, Attended, AgreementVersion, AgreedAt} {
		var purposes []PurposeName
		for _, u := range p.Purposes {
			if keeps(u) && u.Allows(f) && a.For(u) {
				purposes = append(purposes, u.Name)
			}
		}
		text := a.Text(f)
		if len(purposes) == 0 || text == "" {
			continue
		}
		one := RecordField{Field: f, Values: []string{text}, Origin: FromRegistration, Corrected: slices.Contains(a.Corrected, f), Purposes: purposes}
		switch {
		case one.Corrected:
			one.Origin = FromCorrection
		case slices.Contains(a.Filled, f), (f == AgreedAt || f == AgreementVersion) && len(a.Answered) > 0:
			one.Origin = FromResponse
		}
		r.Fields = append(r.Fields, one)
	}
	for _, g := range a.Given {
		if u, ok := p.Purpose(g.Purpose); !ok || !keeps(u) {
			continue
		}
		one := RecordField{Field: g.Field, Origin: g.Origin, Corrected: g.Corrected, Purposes: []PurposeName{g.Purpose}}
		for _, v := range g.Values {
			one.Values = append(one.Values, v.Reveal())
		}
		if g.Field == Consented {
			one.Values = []string{g.At.Format(time.RFC3339), g.Version}
		}
		r.Fields = append(r.Fields, one)
	}
	for _, x := range a.Answered {
		r.Responses = append(r.Responses, RecordAnswer{x.Form, x.Submitted})
	}
	return r
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

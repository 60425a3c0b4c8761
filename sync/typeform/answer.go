package typeform

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"lethe/attendees/old/attendees"
)

// member is one member of an answer besides its field and its type, as it stands: the
// value comes before the field as often as after it.
type member struct {
	name []byte
	raw  jsontext.Value
}

// answer reads one answer into r, if it is one that was asked for.
func (d *decoder) answer(r *attendees.Response) {
	var id, ref, asks, kind []byte
	d.values = d.values[:0]
	for name := range d.members {
		switch string(name) {
		case "field":
			for name := range d.members {
				switch string(name) {
				case "id":
					id = unquoted(d.raw())
				case "ref":
					ref = unquoted(d.raw())
				case "type":
					asks = unquoted(d.raw())
				default:
					d.skip()
				}
			}
		case "type":
			kind = unquoted(d.raw())
		default:
			d.values = append(d.values, member{name, d.raw()})
		}
	}
	byRef, byID := d.asked[attendees.QuestionID(ref)], d.asked[attendees.QuestionID(id)]
	if d.err != nil || !byRef && !byID {
		return
	}
	got, known := d.value(string(asks), string(kind))
	if !known {
		d.warn(id, ref)
		return
	}
	if len(got) == 0 {
		return
	}
	if r.Answers == nil {
		r.Answers = make(map[attendees.QuestionID]attendees.Answer, len(d.asked))
	}
	// Both, where one link names the ref and another the id.
	if byRef {
		r.Answers[attendees.QuestionID(ref)] = got
	}
	if byID {
		r.Answers[attendees.QuestionID(id)] = got
	}
	for _, text := range got {
		d.Kept += len(text)
	}
}

// value decodes the answer at hand. false means that answers of this kind are not
// decoded: files, payments, signatures, recordings, long text even where its question
// was a short one when it was linked, and whatever Typeform has thought of since.
func (d *decoder) value(asks, kind string) (attendees.Answer, bool) {
	i := slices.IndexFunc(d.values, func(m member) bool { return string(m.name) == kind })
	if i < 0 || asks == "long_text" {
		return nil, false
	}
	raw := d.values[i].raw
	switch kind {
	case "text", "email", "url", "phone_number", "number", "boolean", "date":
		s, ok := scalar(raw)
		return plain(s), ok
	case "choice", "choices":
		return d.choice(raw)
	}
	return nil, false
}

// choice reads {label} or {labels}, and what was typed under "other".
func (d *decoder) choice(raw jsontext.Value) (attendees.Answer, bool) {
	switch raw.Kind() {
	case jsontext.KindNull:
		return nil, true
	case jsontext.KindBeginObject:
	default:
		return nil, false
	}
	w := d.within
	w.reset(raw)
	var labels, other attendees.Answer
	for name := range w.members {
		switch string(name) {
		case "label":
			labels = append(labels, plain(w.scalar())...)
		case "labels":
			for range w.elements {
				labels = append(labels, plain(w.scalar())...)
			}
		case "other":
			other = plain(w.scalar())
		default:
			w.skip()
		}
	}
	return append(labels, other...), w.err == nil
}

// plain is an answer of one text, or none where the text is empty.
func plain(s string) attendees.Answer {
	if s == "" {
		return nil
	}
	return attendees.Answer{attendees.Personal(s)}
}

// warn remembers a field whose answers are not decoded, once for each page.
func (d *decoder) warn(id, ref []byte) {
	field := attendees.QuestionID(id)
	if field == "" {
		field = attendees.QuestionID(ref)
	}
	if !slices.Contains(d.Unknown, field) {
		d.Unknown = append(d.Unknown, field)
	}
}

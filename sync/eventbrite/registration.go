package eventbrite

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"lethe/attendees/old/attendees"
)

// registration takes one attendee; event is the one that it belongs to where it does
// not say so itself.
func (r *reader) registration(event attendees.EventID, questions map[attendees.QuestionID]bool) (attendees.Registration, error) {
	a := attendees.Registration{Event: event}
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text((*string)(&a.ID))
		case "event_id":
			var own attendees.EventID
			err := r.text((*string)(&own))
			if own != "" {
				a.Event = own
			}
			return err
		case "created":
			return r.stamp(&a.Created)
		case "changed":
			return r.stamp(&a.Changed)
		case "ticket_class_name":
			return r.text(&a.Ticket)
		case "status":
			return r.text(&a.Status)
		case "cancelled":
			return r.flag(&a.Cancelled)
		case "refunded":
			return r.flag(&a.Refunded)
		case "checked_in":
			return r.flag(&a.Attended)
		case "profile":
			return r.profile(&a)
		case "answers":
			r.answered = true
			if len(questions) > 0 {
				return r.answers(&a, questions)
			}
		}
		return r.SkipValue()
	})
	return a, err
}

// profile takes name and address, and none of the other seventeen fields.
func (r *reader) profile(a *attendees.Registration) error {
	var first, last string
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "name":
			return r.text((*string)(&a.Name))
		case "first_name":
			return r.text(&first)
		case "last_name":
			return r.text(&last)
		case "email":
			return r.text((*string)(&a.Email))
		}
		return r.SkipValue()
	})
	if strings.TrimSpace(string(a.Name)) == "" {
		a.Name = attendees.Personal(strings.TrimSpace(first + " " + last))
	}
	return err
}

// answers takes the answers to the questions asked for. The question's id may stand
// behind the answer, so the answer stays as bytes until it is known.
func (r *reader) answers(a *attendees.Registration, questions map[attendees.QuestionID]bool) error {
	return r.array(func() error {
		var id attendees.QuestionID
		var kind string
		var begin, end int64 // of the answer within the body
		kept := r.kept
		err := r.object(func(name []byte) error {
			switch string(name) {
			case "question_id":
				return r.text((*string)(&id))
			case "type":
				return r.text(&kind)
			case "answer":
				raw, err := r.ReadValue()
				end = r.InputOffset()
				begin = end - int64(len(raw))
				return err
			}
			return r.SkipValue()
		})
		r.kept = kept
		if err != nil || !questions[id] {
			return err
		}
		answer := r.answer(r.body[begin:end])
		if len(answer) == 1 && manyChoices(kind) {
			answer = split(answer[0])
		}
		if len(answer) == 0 {
			return nil
		}
		if a.Answers == nil {
			a.Answers = make(map[attendees.QuestionID]attendees.Answer, len(questions))
		}
		a.Answers[id] = answer
		return nil
	})
}

// answer takes a text, a number, a yes or no, or a list of them. An address or a date
// comes as an object, which no field of ours holds.
func (r *reader) answer(raw []byte) attendees.Answer {
	switch jsontext.Value(raw).Kind() {
	case '"':
		text, _ := jsontext.AppendUnquote(nil, raw) // it only minds broken letters, and mends them
		if len(text) == 0 {
			return nil
		}
		r.kept += len(text)
		return attendees.Answer{attendees.Personal(text)}
	case '0', 't', 'f':
		r.kept += len(raw)
		return attendees.Answer{attendees.Personal(raw)}
	case '[':
		var all attendees.Answer
		list := newReader(raw)
		// The list was read once as a whole, so it is sound.
		_ = list.array(func() error {
			one, err := list.ReadValue()
			if err == nil && jsontext.Value(one).Kind() != '[' {
				all = append(all, r.answer(one)...)
			}
			return err
		})
		return all
	}
	return nil
}

// choiceSeparator stands between the choices that somebody ticked.
const choiceSeparator = " | "

func manyChoices(kind string) bool {
	switch strings.ToLower(kind) {
	case "checkbox", "checkboxes", "multiple_choice", "multiple choice":
		return true
	}
	return false
}

func split(joined attendees.Personal) attendees.Answer {
	var all attendees.Answer
	for choice := range strings.SplitSeq(string(joined), choiceSeparator) {
		if choice = strings.TrimSpace(choice); choice != "" {
			all = append(all, attendees.Personal(choice))
		}
	}
	return all
}

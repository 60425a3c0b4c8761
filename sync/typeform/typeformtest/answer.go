package typeformtest

import (
	"encoding/json"
	"fmt"
	"slices"

	"lethe/attendees/old/attendees"
)

// Secret stands in everything that Lethe must not keep.
const Secret = "FORBIDDEN-9c1e"

// Answer is what one person answers to one question. The zero Value leaves the
// question unanswered.
type Answer struct {
	Question attendees.QuestionID // its ref
	// Value is a string, a bool, an int, a []string of labels taken, or a
	// json.RawMessage: the answer's members besides "field", as they are sent.
	Value any
}

// Person is who responds.
type Person struct {
	AttendeeID  attendees.AttendeeID // sent as hidden.attendee_id; empty: only the address tells
	Name, Email string
}

// answer renders one answer as the API does.
func answer(q Question, value any) json.RawMessage {
	field := fmt.Appendf(nil, `{"field":{"id":%q,"ref":%q,"type":%q},`, q.ID, q.Ref, q.Type)
	return append(append(field, answered(q, value)...), '}')
}

// answered renders type and value.
func answered(q Question, value any) []byte {
	typed := func(t string, v any) []byte {
		return fmt.Appendf(nil, `"type":%q,%q:%s`, t, t, encode(v))
	}
	switch v := value.(type) {
	case json.RawMessage:
		return v
	case bool:
		return typed("boolean", v)
	case int:
		return typed("number", v)
	case []string:
		return typed("choices", choices(q, v))
	case string:
		switch q.Type {
		case "email", "phone_number", "date", "signature":
			return typed(q.Type, v)
		case "website":
			return typed("url", v)
		case "file_upload":
			return typed("file_url", v)
		case "payment":
			return typed("payment", map[string]any{"amount": "12.00", "last4": "0000", "name": v, "success": true})
		case "multi_format":
			return typed("multi_format", map[string]any{"video_url": v})
		case "multiple_choice", "picture_choice", "dropdown":
			if q.Multiple {
				return typed("choices", choices(q, []string{v}))
			}
			return typed("choice", choice(q, v))
		}
		return typed("text", v)
	}
	panic(fmt.Sprintf("typeformtest: %T is no answer to question %s", value, q.Ref))
}

// choice has no label where somebody typed one of their own.
func choice(q Question, label string) any {
	i := slices.Index(q.Choices, label)
	if i < 0 {
		return map[string]any{"other": label}
	}
	return map[string]any{"id": choiceID(q, i), "ref": choiceRef(q, i), "label": label}
}

func choices(q Question, labels []string) any {
	taken := map[string]any{}
	var ids, refs, known []string
	for _, l := range labels {
		i := slices.Index(q.Choices, l)
		if i < 0 {
			taken["other"] = l
			continue
		}
		ids, refs, known = append(ids, choiceID(q, i)), append(refs, choiceRef(q, i)), append(known, l)
	}
	if known != nil {
		taken["ids"], taken["refs"], taken["labels"] = ids, refs, known
	}
	return taken
}

func choiceID(q Question, i int) string  { return fmt.Sprintf("%.8sCh%02d", q.ID, i) }
func choiceRef(q Question, i int) string { return fmt.Sprintf("%s-%d", q.Ref, i) }

// forbidden is what the sandbox answers to a question that nobody links.
func forbidden(q Question) any {
	switch {
	case q.Type == "file_upload":
		return "https://api.typeform.com/responses/files/" + Secret + "/scan.pdf"
	case q.Type == "phone_number":
		return "+49 30 " + Secret
	case q.Multiple:
		return []string{Secret, q.Choices[0]}
	}
	return Secret + ": no gluten, please"
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("typeformtest: %v", err)) // a value that only a broken test can pass
	}
	return b
}

package typeformtest

import "lethe/attendees/old/attendees"

// Form is a form of the sandbox.
type Form struct {
	ID        attendees.FormID
	Title     string
	Hidden    []string // the names of its hidden fields
	Questions []Question
}

// Question is one question of a form, or a group of questions.
type Question struct {
	ID, Ref attendees.QuestionID
	Title   string
	Type    string   // as Typeform words it
	Choices []string // labels
	// Multiple and Other tell of a choice that several may be taken, or one of one's own typed.
	Multiple, Other bool
	Questions       []Question // of a group, a contact block, a matrix
	// Unlinked marks what no purpose needs: its answers hold Secret.
	Unlinked bool
}

// The forms that the sandbox knows how to build.
const (
	AgreementFormID attendees.FormID = "aGr33mNt"
	ForumFormID     attendees.FormID = "f0Rum5aB"
)

// The refs of their questions that an organiser may link.
const (
	Name             attendees.QuestionID = "name"
	Email            attendees.QuestionID = "email"
	Agree            attendees.QuestionID = "agree"
	AgreementVersion attendees.QuestionID = "agreement-version"
	Affiliation      attendees.QuestionID = "affiliation"
	Forums           attendees.QuestionID = "forums"
	Chair            attendees.QuestionID = "chair"
	FirstTime        attendees.QuestionID = "first-time"
	Sessions         attendees.QuestionID = "sessions"
	Arrival          attendees.QuestionID = "arrival"
)

// Version is the agreement's version in force at the sandbox.
const Version = "2026-1"

// AgreementForm asks for consent to a participation agreement: who, which version,
// yes or no; and, like real forms do, for more than it needs.
func AgreementForm() Form {
	return Form{
		ID:     AgreementFormID,
		Title:  "Participation agreement",
		Hidden: []string{"attendee_id", "utm_source", "phone"},
		Questions: []Question{
			{ID: "stA7emEnt001", Ref: "welcome", Title: "Please read the *agreement* first.", Type: "statement"},
			contact("cOntAct00001", "c0nNam3aaaa1", "c0nMa1laaaa1"),
			{ID: "ver5ionaaa01", Ref: AgreementVersion, Title: "Which version have you read?", Type: "dropdown", Choices: []string{"2025-1", Version}},
			{ID: "legalaaaaa01", Ref: Agree, Title: "I agree to the participation agreement.", Type: "legal"},
			{ID: "dietaaaaaa01", Ref: "diet", Title: "What do you eat?", Type: "short_text", Unlinked: true},
			{ID: "needsaaaaa01", Ref: "needs", Title: "Is there anything else that we should know?", Type: "long_text", Unlinked: true},
			{ID: "upl0adaaaa01", Ref: "signed-copy", Title: "Upload a signed copy, if you like.", Type: "file_upload", Unlinked: true},
			{ID: "signatur3a01", Ref: "signature", Title: "Sign here.", Type: "signature", Unlinked: true},
		},
	}
}

// ForumForm asks for what the event's forums need, within groups.
func ForumForm() Form {
	return Form{
		ID:     ForumFormID,
		Title:  "Forums",
		Hidden: []string{"attendee_id", "utm_source", "phone"},
		Questions: []Question{
			contact("cOntAct00002", "c0nNam3aaaa2", "c0nMa1laaaa2"),
			{ID: "gr0upaaaaa02", Ref: "you", Title: "You and the forums", Type: "group", Questions: []Question{
				{ID: "aff1liatio02", Ref: Affiliation, Title: "Where do you work?", Type: "short_text"},
				{ID: "f0rumsaaaa02", Ref: Forums, Title: "Which forums will you join?", Type: "multiple_choice",
					Choices: []string{"Rivers", "Archives", "Memory"}, Multiple: true, Other: true},
				{ID: "inn3rgro0p02", Ref: "more", Title: "A little more", Type: "inline_group", Questions: []Question{
					{ID: "chairaaaaa02", Ref: Chair, Title: "Would you chair a forum?", Type: "multiple_choice", Choices: []string{"Yes", "No"}, Other: true},
					{ID: "firstaaaaa02", Ref: FirstTime, Title: "Is it your first time?", Type: "yes_no"},
				}},
			}},
			{ID: "sess1onsaa02", Ref: Sessions, Title: "How many sessions will you visit?", Type: "number"},
			{ID: "arr1valaaa02", Ref: Arrival, Title: "When do you arrive?", Type: "date"},
			{ID: "m4trixaaaa02", Ref: "matrix", Title: "How are you?", Type: "matrix", Questions: []Question{
				{ID: "row1aaaaaa02", Ref: "health", Title: "Health", Type: "multiple_choice", Choices: []string{"Well", "Unwell"}, Unlinked: true},
			}},
			{ID: "pronounsaa02", Ref: "faith", Title: "Which holidays do you keep?", Type: "multiple_choice", Choices: []string{"None", "Some"}, Multiple: true, Unlinked: true},
			{ID: "st0ryaaaaa02", Ref: "story", Title: "Tell us about yourself.", Type: "long_text", Unlinked: true},
			{ID: "ph0neaaaaa02", Ref: "phone", Title: "Your telephone number?", Type: "phone_number", Unlinked: true},
			{ID: "ph0toaaaaa02", Ref: "photo", Title: "A photo of you?", Type: "file_upload", Unlinked: true},
			{ID: "paym3ntaaa02", Ref: "fee", Title: "The fee", Type: "payment", Unlinked: true},
			{ID: "v1deoaaaaa02", Ref: "hello", Title: "Say hello.", Type: "multi_format", Unlinked: true},
		},
	}
}

func contact(group, name, email attendees.QuestionID) Question {
	return Question{ID: group, Ref: "contact", Title: "Who are you?", Type: "contact_info", Questions: []Question{
		{ID: name, Ref: Name, Title: "Your name", Type: "short_text"},
		{ID: email, Ref: Email, Title: "Your address", Type: "email"},
	}}
}

// Question finds a question by its ref, at any depth.
func (f Form) Question(ref attendees.QuestionID) (Question, bool) {
	for q := range f.flat() {
		if q.Ref == ref {
			return q, true
		}
	}
	return Question{}, false
}

// flat walks the questions that can be answered, in their order.
func (f Form) flat() func(yield func(Question) bool) {
	return func(yield func(Question) bool) { walk(f.Questions, yield) }
}

func walk(qs []Question, yield func(Question) bool) bool {
	for _, q := range qs {
		switch {
		case len(q.Questions) > 0:
			if !walk(q.Questions, yield) {
				return false
			}
		case q.Type == "statement":
		case !yield(q):
			return false
		}
	}
	return true
}

// definition is the body of GET /forms/{id}. links is the address of the responses;
// empty leaves _links out.
func (f Form) definition(links string) map[string]any {
	d := map[string]any{
		"id":       f.ID,
		"type":     "quiz",
		"title":    f.Title,
		"hidden":   f.Hidden,
		"settings": map[string]any{"language": "en", "is_public": true},
		"fields":   definitions(f.Questions),
		"thankyou_screens": []any{map[string]any{
			"ref": "default_tys", "title": "Thank you", "properties": map[string]any{"show_button": false},
		}},
	}
	if links != "" {
		d["_links"] = map[string]any{"display": "https://sandbox.typeform.com/to/" + string(f.ID), "responses": links}
	}
	return d
}

func definitions(qs []Question) []any {
	all := make([]any, 0, len(qs))
	for _, q := range qs {
		p := map[string]any{}
		if len(q.Questions) > 0 {
			p["fields"] = definitions(q.Questions)
		}
		if len(q.Choices) > 0 {
			var choices []any
			for i, c := range q.Choices {
				choices = append(choices, map[string]any{"id": choiceID(q, i), "ref": choiceRef(q, i), "label": c})
			}
			p["choices"] = choices
			p["allow_multiple_selection"] = q.Multiple
			p["allow_other_choice"] = q.Other
		}
		d := map[string]any{"id": q.ID, "ref": q.Ref, "title": q.Title, "type": q.Type, "properties": p}
		if len(q.Questions) == 0 {
			d["validations"] = map[string]any{"required": false}
		}
		all = append(all, d)
	}
	return all
}

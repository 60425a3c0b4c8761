package attendees

// Question is one question of a form, as its author wrote it; no answer of anybody.
type Question struct {
	ID    QuestionID
	Ref   QuestionID // the author's own key, stable; empty where the source has none
	Title string
	Type  string // as the source words it
	// FreeText tells that the question invites what nobody asked for: long text and
	// uploaded files. GDPR Art. 9 data turns up there, so such a question cannot be linked.
	FreeText bool
	Choices  []string // the labels of the choices, where there are any
}

// Form is one form with its questions, flat: those inside groups stand beside the others.
type Form struct {
	ID        FormID
	Title     string
	Questions []Question
	Host      string // that its responses live at; empty where the definition names none
}

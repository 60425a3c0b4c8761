package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (s *Site) linkRoutes() []route {
	return []route{
		{pattern: "GET /events/{event}/link", may: organisers, do: s.ofOpen(s.chooseForm)},
		{pattern: "POST /events/{event}/link", may: organisers, do: s.ofOpen(s.linkForm)},
	}
}

// formsPage chooses a form and a purpose.
type formsPage struct {
	Event    postgres.Event
	Forms    []choice
	Purposes []purposeShown
	Linked   []linkShown
	Own      attendees.FormID
	Unlisted string // why no forms are listed
}

// linkPage puts a form's questions beside the fields of a purpose.
type linkPage struct {
	Event     postgres.Event
	Form      attendees.Form
	Purpose   purposeShown
	Fields    []fieldChoice
	Questions []questionShown
	Named     []answerChoice // answers under names of the organiser's own
	Again     bool           // it is linked already, and saving replaces
	Sampled   bool
	Of        int
}

// fieldChoice is a field, and the questions that may fill it.
type fieldChoice struct {
	Field   string // as a link names it
	Says    string
	Options []choice
	Filled  int // by so many of the sample
}

type answerChoice struct {
	Name    string
	Options []choice
	Filled  int
}

type questionShown struct {
	Title, Type string
	Closed      bool // it cannot be linked
}

// namedAnswers is how many answers under her own names an organiser maps at once.
const namedAnswers = 2

func (s *Site) chooseForm(w http.ResponseWriter, r *http.Request) error {
	e, q := asked(r).event, r.URL.Query()
	if form := strings.TrimSpace(q.Get("form")); form != "" {
		return s.showLink(w, r, attendees.FormID(form), attendees.PurposeName(q.Get("purpose")), nil)
	}
	p := formsPage{Event: e, Purposes: s.purposes(), Own: attendees.EventbriteForm}
	var err error
	if p.Linked, err = s.linksOf(r.Context(), e); err != nil {
		return err
	}
	forms, err := s.Forms.Forms(r.Context())
	if err != nil && r.Context().Err() == nil {
		s.Log.Warn("list forms", "err", err)
		p.Unlisted = "Typeform does not list its forms at present."
	}
	theirs, err := s.othersForms(r.Context(), asked(r).user)
	if err != nil {
		return err
	}
	for _, f := range forms {
		if !theirs[f.ID] {
			p.Forms = append(p.Forms, choice{Value: string(f.ID), Says: f.Title})
		}
	}
	return s.show(w, r, "forms.html", "Link a form to "+e.Name, p)
}

// othersForms are the forms of events that a user does not see, and of none that she does:
// linked to an event of hers, each would show her who answered it there.
func (s *Site) othersForms(ctx context.Context, u postgres.User) (map[attendees.FormID]bool, error) {
	links, err := s.Store.Links(ctx)
	if err != nil {
		return nil, err
	}
	theirs := map[attendees.FormID]bool{}
	for _, l := range links {
		if l.Form != attendees.EventbriteForm { // every event's own questions are called that
			theirs[l.Form] = true
		}
	}
	for _, l := range links {
		if u.Sees(l.Event) {
			delete(theirs, l.Form)
		}
	}
	return theirs, nil
}

// readForm reads a form's definition for a purpose. Whatever is wrong with the source the
// reader can do something about. A form of others is answered for as one that does not
// exist.
func (s *Site) readForm(ctx context.Context, a *asking, form attendees.FormID, name attendees.PurposeName) (attendees.Form, attendees.Purpose, error) {
	purpose, ok := s.Store.Policy().Purpose(name)
	if !ok {
		return attendees.Form{}, purpose, refused("Say what the answers are for.")
	}
	unread := refused("The form " + string(form) + " could not be read: it may not exist, be another event's, or whoever runs Lethe has set no token that sees it.")
	theirs, err := s.othersForms(ctx, a.user)
	if err != nil {
		return attendees.Form{}, purpose, err
	}
	if theirs[form] {
		return attendees.Form{}, purpose, unread
	}
	f, err := s.Forms.Definition(ctx, a.event, form)
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("read a form", "form", form, "err", err)
		return f, purpose, unread
	}
	return f, purpose, err
}

// showLink shows questions beside fields: what is chosen, or else what is linked, or else
// a proposal.
func (s *Site) showLink(w http.ResponseWriter, r *http.Request, form attendees.FormID, name attendees.PurposeName, chosen *postgres.Link) error {
	e, ctx := asked(r).event, r.Context()
	f, purpose, err := s.readForm(ctx, asked(r), form, name)
	if err != nil {
		return err
	}
	p := linkPage{Event: e, Form: f}
	for _, u := range s.purposes() {
		if u.Name == name {
			p.Purpose = u
		}
	}
	links, err := s.Store.EventLinks(ctx, e.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(links, func(l postgres.Link) bool { return l.Form == form && l.Purpose == name })
	p.Again = i >= 0
	fills := map[attendees.Field]attendees.QuestionID{}
	switch {
	case chosen != nil:
		for _, l := range chosen.Fields {
			fills[l.Field] = l.Question
		}
	case p.Again:
		for _, l := range links[i].Fields {
			fills[l.Field] = l.Question
		}
	default:
		for _, l := range attendees.Propose(purpose, f.Questions) {
			fills[l.Field] = l.Question
		}
	}
	filled := map[attendees.Field]int{}
	if chosen != nil {
		if filled, p.Of, err = s.Forms.Sample(ctx, e, *chosen); err != nil {
			if ctx.Err() == nil {
				s.Log.Warn("read a sample", "form", form, "err", err)
				err = refused("The form's answers could not be read just now.")
			}
			return err
		}
		p.Sampled = true
	}
	p.arrange(purpose, f, fills, filled)
	return s.show(w, r, "link.html", "Link "+f.Title, p)
}

func (p *linkPage) arrange(purpose attendees.Purpose, f attendees.Form, fills map[attendees.Field]attendees.QuestionID, filled map[attendees.Field]int) {
	options := func(chosen attendees.QuestionID) []choice {
		list := []choice{{"", "nothing", chosen == ""}}
		for _, q := range f.Questions {
			if !q.FreeText && q.Key() != "" {
				list = append(list, choice{string(q.Key()), q.Title, q.Key() == chosen})
			}
		}
		return list
	}
	for _, q := range f.Questions {
		p.Questions = append(p.Questions, questionShown{q.Title, strings.ReplaceAll(q.Type, "_", " "), q.FreeText})
	}
	for _, name := range purpose.LinkableFields() {
		field := attendees.Field(name)
		if strings.HasPrefix(name, string(attendees.Answers)) {
			for _, field := range sorted(byText(fills)) {
				if own, ok := attendees.Field(field).AnswerName(); ok {
					p.Named = append(p.Named, answerChoice{own, options(fills[attendees.Field(field)]), filled[attendees.Field(field)]})
				}
			}
			for len(p.Named) < namedAnswers {
				p.Named = append(p.Named, answerChoice{Options: options("")})
			}
			continue
		}
		says := fieldName(field)
		if field == attendees.Agreed {
			says = "Agreed: a clear yes"
		}
		p.Fields = append(p.Fields, fieldChoice{name, says, options(fills[field]), filled[field]})
	}
}

func byText(fills map[attendees.Field]attendees.QuestionID) map[string]bool {
	names := map[string]bool{}
	for f := range fills {
		names[string(f)] = true
	}
	return names
}

// linkForm counts what a choice would fill, or saves it and asks for a pull.
func (s *Site) linkForm(w http.ResponseWriter, r *http.Request) error {
	e, v := asked(r).event, r.PostForm
	form, name := attendees.FormID(v.Get("form")), attendees.PurposeName(v.Get("purpose"))
	if v.Get("do") == "remove" {
		return s.unlink(w, r, form)
	}
	f, purpose, err := s.readForm(r.Context(), asked(r), form, name)
	if err != nil {
		return err
	}
	link := postgres.Link{Event: e.ID, Form: form, Title: f.Title, Host: f.Host, Purpose: name}
	for field, question := range chosenFields(v, purpose) {
		linked, err := postgres.LinkField(f, purpose, attendees.FieldLink{Purpose: name, Field: field, Question: question})
		if err != nil {
			return refused("A field and its question do not go together.")
		}
		link.Fields = append(link.Fields, linked)
	}
	slices.SortFunc(link.Fields, func(a, b postgres.LinkedField) int { return strings.Compare(string(a.Field), string(b.Field)) })
	if len(link.Fields) == 0 {
		return refused("No question fills a field yet: choose one at least.")
	}
	if v.Get("do") != "save" {
		return s.showLink(w, r, form, name, &link)
	}
	if err := s.Store.SaveLink(r.Context(), e, link); err != nil {
		return err
	}
	return s.pull(w, r)
}

// unlinkWithin is how long a form that is just being read is waited for.
const unlinkWithin = 10 * time.Second

// unlink takes a form from an event.
func (s *Site) unlink(w http.ResponseWriter, r *http.Request, form attendees.FormID) error {
	ctx, cancel := context.WithTimeout(r.Context(), unlinkWithin)
	defer cancel()
	e := asked(r).event
	_, err := s.Store.Unlink(ctx, e, form)
	switch {
	case errors.As(err, new(*postgres.NotLinkedError)):
		return refused("This form is not linked.")
	case errors.As(err, new(*postgres.HeldError)):
		return refused("A legal hold stands on the event, or on one of its people, and nothing of it is dropped meanwhile.")
	case errors.Is(err, context.DeadlineExceeded):
		return refused("The form is being read just now. Wait for that.")
	case err != nil:
		return err
	}
	http.Redirect(w, r, paths{}.LinkForm(e.ID), http.StatusSeeOther)
	return nil
}

// chosenFields are the fields for which a question was chosen.
func chosenFields(v url.Values, purpose attendees.Purpose) map[attendees.Field]attendees.QuestionID {
	chosen := map[attendees.Field]attendees.QuestionID{}
	for _, name := range purpose.LinkableFields() {
		if q := v.Get("fill-" + name); q != "" {
			chosen[attendees.Field(name)] = attendees.QuestionID(q)
		}
	}
	names, questions := v["answer-name"], v["answer-question"]
	for i := range min(len(names), len(questions)) {
		field := attendees.Field(string(attendees.Answers) + "." + strings.ReplaceAll(strings.ToLower(strings.TrimSpace(names[i])), " ", "_"))
		if _, ok := field.AnswerName(); ok && questions[i] != "" {
			chosen[field] = attendees.QuestionID(questions[i])
		}
	}
	return chosen
}

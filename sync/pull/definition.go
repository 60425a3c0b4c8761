package pull

import (
	"context"
	"errors"
	"fmt"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
	"lethe/sync/typeform"
)

// sampled is how many of the newest answers a sample reads: one page of either source.
const sampled = 50

// Forms lists the forms that the token sees, with id and title; none where no token is
// set, or the account does not list its forms: each can still be named by its id.
func (p *Puller) Forms(ctx context.Context) ([]attendees.Form, error) {
	if p.Typeform == nil {
		return nil, nil
	}
	forms, err := p.Typeform.Forms(ctx)
	if errors.Is(err, typeform.ErrUnsupported) {
		return nil, nil
	}
	return forms, err
}

// Definition reads a form's questions, or those of the event itself.
func (p *Puller) Definition(ctx context.Context, e postgres.Event, form attendees.FormID) (attendees.Form, error) {
	if form == attendees.EventbriteForm {
		if p.Eventbrite == nil {
			return attendees.Form{}, fmt.Errorf("read the questions of event %s: %w: EVENTBRITE_TOKEN", e.ID, ErrNoToken)
		}
		questions, err := p.Eventbrite.Questions(ctx, e.ID)
		if errors.Is(err, eventbrite.ErrNotFound) {
			return attendees.Form{}, fmt.Errorf("event %s is not known to Eventbrite any more", e.ID)
		}
		return attendees.Form{ID: form, Title: "the event's own questions", Questions: questions}, err
	}
	if p.Typeform == nil {
		return attendees.Form{}, fmt.Errorf("read form %s: %w: TYPEFORM_TOKEN", form, ErrNoToken)
	}
	f, err := p.Typeform.Form(ctx, form)
	if errors.Is(err, typeform.ErrNotFound) {
		return attendees.Form{}, fmt.Errorf("form %s is not known to Typeform, or the token does not see it: its id stands in its address, typeform.com/to/ID", form)
	}
	if err != nil {
		return attendees.Form{}, err
	}
	return f.Form, p.Typeform.CheckRegion(f)
}

// Sample counts how many of the newest answers to a form would fill each field of a link,
// and how many there were. It asks for the linked questions alone, and stores nothing.
func (p *Puller) Sample(ctx context.Context, e postgres.Event, link postgres.Link) (filled map[attendees.Field]int, of int, err error) {
	filled = map[attendees.Field]int{}
	policy, links := p.Store.Policy(), link.FieldLinks()
	asked := map[attendees.QuestionID]bool{}
	var ids []string
	for _, f := range link.Fields {
		asked[f.Question], asked[f.ID] = true, true
		ids = append(ids, string(f.ID))
	}
	if link.Form == attendees.EventbriteForm {
		if p.Eventbrite == nil {
			return nil, 0, fmt.Errorf("read answers of event %s: %w: EVENTBRITE_TOKEN", e.ID, ErrNoToken)
		}
		for page, err := range p.Eventbrite.EventAttendees(ctx, e.ID, eventbrite.Query{Questions: asked}) {
			if err != nil {
				return nil, 0, err
			}
			for _, r := range page.Registrations {
				tell(filled, policy.MinimiseResponse(attendees.Response{Answers: r.Answers, Submitted: r.Changed}, links).Response())
			}
			of += len(page.Registrations)
			break
		}
		return filled, of, nil
	}
	if p.Typeform == nil {
		return nil, 0, fmt.Errorf("read answers of form %s: %w: TYPEFORM_TOKEN", link.Form, ErrNoToken)
	}
	q := typeform.Query{Fields: ids, Questions: asked, RegionKnown: true, PageSize: sampled}
	for page, err := range p.Typeform.Responses(ctx, link.Form, q) {
		if err != nil {
			return nil, 0, err
		}
		for _, r := range page.Responses {
			tell(filled, policy.MinimiseResponse(r, links).Response())
		}
		of += len(page.Responses)
		break
	}
	return filled, of, nil
}

// tell counts the fields that an answer says something about, as a link names them.
func tell(filled map[attendees.Field]int, a attendees.FormAnswers) {
	for f, says := range map[attendees.Field]bool{
		attendees.Name: !a.Name.Empty(), attendees.Email: !a.Email.Empty(), attendees.AgreementVersion: a.AgreementVersion != "",
		attendees.Agreed: !a.AgreedAt.IsZero(), attendees.Affiliation: !a.Affiliation.Empty(), attendees.Forums: len(a.Forums) > 0,
	} {
		if says {
			filled[f]++
		}
	}
	for name := range a.Answers {
		filled[attendees.Answers+"."+attendees.Field(name)]++
	}
}

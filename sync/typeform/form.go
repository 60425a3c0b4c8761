package typeform

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"lethe/attendees/old/attendees"
)

// Form is a form's definition.
type Form struct {
	attendees.Form
	Hidden []string // the names of its hidden fields; "attendee_id" should be one
}

// Form asks for a form's questions. errors.Is(err, ErrNotFound) where there is none.
// The form may live in another region: see CheckRegion.
func (c *Client) Form(ctx context.Context, id attendees.FormID) (Form, error) {
	p, err := path(id, "")
	if err != nil {
		return Form{}, err
	}
	tried := fmt.Sprintf("read form %s", id)
	body, err := c.rest.Get(ctx, p, nil)
	if err != nil {
		return Form{}, failed(tried, err)
	}
	var d struct {
		Title  text              `json:"title"`
		Hidden []text            `json:"hidden"`
		Fields []json.RawMessage `json:"fields"`
		Links  struct {
			Responses text `json:"responses"`
		} `json:"_links"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return Form{}, fmt.Errorf("typeform: %s: %w", tried, ErrReply)
	}
	f := Form{Form: attendees.Form{ID: id, Title: string(d.Title), Questions: flatten(nil, d.Fields)}}
	for _, h := range d.Hidden {
		f.Hidden = append(f.Hidden, string(h))
	}
	if u, err := url.Parse(string(d.Links.Responses)); err == nil {
		f.Host = host(u)
	}
	return f, nil
}

// field is a question, or a group of questions, in a form's definition.
type field struct {
	ID         text `json:"id"`
	Ref        text `json:"ref"`
	Title      text `json:"title"`
	Type       text `json:"type"`
	Properties struct {
		Fields  []json.RawMessage `json:"fields"`
		Choices []struct {
			Label text `json:"label"`
		} `json:"choices"`
	} `json:"properties"`
}

// flatten appends the questions that can be answered. Answers inside groups come flat,
// their parents never appear in them, so parents are no questions. A field that cannot
// be read is left out: one odd field must not hide the others.
func flatten(qs []attendees.Question, fields []json.RawMessage) []attendees.Question {
	for _, raw := range fields {
		var f field
		if json.Unmarshal(raw, &f) != nil || f.ID == "" && f.Ref == "" {
			continue
		}
		if len(f.Properties.Fields) > 0 {
			qs = flatten(qs, f.Properties.Fields)
			continue
		}
		if unasked(string(f.Type)) {
			continue
		}
		q := attendees.Question{
			ID: attendees.QuestionID(f.ID), Ref: attendees.QuestionID(f.Ref),
			Title: string(f.Title), Type: string(f.Type), FreeText: freeText(string(f.Type)),
		}
		for _, c := range f.Properties.Choices {
			if c.Label != "" {
				q.Choices = append(q.Choices, string(c.Label))
			}
		}
		qs = append(qs, q)
	}
	return qs
}

// unasked tells of fields that nobody answers.
func unasked(kind string) bool {
	switch kind {
	case "statement", "group", "inline_group", "contact_info", "address", "matrix":
		return true
	}
	return false
}

// freeText tells of questions that must not be linked: long text, files, signatures,
// payments, and kinds that are unknown here, for nobody knows what they invite.
func freeText(kind string) bool {
	switch kind {
	case "short_text", "email", "phone_number", "website", "number", "date",
		"yes_no", "legal", "checkbox", "multiple_choice", "picture_choice", "dropdown", "ranking",
		"opinion_scale", "rating", "nps":
		return false
	}
	return true
}

// text is a string that reads as empty where something else stands in its place.
type text string

// UnmarshalJSON never fails on a value of another kind.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

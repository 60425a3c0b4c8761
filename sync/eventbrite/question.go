package eventbrite

import (
	"context"
	"fmt"
	"strings"

	"lethe/attendees/old/attendees"
)

// Questions lists what an event asks its attendees besides name and address.
func (c *Client) Questions(ctx context.Context, event attendees.EventID) ([]attendees.Question, error) {
	if err := checkID("event", event); err != nil {
		return nil, err
	}
	l := &listing[[]attendees.Question]{
		client: c, path: "/events/" + string(event) + "/questions/", member: "questions",
		read: func(r *reader, s *sheet[[]attendees.Question]) error {
			return r.array(func() error {
				s.n++
				q, err := r.question()
				if q.ID != "" {
					s.items = append(s.items, q)
				}
				return err
			})
		},
	}
	var all []attendees.Question
	for s, err := range l.walk(ctx, 1) {
		if err != nil {
			return nil, fmt.Errorf("eventbrite: list questions of event %s: %w", event, err)
		}
		all = append(all, s.items...)
	}
	return all, nil
}

func (r *reader) question() (q attendees.Question, err error) {
	err = r.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text((*string)(&q.ID))
		case "question":
			return r.inner("text", &q.Title)
		case "type":
			return r.text(&q.Type)
		case "choices":
			q.Choices = nil
			return r.array(func() error {
				var label string
				err := r.object(func(name []byte) error {
					if string(name) == "answer" {
						return r.inner("text", &label)
					}
					return r.SkipValue()
				})
				if label != "" {
					q.Choices = append(q.Choices, label)
				}
				return err
			})
		}
		return r.SkipValue()
	})
	q.FreeText = freeText(q.Type)
	return q, err
}

// freeText tells the types that invite a story, or a file, from a line of text.
func freeText(kind string) bool {
	switch strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(kind)) {
	case "paragraph", "textarea", "longtext", "multilinetext", "essay", "file", "fileupload", "upload":
		return true
	}
	return false
}

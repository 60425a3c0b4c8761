package eventbrite

import (
	"context"
	"fmt"

	"lethe/attendees/old/attendees"
)

// Organization is one that the token sees.
type Organization struct {
	ID   attendees.OrganizationID
	Name string
}

// Organizations lists those that the token sees. Where there are none it gives the
// user's own id and name, for that id serves in an organisation's place.
func (c *Client) Organizations(ctx context.Context) ([]Organization, error) {
	l := &listing[[]Organization]{
		client: c, path: "/users/me/organizations/", member: "organizations",
		read: func(r *reader, s *sheet[[]Organization]) error {
			return r.array(func() error {
				s.n++
				o, err := r.organization()
				if o.ID != "" {
					s.items = append(s.items, o)
				}
				return err
			})
		},
	}
	var all []Organization
	for s, err := range l.walk(ctx, 1) {
		if err != nil {
			return nil, fmt.Errorf("eventbrite: list organisations: %w", err)
		}
		all = append(all, s.items...)
	}
	if len(all) > 0 {
		return all, nil
	}
	var me Organization
	_, err := c.get(ctx, "/users/me/", nil, func(r *reader) (err error) {
		me, err = r.organization()
		if err == nil && me.ID == "" {
			err = missing("id")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("eventbrite: who the token belongs to: %w", err)
	}
	return []Organization{me}, nil
}

func (r *reader) organization() (o Organization, err error) {
	err = r.object(func(name []byte) error {
		switch string(name) {
		case "id":
			return r.text((*string)(&o.ID))
		case "name":
			return r.text(&o.Name)
		}
		return r.SkipValue()
	})
	return o, err
}

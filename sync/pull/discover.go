package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
	"lethe/sync/typeform"
)

// Discovery is what a look around found.
type Discovery struct {
	Organizations []postgres.Organization
	Events, New   int
	Refused       []string // which organisations don't let their events be seen
}

// Discover asks the sources which organisations and events there are, and looks at
// the definitions of the forms that are linked: their titles, their region, and the
// ids that their questions have at present.
func (p *Puller) Discover(ctx context.Context) (Discovery, error) {
	var d Discovery
	if p.Eventbrite != nil {
		if err := p.discoverEvents(ctx, &d); err != nil {
			return d, fmt.Errorf("discover: %w", err)
		}
	}
	if p.Typeform != nil {
		if err := p.discoverForms(ctx); err != nil {
			return d, fmt.Errorf("discover: %w", err)
		}
	}
	return d, p.Store.SetMark(ctx, postgres.Discovered)
}

func (p *Puller) discoverEvents(ctx context.Context, d *Discovery) error {
	seen, err := p.Eventbrite.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range seen {
		if len(p.Organizations) == 0 || slices.Contains(p.Organizations, o.ID) {
			d.Organizations = append(d.Organizations, postgres.Organization{ID: o.ID, Name: o.Name})
		}
	}
	for _, id := range p.Organizations {
		if !slices.ContainsFunc(d.Organizations, func(o postgres.Organization) bool { return o.ID == id }) {
			return fmt.Errorf("EVENTBRITE_ORGANIZATION names %s, which the token does not see", id)
		}
	}
	if err := p.Store.SaveOrganizations(ctx, d.Organizations); err != nil {
		return err
	}
	for _, o := range d.Organizations {
		attention := ""
		err := p.eventsOf(ctx, o.ID, d)
		if errors.Is(err, eventbrite.ErrRefused) || errors.Is(err, eventbrite.ErrNotFound) {
			attention = fmt.Sprintf("Eventbrite refuses the events of organisation %s to this token, so new ones are not seen: %v. "+
				"A token of its owner may see them; EVENTBRITE_ORGANIZATION can leave it out", o.ID, err)
			d.Refused, err = append(d.Refused, attention), nil
		}
		if err != nil {
			return err
		}
		if err := p.Store.NoteFeed(ctx, postgres.EventsFeed(o.ID), attention); err != nil {
			return err
		}
	}
	return nil
}

// eventsOf saves the events of one organisation.
func (p *Puller) eventsOf(ctx context.Context, org attendees.OrganizationID, d *Discovery) error {
	for page, err := range p.Eventbrite.Events(ctx, org) {
		if err != nil {
			return err
		}
		for i := range page {
			if page[i].Organization == "" {
				page[i].Organization = org
			}
		}
		fresh, err := p.Store.SaveEvents(ctx, attendees.Eventbrite, page)
		if err != nil {
			return err
		}
		d.Events += len(page)
		d.New += fresh
	}
	return nil
}

// discoverForms refreshes linked forms. One that is gone, or lives in another
// region, is put before the operator and keeps nobody else waiting.
func (p *Puller) discoverForms(ctx context.Context) error {
	forms, err := p.Store.LinkedForms(ctx)
	if err != nil {
		return err
	}
	for _, id := range forms {
		form, err := p.Typeform.Form(ctx, id)
		if err == nil {
			err = p.Typeform.CheckRegion(form)
		}
		var region *typeform.WrongRegion
		if errors.As(err, &region) || errors.Is(err, typeform.ErrNotFound) {
			if region != nil { // pulls fail until the region is right again
				if err := p.Store.RefreshForm(ctx, form.Form, form.Host); err != nil {
					return err
				}
			}
			if err := p.Store.FailFeed(ctx, postgres.FormFeed(id), err.Error()); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := p.Store.RefreshForm(ctx, form.Form, form.Host); err != nil {
			return err
		}
	}
	return nil
}

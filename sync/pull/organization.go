package pull

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite"
)

// everything is the time since which all changes are.
var everything time.Time

// closed tells why an event is not asked for; "" where it is.
func (p *Puller) closed(e postgres.Event) string {
	now := p.Now()
	switch {
	case e.Expired(now):
		return "past its delete date, " + e.DeleteOn.String()
	case e.Open(now):
		return ""
	case !e.SealsAsItComes(now):
		return "past its block date, " + e.BlockOn.String()
	case p.Sealer == nil:
		return "past its block date, " + e.BlockOn.String() + ", so its people are to be sealed as they come, and " + seal.ErrNoOfficer.Error()
	}
	return ""
}

// Organization reads what changed in all events of an organisation, in one listing:
// one call when nothing did. Where the organisation refuses that listing, each event
// that is still running is asked for by itself.
//
// It does not make the first pull of an event: Unpulled names those that need one.
func (p *Puller) Organization(ctx context.Context, org attendees.OrganizationID) (Report, error) {
	if p.Eventbrite == nil {
		return Report{}, fmt.Errorf("pull organisation %s: %w", org, ErrNoToken)
	}
	var refused bool
	report, err := p.feed(ctx, postgres.OrganizationFeed(org), func(f *postgres.Feed) (Report, error) {
		links, asked, err := p.eventLinks(ctx)
		if err != nil {
			return Report{}, err
		}
		since, err := p.organizationSince(ctx, org, f)
		if err != nil {
			return Report{}, err
		}
		passed, err := p.passed(ctx, org)
		if err != nil {
			return Report{}, err
		}
		r := &run{
			Puller: p, feed: f, links: links, asked: asked, admit: p.admit, passed: passed,
			list: func(q eventbrite.Query) iter.Seq2[eventbrite.Page, error] {
				return p.Eventbrite.OrganizationAttendees(ctx, org, q)
			},
		}
		whole, err := r.read(ctx, since)
		f.Attention = ""
		if errors.Is(err, eventbrite.ErrRefused) {
			refused = true
			f.Attention = fmt.Sprintf("Eventbrite refuses the listing of organisation %s to this token, so each event is asked for by itself: "+
				"slower, and more calls. A token of an organisation's owner may read it", org)
			f.Watermark = nil // read from the events' own pulls once it is allowed again
			f.RunStarted, f.RunSince = nil, nil
			err = r.finish(ctx, true, nil)
			return r.report, err
		}
		if err != nil {
			return r.report, err
		}
		err = r.finish(ctx, whole, nil)
		return r.report, err
	})
	if err != nil || !refused {
		return report, err
	}
	return p.eachRunning(ctx, org, report)
}

// passed are an organisation's events that take nothing in any more, by our clock.
func (p *Puller) passed(ctx context.Context, org attendees.OrganizationID) ([]postgres.Event, error) {
	events, err := p.Store.Events(ctx)
	return slices.DeleteFunc(events, func(e postgres.Event) bool {
		return e.Organization != org || e.Open(p.Now()) || e.SealsAsItComes(p.Now())
	}), err
}

// organizationSince is from when on an organisation's changes are read: its
// watermark, or, the first time, the oldest of its events' own.
func (p *Puller) organizationSince(ctx context.Context, org attendees.OrganizationID, f *postgres.Feed) (time.Time, error) {
	if f.Watermark != nil {
		return f.Watermark.Add(-overlap), nil
	}
	since := earlier(p.Now(), p.Eventbrite.Skew)
	events, err := p.Store.Events(ctx)
	if err != nil {
		return since, err
	}
	feeds, err := p.Store.Feeds(ctx)
	if err != nil {
		return since, err
	}
	read := map[postgres.FeedName]time.Time{}
	for _, own := range feeds {
		if own.Watermark != nil {
			read[own.Name] = *own.Watermark
		}
	}
	for _, e := range events {
		if e.Organization == org && e.Open(p.Now()) && e.PulledAt != nil {
			if own := read[postgres.EventFeed(e.ID)]; !own.IsZero() && own.Before(since) {
				since = own
			}
		}
	}
	return since.Add(-overlap), nil
}

// eachRunning asks for the changes of each event that has not ended, since the
// organisation's own listing is refused. What is over is reconciled daily anyway.
func (p *Puller) eachRunning(ctx context.Context, org attendees.OrganizationID, report Report) (Report, error) {
	events, err := p.Store.Events(ctx)
	if err != nil {
		return report, err
	}
	var failed []error
	for _, e := range events {
		over := e.EndsOn.Before(e.Today(p.Now()))
		if e.Organization != org || over || e.PulledAt == nil || !e.Open(p.Now()) {
			continue
		}
		one, err := p.Event(ctx, e.ID)
		report.Add(one)
		if err != nil && passes(ctx, err) { // nobody else would get further
			return report, err
		}
		failed = append(failed, err)
	}
	return report, errors.Join(failed...)
}

// admit discovers events that a listing names and that are not known yet, so that
// their people have a room to go to.
func (p *Puller) admit(ctx context.Context, registrations []attendees.Registration) error {
	ids := map[attendees.EventID]bool{}
	for _, reg := range registrations {
		ids[reg.Event] = true
	}
	list := make([]attendees.EventID, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	known, err := p.Store.KnownEvents(ctx, list)
	if err != nil {
		return err
	}
	for _, id := range list {
		if _, ok := known[id]; ok || id == "" {
			continue
		}
		e, err := p.Eventbrite.Event(ctx, id)
		if errors.Is(err, eventbrite.ErrNotFound) || errors.Is(err, eventbrite.ErrRefused) {
			continue // a draft that was deleted, somebody else's event: nobody to keep
		}
		if err != nil {
			return fmt.Errorf("discover event %s: %w", id, err)
		}
		if _, err := p.Store.SaveEvents(ctx, attendees.Eventbrite, []attendees.Event{e}); err != nil {
			return err
		}
	}
	return nil
}

// Unpulled lists the events whose own listing has not been read to its end yet, those
// whose people are sealed as they come last.
func (p *Puller) Unpulled(ctx context.Context) ([]attendees.EventID, error) {
	events, err := p.Store.Events(ctx)
	if err != nil {
		return nil, err
	}
	var ids []attendees.EventID
	for _, e := range events {
		if e.PulledAt == nil && p.closed(e) == "" {
			ids = append(ids, e.ID)
		}
	}
	return ids, nil
}

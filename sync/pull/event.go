package pull

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
)

// Event reads an event's own listing: the first time, and where reconcile is asked,
// all of it; else what changed since. A listing that was cut off goes on at the page it
// had reached. An event that is past its block date is not asked for, but
// where it was so when it was first seen: its people are sealed as they come, once.
func (p *Puller) Event(ctx context.Context, id attendees.EventID) (Report, error) {
	return p.eventFeed(ctx, id, false)
}

// Reconcile reads an event's complete listing and compares it with what is held:
// check-ins show only there, and so does who is gone upstream. Each of those is
// asked for by id before it is believed, and more than a handful is never believed
// at all but put before the operator: a misread listing must not cost anybody.
func (p *Puller) Reconcile(ctx context.Context, id attendees.EventID) (Report, error) {
	return p.eventFeed(ctx, id, true)
}

func (p *Puller) eventFeed(ctx context.Context, id attendees.EventID, reconcile bool) (Report, error) {
	if p.Eventbrite == nil {
		return Report{}, fmt.Errorf("pull event %s: %w", id, ErrNoToken)
	}
	e, err := p.Store.Event(ctx, id)
	if err != nil {
		return Report{}, err
	}
	if why := p.closed(e); why != "" {
		return Report{Skipped: why}, nil
	}
	if e.SealsAsItComes(p.Now()) {
		return p.history(ctx, id)
	}
	return p.feed(ctx, postgres.EventFeed(id), func(f *postgres.Feed) (Report, error) {
		links, asked, err := p.eventLinks(ctx)
		if err != nil {
			return Report{}, err
		}
		r := &run{
			Puller: p, feed: f, links: links, asked: asked,
			list: func(q eventbrite.Query) iter.Seq2[eventbrite.Page, error] {
				return p.Eventbrite.EventAttendees(ctx, id, q)
			},
		}
		// A complete listing that was cut off goes on, whoever comes by: it brings what
		// has changed, too.
		open := f.RunStarted != nil && f.RunSince == nil
		if e.PulledAt != nil && !reconcile && f.Watermark != nil && !open {
			whole, err := r.read(ctx, f.Watermark.Add(-overlap))
			if err == nil {
				err = r.finish(ctx, whole, nil)
			}
			return r.report, err
		}
		whole, err := r.read(ctx, everything)
		if err != nil {
			return r.report, err
		}
		if err := p.letGo(ctx, r, e); err != nil {
			return r.report, err
		}
		err = r.finish(ctx, whole, func(tx *sqlx.Tx) error {
			return p.Store.MarkPulled(ctx, tx, e, whole)
		})
		return r.report, err
	})
}

const (
	// handfulShare and handfulMost: nobody is let go when a listing misses more of an
	// event than this.
	handfulShare = 0.05
	handfulMost  = 20
	// handfulLeast lets somebody leave a small event: 5 % of 12 people is nobody.
	handfulLeast = 3
)

// handful is how many of an event's people may be gone upstream and be believed.
// Half of an event, or more, is always a misread listing.
func handful(held int) int {
	n := min(max(int(float64(held)*handfulShare), handfulLeast), handfulMost)
	return max(min(n, (held-1)/2), 1)
}

// letGo finds who is gone upstream. Who is there after all, and was only missing
// from the listing, is saved as found.
func (p *Puller) letGo(ctx context.Context, r *run, e postgres.Event) error {
	missing, held, err := p.Store.Missing(ctx, e, r.listing)
	if err != nil {
		return err
	}
	r.feed.Attention = ""
	if len(missing) > handful(held) && !p.BelieveGone {
		r.feed.Attention = fmt.Sprintf("Eventbrite's listing of event %s misses %d of %d people. Nobody was let go. "+
			"If they are gone there too: lethe sync %s --believe-gone", e.ID, len(missing), held, e.ID)
		r.report.Attention, r.report.Stopped = r.feed.Attention, true
		return nil
	}
	var gone []attendees.AttendeeID
	for _, id := range missing {
		reg, err := p.Eventbrite.Attendee(ctx, e.ID, id, r.asked)
		if errors.Is(err, eventbrite.ErrNotFound) {
			gone = append(gone, id)
			continue
		}
		if err != nil {
			return fmt.Errorf("ask for one who is missing from the listing: %w", err)
		}
		r.batch = append(r.batch, p.Store.Policy().Minimise(reg, r.links[reg.Event]))
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if len(gone) == 0 {
		return nil
	}
	n, err := p.Store.MarkGone(ctx, e, attendees.Eventbrite, gone)
	if err != nil {
		return err
	}
	r.report.Add(Report{Events: map[attendees.EventID]postgres.Changes{e.ID: {Gone: n}}})
	return nil
}

// Attendee reads one registration by its id, as a webhook asks for it. Of an event that is
// past its block date nobody is asked for.
func (p *Puller) Attendee(ctx context.Context, event attendees.EventID, id attendees.AttendeeID) (Report, error) {
	if p.Eventbrite == nil {
		return Report{}, fmt.Errorf("pull an attendee of event %s: %w", event, ErrNoToken)
	}
	e, err := p.Store.Event(ctx, event)
	if err != nil {
		return Report{}, err
	}
	if !e.Open(p.Now()) {
		return Report{Skipped: cmp.Or(p.closed(e), "its people are sealed as they come, by its own listing")}, nil
	}
	links, asked, err := p.eventLinks(ctx)
	if err != nil {
		return Report{}, err
	}
	reg, err := p.Eventbrite.Attendee(ctx, event, id, asked)
	if err != nil {
		return Report{}, err
	}
	report := newReport()
	err = p.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		one := []attendees.Minimised{p.Store.Policy().Minimise(reg, links[reg.Event])}
		report.Events, err = p.Store.Save(ctx, tx, p.Sealer, attendees.Eventbrite, one)
		return err
	})
	report.People = 1
	return report, err
}

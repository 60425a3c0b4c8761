package pull

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
)

// history pulls an event that was past its block date when it was first seen: once, to
// its end, sealing as it comes. What cuts it off, it goes on at the page it had reached.
// Its forms follow, and the last feed to run dry ends it.
func (p *Puller) history(ctx context.Context, id attendees.EventID) (Report, error) {
	report, err := p.feed(ctx, postgres.EventFeed(id), func(f *postgres.Feed) (Report, error) {
		if err := p.Store.CheckClock(ctx, p.Simulated); err != nil {
			return Report{}, err
		}
		e, err := p.Store.BeginHistory(ctx, id)
		if err != nil || e.PulledAt != nil && e.SealsAsItComes(p.Now()) {
			return newReport(), err
		}
		if !e.SealsAsItComes(p.Now()) {
			return Report{Skipped: cmp.Or(p.closed(e), "postponed a moment ago: the next pull reads it")}, nil
		}
		links, asked, err := p.eventLinks(ctx)
		if err != nil {
			return Report{}, err
		}
		r := &run{
			Puller: p, feed: f, links: links, asked: asked,
			event: &e, seals: true,
			list: func(q eventbrite.Query) iter.Seq2[eventbrite.Page, error] {
				return p.Eventbrite.EventAttendees(ctx, id, q)
			},
		}
		whole, err := r.read(ctx, everything)
		if err != nil {
			return r.report, err
		}
		err = r.finish(ctx, whole, func(tx *sqlx.Tx) error { return p.Store.MarkHistoryRead(ctx, tx, e) })
		return r.report, err
	})
	if err == nil && report.Skipped == "" {
		err = p.endHistory(ctx, &report, id)
	}
	return report, err
}

// endHistory blocks the event for good where all its feeds have run dry. It is called
// while no feed is locked: blocking takes locks and connections of its own.
func (p *Puller) endHistory(ctx context.Context, report *Report, id attendees.EventID) error {
	n, err := p.Store.Block(ctx, id, p.Sealer)
	if err != nil {
		return fmt.Errorf("seal event %s: %w", id, err)
	}
	if !n.Coming {
		report.Add(Report{Sealed: map[attendees.EventID]postgres.Blocking{id: n}})
		return nil
	}
	if p.Typeform != nil {
		return nil
	}
	e, err := p.Store.Event(ctx, id)
	if err != nil {
		return err
	}
	forms, err := p.Store.Undry(ctx, e)
	if err != nil || len(forms) == 0 {
		return err
	}
	report.Attention = fmt.Sprintf("The people of event %s are sealed, and their answers to form %s cannot be read: TYPEFORM_TOKEN is not set. "+
		"Until then more may be linked, and nobody without an agreement goes", id, forms[0])
	return nil
}

package pull

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite"
)

// run reads one listing of Eventbrite's attendees to its end.
type run struct {
	*Puller
	feed  *postgres.Feed
	list  func(eventbrite.Query) iter.Seq2[eventbrite.Page, error]
	links map[attendees.EventID]attendees.FieldLinks
	asked map[attendees.QuestionID]bool
	// admit looks at a page before it is saved: it may discover events.
	admit  func(context.Context, []attendees.Registration) error
	passed []postgres.Event // of which the listing may name people whom nothing takes in, by our clock

	event *postgres.Event // whose listing this is, where its people are sealed as they come
	seals bool

	report  Report
	listing *postgres.Listing // who was named
	total   int               // as the listing counts; -1: unknown
	batch   []attendees.Minimised
	flushed time.Time
}

const (
	// rereads bounds how often a run's own changes are read again: with each round
	// they are those of a shorter time, so three end all but a flood, which the next
	// pull's overlap catches.
	rereads = 3
	// mostPasses bounds how often a listing is read again because the source counts more
	// people than were seen: items slip from one page to another under the reader.
	mostPasses = 3
)

// read reads the listing from since (zero: everything), or goes on where an earlier
// run of the same kind was cut off. Listings shift under the reader: whoever changes
// moves to the end, and everyone behind moves a place forwards, onto a page that was
// read already. So what changed meanwhile is read again at the end, and a listing that
// named fewer people than it counts is read once more. It tells whether as many were
// named, at last, as there are.
func (r *run) read(ctx context.Context, since time.Time) (whole bool, err error) {
	r.report, r.total, r.listing = newReport(), -1, &postgres.Listing{}
	f := r.feed
	goesOn := f.RunStarted != nil && f.RunPage > 0 && len(f.RunSeen) > 0 && (f.RunSince == nil) == since.IsZero()
	if goesOn {
		r.listing = postgres.ListingOf(f.RunSeen)
		if f.RunSince != nil {
			since = *f.RunSince
		}
	} else {
		now := r.Now()
		f.RunStarted, f.RunSince, f.RunPage, f.RunSeen = &now, nil, 0, nil
		if !since.IsZero() {
			f.RunSince = &since
		}
	}
	for pass := 1; ; pass++ {
		pages, err := r.walk(ctx, since, max(f.RunPage, 1), true)
		if err != nil {
			r.keep(ctx)
			return false, err
		}
		again := pages != 1 || goesOn
		for round, changed := 0, *f.RunStarted; again && round < rereads; round++ {
			now, before := r.began(), r.listing.Len()
			reread, err := r.walk(ctx, changed.Add(-overlap), 1, false)
			if err != nil {
				r.keep(ctx)
				return false, err
			}
			if r.total >= 0 { // who shows only here may have come since the listing counted
				r.total += r.listing.Len() - before
			}
			changed, again = now, reread > 1
		}
		// Where a listing has shrunk to less than was read, it has not said what it counts.
		whole = pages > 0 && (r.total < 0 || r.listing.Len() >= r.total)
		if whole || pass == mostPasses {
			return whole, nil
		}
		f.RunPage = 0
	}
}

// began is the time of a reading that begins now: ours, or the source's where that is
// behind, since it is the source's changes that must not be missed.
func (r *run) began() time.Time { return earlier(r.Now(), r.Eventbrite.Skew) }

// keep saves what was read before a rate limit, a failure or a stop, so that the next
// run goes on from there.
func (r *run) keep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		r.Log.Debug("what was read last is read again", "feed", r.feed.Name, "why", err)
	}
}

// keepTimeout leaves a stopping worker most of its ten seconds.
const keepTimeout = 3 * time.Second

// walk reads pages from number from on, and says how many there were.
func (r *run) walk(ctx context.Context, since time.Time, from int, counts bool) (pages int, err error) {
	r.flushed = r.Now()
	people, skipped := 0, 0
	for page, err := range r.list(eventbrite.Query{Since: since, FromPage: from, Questions: r.asked}) {
		if err != nil {
			return pages, err
		}
		if pages++; counts && pages == 1 { // the first reply tells the source's clock
			started := r.began()
			if err := r.passable(ctx, r.feed.Name, r.passed, started); err != nil {
				return pages, err
			}
			if started.Before(*r.feed.RunStarted) {
				r.feed.RunStarted = &started
			}
		}
		people += len(page.Registrations)
		if err := r.take(ctx, page); err != nil {
			return pages, err
		}
		if counts {
			skipped += page.Skipped
			r.feed.RunPage, r.total = page.Number, page.Total
			if r.total >= 0 {
				r.total -= skipped
			}
		}
		if len(r.batch) >= postgres.SaveBatch || r.Now().Sub(r.flushed) >= saveEvery {
			if err := r.flush(ctx); err != nil {
				return pages, err
			}
		}
		r.tell(Progress{Feed: r.feed.Name, Page: page.Number, Pages: page.Pages, People: people, Total: page.Total})
	}
	return pages, r.flush(ctx)
}

// take minimises a page, first of all: from here on nothing else of it exists.
func (r *run) take(ctx context.Context, page eventbrite.Page) error {
	r.report.Pages++
	r.report.People += len(page.Registrations)
	r.report.Bytes += page.Bytes
	r.report.Kept += page.Kept
	if page.Skipped > 0 {
		r.Log.Warn("registrations without an id or of no event were left out", "feed", r.feed.Name, "count", page.Skipped)
	}
	if r.admit != nil {
		if err := r.admit(ctx, page.Registrations); err != nil {
			return err
		}
	}
	for _, reg := range page.Registrations {
		r.batch = append(r.batch, r.Store.Policy().Minimise(reg, r.links[reg.Event]))
		r.listing.Saw(attendees.Eventbrite, reg.ID)
	}
	return nil
}

// flush saves the batch and the progress in one transaction.
func (r *run) flush(ctx context.Context) error {
	r.flushed, r.feed.RunSeen = r.Now(), r.listing.Bytes()
	var changes map[attendees.EventID]postgres.Changes
	err := r.Store.InTx(ctx, func(tx *sqlx.Tx) (err error) {
		if changes, err = r.store(ctx, tx); err != nil {
			return err
		}
		_, err = r.Store.SaveFeed(ctx, tx, *r.feed)
		return err
	})
	if err != nil {
		return err
	}
	r.report.Add(Report{Events: changes})
	r.batch = r.batch[:0]
	return nil
}

func (r *run) store(ctx context.Context, tx *sqlx.Tx) (map[attendees.EventID]postgres.Changes, error) {
	if !r.seals {
		changes, err := r.Store.Save(ctx, tx, r.Sealer, attendees.Eventbrite, r.batch)
		if err != nil {
			return changes, err
		}
		return changes, r.Store.Relinked(ctx, tx, r.links, slices.Collect(maps.Keys(changes)))
	}
	n, err := r.Store.SealRegistrations(ctx, tx, r.Sealer, attendees.Eventbrite, r.event.ID, r.batch)
	return map[attendees.EventID]postgres.Changes{r.event.ID: n}, err
}

// shortAtMost is how long a listing of changes may go on naming fewer people than it
// counts before it is believed to miscount: until then the same is read again each
// time, afterwards whom it missed is left to the reconcile.
const shortAtMost = 24 * time.Hour

// finish moves the watermark, unless the source did not run dry: a listing of changes
// was not whole. also runs in the same transaction.
func (r *run) finish(ctx context.Context, whole bool, also func(tx *sqlx.Tx) error) error {
	now := r.Now()
	f := r.feed
	if whole || f.RunSince == nil || now.Sub(*f.RunSince) > shortAtMost {
		f.Watermark = f.RunStarted
	}
	if !whole && f.RunSince != nil {
		r.report.Attention = fmt.Sprintf("Eventbrite's listing of changes counts %d people and named %d: the next pull asks for the same again", r.total, r.listing.Len())
	}
	f.Finished = &now
	f.RunStarted, f.RunSince, f.RunPage, f.RunSeen = nil, nil, 0, nil
	f.FailedAt, f.Failure = nil, ""
	err := r.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		kept, err := r.Store.SaveFeed(ctx, tx, *f)
		if err != nil || !kept || also == nil {
			return err
		}
		return also(tx)
	})
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

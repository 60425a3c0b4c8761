package pull

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/postgres"
	"lethe/sync/eventbrite"
)

// run reads one listing of Eventbrite's attendees to its end.
type run struct {
	*Puller
	feed    *postgres.Feed
	list    func(eventbrite.Query) iter.Seq2[eventbrite.Page, error]
	links   map[attendees.EventID]attendees.FieldLinks
	asked   map[attendees.QuestionID]bool
	listing *postgres.Listing // who was named; nil where nobody asks
	resumes bool              // pages keep their numbers well enough to go on at one
	// admit looks at a page before it is saved: it may discover events.
	admit func(context.Context, []attendees.Registration) error

	event *postgres.Event // whose complete listing this is; nil: of changes alone
	seals bool            // its people are sealed as they come

	report  Report
	total   int  // as the listing counts; -1: unknown
	resumed bool // the run was killed and goes on: listing does not know its beginning
	batch   []attendees.Minimised
	flushed time.Time
}

const (
	// rereads bounds how often a run's own changes are read again: with each round
	// they are those of a shorter time, so three end all but a flood, which the next
	// pull's overlap catches.
	rereads = 3
	// passes bounds how often a listing is read again because the source counts more
	// people than were seen: items slip from one page to another under the reader.
	passes = 3
)

// read reads the listing from since (zero: everything), or goes on where an earlier
// run was cut off. Listings shift under the reader, so what changed meanwhile is read
// again at the end, and a complete listing that named fewer people than it counts is
// read once more.
func (r *run) read(ctx context.Context, since time.Time) error {
	r.report, r.total = newReport(), -1
	f := r.feed
	remembers := len(f.RunSeen) > 0
	if f.RunStarted != nil && f.RunPage > 0 && (remembers || r.resumes) {
		r.resumed = !remembers
		if r.listing != nil {
			r.listing = postgres.ListingOf(f.RunSeen)
		}
		if f.RunSince != nil {
			since = *f.RunSince
		}
	} else {
		now := r.Now()
		f.RunStarted, f.RunSince, f.RunPage = &now, nil, 0
		if !since.IsZero() {
			f.RunSince = &since
		}
	}
	f.RunSeen = nil // from the next page on it is no longer all that was seen
	goesOn := f.RunPage > 0
	changed := *r.feed.RunStarted
	for pass := 1; ; pass++ {
		pages, err := r.walk(ctx, since, r.feed.RunPage+1, true)
		if err != nil {
			if forgot := r.remember(ctx); forgot != nil {
				r.Log.Debug("a cut-off listing will begin anew", "feed", f.Name, "why", forgot)
			}
			return err
		}
		again := pages > 1 || goesOn
		for round := 0; again && round < rereads; round++ {
			now := r.Now()
			if pages, err = r.walk(ctx, changed.Add(-overlap), 1, false); err != nil {
				return err
			}
			changed, again = now, pages > 1
		}
		enough, err := r.complete(ctx)
		if err != nil || enough || pass == passes {
			return err
		}
		r.feed.RunPage = 0
	}
}

// remember keeps who was named so far, so that a complete listing that a rate limit
// or a stop cuts off can go on instead of beginning anew. After a kill it begins
// anew where it has to know everyone.
func (r *run) remember(ctx context.Context) error {
	if r.listing == nil || r.resumed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberTimeout)
	defer cancel()
	if err := r.flush(ctx); err != nil {
		return err
	}
	r.feed.RunSeen = r.listing.Bytes()
	return r.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		_, err := r.Store.SaveFeed(ctx, tx, *r.feed)
		return err
	})
}

// rememberTimeout leaves a stopping worker most of its ten seconds.
const rememberTimeout = 3 * time.Second

// walk reads pages from number from on, and says how many there were.
func (r *run) walk(ctx context.Context, since time.Time, from int, counts bool) (pages int, err error) {
	r.flushed = r.Now()
	people := 0
	for page, err := range r.list(eventbrite.Query{Since: since, FromPage: from, Questions: r.asked}) {
		if err != nil {
			return pages, err
		}
		pages++
		people += len(page.Registrations)
		if counts {
			r.feed.RunPage, r.total = page.Number, page.Total
		}
		if err := r.take(ctx, page); err != nil {
			return pages, err
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
		if r.listing != nil {
			r.listing.Saw(attendees.Eventbrite, reg.ID)
		}
	}
	if len(r.batch) >= postgres.SaveBatch || r.Now().Sub(r.flushed) >= saveEvery {
		return r.flush(ctx)
	}
	return nil
}

// flush saves the batch and the progress in one transaction.
func (r *run) flush(ctx context.Context) error {
	r.flushed = r.Now()
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
		return r.Store.Save(ctx, tx, attendees.Eventbrite, r.batch)
	}
	n, err := r.Store.SealRegistrations(ctx, tx, r.Sealer, attendees.Eventbrite, r.event.ID, r.batch)
	return map[attendees.EventID]postgres.Changes{r.event.ID: n}, err
}

// complete tells whether a complete listing named as many people as it counts. Of
// one that was cut off and went on, what is held tells.
func (r *run) complete(ctx context.Context) (bool, error) {
	if r.event == nil || r.total < 0 {
		return true, nil
	}
	seen := r.listing.Len()
	if r.resumed {
		held, err := r.held(ctx)
		if err != nil {
			return false, err
		}
		seen = max(seen, held)
	}
	return seen >= r.total, nil
}

func (r *run) held(ctx context.Context) (int, error) {
	if r.seals {
		return r.Store.CountSealed(ctx, *r.event)
	}
	return r.Store.Count(ctx, *r.event, postgres.AnyStatus)
}

// finish moves the watermark: the source ran dry. also runs in the same transaction.
func (r *run) finish(ctx context.Context, also func(tx *sqlx.Tx) error) error {
	now := r.Now()
	f := r.feed
	f.Watermark, f.Finished = f.RunStarted, &now
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

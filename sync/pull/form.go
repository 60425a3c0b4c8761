package pull

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/typeform"
)

// Form reads a linked form's new responses, the fields that some link maps and no
// other: what is not needed never leaves Typeform. It costs one call when there are
// none, and nothing where every event of the form is past its block date. Of an event
// whose people are sealed as they come the registrations come first: the form waits. A form
// that was linked anew while it was read is read once more: nobody else may ask for it, since
// whoever did found it being read.
func (p *Puller) Form(ctx context.Context, id attendees.FormID) (Report, error) {
	if p.Typeform == nil {
		return Report{}, fmt.Errorf("pull form %s: %w", id, ErrNoToken)
	}
	var history []attendees.EventID
	kept := true
	read := func(f *postgres.Feed) (Report, error) {
		r := formRun{Puller: p, form: id, feed: f, report: newReport()}
		if err := r.links(ctx); err != nil {
			return r.report, err
		}
		if r.waits != "" {
			return Report{Skipped: r.waits}, nil
		}
		if len(r.byEvent) == 0 {
			return Report{Skipped: "no event that is still open has it linked"}, nil
		}
		if err := r.region(ctx); err != nil {
			return r.report, err
		}
		history = r.history
		var err error
		kept, err = r.read(ctx)
		return r.report, err
	}
	report, err := p.feed(ctx, postgres.FormFeed(id), read)
	for again := 0; err == nil && !kept && again < rereads; again++ {
		var more Report
		more, err = p.feed(ctx, postgres.FormFeed(id), read)
		report.Add(more)
	}
	for i := 0; err == nil && i < len(history); i++ {
		err = p.endHistory(ctx, &report, history[i])
	}
	return report, err
}

// formRun reads one form's responses, newest first.
type formRun struct {
	*Puller
	form    attendees.FormID
	feed    *postgres.Feed
	byEvent map[attendees.EventID]attendees.FieldLinks // of events that take something in
	history []attendees.EventID                        // those of them whose people are sealed as they come
	passed  []postgres.Event                           // that take nothing in any more, by our clock
	waits   string                                     // why one of them is to be waited for
	ids     []string                                   // of the questions asked for
	asked   map[attendees.QuestionID]bool
	report  Report
}

func (r *formRun) links(ctx context.Context) error {
	links, err := r.Store.FormLinks(ctx, r.form)
	if err != nil {
		return err
	}
	r.byEvent, r.asked = map[attendees.EventID]attendees.FieldLinks{}, map[attendees.QuestionID]bool{}
	for _, l := range links {
		e, err := r.Store.Event(ctx, l.Event)
		if err != nil {
			return err
		}
		begun := e.State == attendees.Blocked && e.SealsAsItComes(r.Now())
		switch {
		case begun && e.PulledAt == nil:
			f, err := r.Store.Feed(ctx, postgres.EventFeed(e.ID))
			if err != nil {
				return err
			}
			if f.FailedAt != nil || r.Eventbrite == nil {
				continue // else it would keep the others waiting; the form is read again afterwards
			}
			r.waits = fmt.Sprintf("the registrations of event %s come first", e.ID)
		case begun && r.Sealer == nil:
			r.waits = fmt.Sprintf("answers for event %s are to be sealed, and %v", e.ID, seal.ErrNoOfficer)
		case begun:
			if !slices.Contains(r.history, e.ID) {
				r.history = append(r.history, e.ID)
			}
		case !e.Open(r.Now()):
			r.passed = append(r.passed, e)
			continue
		}
		r.byEvent[l.Event] = append(r.byEvent[l.Event], l.FieldLinks()...)
		for _, f := range l.Fields {
			r.asked[f.Question], r.asked[f.ID] = true, true
			if !slices.Contains(r.ids, string(f.ID)) {
				r.ids = append(r.ids, string(f.ID))
			}
		}
	}
	return nil
}

// region refuses a form whose responses live at another host than the one that is
// asked: it would look empty for ever. Where they live is what the form's definition
// said when it was last read.
func (r *formRun) region(ctx context.Context) error {
	host, err := r.Store.FormHost(ctx, r.form)
	if err != nil {
		return err
	}
	return r.Typeform.CheckRegion(typeform.Form{Form: attendees.Form{ID: r.form, Host: host}})
}

// read reads the form, and tells whether its progress was kept: it is not where the form was
// linked anew meanwhile.
func (r *formRun) read(ctx context.Context) (kept bool, err error) {
	f := r.feed
	var since, until time.Time
	if f.Watermark != nil {
		since = f.Watermark.Add(-formOverlap)
	}
	if f.RunStarted == nil {
		now := r.Now()
		f.RunStarted, f.RunUntil = &now, nil
	} else if f.RunUntil != nil {
		until = *f.RunUntil // inclusive: seconds tie, and nothing is stored twice
	}
	pages, err := r.walk(ctx, since, until, true)
	if err != nil {
		return false, err
	}
	if pages > 1 || !until.IsZero() {
		if _, err := r.walk(ctx, f.RunStarted.Add(-formOverlap), time.Time{}, false); err != nil {
			return false, err
		}
	}
	now := r.Now()
	f.Watermark, f.Finished = f.RunStarted, &now
	f.RunStarted, f.RunUntil, f.FailedAt, f.Failure = nil, nil, nil, ""
	err = r.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		kept, err = r.Store.SaveFeed(ctx, tx, *f)
		return err
	})
	return kept, err
}

func (r *formRun) walk(ctx context.Context, since, until time.Time, counts bool) (pages int, err error) {
	// The region is known: see region.
	q := typeform.Query{Since: since, Until: until, Fields: r.ids, Questions: r.asked, RegionKnown: true}
	people := 0
	for page, err := range r.Typeform.Responses(ctx, r.form, q) {
		if err != nil {
			return pages, err
		}
		if pages++; counts && pages == 1 { // the first reply tells the source's clock
			started := earlier(r.Now(), r.Typeform.Skew)
			if err := r.passable(ctx, r.feed.Name, r.passed, started); err != nil {
				return pages, err
			}
			if started.Before(*r.feed.RunStarted) {
				r.feed.RunStarted = &started
			}
		}
		people += len(page.Responses)
		r.report.Pages++
		r.report.People += len(page.Responses)
		r.report.Bytes += page.Bytes
		r.report.Kept += page.Kept
		for _, id := range page.Unknown {
			r.Log.Warn("an answer's type is not known, so it is left out", "form", r.form, "question", id)
		}
		if page.Odd > 0 {
			r.Log.Warn("responses that cannot be read were left out", "form", r.form, "count", page.Odd)
		}
		if n := len(page.Responses); counts && n > 0 {
			oldest := page.Responses[n-1].Submitted
			r.feed.RunUntil = &oldest
		}
		if err := r.save(ctx, page.Responses); err != nil {
			return pages, err
		}
		r.tell(Progress{Feed: r.feed.Name, Page: pages, People: people, Total: page.Total})
	}
	return pages, nil
}

func (r *formRun) save(ctx context.Context, responses []attendees.Response) error {
	batch := map[attendees.EventID][]attendees.MinimisedResponse{}
	for event, links := range r.byEvent {
		for _, response := range responses {
			batch[event] = append(batch[event], r.Store.Policy().MinimiseResponse(response, links))
		}
	}
	return r.Store.InTx(ctx, func(tx *sqlx.Tx) error {
		if len(r.history) > 0 {
			n, err := r.Store.SealResponses(ctx, tx, r.Sealer, batch)
			if err != nil {
				return err
			}
			r.report.Answers.Add(n)
		}
		n, err := r.Store.SaveResponses(ctx, tx, batch)
		if err != nil {
			return err
		}
		r.report.Answers.Add(n)
		_, err = r.Store.SaveFeed(ctx, tx, *r.feed)
		return err
	})
}

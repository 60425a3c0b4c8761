package typeform

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
)

const (
	// MaxPageSize is the vendor's maximum for responses.
	MaxPageSize = 1000
	// minPageSize is where asking for less ends: a page of so few that still fails is
	// not too heavy, it is broken. Three halvings, so that an outage is seen as one.
	minPageSize = 125
	// noField is asked for where no answer is wanted. An empty `fields` would mean all
	// of them; no question has this id.
	noField = "000000000000"
	// decodeTries is how often a page that is not JSON to its end is asked for: a body
	// cut by a proxy that tells no length looks whole to HTTP.
	decodeTries = 3
)

// Query says which responses of a form are wanted, and how much of them.
type Query struct {
	Since, Until time.Time // of the submission, inclusive, to the second; zero: open

	// Fields are ids (not refs) of the questions whose answers shall travel. With none,
	// no answers travel, only hidden fields and times.
	Fields []string
	// Questions are the refs or ids whose answers are decoded; all others are skipped.
	Questions map[attendees.QuestionID]bool

	PageSize int // 0: MaxPageSize
	// RegionKnown says that the form is known to live at TYPEFORM_URL, so that an empty
	// list is believed without asking.
	RegionKnown bool
}

// Page is one page of responses.
type Page struct {
	Responses []attendees.Response // newest first
	Total     int                  // that Typeform says there are; -1: it does not say
	Bytes     int                  // of the body
	Kept      int                  // of them, what was decoded

	// Unknown are fields that were asked for and whose answers are of a kind that is
	// not decoded: worth a warning, each page anew.
	Unknown []attendees.QuestionID
	// Odd counts items that could not be read at all and are left out: worth a warning.
	Odd int
}

// Responses lists a form's completed responses, newest first, page by page. It walks
// by the last item's token, in Typeform's own order, never by a sort of ours: mixing
// the two has lost records for others. Responses that come in meanwhile are left to the
// next walk, and those of the last 30 minutes may be missing: overlap by an hour.
//
// The walk ends with an error, and is then incomplete, or has read everything: it never
// takes an empty list for the truth before it knows that the right region was asked
// (*WrongRegion).
func (c *Client) Responses(ctx context.Context, form attendees.FormID, q Query) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		w := walk{client: c, form: form, query: q, size: q.PageSize, announced: -1, cursors: map[string]bool{}}
		if w.size <= 0 || w.size > MaxPageSize {
			w.size = MaxPageSize
		}
		for !w.done {
			page, err := w.next(ctx)
			if err != nil {
				yield(Page{}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// walk is one reading of a listing from its newest response to its oldest.
type walk struct {
	client *Client
	form   attendees.FormID
	query  Query

	size      int    // of the pages that are asked for
	before    string // the cursor; empty at the start
	cursors   map[string]bool
	announced int // how many the first page said there are; -1: it did not say
	seen      int
	oldest    time.Time // of the responses that came
	done      bool
}

// next gives the next page and moves the cursor.
func (w *walk) next(ctx context.Context) (Page, error) {
	got, err := w.ask(ctx)
	if err != nil {
		return Page{}, err
	}
	if w.before == "" {
		w.announced = got.Total
		if err := w.believe(ctx, got); err != nil {
			return Page{}, err
		}
	}
	w.seen += got.items
	for _, r := range got.Responses {
		if w.oldest.IsZero() || r.Submitted.Before(w.oldest) {
			w.oldest = r.Submitted
		}
	}
	if got.items == 0 && w.seen < w.announced && (w.query.Until.IsZero() || w.oldest.Before(w.query.Until)) && !w.oldest.IsZero() {
		// Nothing before the cursor, and yet there should be more: the response that it names
		// may be deleted by now. It goes on by time, from the oldest that came on; ties come twice.
		w.query.Until, w.before, w.seen, w.cursors = w.oldest, "", 0, map[string]bool{}
		return w.next(ctx)
	}
	// A short page is the last one, unless more were announced: a server that gives
	// less than it was asked for must not cost us the rest. An empty one always is.
	w.done = got.items == 0 || got.items < w.size && w.seen >= w.announced
	if w.done {
		if w.seen < w.announced { // deleted meanwhile, or miscounted
			w.client.log.WarnContext(ctx, "fewer responses came than were announced",
				slog.String("form", string(w.form)), slog.Int("came", w.seen), slog.Int("announced", w.announced))
		}
		return got.Page, nil
	}
	if got.last == "" {
		return Page{}, fmt.Errorf("typeform: list responses of form %s: a page has no token to go on from: %w", w.form, ErrReply)
	}
	if w.cursors[got.last] {
		return Page{}, fmt.Errorf("typeform: list responses of form %s: after %d responses the same token came again: %w", w.form, w.seen, ErrEndless)
	}
	w.before = got.last
	w.cursors[got.last] = true
	return got.Page, nil
}

// believe makes sure that an empty first page comes from the right region.
func (w *walk) believe(ctx context.Context, first page) error {
	if first.items > 0 {
		w.client.settle(w.form)
		return nil
	}
	if w.query.RegionKnown {
		return nil
	}
	return w.client.believeEmpty(ctx, w.form)
}

// ask gets one page, a smaller one where the form is too heavy for the one wanted.
func (w *walk) ask(ctx context.Context) (page, error) {
	for {
		got, err := w.client.page(ctx, w.form, w.query.Questions, w.values())
		if !heavy(err) || w.size <= minPageSize {
			return got, err
		}
		w.size = max(w.size/2, minPageSize)
		w.client.log.InfoContext(ctx, "page too heavy; asking for a smaller one",
			slog.String("form", string(w.form)), slog.Int("size", w.size))
	}
}

// values is the query of the next page.
func (w *walk) values() url.Values {
	v := url.Values{"page_size": {strconv.Itoa(w.size)}, "fields": {noField}}
	if len(w.query.Fields) > 0 {
		v.Set("fields", strings.Join(w.query.Fields, ","))
	}
	const toTheSecond = "2006-01-02T15:04:05Z"
	if !w.query.Since.IsZero() {
		v.Set("since", w.query.Since.UTC().Format(toTheSecond))
	}
	if !w.query.Until.IsZero() {
		v.Set("until", w.query.Until.UTC().Format(toTheSecond))
	}
	if w.before != "" {
		v.Set("before", w.before)
	}
	return v
}

// page makes one call and reads its body.
func (c *Client) page(ctx context.Context, form attendees.FormID, questions map[attendees.QuestionID]bool, v url.Values) (page, error) {
	p, err := path(form, "/responses")
	if err != nil {
		return page{}, err
	}
	tried := fmt.Sprintf("list responses of form %s", form)
	for try := 1; ; try++ {
		body, err := c.rest.Get(ctx, p, v)
		if err != nil {
			return page{}, failed(tried, err)
		}
		got, err := decode(body, form, questions)
		if err == nil {
			return got, nil
		}
		if try == decodeTries {
			return page{}, fmt.Errorf("typeform: %s: %w", tried, err)
		}
	}
}

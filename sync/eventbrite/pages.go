package eventbrite

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
)

const (
	// maxRestarts is how often one walk begins anew because Eventbrite no longer knows
	// its own continuation.
	maxRestarts = 2
	// maxSame is how many times the same page in a row ends a walk: a continuation that
	// leads nowhere would otherwise be followed for ever.
	maxSame = 3
	// maxPages is ten times an hour's budget of calls; no listing is that long.
	maxPages = 20_000
)

var errEndless = errors.New("the listing does not end: the same page comes again and again")

// pagination is what a page says about the others.
type pagination struct {
	objects      int // -1 where it was not said
	number       int // 0 where it was not said
	count        int // of pages; 0 where it was not said
	more, said   bool
	continuation string
}

func (r *reader) pagination(p *pagination) error {
	return r.object(func(name []byte) error {
		switch string(name) {
		case "object_count":
			return r.number(&p.objects)
		case "page_number":
			return r.number(&p.number)
		case "page_count":
			return r.number(&p.count)
		case "continuation":
			return r.text(&p.continuation)
		case "has_more_items":
			if k := r.PeekKind(); k != 't' && k != 'f' {
				return r.SkipValue()
			}
			p.said = true
			return r.flag(&p.more)
		}
		return r.SkipValue()
	})
}

// last tells whether the listing ends here. Only has_more_items does; a continuation
// may stand on a last page too.
func (p *pagination) last() bool {
	switch {
	case p.said:
		return !p.more
	case p.count > 0 && p.number > 0:
		return p.number >= p.count
	}
	return p.continuation == ""
}

// sheet is one page of whatever is listed.
type sheet[T any] struct {
	items T
	n     int // of items
	pagination
	bytes, kept int
	answered    bool   // some attendee came with a list of answers
	raw         []byte // the items as they came, to tell one page from the next
}

// listing is a listing that is walked page by page.
type listing[T any] struct {
	client *Client
	path   string
	query  url.Values
	// read takes the items out of a reply; member is the name under which they stand.
	member string
	read   func(r *reader, s *sheet[T]) error

	unexpanded atomic.Bool // the expansion failed once
}

// walk yields the pages in their order. Where the listing tells how many there are and
// obeys page=N, pages are fetched some at a time; else one leads to the next. No
// goroutine outlives it.
//
// After a restart the pages begin at the first again.
func (l *listing[T]) walk(ctx context.Context, from int) iter.Seq2[*sheet[T], error] {
	return func(yield func(*sheet[T], error) bool) {
		for try := 0; ; try++ {
			err := l.once(ctx, from, func(s *sheet[T]) bool { return yield(s, nil) })
			if says(err, badContinuation) && try < maxRestarts {
				from = 1
				continue
			}
			if err != nil && !errors.Is(err, errStopped) {
				yield(nil, err)
			}
			return
		}
	}
}

var errStopped = errors.New("the caller has seen enough")

// once walks from page from to the end.
func (l *listing[T]) once(ctx context.Context, from int, take func(*sheet[T]) bool) error {
	q := url.Values{}
	if from > 1 {
		q.Set("page", strconv.Itoa(from))
	}
	s, err := l.fetch(ctx, q)
	if from > 1 && (says(err, badPage) || err == nil && s.n == 0 && s.last()) {
		return nil // it has shrunk; there is nothing from here on
	}
	if err != nil {
		return err
	}
	if !take(s) {
		return errStopped
	}
	if s, err = l.ahead(ctx, s, take); err != nil {
		return err
	}
	return l.follow(ctx, s, take)
}

// ahead walks by page numbers, several pages at a time, as far as that leads, and
// gives the last page that it took.
func (l *listing[T]) ahead(ctx context.Context, s *sheet[T], take func(*sheet[T]) bool) (*sheet[T], error) {
	ctx, cancel := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer cancel()

	type result struct {
		s   *sheet[T]
		err error
	}
	var queue []chan result // of pages on their way, in their order
	next := s.number + 1
	for !s.last() && s.number > 0 && s.number < s.count {
		for ; len(queue) < l.client.parallel && next <= min(s.count, maxPages); next++ {
			q, came := url.Values{"page": {strconv.Itoa(next)}}, make(chan result, 1)
			queue = append(queue, came)
			fetching.Go(func() {
				s, err := l.fetch(ctx, q)
				came <- result{s, err}
			})
		}
		if len(queue) == 0 {
			return nil, errEndless
		}
		got := <-queue[0]
		queue = queue[1:]
		if says(got.err, badPage) {
			return s, nil
		}
		if got.err != nil {
			return nil, got.err
		}
		if got.s.number != s.number+1 { // page=N is not obeyed here
			return s, nil
		}
		s = got.s
		if !take(s) {
			return nil, errStopped
		}
	}
	return s, nil
}

// follow walks by continuation from a page that was taken to the end.
func (l *listing[T]) follow(ctx context.Context, s *sheet[T], take func(*sheet[T]) bool) error {
	seen := map[string]bool{}
	for same, pages := 1, 1; !s.last(); pages++ {
		if s.continuation != "" && seen[s.continuation] || same >= maxSame || pages >= maxPages {
			return errEndless
		}
		seen[s.continuation] = true
		q := url.Values{"continuation": {s.continuation}}
		if s.continuation == "" {
			q = url.Values{"page": {strconv.Itoa(s.number + 1)}}
		}
		next, err := l.fetch(ctx, q)
		if s.continuation == "" && (says(err, badPage) || err == nil && next.number != s.number+1) {
			return errors.New("the listing says that there is more, but not where")
		}
		if err != nil {
			return err
		}
		if bytes.Equal(next.raw, s.raw) {
			same++
		} else {
			same = 1
		}
		s = next
		if !take(s) {
			return errStopped
		}
	}
	return nil
}

// fetch asks for one page: the listing's own parameters with one more. Where Eventbrite
// fails to expand, it is asked again without.
func (l *listing[T]) fetch(ctx context.Context, more url.Values) (*sheet[T], error) {
	q := maps.Clone(l.query)
	if q == nil {
		q = url.Values{}
	}
	maps.Copy(q, more)
	if l.unexpanded.Load() {
		q.Del("expand")
	}
	s, err := l.ask(ctx, q)
	if failed := err; says(err, expansionFailed) && q.Has("expand") {
		l.unexpanded.Store(true)
		q.Del("expand")
		if s, err = l.ask(ctx, q); err == nil && s.n > 0 && !s.answered {
			l.unexpanded.Store(false)
			return nil, failed // without answers nobody's have become empty: later, then
		}
	} else if err == nil && l.unexpanded.Load() && s.n > 0 && !s.answered {
		return nil, errUnanswered
	}
	return s, err
}

var errUnanswered = errors.New("the answers that were asked for did not come")

func (l *listing[T]) ask(ctx context.Context, q url.Values) (*sheet[T], error) {
	var s *sheet[T]
	size, err := l.client.get(ctx, l.path, q, func(r *reader) (err error) {
		s, err = l.decode(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.bytes = size
	return s, nil
}

// decode takes one page out of a reply.
func (l *listing[T]) decode(r *reader) (*sheet[T], error) {
	s := &sheet[T]{pagination: pagination{objects: -1}}
	found := false
	err := r.object(func(name []byte) error {
		switch string(name) {
		case "pagination":
			return r.pagination(&s.pagination)
		case l.member:
			found = true
			begin, before := r.InputOffset(), r.kept
			err := l.read(r, s)
			s.kept, s.answered = r.kept-before, r.answered
			s.raw = r.body[begin:r.InputOffset()]
			return err
		}
		return r.SkipValue()
	})
	if err == nil && !found {
		return nil, missing(l.member)
	}
	return s, err
}

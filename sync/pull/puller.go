package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite"
	"lethe/sync/internal/rest"
	"lethe/sync/typeform"
)

// RateLimited says until when a source wants to be left alone. Nothing is lost: the
// next pull of the feed goes on where this one stood.
type RateLimited = rest.RateLimited

const (
	// overlap is how far behind its watermark Eventbrite is read again: a change
	// becomes visible after one second to five minutes, and clocks differ.
	overlap = 10 * time.Minute
	// formOverlap is the same for Typeform, whose responses of the last half hour
	// may be missing.
	formOverlap = time.Hour
	// saveEvery is how long pages may wait for their batch to fill: what a kill costs.
	saveEvery = 2 * time.Second
)

// ErrNoToken says that the source has no token, so it is not asked.
var ErrNoToken = errors.New("no token is set")

// Puller pulls. Store is needed; a source that is nil is not asked.
type Puller struct {
	Store         *postgres.Store
	Eventbrite    *eventbrite.Client
	Typeform      *typeform.Client
	Organizations []attendees.OrganizationID // none: all that the token sees
	Now           func() time.Time
	Log           *slog.Logger
	// Sealer seals the people of events that are past their block date when they are first
	// seen; nil: there is no officer's key, and such events are not asked for.
	Sealer *seal.Sealer
	// Simulated tells that Now is: sealing asks for a clock that is right.
	Simulated bool
	// Progress is told of every page; nil: nobody is.
	Progress func(Progress)
	// Waiting is told when somebody else is reading a feed and is waited for.
	Waiting func(postgres.FeedName)
	// BelieveGone lifts the fuse of a reconcile that would let many people go: an
	// operator has looked at the source and found them gone.
	BelieveGone bool
}

// Progress is where a pull stands.
type Progress struct {
	Feed        postgres.FeedName
	Page, Pages int // Pages is 0 where the source does not tell
	People      int // read so far in this run
	Total       int // -1 where the source does not tell
	Used, Limit int // of the rate budget; Limit 0 where the source does not tell
}

// Report is what a pull did.
type Report struct {
	Events      map[attendees.EventID]postgres.Changes
	Answers     postgres.AnswerChanges
	Pages       int
	People      int
	Bytes, Kept int    // of the bodies read; of the text of known fields in them
	Skipped     string // why nothing was asked for; empty where something was
	Attention   string // what the operator has to look at
	Stopped     bool   // by a fuse: more than a handful is gone, and nobody was let go
	// Sealed are the events whose people were sealed as they came, and whose feeds have
	// run dry now.
	Sealed map[attendees.EventID]postgres.Blocking
}

func newReport() Report { return Report{Events: map[attendees.EventID]postgres.Changes{}} }

// Add counts other's in.
func (r *Report) Add(o Report) {
	if r.Events == nil {
		r.Events = map[attendees.EventID]postgres.Changes{}
	}
	for id, c := range o.Events {
		sum := r.Events[id]
		sum.Add(c)
		r.Events[id] = sum
	}
	for id, n := range o.Sealed {
		if r.Sealed == nil {
			r.Sealed = map[attendees.EventID]postgres.Blocking{}
		}
		r.Sealed[id] = n
	}
	r.Pages += o.Pages
	r.People += o.People
	r.Bytes += o.Bytes
	r.Kept += o.Kept
	r.Answers.Add(o.Answers)
	r.Stopped = r.Stopped || o.Stopped
	if o.Attention != "" {
		r.Attention = o.Attention
	}
}

// feed runs do while nobody else reads the feed, with its progress as it stands, and
// notes a failure. A rate limit and a stop are none.
func (p *Puller) feed(ctx context.Context, name postgres.FeedName, do func(f *postgres.Feed) (Report, error)) (Report, error) {
	unlock, err := p.Store.LockFeed(ctx, name, func() {
		if p.Waiting != nil {
			p.Waiting(name)
		}
	})
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	f, err := p.Store.Feed(ctx, name)
	if err != nil {
		return Report{}, err
	}
	report, err := do(&f)
	if err == nil && report.Skipped == "" {
		return report, p.noteClock(ctx, name)
	}
	if err == nil {
		return report, nil
	}
	err = fmt.Errorf("pull %s: %w", name, err)
	if passes(ctx, err) {
		return report, err
	}
	if ferr := p.Store.FailFeed(ctx, name, err.Error()); ferr != nil {
		return report, errors.Join(err, ferr)
	}
	return report, err
}

// noteClock keeps what the clock of the source that was just read says, for whoever
// blocks and deletes by ours.
func (p *Puller) noteClock(ctx context.Context, feed postgres.FeedName) error {
	source, skew, told := attendees.Eventbrite, time.Duration(0), false
	if strings.HasPrefix(string(feed), string(attendees.Typeform)+"/") {
		source = attendees.Typeform
	}
	switch {
	case source == attendees.Typeform && p.Typeform != nil:
		skew, told = p.Typeform.Skew()
	case source == attendees.Eventbrite && p.Eventbrite != nil:
		skew, told = p.Eventbrite.Skew()
	}
	if !told {
		return nil
	}
	return p.Store.NoteSkew(ctx, source, skew)
}

// passable refuses to read on by a clock that is ahead of the source's, theirs, by which
// alone an event takes nothing more in: what comes for that event would be passed over for
// good. passed are the events that take nothing in by our clock.
func (p *Puller) passable(ctx context.Context, feed postgres.FeedName, passed []postgres.Event, theirs time.Time) error {
	if p.Simulated || p.Now().Sub(theirs) <= postgres.MaxSkew {
		return nil
	}
	for _, e := range passed {
		if e.Open(theirs) || e.State == attendees.Blocked && e.SealsAsItComes(theirs) {
			err := fmt.Errorf("by this machine's clock event %s is past its dates, by the source's it is not: nothing is read until one of them is right again, by NTP", e.ID)
			return errors.Join(err, p.noteClock(ctx, feed))
		}
	}
	return nil
}

// passes tells of a rate limit or a stop, which are no failures.
func passes(ctx context.Context, err error) bool {
	var limited *RateLimited
	return errors.As(err, &limited) || ctx.Err() != nil
}

// earlier gives the earlier of a time of ours and what a source's clock said then. A
// watermark by a clock that is ahead would pass over people who come later, one by a clock
// that is behind only has some read again.
func earlier(ours time.Time, skew func() (time.Duration, bool)) time.Time {
	if ahead, told := skew(); told && ahead < 0 {
		return ours.Add(ahead)
	}
	return ours
}

func (p *Puller) tell(progress Progress) {
	if p.Progress == nil {
		return
	}
	if p.Eventbrite != nil {
		if b, ok := p.Eventbrite.Budget(); ok {
			progress.Used, progress.Limit = b.Used, b.Limit
		}
	}
	p.Progress(progress)
}

// eventLinks are the links of events to their own questions at Eventbrite.
func (p *Puller) eventLinks(ctx context.Context) (map[attendees.EventID]attendees.FieldLinks, map[attendees.QuestionID]bool, error) {
	links, err := p.Store.FormLinks(ctx, attendees.EventbriteForm)
	if err != nil {
		return nil, nil, err
	}
	byEvent := map[attendees.EventID]attendees.FieldLinks{}
	questions := map[attendees.QuestionID]bool{}
	for _, l := range links {
		byEvent[l.Event] = append(byEvent[l.Event], l.FieldLinks()...)
		for _, f := range l.Fields {
			questions[f.Question] = true
		}
	}
	return byEvent, questions, nil
}

package pull

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/typeform"
)

// deleteBatch is how many responses are deleted in one call, and looked at again before
// that is noted: Typeform's own maximum.
const deleteBatch = 1000

// Upstreamed is what deleting at Typeform did.
type Upstreamed struct {
	Told int // responses that it was told to delete, some of them once more
	Gone int // responses that it was seen to show no longer
}

// Upstream deletes at Typeform what is due there, and looks a day later whether it is
// gone: only what is asked for and not shown, where the form itself shows, is believed
// to be. What is still shown is deleted again. It may be stopped at any point; the next
// run goes on, and deletes twice at most. What it cannot do it puts before staff.
func (p *Puller) Upstream(ctx context.Context) (Upstreamed, error) {
	var done Upstreamed
	due, err := p.Store.DueUpstream(ctx)
	if err != nil {
		return done, err
	}
	var failed error
	for _, u := range due {
		err := p.upstream(ctx, u, &done)
		if why := hopeless(err); why != "" {
			err = p.Store.AskUpstream(ctx, u, "Lethe cannot: "+why)
		}
		if err == nil {
			continue
		}
		failed = errors.Join(failed, fmt.Errorf("delete responses of event %s at Typeform: %w", u.Event, err))
		if errors.As(err, new(*RateLimited)) || ctx.Err() != nil {
			break // it would be the same with the others
		}
	}
	return done, failed
}

// hopeless tells why trying again changes nothing before somebody does something; "" where it may.
func hopeless(err error) string {
	var region *typeform.WrongRegion
	switch {
	case errors.Is(err, ErrNoToken):
		return "TYPEFORM_TOKEN is not set"
	case errors.Is(err, typeform.ErrNotFound), errors.Is(err, typeform.ErrToken), errors.As(err, &region):
		return err.Error()
	}
	return ""
}

// upstream deletes what is due of one form and event. A form that is shown, and that
// lives where it was asked for, shows its responses too: those that it leaves out are
// gone. Another region would leave out everybody's.
func (p *Puller) upstream(ctx context.Context, u postgres.Upstream, done *Upstreamed) error {
	if p.Typeform == nil {
		return ErrNoToken
	}
	form, err := p.Typeform.Form(ctx, u.Form)
	if err != nil {
		return err
	}
	if err := p.Typeform.CheckRegion(form); err != nil {
		return err
	}
	for more := true; more; {
		if more, err = p.upstreamBatch(ctx, u, done); err != nil {
			return err
		}
	}
	return nil
}

// upstreamBatch deals with one call's worth, while nobody can put a hold on the event.
func (p *Puller) upstreamBatch(ctx context.Context, u postgres.Upstream, done *Upstreamed) (more bool, err error) {
	unlock, err := p.Store.LockUpstream(ctx, u)
	if err != nil {
		return false, err
	}
	defer unlock()
	tell, told, err := p.Store.UpstreamBatch(ctx, u, deleteBatch)
	if err != nil || len(tell)+len(told) == 0 {
		return false, err
	}
	shown, err := p.Typeform.Lookup(ctx, u.Form, told)
	if err != nil {
		return false, err
	}
	gone := slices.DeleteFunc(told, func(id attendees.ResponseID) bool { return slices.Contains(shown, id) })
	n, err := p.Store.GoneUpstream(ctx, u, gone)
	if err != nil {
		return false, err
	}
	done.Gone += n
	tell = append(tell, shown...)
	if err := p.Typeform.Delete(ctx, u.Form, tell); err != nil {
		return false, err
	}
	if err := p.Store.ToldUpstream(ctx, u, tell); err != nil {
		return false, err
	}
	done.Told += len(tell)
	return true, nil
}

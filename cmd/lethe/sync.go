package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/pull"
)

func (a *app) syncCommand() *cobra.Command {
	var believe bool
	cmd := &cobra.Command{
		Use:   "sync [EVENT…]",
		Short: "Pull now, and show progress",
		Long: `Pull from Eventbrite and Typeform now: what changed in all events, or, of the events
named, their complete listings. It shares the workers' code and waits while one of
them is reading the same listing. Events past their block date are not pulled, but
where they were so when they were first seen: their people are sealed as they come.`,
		Example: "  lethe sync\n  lethe sync 4711",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if believe && len(args) == 0 {
				return misused{errors.New("--believe-gone goes with the events whose people are to go: lethe sync EVENT… --believe-gone")}
			}
			if err := a.configure(); err != nil {
				return err
			}
			if a.config.Eventbrite == "" && a.config.Typeform == "" {
				return errNoToken
			}
			d, err := a.openStore(ctx)
			if err != nil {
				return err
			}
			p, err := a.puller(d)
			if err != nil {
				return err
			}
			p.BelieveGone = believe
			s := &syncRun{app: a, puller: p, progress: newProgress(a.out)}
			s.watch()
			return s.run(ctx, args)
		},
	}
	cmd.Flags().BoolVar(&believe, "believe-gone", false, "let people go whom the source no longer knows, however many")
	return cmd
}

// syncRun is one `lethe sync`.
type syncRun struct {
	*app
	puller   *pull.Puller
	progress *progress
	sum      pull.Report
	feeds    int     // that were asked for
	failed   []error // of them, each with its reason
	tried    map[attendees.EventID]bool
}

// watch has the pull tell this terminal how it comes along.
func (s *syncRun) watch() {
	s.puller.Progress = s.progress.show
	s.puller.Waiting = func(feed postgres.FeedName) {
		s.progress.clear()
		fmt.Fprintf(s.out, "  another lethe is reading %s: waiting for it\n", feed)
	}
}

func (s *syncRun) run(ctx context.Context, args []string) error {
	began, before := time.Now(), s.calls()
	s.feeds, s.failed, s.tried = 0, nil, map[attendees.EventID]bool{}
	var ids []attendees.EventID
	for _, arg := range args {
		if id := eventID(arg); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	err := s.discover(ctx, ids)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		err = s.events(ctx, ids)
	} else {
		err = s.everything(ctx)
	}
	s.progress.clear()
	if err != nil {
		return err
	}
	if err := s.table(ctx); err != nil {
		return err
	}
	if err := s.forms(ctx, ids); err != nil {
		return err
	}
	if err := s.history(ctx, args); err != nil {
		return err
	}
	var sum postgres.Changes
	for _, c := range s.sum.Events {
		sum.Add(c)
	}
	fmt.Fprintf(s.out, "Done in %s, %s calls: %s new, %s changed, %s cancelled, %s gone. Not taken: %s of fields that no purpose names.\n",
		seconds(time.Since(began)), count(int(s.calls()-before)), count(sum.New), count(sum.Changed), count(sum.Cancelled), count(sum.Gone),
		size(max(s.sum.Bytes-s.sum.Kept, 0)))
	return s.verdict()
}

// verdict tells how many feeds failed, with the first one's reason.
func (s *syncRun) verdict() error {
	switch len(s.failed) {
	case 0:
		if s.sum.Stopped {
			return errFound // which the table's lines have told
		}
		return nil
	case s.feeds:
		return s.failed[0]
	}
	return fmt.Errorf("%d of %d feeds failed, `lethe doctor` says which; the first: %w", len(s.failed), s.feeds, s.failed[0])
}

func (s *syncRun) calls() (n int64) {
	if s.puller.Eventbrite != nil {
		n += s.puller.Eventbrite.Calls()
	}
	if s.puller.Typeform != nil {
		n += s.puller.Typeform.Calls()
	}
	return n
}

// discoverEvery is how old the list of events may be before sync looks for new ones;
// the worker looks as often.
const discoverEvery = time.Hour

// discover looks around where that was long ago, or where an event is named that is
// not known.
func (s *syncRun) discover(ctx context.Context, named []attendees.EventID) error {
	last, err := s.puller.Store.Marked(ctx, postgres.Discovered)
	if err != nil {
		return err
	}
	known, err := s.puller.Store.KnownEvents(ctx, named)
	if err != nil {
		return err
	}
	fresh := s.now().Sub(last) < discoverEvery || len(named) > 0 && !last.IsZero()
	if fresh && len(known) == len(named) {
		return nil
	}
	return s.pull(ctx, func() (pull.Report, error) {
		d, err := s.puller.Discover(ctx)
		for _, refused := range d.Refused {
			fmt.Fprintf(s.out, "  look: %s\n", printable(refused))
		}
		return pull.Report{}, err
	})
}

// everything pulls what the worker's schedule would.
func (s *syncRun) everything(ctx context.Context) error {
	if s.puller.Eventbrite != nil {
		if err := s.eventbrite(ctx); err != nil {
			return err
		}
	} else if err := s.unread(ctx); err != nil {
		return err
	}
	forms, err := s.puller.Store.LinkedForms(ctx)
	if err != nil {
		return err
	}
	if err := s.pullForms(ctx, forms); err != nil {
		return err
	}
	_, err = s.puller.Store.DropUnmatched(ctx)
	return err
}

// unread counts the organisations that cannot be read, for want of a token.
func (s *syncRun) unread(ctx context.Context) error {
	organizations, err := s.puller.Store.Organizations(ctx)
	for range organizations {
		s.feeds++
		s.failed = append(s.failed, errNoToken)
	}
	return err
}

func (s *syncRun) pullForms(ctx context.Context, forms []attendees.FormID) error {
	if s.puller.Typeform == nil && len(forms) > 0 {
		s.feeds += len(forms)
		for range forms {
			s.failed = append(s.failed, fmt.Errorf("%s linked, and %w", plural(len(forms), "form"), errNoTypeformToken))
		}
		return nil
	}
	for _, form := range forms {
		if err := s.pull(ctx, func() (pull.Report, error) { return s.puller.Form(ctx, form) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *syncRun) eventbrite(ctx context.Context) error {
	organizations, err := s.puller.Store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range organizations {
		fmt.Fprintf(s.out, "Eventbrite  %s (%s)\n", printable(o.Name), o.ID)
		if err := s.unpulled(ctx); err != nil {
			return err
		}
		if err := s.pull(ctx, func() (pull.Report, error) { return s.puller.Organization(ctx, o.ID) }); err != nil {
			return err
		}
	}
	return s.unpulled(ctx) // those that the listing has just brought to light
}

func (s *syncRun) unpulled(ctx context.Context) error {
	events, err := s.puller.Unpulled(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		if s.tried[e] {
			continue // it failed, and that was said
		}
		s.tried[e] = true
		if err := s.pull(ctx, func() (pull.Report, error) { return s.puller.Event(ctx, e) }); err != nil {
			return err
		}
	}
	return nil
}

// events pulls the complete listings of named events, and their forms.
func (s *syncRun) events(ctx context.Context, ids []attendees.EventID) error {
	if s.puller.Eventbrite == nil {
		return errNoToken
	}
	var links []postgres.Link
	for _, id := range ids {
		e, err := s.puller.Store.Event(ctx, id)
		if err != nil {
			return cmp.Or(s.verdict(), err)
		}
		fmt.Fprintf(s.out, "Eventbrite  %s (%s)\n", printable(e.Name), e.ID)
		if err := s.pull(ctx, func() (pull.Report, error) { return s.puller.Reconcile(ctx, id) }); err != nil {
			return err
		}
		own, err := s.puller.Store.EventLinks(ctx, id)
		if err != nil {
			return err
		}
		links = append(links, own...)
	}
	return s.pullForms(ctx, formsOf(links))
}

// formsOf are the Typeform forms of links, each once.
func formsOf(links []postgres.Link) []attendees.FormID {
	var forms []attendees.FormID
	for _, l := range links {
		if l.Form != attendees.EventbriteForm && !slices.Contains(forms, l.Form) {
			forms = append(forms, l.Form)
		}
	}
	return forms
}

// pull does one pull and adds what it did to the sum. One that fails is counted, and
// keeps no other waiting; the error is a stop.
func (s *syncRun) pull(ctx context.Context, do func() (pull.Report, error)) error {
	s.feeds++
	err := s.patiently(ctx, func() error {
		report, err := do()
		s.sum.Add(report)
		s.progress.clear()
		if report.Skipped != "" {
			fmt.Fprintf(s.out, "  not pulled: %s\n", report.Skipped)
		}
		if report.Attention != "" {
			fmt.Fprintf(s.out, "  look: %s\n", report.Attention)
		}
		return err
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	s.failed = append(s.failed, err)
	fmt.Fprintf(s.out, "  failed: %s\n", printable(oneLine(err)))
	return nil
}

// patiently waits for a source that wants to be left alone, says so, and goes on.
func (s *syncRun) patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		var limited *pull.RateLimited
		if !errors.As(err, &limited) {
			return err
		}
		s.progress.clear()
		fmt.Fprintf(s.out, "  the source's call budget is used up: going on at %s\n", limited.Until.Local().Format("15:04:05"))
		select {
		case <-time.After(time.Until(limited.Until)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// table shows what happened to which event.
func (s *syncRun) table(ctx context.Context) error {
	events, err := s.puller.Store.Events(ctx)
	if err != nil {
		return err
	}
	t := newTable("event", ">new", ">changed", ">unchanged", ">cancelled", ">gone", ">unmatched")
	late := 0
	for _, e := range events {
		c, ok := s.sum.Events[e.ID]
		late += c.Late
		if c.Late = 0; !ok || c == (postgres.Changes{}) && e.State != attendees.Active {
			continue
		}
		unmatched, err := s.puller.Store.Unmatched(ctx, e)
		if err != nil {
			return err
		}
		t.add(e.Name, count(c.New), count(c.Changed), count(c.Unchanged), count(c.Cancelled), count(c.Gone), count(unmatched))
	}
	if len(t.rows) > 0 {
		fmt.Fprintln(s.out)
		t.write(s.out)
	}
	if late > 0 {
		fmt.Fprintf(s.out, "\n  left out: %s, erased or of an event that takes nobody in any more\n", plural(late, "registration"))
	}
	return nil
}

// history says of each event that was over long before it was first seen how far it is
// sealed, or why it is not.
func (s *syncRun) history(ctx context.Context, args []string) error {
	events, err := s.puller.Store.Events(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		n, ended := s.sum.Sealed[e.ID]
		named := len(args) == 0 || slices.Contains(args, string(e.ID))
		if !ended && !(named && e.SealsAsItComes(s.now())) {
			continue
		}
		fmt.Fprintf(s.out, "History    %s (%s)\n  ", printable(e.Name), e.ID)
		switch {
		case ended:
			fmt.Fprintf(s.out, "sealed as it came: %s, %s without an agreement deleted\n", people(n.Sealed), count(n.Dropped))
			if n.Doubted {
				fmt.Fprintln(s.out, "  more than half never agreed, so nobody was deleted: `lethe retention audit` says what to do")
			}
		case s.puller.Sealer == nil:
			fmt.Fprintf(s.out, "not pulled: its people are to be sealed as they come, and %v\n", seal.ErrNoOfficer)
		default:
			sealed, err := s.puller.Store.CountSealed(ctx, e)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%s: %s so far\n", sealsAsItComes, people(sealed))
			forms, err := s.puller.Store.Undry(ctx, e)
			if err != nil {
				return err
			}
			if len(forms) > 0 && s.puller.Typeform == nil {
				fmt.Fprintf(s.out, "  it waits for form %s: %v\n", forms[0], errNoTypeformToken)
			}
		}
	}
	if len(s.sum.Sealed) == 0 {
		return nil
	}
	return s.keepCopy(ctx, database{Store: s.puller.Store})
}

// forms shows what is held of each linked form.
func (s *syncRun) forms(ctx context.Context, ids []attendees.EventID) error {
	links, err := s.puller.Store.Links(ctx)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		links = slices.DeleteFunc(links, func(l postgres.Link) bool { return !slices.Contains(ids, l.Event) })
	}
	events, err := s.puller.Store.Events(ctx)
	if err != nil {
		return err
	}
	for _, form := range formsOf(links) {
		open := slices.ContainsFunc(events, func(e postgres.Event) bool {
			return e.Open(s.now()) && slices.ContainsFunc(links, func(l postgres.Link) bool { return l.Form == form && l.Event == e.ID })
		})
		if !open {
			continue // its answers are sealed, or never came
		}
		i := slices.IndexFunc(links, func(l postgres.Link) bool { return l.Form == form })
		all, unmatched, err := s.puller.Store.Answered(ctx, form)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "Typeform   %s (%s)\n", printable(links[i].Title), form)
		fmt.Fprintf(s.out, "  answers %s · linked %s", count(all), count(all-unmatched))
		if unmatched > 0 {
			fmt.Fprintf(s.out, " · not matched %s (dropped after %d days)", count(unmatched), s.puller.Store.Policy().UnmatchedDays)
		}
		fmt.Fprintln(s.out)
	}
	return nil
}

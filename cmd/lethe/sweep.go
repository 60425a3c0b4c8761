package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func (a *app) runCommand() *cobra.Command {
	var asOf, accept string
	var dry bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Block and delete what is due now",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asOf != "" && !dry {
				return misused{errors.New("--as-of goes with --dry-run: nothing is deleted by a day that is not today")}
			}
			a.looks = dry
			d, err := a.openAsOf(cmd.Context(), asOf)
			if err != nil {
				return err
			}
			if accept != "" {
				plan, err := d.Plan(cmd.Context())
				if err != nil {
					return err
				}
				if plan.Hash() != accept {
					return fmt.Errorf("the plan is %s now, not %s: look at it again with `lethe retention plan`", plan.Hash(), accept)
				}
			}
			if dry {
				return a.dryRun(cmd.Context(), d)
			}
			return a.sweep(cmd.Context(), d, accept != "")
		},
	}
	f := cmd.Flags()
	f.StringVar(&asOf, "as-of", "", "with --dry-run: what a run on this day would do")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	f.StringVar(&accept, "accept", "", "run if the plan has this hash, even where far more would be deleted than was announced")
	return cmd
}

// dryRun says what a run would do. An event of which the delete date has come, too, is
// blocked and deleted by the same run.
func (a *app) dryRun(ctx context.Context, d database) error {
	plan, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	f, err := d.Forecast(ctx)
	if err != nil {
		return err
	}
	t, err := d.ForecastTidied(ctx, f)
	if err != nil {
		return err
	}
	for _, e := range plan.Events {
		p := a.planned(e)
		if slices.Contains(f.Block, e.ID) {
			fmt.Fprintf(a.out, "would block   %s (%s): %s people\n", printable(p.Name), e.ID, count(p.People))
		}
		if slices.Contains(f.Delete, e.ID) {
			fmt.Fprintf(a.out, "would delete  %s (%s): %s people, %s\n", printable(p.Name), e.ID, count(p.People), p.Rule)
		}
	}
	if t.Released > 0 {
		fmt.Fprintf(a.out, "would drop    %s that only a hold had kept\n", plural(t.Released, "record"))
	}
	if t.Halves > 0 {
		fmt.Fprintf(a.out, "would drop    the persons' halves of %s\n", plural(t.Halves, "record"))
	}
	if len(f.Block)+len(f.Delete)+t.Released+t.Halves == 0 {
		fmt.Fprintln(a.out, "Nothing is due.")
	}
	var fuse *postgres.FuseError
	if err := d.ForecastFuse(ctx, f); errors.As(err, &fuse) {
		fmt.Fprintf(a.out, "would stop    %s\n", fuse)
	} else if err != nil {
		return err
	}
	return nil
}

// sweep blocks and deletes what is due, one event after the other. One that fails keeps no
// other waiting. Nothing needs to have been announced, since somebody looks on; but where
// far more would go than was, nothing is deleted unless the plan was accepted.
func (a *app) sweep(ctx context.Context, d database, accepted bool) error {
	if _, err := a.sealer(d); err != nil && !errors.Is(err, seal.ErrNoOfficer) {
		return err // a key that is none is said before anything is done
	}
	if err := d.CheckClock(ctx, a.simulated); err != nil {
		return err
	}
	if _, err := d.Replan(ctx); err != nil {
		return err
	}
	var run postgres.Run
	failures, err := a.blockDue(ctx, d, &run)
	if err != nil {
		return err
	}
	if !accepted {
		err = d.CheckFuse(ctx)
	}
	if errors.As(err, new(*postgres.FuseError)) {
		failures = append(failures, a.fail(err))
	} else if err != nil {
		return err
	} else {
		more, err := a.deleteDue(ctx, d, &run)
		if err != nil {
			return err
		}
		failures = append(failures, more...)
	}
	if run.Tidied, err = d.Tidy(ctx); err != nil {
		return errors.Join(err, a.keepCopy(ctx, d)) // what went before is recorded
	}
	if run.Released > 0 {
		fmt.Fprintf(a.out, "dropped  %s records that only a hold had kept\n", count(run.Released))
	}
	if run.Halves > 0 {
		fmt.Fprintf(a.out, "dropped  the persons' halves of %s\n", plural(run.Halves, "record"))
	}
	if run.Rewritten > 0 {
		fmt.Fprintf(a.out, "rewrote  %s that somebody had left early\n", plural(run.Rewritten, "room"))
	}
	if err := d.EndRun(ctx, run); err != nil {
		return err
	}
	if err := a.keepCopy(ctx, d); err != nil {
		return err
	}
	upstream, err := a.upstream(ctx, d) // last: Typeform may be away
	if err := errors.Join(err, a.keepCopy(ctx, d)); err != nil {
		return err
	}
	if run.Block+run.Delete+upstream.Told+upstream.Gone+len(failures) == 0 {
		fmt.Fprintln(a.out, "Nothing was due.")
	}
	if len(failures) > 0 {
		return fmt.Errorf("everything else was done, but %w", failures[0])
	}
	return nil
}

// fail says what went wrong with one event, so that the run can go on.
func (a *app) fail(err error) error {
	fmt.Fprintf(a.out, "failed   %s\n", oneLine(err))
	return err
}

// blockDue blocks what is due, and tells what failed.
func (a *app) blockDue(ctx context.Context, d database, run *postgres.Run) (failures []error, err error) {
	due, err := d.DueToBlock(ctx)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	sealer, err := a.sealer(d)
	if err != nil {
		return []error{a.fail(fmt.Errorf("%s could not be blocked: %w", events(len(due)), err))}, nil
	}
	for _, id := range due {
		stop := a.follow(ctx, d, id)
		n, err := d.Block(ctx, id, sealer)
		stop()
		if err != nil && ctx.Err() != nil {
			return failures, err
		}
		if err != nil {
			failures = append(failures, a.fail(fmt.Errorf("event %s could not be blocked: %w", id, err)))
			continue
		}
		run.Block++
		fmt.Fprintf(a.out, "blocked  event %s: %s sealed, %s without an agreement deleted\n", id, count(n.Sealed), count(n.Dropped))
		if n.Doubted {
			fmt.Fprintln(a.out, "         more than half never agreed, so nobody was deleted: `lethe retention audit` says what to do")
		}
		if err := a.sayRecalled(ctx, d, id); err != nil {
			return failures, err
		}
	}
	return failures, nil
}

// recalledLines is how many recalled lists are named on the spot; the task names more.
const recalledLines = 5

func (a *app) sayRecalled(ctx context.Context, d database, id attendees.EventID) error {
	receipts, err := d.Receipts(ctx, id)
	if err != nil {
		return err
	}
	lists := slices.DeleteFunc(receipts, func(r postgres.Receipt) bool { return len(r.SHA256) == 0 })
	for i, r := range lists {
		if i == recalledLines {
			fmt.Fprintf(a.out, "         and %s more: `lethe retention audit` names them\n", count(len(lists)-i))
			break
		}
		fmt.Fprintf(a.out, "         recalled the list of %s, taken by %s for %s (SHA-256 %.12x…): have every copy destroyed\n",
			r.At.UTC().Format("2006-01-02 15:04"), r.By, r.Purpose, r.SHA256)
	}
	return nil
}

// deleteDue deletes what is due, and tells what failed.
func (a *app) deleteDue(ctx context.Context, d database, run *postgres.Run) (failures []error, err error) {
	due, err := d.DueToDelete(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range due {
		n, err := d.Delete(ctx, id)
		if err != nil && ctx.Err() != nil {
			return failures, err
		}
		if err != nil {
			failures = append(failures, a.fail(fmt.Errorf("event %s could not be deleted: %w", id, err)))
			continue
		}
		run.Delete++
		fmt.Fprintf(a.out, "deleted  event %s: %s people\n", id, count(n))
	}
	return failures, nil
}

// follow shows how the blocking of an event comes along until stop is called: one line that
// is written over on a terminal, a plain line now and then elsewhere.
func (a *app) follow(ctx context.Context, d database, id attendees.EventID) (stop func()) {
	terminal := isTerminal(a.out)
	every := plainEvery
	if terminal {
		every = time.Second
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for shown := false; ; shown = true {
			select {
			case <-ctx.Done():
				if shown && terminal {
					fmt.Fprint(a.out, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			sealed, of, err := d.Sealing(ctx, id)
			if err != nil {
				continue // the blocking itself tells what is wrong
			}
			line := fmt.Sprintf("  event %s: %s of %s sealed", id, count(sealed), count(of))
			if terminal {
				fmt.Fprintf(a.out, "\r\x1b[K%s", line)
				continue
			}
			fmt.Fprintln(a.out, line)
		}
	}()
	return func() { cancel(); <-done }
}

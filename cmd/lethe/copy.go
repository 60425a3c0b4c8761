package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees"
	"lethe/attendees/ledger"
	"lethe/attendees/postgres"
)

// noCopy in LETHE_LEDGER says that another machine keeps the ledger's copy.
const noCopy = "none"

// ledgerFile is the ledger's copy outside the database; false: this machine keeps none.
func (a *app) ledgerFile() (ledger.File, bool, error) {
	switch a.config.Ledger {
	case noCopy:
		return ledger.File{}, false, nil
	case "":
		dir, err := a.config.data()
		return ledger.File{Path: filepath.Join(dir, "ledger")}, true, err
	}
	path, err := filepath.Abs(a.config.Ledger)
	return ledger.File{Path: path}, true, err
}

// checkLedger refuses a database that is older than the ledger's copy, or not the one
// that it is of.
func (a *app) checkLedger(ctx context.Context, d database) error {
	file, keeps, err := a.ledgerFile()
	if err != nil {
		return err
	}
	if keeps {
		return d.CheckCopy(ctx, file)
	}
	if a.simulated {
		return nil // its clock and the keeper's differ
	}
	return d.CheckConfirmed(ctx)
}

// keepCopy lets the ledger's copy grow before what was done is called done.
func (a *app) keepCopy(ctx context.Context, d database) error {
	file, keeps, err := a.ledgerFile()
	if err != nil || !keeps {
		return err
	}
	signed, err := d.Checkpoint(ctx)
	if err != nil || signed == "" {
		return err // nothing was done yet, so no folder is needed either
	}
	if a.config.Ledger == "" {
		if _, err := a.dataDir(); err != nil {
			return err
		}
	}
	return d.CopyLedger(ctx, file)
}

// confirmEvery is how often the ledger's keeper copies what other machines did, and
// confirms that the two agree: the most that a restored backup could hide.
const confirmEvery = 10 * time.Minute

// confirm keeps the copy up to date until ctx ends. A copy that has grown apart ends
// the program: from there on nothing can be proven.
func (a *app) confirm(ctx context.Context, d database) error {
	for {
		if err := a.keepCopy(ctx, d); err != nil && ctx.Err() == nil {
			var damage *ledger.Damage
			if errors.As(err, &damage) || errors.Is(err, postgres.ErrRestored) || errors.Is(err, postgres.ErrNoCopy) {
				return err
			}
			a.log.Warn("the ledger's copy could not be kept; it is tried again", "err", err)
		}
		select {
		case <-time.After(confirmEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) replayCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "After a restored backup: do again what the ledger's copy says was done",
		Long: `After a restored backup: do again what the ledger's copy says was done since. Entries go
back byte for byte, tombstones are set, then holds, erasures, blockings and deletions are
done again, in that order. Until then worker, web, sync and export refuse to run.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			file, _, err := a.ledgerFile()
			if err != nil {
				return err
			}
			if from != "" {
				file = ledger.File{Path: from}
			}
			if file.Path == "" {
				return misused{errors.New("LETHE_LEDGER is none here: name the copy with --from FILE")}
			}
			return a.replay(cmd.Context(), d, file)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "this copy of the ledger, with its openings beside it")
	return cmd
}

func (a *app) replay(ctx context.Context, d database, file ledger.File) error {
	r, err := d.Replay(ctx, file)
	if err != nil {
		return err
	}
	toBlock, toDelete := r.Events()
	for _, id := range toBlock {
		if err := a.blockAgain(ctx, d, id); err != nil {
			return err
		}
	}
	for _, id := range toDelete {
		e, err := d.Event(ctx, id)
		if errors.As(err, new(*postgres.UnknownEventError)) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := d.Delete(ctx, e.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "deleted  event %s again: %s\n", id, people(n))
	}
	if _, err := d.Tidy(ctx); err != nil {
		return err
	}
	if err := a.keepCopy(ctx, d); err != nil {
		return err
	}
	if r.Entries == 0 {
		fmt.Fprintln(a.out, "The database has everything that the copy has: nothing was to be done again.")
		return nil
	}
	fmt.Fprintf(a.out, "Put back %s, with %s and %s. What came in since the backup is pulled again by the next sync.\n",
		plural(r.Entries, "entry"), plural(r.Erased, "erasure"), plural(r.Holds, "hold"))
	return nil
}

func (a *app) blockAgain(ctx context.Context, d database, id attendees.EventID) error {
	if _, err := d.Event(ctx, id); errors.As(err, new(*postgres.UnknownEventError)) {
		return nil // it was discovered after the backup: nobody of it came back
	}
	sealer, err := a.sealer(d)
	if err != nil {
		return err
	}
	n, err := d.Block(ctx, id, sealer)
	if err != nil || n.Coming { // then the next sync pulls and seals it again
		return err
	}
	fmt.Fprintf(a.out, "blocked  event %s again: %s sealed\n", id, count(n.Sealed))
	return nil
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return count(n) + " people"
}

func (a *app) adoptCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "adopt --reason REASON",
		Short: "Give up a copy of the ledger that is truly lost, and begin a new one",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			switch err := a.checkLedger(cmd.Context(), d); {
			case err == nil:
				return errors.New("the ledger and its copy agree: there is nothing to give up")
			case !errors.Is(err, postgres.ErrNoCopy):
				return fmt.Errorf("there is a copy, so it is not lost: %w", err)
			}
			if err := d.AdoptLedger(cmd.Context(), reason); err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "The ledger as it stands is taken for whole, and that is recorded. A new copy begins.")
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; name nobody in it")
	return cmd
}

// openLedger opens the database for a command that looks into the ledger, or mends it.
func (a *app) openLedger(ctx context.Context) (database, error) {
	a.mends = true
	return a.open(ctx)
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lethe/attendees/ledger"
	"lethe/attendees/old/seal"
)

func (a *app) replayCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "After a restored backup: do again what the ledger's copy says was done",
		Long: `After a restored backup: do again what the ledger's copy says was done since. Entries go
back byte for byte, then accepted dates, holds, erasures, blockings, answers and deletions
are done again, in that order. Until that is ended worker, web, sync and export refuse to
run; cut off anywhere, it goes on when it is run again. With --from a copy kept elsewhere
is taken, and a missing one of this machine's own is made anew.`,
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
			return a.replay(cmd.Context(), d, file, from != "")
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "this copy of the ledger, with its openings beside it")
	return cmd
}

func (a *app) replay(ctx context.Context, d database, file ledger.File, elsewhere bool) error {
	sealer, err := a.sealer(d)
	if err != nil && !errors.Is(err, seal.ErrNoOfficer) {
		return err // without an officer's key there may be nothing to seal again
	}
	r, err := d.Replay(ctx, file, sealer)
	if err != nil {
		return err
	}
	for _, e := range r.Blocked {
		fmt.Fprintf(a.out, "blocked  event %s again: %s sealed\n", e.Event, count(e.People))
	}
	for _, e := range r.Deleted {
		fmt.Fprintf(a.out, "deleted  event %s again: %s\n", e.Event, people(e.People))
	}
	for _, id := range r.Kept {
		fmt.Fprintf(a.out, "kept     event %s, which was deleted and is under a hold now: it goes when the hold is released\n", id)
	}
	keep := d.CopyLedger
	if elsewhere {
		keep = d.RestoreCopy
	}
	if err := a.withCopy(ctx, d, keep); err != nil {
		return err
	}
	if r.Entries == 0 {
		fmt.Fprintln(a.out, "The database has everything that the copy has: nothing was to be done again.")
		return nil
	}
	fmt.Fprintf(a.out, "Did %s again, with %s and %s. What came in since the backup is pulled again by the next sync.\n",
		plural(r.Entries, "entry"), plural(r.Erased, "erasure"), plural(r.Holds, "hold"))
	fmt.Fprintln(a.out, "Everybody is signed out. Who may sign in is what the backup says: `lethe users list`.")
	if r.Sealing > 0 {
		fmt.Fprintf(a.out, "%s of registrations that the backup does not have: they come in sealed with the next pull.\n", plural(r.Sealing, "restriction"))
	}
	if r.Waiting > 0 {
		fmt.Fprintf(a.out, "%s of registrations that the backup does not have: they hold as soon as those are pulled.\n", plural(r.Waiting, "hold"))
	}
	if r.Lost > 0 {
		fmt.Fprintf(a.out, "LOOK: %s could not be done again by the ledger alone. `lethe retention audit` says what to do.\n",
			plural(r.Lost, "entry"))
	}
	return nil
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return count(n) + " people"
}

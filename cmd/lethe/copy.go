package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/ledger"
	"lethe/attendees/old/postgres"
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
	if err := a.withCopy(ctx, d, d.CopyLedger); err != nil {
		return fmt.Errorf("the database has it all, and the ledger's copy could not grow: %w", err)
	}
	return nil
}

func (a *app) withCopy(ctx context.Context, d database, write func(context.Context, ledger.File) error) error {
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
	return write(ctx, file)
}

// confirmEvery is how often the ledger's keeper copies what other machines did, and
// confirms that the two agree: the most that a restored backup could hide. The others
// look as often whether it still does.
const confirmEvery = 10 * time.Minute

// confirm keeps the copy up to date until ctx ends, or, on a machine that keeps none, sees
// to it that another one does. A copy that has grown apart ends the program, and so does a
// restored backup: from there on nothing can be proven.
func (a *app) confirm(ctx context.Context, d database) error {
	for {
		if err := a.confirmNow(ctx, d); err != nil {
			return err
		}
		select {
		case <-time.After(confirmEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// confirmNow does it once, as has to be done before anything else is.
func (a *app) confirmNow(ctx context.Context, d database) error {
	_, keeps, err := a.ledgerFile()
	if err != nil {
		return err
	}
	if keeps {
		err = a.withCopy(ctx, d, d.CopyLedger)
	} else {
		err = a.checkLedger(ctx, d)
	}
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if !ends(err) {
		a.log.Warn("the ledger could not be compared with its copy; it is tried again", "err", err)
		return nil
	}
	return err
}

// ends tells errors of the ledger after which nothing more may be done.
func ends(err error) bool {
	if errors.As(err, new(*ledger.Damage)) {
		return true
	}
	for _, sentinel := range []error{postgres.ErrRestored, postgres.ErrReplaying, postgres.ErrNoCopy, postgres.ErrUnconfirmed} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

func (a *app) adoptCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "adopt --reason REASON",
		Short: "Give up a copy of the ledger that is truly lost, or a time that was ahead",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			newest, err := d.LedgerTime(cmd.Context())
			if err != nil {
				return err
			}
			aside, err := a.damagedCopy(cmd.Context(), d)
			if err != nil {
				return err
			}
			switch err := a.checkLedger(cmd.Context(), d); {
			case err == nil && (newest.After(a.now()) || aside != ""): // made by a clock that was ahead
			case err == nil:
				return errors.New("the ledger and its copy agree, and the newest entry is not ahead of the clock: there is nothing to give up")
			case !errors.Is(err, postgres.ErrNoCopy):
				return fmt.Errorf("there is a copy, so it is not lost: %w", err)
			}
			if err := d.AdoptLedger(cmd.Context(), reason); err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "The ledger as it stands is taken for whole, and that is recorded. Its copy goes on from here.")
			if aside != "" {
				fmt.Fprintf(a.out, "The damaged copy is %s now: keep it for whoever looks into it.\n", aside)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; name nobody in it")
	return cmd
}

// damagedCopy moves a copy aside that is damaged in itself, while the database's ledger is
// sound in every entry and signature; "" where that is not so. A sound copy that differs
// stays: it may be the one that tells the truth.
func (a *app) damagedCopy(ctx context.Context, d database) (aside string, err error) {
	file, keeps, err := a.ledgerFile()
	if err != nil || !keeps {
		return "", err
	}
	v, err := d.Verifiers()
	if err != nil {
		return "", err
	}
	c, err := file.Read()
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err == nil {
		if _, err = c.Verify(v); err == nil {
			return "", nil
		}
	}
	if errors.As(err, new(*os.PathError)) {
		return "", err
	}
	t, err := d.Ledger(ctx)
	if err != nil {
		return "", err
	}
	if _, err := t.Verify(v); err != nil {
		return "", fmt.Errorf("the copy is damaged, and so is the database's ledger: restore a backup of it: %w", err)
	}
	// What stands behind the damage counts, too: it may say who was erased.
	had, err := file.AtLeast(v)
	if err != nil {
		return "", err
	}
	if had > int64(len(t.Leaves)) {
		return "", fmt.Errorf("the copy is damaged, so put another one of it in its place first: it had %s entries, and the database has %s: %w",
			count(int(had)), count(len(t.Leaves)), postgres.ErrRestored)
	}
	aside = file.Path + ".damaged"
	if _, err := os.Lstat(aside); err == nil {
		return "", fmt.Errorf("%s is there already: move it away first", aside)
	}
	if err := os.Rename(file.Path, aside); err != nil {
		return "", fmt.Errorf("move the damaged copy aside: %w", err)
	}
	return aside, nil
}

// openLedger opens the database for a command that looks into the ledger, or mends it.
func (a *app) openLedger(ctx context.Context) (database, error) {
	a.mends = true
	return a.open(ctx)
}

// sound checks every entry, of the ledger and of its copy.
func sound(ctx context.Context, store database, file ledger.File) error {
	v, err := store.Verifiers()
	if err != nil {
		return err
	}
	t, err := store.Ledger(ctx)
	if err != nil || len(t.Leaves) == 0 {
		return err
	}
	if _, err := t.Verify(v); err != nil {
		return fmt.Errorf("the ledger is damaged: %w", err)
	}
	c, err := file.Read()
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing was copied yet
	}
	if err == nil {
		_, err = c.Verify(v)
	}
	if err == nil {
		_, err = ledger.Compare(t.Leaves, c.Leaves)
	}
	if err != nil {
		return fmt.Errorf("its copy in %s is damaged: %w", file.Path, err)
	}
	return nil
}

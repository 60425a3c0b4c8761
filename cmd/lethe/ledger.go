package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (a *app) ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "What was done, provably and without personal data",
		Args:  onlyCommands("ledger"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.ledgerVerifyCommand(), a.ledgerCheckpointCommand(), a.ledgerCertificateCommand(), a.ledgerKeyCommand(),
		a.replayCommand(), a.adoptCommand())
	return cmd
}

func (a *app) ledgerVerifyCommand() *cobra.Command {
	var certificate string
	var keys []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every entry, hash and signature, or one certificate",
		Long: `Check every entry, hash and signature of the ledger. With --certificate it checks that one
file instead, by the keys given with --key, and needs no database.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if certificate != "" {
				return a.verifyCertificate(certificate, keys)
			}
			if len(keys) > 0 {
				return misused{errors.New("--key goes with --certificate: the ledger itself is checked with LETHE_SECRET")}
			}
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			v, err := d.Verifiers()
			if err != nil {
				return err
			}
			t, err := d.Ledger(cmd.Context())
			if err == nil && len(t.Leaves)+len(t.Hashes)+len(t.Checkpoints) == 0 {
				return a.verifyEmpty()
			}
			var c ledger.Checkpoint
			if err == nil {
				c, err = t.Verify(v)
			}
			var damage *ledger.Damage
			if errors.As(err, &damage) {
				fmt.Fprintf(a.out, "DAMAGED at entry %d: %s.\n", damage.Entry, damage.What)
				return errFound
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Sound: %s entries, %s signed checkpoints, root %s.\n", count(int(c.Size)), count(len(t.Checkpoints)), c.Root)
			return a.verifyCopy(t, v)
		},
	}
	f := cmd.Flags()
	f.StringVar(&certificate, "certificate", "", "check this file")
	f.StringArrayVar(&keys, "key", nil, "a `KEY` that lethe ledger key printed; may be given several times")
	return cmd
}

// verifyEmpty is for a ledger without entries: its copy has to be none.
func (a *app) verifyEmpty() error {
	file, keeps, err := a.ledgerFile()
	if err != nil {
		return err
	}
	if c, err := file.Read(); keeps && err == nil && len(c.Leaves) > 0 {
		fmt.Fprintln(a.out, oneLine(postgres.ErrRestored))
		return errFound
	}
	fmt.Fprintln(a.out, "The ledger is empty: nothing was blocked, deleted or erased yet.")
	return nil
}

// verifyCopy checks the ledger's copy, every byte of it, and that it is the table's.
func (a *app) verifyCopy(t ledger.Table, v *ledger.Verifiers) error {
	file, keeps, err := a.ledgerFile()
	if err != nil {
		return err
	}
	if !keeps {
		fmt.Fprintln(a.out, "Its copy is kept by another machine (LETHE_LEDGER=none).")
		return nil
	}
	c, err := file.Read()
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(a.out, "There is no copy of it in "+file.Path+".")
		return errFound
	}
	if err == nil {
		_, err = c.Verify(v)
	}
	common := int64(0)
	if err == nil {
		common, err = ledger.Compare(t.Leaves, c.Leaves)
	}
	switch {
	case err != nil:
		fmt.Fprintf(a.out, "Its copy in %s is DAMAGED: %v.\n", file.Path, err)
	case c.Torn:
		fmt.Fprintf(a.out, "Its copy in %s ends in the middle, behind entry %d.\n", file.Path, common-1)
	case common < int64(len(c.Leaves)):
		fmt.Fprintln(a.out, oneLine(postgres.ErrRestored))
	case common < int64(len(t.Leaves)):
		fmt.Fprintf(a.out, "Its copy in %s lacks the newest %s.\n", file.Path, plural(len(t.Leaves)-int(common), "entry"))
	default:
		return a.verifyOpenings(t, file)
	}
	return errFound
}

// verifyOpenings checks that the openings beside the copy are those that the table keeps,
// which are their entries' own: by them alone erasures are done again after a restored
// backup.
func (a *app) verifyOpenings(t ledger.Table, file ledger.File) error {
	same, err := file.HasOpenings(t.Openings)
	if err != nil {
		return err
	}
	if !same {
		fmt.Fprintf(a.out, "Its copy in %s is the same, but the openings beside it are not the database's. The worker, and whatever is done next, writes them anew.\n", file.Path)
		return errFound
	}
	fmt.Fprintf(a.out, "Its copy in %s is the same.\n", file.Path)
	return nil
}

// maxCertificate is in bytes: far more than a certificate has.
const maxCertificate = 64 << 10

func (a *app) verifyCertificate(file string, keys []string) error {
	if len(keys) == 0 {
		return misused{errors.New("--key KEY is wanted: whoever gave the certificate prints it with `lethe ledger key`")}
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		return misused{err}
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxCertificate {
		err = errors.New("it is too large for a certificate")
	}
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	c, err := ledger.ParseCertificate(string(text))
	if err != nil {
		return err
	}
	e, checkpoint, err := c.Verify(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Sound: entry %d of %s, recorded %s.\n  %s", c.Index, count(int(checkpoint.Size)), e.At.Format("2006-01-02 15:04 UTC"), e.Kind)
	if e.Event != "" {
		fmt.Fprintf(a.out, ", event %s", printable(e.Event))
	}
	if e.Rule != "" {
		fmt.Fprintf(a.out, ", rule %s", printable(e.Rule))
	}
	var counts []string
	for what, n := range e.Counts {
		counts = append(counts, fmt.Sprintf("%s %s", count(int(n)), printable(what)))
	}
	slices.Sort(counts)
	if len(counts) > 0 {
		fmt.Fprintf(a.out, ": %s", strings.Join(counts, ", "))
	}
	if c.Opening != nil {
		fmt.Fprint(a.out, "; about the one registration whose opening it has")
	}
	fmt.Fprintln(a.out, ".")
	return nil
}

func (a *app) ledgerCheckpointCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint, for a witness to keep",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			signed, err := d.Checkpoint(cmd.Context())
			if err == nil && signed == "" {
				err = errors.New("the ledger is empty: nothing was blocked, deleted or erased yet")
			}
			if err != nil {
				return err
			}
			fmt.Fprint(a.out, signed)
			return nil
		},
	}
}

func (a *app) ledgerKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the key that checkpoints are verified with",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			keys, err := a.keyring(a.config.DatabaseURL == "")
			if err != nil {
				return err
			}
			for _, seed := range keys.Derive(ledger.SeedUse) {
				signer, err := ledger.NewSigner(seed)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.out, signer.Key())
			}
			return nil
		},
	}
}

func (a *app) ledgerCertificateCommand() *cobra.Command {
	var event string
	cmd := &cobra.Command{
		Use:   "certificate ATTENDEE | --event EVENT",
		Short: "Print a certificate that a stranger can check without a database",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || (len(args) == 1) == (event != "") {
				return misused{errors.New("lethe ledger certificate wants either ATTENDEE or --event EVENT")}
			}
			attendee := ""
			if len(args) == 1 {
				attendee = args[0]
			}
			d, err := a.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			c, err := d.Certificate(cmd.Context(), eventID(event), attendees.AttendeeID(strings.TrimSpace(attendee)))
			if err != nil {
				return err
			}
			fmt.Fprint(a.out, c.Text())
			return nil
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "about this event")
	return cmd
}

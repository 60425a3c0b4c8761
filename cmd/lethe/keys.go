package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/seal"
)

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "The officer's key pair, and what still needs which key",
		Args:  onlyCommands("keys"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keysNewCommand(), a.keysListCommand(), a.keysCheckCommand())
	return cmd
}

func (a *app) keysNewCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make an officer's key pair",
		Long: `Make an officer's key pair. The private half opens everything that is sealed: keep it off
this machine. The public half goes into LETHE_OFFICER_KEY, several by comma.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			officer, err := seal.NewOfficer()
			if err != nil {
				return err
			}
			file := officer.File(time.Now())
			if out == "" {
				if _, err := fmt.Fprint(a.out, file); err != nil {
					return fmt.Errorf("the key is lost, make another: %w", err)
				}
				fmt.Fprintf(a.err, "Keep the private half (AGE-SECRET-KEY-1…) where this server is not: it is not shown again.\n"+
					"Then: LETHE_OFFICER_KEY=%s\n", officer.Public())
				return nil
			}
			if err := writeNew(out, file); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "The private half is in %s. Keep it where this server is not.\nLETHE_OFFICER_KEY=%s\n", out, officer.Public())
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write the key to this file, which must not be there yet")
	return cmd
}

// writeNew writes a file that nobody else reads, and replaces none.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already, and a key is never overwritten", path)
	}
	if err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	if _, err := f.WriteString(text); err != nil {
		return errors.Join(fmt.Errorf("write a key: %w", err), f.Close(), os.Remove(path))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	return nil
}

func (a *app) keysListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Which officer's key opens how many sealed records, and which secret is still needed",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.looks = true
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			officers, err := d.OfficerKeys(cmd.Context())
			if err != nil {
				return err
			}
			secrets, err := d.SecretUses(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, map[string]any{"officers": officers, "secrets": secrets})
			}
			t := newTable("key", "of", ">needed by")
			for _, u := range officers {
				t.add(u.Key+"…", "officer", count(u.Records)+" sealed records")
			}
			for _, u := range secrets {
				t.add(u.Key, "LETHE_SECRET", count(u.Records)+" hashes, halves, signatures and letters")
			}
			if len(t.rows) == 0 {
				fmt.Fprintln(a.out, "No key is in use yet.")
				return nil
			}
			t.write(a.out)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// sampleSize is how many sealed records a key is tried on.
const sampleSize = 100

func (a *app) keysCheckCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check -i KEYFILE",
		Short: "Try an officer's key on a random sample of sealed records, without showing any",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			officer, err := readOfficer(file)
			if err != nil {
				return err
			}
			a.looks = true
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			sample, err := d.Sample(cmd.Context(), officer.ID(), sampleSize)
			if err != nil {
				return err
			}
			if len(sample) == 0 {
				fmt.Fprintf(a.out, "Nothing is sealed to the key %s….\n", officer.ID())
				return errFound
			}
			opened := 0
			for _, r := range sample {
				if _, err := open(officer, r.Event, r.Attendee, r.Part, r.Officers); err == nil {
					opened++
				}
			}
			fmt.Fprintf(a.out, "The key %s… opened %s of %s sealed records drawn at random.\n", officer.ID(), count(opened), count(len(sample)))
			if opened < len(sample) {
				return errFound
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "identity", "i", "", "the officer's key file")
	return cmd
}

func readOfficer(file string) (seal.Officer, error) {
	if file == "" {
		return seal.Officer{}, misused{errors.New("-i KEYFILE is wanted: the file that `lethe keys new --out` wrote")}
	}
	f, err := os.Open(file)
	if err != nil {
		return seal.Officer{}, fmt.Errorf("read an officer's key: %w", err)
	}
	defer func() { _ = f.Close() }()
	return seal.ReadOfficer(f)
}

// officers are those of LETHE_OFFICER_KEY, or else the one whose public half up has
// kept in the data folder; nil: there are none.
func (a *app) officers() (*seal.Officers, error) {
	keys := a.config.OfficerKey
	if keys == "" && a.config.DatabaseURL == "" {
		dir, err := a.config.data()
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(filepath.Join(dir, officerFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the officer's public key in the data folder: %w", err)
		}
		keys = string(text)
	}
	if keys == "" {
		return nil, nil
	}
	officers, err := seal.ParseOfficers(keys)
	if err != nil {
		return nil, fmt.Errorf("LETHE_OFFICER_KEY: %w", err)
	}
	return officers, nil
}

// officerFile in the data folder holds a public half, never a private one.
const officerFile = "officer.pub"

// ownOfficer makes an officer's key for a newcomer: the private half is shown once, to
// a person at a terminal, and kept nowhere.
func (a *app) ownOfficer() error {
	officers, err := a.officers()
	if err != nil || officers != nil {
		return err
	}
	if !isTerminal(a.out) {
		fmt.Fprintln(a.err, "There is no officer's key, so nothing can be blocked: make one with `lethe keys new --out officer.key` and set LETHE_OFFICER_KEY.")
		return nil
	}
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	officer, err := seal.NewOfficer()
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(dir, officerFile), officer.Public()); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Made an officer's key. This is its private half, which opens what is sealed. It is kept nowhere and not shown again:\n\n%s\n", officer.File(a.now()))
	return nil
}

// sealer seals to the officers, or says how to have one.
func (a *app) sealer(d database) (*seal.Sealer, error) {
	officers, err := a.officers()
	if err != nil {
		return nil, err
	}
	return seal.NewSealer(officers, d.Keys())
}

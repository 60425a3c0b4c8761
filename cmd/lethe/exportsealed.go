package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/export"
)

func (a *app) exportSealedCommand() *cobra.Command {
	var event, out string
	cmd := &cobra.Command{
		Use:   "export-sealed --event EVENT --out FILE.zip",
		Short: "Take sealed records out, to open them on a machine that never sees this one",
		Long: `Take an event's sealed records out, each an age file that ` + "`age -d -i officer.key`" + ` opens on a
machine that never sees this one. It is in the ledger, and a task asks to destroy the copy.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if event == "" || out == "" {
				return misused{errors.New("lethe retention export-sealed wants --event and --out")}
			}
			ctx := cmd.Context()
			d, err := a.open(ctx)
			if err != nil {
				return err
			}
			e, err := d.Event(ctx, eventID(event))
			if err != nil {
				return err
			}
			n := 0
			err = export.File(out, false, func(w io.Writer) error {
				archive := zip.NewWriter(w)
				for r, err := range d.StillSealed(ctx, e, "") {
					if err != nil {
						return err
					}
					whose := string(r.Attendee)
					if whose == "" {
						whose = r.Key.String()
					}
					f, err := archive.Create(fmt.Sprintf("%s/%s-%s.age", e.ID, fileName(whose), fileName(r.Part)))
					if err != nil {
						return fmt.Errorf("write the archive: %w", err)
					}
					if _, err := f.Write(r.Officers); err != nil {
						return fmt.Errorf("write the archive: %w", err)
					}
					n++
				}
				if n == 0 {
					return errors.New("nothing is sealed there: `lethe retention plan` shows which events are blocked")
				}
				if err := archive.Close(); err != nil {
					return fmt.Errorf("write the archive: %w", err)
				}
				// Before the file gets its name: no dump lies around that nobody wrote down.
				if err := d.RecordDump(ctx, e, n, account()); err != nil {
					return err
				}
				return a.keepCopy(ctx, d)
			})
			if errors.Is(err, export.ErrExists) {
				return fmt.Errorf("%s is there already: name another file", out)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %s, still sealed. Destroy every copy by %s.\n", out, plural(n, "record"), e.DeleteOn)
			return nil
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "the event")
	cmd.Flags().StringVar(&out, "out", "", "the archive to write")
	return cmd
}

// fileName keeps ids from outside from naming folders.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, id)
}

func (a *app) agreementsCommand() *cobra.Command {
	var drop, keep bool
	var reason string
	cmd := &cobra.Command{
		Use:   "agreements EVENT --drop | --keep",
		Short: "Answer whether those who never agreed go, where most did not",
		Args:  exactly(1, "EVENT, the event's Eventbrite id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if drop == keep {
				return misused{errors.New("lethe retention agreements wants either --drop or --keep")}
			}
			if err := wantReason(reason); err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			n, err := d.AnswerDoubt(cmd.Context(), eventID(args[0]), drop, reason, account())
			if err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s went, unopened.\n", people(n))
			return nil
		},
	}
	cmd.Flags().BoolVar(&drop, "drop", false, "they go: the form was the right one")
	cmd.Flags().BoolVar(&keep, "keep", false, "they stay: the form was the wrong one")
	cmd.Flags().StringVar(&reason, "reason", "", "why; name nobody in it")
	return cmd
}

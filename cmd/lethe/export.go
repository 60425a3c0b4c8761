package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
)

func (a *app) exportCommand() *cobra.Command {
	var purpose, format, out, status string
	var force bool
	cmd := &cobra.Command{
		Use:     "export EVENT",
		Short:   "Write the list of an event's people for one purpose",
		Example: "  lethe export 4711 --purpose participation_agreement --format csv --out people.csv\n  lethe export 4711 --purpose forum --format json --out -",
		Args:    exactly(1, "EVENT, the event's Eventbrite id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(export.Formats(), format) {
				return misused{fmt.Errorf("--format is %q: csv, json or xlsx", format)}
			}
			standing := attendees.Attending
			switch status {
			case "attending":
			case "all":
				standing = postgres.AnyStatus
			default:
				return misused{fmt.Errorf("--status is %q: attending or all", status)}
			}
			if purpose == "" || out == "" {
				return misused{errors.New("lethe export wants --purpose and --out: `lethe export --help` shows how")}
			}
			if err := a.configure(); err != nil {
				return err
			}
			d, err := a.openStore(cmd.Context())
			if err != nil {
				return err
			}
			l := export.List{
				Store: d.Store, Event: eventID(args[0]), Purpose: attendees.PurposeName(purpose), Standing: standing,
				Format: format,
			}
			return a.export(cmd.Context(), l, out, force)
		},
	}
	f := cmd.Flags()
	f.StringVar(&purpose, "purpose", "", "participation_agreement or forum, or another of the policy's")
	f.StringVar(&format, "format", "csv", "csv, json or xlsx")
	f.StringVar(&out, "out", "", "the file to write, or - for the standard output")
	f.StringVar(&status, "status", "attending", "attending, or all: cancelled, refunded and gone too")
	f.BoolVar(&force, "force", false, "overwrite the file")
	return cmd
}

// export writes the list to a file, or to the standard output where out is "-".
func (a *app) export(ctx context.Context, l export.List, out string, force bool) error {
	l.By, l.At = account(), a.now()
	if out == "-" {
		l.Streams = true
		_, err := l.Write(ctx, a.out)
		return err
	}
	var receipt postgres.Receipt
	err := export.File(out, force, func(w io.Writer) (err error) {
		receipt, err = l.Write(ctx, w)
		return err
	})
	if errors.Is(err, export.ErrExists) {
		return fmt.Errorf("%s is there already: --force overwrites it", out)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s: %s people, SHA-256 %x\n", out, count(receipt.Rows), receipt.SHA256)
	return nil
}

// account is who runs this, as the machine knows them.
func account() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + " on " + host
}

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/user"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"lethe/attendees"
	"lethe/attendees/export"
	"lethe/attendees/postgres"
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
			write, err := formatNamed(format)
			if err != nil {
				return err
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
			l := list{
				store: d.Store, event: eventID(args[0]), purpose: attendees.PurposeName(purpose), standing: standing,
				format: format, write: write,
			}
			return a.export(cmd.Context(), l, out, force)
		},
	}
	f := cmd.Flags()
	f.StringVar(&purpose, "purpose", "", "participation_agreement or forum, or another of the policy's")
	f.StringVar(&format, "format", "csv", "csv or json")
	f.StringVar(&out, "out", "", "the file to write, or - for the standard output")
	f.StringVar(&status, "status", "attending", "attending, or all: cancelled, refunded and gone too")
	f.BoolVar(&force, "force", false, "overwrite the file")
	return cmd
}

type writeList func(io.Writer, export.Header, iter.Seq2[*export.Row, error]) (int, error)

func formatNamed(name string) (writeList, error) {
	switch name {
	case "csv":
		return export.CSV, nil
	case "json":
		return export.JSON, nil
	}
	return nil, misused{fmt.Errorf("--format is %q: csv or json", name)}
}

// list is one list about to leave.
type list struct {
	store    *postgres.Store
	event    attendees.EventID
	purpose  attendees.PurposeName
	standing attendees.Standing
	format   string
	write    writeList
}

// export writes the list and keeps its receipt. The receipt is kept before the file
// gets its name: no list lies around that nobody wrote down.
func (a *app) export(ctx context.Context, l list, out string, force bool) error {
	receipt := postgres.Receipt{
		ID: uuid.New(), Event: l.event, Purpose: l.purpose, Format: l.format, By: account(), At: a.now().UTC(),
	}
	listed := &postgres.Listing{}
	rows := func(yield func(*export.Row, error) bool) {
		for row, err := range l.store.Attending(ctx, l.event, l.purpose, l.standing) {
			if err != nil {
				yield(nil, err)
				return
			}
			listed.Saw(attendees.Eventbrite, attendees.AttendeeID(row.ID))
			if !yield(row, nil) {
				return
			}
		}
	}
	save := func(w io.Writer) error {
		hash := sha256.New()
		n, err := l.write(io.MultiWriter(w, hash), export.Header{Event: l.event, Purpose: l.purpose, At: receipt.At}, rows)
		if err != nil {
			return err
		}
		receipt.Rows, receipt.SHA256 = n, hash.Sum(nil)
		return l.store.SaveReceipt(ctx, receipt, listed)
	}
	if out == "-" {
		w := bufio.NewWriter(a.out)
		if err := save(w); err != nil {
			return err
		}
		return w.Flush()
	}
	if err := export.File(out, force, save); err != nil {
		if errors.Is(err, export.ErrExists) {
			return fmt.Errorf("%s is there already: --force overwrites it", out)
		}
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

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (a *app) holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Legal holds: nothing is deleted or dropped while one stands",
		Args:  onlyCommands("hold"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.holdAddCommand(), a.holdListCommand(), a.holdReleaseCommand())
	return cmd
}

func (a *app) holdAddCommand() *cobra.Command {
	var attendee, reason, until string
	cmd := &cobra.Command{
		Use:     "add EVENT | --attendee ID",
		Short:   "Hold an event, or one registration",
		Example: "  lethe hold add 4711 --reason \"open claim\" --until 2030-03-01\n  lethe hold add --attendee 3000000001 --reason \"her complaint\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || (len(args) == 1) == (attendee != "") {
				return misused{errors.New("lethe hold add wants either EVENT or --attendee ID")}
			}
			if err := wantReason(reason); err != nil {
				return err
			}
			var ends attendees.Date
			if until != "" {
				var err error
				if ends, err = attendees.ParseDate(until); err != nil {
					return misused{fmt.Errorf("--until: %w", err)}
				}
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if until != "" && ends.Before(postgres.HoldDay(a.now())) {
				return misused{fmt.Errorf("--until %s is over: such a hold would hold nothing", ends)}
			}
			event := ""
			if len(args) == 1 {
				event = args[0]
			}
			h, err := d.AddHold(cmd.Context(), eventID(event), attendees.AttendeeID(strings.TrimSpace(attendee)), reason, account(), ends)
			if err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Hold %d stands: nothing of it is deleted until `lethe hold release %d`%s.\n", h.ID, h.ID, orUntil(ends))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&attendee, "attendee", "", "hold this registration alone")
	f.StringVar(&reason, "reason", "", "why; name nobody in it")
	f.StringVar(&until, "until", "", "the last day of the hold, such as 2030-03-01; it stands until that is over everywhere")
	return cmd
}

func orUntil(d attendees.Date) string {
	if d.IsZero() {
		return ""
	}
	return " or until " + d.String()
}

// maxReason bounds what people write in a reason: a sentence or two, as the ledger
// takes it.
const maxReason = 300

func wantReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return misused{errors.New("--reason is wanted: it stands in the ledger, so name nobody in it")}
	}
	if len(reason) > maxReason {
		return misused{fmt.Errorf("--reason is longer than %d letters", maxReason)}
	}
	return nil
}

func (a *app) holdListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The holds that stand",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			holds, err := d.Holds(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, listedHolds(holds))
			}
			if len(holds) == 0 {
				fmt.Fprintln(a.out, "No hold stands.")
				return nil
			}
			a.holdTable(holds).write(a.out)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// listedHold is a hold as JSON.
type listedHold struct {
	Hold     int                  `json:"hold"`
	Event    attendees.EventID    `json:"event"`
	Attendee attendees.AttendeeID `json:"attendee,omitempty"`
	Reason   string               `json:"reason"`
	Until    string               `json:"until,omitempty"`
	Waits    bool                 `json:"waits,omitempty"`
	By       string               `json:"by"`
	Since    string               `json:"since"`
}

func listedHolds(holds []postgres.Hold) []listedHold {
	all := make([]listedHold, 0, len(holds))
	for _, h := range holds {
		l := listedHold{Hold: h.ID, Event: h.Event, Attendee: h.Attendee, Reason: h.Reason, Waits: h.Waits, By: h.By, Since: attendees.DateOf(h.AddedAt.UTC()).String()}
		if !h.UntilDate().IsZero() {
			l.Until = h.UntilDate().String()
		}
		all = append(all, l)
	}
	return all
}

func (a *app) holdTable(holds []postgres.Hold) *table {
	t := newTable(">hold", "event", "attendee", "reason", "since", "until", "note")
	for _, h := range listedHolds(holds) {
		note := ""
		if since, err := attendees.ParseDate(h.Since); err == nil && since.AddYears(1).Before(attendees.DateOf(a.now().UTC())) {
			note = "older than a year: is it still needed?"
		}
		if h.Waits {
			note = "waits for a registration that is not pulled yet"
		}
		t.add(strconv.Itoa(h.Hold), string(h.Event), string(h.Attendee), h.Reason, h.Since, h.Until, note)
	}
	return t
}

func (a *app) holdReleaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release HOLD",
		Short: "End a hold; what it alone had kept goes with the next run",
		Args:  exactly(1, "HOLD, the hold's number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.Atoi(args[0])
			if err != nil {
				return misused{fmt.Errorf("%q is no hold's number: `lethe hold list` shows them", args[0])}
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := d.ReleaseHold(cmd.Context(), id); err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Hold %d is released. What it alone had kept goes with the next run.\n", id)
			return nil
		},
	}
}

func (a *app) forgetCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "forget ATTENDEE",
		Short: "Erase one registration now, for good, without asking once more",
		Args:  exactly(1, "ATTENDEE, the registration's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			id := attendees.AttendeeID(strings.TrimSpace(args[0]))
			f, err := d.Forget(cmd.Context(), id, reason)
			if err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Attendee %s of event %s is erased, and no pull brings it back. `lethe ledger certificate %s` proves it.\n", id, f.Event, id)
			for _, r := range f.Exports {
				fmt.Fprintf(a.out, "Still on a list of %s, taken by %s for %s (SHA-256 %.12x…): have every copy destroyed.\n",
					r.At.UTC().Format("2006-01-02 15:04"), r.By, r.Purpose, r.SHA256)
			}
			if f.Dumps {
				fmt.Fprintln(a.out, "Sealed records of the event were taken out, and may still carry it: have every copy destroyed now. The task says who took them.")
			}
			fmt.Fprintln(a.out, "At Eventbrite it is to be deleted by hand, at Typeform as the policy says: `lethe retention audit` lists what staff have to do. The night's run writes the event's room anew, after which no file has the name.")
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; name nobody in it")
	return cmd
}

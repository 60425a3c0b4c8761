package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/attendees/old/seal"
	"lethe/jobs"
)

func (a *app) requestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "What people ask for of what is held of them, Art. 15-21, with its deadline",
		Args:  onlyCommands("requests"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.requestsListCommand(), a.requestsShowCommand(), a.requestsAddCommand(), a.requestsDecideCommand(),
		a.requestsMoveCommand("extend", "Give two months more, once, and tell the person why", (*rights.Desk).Extend),
		a.requestsMoveCommand("pause", "Stop the time while it is doubted who asks, and tell the person why", (*rights.Desk).Pause),
		a.requestsVerifyCommand(), a.requestsLiftCommand())
	return cmd
}

// desk answers requests; its letters wait for the worker's mail.
func (a *app) desk(d database, address string) (*rights.Desk, error) {
	queue, err := jobs.NewQueue(d.Store, a.log)
	if err != nil {
		return nil, err
	}
	sealer, err := a.sealer(d)
	if err != nil && !errors.Is(err, seal.ErrNoOfficer) {
		return nil, err
	}
	if address == "" {
		address = "http://localhost:" + a.config.Port
	}
	return rights.NewDesk(rights.Desk{
		Store: d.Store, Sealer: sealer, Post: queue, BaseURL: address, Now: a.now,
		KeepCopy: func(ctx context.Context) error { return a.keepCopy(ctx, d) },
	})
}

// atDesk opens the database and what answers requests.
func (a *app) atDesk(ctx context.Context) (database, *rights.Desk, error) {
	d, err := a.open(ctx)
	if err != nil {
		return d, nil, err
	}
	desk, err := a.desk(d, a.config.BaseURL)
	return d, desk, err
}

// listedRequest is a request as scripts read it.
type listedRequest struct {
	Request  int               `json:"request"`
	Asks     attendees.Right   `json:"asks"`
	Event    attendees.EventID `json:"event,omitempty"`
	CameBy   string            `json:"came_by,omitempty"`
	Received attendees.Date    `json:"received_on"`
	AnswerBy attendees.Date    `json:"answer_by"`
	State    string            `json:"state"` // open, unverified, paused or closed
	Overdue  bool              `json:"overdue"`
	Extended bool              `json:"extended"`
	Outcome  attendees.Outcome `json:"outcome,omitempty"`
	ClosedAt string            `json:"closed_at,omitempty"`
	RedoneAt string            `json:"redone_at,omitempty"`
}

func (a *app) listed(desk *rights.Desk, c postgres.Case) listedRequest {
	l := listedRequest{
		Request: c.Number, Asks: c.Asks, Event: c.Event, CameBy: c.CameBy, Received: c.Received, AnswerBy: desk.Deadline(c), State: "open",
		Extended: c.Extended, Outcome: c.Outcome,
	}
	l.Overdue = c.Open() && l.AnswerBy.Before(attendees.DateOf(a.now().UTC()))
	switch {
	case !c.Open():
		l.State, l.AnswerBy = "closed", c.Deadline
		l.ClosedAt = c.ClosedAt.UTC().Format("2006-01-02T15:04:05Z")
	case c.Paused():
		l.State = "paused"
	case c.Verified.IsZero():
		l.State = "unverified"
	}
	if !c.RedoneAt.IsZero() {
		l.RedoneAt = c.RedoneAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	return l
}

func (a *app) requestsListCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The requests that wait, those due first; exit 1 where one is overdue",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			cases, err := d.Cases(cmd.Context())
			if err != nil {
				return err
			}
			list := []listedRequest{}
			overdue := 0
			for _, c := range cases {
				l := a.listed(desk, c)
				if l.Overdue {
					overdue++
				}
				if c.Open() || all || asJSON {
					list = append(list, l)
				}
			}
			if asJSON {
				return writeJSON(a.out, list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.out, "No request waits.")
				return nil
			}
			t := newTable(">request", "asks for", "event", "came", "answer by", "state", "note")
			for _, l := range list {
				state, note := l.State, ""
				if l.Outcome != "" {
					state = string(l.Outcome)
				}
				if l.Overdue {
					note = "OVERDUE (GDPR Art. 12(3))"
				}
				if l.RedoneAt != "" {
					note = "done again after a backup was restored"
				}
				t.add(strconv.Itoa(l.Request), string(l.Asks), string(l.Event), l.Received.String(), l.AnswerBy.String(), state, note)
			}
			t.write(a.out)
			if overdue > 0 {
				fmt.Fprintf(a.out, "%d overdue: `lethe requests decide N --grant|--refuse --reason …` answers one.\n", overdue)
				return errFound
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, answered ones included")
	cmd.Flags().BoolVar(&all, "all", false, "answered ones, too")
	return cmd
}

func requestNumber(arg string) (int, error) {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return 0, misused{fmt.Errorf("%q is no request's number: `lethe requests list` shows them", arg)}
	}
	return n, nil
}

func (a *app) requestsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show N",
		Short: "One request, with what the person wrote, while it is open",
		Args:  exactly(1, "N, the request's number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := requestNumber(args[0])
			if err != nil {
				return err
			}
			d, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			c, text, err := d.Case(cmd.Context(), n)
			if err != nil {
				return err
			}
			l := a.listed(desk, c)
			fmt.Fprintf(a.out, "Request %d: %s (GDPR %s), of %s\nCame on %s by %s; answer by %s; %s\n",
				n, c.Asks, c.Asks.Article(), orAll(c.Event), l.Received, l.CameBy, l.AnswerBy, l.State)
			if !c.Open() {
				fmt.Fprintf(a.out, "Ended: %s, %s\n", c.Outcome, l.ClosedAt)
				return nil
			}
			fmt.Fprintf(a.out, "From: %s\n", printable(text.Contact.Reveal()))
			if text.Field != "" {
				fmt.Fprintf(a.out, "Wants %s to be: %s\n", text.Field, printable(text.Value.Reveal()))
			}
			if text.Message != "" {
				fmt.Fprintf(a.out, "Says: %s\n", printable(text.Message.Reveal()))
			}
			return nil
		},
	}
}

func orAll(e attendees.EventID) string {
	if e == "" {
		return "all events"
	}
	return "event " + string(e)
}

// maxFromStdin bounds an address that is read from standard input, in bytes.
const maxFromStdin = 1 << 10

func (a *app) requestsAddCommand() *cobra.Command {
	var r rights.Request
	var address, received string
	cmd := &cobra.Command{
		Use:     "add",
		Short:   "Enter a request that came by mail, letter or phone; a mail asks the person to prove the address",
		Example: "  lethe requests add --right erasure --event 4711 --received 2027-05-02 --by letter --email - < address",
		Args:    exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "-" {
				text, err := io.ReadAll(io.LimitReader(os.Stdin, maxFromStdin))
				if err != nil {
					return fmt.Errorf("read the address: %w", err)
				}
				address = strings.TrimSpace(string(text))
			}
			if !strings.Contains(address, "@") {
				return misused{errors.New("--email wants the address on file, or - to read it from standard input, so that it stands in no shell's history: what was given is no address")}
			}
			for _, one := range []struct {
				flag, value string
				known       []string
			}{
				{"right", string(r.Asks), texts(attendees.Rights())},
				{"by", r.CameBy, []string{"mail", "letter", "phone"}},
				{"language", r.Language, rights.Languages()},
			} {
				if !slices.Contains(one.known, one.value) {
					return misused{fmt.Errorf("--%s is %q: it is one of %s", one.flag, one.value, strings.Join(one.known, ", "))}
				}
			}
			if received != "" {
				var err error
				if r.Received, err = attendees.ParseDate(received); err != nil {
					return misused{fmt.Errorf("--received: %w", err)}
				}
			}
			d, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			if r.Event != "" {
				if _, err := d.Event(cmd.Context(), r.Event); err != nil {
					return err
				}
			}
			cases, err := desk.Add(cmd.Context(), attendees.Personal(address), r)
			if errors.Is(err, rights.ErrRequest) && r.Asks != attendees.Rectification {
				return misused{errors.New("--message is too long for a request: two pages at most")}
			}
			if errors.Is(err, rights.ErrRequest) {
				return misused{fmt.Errorf("a rectification wants --field, one of %s, and a --value that can stand there", strings.Join(texts(attendees.Correctable()), ", "))}
			}
			if err != nil {
				return err
			}
			for _, c := range cases {
				fmt.Fprintf(a.out, "Request %d, of %s, is to be answered by %s. %s\n", c.Number, orAll(c.Event), desk.Deadline(c), a.mailed("A mail asks the person to prove the address."))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar((*string)(&r.Asks), "right", "", "access, rectification, erasure, restriction, objection or withdrawal")
	f.StringVar((*string)(&r.Event), "event", "", "the event; without it all of that person's")
	f.StringVar(&address, "email", "", "the person's address on file; - reads it from standard input")
	f.StringVar(&received, "received", "", "the day it came; without it today")
	f.StringVar(&r.CameBy, "by", "letter", "mail, letter or phone")
	f.StringVar((*string)(&r.Field), "field", "", "of a rectification: which field")
	f.StringVar((*string)(&r.Value), "value", "", "of a rectification: its right value")
	f.StringVar((*string)(&r.Message), "message", "", "what it says")
	f.StringVar(&r.Language, "language", "en", "the language of the letters: "+strings.Join(rights.Languages(), ", "))
	return cmd
}

// mailed says that a mail goes, or that none can.
func (a *app) mailed(says string) string {
	if a.config.SMTP == "" {
		return "SMTP_URL is not set: the mail waits until it is."
	}
	return says
}

func (a *app) requestsDecideCommand() *cobra.Command {
	var grant, refuse bool
	var n rights.Decision
	var letter string
	var ids []string
	cmd := &cobra.Command{
		Use:     "decide N --grant|--refuse --reason …",
		Short:   "Answer a request: what it asks for is done, and a letter says so",
		Example: "  lethe requests decide 7 --refuse --reason \"an open claim\"\n  lethe requests decide 8 --grant --reason \"her own ticket\" --attendee 3000000001",
		Args:    exactly(1, "N, the request's number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := requestNumber(args[0])
			if err != nil {
				return err
			}
			if grant == refuse {
				return misused{errors.New("either --grant or --refuse is wanted")}
			}
			if err := wantReason(n.Reason); err != nil {
				return err
			}
			if letter != "" {
				text, err := os.ReadFile(letter)
				if err != nil {
					return fmt.Errorf("read the letter: %w", err)
				}
				n.Letter = string(text)
			}
			for _, id := range ids {
				n.Attendees = append(n.Attendees, attendees.AttendeeID(id))
			}
			n.Grant, n.By = grant, account()
			_, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			c, err := desk.Decide(cmd.Context(), number, n)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Request %d is answered: %s. %s\n", number, strings.ReplaceAll(string(c.Outcome), "_", " "), a.mailed("The letter goes with the worker's mail."))
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&grant, "grant", false, "do what it asks for")
	f.BoolVar(&refuse, "refuse", false, "do not")
	f.StringVar(&n.Reason, "reason", "", "why; it stands in the ledger and in the letter, so name nobody in it")
	f.StringVar(&letter, "letter", "", "a file with the letter's text; "+rights.Result+" in it becomes what was done")
	f.StringVar(&n.Extra, "extra", "", "one more paragraph for the letter")
	f.StringSliceVar(&ids, "attendee", nil, "the registration that is meant, where the address alone does not say")
	return cmd
}

// requestsMoveCommand moves a request's deadline.
func (a *app) requestsMoveCommand(name, short string, move func(*rights.Desk, context.Context, int, string) (postgres.Case, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   name + " N --reason …",
		Short: short,
		Args:  exactly(1, "N, the request's number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := requestNumber(args[0])
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return misused{errors.New("--reason is wanted: the person reads it")}
			}
			_, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			c, err := move(desk, cmd.Context(), n, reason)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Request %d is to be answered by %s. %s\n", n, desk.Deadline(c), a.mailed("The person is told."))
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; the person reads it")
	return cmd
}

func (a *app) requestsVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify N",
		Short: "Record that you know by another way who asks: nobody who lost a mailbox is locked out",
		Args:  exactly(1, "N, the request's number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := requestNumber(args[0])
			if err != nil {
				return err
			}
			_, desk, err := a.atDesk(cmd.Context())
			if err != nil {
				return err
			}
			if err := desk.Verify(cmd.Context(), n); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Request %d counts as the person's own; what needs no decision is done.\n", n)
			return nil
		},
	}
}

func (a *app) requestsLiftCommand() *cobra.Command {
	var key, reason string
	cmd := &cobra.Command{
		Use:   "lift ATTENDEE -i KEYFILE",
		Short: "End a restriction with an officer's key, once the person was told (GDPR Art. 18(3))",
		Args:  exactly(1, "ATTENDEE, the registration's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantReason(reason); err != nil {
				return err
			}
			officer, err := readOfficer(key)
			if err != nil {
				return err
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			id := attendees.AttendeeID(strings.TrimSpace(args[0]))
			err = d.Lift(cmd.Context(), id, func(r postgres.SealedRecord) (seal.Record, error) {
				return officer.Open(r.Officers, string(r.Event), string(r.Attendee), r.Part)
			}, reason)
			if err != nil {
				return err
			}
			if err := a.keepCopy(cmd.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Attendee %s is restricted no more.\n", id)
			return nil
		},
	}
	cmd.Flags().StringVarP(&key, "identity", "i", "", "the officer's key file")
	cmd.Flags().StringVar(&reason, "reason", "", "how the person was told; it stands in the ledger, so name nobody in it")
	return cmd
}

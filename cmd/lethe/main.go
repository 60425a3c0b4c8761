// Command lethe keeps event registrations from Eventbrite and Typeform exactly as
// long as an organiser may. `lethe help` lists what it does; README.md says why.
//
// This package is wiring: configuration, commands, how the terminal speaks. What is
// held, why and how long is decided in package attendees.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	// A machine without zoneinfo, as a bare container is, would plan every event in UTC, and
	// one that ends on New Year's Eve for a year too long, or too short.
	_ "time/tzdata"

	"github.com/spf13/cobra"
)

func main() {
	debug.SetGCPercent(gcPercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// gcPercent keeps the heap small: what is read goes by in pages, most of it garbage at once.
const gcPercent = 40

// Exit codes, the same for every command.
const (
	done   = 0
	failed = 1 // failed, or found wanting
	misuse = 2
)

// misused is an error of whoever typed the command.
type misused struct{ error }

func (m misused) Unwrap() error { return m.error }

// errFound ends a command that has already said what it found.
var errFound = errors.New("found wanting")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &said{Writer: stdout}
	a := &app{out: out, err: stderr}
	defer a.close()
	root := commands(a)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("not all of it could be written: %w", out.err)
	}
	var wrong misused
	switch {
	case err == nil:
		return done
	case errors.Is(err, errFound):
		return failed
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "lethe: stopped. What was under way goes on where it stood, the next time.")
		return failed
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, "lethe:", oneLine(err))
		return misuse
	}
	fmt.Fprintln(stderr, "lethe:", oneLine(err))
	return failed
}

// said is the standard output, with the first error of writing to it: what nobody gets to
// see is not done.
type said struct {
	io.Writer
	err error
}

func (s *said) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// oneLine keeps an error to one sentence on one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func commands(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "lethe",
		Short: "Keep registrations as long as you may, then forget them, provably",
		Long: `Lethe keeps event registrations from Eventbrite and Typeform exactly as long as an
organiser may, then blocks and finally deletes them, provably.

New here? lethe demo shows it on a sandbox with invented people.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misused{fmt.Errorf("there is no command %q: `lethe help` lists them", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // which says the same in a programmer's words
		return misused{fmt.Errorf("%s: `%s --help` tells the flags", text, cmd.CommandPath())}
	})
	root.AddCommand(
		a.demoCommand(), a.upCommand(), a.webCommand(), a.workerCommand(), a.migrateCommand(),
		a.syncCommand(), a.eventsCommand(), a.exportCommand(), a.retentionCommand(), a.holdCommand(), a.requestsCommand(), a.forgetCommand(), a.usersCommand(),
		a.ledgerCommand(), a.keysCommand(), a.unsealCommand(), a.doctorCommand(), a.versionCommand(),
	)
	root.SetHelpCommand(helpCommand(root))
	return root
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misused{fmt.Errorf("there is no command %q: `lethe help` lists them", strings.Join(args, " "))}
			}
			return cmd.Help()
		},
	}
}

// onlyCommands refuses what is no command of the group.
func onlyCommands(group string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return misused{fmt.Errorf("there is no command %q: `lethe %s --help` lists them", group+" "+args[0], group)}
		}
		return nil
	}
}

// exactly wants n arguments, named as the usage line does.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return misused{fmt.Errorf("%s wants %s: `%s --help` shows how", cmd.CommandPath(), names, cmd.CommandPath())}
		}
		return nil
	}
}

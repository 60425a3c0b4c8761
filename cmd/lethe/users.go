package main

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

func (a *app) usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Who may sign in to the console, as what, for which events",
		Args:  onlyCommands("users"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.usersAddCommand(), a.usersListCommand(), a.usersRemoveCommand())
	return cmd
}

func (a *app) usersAddCommand() *cobra.Command {
	var roles, events []string
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Let somebody sign in, or change what she may",
		Long: `Let somebody sign in by a mailed link. An organiser sees the people of the events that
--event names, or of all; an operator sees jobs, feeds, plan, users and counts, no names; an
officer sees requests, holds and the ledger. One person may have several roles. Adding an
address again replaces its roles and events, and signs it out everywhere.`,
		Example: "  lethe users add ada@example.org --role organiser --event 4711\n  lethe users add dpo@example.org --role officer --role operator",
		Args:    exactly(1, "EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := mailbox(args[0])
			if err != nil {
				return err
			}
			may, err := rolesNamed(roles)
			if err != nil {
				return err
			}
			var ids []attendees.EventID
			for _, e := range events {
				ids = append(ids, eventID(e))
			}
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			u, err := d.SaveUser(cmd.Context(), address, may, ids)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s may sign in: %s.\n", printable(u.Email.Reveal()), saysRoles(u))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&roles, "role", nil, "organiser, operator or officer; may be given several times")
	cmd.Flags().StringArrayVar(&events, "event", nil, "an event that an organiser sees; may be given several times; none: all")
	return cmd
}

// mailbox takes an address that a link can be mailed to.
func mailbox(arg string) (string, error) {
	address := seal.Normalise(arg)
	if parsed, err := netmail.ParseAddress(address); err != nil || parsed.Address != address {
		return "", misused{errors.New("EMAIL is no address that mail could go to, such as ada@example.org")}
	}
	return address, nil
}

func rolesNamed(names []string) ([]attendees.Role, error) {
	if len(names) == 0 {
		return nil, misused{errors.New("--role is wanted: organiser, operator or officer")}
	}
	named := map[attendees.Role]bool{}
	for _, n := range names {
		if !attendees.Role(n).Known() {
			return nil, misused{fmt.Errorf("there is no role %q: organiser, operator or officer", n)}
		}
		named[attendees.Role(n)] = true
	}
	var roles []attendees.Role
	for _, r := range attendees.Roles() {
		if named[r] {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

// saysRoles is what a user may, in a few words.
func saysRoles(u postgres.User) string {
	words := make([]string, len(u.Roles))
	for i, r := range u.Roles {
		words[i] = string(r)
	}
	text := strings.Join(words, ", ")
	if len(u.Events) > 0 {
		ids := make([]string, len(u.Events))
		for i, e := range u.Events {
			ids[i] = string(e)
		}
		text += ", of " + strings.Join(ids, ", ")
	}
	return text
}

func (a *app) usersListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Who may sign in",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			return a.listUsers(cmd.Context(), d, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (a *app) listUsers(ctx context.Context, d database, asJSON bool) error {
	users, err := d.Users(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		type listed struct {
			Email  string              `json:"email"`
			Roles  []attendees.Role    `json:"roles"`
			Events []attendees.EventID `json:"events"` // none: all
			Since  string              `json:"since"`
		}
		all := make([]listed, 0, len(users))
		for _, u := range users {
			all = append(all, listed{u.Email.Reveal(), u.Roles, append([]attendees.EventID{}, u.Events...), attendees.DateOf(u.AddedAt.UTC()).String()})
		}
		return writeJSON(a.out, all)
	}
	if len(users) == 0 {
		fmt.Fprintln(a.out, "Nobody may sign in. `lethe users add EMAIL --role organiser` lets somebody.")
		return nil
	}
	t := newTable("user", "since", "may")
	for _, u := range users {
		t.add(u.Email.Reveal(), attendees.DateOf(u.AddedAt.UTC()).String(), saysRoles(u))
	}
	t.write(a.out)
	return nil
}

func (a *app) usersRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Let somebody sign in no more; whatever she has open ends at once",
		Args:  exactly(1, "EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := d.RemoveUser(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "Removed, and signed out everywhere.")
			return nil
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/sync/pull"
	"lethe/sync/typeform"
)

func (a *app) eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Which events, and which forms belong to them",
		Args:  onlyCommands("events"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.discoverCommand(), a.linkCommand(), a.unlinkCommand(), a.listCommand())
	return cmd
}

func (a *app) discoverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "discover",
		Short: "Look for events at Eventbrite, and for forms at Typeform",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, p, err := a.openPuller(cmd.Context())
			if err != nil {
				return err
			}
			if p.Eventbrite == nil {
				return errNoToken
			}
			d, err := p.Discover(cmd.Context())
			if err != nil {
				return err
			}
			for _, o := range d.Organizations {
				fmt.Fprintf(a.out, "Eventbrite  %s (%s)\n", printable(o.Name), o.ID)
			}
			for _, refused := range d.Refused {
				fmt.Fprintf(a.out, "  look: %s\n", printable(refused))
			}
			fmt.Fprintf(a.out, "%s events, %s of them new. `lethe events list` shows them.\n", count(d.Events), count(d.New))
			return a.linkable(cmd.Context(), p)
		},
	}
}

// linkable lists the forms that may be linked, where Typeform lists them.
func (a *app) linkable(ctx context.Context, p *pull.Puller) error {
	if p.Typeform == nil {
		return nil
	}
	forms, err := p.Typeform.Forms(ctx)
	if errors.Is(err, typeform.ErrUnsupported) || err == nil && len(forms) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, "\nForms at Typeform that `lethe events link` can link:")
	t := newTable("form", "title")
	for _, f := range forms {
		t.add(string(f.ID), f.Title)
	}
	t.write(a.out)
	return nil
}

// openPuller opens the database and a client for each source that has a token.
func (a *app) openPuller(ctx context.Context) (database, *pull.Puller, error) {
	if err := a.configure(); err != nil {
		return database{}, nil, err
	}
	d, err := a.openStore(ctx)
	if err != nil {
		return d, nil, err
	}
	p, err := a.puller(d)
	return d, p, err
}

func (a *app) listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the events with their dates and linked forms",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			return a.list(cmd.Context(), d, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// listedEvent is one event as `lethe events list --json` gives it.
type listedEvent struct {
	Event    attendees.EventID        `json:"event"`
	Name     string                   `json:"name"`
	Org      attendees.OrganizationID `json:"organization"`
	State    string                   `json:"state"`
	Ends     string                   `json:"ends_on"`
	Blocked  string                   `json:"block_on"`
	Deleted  string                   `json:"delete_on"`
	Rule     string                   `json:"rule"`
	People   int                      `json:"people"`
	Counts   []postgres.Tally         `json:"counts"` // of a blocked or deleted event
	Forms    []attendees.FormID       `json:"forms"`
	Purposes []attendees.PurposeName  `json:"purposes"`
}

func (a *app) list(ctx context.Context, d database, asJSON bool) error {
	events, err := d.Events(ctx)
	if err != nil {
		return err
	}
	links, err := d.Links(ctx)
	if err != nil {
		return err
	}
	tallies, err := d.Tallies(ctx)
	if err != nil {
		return err
	}
	listed := make([]listedEvent, 0, len(events))
	for _, e := range events {
		l := listedEvent{
			Event: e.ID, Name: e.Name, Org: e.Organization, State: a.stateOf(e), Ends: e.EndsOn.String(),
			Blocked: e.BlockOn.String(), Deleted: e.DeleteOn.String(), Rule: e.Rule,
			Forms: []attendees.FormID{}, Purposes: []attendees.PurposeName{}, Counts: append([]postgres.Tally{}, tallies[e.ID]...),
		}
		if e.SealsAsItComes(a.now()) {
			l.People, err = d.CountSealed(ctx, e)
		} else {
			l.People, err = d.Count(ctx, e, attendees.Attending)
		}
		if err != nil {
			return err
		}
		for _, link := range links {
			if link.Event == e.ID {
				l.Forms = append(l.Forms, link.Form)
				l.Purposes = append(l.Purposes, link.Purpose)
			}
		}
		listed = append(listed, l)
	}
	if asJSON {
		return writeJSON(a.out, listed)
	}
	if len(listed) == 0 {
		fmt.Fprintln(a.out, "No events yet. `lethe events discover` looks for them.")
		return nil
	}
	t := newTable("id", "event", "state", "ends", "blocked", "deleted", "rule", ">people", "forms", "counts")
	for _, l := range listed {
		forms := make([]string, len(l.Forms))
		for i, f := range l.Forms {
			forms[i] = string(f)
		}
		t.add(string(l.Event), l.Name, l.State, l.Ends, l.Blocked, l.Deleted, l.Rule, count(l.People), strings.Join(forms, ", "), counted(l.Counts))
	}
	t.write(a.out)
	return nil
}

// sealsAsItComes is the word for an event that was over long before it was first seen.
const sealsAsItComes = "sealing as it comes"

// counted says what is known of an event whose people are not to be seen any more.
func counted(counts []postgres.Tally) string {
	var all []string
	for _, c := range counts {
		if !strings.HasPrefix(c.What, "ticket: ") {
			all = append(all, count(c.People)+" "+c.What)
		}
	}
	return strings.Join(all, ", ")
}

// stateOf says where an event stands, in a word.
func (a *app) stateOf(e postgres.Event) string {
	switch today := e.Today(a.now()); {
	case e.SealsAsItComes(a.now()):
		return sealsAsItComes
	case e.State != attendees.Active:
		return string(e.State)
	case e.NeverHeld():
		return "never held"
	case e.Expired(a.now()):
		return "delete due"
	case !e.Open(a.now()):
		return "block due"
	case e.EndsOn.Before(today):
		return "over"
	}
	return "active"
}

func (a *app) linkCommand() *cobra.Command {
	var purpose string
	var pairs []string
	cmd := &cobra.Command{
		Use:   "link EVENT FORM",
		Short: "Say which question of a form fills which field",
		Long: `Link a form to an event, for one purpose. FORM is a Typeform form's id, or the word
eventbrite for the event's own questions. Without --field it prints the form's
questions with a proposal. Linking again for the same purpose replaces.`,
		Example: `  lethe events link 4711 u6nXL7 --purpose participation_agreement
  lethe events link 4711 u6nXL7 --purpose participation_agreement --field agreed=terms --field email=email
  lethe events link 4711 eventbrite --purpose forum --field forums=20090892`,
		Args: exactly(2, "EVENT and FORM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if purpose == "" {
				return misused{errors.New("lethe events link wants --purpose: `lethe events link --help` shows how")}
			}
			wanted, err := fieldPairs(pairs)
			if err != nil {
				return err
			}
			d, p, err := a.openPuller(cmd.Context())
			if err != nil {
				return err
			}
			return a.link(cmd.Context(), d, p, eventID(args[0]), attendees.FormID(args[1]), attendees.PurposeName(purpose), wanted)
		},
	}
	cmd.Flags().StringVar(&purpose, "purpose", "", "the purpose that the answers are for")
	cmd.Flags().StringArrayVar(&pairs, "field", nil, "FIELD=QUESTION: a field of the purpose, and the question's ref or id")
	return cmd
}

func (a *app) unlinkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unlink EVENT FORM",
		Short: "Take a form from an event, and drop what it filled",
		Long: `Take a form from an event, for all purposes: what its answers filled here goes,
and the form itself is not touched. Linking it again reads its answers anew.`,
		Example: `  lethe events unlink 4711 u6nXL7`,
		Args:    exactly(2, "EVENT and FORM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			e, err := d.Event(cmd.Context(), eventID(args[0]))
			if err != nil {
				return err
			}
			form := attendees.FormID(args[1])
			answers, err := d.Unlink(cmd.Context(), e, form)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Unlinked %s from %s: %s.\n", form, printable(e.Name), plural(answers, "answer")+" dropped here")
			return nil
		},
	}
}

func fieldPairs(pairs []string) ([]attendees.FieldLink, error) {
	var links []attendees.FieldLink
	for _, pair := range pairs {
		field, question, ok := strings.Cut(pair, "=")
		if !ok || field == "" || question == "" {
			return nil, misused{fmt.Errorf("--field %q is not FIELD=QUESTION", pair)}
		}
		if slices.ContainsFunc(links, func(l attendees.FieldLink) bool { return l.Field == attendees.Field(field) }) {
			return nil, misused{fmt.Errorf("--field names %s twice", field)}
		}
		links = append(links, attendees.FieldLink{Field: attendees.Field(field), Question: attendees.QuestionID(question)})
	}
	return links, nil
}

func (a *app) link(ctx context.Context, d database, p *pull.Puller, event attendees.EventID, form attendees.FormID, name attendees.PurposeName, wanted []attendees.FieldLink) error {
	purpose, ok := d.Policy().Purpose(name)
	if !ok {
		return &postgres.UnknownPurposeError{Purpose: name, Known: d.Policy().PurposeNames()}
	}
	e, err := d.Event(ctx, event)
	if err != nil {
		return err
	}
	switch {
	case form == attendees.EventbriteForm && p.Eventbrite == nil:
		return errNoToken
	case form != attendees.EventbriteForm && p.Typeform == nil:
		return errNoTypeformToken
	}
	definition, err := p.Definition(ctx, e, form)
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		a.propose(e, definition, purpose)
		return nil
	}
	link := postgres.Link{Event: e.ID, Form: form, Title: definition.Title, Host: definition.Host, Purpose: name}
	for _, w := range wanted {
		linked, err := postgres.LinkField(definition, purpose, w)
		if err != nil {
			return err
		}
		link.Fields = append(link.Fields, linked)
	}
	if err := d.SaveLink(ctx, e, link); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Linked %s to %s for %s: %d fields. `lethe sync` reads the answers.\n",
		form, printable(e.Name), name, len(link.Fields))
	return nil
}

// propose prints a form's questions beside the fields that they may fill.
func (a *app) propose(e postgres.Event, form attendees.Form, purpose attendees.Purpose) {
	proposal := attendees.Propose(purpose, form.Questions)
	t := newTable("question", "title", "type", "could fill")
	for _, q := range form.Questions {
		fills := ""
		for _, l := range proposal {
			if l.Question == q.Key() {
				fills = string(l.Field)
			}
		}
		if q.FreeText {
			fills = "(cannot be linked)"
		}
		t.add(string(q.Key()), q.Title, q.Type, fills)
	}
	t.write(a.out)
	if len(proposal) == 0 {
		fmt.Fprintf(a.out, "\nNone is a clear match. Say which fills what: --field FIELD=QUESTION, where FIELD is one of %s.\n", strings.Join(purpose.LinkableFields(), ", "))
		return
	}
	fmt.Fprintf(a.out, "\nA proposal, by the titles. Look at it, then link:\n  lethe events link %s %s --purpose %s", e.ID, form.ID, purpose.Name)
	for _, l := range proposal {
		fmt.Fprintf(a.out, " --field %s=%s", l.Field, l.Question)
	}
	fmt.Fprintln(a.out)
}

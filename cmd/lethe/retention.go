package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func (a *app) retentionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "What is blocked and deleted when, doing it, and what is left",
		Args:  onlyCommands("retention"),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.planCommand(), a.runCommand(), a.auditCommand(), a.rulesCommand(), a.exportSealedCommand(), a.agreementsCommand())
	return cmd
}

// openAsOf opens the database, with the time set to noon UTC of a day where one is given.
func (a *app) openAsOf(ctx context.Context, asOf string) (database, error) {
	var day attendees.Date
	if asOf != "" {
		var err error
		if day, err = attendees.ParseDate(asOf); err != nil {
			return database{}, misused{fmt.Errorf("--as-of: %w", err)}
		}
	}
	d, err := a.open(ctx)
	if err != nil || asOf == "" {
		return d, err
	}
	at := time.Date(day.Year, time.Month(day.Month), day.Day, 12, 0, 0, 0, time.UTC)
	a.now = func() time.Time { return at }
	d.Store = d.At(a.now)
	return d, nil
}

func (a *app) planCommand() *cobra.Command {
	var asOf, accept string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "When each event is blocked and deleted, under which rule",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.looks = accept == ""
			d, err := a.openAsOf(cmd.Context(), asOf)
			if err != nil {
				return err
			}
			if accept != "" {
				if asOf != "" {
					return misused{errors.New("--accept goes without --as-of: a plan is accepted as it stands today")}
				}
				return a.acceptPlan(cmd.Context(), d, accept)
			}
			return a.plan(cmd.Context(), d, asJSON)
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "as it will stand on this day, such as 2027-06-14")
	cmd.Flags().StringVar(&accept, "accept", "", "let dates that have moved by more than 30 days count, if the plan has this hash")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func (a *app) acceptPlan(ctx context.Context, d database, hash string) error {
	plan, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	n, err := d.AcceptPlan(ctx, hash)
	if err != nil {
		return err
	}
	for _, e := range plan.Events {
		if e.Pending() {
			fmt.Fprintf(a.out, "%s (%s): blocked %s instead of %s, deleted %s (%s) instead of %s (%s)\n", printable(e.Name), e.ID,
				e.PlannedBlockOn, e.AcceptedBlockOn, e.PlannedDeleteOn, e.PlannedRule, e.AcceptedDeleteOn, e.AcceptedRule)
		}
	}
	if n == 0 {
		fmt.Fprintln(a.out, "There was nothing to accept: no date has moved by more than 30 days.")
	}
	return a.keepCopy(ctx, d)
}

// plannedEvent is one event as `lethe retention plan --json` gives it.
type plannedEvent struct {
	Event   attendees.EventID `json:"event"`
	Name    string            `json:"name"`
	People  int               `json:"people"`
	State   string            `json:"state"`
	Ends    string            `json:"ends_on"`
	Block   string            `json:"block_on"`
	Delete  string            `json:"delete_on"`
	Rule    string            `json:"rule"`
	Hold    string            `json:"hold,omitempty"`
	Overdue bool              `json:"overdue"`
	History bool              `json:"seals_as_it_comes,omitempty"`
	// What would count if it were accepted; empty where nothing waits for that.
	PlannedBlock  string `json:"planned_block_on,omitempty"`
	PlannedDelete string `json:"planned_delete_on,omitempty"`
	PlannedRule   string `json:"planned_rule,omitempty"`
	// Those who stay when the others are deleted.
	HeldAlone  int `json:"held_one_by_one,omitempty"`
	Restricted int `json:"restricted,omitempty"`
	note       string
}

func (a *app) planned(e postgres.Planned) plannedEvent {
	today := e.Today(a.now())
	p := plannedEvent{
		Event: e.ID, Name: e.Name, People: e.People, State: string(e.State), Ends: e.EndsOn.String(),
		Block: e.BlockOn.String(), Delete: e.DeleteOn.String(), Rule: e.Rule,
		HeldAlone: e.Staying.Held, Restricted: e.Restricted,
	}
	if e.State == attendees.Active && e.EndsOn.Before(today) {
		p.State = "over"
	}
	for _, h := range e.Held {
		text := strconv.Quote(h.Reason)
		if !h.UntilDate().IsZero() {
			text += ", until " + h.UntilDate().String()
		}
		if h.Attendee != "" {
			text += " (one person)"
		}
		p.Hold = strings.TrimPrefix(p.Hold+"; "+text, "; ")
	}
	next := e.BlockOn.Date
	if e.BlockedAt != nil {
		next = e.DeleteOn.Date
	}
	days := next.Days(today)
	switch {
	case e.SealsAsItComes(a.now()):
		p.History, p.note = true, sealsAsItComes
	case days <= 0 && e.People == 0 && e.State == attendees.Active:
		p.note = "nobody is held"
	case days <= 0 && (e.BlockedAt == nil || e.DueToDelete(a.now())):
		p.Overdue, p.note = true, fmt.Sprintf("DUE since %s", next)
	case days == 1:
		p.note = "tomorrow"
	case days > 0 && days <= 31:
		p.note = fmt.Sprintf("in %d days", days)
	}
	if e.Pending() {
		p.PlannedBlock, p.PlannedDelete, p.PlannedRule = e.PlannedBlockOn.String(), e.PlannedDeleteOn.String(), e.PlannedRule
		p.note = strings.TrimPrefix(fmt.Sprintf("%s; to accept: blocked %s, deleted %s, %s", p.note, p.PlannedBlock, p.PlannedDelete, p.PlannedRule), "; ")
	}
	if e.BlockedAt != nil && e.Staying != (postgres.Staying{}) {
		p.note = strings.TrimPrefix(p.note+"; "+stay(e.Staying), "; ")
	}
	if p.Hold != "" {
		p.note = strings.TrimPrefix(p.note+"; hold: "+p.Hold, "; ")
	}
	return p
}

// stay says who of an event stays when the others are deleted, and why.
func stay(s postgres.Staying) string {
	var who []string
	if s.Held > 0 {
		who = append(who, count(s.Held)+" held one by one")
	}
	if s.Restricted > 0 {
		who = append(who, count(s.Restricted)+" restricted")
	}
	return strings.Join(who, " and ") + " stay until that ends"
}

func (a *app) plan(ctx context.Context, d database, asJSON bool) error {
	plan, err := d.Plan(ctx)
	if err != nil {
		return err
	}
	events := make([]plannedEvent, 0, len(plan.Events))
	for _, e := range plan.Events {
		events = append(events, a.planned(e))
	}
	slices.SortStableFunc(events, func(x, y plannedEvent) int {
		return strings.Compare(map[bool]string{true: "a", false: "b"}[x.Overdue], map[bool]string{true: "a", false: "b"}[y.Overdue])
	})
	if asJSON {
		return writeJSON(a.out, map[string]any{
			"as_of": attendees.DateOf(a.now().UTC()), "policy": a.policyName(), "plan": plan.Hash(), "events": events,
		})
	}
	fmt.Fprintf(a.out, "as of %s, policy %s, plan %s\n\n", attendees.DateOf(a.now().UTC()), a.policyName(), plan.Hash())
	if len(events) == 0 {
		fmt.Fprintln(a.out, "No events yet. `lethe events discover` looks for them.")
		return nil
	}
	t := newTable("event", ">people", "state", "ends", "blocked", "deleted", "rule")
	for _, e := range events {
		t.add(e.Name, count(e.People), e.State, e.Ends, e.Block, e.Delete, e.Rule)
		t.under(strings.TrimSuffix(string(e.Event)+": "+e.note, ": "))
	}
	t.write(a.out)
	if slices.ContainsFunc(plan.Events, func(e postgres.Planned) bool { return e.Pending() }) {
		fmt.Fprintf(a.out, "\nDates have moved by more than 30 days. Until they are accepted the later ones hold: lethe retention plan --accept %s\n", plan.Hash())
	}
	return a.sayNext(ctx, d)
}

func (a *app) policyName() string {
	if a.config.Policy == "" {
		return "built-in"
	}
	return a.config.Policy
}

// sayNext says what a run would do.
func (a *app) sayNext(ctx context.Context, d database) error {
	f, err := d.Forecast(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\nNext run: %s to block, %s to delete.\n", events(len(f.Block)), events(len(f.Delete)))
	return nil
}

func events(n int) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "1 event"
	}
	return count(n) + " events"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		return count(n) + " " + stem + "ies"
	}
	return count(n) + " " + what + "s"
}

func (a *app) rulesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "The retention rules with their statutes, and which events use them",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.looks = true
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			plan, err := d.Plan(cmd.Context())
			if err != nil {
				return err
			}
			used := map[string][]string{}
			for _, e := range plan.Events {
				used[e.Rule] = append(used[e.Rule], string(e.ID))
			}
			type rule struct {
				Rule    string   `json:"rule"`
				Years   int      `json:"years"`
				From    string   `json:"from"`
				Statute string   `json:"statute"`
				Basis   string   `json:"basis"`
				Events  []string `json:"events"`
				Unknown bool     `json:"unknown,omitempty"` // in use, and in the policy no more
			}
			var rules []rule
			t := newTable("rule", ">years", "from", "basis", ">events", "statute")
			for _, r := range d.Policy().AllRules() {
				rules = append(rules, rule{r.Name, r.Years, string(r.From), r.Statute, r.Basis, append([]string{}, used[r.Name]...), false})
				t.add(r.Name, strconv.Itoa(r.Years), string(r.From), "Art. 6(1)("+r.Basis+")", count(len(used[r.Name])), r.Statute)
				t.under(firstOf(used[r.Name]))
				delete(used, r.Name)
			}
			for _, name := range slices.Sorted(maps.Keys(used)) {
				rules = append(rules, rule{Rule: name, Events: used[name], Unknown: true})
				t.add(name, "", "", "", count(len(used[name])), "in the policy no more: `lethe retention plan` says what would count instead")
				t.under(firstOf(used[name]))
			}
			if asJSON {
				return writeJSON(a.out, rules)
			}
			t.write(a.out)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// listedIDs is how many events' ids stand in one line: about eighty columns.
const listedIDs = 5

// firstOf is a line of the first ids.
func firstOf(ids []string) string {
	if more := len(ids) - listedIDs; more > 0 {
		return fmt.Sprintf("%s and %s more", strings.Join(ids[:listedIDs], ", "), count(more))
	}
	return strings.Join(ids, ", ")
}

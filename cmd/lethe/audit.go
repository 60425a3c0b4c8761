package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/postgres"
)

func (a *app) auditCommand() *cobra.Command {
	var asJSON bool
	var done int
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "What personal data is left, field by field, and what allows it",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.looks = done == 0
			d, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			if done != 0 {
				if err := d.FinishTask(cmd.Context(), done, account()); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "Task %d is done.\n", done)
				return nil
			}
			return a.audit(cmd.Context(), d, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().IntVar(&done, "done", 0, "tick this task off")
	return cmd
}

// audited is what `lethe retention audit --json` gives.
type audited struct {
	Left      []postgres.Left      `json:"left"`
	Strays    []postgres.Stray     `json:"strays"`
	Tasks     []postgres.Task      `json:"tasks"`
	Holds     []listedHold         `json:"holds"`
	Unmatched []postgres.Unmatched `json:"unmatched"`
	LastRun   string               `json:"last_run"` // empty: never
	Faults    int                  `json:"faults"`
}

func (a *app) audit(ctx context.Context, d database, asJSON bool) error {
	left, err := d.Audit(ctx)
	if err != nil {
		return err
	}
	strays, err := d.Strays(ctx)
	if err != nil {
		return err
	}
	tasks, err := d.Tasks(ctx)
	if err != nil {
		return err
	}
	holds, err := d.Holds(ctx)
	if err != nil {
		return err
	}
	unmatched, err := d.AllUnmatched(ctx)
	if err != nil {
		return err
	}
	swept, err := d.Marked(ctx, postgres.Swept)
	if err != nil {
		return err
	}
	all := audited{
		Left: left, Strays: strays, Tasks: tasks, Holds: listedHolds(holds), Unmatched: unmatched,
		Faults: len(postgres.Faults(left)) + len(strays),
	}
	if !swept.IsZero() {
		all.LastRun = swept.UTC().Format(time.RFC3339)
	}
	if asJSON {
		err = writeJSON(a.out, all)
	} else {
		a.writeAudit(all, holds, swept)
	}
	if err == nil && all.Faults > 0 {
		err = errFound
	}
	return err
}

func (a *app) writeAudit(all audited, holds []postgres.Hold, swept time.Time) {
	t := newTable("event", "field", ">people", "purposes", "rule", "until", "fault")
	for _, l := range all.Left {
		var purposes []string
		for _, p := range l.Purposes {
			purposes = append(purposes, string(p))
		}
		t.add(string(l.Event), l.Field, count(l.People), strings.Join(purposes, ", "), l.Rule, l.Until, l.Fault)
	}
	if len(t.rows) == 0 {
		fmt.Fprintln(a.out, "No personal data is left.")
	} else {
		t.write(a.out)
	}
	for _, s := range all.Strays {
		fmt.Fprintf(a.out, "\nfault: %s: %s.\n", s.Whose(), s.Fault)
	}
	for _, task := range all.Tasks {
		times := ""
		if task.Times > 1 {
			times = fmt.Sprintf(" (%s times)", count(task.Times))
		}
		says := strings.Split(task.Says, "\n")
		for i := range says {
			says[i] = printable(says[i])
		}
		fmt.Fprintf(a.out, "\ntask %d%s: %s.\n", task.ID, times, strings.Join(says, "\n"))
		if len(task.Responses) > 0 {
			fmt.Fprintf(a.out, "  Their ids, the first %d at most: %s\n", postgres.TaskResponses, printable(strings.Join(task.Responses, ", ")))
		}
		fmt.Fprintf(a.out, "  Tick it off with: lethe retention audit --done %d\n", task.ID)
	}
	if len(all.Unmatched) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, u := range all.Unmatched {
		fmt.Fprintf(a.out, "event %s: %s of nobody, the oldest since %s\n", u.Event, plural(u.Responses, "response"), u.Since)
	}
	if len(holds) > 0 {
		fmt.Fprintln(a.out)
		a.holdTable(holds).write(a.out)
	}
	when := "never"
	if !swept.IsZero() {
		when = swept.UTC().Format("2006-01-02 15:04 UTC")
	}
	stand := plural(len(holds), "hold") + " stand"
	if len(holds) == 1 {
		stand = "1 hold stands"
	}
	fmt.Fprintf(a.out, "\n%s. Last run: %s.\n", stand, when)
}

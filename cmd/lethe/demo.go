package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
	"lethe/sync/typeform/typeformtest"
)

func (a *app) demoCommand() *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what lethe does, on a sandbox with invented people",
		Long: `Show what lethe does: it starts an Eventbrite and a Typeform of its own with invented
people, and a private PostgreSQL in a fresh folder, and goes through the whole life of an
event: discovering, linking, pulling and exporting; then its time jumps, and people are
sealed, deleted, and both proven. Nothing of yours is touched.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			if !exit && a.bind() != nil { // before the show, not after it
				a.config.Port = "0" // taken: the system finds another
				if err := a.bind(); err != nil {
					return err
				}
			}
			d := &demo{app: a, exits: exit}
			if err := d.prepare(cmd.Context()); err != nil {
				return err
			}
			if err := d.show(cmd.Context()); err != nil {
				return err
			}
			if exit {
				return nil
			}
			fmt.Fprintln(a.out, "\nThe sandbox and the server stay up until Ctrl-C.")
			return a.serveStore(cmd.Context(), d.database, true, true)
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "end when everything has been shown")
	return cmd
}

// demoPeople are in each of the sandbox's two open events.
const demoPeople = 1000

type demo struct {
	*app
	database database
	sync     *syncRun
	folder   string

	eventbrite *eventbritetest.Server
	typeform   *typeformtest.Server
	world      eventbritetest.Demo

	jump    time.Duration // how far the demo's time is ahead
	officer seal.Officer
	exits   bool     // it ends when everything has been shown
	watched []string // names and addresses of people whose traces are looked for
}

// prepare points this process at a sandbox and a fresh folder, whatever the
// environment says.
func (d *demo) prepare(ctx context.Context) error {
	if err := d.freshFolder(); err != nil {
		return err
	}
	if err := d.sandbox(); err != nil {
		return err
	}
	d.say("A private PostgreSQL in %s", d.folder)
	var err error
	if d.database, err = d.openStore(ctx); err != nil {
		return err
	}
	if err := d.database.SetMark(ctx, postgres.Simulated); err != nil {
		return err
	}
	p, err := d.puller(d.database)
	if err != nil {
		return err
	}
	d.sync = &syncRun{app: d.app, puller: p, progress: newProgress(d.out)}
	d.sync.watch()
	return nil
}

// freshFolder makes the folder demo anew below the data folder. Another demo that is
// up keeps its own: this one goes beside it.
func (d *demo) freshFolder() error {
	dir, err := d.dataDir()
	if err != nil {
		return err
	}
	d.folder = filepath.Join(dir, "demo")
	if _, err := os.Stat(d.folder); err == nil && d.inUse() {
		if d.folder, err = os.MkdirTemp(dir, "demo-"); err != nil {
			return fmt.Errorf("make a folder for the demo: %w", err)
		}
	} else if err := os.RemoveAll(d.folder); err != nil {
		return fmt.Errorf("clear the folder of an earlier demo: %w", err)
	}
	if err := os.MkdirAll(d.folder, 0o700); err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	c := &d.config
	c.Data, c.DatabaseURL, c.Secret, c.Policy, c.Retention, c.Organizations, c.Clock, c.OfficerKey, c.Ledger, c.SMTP, c.BaseURL = d.folder, "", "", "", "", "", "", "", "", "", ""
	d.now = func() time.Time { return time.Now().Add(d.jump) }
	d.simulated = true
	return nil
}

func (d *demo) sandbox() error {
	d.eventbrite = eventbritetest.New(eventbritetest.Options{Now: d.now})
	d.world = d.eventbrite.Fill(demoPeople)
	url, stop, err := d.eventbrite.Start()
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	d.onClose(stop)
	d.config.Eventbrite, d.config.EventbriteURL = eventbritetest.Token, url

	d.typeform = typeformtest.New(typeformtest.Options{})
	for _, form := range []typeformtest.Form{typeformtest.AgreementForm(), typeformtest.ForumForm()} {
		d.typeform.AddForm(form)
	}
	var people []typeformtest.Person
	for _, r := range d.eventbrite.Attendees(d.world.Coming, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	people = append(people, typeformtest.Person{Name: "Nobody Known", Email: "nobody.known@example.org"})
	d.typeform.Fill(typeformtest.AgreementFormID, people, time.Now().Add(-5*time.Hour))
	d.typeform.Fill(typeformtest.ForumFormID, people[:demoPeople*2/3], time.Now().Add(-5*time.Hour))
	if url, err = d.typeform.Start(); err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	d.onClose(func() { _ = d.typeform.Close() })
	d.config.Typeform, d.config.TypeformURL = typeformtest.Token, url
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// chapter begins a part, with what the reader would type for it.
func (d *demo) chapter(title, command string) {
	fmt.Fprintf(d.out, "\n── %s\n", title)
	if command != "" {
		fmt.Fprintf(d.out, "$ %s\n", command)
	}
}

func (d *demo) show(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		d.discover, d.link, d.pull, d.people, d.export, d.idle, d.faults,
		d.keys, d.history, d.block, d.open, d.delete, d.again, d.prove, d.visit,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	d.chapter("What comes next", "")
	d.say("With your own events: set EVENTBRITE_TOKEN (and TYPEFORM_TOKEN), then `lethe up`.\n" +
		"Look at `lethe doctor` when something seems wrong, and at README.md for the rest.")
	return nil
}

func (d *demo) discover(ctx context.Context) error {
	d.chapter("Which events are there, and until when may their people be kept?", "lethe events discover; lethe events list")
	if _, err := d.sync.puller.Discover(ctx); err != nil {
		return err
	}
	return d.list(ctx, d.database, false)
}

func (d *demo) link(ctx context.Context) error {
	coming := d.world.Coming
	d.chapter("Which form belongs to an event, and which question fills which field?",
		fmt.Sprintf("lethe events link %s %s --purpose participation_agreement --field agreed=agree …", coming, typeformtest.AgreementFormID))
	for _, l := range []struct {
		form    attendees.FormID
		purpose attendees.PurposeName
		fields  []attendees.FieldLink
	}{
		{typeformtest.AgreementFormID, attendees.ParticipationAgreement, []attendees.FieldLink{
			{Field: attendees.Name, Question: typeformtest.Name},
			{Field: attendees.Email, Question: typeformtest.Email},
			{Field: attendees.Agreed, Question: typeformtest.Agree},
			{Field: attendees.AgreementVersion, Question: typeformtest.AgreementVersion},
		}},
		{typeformtest.ForumFormID, attendees.Forum, []attendees.FieldLink{
			{Field: attendees.Email, Question: typeformtest.Email},
			{Field: attendees.Affiliation, Question: typeformtest.Affiliation},
			{Field: attendees.Forums, Question: typeformtest.Forums},
		}},
	} {
		if err := d.app.link(ctx, d.database, d.sync.puller, coming, l.form, l.purpose, l.fields); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) pull(ctx context.Context) error {
	d.chapter("People arrive", "lethe sync")
	return d.sync.run(ctx, nil)
}

// shownPeople are as many as a reader looks at.
const shownPeople = 5

func (d *demo) people(ctx context.Context) error {
	d.chapter("What is kept of them, and what is not", "")
	t := newTable("attendee", "name", "agreed", "affiliation", "forums")
	agreed := map[string]string{}
	for r, err := range d.database.Attending(ctx, d.world.Coming, attendees.ParticipationAgreement, attendees.Attending) {
		if err != nil {
			return err
		}
		if !r.AgreedAt.IsZero() {
			agreed[r.ID] = r.AgreementVersion + " on " + r.AgreedAt.UTC().Format(time.DateOnly)
		}
	}
	for r, err := range d.database.Attending(ctx, d.world.Coming, attendees.Forum, attendees.Attending) {
		if err != nil {
			return err
		}
		if len(t.rows) == shownPeople {
			break
		}
		if len(r.Forums) == 0 {
			continue
		}
		forums := ""
		for i, f := range r.Forums {
			if i > 0 {
				forums += "; "
			}
			forums += f.Reveal()
		}
		d.watch(r.Name.Reveal(), r.Email.Reveal())
		t.add(r.ID, r.Name.Reveal(), agreed[r.ID], r.Affiliation.Reveal(), forums)
	}
	t.write(d.out)
	sum := d.sync.sum
	d.say("\nRead %s, of which %s were fields that the policy names. Not kept, and never stored anywhere:\n"+
		"addresses, telephone numbers, birth dates, gender, job titles, barcodes, prices, notes, diets, uploads,\n"+
		"and whatever else the two services know. Of Typeform most of it was not even sent.",
		size(sum.Bytes), size(sum.Kept))
	return nil
}

func (d *demo) export(ctx context.Context) error {
	d.chapter("The lists that leave", fmt.Sprintf("lethe export %s --purpose participation_agreement --format csv --out …", d.world.Coming))
	for _, purpose := range []attendees.PurposeName{attendees.ParticipationAgreement, attendees.Forum} {
		for _, format := range export.Formats() {
			l := export.List{
				Store: d.database.Store, Event: d.world.Coming, Purpose: purpose, Standing: attendees.Attending, Format: format,
			}
			if err := d.app.export(ctx, l, filepath.Join(d.folder, string(purpose)+"."+format), false); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *demo) idle(ctx context.Context) error {
	d.chapter("When nothing has changed, a pull costs next to nothing", "lethe sync")
	d.sync.sum = pull.Report{}
	before := d.sync.calls()
	if err := d.sync.run(ctx, nil); err != nil {
		return err
	}
	d.say("That was %d calls: one for all events together, one for each linked form.", d.sync.calls()-before)
	return nil
}

func (d *demo) faults(ctx context.Context) error {
	d.chapter("And when one call in ten fails, nobody is missing", fmt.Sprintf("lethe sync %s", d.world.Coming))
	d.eventbrite.Misbehave(func(q *eventbritetest.Quirks) {
		q.FaultEvery = 10
		q.Faults = []eventbritetest.Fault{eventbritetest.ServerError, eventbritetest.CutBody, eventbritetest.WebPage, eventbritetest.BrokenConnection}
	})
	defer d.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.FaultEvery = 0 })
	d.sync.sum = pull.Report{}
	return d.sync.run(ctx, []string{string(d.world.Coming)})
}

// inUse tells whether another demo is up in the folder.
func (d *demo) inUse() bool { return running(filepath.Join(d.folder, "postgres")) }

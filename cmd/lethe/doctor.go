package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/migrations"
	"lethe/sync/pull"
	"lethe/sync/typeform"
)

func (a *app) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check database, tokens, forms, clock and folders, and say how to mend them",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{app: a}
			d.examine(cmd.Context())
			if asJSON {
				if err := writeJSON(a.out, d.findings); err != nil {
					return err
				}
			} else {
				d.write()
			}
			if slices.ContainsFunc(d.findings, func(f finding) bool { return f.Verdict == broken }) {
				return errFound
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// Verdicts of a finding.
const (
	healthy  = "ok"
	doubtful = "warn"
	broken   = "fail"
)

// finding is one line of doctor's.
type finding struct {
	Verdict string `json:"verdict"`
	What    string `json:"what"`
	Says    string `json:"says"`
	Mend    string `json:"mend,omitempty"`
}

type doctor struct {
	*app
	findings []finding
}

func (d *doctor) find(verdict, what, says, mend string) {
	d.findings = append(d.findings, finding{verdict, what, oneLine(errors.New(says)), mend})
}

func (d *doctor) write() {
	width := 0
	for _, f := range d.findings {
		width = max(width, len(f.What))
	}
	for _, f := range d.findings {
		fmt.Fprintf(d.out, "  %-4s  %-*s  %s\n", f.Verdict, width, f.What, printable(f.Says))
		if f.Mend != "" {
			fmt.Fprintf(d.out, "  %4s  %*s  %s\n", "", width, "", f.Mend)
		}
	}
}

func (d *doctor) examine(ctx context.Context) {
	if err := d.configure(); err != nil {
		d.find(broken, "configuration", err.Error(), "")
		return
	}
	policy, err := d.config.policy()
	if err != nil {
		d.find(broken, "policy", err.Error(), "")
	} else if d.config.Policy == "" {
		d.find(healthy, "policy", "built-in, retention rule "+policy.Rule, "")
	} else {
		d.find(healthy, "policy", fmt.Sprintf("%s: %d purposes, retention rule %s", d.config.Policy, len(policy.Purposes), policy.Rule), "")
	}
	store, opened := d.opened(ctx, err == nil)
	d.folder()
	if opened {
		d.database(ctx, store)
	}
	d.officer(ctx, store)
	if opened {
		d.setup(ctx, store)
		d.ledger(ctx, store)
		d.clock(ctx, store)
		d.holds(ctx, store)
	}
	d.mail(ctx)
	p, err := d.puller(store)
	if err != nil {
		d.find(broken, "sources", err.Error(), "")
		return
	}
	d.eventbrite(ctx, p)
	d.typeform(ctx, p)
	if opened {
		d.feeds(ctx, p)
	}
}

// opened opens the database, where policy and secret let it. Without it what needs none
// is looked at all the same: the store is nil then.
func (d *doctor) opened(ctx context.Context, policy bool) (database, bool) {
	if _, err := d.keyring(d.config.DatabaseURL == ""); err != nil {
		d.find(broken, "secret", err.Error(), "")
		return database{}, false
	}
	if !policy {
		return database{}, false
	}
	d.mends = true // it says itself what the ledger lacks
	store, err := d.openStore(ctx)
	if err != nil {
		d.find(broken, "database", err.Error(), "")
		return database{}, false
	}
	return store, true
}

func (d *doctor) folder() {
	dir, err := d.config.data()
	if err != nil {
		d.find(broken, "data folder", err.Error(), "")
		return
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.find(healthy, "data folder", dir+" is not there yet; it is made when it is needed", "")
	case err != nil:
		d.find(broken, "data folder", err.Error(), "")
	case !info.IsDir():
		d.find(broken, "data folder", dir+" is no folder", "Set LETHE_DATA to a folder.")
	case info.Mode().Perm()&0o077 != 0:
		d.find(doubtful, "data folder", fmt.Sprintf("%s is open to others (%o)", dir, info.Mode().Perm()), "Close it with: chmod 700 "+dir)
	default:
		d.find(healthy, "data folder", dir+", open to its owner alone", "")
	}
}

func (d *doctor) database(ctx context.Context, store database) {
	version, err := store.ServerVersion(ctx)
	if err != nil {
		d.find(broken, "database", err.Error(), "")
		return
	}
	has, needs, err := migrations.Version(ctx, store.DB().DB)
	if err != nil {
		d.find(broken, "database", err.Error(), "")
		return
	}
	theirs, err := store.Now(ctx)
	if err != nil {
		d.find(broken, "database", err.Error(), "")
		return
	}
	skew := time.Since(theirs).Abs()
	says := fmt.Sprintf("PostgreSQL %s, migrations %d of %d, clock %.2f s off ours", version, has, needs, skew.Seconds())
	switch {
	case has < needs:
		d.find(broken, "database", says, "Bring it up to date with: lethe migrate")
	case skew > postgres.MaxSkew:
		d.find(broken, "database", says, "One of the two clocks is wrong: let both follow NTP.")
	default:
		d.find(healthy, "database", says, "")
	}
}

// ledger tells whether the ledger agrees with its copy, and whether one accident could
// take both.
func (d *doctor) ledger(ctx context.Context, store database) {
	if err := d.checkLedger(ctx, store); err != nil {
		d.find(broken, "ledger", err.Error(), "")
		return
	}
	file, keeps, err := d.ledgerFile()
	if err != nil {
		d.find(broken, "ledger", err.Error(), "")
		return
	}
	if !keeps {
		d.find(healthy, "ledger", "its copy is kept by another machine", "")
		return
	}
	folder, err := os.Stat(filepath.Dir(file.Path))
	if d.config.Ledger == "" && errors.Is(err, os.ErrNotExist) {
		d.find(healthy, "ledger", "nothing was recorded yet; its copy will be in "+file.Path, "")
		return
	}
	if err != nil || !folder.IsDir() {
		d.find(broken, "ledger", fmt.Sprintf("its copy cannot be kept in %s: there is no such folder", file.Path), "Set LETHE_LEDGER to a file in a folder that is there.")
		return
	}
	if err := sound(ctx, store, file); err != nil {
		d.find(broken, "ledger", err.Error(), "`lethe ledger verify` names the first entry that is wrong.")
		return
	}
	says := "agrees with its copy in " + file.Path
	if _, err := os.Stat(file.Path); errors.Is(err, os.ErrNotExist) {
		says = "nothing was recorded yet; its copy will be in " + file.Path
	}
	if store.Private != nil {
		dir, err := d.config.data()
		if data, serr := os.Stat(dir); err == nil && serr == nil && sameDisk(folder, data) {
			d.find(doubtful, "ledger", says+", on the disk of the database: a restored snapshot would roll both back", "Set LETHE_LEDGER to a file on another disk.")
			return
		}
	}
	d.find(healthy, "ledger", says, "")
}

func sameDisk(a, b os.FileInfo) bool {
	x, okX := a.Sys().(*syscall.Stat_t)
	y, okY := b.Sys().(*syscall.Stat_t)
	return okX && okY && x.Dev == y.Dev
}

// officerSoon is from how many days before a blocking on a missing key is a failure.
const officerSoon = 30

// officer tells whether somebody can be sealed to before it is time.
func (d *doctor) officer(ctx context.Context, store database) {
	const mend = "Make one with: lethe keys new --out officer.key"
	officers, err := d.officers()
	if err != nil {
		d.find(broken, "officer key", err.Error(), mend)
		return
	}
	if officers != nil {
		d.find(healthy, "officer key", plural(len(officers.IDs()), "key")+": "+strings.Join(officers.IDs(), "…, ")+"…", "")
		return
	}
	var events []postgres.Event
	if store.Store != nil {
		if events, err = store.Events(ctx); err != nil {
			d.find(broken, "officer key", err.Error(), "")
			return
		}
	}
	due := 0
	for _, e := range events {
		if e.State == attendees.Active && e.Open(d.now()) && e.BlockOn.Days(e.Today(d.now())) <= officerSoon {
			due++
		}
	}
	says := "LETHE_OFFICER_KEY is not set, so nothing can be blocked"
	if due > 0 {
		d.find(broken, "officer key", fmt.Sprintf("%s; %s due within %d days", says, plural(due, "event"), officerSoon), mend)
		return
	}
	d.find(doubtful, "officer key", says, mend)
}

func (d *doctor) eventbrite(ctx context.Context, p *pull.Puller) {
	if p.Eventbrite == nil {
		d.find(broken, "Eventbrite", "EVENTBRITE_TOKEN is not set, so no registrations come in", "Take a private token from https://www.eventbrite.com/platform/api-keys")
		return
	}
	organizations, err := p.Eventbrite.Organizations(ctx)
	if err != nil {
		d.find(broken, "Eventbrite", err.Error(), "")
		return
	}
	var names []string
	for _, o := range organizations {
		if len(p.Organizations) == 0 || slices.Contains(p.Organizations, o.ID) {
			names = append(names, fmt.Sprintf("%s (%s)", o.Name, o.ID))
		}
	}
	for _, id := range p.Organizations {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "("+string(id)+")") }) {
			d.find(broken, "Eventbrite", fmt.Sprintf("the token does not see organisation %s", id), "Correct EVENTBRITE_ORGANIZATION, or unset it to take all that the token sees.")
			return
		}
	}
	says := "token of " + strings.Join(names, ", ")
	if b, told := p.Eventbrite.Budget(); told {
		says += fmt.Sprintf(", %s of %s calls left this hour", count(max(b.Limit-b.Used, 0)), count(b.Limit))
	}
	d.source("Eventbrite", says, p.Eventbrite.Skew)
}

// source says that a source answers, unless its clock is not ours.
func (d *doctor) source(name, says string, skew func() (time.Duration, bool)) {
	if off, told := skew(); told && off.Abs() > postgres.MaxSkew {
		d.find(broken, name, fmt.Sprintf("%s; its clock is %s off ours, so nothing is blocked or deleted", says, off.Abs().Round(time.Second)),
			"Let this machine's clock follow NTP.")
		return
	}
	d.find(healthy, name, says, "")
}

// clock tells whether the time is believed.
func (d *doctor) clock(ctx context.Context, store database) {
	if err := store.CheckClock(ctx, d.simulated); err != nil {
		d.find(broken, "clock", err.Error(), "Let the clocks follow NTP, then run: lethe sync")
		return
	}
	says := "agrees with the database's, with the sources' latest replies and with the ledger"
	if d.simulated {
		says = "simulated by LETHE_CLOCK; not before the ledger's newest entry"
	}
	d.find(healthy, "clock", says, "")
}

func (d *doctor) typeform(ctx context.Context, p *pull.Puller) {
	var forms []attendees.FormID
	if p.Store != nil {
		var err error
		if forms, err = p.Store.LinkedForms(ctx); err != nil {
			d.find(broken, "Typeform", err.Error(), "")
			return
		}
	}
	if p.Typeform == nil {
		if len(forms) > 0 {
			d.find(broken, "Typeform", fmt.Sprintf("TYPEFORM_TOKEN is not set, and %d forms are linked", len(forms)), "Take a personal token from https://admin.typeform.com/user/tokens")
			return
		}
		d.find(healthy, "Typeform", "not used: TYPEFORM_TOKEN is not set and no form is linked", "")
		return
	}
	me, err := p.Typeform.Me(ctx)
	switch {
	case errors.Is(err, typeform.ErrUnsupported):
		d.anonymous(ctx, p, errors.Is(err, typeform.ErrToken))
	case err != nil:
		d.find(broken, "Typeform", err.Error(), "")
		return
	default:
		d.source("Typeform", "token of "+me.Alias, p.Typeform.Skew)
	}
	for _, id := range forms {
		d.form(ctx, p, id)
	}
}

// anonymous judges a Typeform that does not tell whose token it was asked with: small
// imitations lack that call, and so does a token that may not do anything.
func (d *doctor) anonymous(ctx context.Context, p *pull.Puller, refused bool) {
	forms, err := p.Typeform.Forms(ctx)
	refused = refused || errors.Is(err, typeform.ErrToken)
	switch {
	case err == nil:
		d.find(healthy, "Typeform", fmt.Sprintf("answers with %s, but does not tell whose token this is", plural(len(forms), "form")), "")
	case !errors.Is(err, typeform.ErrUnsupported):
		d.find(broken, "Typeform", err.Error(), "")
	case refused:
		d.find(doubtful, "Typeform", "refuses to tell whose token this is and which forms there are (status 403)",
			"Make a token with the scopes forms:read and responses:read at https://admin.typeform.com/user/tokens")
	default:
		d.find(healthy, "Typeform", "answers, but tells neither whose token this is nor which forms there are", "")
	}
}

func (d *doctor) form(ctx context.Context, p *pull.Puller, id attendees.FormID) {
	form, err := p.Typeform.Form(ctx, id)
	if err == nil {
		err = p.Typeform.CheckRegion(form)
	}
	var region *typeform.WrongRegion
	switch {
	case errors.As(err, &region):
		d.wrongRegion(region)
	case err != nil:
		d.find(broken, "Typeform", err.Error(), "")
	default:
		d.find(healthy, "form", fmt.Sprintf("%s (%s)", form.Title, id), "")
	}
}

func (d *doctor) wrongRegion(region *typeform.WrongRegion) {
	if region.URL() == "" {
		d.find(doubtful, "Typeform", region.Error(), "")
		return
	}
	d.find(doubtful, "Typeform", fmt.Sprintf("form %s lives in another region than TYPEFORM_URL points to: it would always look empty", region.Form),
		"Set TYPEFORM_URL="+region.URL())
}

// feeds shows what went wrong with pulls and what the operator has to look at.
func (d *doctor) feeds(ctx context.Context, p *pull.Puller) {
	feeds, err := p.Store.Feeds(ctx)
	if err != nil {
		d.find(broken, "pulls", err.Error(), "")
		return
	}
	quiet := true
	for _, f := range feeds {
		if f.Failure != "" {
			d.find(doubtful, "pulls", fmt.Sprintf("%s failed at %s: %s", f.Name, f.FailedAt.UTC().Format(time.RFC3339), f.Failure), "")
			quiet = false
		}
		if f.Attention != "" {
			d.find(doubtful, "pulls", f.Attention, "")
			quiet = false
		}
	}
	if quiet {
		d.find(healthy, "pulls", fmt.Sprintf("%d feeds, none in trouble", len(feeds)), "")
	}
}

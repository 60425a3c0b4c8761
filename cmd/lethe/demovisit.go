package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/rights"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/pull"
)

// graceAndMore is how many days after an event's end the demo looks again: its grace
// period is over.
const graceAndMore = 32

// visit shows the attendee's side: somebody with a registration that is open and one that
// is sealed, found by one address.
func (d *demo) visit(ctx context.Context) error {
	d.chapter("An attendee asks what is held of her: an open event, and a sealed one", "open /my-data in a browser; here it is done by itself")
	now := d.now().Truncate(time.Hour)
	evening, _ := d.eventbrite.AddEvent(d.world.Organization, eventbritetest.Event{
		Name: "An Evening of Fog Signals", Zone: "Europe/Berlin", Start: now.AddDate(0, 0, 1), End: now.AddDate(0, 0, 1).Add(4 * time.Hour),
	})
	d.eventbrite.AddPeople(evening, shownPeople)
	her := d.eventbrite.Attendees(evening, nil)[0]
	address := her.Email
	far := d.eventbrite.Attendees(d.world.Far, nil)[0]
	err := d.eventbrite.Change(far.ID, func(p *eventbritetest.Person) { p.Name, p.Email = her.Name.Reveal(), address.Reveal() })
	if err != nil {
		return err
	}
	if _, err := d.sync.puller.Discover(ctx); err != nil {
		return err
	}
	d.sync.sum = pull.Report{}
	if err := d.sync.run(ctx, nil); err != nil {
		return err
	}
	d.jumpTo(attendees.DateOf(now).AddDays(graceAndMore))
	if err := d.sweep(ctx, d.database, false); err != nil {
		return err
	}
	d.visitor = address
	desk, err := d.desk(d.database, "")
	if err != nil {
		return err
	}
	desk.Post = demoPost{d}
	if err := d.proveAddress(ctx, desk, address); err != nil {
		return err
	}
	if !d.exits {
		return nil // the reader does the rest in a browser
	}
	d.say("\nShe has the open one erased:")
	cases, err := desk.Take(ctx, address, rights.Request{Asks: attendees.ErasureRight, Event: d.world.Far, Language: "en", CameBy: "page"})
	if err != nil {
		return err
	}
	for _, c := range cases {
		d.say("Request %d: %s, %s", c.Number, c.Asks, strings.ReplaceAll(string(c.Outcome), "_", " "))
	}
	return d.showHeld(ctx, address)
}

// proveAddress goes the way of a mailed link, and shows what it opens.
func (d *demo) proveAddress(ctx context.Context, desk *rights.Desk, address attendees.Personal) error {
	link, err := d.database.NewVisitLink(ctx, address)
	if err != nil {
		return err
	}
	token, v, err := d.database.UseVisitLink(ctx, link)
	if err != nil {
		return err
	}
	if _, _, err := d.database.UseVisitLink(ctx, link); !errors.Is(err, postgres.ErrLink) {
		return errors.New("a link opens twice: this must not happen, please report it")
	}
	if err := desk.Proved(ctx, v.Address, v.Cases); err != nil {
		return err
	}
	if err := d.showHeld(ctx, v.Address); err != nil {
		return err
	}
	return d.database.EndVisit(ctx, token)
}

func (d *demo) showHeld(ctx context.Context, address attendees.Personal) error {
	held, err := d.database.HeldUnder(ctx, address)
	if err != nil {
		return err
	}
	for _, h := range held {
		state := "held for staff to look at"
		if o := h.Own; o != nil {
			state = "open"
			if !o.SealedAt.IsZero() {
				state = "sealed, opened by her address alone"
			}
			for _, f := range o.Fields {
				if f.Field == attendees.Name {
					state += ": " + f.Values[0].Reveal()
				}
			}
		}
		d.say("  %s, deleted on %s: %s", h.Event.Name, h.Event.DeleteOn, state)
	}
	return nil
}

// demoPost writes letters where the demo speaks.
type demoPost struct{ *demo }

// Post writes a letter without what is quoted at its end.
func (p demoPost) Post(_ context.Context, l mail.Letter) error {
	l.Quoted = ""
	p.say("\n  Letter: %s\n  %s", l.Subject, strings.ReplaceAll(strings.TrimSpace(l.Plain()), "\n", "\n  "))
	return nil
}

package rights

import (
	"context"
	"strconv"
	"strings"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/mail"
	"lethe/attendees/rights/words"
)

// letter is an answer in the person's language, as it is being written.
type letter struct {
	w       words.Words
	number  int
	asks    attendees.Right
	to      attendees.Personal
	about   events.Event
	policy  *attendees.Policy
	text    []string
	quoted  string
	address string // where the person sees their data
}

func (d *Desk) letter(c Case, text CaseText, e events.Event) letter {
	l := letter{
		w: d.Catalogue.In(text.Language, ""), number: c.Number, asks: c.Asks, to: text.Contact, about: e, policy: d.Store.policy,
		address: d.BaseURL + "/my-data",
	}
	l.say("letter.about", "number", strconv.Itoa(c.Number), "right", l.w.Right(c.Asks), "date", l.w.Date(c.Received), "event", l.event())
	return l
}

func (l *letter) say(key string, pairs ...string) { l.text = append(l.text, l.w.Say(key, pairs...)) }

func (l *letter) event() string {
	switch {
	case l.about.Name != "":
		return l.about.Name
	case l.about.ID != "":
		return string(l.about.ID)
	}
	return l.w.Say("sure.all")
}

// complain ends every letter: where to complain (GDPR Art. 12(4)).
func (l *letter) complain() { l.text = append(l.text, complaint(l.w, l.policy)) }

func complaint(w words.Words, p *attendees.Policy) string {
	var all []string
	if p.Contact != "" {
		all = append(all, w.Say("complaint.contact", "contact", p.Contact))
	}
	if a := p.Authority; a.Name != "" {
		whole := a.Name
		for _, more := range []string{a.Address, a.URL} {
			if more != "" {
				whole += ", " + more
			}
		}
		all = append(all, w.Say("complaint.authority", "authority", whole))
	} else {
		all = append(all, w.Say("complaint.any"))
	}
	return strings.Join(all, " ")
}

// Complaint says where to complain.
func (d *Desk) Complaint(w words.Words) string { return complaint(w, d.Store.policy) }

// Organisation is the controller's name: as the policy says, or else the only one that
// Eventbrite knows.
func (d *Desk) Organisation(ctx context.Context, w words.Words) string {
	if name := d.Store.policy.Organization; name != "" {
		return name
	}
	known, err := d.Store.core.Events.Organizations(ctx)
	if err == nil && len(known) == 1 && known[0].Name != "" {
		return known[0].Name
	}
	return w.Say("organisation")
}

func (l *letter) mail() mail.Letter {
	return mail.Letter{
		To: l.to.Reveal(), Language: l.w.Language,
		Subject: l.w.Say("letter.subject", "number", strconv.Itoa(l.number), "right", l.w.Right(l.asks)),
		Text:    l.text, Link: l.address, Quoted: l.quoted,
	}
}

// Invitation answers a visitor of /my-data: with a link that can be used once, or by saying
// that nothing is stored. It is sent to the address itself only, so it may say which.
func (d *Desk) Invitation(ctx context.Context, address attendees.Personal, w words.Words) (mail.Letter, error) {
	l := mail.Letter{
		To: address.Reveal(), Language: w.Language,
		Subject: w.Say("mail.link.subject", "organisation", d.Organisation(ctx, w)),
	}
	held, err := d.Store.Anything(ctx, address)
	if err != nil {
		return l, err
	}
	if !held {
		l.Text = []string{w.Say("mail.nothing", "organisation", d.Organisation(ctx, w)), complaint(w, d.Store.policy)}
		return l, nil
	}
	l.Text = []string{w.Say("mail.link", "organisation", d.Organisation(ctx, w)), w.Say("mail.link.good")}
	l.Link, err = d.VisitLink(ctx, address, w)
	return l, err
}

// VisitLink makes a link that shows what is stored under an address, once; using it proves
// that the cases came from that mailbox.
func (d *Desk) VisitLink(ctx context.Context, address attendees.Personal, w words.Words, cases ...int) (string, error) {
	token, err := d.Store.NewVisitLink(ctx, address, cases...)
	return d.BaseURL + "/my-data/link/" + token + "?lang=" + w.Language, err
}

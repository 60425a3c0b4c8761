package rights

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"lethe/attendees"
	"lethe/attendees/mail"
	"lethe/attendees/rights/words"
)

// letter is a letter to a person in their language, as it is being written: a greeting, what
// it says, where to complain, a link, and a closing.
type letter struct {
	words.Words
	mail.Letter
	event, organisation string // as it calls them
}

// newLetter begins a letter about nothing yet.
func (d *Desk) newLetter(ctx context.Context, to Value, w words.Words) letter {
	return letter{Words: w, Letter: mail.Letter{To: string(to), Language: w.Language}, organisation: d.Organisation(ctx, w)}
}

// letter begins a letter about a case.
func (d *Desk) letter(ctx context.Context, c Case) letter {
	l := d.newLetter(ctx, c.Contact, d.Catalogue.In(c.Language, ""))
	l.Subject = l.Say("letter.subject", "number", strconv.Itoa(c.Number), "right", l.Right(c.Asks))
	if l.event = l.Say("sure.all"); c.Event != "" {
		l.event = d.eventName(ctx, c.Event)
	}
	return l
}

// eventName is what people call an event: one that is not known any more is its id.
func (d *Desk) eventName(ctx context.Context, id attendees.EventID) string {
	e, _ := d.Store.Events.Get(ctx, d.Store.Pool, id)
	return cmp.Or(e.Name, string(id))
}

// about ends what a letter says of a case.
func (l *letter) about(c Case) {
	l.say("letter.about", "number", strconv.Itoa(c.Number), "right", l.Right(c.Asks), "date", l.Date(c.Received))
}

// say adds a paragraph. Every text may name the event and the organisation.
func (l *letter) say(key string, pairs ...string) {
	l.Text = append(l.Text, l.Say(key, append(pairs, "event", l.event, "organisation", l.organisation)...))
}

// sayLink adds a paragraph with a link behind it.
func (l *letter) sayLink(link, key string, pairs ...string) {
	l.say(key, pairs...)
	l.Link, l.LinkAfter = link, len(l.Text) // and the greeting
}

// post sends a letter, with what frames it. It says where to complain (GDPR Art. 12(4)), and
// how to see what is stored unless it has a link of its own.
func (d *Desk) post(ctx context.Context, l letter) error {
	if l.Text = append(l.Text, d.Complaint(l.Words)); l.Link == "" {
		l.sayLink(d.BaseURL+"/my-data?lang="+l.Words.Language, "letter.link", "language", l.Say("language"))
	}
	closing := l.organisation
	if contact := d.Store.Policy.Contact; contact != "" {
		closing += ", " + contact
	}
	l.Text = slices.Concat([]string{l.Say("letter.greeting")}, l.Text, []string{l.Say("letter.closing", "organisation", closing)})
	return d.Post.Post(ctx, l.Letter)
}

// Complaint says where to complain.
func (d *Desk) Complaint(w words.Words) string {
	p := d.Store.Policy
	if p.Authority.Name == "" {
		return w.Say("complaint.any")
	}
	whole := slices.DeleteFunc([]string{p.Authority.Name, p.Authority.Address, p.Authority.URL}, func(part string) bool { return part == "" })
	return w.Say("complaint.authority", "authority", strings.Join(whole, ", "))
}

// Organisation is the controller's name: as the policy says, or else the only one that
// Eventbrite knows.
func (d *Desk) Organisation(ctx context.Context, w words.Words) string {
	if name := d.Store.Policy.Organization; name != "" {
		return name
	}
	known, err := d.Store.Events.Organizations(ctx)
	if err == nil && len(known) == 1 && known[0].Name != "" {
		return known[0].Name
	}
	return w.Say("organisation")
}

// Invite answers a visitor of /my-data: with a link that can be used once, or by saying
// that nothing is stored. It is sent to the address itself only, so it may say which. How long
// it takes tells whether something is stored: a page answers first, always the same.
func (d *Desk) Invite(ctx context.Context, address attendees.Personal, w words.Words) error {
	l := d.newLetter(ctx, normalised(address), w)
	l.Subject = l.Say("mail.link.subject", "organisation", l.organisation)
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return err
	}
	cases, err := d.Store.CasesOf(ctx, address)
	if err != nil {
		return err
	}
	if len(held)+len(cases) == 0 {
		l.say("mail.nothing")
		return d.post(ctx, l)
	}
	return d.postVisit(ctx, l, "mail.link")
}

// postVisit sends a letter with a link to a visit. Using it proves that the cases came from
// that mailbox.
func (d *Desk) postVisit(ctx context.Context, l letter, key string, cases ...int) error {
	link, err := d.VisitLink(ctx, attendees.Personal(l.To), l.Words, cases...)
	if err != nil {
		return err
	}
	l.sayLink(link, key)
	l.say("mail.link.good")
	return d.post(ctx, l)
}

// VisitLink makes a link that shows what is stored under an address, once.
func (d *Desk) VisitLink(ctx context.Context, address attendees.Personal, w words.Words, cases ...int) (string, error) {
	token, err := d.Store.NewVisitLink(ctx, address, cases...)
	return d.BaseURL + "/my-data/link/" + token + "?lang=" + w.Language, err
}

// paragraphs are a text's, as somebody wrote it into a form.
func paragraphs(text string) (all []string) {
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

package rights

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lethe/attendees"
	"lethe/attendees/events"
	"lethe/attendees/mail"
	"lethe/attendees/rights/deadline"
)

// Decision is how staff answer a case.
type Decision struct {
	Grant  bool
	Reason string // in the ledger and in the letter, without personal data
	// Letter replaces what Draft wrote; Result in it is replaced by what was done. Empty: the
	// draft itself.
	Letter string
	Extra  string // one free paragraph for the letter
	// Attendees are those that it is about, where the address alone does not say.
	Attendees []attendees.AttendeeID
	By        string
}

// Result is where a letter says what was done.
const Result = "{result}"

var (
	// ErrUnproved says that the person has not proved their address.
	ErrUnproved = errors.New("the person has not proved the address yet: wait until the link in the email is used, or mark the identity as verified with `lethe requests verify`")
	// ErrWhose says that staff have to name the attendee.
	ErrWhose = errors.New("it is not clear which attendee is meant: name them by id, with --attendee")
)

// Draft is the letter of a decision as its template has it, for staff to change.
func (d *Desk) Draft(ctx context.Context, number int, grant bool, reason string) (string, error) {
	c, text, err := d.openCase(ctx, number)
	if err != nil {
		return "", err
	}
	l := d.letter(c, text, d.eventOf(ctx, c))
	d.result(&l, grant, reason, []string{Result})
	l.complain()
	return strings.Join(l.text, "\n\n"), nil
}

func (d *Desk) result(l *letter, grant bool, reason string, done []string) {
	if grant {
		l.text = append(l.text, done...)
		if reason != "" {
			l.say("letter.reason", "reason", reason)
		}
		return
	}
	l.say("letter.refused", "reason", reason)
	if l.asks == attendees.Objection {
		l.say("letter.goeson")
	}
}

func (d *Desk) openCase(ctx context.Context, number int) (Case, CaseText, error) {
	c, text, err := d.Store.Case(ctx, number)
	if err == nil && !c.Open() {
		err = &UnknownCaseError{Number: number}
	}
	return c, text, err
}

// eventOf is a case's event; one that is not known any more is its id.
func (d *Desk) eventOf(ctx context.Context, c Case) events.Event {
	e, err := d.Store.core.Events.Get(ctx, d.Store.pool, c.Event)
	if err != nil {
		return events.Event{ID: c.Event}
	}
	return e
}

// Decide answers a case as staff decided. Granting does it; an objection that is granted
// erases, as far as a duty allows. ErrUnproved and ErrWhose say what is missing.
func (d *Desk) Decide(ctx context.Context, number int, n Decision) (Case, error) {
	c, text, err := d.openCase(ctx, number)
	if err != nil {
		return c, err
	}
	l := d.letter(c, text, d.eventOf(ctx, c))
	outcome := attendees.Refused
	if n.Grant {
		if c.Verified.IsZero() {
			return c, ErrUnproved
		}
		done := l
		done.text = nil
		if outcome, err = d.grant(ctx, c, text, n, &done); err != nil {
			return c, err
		}
		l.quoted = done.quoted
		d.result(&l, true, n.Reason, done.text)
		if n.Letter != "" {
			l.text = paragraphs(strings.ReplaceAll(n.Letter, Result, strings.Join(done.text, "\n\n")))
		}
	} else {
		d.result(&l, false, n.Reason, nil)
		if n.Letter != "" {
			l.text = paragraphs(n.Letter)
		}
	}
	if n.Extra != "" {
		l.text = append(l.text, n.Extra)
	}
	if c, err = d.close(ctx, c, outcome, n.By, n.Reason, l); err != nil {
		return c, err
	}
	return c, d.KeepCopy(ctx)
}

func paragraphs(text string) []string {
	var all []string
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			all = append(all, p)
		}
	}
	return all
}

func (d *Desk) grant(ctx context.Context, c Case, text CaseText, n Decision, l *letter) (attendees.Outcome, error) {
	var who []Subject
	for _, id := range n.Attendees {
		one, err := d.Store.Find(ctx, id)
		if err != nil {
			return "", err
		}
		if one.Event != c.Event {
			return "", fmt.Errorf("attendee %s is of event %s, and the request of %s", id, one.Event, c.Event)
		}
		who = append(who, one)
	}
	if len(who) == 0 {
		held, err := d.Store.Under(ctx, text.Contact)
		if err != nil {
			return "", err
		}
		there := false
		for _, h := range held {
			there = there || h.Event.ID == c.Event
			if h.Event.ID == c.Event && h.Own != nil {
				who = append(who, Subject{c.Event, h.Own.Key, h.Own.ID})
			}
		}
		if !there && c.Asks != attendees.Access { // deleted since it was asked for
			l.say("letter.nothing", "event", l.event())
			return attendees.NothingHeld, nil
		}
	}
	if c.Asks == attendees.Access {
		return d.do(ctx, c, text, Subject{}, l, n.Reason)
	}
	if len(who) == 0 {
		return "", ErrWhose
	}
	if c.Asks == attendees.Objection {
		c.Asks = attendees.ErasureRight // what an upheld objection comes to (Art. 17(1)(c))
	}
	outcome := attendees.Granted
	for _, one := range who {
		o, err := d.do(ctx, c, text, one, l, n.Reason)
		if err != nil {
			return "", err
		}
		if o != attendees.Granted {
			outcome = o
		}
	}
	return outcome, nil
}

// Add enters a request that came by mail, letter or phone. A letter to the address has a link
// that proves who asks; then it is settled as any other.
func (d *Desk) Add(ctx context.Context, address attendees.Personal, r Request) ([]Case, error) {
	if err := d.check(ctx, &r); err != nil {
		return nil, err
	}
	if r.Received.IsZero() {
		r.Received = d.today()
	}
	if d.today().Before(r.Received) {
		return nil, fmt.Errorf("it came on %s, which is in the future", r.Received)
	}
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return nil, err
	}
	var events []attendees.EventID
	for _, h := range held {
		if r.Event == "" || h.Event.ID == r.Event {
			events = append(events, h.Event.ID)
		}
	}
	if len(events) == 0 {
		events = []attendees.EventID{r.Event}
	}
	w := d.Catalogue.In(r.Language, "")
	var cases []Case
	var numbers []int
	for _, event := range events {
		c, err := d.open(ctx, address, r, event, time.Time{})
		if err != nil {
			return cases, err
		}
		cases, numbers = append(cases, c), append(numbers, c.Number)
	}
	first := cases[0]
	l := mail.Letter{
		To: address.Reveal(), Language: w.Language,
		Subject: w.Say("letter.subject", "number", strconv.Itoa(first.Number), "right", w.Right(first.Asks)),
		Text: []string{
			w.Say("mail.verify", "organisation", d.Organisation(ctx, w), "number", strconv.Itoa(first.Number), "right", w.Right(first.Asks), "date", w.Date(first.Received)),
			w.Say("mail.link.good"), complaint(w, d.Store.policy),
		},
	}
	if l.Link, err = d.VisitLink(ctx, address, w, numbers...); err != nil {
		return cases, err
	}
	return cases, d.Post.Post(ctx, l)
}

// Verify records that staff know in another way who asks: somebody who has lost their mailbox
// is not locked out.
func (d *Desk) Verify(ctx context.Context, number int) error {
	_, text, err := d.openCase(ctx, number)
	if err != nil {
		return err
	}
	return d.Proved(ctx, text.Contact, []int{number})
}

// Extend gives two months more, once; the person is told why within the first (Art. 12(3)).
func (d *Desk) Extend(ctx context.Context, number int, reason string) (Case, error) {
	c, text, err := d.openCase(ctx, number)
	if err != nil {
		return c, err
	}
	if c.Extended {
		return c, fmt.Errorf("request %d was extended already, which is done once (GDPR Art. 12(3))", number)
	}
	if d.Deadline(c).Before(d.today()) {
		return c, fmt.Errorf("request %d was due on %s: too late to extend it", number, c.Deadline)
	}
	c.Extended = true
	c.Deadline = d.Deadline(c)
	if err := d.Store.moveDeadline(ctx, c); err != nil {
		return c, err
	}
	l := d.letter(c, text, d.eventOf(ctx, c))
	l.say("letter.extended", "deadline", l.w.Date(c.Deadline), "reason", reason)
	l.complain()
	return c, d.Post.Post(ctx, l.mail())
}

// Pause stops the deadline until the person proves their identity; they are told why, and how.
// It resumes when they use the link.
func (d *Desk) Pause(ctx context.Context, number int, reason string) (Case, error) {
	c, text, err := d.openCase(ctx, number)
	if err != nil {
		return c, err
	}
	today := d.today()
	switch {
	case !c.PausedOn.IsZero():
		return c, fmt.Errorf("request %d was paused already", number)
	case today.Days(c.Received) > deadline.PauseWithin:
		return c, fmt.Errorf("request %d came on %s: proof of identity must be requested within %d days, so the deadline is not paused", number, c.Received, deadline.PauseWithin)
	}
	c.PausedOn = today
	if err := d.Store.moveDeadline(ctx, c); err != nil {
		return c, err
	}
	l := d.letter(c, text, d.eventOf(ctx, c))
	l.say("letter.paused", "reason", reason)
	l.say("mail.link.good")
	l.complain()
	if l.address, err = d.VisitLink(ctx, text.Contact, l.w, number); err != nil {
		return c, err
	}
	return c, d.Post.Post(ctx, l.mail())
}

// remindBefore are how many days before a deadline staff are told of it.
var remindBefore = []int{10, 5, 1}

// Remind mails officers what is due soon, and what is overdue, once a day; and forgets
// what was closed long ago. It returns how many are overdue.
func (d *Desk) Remind(ctx context.Context) (overdue int, err error) {
	if err := d.Store.dropSpent(ctx); err != nil {
		return 0, err
	}
	due, err := d.Store.casesToRemind(ctx, remindBefore)
	if err != nil || len(due) == 0 {
		return 0, err
	}
	var lines []string
	for _, c := range due {
		line := fmt.Sprintf("Request %d (%s) is to be answered by %s.", c.Number, c.Asks, c.Deadline)
		if c.Deadline.Before(d.today()) {
			overdue++
			line = fmt.Sprintf("OVERDUE: request %d (%s) was to be answered by %s (GDPR Art. 12(3)).", c.Number, c.Asks, c.Deadline)
		}
		lines = append(lines, line)
	}
	subject := fmt.Sprintf("%d requests are due", len(due))
	if overdue > 0 {
		subject = fmt.Sprintf("OVERDUE: %d requests", overdue)
	}
	return overdue, d.tellOfficers(ctx, subject, d.BaseURL+"/requests", lines...)
}

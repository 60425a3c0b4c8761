package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/mail"
	"lethe/attendees/rights/deadline"
)

// Decision is how a case is answered.
type Decision struct {
	Grant  bool
	Reason string // in the ledger and in the letter, without personal data
	// Letter replaces what Draft wrote; Result in it is replaced by what was done. Empty: the
	// draft itself.
	Letter string
	Extra  string // one free paragraph for the letter
	// Attendees are those that it is about, where the address does not say.
	Attendees []attendees.AttendeeID
	By        string
}

// Result is where a letter says what was done.
const Result = "{result}"

var (
	// ErrUnproved says that the person has not proved their address.
	ErrUnproved = errors.New("the person has not proved the address yet: " +
		"wait until the link in the email is used, or mark the identity as verified with `lethe requests verify`")
	// ErrWhose says that staff have to name the attendee.
	ErrWhose = errors.New("it is not clear which attendee is meant: name them by id, with --attendee")
	// ErrUnanswered says that an answer to an access request would have no data in it.
	ErrUnanswered = errors.New("what is stored does not open here: say in the letter how and when you answered")
)

func (d *Desk) openCase(ctx context.Context, number int) (Case, error) {
	c, err := d.Store.Case(ctx, number)
	if err == nil && !c.Open() {
		err = &UnknownCaseError{number}
	}
	return c, err
}

// Draft is what the letter of a decision says, for staff to change. What frames it, such as
// the greeting and where to complain, is always sent.
func (d *Desk) Draft(ctx context.Context, number int, grant bool, reason string) (string, error) {
	c, err := d.openCase(ctx, number)
	if err != nil {
		return "", err
	}
	l := d.letter(ctx, c)
	l.decided(c, Decision{Grant: grant, Reason: reason}, []string{Result})
	return strings.Join(l.Text, "\n\n"), nil
}

// decided says how a case was decided, and what was done.
func (l *letter) decided(c Case, n Decision, done []string) {
	switch {
	case n.Letter != "":
		l.Text = paragraphs(strings.ReplaceAll(n.Letter, Result, strings.Join(done, "\n\n")))
	case n.Grant:
		if l.Text = done; n.Reason != "" {
			l.say("letter.reason", "reason", n.Reason)
		}
		l.about(c)
	default:
		if l.say("letter.refused", "reason", n.Reason); c.Asks == attendees.Objection {
			l.say("letter.goeson")
		}
		l.about(c)
	}
	if n.Extra != "" {
		l.Text = append(l.Text, n.Extra)
	}
}

// Decide answers a case as staff decided. Granting does it; an objection that is granted
// erases, as far as a duty allows. ErrUnproved, ErrWhose and ErrUnanswered say what is missing.
func (d *Desk) Decide(ctx context.Context, number int, n Decision) (Case, error) {
	c, err := d.openCase(ctx, number)
	if err != nil {
		return c, err
	}
	if n.Grant && c.Verified == nil {
		return c, ErrUnproved
	}
	held, err := d.held(ctx, c)
	if err != nil {
		return c, err
	}
	if c, err = d.answer(ctx, c, n, held); err != nil {
		return c, err
	}
	return c, d.KeepCopy(ctx)
}

// answer does what was decided, says so in a letter, and closes the case: the letter first,
// since the address is gone with the case.
func (d *Desk) answer(ctx context.Context, c Case, n Decision, held []Holding) (Case, error) {
	l, outcome := d.letter(ctx, c), attendees.Refused
	who, err := d.subjects(ctx, c, n, held)
	switch {
	case err != nil:
	case !n.Grant:
		for i := 0; err == nil && c.Asks == attendees.Objection && i < len(who); i++ {
			err = d.Store.askToLift(ctx, who[i])
		}
	case len(held) == 0 && len(who) == 0: // or deleted since it was asked for
		l.say("letter.nothing")
		outcome = attendees.NothingHeld
	case c.Asks == attendees.Access:
		outcome, err = d.attach(ctx, n, held, &l)
	case len(who) == 0:
		err = ErrWhose
	default:
		outcome, err = d.act(ctx, c, n, who, &l)
	}
	if err != nil {
		return c, err
	}
	l.decided(c, n, l.Text)
	if err := d.post(ctx, l); err != nil {
		return c, err
	}
	err = db.InTx(ctx, d.Store.Pool, func(tx db.Tx) error { return d.Store.closeCase(ctx, tx, &c, outcome, n.By, n.Reason) })
	return c, err
}

// subjects are those that a decision is about: staff named them, or the address says.
func (d *Desk) subjects(ctx context.Context, c Case, n Decision, held []Holding) ([]Subject, error) {
	all := subjects(held)
	if len(n.Attendees) == 0 {
		return all, nil
	}
	var named []Subject
	for _, id := range n.Attendees {
		one, err := d.Store.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		if c.Event != "" && one.Event != c.Event {
			return nil, fmt.Errorf("attendee %s is of event %s, and the request of %s", id, one.Event, c.Event)
		}
		if i := slices.IndexFunc(all, func(o Subject) bool { return o.Key == one.Key }); i >= 0 {
			one = all[i] // with what the address opens
		}
		named = append(named, one)
	}
	return named, nil
}

// attach answers an access request with what opens under the address. Where nothing does,
// staff have to say how they answered.
func (d *Desk) attach(ctx context.Context, n Decision, held []Holding, l *letter) (attendees.Outcome, error) {
	if !slices.ContainsFunc(held, func(h Holding) bool { return h.Shared == 0 && !h.Closed }) {
		if n.Letter == "" && n.Extra == "" {
			return "", ErrUnanswered
		}
		return attendees.Granted, nil
	}
	address := attendees.Personal(l.To)
	cases, err := d.Store.CasesOf(ctx, address)
	if err != nil {
		return "", err
	}
	file, err := d.File(address, held, cases).Zip(nil)
	if err != nil {
		return "", err
	}
	l.Attached = append(l.Attached, mail.Attachment{Name: "my-data.zip", Type: "application/zip", Text: file})
	l.say("letter.answered")
	return attendees.Granted, nil
}

// act does to attendees what a case asks for, and says so.
func (d *Desk) act(ctx context.Context, c Case, n Decision, who []Subject, l *letter) (outcome attendees.Outcome, err error) {
	var lists []export.Receipt
	outcome = attendees.Granted
	for _, one := range who {
		var done Deed
		ends := attendees.Granted
		switch {
		case c.Asks == attendees.Rectification:
			done, err = d.Store.Correct(ctx, one, c.Field, attendees.Personal(c.Value), attendees.Personal(c.Contact))
			l.say("letter.corrected")
		case c.Asks == attendees.Restriction:
			done, err = d.Store.Restrict(ctx, one, attendees.RestrictionAsked)
			l.say("letter.restricted")
		case c.Asks == attendees.Objection && n.By == ByLethe: // while staff look at the reasons
			done, err = d.Store.Restrict(ctx, one, attendees.Objected)
		case c.Asks == attendees.Withdrawal:
			done, ends, err = d.withdraw(ctx, one, l)
		default: // an upheld objection comes to an erasure (Art. 17(1)(c))
			done, ends, err = d.erase(ctx, one, n.Reason, l)
		}
		if err != nil {
			return "", err
		}
		if ends != attendees.Granted { // of several registrations one may be kept
			outcome = ends
		}
		lists = append(lists, done.Exports...)
	}
	return outcome, d.told(ctx, l, lists)
}

func (d *Desk) erase(ctx context.Context, who Subject, reason string, l *letter) (Deed, attendees.Outcome, error) {
	if reason == "" {
		reason = "asked for by the person"
	}
	if err := d.Store.endOwnHold(ctx, who); err != nil {
		return Deed{}, "", err
	}
	done, err := d.Store.Erase(ctx, who, reason)
	if err != nil {
		return done, "", err
	}
	outcome := attendees.Granted
	if done.Whole {
		l.say("letter.erased.whole")
	} else {
		outcome = attendees.GrantedInPart
		l.say("letter.erased.part", "until", l.Date(done.Until), "statute", l.Policy(d.Store.statute(done.Rule)))
	}
	l.say("letter.sources")
	proof, err := d.Store.Ledger.Certificate(ctx, string(who.Event), d.Store.Retention.KeyedIDs(who.ID))
	if errors.Is(err, ledger.ErrNoEntry) {
		return done, outcome, nil
	}
	if err != nil {
		return done, "", err
	}
	l.say("letter.certificate")
	name := fmt.Sprintf("certificate-%s.txt", who.ID)
	l.Attached = append(l.Attached, mail.Attachment{Name: name, Type: "text/plain", Text: []byte(proof.Text())})
	return done, outcome, nil
}

func (d *Desk) withdraw(ctx context.Context, who Subject, l *letter) (all Deed, outcome attendees.Outcome, err error) {
	outcome, says := attendees.Refused, "letter.noconsent"
	for _, u := range d.Store.Policy.Purposes {
		if u.Basis != "a" {
			continue
		}
		done, err := d.Store.Withdraw(ctx, who, u.Name)
		if err != nil {
			return all, "", err
		}
		all.Exports = append(all.Exports, done.Exports...)
		if outcome, says = attendees.Granted, "letter.withdrawn"; done.Held {
			says = "letter.withdrawn.held"
		}
	}
	l.say(says)
	return all, outcome, nil
}

// told names the exports that include the person, and tells those who made them (Art. 19).
func (d *Desk) told(ctx context.Context, l *letter, lists []export.Receipt) error {
	var names []string
	for _, r := range lists {
		day := attendees.DateOf(r.At.UTC())
		name := l.Say("lists.one", "purpose", l.Purpose(r.Purpose), "date", l.Date(day))
		if slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if !strings.Contains(r.By, "@") {
			continue // the machine's own account has no mailbox: /exports marks the export
		}
		err := d.Post.Post(ctx, mail.Letter{
			To: r.By, Subject: "Please delete an export", Link: d.BaseURL + "/exports",
			Text: []string{
				fmt.Sprintf("On %s you exported the attendees of %s for %s. ", day, d.eventName(ctx, r.Event), r.Purpose) +
					"Since then, the data of someone in it was erased, corrected or restricted.",
				"Please delete every copy, and export again if you still need the list (GDPR Art. 19). " +
					fmt.Sprintf("The file's SHA-256 begins with %.12x.", r.SHA256),
			},
		})
		if err != nil {
			return err
		}
	}
	if len(names) > 0 {
		l.say("letter.lists", "lists", strings.Join(names, "; "))
	}
	return nil
}

// Extend gives two months more, once; the person is told why within the first (Art. 12(3)).
func (d *Desk) Extend(ctx context.Context, number int, reason string) (Case, error) {
	c, err := d.Store.change(ctx, number, func(c *Case) error {
		if c.Extended {
			return errors.New("it was extended already, which is done once (GDPR Art. 12(3))")
		}
		if by := d.Deadline(*c); by.Before(d.Store.today()) {
			return fmt.Errorf("it was due on %s: too late to extend it", by)
		}
		c.Extended, c.RemindedOn = true, attendees.Date{}
		return nil
	})
	if err != nil {
		return c, err
	}
	l := d.letter(ctx, c)
	l.say("letter.extended", "deadline", l.Date(d.Deadline(c)), "reason", reason)
	l.about(c)
	return c, d.post(ctx, l)
}

// Pause stops the deadline until the person proves their identity; they are told why, and how.
// It resumes when they use the link.
func (d *Desk) Pause(ctx context.Context, number int, reason string) (Case, error) {
	c, err := d.Store.change(ctx, number, func(c *Case) error {
		today := d.Store.today()
		if !c.PausedOn.IsZero() {
			return errors.New("it was paused already")
		}
		if today.Days(c.Received) > deadline.PauseWithin {
			return fmt.Errorf("it came on %s, and proof of identity must be requested within %d days", c.Received, deadline.PauseWithin)
		}
		c.PausedOn, c.RemindedOn = today, attendees.Date{}
		return nil
	})
	if err != nil {
		return c, err
	}
	l := d.letter(ctx, c)
	l.say("letter.paused", "reason", reason)
	l.about(c)
	return c, d.postVisit(ctx, l, "letter.prove", number)
}

// remindBefore are how many days before a deadline staff are told of it.
var remindBefore = []int{10, 5, 1}

// Remind mails officers what is due soon, and what is overdue, once a day; and forgets
// what was closed long ago. It returns how many are overdue.
func (d *Desk) Remind(ctx context.Context) (overdue int, err error) {
	if err := d.Store.dropSpent(ctx); err != nil {
		return 0, err
	}
	cases, err := d.Store.Cases(ctx)
	if err != nil {
		return 0, err
	}
	var lines []string
	for _, c := range cases {
		by, today, told := d.Deadline(c), d.Store.today(), false
		left := by.Days(today)
		if !c.Open() || c.Paused() || left >= 0 && !slices.Contains(remindBefore, left) {
			continue
		}
		_, err := d.Store.change(ctx, c.Number, func(c *Case) error {
			told, c.RemindedOn = c.RemindedOn == today, today
			return nil
		})
		if err != nil {
			return overdue, err
		}
		if told {
			continue
		}
		says := "Request %d (%s) must be answered by %s."
		if left < 0 {
			overdue++
			says = "OVERDUE: request %d (%s) was due on %s (GDPR Art. 12(3))."
		}
		lines = append(lines, fmt.Sprintf(says, c.Number, c.Asks, by))
	}
	if len(lines) == 0 {
		return 0, nil
	}
	subject := fmt.Sprintf("Requests due soon: %d", len(lines))
	if overdue > 0 {
		subject = fmt.Sprintf("OVERDUE: %d requests", overdue)
	}
	return overdue, d.tellOfficers(ctx, subject, d.BaseURL+"/requests", lines...)
}

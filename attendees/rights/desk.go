package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/mail"
	"lethe/attendees/people"
	"lethe/attendees/retention"
	"lethe/attendees/rights/deadline"
	"lethe/attendees/rights/words"
	"lethe/attendees/seal"
)

// Poster sees to it that a letter is sent, later.
type Poster interface {
	Post(ctx context.Context, l mail.Letter) error
}

// Desk takes requests and answers them. Make one with NewDesk.
type Desk struct {
	Store *Store
	Post  Poster
	// KeepCopy adds to the ledger's copy before what was done is called done.
	KeepCopy func(context.Context) error
	BaseURL  string
	Now      func() time.Time
	// Officers are the addresses of the data protection officers.
	Officers func(context.Context) ([]string, error)

	Catalogue *words.Catalogue
	holidays  deadline.Holidays
}

// NewDesk makes a desk of what is set in d.
func NewDesk(d Desk) (*Desk, error) {
	var err error
	if d.Catalogue, err = words.ReadCatalogue(); err != nil {
		return nil, err
	}
	if d.holidays, err = deadline.NewHolidays(d.Store.policy.Countries); err != nil {
		return nil, err
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	return &d, nil
}

// Request is what somebody asks for.
type Request struct {
	Asks     attendees.Right
	Event    attendees.EventID // empty: all
	Message  attendees.Personal
	Field    attendees.Field    // rectification alone
	Value    attendees.Personal // rectification alone
	Language string
	CameBy   string         // page, mail, letter or phone
	Received attendees.Date // zero: today
}

// maxMessage bounds what a person writes with a request, in bytes: two pages.
const maxMessage = 8 << 10

// ErrRequest says that a request is not valid: an unknown right or event, or a correction that
// cannot be made.
var ErrRequest = errors.New("that is no request: it wants a right, an event that is known or none, and for a rectification a field and its value")

func (d *Desk) check(ctx context.Context, r *Request) error {
	if !r.Asks.Known() || len(r.Message) > maxMessage || !utf8.ValidString(string(r.Event)) || strings.Contains(string(r.Event), "\x00") {
		return ErrRequest
	}
	if r.Asks != attendees.Rectification {
		r.Field, r.Value = "", "" // so that the same request is one case
	}
	if r.Asks == attendees.Rectification && d.Store.checkCorrection(r.Field, r.Value) != nil {
		return ErrRequest
	}
	if r.Event == "" {
		return nil
	}
	// What is in the ledger for good is no free text.
	_, err := d.Store.core.Events.Get(ctx, d.Store.pool, r.Event)
	if errors.As(err, new(*events.UnknownError)) {
		return ErrRequest
	}
	return err
}

func (d *Desk) today() attendees.Date { return attendees.DateOf(d.Now().UTC()) }

// Deadline is until when a case must be answered.
func (d *Desk) Deadline(c Case) attendees.Date {
	return deadline.Of(c.Received, deadline.Pause{From: c.PausedOn, Until: c.ResumedOn}, c.Extended, d.today(), d.holidays)
}

// AnswerBy is until when a request that comes today must be answered.
func (d *Desk) AnswerBy() attendees.Date { return d.Deadline(Case{Received: d.today()}) }

// Take takes the request of a person who has proved their address: a case for each event that
// it is about. What needs no human judgement is done before it returns, and a letter says so;
// it gives the cases as they are then.
func (d *Desk) Take(ctx context.Context, address attendees.Personal, r Request) ([]Case, error) {
	if err := d.check(ctx, &r); err != nil {
		return nil, err
	}
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(h Holding) bool { return r.Event != "" && h.Event.ID != r.Event })
	if len(held) == 0 {
		held = []Holding{{Event: events.Event{ID: r.Event}}}
	}
	var cases []Case
	for _, h := range held { // all of them before the first is settled: that may take long
		c, err := d.open(ctx, address, r, h.Event.ID, d.Now())
		if err != nil {
			return cases, err
		}
		cases = append(cases, c)
	}
	var failed error // of one event; the others are settled all the same
	for i, h := range held {
		if i > 0 { // a sync may have given the ticket to another holder by now
			if h, err = d.again(ctx, address, h); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
		}
		c, err := d.settle(ctx, cases[i], h)
		cases[i], failed = c, errors.Join(failed, err)
	}
	return cases, errors.Join(failed, d.KeepCopy(ctx))
}

// again reads again what is stored of an event under an address.
func (d *Desk) again(ctx context.Context, address attendees.Personal, h Holding) (Holding, error) {
	held, err := d.Store.Under(ctx, address)
	if i := slices.IndexFunc(held, func(o Holding) bool { return o.Event.ID == h.Event.ID }); i >= 0 {
		return held[i], err
	}
	return Holding{Event: h.Event}, err
}

func (d *Desk) open(ctx context.Context, address attendees.Personal, r Request, event attendees.EventID, verified time.Time) (Case, error) {
	c := Case{Asks: r.Asks, Event: event, CameBy: r.CameBy, Received: r.Received, Verified: verified}
	if c.Received.IsZero() {
		c.Received = d.today()
	}
	c.Deadline = d.Deadline(c)
	return d.Store.openCase(ctx, c, CaseText{
		Contact: address, Message: r.Message, Field: r.Field, Value: r.Value, Language: r.Language,
	})
}

// settle does at once what needs no human judgement. What waits for staff stays open, and the
// person and the officers are told.
func (d *Desk) settle(ctx context.Context, c Case, h Holding) (Case, error) {
	_, text, err := d.Store.Case(ctx, c.Number)
	if err != nil {
		return c, err
	}
	l := d.letter(c, text, h.Event)
	unsaid := l
	alone := h.Own != nil && !h.Closed
	switch {
	case h.Own == nil && h.Shared == 0 && len(h.Answers) == 0:
		l.say("letter.nothing", "event", l.event())
		return d.close(ctx, c, attendees.NothingHeld, ByLethe, "", l)
	case !alone, c.Asks == attendees.Access, c.Asks == attendees.Rectification,
		h.OnHold && (c.Asks == attendees.ErasureRight || c.Asks == attendees.Withdrawal):
		return d.wait(ctx, c, l, "letter.waits") // a hold, or a human eye
	}
	outcome, err := d.do(ctx, c, text, Subject{h.Event.ID, h.Own.Key, h.Own.ID}, &l, "asked for by the person")
	switch {
	case errors.Is(err, seal.ErrNoOfficer), errors.Is(err, people.ErrAttendee), errors.As(err, new(*retention.HeldError)):
		return d.wait(ctx, c, l, "letter.waits")
	case err != nil: // staff do what could not be done, even if nobody waits for the page
		c, waits := d.wait(context.WithoutCancel(ctx), c, unsaid, "letter.waits")
		return c, errors.Join(err, waits)
	case c.Asks == attendees.Objection:
		return d.wait(ctx, c, l, "letter.objected")
	}
	return d.close(ctx, c, outcome, ByLethe, "", l)
}

// do does what a case asks for to one attendee, and says so in its letter. reason is in the
// ledger.
func (d *Desk) do(ctx context.Context, c Case, text CaseText, who Subject, l *letter, reason string) (attendees.Outcome, error) {
	switch c.Asks {
	case attendees.ErasureRight:
		return d.erase(ctx, who, l, reason)
	case attendees.Restriction, attendees.Objection:
		why, says := attendees.RestrictionAsked, "letter.restricted"
		if c.Asks == attendees.Objection {
			why, says = attendees.Objected, ""
		}
		done, err := d.Store.Restrict(ctx, who, why)
		if err != nil {
			return "", err
		}
		if says != "" {
			l.say(says, "event", l.event())
		}
		return attendees.Granted, d.told(ctx, l, done.Exports)
	case attendees.Rectification:
		done, err := d.Store.Correct(ctx, who, text.Field, text.Value, text.Contact)
		if err != nil {
			return "", err
		}
		l.say("letter.corrected")
		return attendees.Granted, d.told(ctx, l, done.Exports)
	case attendees.Withdrawal:
		return d.withdraw(ctx, who, l)
	}
	l.say("letter.answered")
	return attendees.Granted, nil
}

func (d *Desk) erase(ctx context.Context, who Subject, l *letter, reason string) (attendees.Outcome, error) {
	done, err := d.Store.Erase(ctx, who, reason)
	if err != nil {
		return "", err
	}
	outcome := attendees.Granted
	if done.Whole {
		l.say("letter.erased.whole", "event", l.event())
	} else {
		outcome = attendees.GrantedInPart
		l.say("letter.erased.part", "event", l.event(), "until", l.w.Date(done.Until), "statute", l.w.Policy(d.Store.statute(done.Rule)))
	}
	l.say("letter.sources")
	if err := d.told(ctx, l, done.Exports); err != nil {
		return "", err
	}
	proof, err := d.Store.ledger.Certificate(ctx, string(who.Event), d.Store.core.Retention.KeyedIDs(who.ID))
	if errors.Is(err, ledger.ErrNoEntry) {
		return outcome, nil
	}
	if err != nil {
		return "", err
	}
	l.say("letter.certificate")
	l.quoted = string(proof.Text())
	return outcome, nil
}

func (d *Desk) withdraw(ctx context.Context, who Subject, l *letter) (attendees.Outcome, error) {
	outcome := attendees.Refused
	var lists []export.Receipt
	for _, u := range d.Store.policy.Purposes {
		if u.Basis != "a" {
			continue
		}
		done, err := d.Store.Withdraw(ctx, who, u.Name)
		if err != nil {
			return "", err
		}
		lists, outcome = append(lists, done.Exports...), attendees.Granted
	}
	if outcome == attendees.Refused {
		l.say("letter.noconsent", "event", l.event())
		return outcome, nil
	}
	l.say("letter.withdrawn", "event", l.event())
	return outcome, d.told(ctx, l, lists)
}

// told names the lists that carry the person, and tells those who took them (Art. 19).
func (d *Desk) told(ctx context.Context, l *letter, lists []export.Receipt) error {
	if len(lists) == 0 {
		return nil
	}
	var names []string
	for _, r := range lists {
		names = append(names, l.w.Say("lists.one", "purpose", l.w.Purpose(r.Purpose), "date", l.w.Date(attendees.DateOf(r.At.UTC()))))
		if !strings.Contains(r.By, "@") {
			continue // the machine's own account has no mailbox: /exports marks the list
		}
		err := d.Post.Post(ctx, mail.Letter{
			To: r.By, Subject: "A list that you took is recalled",
			Text: []string{
				fmt.Sprintf("On %s you took a list of event %s for %s. Somebody on it had her data erased, corrected or restricted since.", r.At.UTC().Format("2 January 2006"), r.Event, r.Purpose),
				"Destroy every copy, and take a fresh one if you still need it (GDPR Art. 19). The list's SHA-256 begins with " + fmt.Sprintf("%.12x", r.SHA256) + ".",
			},
			Link: d.BaseURL + "/exports",
		})
		if err != nil {
			return err
		}
	}
	l.say("letter.lists", "lists", strings.Join(names, "; "))
	return nil
}

// close answers a case: the letter first, since the address goes with the case.
func (d *Desk) close(ctx context.Context, c Case, outcome attendees.Outcome, by, reason string, l letter) (Case, error) {
	l.complain()
	if err := d.Post.Post(ctx, l.mail()); err != nil {
		return c, err
	}
	if err := db.InTx(ctx, d.Store.pool, func(tx db.Tx) error { return d.Store.closeCase(ctx, tx, c.Number, outcome, by, reason) }); err != nil {
		return c, err
	}
	c.Outcome, c.ClosedAt, c.DecidedBy = outcome, d.Now(), by
	return c, nil
}

// wait leaves a case to staff.
func (d *Desk) wait(ctx context.Context, c Case, l letter, says string) (Case, error) {
	l.say(says, "event", l.event(), "deadline", l.w.Date(c.Deadline))
	l.complain()
	if err := d.Post.Post(ctx, l.mail()); err != nil {
		return c, err
	}
	return c, d.tellOfficers(ctx, fmt.Sprintf("Request %d waits: %s, by %s", c.Number, c.Asks, c.Deadline),
		fmt.Sprintf("%s/requests/%d", d.BaseURL, c.Number),
		fmt.Sprintf("Request %d asks for %s (GDPR %s). It waits for somebody to decide, by %s at the latest.", c.Number, c.Asks, c.Asks.Article(), c.Deadline))
}

// tellOfficers mails all officers.
func (d *Desk) tellOfficers(ctx context.Context, subject, link string, says ...string) error {
	officers, err := d.Officers(ctx)
	if err != nil {
		return err
	}
	for _, to := range officers {
		if err := d.Post.Post(ctx, mail.Letter{To: to, Subject: subject, Text: says, Link: link}); err != nil {
			return err
		}
	}
	return nil
}

// Lift ends a restriction by the person's own visit. ErrRequest where there is none that opens
// for them.
func (d *Desk) Lift(ctx context.Context, address attendees.Personal, event attendees.EventID) error {
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.Event.ID != event || h.Own == nil || h.Closed || len(h.Own.opened) == 0 {
			continue
		}
		who := Subject{event, h.Own.Key, h.Own.ID}
		if err := d.Store.Lift(ctx, who, h.Own.opened, "the person's own visit"); err != nil {
			return err
		}
		return d.KeepCopy(ctx)
	}
	return ErrRequest
}

// Proved is told when a person has proved that cases are hers: what came by other ways and
// waited for that is settled now.
func (d *Desk) Proved(ctx context.Context, address attendees.Personal, numbers []int) error {
	if len(numbers) == 0 {
		return nil
	}
	waiting, err := d.Store.CasesOf(ctx, address)
	if err != nil || len(waiting) == 0 {
		return err
	}
	fresh, err := d.Store.verifyCases(ctx, address, numbers)
	if err != nil {
		return err
	}
	for _, c := range waiting {
		if now, _, err := d.Store.Case(ctx, c.Number); err == nil && c.Paused() && now.Open() {
			now.Deadline = d.Deadline(now)
			if err := d.Store.moveDeadline(ctx, now); err != nil {
				return err
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return err
	}
	var failed error
	for _, c := range fresh {
		i := slices.IndexFunc(held, func(h Holding) bool { return h.Event.ID == c.Event })
		h := Holding{Event: events.Event{ID: c.Event}}
		if i >= 0 {
			h = held[i]
		}
		_, err := d.settle(ctx, c, h)
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, d.KeepCopy(ctx))
}

package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"lethe/attendees"
	"lethe/attendees/events"
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
	if d.holidays, err = deadline.NewHolidays(d.Store.Policy.Countries); err != nil {
		return nil, err
	}
	d.BaseURL = strings.TrimSuffix(d.BaseURL, "/")
	return &d, nil
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
	if r.Received.IsZero() {
		r.Received = d.Store.today()
	}
	if d.Store.today().Before(r.Received) {
		return fmt.Errorf("it came on %s, which is in the future", r.Received)
	}
	if r.Asks != attendees.Rectification {
		r.Field, r.Value = "", "" // so that the same request is one case
	} else if _, err := d.Store.Policy.Correct(attendees.Layer{}, r.Field, attendees.Personal(r.Value), d.Store.Now()); err != nil || r.Value == "" {
		return ErrRequest
	}
	if r.Event == "" {
		return nil
	}
	// What is in the ledger for good is no free text.
	_, err := d.Store.Events.Get(ctx, d.Store.Pool, r.Event)
	if errors.As(err, new(*events.UnknownError)) {
		return ErrRequest
	}
	return err
}

// Deadline is until when a case must be answered.
func (d *Desk) Deadline(c Case) attendees.Date {
	return deadline.Of(c.Received, c.PausedOn, c.ResumedOn, c.Extended, d.Store.today(), d.holidays)
}

// AnswerBy is until when a request that comes today must be answered.
func (d *Desk) AnswerBy() attendees.Date {
	return d.Deadline(Case{Request: Request{Received: d.Store.today()}})
}

// open opens a case for each event that a request is about.
func (d *Desk) open(ctx context.Context, address attendees.Personal, r Request, verified *time.Time) (cases []Case, err error) {
	if err := d.check(ctx, &r); err != nil {
		return nil, err
	}
	held, err := d.Store.Under(ctx, address)
	if err != nil {
		return nil, err
	}
	about := []attendees.EventID{}
	for _, h := range held {
		if (r.Event == "" || h.ID == r.Event) && !slices.Contains(about, h.ID) {
			about = append(about, h.ID)
		}
	}
	if len(about) == 0 {
		about = append(about, r.Event)
	}
	r.Contact = normalised(address)
	for _, r.Event = range about {
		c, err := d.Store.openCase(ctx, Case{Request: r, Verified: verified})
		if err != nil {
			return cases, err
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// Take takes the request of a person who has proved their address: a case for each event that
// it is about. What needs no human judgement is done before it returns, and a letter says so;
// it gives the cases as they are then.
func (d *Desk) Take(ctx context.Context, address attendees.Personal, r Request) ([]Case, error) {
	now := d.Store.Now()
	cases, err := d.open(ctx, address, r, &now)
	if err != nil {
		return cases, err
	}
	return cases, d.settle(ctx, cases)
}

// Add enters a request that came by mail, letter or phone. A letter to the address has a link
// that proves who asks; then it is settled as any other.
func (d *Desk) Add(ctx context.Context, address attendees.Personal, r Request) ([]Case, error) {
	cases, err := d.open(ctx, address, r, nil)
	if err != nil {
		return cases, err
	}
	var numbers []int
	for _, c := range cases {
		numbers = append(numbers, c.Number)
	}
	l := d.letter(ctx, cases[0])
	l.about(cases[0])
	return cases, d.postVisit(ctx, l, "mail.verify", numbers...)
}

// Proved is told when a person has proved that cases are theirs: what came by other ways and
// waited for that is settled now.
func (d *Desk) Proved(ctx context.Context, address attendees.Personal, numbers []int) error {
	if len(numbers) == 0 {
		return nil
	}
	fresh, err := d.Store.verify(ctx, address, numbers)
	if err != nil {
		return err
	}
	return d.settle(ctx, fresh)
}

// Verify records that staff know in another way who asks: somebody who has lost their mailbox
// is not locked out.
func (d *Desk) Verify(ctx context.Context, number int) error {
	c, err := d.openCase(ctx, number)
	if err != nil {
		return err
	}
	return d.Proved(ctx, attendees.Personal(c.Contact), []int{number})
}

// settle does at once what needs no human judgement. What waits for staff stays open, and the
// person and the officers are told. What fails for one event stops no other.
func (d *Desk) settle(ctx context.Context, cases []Case) error {
	var failed error
	for i, c := range cases {
		now, err := d.settleOne(ctx, c)
		if err != nil { // staff do what could not be done, even if nobody waits for the page
			waits := d.wait(context.WithoutCancel(ctx), c, d.letter(ctx, c), "letter.waits")
			if errors.Is(err, seal.ErrNoOfficer) || errors.Is(err, people.ErrAttendee) || errors.As(err, new(*retention.HeldError)) {
				err = nil // as is to be expected
			}
			now, err = c, errors.Join(err, waits)
		}
		cases[i], failed = now, errors.Join(failed, err)
	}
	return errors.Join(failed, d.KeepCopy(ctx))
}

func (d *Desk) settleOne(ctx context.Context, c Case) (Case, error) {
	held, err := d.held(ctx, c) // as it is now: a sync may have given the ticket to another holder
	l, n := d.letter(ctx, c), Decision{Grant: true, By: ByLethe}
	switch {
	case err != nil:
		return c, err
	case slices.ContainsFunc(held, func(h Holding) bool { return wantsStaff(c.Asks, h) }):
		return c, d.wait(ctx, c, l, "letter.waits")
	case c.Asks == attendees.Objection && len(held) > 0:
		if _, err := d.act(ctx, c, n, subjects(held), &l); err != nil {
			return c, err
		}
		return c, d.wait(ctx, c, l, "letter.objected")
	}
	return d.answer(ctx, c, n, held)
}

// wantsStaff tells whether a human eye has to look at what a request is about.
func wantsStaff(asks attendees.Right, h Holding) bool {
	switch {
	case h.Closed, h.Shared > 0, asks == attendees.Access, asks == attendees.Rectification:
		return true
	case asks == attendees.ErasureRight:
		return h.OnHold
	}
	return h.Own == nil
}

// held is what is stored of what a case is about, under its address.
func (d *Desk) held(ctx context.Context, c Case) ([]Holding, error) {
	held, err := d.Store.Under(ctx, attendees.Personal(c.Contact))
	return slices.DeleteFunc(held, func(h Holding) bool { return c.Event != "" && h.ID != c.Event }), err
}

// subjects are those that what is stored is about, where the address says so.
func subjects(held []Holding) (all []Subject) {
	for _, h := range held {
		who := Subject{Event: h.ID, Opened: h.Opened}
		if h.Own != nil {
			who.Key, who.ID = h.Own.Key, h.Own.ID
		}
		for _, a := range h.Answers {
			if !a.Matched {
				who.Answers = append(who.Answers, a.Key)
			}
		}
		if h.Shared == 0 && !h.Closed && (who.Key != uuid.Nil || len(who.Answers) > 0) {
			all = append(all, who)
		}
	}
	return all
}

// wait leaves a case to staff.
func (d *Desk) wait(ctx context.Context, c Case, l letter, says string) error {
	by := d.Deadline(c)
	l.say(says, "deadline", l.Date(by))
	l.about(c)
	if err := d.post(ctx, l); err != nil {
		return err
	}
	return d.tellOfficers(ctx, fmt.Sprintf("Request %d needs a decision by %s", c.Number, by), fmt.Sprintf("%s/requests/%d", d.BaseURL, c.Number),
		fmt.Sprintf("Request %d asks for %s (GDPR %s). It needs your decision by %s.", c.Number, c.Asks, c.Asks.Article(), by))
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

// Lift ends the restrictions of a person in an event by their own visit. ErrRequest where there is none that opens
// for them.
func (d *Desk) Lift(ctx context.Context, address attendees.Personal, event attendees.EventID) error {
	held, err := d.held(ctx, Case{Request: Request{Event: event, Contact: Value(address)}})
	if err != nil {
		return err
	}
	lifted := ErrRequest
	for _, who := range subjects(held) {
		switch err := d.Store.Lift(ctx, who, who.Opened, "the person's own visit"); {
		case err == nil:
			lifted = nil
		case !errors.Is(err, ErrRequest):
			return err
		}
	}
	return errors.Join(lifted, d.KeepCopy(ctx))
}

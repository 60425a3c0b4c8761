package postgres_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/lifetest"
	lives "lethe/attendees/lifetest/life"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// driver drives this store through lives of lives.
type driver struct {
	world
	secrets   []string
	officers  []seal.Officer // all that there ever were
	current   []seal.Officer
	links     map[attendees.EventID]attendees.FieldLinks
	holds     map[int]int
	dropped   map[string]bool // events whose agreement question was answered so
	lateHolds map[string]bool // by event and ticket, that were added once it was blocked
	late      map[string]bool // who was restricted when the event was blocked already
	asked     []lives.Task    // what a pull would note
}

func TestCalmLivesShowWhatTheModelShows(t *testing.T) {
	lifetest.Run(t, func(rt *rapid.T, s lives.Setup) lives.Driver { return newDriver(t, s) }, lifetest.Options{Lives: 10, Calm: true, Known: known})
}

func TestLivesShowTheFaultsThatAreKnown(t *testing.T) {
	lifetest.Run(t, func(rt *rapid.T, s lives.Setup) lives.Driver { return newDriver(t, s) }, lifetest.Options{Lives: 10, Known: known})
}

// known are the differences between this store and what is right, by FAULTS.md's letters
// and numbers; N are rules of DESIGN.md that are new.
var known = []lifetest.Known{
	{Name: "N1", Seen: "what comes between the block date and the blocking is turned away; sources are to be read until an event is blocked", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "late") || l.Had(d, "something late") && (len(d.Tickets) == 0 || d.Act.Kind == lives.Block)
		}},
	{Name: "N2", Seen: "what comes for somebody who is restricted is not kept: it is to be one number more", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool { return l.Had(d, "answered while restricted") }},
	{Name: "N3", Seen: "a corrected value overwrites what the source said, so that a restriction or a hold does not keep that; layers keep both",
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return d.View == "claim" && (d.Field == "name" || d.Field == "email") && l.Had(d, "corrected")
		}},
	{Name: "N4", Seen: "blocking keeps of somebody on hold what is shown, not what a newer answer, a correction or a cancellation lies over",
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return d.View == "claim" && d.About == "nothing of a held or restricted attendee is lost" && l.Had(d, "held")
		}},
	{Name: "N5", Seen: "a response of an attendee of a blocked event is readable in another event where it finds an attendee, too", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool { return l.Had(d, "of a blocked event") }},
	{Name: "A1", Seen: "a later reading of the same response takes its yes away, of any number, and nobody is asked", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "pruned") || d.About == "unsaid" || d.View == "outcome" && d.Act.Kind == lives.Answers
		}},
	{Name: "A2", Seen: "who is cancelled loses what the forum has of them, until a form is read again that may not have it any more",
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			forum := d.Field == "affiliation" || d.Field == "forums"
			return l.Had(d, "cancelled", "vanished") && (d.How == "missing" && (forum || d.About == "forum" && d.Field == "") || d.View == "claim" && forum)
		}},
	{Name: "A3", Seen: "a ticket that is handed over takes the agreement and the answers along; if only the address changes, a yes that was matched by it and a correction are lost", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "handed over") || l.Had(d, "address changed") && d.View != "own" && d.View != "person"
		}},
	{Name: "A4", Seen: "who moves to another event takes no agreement along, and is not gone where they were", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool { return l.Had(d, "moved") }},
	{Name: "A5", Seen: "a yes counts with the version of a later no", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "yes, then no") && d.Field == "agreement_version"
		}},
	{Name: "A6", Seen: "who cancelled and bought again under one address counts as two people who share it: a response finds neither, and neither sees anything", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool { return l.Had(d, "bought again") }},
	{Name: "B1", Seen: "the forum's list has everybody, not only those who chose a forum or answered a question mapped for it",
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return d.View == "listed" && d.About == "forum" && d.How == "extra" && !l.Consent()
		}},
	{Name: "B2", Seen: "a purpose that rests on consent lists and shows those who never consented",
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Consent() && d.How == "extra" && (d.View == "listed" && d.About == "forum" || d.View == "own" && (d.Field == "affiliation" || d.Field == "forums"))
		}},
	{Name: "C9", Seen: "a response under another address than the registration's is the attendee's at once, and takes their access and half away", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "address changed", "another address")
		}},
	{Name: "C10", Seen: "a stranger's response that names a ticket counts as the attendee's, and nobody is asked", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return l.Had(d, "named by a stranger") || d.About == "claim"
		}},
	{Name: "N6", Seen: "a further ticket under an address takes the responses away that were matched by it", Parts: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool { return l.Had(d, "group order") }},
	{Name: "N7", Seen: "whether too few agreed is counted without those who are restricted", Ends: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return d.Act.Kind == lives.Block && l.Had(d, "blocked with restricted") && (d.Field == "asked" || d.Kind == "doubt" || d.View == "stored" || d.View == "own")
		}},
	{Name: "D6", Seen: "dates that moved in steps pass the fuse: the reference is what was accepted, not what applied 30 days ago", Ends: true,
		Is: func(d lifetest.Difference, l *lifetest.Life) bool {
			return d.View == "plan" && d.Field != "asked" && l.Had(d, "postponed")
		}},
}

func newDriver(t testing.TB, s lives.Setup) *driver {
	policy := attendees.BuiltIn()
	if s.Consent {
		policy.Purposes[1].Basis = "a"
	}
	c := &clock{s.Now}
	d := &driver{links: map[attendees.EventID]attendees.FieldLinks{}, holds: map[int]int{}, late: map[string]bool{}, lateHolds: map[string]bool{}, dropped: map[string]bool{}}
	d.world = world{nil, t, c}
	d.secrets = []string{secretOf(7)}
	d.world.Store = postgres.New(pgtest.New(t), d.ring(), &policy, c.Now)
	for _, e := range s.Events {
		id := attendees.EventID(e.ID)
		d.describe(id, e.End)
		d.wasRead(id)
		fields := map[attendees.PurposeName][]attendees.Field{
			attendees.ParticipationAgreement: {attendees.Name, attendees.Email},
			attendees.Forum:                  {attendees.Affiliation, attendees.Forums},
		}
		if slices.Contains(s.Asks, e.ID) {
			fields[attendees.ParticipationAgreement] = append(fields[attendees.ParticipationAgreement], attendees.Agreed, attendees.AgreementVersion)
		}
		for purpose, all := range fields {
			link := postgres.Link{Event: id, Form: "u6nXL7", Purpose: purpose}
			for _, f := range all {
				link.Fields = append(link.Fields, postgres.LinkedField{Field: f, Question: attendees.QuestionID(f), ID: attendees.QuestionID(f)})
			}
			if err := d.SaveLink(t.Context(), d.look(id), link); err != nil {
				t.Fatal(err)
			}
			d.links[id] = append(d.links[id], link.FieldLinks()...)
		}
	}
	return d
}

func secretOf(n byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, seal.SecretSize))
}

func (d *driver) ring() *seal.Keyring {
	k, err := seal.NewKeyring(strings.Join(d.secrets, ","))
	if err != nil {
		d.t.Fatal(err)
	}
	return k
}

func (d *driver) End() {
	name := pgtest.Name(d.t, d.DB())
	_ = d.DB().Close()
	pgtest.Drop(d.t, name)
}

func (d *driver) describe(id attendees.EventID, end time.Time) {
	e := attendees.Event{ID: id, Organization: "900", Name: "Example Days", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end}
	if _, err := d.SaveEvents(d.t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) sealer() *seal.Sealer {
	if len(d.current) == 0 {
		return nil
	}
	return sealer(d.t, d.current...)
}

// refusals are what this store says where it does not do something.
var refusals = []string{"in no doubt", "not blocked yet", "rests on no consent", "is not restricted", "there is nothing left", "is deleted", "which is over", "no hold"}

func outcome(err error) error {
	var unknown *postgres.UnknownAttendeeError
	var held *postgres.HeldError
	var early *postgres.TooEarlyError
	var blocked *postgres.BlockedError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, postgres.ErrClock):
		return lives.ErrClock
	case errors.As(err, &unknown), errors.As(err, &held), errors.As(err, &early), errors.As(err, &blocked),
		errors.Is(err, postgres.ErrErased), errors.Is(err, postgres.ErrCorrection), errors.Is(err, postgres.ErrNoResponse),
		errors.Is(err, seal.ErrNoOfficer), errors.Is(err, seal.ErrKey):
		return lives.ErrRefused
	}
	if slices.ContainsFunc(refusals, func(text string) bool { return strings.Contains(err.Error(), text) }) {
		return lives.ErrRefused
	}
	return err
}

func (d *driver) Do(a lives.Act) error {
	ctx, event, id := d.t.Context(), attendees.EventID(a.Event), attendees.AttendeeID(a.Who.Ticket)
	if a.Who.Holder > 0 || a.Cut > 0 {
		return lives.ErrUnsupported // it knows one holder, and cannot be cut off from outside
	}
	if a.Who.Ticket != "" && a.Kind != lives.Match {
		if at, err := d.EventOf(ctx, id); err != nil || at != event {
			return lives.ErrRefused
		}
	}
	switch a.Kind {
	case lives.SetClock:
		d.clock.now = a.Now
	case lives.Night:
		_, err := d.Tidy(ctx)
		return outcome(err)
	case lives.Describe:
		d.describe(event, a.End)
	case lives.Save:
		var batch []attendees.Minimised
		for _, t := range a.Tickets {
			batch = append(batch, d.Policy().Minimise(registrationOf(t), nil))
		}
		return outcome(d.InTx(ctx, func(tx *sqlx.Tx) error {
			_, err := d.Save(ctx, tx, d.sealer(), attendees.Eventbrite, batch)
			return err
		}))
	case lives.Answers:
		batch := map[attendees.EventID][]attendees.MinimisedResponse{}
		for _, r := range a.Answers {
			for event, links := range d.links {
				batch[event] = append(batch[event], d.Policy().MinimiseResponse(responseOf(r), links))
			}
		}
		return outcome(d.InTx(ctx, func(tx *sqlx.Tx) error {
			_, err := d.SaveResponses(ctx, tx, batch)
			return err
		}))
	case lives.Reconcile:
		return d.reconcile(event, a.Listed)
	case lives.Restrict, lives.Object:
		why := attendees.RestrictionAsked
		if a.Kind == lives.Object {
			why = attendees.Objected
		}
		d.comesLate(event, a.Who.Ticket)
		_, err := d.Restrict(ctx, id, why, d.sealer())
		return outcome(err)
	case lives.Lift:
		opener := d.opener()
		if a.Address != "" {
			opener = d.OpenedBy(attendees.Personal(a.Address))
		}
		return outcome(d.Lift(ctx, id, opener, "told"))
	case lives.Withdraw:
		_, err := d.Withdraw(ctx, id, attendees.PurposeName(a.Purpose))
		return outcome(err)
	case lives.Erase:
		d.comesLate(event, a.Who.Ticket)
		_, err := d.Erase(ctx, id, "asked", d.sealer())
		return outcome(err)
	case lives.Forget:
		_, err := d.Forget(ctx, id, "asked")
		return outcome(err)
	case lives.Correct:
		_, err := d.Correct(ctx, id, attendees.Field(a.Field), attendees.Personal(a.Value), attendees.Personal(a.Address), d.sealer())
		return outcome(err)
	case lives.Match:
		return outcome(d.LinkByHand(ctx, event, "u6nXL7", attendees.ResponseID(a.Answer), id))
	case lives.Hold:
		if d.look(event).BlockedAt != nil {
			d.lateHolds[a.Event+a.Who.Ticket] = true
		}
		h, err := d.AddHold(ctx, event, id, "claim", "ops", attendees.Date{})
		d.holds[a.Number] = h.ID
		return outcome(err)
	case lives.Release:
		return outcome(d.ReleaseHold(ctx, d.holds[a.Number]))
	case lives.Keep, lives.Drop:
		d.dropped[a.Event] = a.Kind == lives.Drop
		_, err := d.AnswerDoubt(ctx, event, a.Kind == lives.Drop, "looked at", "ops")
		return outcome(err)
	case lives.Accept:
		return d.accept(ctx)
	case lives.AddOfficer, lives.ChangeOfficers:
		o := officer(d.t)
		if a.Kind == lives.ChangeOfficers {
			d.current = nil
		}
		d.officers, d.current = append(d.officers, o), append(d.current, o)
	case lives.AddSecret:
		d.secrets = append([]string{secretOf(byte(7 + len(d.secrets)))}, d.secrets...)
		d.world.Store = postgres.New(d.DB(), d.ring(), d.Policy(), d.clock.Now)
	case lives.Block:
		_, err := d.Block(ctx, event, d.sealer())
		return outcome(err)
	case lives.Delete:
		_, err := d.Delete(ctx, event)
		return outcome(err)
	default:
		return lives.ErrUnsupported
	}
	return nil
}

func registrationOf(t lives.Ticket) attendees.Registration {
	return attendees.Registration{
		ID: attendees.AttendeeID(t.ID), Event: attendees.EventID(t.Event), Name: attendees.Personal(t.Name), Email: attendees.Personal(t.Address),
		Ticket: t.Kind, Status: t.Standing, Cancelled: t.Standing == "cancelled", Refunded: t.Standing == "refunded", Attended: t.Attended,
		Created: t.Bought, Changed: t.Changed,
	}
}

func responseOf(r lives.Answer) attendees.Response {
	answers := map[attendees.QuestionID]attendees.Answer{}
	set := func(f attendees.Field, values ...string) {
		for _, v := range values {
			if v != "" {
				answers[attendees.QuestionID(f)] = append(answers[attendees.QuestionID(f)], attendees.Personal(v))
			}
		}
	}
	set(attendees.Name, r.Name)
	set(attendees.Email, r.Address)
	set(attendees.Agreed, fmt.Sprint(r.Yes))
	set(attendees.AgreementVersion, r.Version)
	set(attendees.Affiliation, r.Affiliation)
	set(attendees.Forums, r.Forums...)
	return attendees.Response{
		Form: "u6nXL7", ID: attendees.ResponseID(r.ID), Attendee: attendees.AttendeeID(r.Claims), Submitted: r.Submitted, Answers: answers,
	}
}

// comesLate notes who asks once the event is blocked, and had not asked before.
func (d *driver) comesLate(event attendees.EventID, ticket string) {
	var asked bool
	if err := d.DB().Get(&asked, `select coalesce(max(reason), '') <> '' from attendees where source_id = $1`, ticket); err != nil {
		d.t.Fatal(err)
	}
	d.late[ticket] = d.late[ticket] || !asked && d.look(event).BlockedAt != nil
}

// reconcile does what a pull does with a complete listing.
func (d *driver) reconcile(event attendees.EventID, listed []string) error {
	ctx, e := d.t.Context(), d.look(event)
	if !e.Open(d.clock.now) {
		return nil
	}
	l := &postgres.Listing{}
	for _, id := range listed {
		l.Saw(attendees.Eventbrite, attendees.AttendeeID(id))
	}
	missing, of, err := d.Missing(ctx, e, l)
	if err != nil {
		return err
	}
	if len(missing) > max(3, min(20, of/20)) {
		d.asked = append(d.asked, lives.Task{Kind: "gone", Event: string(event)})
		return nil
	}
	_, err = d.MarkGone(ctx, e, attendees.Eventbrite, missing)
	return err
}

// opener opens with any officer's key.
func (d *driver) opener() postgres.Opener {
	return func(r postgres.SealedRecord) (record seal.Record, err error) {
		for _, o := range d.officers {
			if record, err = openedWith(o)(r); err == nil {
				return record, nil
			}
		}
		return record, seal.ErrKey
	}
}

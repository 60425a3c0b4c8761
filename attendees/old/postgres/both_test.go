package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	core "lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/db"
	"lethe/attendees/events"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
)

// both are the old core and the one that replaces it, fed with the same.
type both struct {
	*testing.T
	old    world
	sealer *seal.Sealer
	core   *coretest.World
	people [30]ticket
}

// ticket is what the source says of one ticket at present.
type ticket struct {
	there, erased bool
	r             attendees.Registration
	said          []attendees.Response
}

var bothLinks = []attendees.FieldLink{
	{Purpose: attendees.ParticipationAgreement, Field: attendees.Agreed, Question: "agree"},
	{Purpose: attendees.ParticipationAgreement, Field: attendees.AgreementVersion, Question: "agreement_version"},
	{Purpose: attendees.Forum, Field: attendees.Affiliation, Question: "aff"},
}

func newBoth(t *testing.T) *both {
	b := &both{T: t, old: newWorld(t), core: coretest.New(t)}
	private, err := seal.NewOfficer()
	b.must(err)
	officers, err := seal.ParseOfficers(private.Public())
	b.must(err)
	b.sealer, err = seal.NewSealer(officers, keyring(t))
	b.must(err)
	b.core.Now = b.old.clock.now
	e, err := b.old.Event(t.Context(), "4711")
	b.must(err)
	_, err = b.core.Events.Save(t.Context(), core.Eventbrite, []core.Event{{ID: "4711", Organization: "900", Name: e.Name, Status: "live", Zone: "Europe/Berlin",
		Start: time.Date(2027, 6, 19, 8, 0, 0, 0, time.UTC), End: time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)}})
	b.must(err)
	for _, purpose := range []attendees.PurposeName{attendees.ParticipationAgreement, attendees.Forum} {
		var fields []postgres.LinkedField
		var links core.FieldLinks
		for _, l := range bothLinks {
			if l.Purpose == purpose {
				fields = append(fields, postgres.LinkedField{Field: l.Field, Question: l.Question, ID: l.Question})
				links = append(links, core.FieldLink{Purpose: core.PurposeName(purpose), Field: core.Field(l.Field), Question: l.Question})
			}
		}
		b.must(b.old.SaveLink(t.Context(), e, postgres.Link{Event: "4711", Form: "f", Purpose: purpose, Fields: fields}))
		b.must(b.core.Events.Forms.Link(t.Context(), "4711", core.Form{ID: "f", Questions: []core.Question{{ID: "agree"}, {ID: "agreement_version"}, {ID: "aff"}}}, core.PurposeName(purpose), links))
	}
	b.old.wasRead("4711")
	b.must(b.core.Retention.Start(t.Context()))
	return b
}

func (b *both) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *both) save(k *ticket) {
	b.Helper()
	b.old.save(k.r)
	b.core.Save(core.Registration{ID: k.r.ID, Event: k.r.Event, Name: k.r.Name, Email: k.r.Email, Ticket: k.r.Ticket, Status: k.r.Status, Cancelled: k.r.Cancelled,
		Refunded: k.r.Refunded, Attended: k.r.Attended, Created: k.r.Created, Changed: k.r.Changed})
}

// answer reads responses in both; the old core forgets answers of who is cancelled, and has
// its form read again for who comes back.
func (b *both) answer(all ...attendees.Response) {
	b.Helper()
	for _, r := range all {
		m := b.old.Policy().MinimiseResponse(r, bothLinks)
		b.must(b.old.InTx(b.Context(), func(tx *sqlx.Tx) error {
			_, err := b.old.SaveResponses(b.Context(), tx, map[attendees.EventID][]attendees.MinimisedResponse{"4711": {m}})
			return err
		}))
		answers := map[core.QuestionID]core.Answer{}
		for q, a := range r.Answers {
			answers[q] = core.Answer(a)
		}
		b.core.Answer(core.Response{Form: r.Form, ID: r.ID, Attendee: r.Attendee, Submitted: r.Submitted, Answers: answers})
	}
}

// act does one random thing to both, none of FAULTS.md.
func (b *both) act(random *rand.Rand, n int) {
	b.Helper()
	i := random.IntN(len(b.people))
	k := &b.people[i]
	if k.erased {
		return
	}
	now := b.core.Now
	k.r.Changed = now
	switch act := random.IntN(12); {
	case !k.there:
		k.there = true
		k.r = attendees.Registration{ID: attendees.AttendeeID(fmt.Sprint(1000 + i)), Event: "4711", Name: attendees.Personal(fmt.Sprintf("Person %02d", i)),
			Email: attendees.Personal(fmt.Sprintf("p%d@n.example", i)), Ticket: "Standard", Status: "Attending", Created: now, Changed: now}
		b.save(k)
	case act == 0:
		k.r.Name = attendees.Personal(fmt.Sprintf("Person %02d, act %d", i, n))
		b.save(k)
	case act == 1:
		k.r.Email = attendees.Personal(fmt.Sprintf("p%d.%d@n.example", i, n))
		b.save(k)
	case act == 2:
		k.r.Ticket = []string{"Standard", "Reduced", "Speaker"}[random.IntN(3)]
		b.save(k)
	case act == 3:
		k.r.Attended = !k.r.Attended
		b.save(k)
	case act == 4:
		k.r.Cancelled = !k.r.Cancelled
		b.save(k)
		b.answer(k.said...)
	case act == 5:
		k.r.Refunded = !k.r.Refunded
		b.save(k)
		b.answer(k.said...)
	case act == 6:
		b.save(k) // read again, unchanged
	case act < 10 && len(k.said) < 2:
		said := map[attendees.QuestionID]attendees.Answer{"aff": {attendees.Personal(fmt.Sprintf("Institute %d", n))}}
		if len(k.said) == 0 {
			said["agree"], said["agreement_version"] = attendees.Answer{"true"}, attendees.Answer{"2027-1"}
		}
		r := attendees.Response{Form: "f", ID: attendees.ResponseID(fmt.Sprint("r", n)), Attendee: k.r.ID, Submitted: now.Add(time.Duration(n) * time.Second), Answers: said}
		k.said = append(k.said, r)
		b.answer(r)
	case act == 10:
		b.answer(k.said...) // read again
	case act == 11 && random.IntN(40) == 0:
		k.erased = true
		_, err := b.old.Forget(b.Context(), k.r.ID, "test")
		b.must(err)
		who, err := b.core.Rights.Find(b.Context(), k.r.ID)
		b.must(err)
		_, err = b.core.Rights.Forget(b.Context(), who, "test")
		b.must(err)
		b.save(k) // and neither lets it in again
	}
	if random.IntN(20) == 0 && now.Before(time.Date(2027, 6, 25, 0, 0, 0, 0, time.UTC)) {
		b.core.Now = now.Add(time.Hour)
		b.old.clock.now = b.core.Now
	}
}

// lists are what both say of who is on which list.
func (b *both) lists() (old, now []string) {
	b.Helper()
	line := func(id, name, email, ticket, status, version string, at time.Time, attended bool, affiliation string) string {
		return fmt.Sprint(id, "|", name, "|", email, "|", ticket, "|", status, "|", version, "|", at.UTC().Unix(), "|", attended, "|", affiliation)
	}
	for row, err := range b.old.Attending(b.Context(), "4711", attendees.ParticipationAgreement, postgres.AnyStatus) {
		b.must(err)
		old = append(old, line(row.ID, row.Name.Reveal(), row.Email.Reveal(), row.Ticket, row.Status, row.AgreementVersion, row.AgreedAt, row.Attended, ""))
	}
	for row, err := range b.old.Attending(b.Context(), "4711", attendees.Forum, attendees.Attending) {
		b.must(err)
		if row.Affiliation != "" { // FAULTS B1: the others are on the old list, too
			old = append(old, line(row.ID, row.Name.Reveal(), row.Email.Reveal(), "", "", "", time.Time{}, false, row.Affiliation.Reveal()))
		}
	}
	forum, _ := b.core.Policy.Purpose(core.Forum)
	b.must(b.core.Reader.Read(b.Context(), b.core.Pool, b.core.Stored("4711"), 0, func(p reader.Person) error {
		a := p.Merged(b.core.Policy)
		now = append(now, line(string(a.ID), a.Name.Reveal(), a.Email.Reveal(), a.Ticket, string(a.Standing), a.AgreementVersion, a.AgreedAt, a.Attended, ""))
		if a.For(forum) {
			now = append(now, line(string(a.ID), a.Name.Reveal(), a.Email.Reveal(), "", "", "", time.Time{}, false, a.Text(core.Affiliation)))
		}
		return nil
	}))
	slices.Sort(old)
	slices.Sort(now)
	return old, now
}

func (b *both) compare(n int) {
	b.Helper()
	old, now := b.lists()
	if diff := cmp.Diff(old, now); diff != "" {
		b.Fatalf("after %d acts the lists differ (-old +new):\n%s", n, diff)
	}
	was, err := b.old.SummaryOf(b.Context(), "4711")
	b.must(err)
	r, err := b.core.Rosters.Open(b.Context(), "4711")
	b.must(err)
	c := r.Count()
	if was.Attending != c.Standing[core.Attending] {
		b.Errorf("after %d acts %d attend, and %d did", n, c.Standing[core.Attending], was.Attending)
	}
	plan, err := b.old.Plan(b.Context())
	b.must(err)
	next, err := b.core.Retention.Plan(b.Context())
	b.must(err)
	line := func(id any, people int, block, delete any, rule string) string {
		return fmt.Sprint(id, " ", people, " ", block, " ", delete, " ", rule)
	}
	var a, z string
	for _, e := range plan.Events {
		if e.ID == "4711" {
			a = line(e.ID, e.People, e.BlockOn.Date, e.DeleteOn.Date, e.Rule)
		}
	}
	for _, e := range next.Events {
		if e.ID == "4711" {
			z = line(e.ID, e.People, e.BlockOn, e.DeleteOn, e.Rule)
		}
	}
	if a != z || a == "" {
		b.Errorf("after %d acts the plans differ:\n%s\n%s", n, a, z)
	}
}

// Both cores, fed with the same 2,000 random acts, say the same; it goes with the old one.
func TestBothCoresSayTheSame(t *testing.T) {
	t.Parallel()
	b := newBoth(t)
	const acts, seed = 2000, 4711
	random := rand.New(rand.NewPCG(seed, seed))
	for n := range acts {
		b.act(random, n)
		if n%100 == 99 {
			b.compare(n + 1)
		}
	}
	hold, err := b.core.Retention.Holds.Add(t.Context(), retention.Hold{Event: "4711", Reason: "test", By: "test"})
	b.must(err)
	h, err := b.old.AddHold(t.Context(), "4711", "", "test", "test", attendees.Date{})
	b.must(err)
	b.must(b.core.Retention.Holds.Release(t.Context(), hold.ID))
	b.must(b.old.ReleaseHold(t.Context(), h.ID))
	b.compare(acts)
	b.core.Now = b.core.Stored("4711").BlockedFrom().Add(time.Hour)
	b.old.clock.now = b.core.Now
	b.core.In("4711", func(ctx context.Context, tx db.Tx, e events.Event) error {
		return b.core.Events.MarkRead(ctx, tx, e, true)
	})
	b.core.Dry("4711")
	done, err := b.old.Block(t.Context(), "4711", b.sealer)
	b.must(err)
	b.must(b.core.Retention.Block(t.Context(), "4711"))
	var sealed int
	b.must(b.core.Pool.Get(&sealed, `select count(distinct attendee_id) from records`))
	if sealed != done.Sealed || done.Doubted != (b.core.Stored("4711").Question == events.Asked) {
		t.Errorf("%d have a record, and %d had; asked %q, and doubted %v", sealed, done.Sealed, b.core.Stored("4711").Question, done.Doubted)
	}
	tallies, err := b.old.Tallies(t.Context())
	b.must(err)
	counts, err := b.core.Retention.Counts(t.Context(), "4711")
	b.must(err)
	was := map[string]int{}
	for _, one := range tallies["4711"] {
		was[one.What] = one.People
	}
	if diff := cmp.Diff(was, counts); diff != "" {
		t.Errorf("the counts that stay differ (-old +new):\n%s", diff)
	}
	e := b.core.Stored("4711")
	b.core.Now = time.Date(e.DeleteOn.Year, e.DeleteOn.Month, e.DeleteOn.Day, 12, 0, 0, 0, time.UTC)
	b.old.clock.now = b.core.Now
	n, err := b.core.Retention.Delete(t.Context(), "4711")
	b.must(err)
	m, err := b.old.Delete(t.Context(), "4711")
	b.must(err)
	if n != m {
		t.Errorf("%d are deleted, and %d were", n, m)
	}
}

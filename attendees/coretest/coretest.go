// Package coretest gives each test the whole core on a database of its own.
package coretest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/db"
	"lethe/attendees/db/localpg"
	"lethe/attendees/db/pgtest"
	"lethe/attendees/events"
	"lethe/attendees/export"
	"lethe/attendees/ledger"
	"lethe/attendees/people"
	"lethe/attendees/reader"
	"lethe/attendees/retention"
	"lethe/attendees/rights"
	"lethe/attendees/roster"
	"lethe/attendees/seal"
	"lethe/attendees/vault"
	"lethe/migrations"
)

// World is the whole core on a database of its own, for one test.
type World struct {
	testing.TB
	Pool      *sqlx.DB
	Policy    *attendees.Policy
	Secrets   *seal.Keyring
	Officer   seal.Officer
	Events    *events.Store
	Vault     *vault.Store
	Reader    *reader.Store
	People    *people.Store
	Rosters   *roster.Store
	Exports   *export.Store
	Ledger    *ledger.Store
	Retention *retention.Store
	Rights    *rights.Store
	Now       time.Time
	Form      attendees.Form
}

// New makes a world with event 1, which ends in a month, an officer and a clock.
func New(t testing.TB) *World { return On(t, pgtest.Next(t)) }

// Private makes a world on a private PostgreSQL of its own, set up as users have it, and
// gives the server: for tests that read its files.
func Private(t testing.TB) (*World, *localpg.Server) {
	t.Helper()
	server, err := localpg.Start(t.Context(), localpg.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })
	pool, err := db.Open(server.URL(localpg.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if err := migrations.UpNext(t.Context(), pool.DB); err != nil {
		t.Fatal(err)
	}
	if err := db.SetMark(t.Context(), pool, db.Simulated, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	return On(t, pool), server
}

// On makes a world on a database with the core's tables, and an officer.
func On(t testing.TB, pool *sqlx.DB) *World {
	t.Helper()
	officer, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	return Again(t, pool, officer)
}

// Again makes a world on the database of another, as a second process would have it.
func Again(t testing.TB, pool *sqlx.DB, officer seal.Officer) *World {
	t.Helper()
	policy := attendees.BuiltIn()
	w := &World{TB: t, Pool: pool, Policy: &policy, Officer: officer, Now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	officers, err := seal.ParseOfficers(officer.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.Build(officers, Secret(7))
	w.Form = attendees.Form{ID: "f", Questions: []attendees.Question{
		{ID: "f1", Ref: "full_name"}, {ID: "f2", Ref: "email"}, {ID: "f3", Ref: "agree"}, {ID: "f4", Ref: "agreement_version"}, {ID: "f6", Ref: "aff"},
	}}
	w.Event("1")
	return w
}

// Secret is one of the secrets that tests have.
func Secret(n byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{n}, 32)) }

// Build makes the stores, as a process does that starts: nil officers have no key.
func (w *World) Build(officers *seal.Officers, secrets string) {
	w.Helper()
	var err error
	if w.Secrets, err = seal.NewKeyring(secrets); err != nil {
		w.Fatal(err)
	}
	clock := func() time.Time { return w.Now }
	w.Events = events.New(w.Pool, w.Policy, w.Secrets.Newest(), clock)
	w.Vault = vault.New(w.Pool, w.Secrets, officers, true, clock)
	w.Reader = reader.New(w.Pool, w.Vault)
	w.People = people.New(w.Pool, w.Events, w.Vault, w.Reader, w.Secrets, w.Policy, clock)
	w.Rosters = roster.New(w.Pool, w.Events, w.Reader, w.Policy, clock)
	w.Exports = export.New(w.Pool, w.Events, w.Reader, w.Rosters, w.Policy, clock)
	w.Ledger = ledger.New(w.Pool, w.Secrets, clock)
	w.Retention = retention.New(w.Pool, w.Events, w.Vault, w.People, w.Reader, w.Exports, w.Ledger, w.Secrets, w.Policy, clock)
	w.Rights = &rights.Store{
		Pool: w.Pool, Events: w.Events, Vault: w.Vault, People: w.People, Reader: w.Reader, Exports: w.Exports, Retention: w.Retention, Ledger: w.Ledger,
		Secrets: w.Secrets, Policy: w.Policy, Now: clock,
	}
}

// Event makes an event that ends in a month.
func (w *World) Event(id attendees.EventID) {
	w.Helper()
	_, err := w.Events.Save(w.Context(), attendees.Eventbrite, []attendees.Event{{ID: id, Organization: "900", Name: "Congress", End: w.Now.AddDate(0, 1, 0), Zone: "UTC"}})
	if err != nil {
		w.Fatal(err)
	}
}

// Link links the form to an event, for both purposes.
func (w *World) Link(event attendees.EventID) {
	w.Helper()
	for purpose, fields := range map[attendees.PurposeName]attendees.FieldLinks{
		attendees.ParticipationAgreement: {{Field: attendees.Agreed, Question: "agree"}, {Field: attendees.AgreementVersion, Question: "agreement_version"}, {Field: attendees.Email, Question: "email"}, {Field: attendees.Name, Question: "full_name"}},
		attendees.Forum:                  {{Field: attendees.Affiliation, Question: "aff"}},
	} {
		for i := range fields {
			fields[i].Purpose = purpose
		}
		if err := w.Events.Forms.Link(w.Context(), event, w.Form, purpose, fields); err != nil {
			w.Fatal(err)
		}
	}
}

// Ticket is a registration as a source says it.
func Ticket(id, event, name, email string) attendees.Registration {
	at := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	return attendees.Registration{
		ID: attendees.AttendeeID(id), Event: attendees.EventID(event), Name: attendees.Personal(name), Email: attendees.Personal(email),
		Ticket: "General", Created: at, Changed: at,
	}
}

// Save stores registrations.
func (w *World) Save(all ...attendees.Registration) people.Saved {
	w.Helper()
	saved, err := w.TrySave(all...)
	if err != nil {
		w.Fatal(err)
	}
	return saved
}

// TrySave is Save with its error.
func (w *World) TrySave(all ...attendees.Registration) (people.Saved, error) {
	links, err := w.Events.Forms.Links(w.Context(), w.Pool)
	if err != nil {
		w.Fatal(err)
	}
	b := people.Batch{Links: links, Layers: map[attendees.EventID][]attendees.Layer{}}
	for _, r := range all {
		b.Layers[r.Event] = append(b.Layers[r.Event], w.Policy.Minimise(r, events.FieldLinks(links, r.Event, attendees.EventbriteForm)))
	}
	return w.People.SaveRegistrations(w.Context(), b)
}

// Answers are what a response says.
type Answers = map[attendees.QuestionID]attendees.Answer

// Response is a submitted form.
func Response(id, attendee string, at time.Time, said Answers) attendees.Response {
	return attendees.Response{Form: "f", ID: attendees.ResponseID(id), Attendee: attendees.AttendeeID(attendee), Submitted: at, Answers: said}
}

// Answer stores responses.
func (w *World) Answer(all ...attendees.Response) people.Saved {
	w.Helper()
	saved, err := w.TryAnswer(all...)
	if err != nil {
		w.Fatal(err)
	}
	return saved
}

// TryAnswer is Answer with its error.
func (w *World) TryAnswer(all ...attendees.Response) (people.Saved, error) {
	links, err := w.Events.Forms.Links(w.Context(), w.Pool)
	if err != nil {
		w.Fatal(err)
	}
	r := people.Reading{Form: w.Form.ID, Links: links, Layers: map[attendees.EventID][]attendees.Layer{}}
	for _, l := range links {
		if _, done := r.Layers[l.Event]; done {
			continue
		}
		for _, one := range all {
			r.Layers[l.Event] = append(r.Layers[l.Event], w.Policy.MinimiseResponse(one, events.FieldLinks(links, l.Event, w.Form.ID)))
		}
	}
	return w.People.SaveResponses(w.Context(), r)
}

// Stored is an event as stored.
func (w *World) Stored(id attendees.EventID) events.Event {
	w.Helper()
	e, err := w.Events.Get(w.Context(), w.Pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

// Shown is what is shown of an event's people, by id and holder.
func (w *World) Shown(event attendees.EventID) map[string]attendees.Attendee {
	w.Helper()
	all := map[string]attendees.Attendee{}
	err := w.Reader.Read(w.Context(), w.Pool, w.Stored(event), 0, func(p reader.Person) error {
		a := p.Merged(w.Policy)
		if p.State == attendees.Open {
			if p.Agreed != (p.CountsAsAgreed || !a.AgreedAt.IsZero()) || p.Standing != a.Standing {
				w.Errorf("the columns of %s do not say what its layers do", a.ID)
			}
			all[fmt.Sprintf("%s/%d", a.ID, a.Holder)] = a
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// Key is the row key of an attendee.
func (w *World) Key(event attendees.EventID, id attendees.AttendeeID) uuid.UUID {
	w.Helper()
	_, key, err := w.People.Find(w.Context(), w.Pool, id)
	if err != nil {
		w.Fatal(err)
	}
	return key
}

// In runs something in a transaction that has an event's row.
func (w *World) In(event attendees.EventID, do func(ctx context.Context, tx db.Tx, e events.Event) error) {
	w.Helper()
	err := db.InTx(w.Context(), w.Pool, func(tx db.Tx) error {
		e, err := w.Events.WriteOne(w.Context(), tx, event)
		if err != nil {
			return err
		}
		return do(w.Context(), tx, e)
	})
	if err != nil {
		w.Fatal(err)
	}
}

// Tasks counts the open tasks of a kind.
func (w *World) Tasks(kind events.TaskKind) (n int) {
	w.Helper()
	all, err := w.Events.Tasks.List(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, t := range all {
		if t.Kind == kind {
			n++
		}
	}
	return n
}

// Many stores n people of an event, with a response for every second one, in batches.
func (w *World) Many(event attendees.EventID, n int) {
	w.Helper()
	const size = 5000
	for from := 0; from < n; from += size {
		var tickets []attendees.Registration
		var said []attendees.Response
		for i := from; i < min(from+size, n); i++ {
			id := fmt.Sprint(457_000_000 + i)
			tickets = append(tickets, Ticket(id, string(event), fmt.Sprintf("Person %d Quillfeather", i), fmt.Sprintf("person.%d@mail%d.example", i, i%100)))
			if i%2 == 0 {
				said = append(said, Response("t"+id, id, w.Now.AddDate(0, 0, -20), Answers{"agree": {"true"}, "agreement_version": {"2026-1"}, "aff": {attendees.Personal(fmt.Sprint("Institute ", i%500))}}))
			}
		}
		w.Save(tickets...)
		if len(w.links(event)) > 0 {
			w.Answer(said...)
		}
	}
}

func (w *World) links(event attendees.EventID) []events.Link {
	links, err := w.Events.Forms.Links(w.Context(), w.Pool, events.Key(attendees.Eventbrite, event))
	if err != nil {
		w.Fatal(err)
	}
	return links
}

// Dry says that all sources of an event were read to their end just now.
func (w *World) Dry(event attendees.EventID) {
	w.Helper()
	w.In(event, func(ctx context.Context, tx db.Tx, e events.Event) error { return w.Events.MarkRead(ctx, tx, e, true) })
	f, err := w.Events.Feeds.Get(w.Context(), w.Pool, events.FormFeed(w.Form.ID))
	if err != nil {
		w.Fatal(err)
	}
	f.Watermark, f.FailedAt = &w.Now, nil
	if err := db.InTx(w.Context(), w.Pool, func(tx db.Tx) error { return w.Events.Feeds.Save(w.Context(), tx, f) }); err != nil {
		w.Fatal(err)
	}
}

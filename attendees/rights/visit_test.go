package rights_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lethe/attendees"
	"lethe/attendees/coretest"
	"lethe/attendees/events"
	"lethe/attendees/rights"
)

func TestAVisitIsNeitherALinkNorAnothersAndNoTokenIsStored(t *testing.T) {
	o := newOffice(t)
	link, err := o.Rights.NewVisitLink(t.Context(), ada, 7)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, rights.ErrLink) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = o.Rights.Visit(t.Context(), link)
	refused("a link as a visit", err)
	other := "A" + link[1:]
	if link[0] == 'A' {
		other = "B" + link[1:]
	}
	for _, wrong := range []string{"", other, strings.ToLower(link), link + " ", link[:len(link)-1], "\x00", strings.Repeat("A", 1<<20)} {
		_, _, err = o.Rights.UseVisitLink(t.Context(), wrong)
		refused("a changed link", err)
	}
	token, v, err := o.Rights.UseVisitLink(t.Context(), link)
	if err != nil || v.Address != ada || !slices.Equal(v.Cases, []int{7}) {
		t.Fatal(v.Cases, err)
	}
	_, _, err = o.Rights.UseVisitLink(t.Context(), token)
	refused("a visit as a link", err)
	v.Cases = append(v.Cases, 8)
	if err := o.Rights.KeepVisit(t.Context(), token, v); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Rights.Visit(t.Context(), token); err != nil || !slices.Equal(got.Cases, []int{7, 8}) {
		t.Errorf("a visit forgets: %v, %v", got.Cases, err)
	}
	// Rows of two visits, swapped by who can write to the database.
	second, err := o.Rights.NewVisitLink(t.Context(), "bo@n.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Pool.Exec(`update visits set sealed = (select sealed from visits where not mailed) where mailed`); err != nil {
		t.Fatal(err)
	}
	_, _, err = o.Rights.UseVisitLink(t.Context(), second)
	refused("another's row", err)
	if err := o.Rights.EndVisit(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	_, err = o.Rights.Visit(t.Context(), token)
	refused("a visit that was ended", err)
}

func TestAnInvitationIsSentToTheNormalisedAddressAloneWhetherOrNotSomethingIsStored(t *testing.T) {
	o := newOffice(t)
	for address, known := range map[attendees.Personal]bool{" ADA@n.example": true, "nobody@n.example\u200b": false} {
		if err := o.desk.Invite(t.Context(), address, o.desk.Catalogue.In("en", "")); err != nil {
			t.Fatal(err)
		}
		l := o.letters[0]
		o.letters = nil
		if l.To != strings.Trim(strings.ToLower(address.Reveal()), " \u200b") || strings.Contains(l.Link, "/my-data/link/") != known || strings.Contains(l.Subject, "@") {
			t.Errorf("known %v: %q has the link %q", known, l.Subject, l.Link)
		}
	}
}

// BenchmarkVisit finds one person of three events among a million people in 300.
func BenchmarkVisit(b *testing.B) {
	w := coretest.New(b)
	var all []attendees.Event
	for i := range 300 {
		id := attendees.EventID("9" + strings.Repeat("0", 2) + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		all = append(all, attendees.Event{ID: id, Organization: "900", Name: "Congress", End: w.Now.AddDate(0, 1, 0), Zone: "UTC"})
	}
	if _, err := w.Events.Save(b.Context(), attendees.Eventbrite, all); err != nil {
		b.Fatal(err)
	}
	// Others' rows need not open: a visit never reads them.
	_, err := w.Pool.Exec(`
		insert into attendees (id, event_id, source, standing, address_index, agreed, version, came_on, layer)
		select gen_random_uuid(), e.id, 'eventbrite', 'attending', decode(md5(e.id::text || n), 'hex'), true, 1, '2026-10-01', decode(repeat('5a', 284), 'hex')
		from events e, generate_series(1, 3333) n`)
	if err == nil {
		_, err = w.Pool.Exec(`
			insert into responses (id, event_id, form_id, attendee_id, matched_by, address_index, agreed, version, came_on, layer)
			select gen_random_uuid(), event_id, 'f', id, 'hidden', address_index, true, 1, '2026-10-02', layer
			from attendees`)
	}
	if err != nil {
		b.Fatal(err)
	}
	w.Link("1")
	for i, e := range []events.Event{w.Stored("1"), w.Stored(all[100].ID), w.Stored(all[200].ID)} {
		id := string(rune('1' + i))
		w.Save(coretest.Ticket(id, string(e.ID), "Ada Lind", "ada@n.example"))
	}
	w.Answer(coretest.Response("t1", "1", october, coretest.Answers{"agree": {"true"}, "aff": {"Quill Clinic"}}))
	if _, err := w.Pool.Exec(`analyze`); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	visit := func(ctx context.Context) {
		start := time.Now()
		if held, err := w.Rights.Under(ctx, "ada@n.example"); err != nil || len(held) != 3 {
			b.Fatal(len(held), err)
		}
		took = append(took, time.Since(start))
	}
	visit(b.Context())
	took = nil
	for b.Loop() {
		visit(b.Context())
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

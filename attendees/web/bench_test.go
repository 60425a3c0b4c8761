package web

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
)

// many puts people into event 4715.
func (h *house) many(people int) {
	h.t.Helper()
	for from := 0; from < people; from += postgres.SaveBatch {
		var batch []attendees.Minimised
		for i := from; i < min(from+postgres.SaveBatch, people); i++ {
			batch = append(batch, h.Store.Policy().Minimise(attendees.Registration{
				ID: attendees.AttendeeID(fmt.Sprint(4_000_000_000 + i)), Event: "4715", Name: attendees.Personal(fmt.Sprint("Person Number ", i)),
				Email: attendees.Personal(fmt.Sprint("person.", i, "@example.org")), Ticket: "Standard", Created: time.Now().AddDate(0, 0, -i%200),
			}, nil))
		}
		err := h.Store.InTx(h.t.Context(), func(tx *sqlx.Tx) error {
			_, err := h.Store.Save(h.t.Context(), tx, nil, attendees.Eventbrite, batch)
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := h.Store.DB().Exec(`analyze personal`); err != nil {
		h.t.Fatal(err)
	}
}

// BenchmarkPages asks for the pages of an event of 100,000; ms-p99 is the time that all
// but one in a hundred take, one request after the other.
func BenchmarkPages(b *testing.B) {
	h := newHouse(b)
	h.many(100_000)
	her := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	found := her.post("/events/4715/attendees", url.Values{"q": {"person.50123@"}}).to
	for name, path := range map[string]string{
		"events": "/events", "event": "/events/4715", "people": "/events/4715/attendees", "people from the middle": "/events/4715/attendees?after=4000050000",
		"search": found, "not agreed": "/events/4715/attendees?show=missing", "by ticket": "/events/4715/attendees?sort=ticket",
		"person": "/events/4715/attendees/4000050123", "exports": "/exports", "participation": "/participation/4715",
	} {
		b.Run(name, func(b *testing.B) {
			her.get(path)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if a := her.get(path); a.status != 200 {
					b.Fatalf("%s answers %d", path, a.status)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// BenchmarkPagesBesideAPull asks for the same pages, 50 a second in turn, each from when it
// was due, while a pull stores as many people as one does at 80 ms a call.
func BenchmarkPagesBesideAPull(b *testing.B) {
	const perSecond, each = 50, 20 * time.Second
	h := newHouse(b)
	h.many(100_000)
	her := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	found := her.post("/events/4715/attendees", url.Values{"q": {"person.50123@"}}).to
	pages := []string{"/events", "/events/4715", "/events/4715/attendees", "/events/4715/attendees?after=4000050000", found,
		"/events/4715/attendees?show=missing", "/events/4715/attendees?sort=ticket", "/events/4715/attendees/4000050123", "/exports", "/participation/4715"}
	var warm sync.WaitGroup // sessions of the database are made once
	for range 3 {
		for _, path := range pages {
			warm.Go(func() { her.get(path) })
		}
	}
	warm.Wait()
	for b.Loop() {
		ctx, stop := context.WithTimeout(b.Context(), each)
		var pull, asked sync.WaitGroup
		pull.Go(func() {
			for round := 1; ctx.Err() == nil; round++ {
				h.pulled(500, round)
				time.Sleep(60 * time.Millisecond)
			}
		})
		took := make([]time.Duration, perSecond*int(each/time.Second))
		began := time.Now()
		for i := range took {
			due := began.Add(time.Duration(i) * time.Second / perSecond)
			time.Sleep(time.Until(due))
			asked.Go(func() {
				if a := her.get(pages[i%len(pages)]); a.status != 200 {
					b.Errorf("%s answers %d", pages[i%len(pages)], a.status)
				}
				took[i] = time.Since(due)
			})
		}
		asked.Wait()
		stop()
		pull.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	}
}

// pulled lets some of event 4715's people come in once more, changed.
func (h *house) pulled(people, round int) {
	var batch []attendees.Minimised
	for i := range people {
		id := (round*people + i) % 100_000
		batch = append(batch, h.Store.Policy().Minimise(attendees.Registration{
			ID: attendees.AttendeeID(fmt.Sprint(4_000_000_000 + id)), Event: "4715", Name: attendees.Personal(fmt.Sprint("Person Number ", id)),
			Email: attendees.Personal(fmt.Sprint("person.", id, "@example.org")), Ticket: fmt.Sprint("Standard ", round),
			Created: time.Now().AddDate(0, 0, -id%200), Changed: time.Now(),
		}, nil))
	}
	err := h.Store.InTx(context.Background(), func(tx *sqlx.Tx) error {
		_, err := h.Store.Save(context.Background(), tx, nil, attendees.Eventbrite, batch)
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
}

// BenchmarkDownload takes a list of 200,000 through HTTP; x-command is against the same
// list written to a file, as the command does.
func BenchmarkDownload(b *testing.B) {
	const people = 200_000
	h := newHouse(b)
	h.many(people)
	her := h.signedIn(h.user("ada@example.org", nil, attendees.Organiser))
	for _, format := range export.Formats() {
		b.Run(format, func(b *testing.B) {
			var written, sent time.Duration
			for b.Loop() {
				began := time.Now()
				l := export.List{Store: h.Store, Event: "4715", Purpose: attendees.ParticipationAgreement, Standing: attendees.Attending, Format: format, At: began}
				err := export.File(filepath.Join(b.TempDir(), "list"), true, func(w io.Writer) error {
					_, err := l.Write(b.Context(), w)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				written += time.Since(began)
				began = time.Now()
				response, err := her.client.Get(h.server.URL + "/events/4715/export?purpose=participation_agreement&format=" + format)
				if err != nil {
					b.Fatal(err)
				}
				f, err := os.Create(filepath.Join(b.TempDir(), "download"))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(f, response.Body); err != nil {
					b.Fatal(err)
				}
				_, _ = f.Close(), response.Body.Close()
				sent += time.Since(began)
			}
			b.ReportMetric(people*float64(b.N)/sent.Seconds(), "rows/s")
			b.ReportMetric(sent.Seconds()/written.Seconds(), "x-command")
		})
	}
}

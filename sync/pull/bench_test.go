package pull_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lethe/attendees/old/postgres"
	"lethe/sync/eventbrite/eventbritetest"
	"lethe/sync/typeform/typeformtest"
)

// benchPeople is the size that the aims are stated for.
const benchPeople = 20_000

// floor fetches pages and throws them away, four at a time: as fast as anybody could.
func floor(b *testing.B, client *http.Client, token string, urls []string) time.Duration {
	b.Helper()
	began := time.Now()
	queue := make(chan string)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for u := range queue {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, u, nil)
				if err != nil {
					b.Error(err)
					continue
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	for _, u := range urls {
		queue <- u
	}
	close(queue)
	wg.Wait()
	return time.Since(began)
}

// again empties what a pull has filled, so that the next one begins anew.
func (w world) again() {
	w.t.Helper()
	if _, err := w.Store.DB().Exec(`truncate personal, attendees, feeds; update events set pulled_at = null`); err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkPull pulls 20,000 attendees; "x-floor" is against fetching the same pages
// and throwing them away.
func BenchmarkPull(b *testing.B) {
	for _, latency := range []time.Duration{0, 80 * time.Millisecond} {
		b.Run(fmt.Sprint("latency=", latency), func(b *testing.B) {
			w := newWorld(b, eventbritetest.Options{Limit: -1})
			event := w.event(benchPeople)
			w.discover()
			w.eventbrite.Misbehave(func(q *eventbritetest.Quirks) { q.Latency = latency })
			var urls []string
			for page := 1; page <= benchPeople/50; page++ {
				urls = append(urls, fmt.Sprintf("%s/events/%s/attendees/?page=%d", w.urls[0], event, page))
			}
			floor(b, http.DefaultClient, eventbritetest.Token, urls) // the sandbox renders its people once
			var pulled, least time.Duration
			for b.Loop() {
				b.StopTimer()
				w.again()
				least += floor(b, http.DefaultClient, eventbritetest.Token, urls)
				b.StartTimer()
				began := time.Now()
				if _, err := w.Event(b.Context(), event); err != nil {
					b.Fatal(err)
				}
				pulled += time.Since(began)
			}
			e, err := w.Store.Event(b.Context(), event)
			if err != nil {
				b.Fatal(err)
			}
			if n, err := w.Store.Count(b.Context(), e, postgres.AnyStatus); err != nil || n != benchPeople {
				b.Fatalf("%d are held (%v)", n, err)
			}
			b.ReportMetric(pulled.Seconds()/float64(b.N), "s/pull")
			b.ReportMetric(pulled.Seconds()/least.Seconds(), "x-floor")
		})
	}
}

// BenchmarkForm pulls 20,000 responses of a form whose people are all known.
func BenchmarkForm(b *testing.B) {
	w := newWorld(b, eventbritetest.Options{Limit: -1})
	event := w.event(benchPeople)
	w.discover()
	w.link(event, typeformtest.AgreementForm())
	if _, err := w.Event(b.Context(), event); err != nil {
		b.Fatal(err)
	}
	var people []typeformtest.Person
	for _, r := range w.eventbrite.Attendees(event, nil) {
		people = append(people, typeformtest.Person{AttendeeID: r.ID, Name: r.Name.Reveal(), Email: r.Email.Reveal()})
	}
	w.typeform.Fill(typeformtest.AgreementFormID, people, time.Now().Add(-30*time.Hour))
	// The same pages are fetched by what the client asked for.
	once := func() {
		if _, err := w.Form(b.Context(), typeformtest.AgreementFormID); err != nil {
			b.Fatal(err)
		}
	}
	w.typeform.ResetLog()
	once()
	var urls []string
	for _, c := range w.typeform.Log() {
		if strings.HasSuffix(c.Path, "/responses") {
			urls = append(urls, w.urls[1]+c.Path+"?"+c.Query.Encode())
		}
	}
	if len(urls) < benchPeople/1000 {
		b.Fatalf("only %d pages", len(urls))
	}
	var pulled, least time.Duration
	for b.Loop() {
		b.StopTimer()
		if _, err := w.Store.DB().Exec(`delete from personal where part = 'response'; delete from feeds where name like 'typeform/%'`); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Store.DB().Exec(`vacuum personal`); err != nil {
			b.Fatal(err)
		}
		least += floor(b, http.DefaultClient, typeformtest.Token, urls)
		b.StartTimer()
		began := time.Now()
		once()
		pulled += time.Since(began)
	}
	b.ReportMetric(pulled.Seconds()/float64(b.N), "s/pull")
	b.ReportMetric(pulled.Seconds()/least.Seconds(), "x-floor")
}

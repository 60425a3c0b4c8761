package eventbrite_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"

	"lethe/sync/eventbrite"
	"lethe/sync/eventbrite/eventbritetest"
)

// BenchmarkPull compares reading 20,000 attendees with fetching their pages alone, on
// the cores that the server uses too.
func BenchmarkPull(b *testing.B) {
	const people = 20_000
	s, c := sandbox(b, eventbritetest.Options{Limit: -1})
	_, event, questions := crowd(s, people)
	u, stop, err := s.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	b.Run("fetch", func(b *testing.B) {
		for b.Loop() {
			bytes := make(chan int64)
			next := make(chan int)
			for range 4 {
				go func() {
					var n int64
					for page := range next {
						req, _ := http.NewRequest("GET", u+"/events/"+string(event)+"/attendees/?page="+strconv.Itoa(page), nil)
						req.Header.Set("Authorization", "Bearer "+eventbritetest.Token)
						resp, err := http.DefaultClient.Do(req)
						if err != nil {
							b.Error(err)
							continue
						}
						all, _ := io.ReadAll(resp.Body)
						resp.Body.Close()
						n += int64(len(all))
					}
					bytes <- n
				}()
			}
			for page := range people / 50 {
				next <- page + 1
			}
			close(next)
			var n int64
			for range 4 {
				n += <-bytes
			}
			b.SetBytes(n)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var n, bytes int
			for p, err := range c.EventAttendees(b.Context(), event, eventbrite.Query{Questions: questions}) {
				if err != nil {
					b.Fatal(err)
				}
				n += len(p.Registrations)
				bytes += p.Bytes
			}
			if n != people {
				b.Fatalf("%d people", n)
			}
			b.SetBytes(int64(bytes))
		}
	})
}

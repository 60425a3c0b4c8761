package postgres_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

func TestWhateverHappensToAnEventSealedAsItComesEachIsSealedOnceAndNobodyIsReadable(t *testing.T) {
	checks := "5"
	if os.Getenv("LETHE_TEST_MORE") != "" {
		checks = sequences()
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		t.Fatal(err)
	}
	o := officer(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newOldWorld(t)
		defer func() { _ = w.DB().Close() }() // hundreds of lives would use up the server's connections
		s := sealer(t, o)
		at := map[string]attendees.EventID{} // where each is held
		ever, forgotten := map[string]bool{}, map[string]bool{}
		who := func() string { return fmt.Sprint(rapid.IntRange(0, 9).Draw(rt, "who")) }
		ended := func() bool { return w.look(old).BlockedAt != nil }
		register := func(id string, event attendees.EventID) attendees.Registration {
			r := person(id, string(event), "Person "+id, rapid.SampledFrom([]string{id, "group"}).Draw(rt, "mailbox")+"@example.org")
			w.clock.now = w.clock.now.Add(time.Second)
			r.Changed = w.clock.now
			return r
		}
		rt.Repeat(map[string]func(*rapid.T){
			"page": func(*rapid.T) {
				var page []attendees.Registration
				for range rapid.IntRange(1, 4).Draw(rt, "people") {
					id := who()
					page = append(page, register(id, old))
					if !ended() && !forgotten[id] {
						at[id], ever[id] = old, true
					}
				}
				w.sealed(s, page...)
			},
			"open": func(*rapid.T) {
				if id := who(); at[id] != old {
					w.save(register(id, "4711"))
					if !forgotten[id] {
						at[id] = "4711"
					}
				}
			},
			"read":  func(*rapid.T) { w.read() },
			"sweep": func(*rapid.T) { w.block(old, s); must(w.Tidy(t.Context()))(t) },
			"forget": func(*rapid.T) {
				id := who()
				_, err := w.Forget(t.Context(), attendees.AttendeeID(id), "asked")
				if unknown := (*postgres.UnknownAttendeeError)(nil); err != nil && !errors.As(err, &unknown) {
					rt.Fatal(err)
				}
				if _, held := at[id]; held {
					delete(at, id)
					forgotten[id] = true
				}
			},
			"": func(*rapid.T) {
				want := 0
				for _, event := range at {
					if event == old {
						want++
					}
				}
				key := w.look(old).Key
				if n := w.count(`select count(*) from personal where event_id = $1`, key); n > 0 {
					rt.Fatalf("%d are readable", n)
				}
				if n := w.count(`select count(*) from attendees where event_id = $1`, key); n != want {
					rt.Fatalf("%d are held, want %d", n, want)
				}
				if n := w.count(`select count(*) from sealed s join attendees a on a.id = s.attendee_id and a.event_id = s.event_id where s.event_id = $1 and s.part = 'registration'`, key); n != want {
					rt.Fatalf("%d are sealed, want %d", n, want)
				}
				if n := w.count(`select count(*) from attendees a where event_id = $1 and exists (select from attendees o where o.event_id = $1 and o.address_index = a.address_index and o.id <> a.id) and exists (select from sealed s where s.attendee_id = a.id and s.person is not null)`, key); n > 0 {
					rt.Fatalf("%d of a group order have a half of their own", n)
				}
				if n := w.count(`select coalesce(sum(people), 0) from tallies where event_id = $1 and what = 'registered'`, key); n != len(ever) && !(ended() && len(ever) < 5) {
					rt.Fatalf("%d registered, as is counted, want %d", n, len(ever))
				}
			},
		})
		if w.count(`select count(*) from ledger_entries`) > 0 {
			w.ledgerIsSound()
		}
	})
}

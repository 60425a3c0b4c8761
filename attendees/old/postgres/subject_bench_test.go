package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees/old/attendees"
)

// BenchmarkSubject reads and erases one person among a million, in 300 events, 200 of them
// blocked. Setting it up takes minutes, so that it is run by name alone:
//
//	go test ./attendees/old/postgres -run '^$' -bench Subject -benchtime 300x
func BenchmarkSubject(b *testing.B) {
	const events, blocked, people = 300, 200, 1_000_000 / 300
	w := newWorld(b)
	s := sealer(b, officer(b))
	var ids []attendees.EventID
	for i := range events {
		id := attendees.EventID(fmt.Sprintf("9%03d", i))
		ids = append(ids, id)
		w.saveEvents(id)
	}
	w.save(person("own-open", string(ids[events-1]), "Zaphira Quillfeather", "zaphira@example.org"),
		person("own-sealed", string(ids[0]), "Zaphira Quillfeather", "zaphira@example.org"),
		person("own-sealed-too", string(ids[1]), "Zaphira Quillfeather", "Zaphira@example.org"))
	for _, id := range []attendees.AttendeeID{"own-sealed", "own-sealed-too"} {
		if _, err := w.Restrict(b.Context(), id, attendees.RestrictionAsked, s); err != nil {
			b.Fatal(err)
		}
	}
	for i, id := range ids {
		err := w.InTx(b.Context(), func(tx *sqlx.Tx) error {
			e, err := w.Event(b.Context(), id)
			if err != nil {
				return err
			}
			_, err = tx.Exec(`
				insert into attendees (id, event_id, source, source_id, address_key, address_index, registered_at, changed_at)
				select gen_random_uuid(), $1, 'eventbrite', 'f' || $2 || '-' || n, 'k', decode(md5($2 || '/' || n), 'hex'), now(), now()
				from generate_series(1, $3::int) as n`, e.Key, string(id), people)
			if err != nil || i >= blocked {
				if err == nil {
					_, err = tx.Exec(`
						insert into personal (event_id, id, part, source_id, name, email, ticket, status)
						select event_id, id, 'registration', source_id, 'Filler', 'filler@example.org', 'Standard', 'attending'
						from attendees where event_id = $1 and source_id like 'f%'`, e.Key)
				}
				if err == nil {
					_, err = tx.Exec(`
						insert into personal (event_id, id, part, source_id, name, form_id, address_index)
						select event_id, gen_random_uuid(), 'response', source_id, 'Filler', 'form', address_index
						from attendees where event_id = $1 and source_id like 'f%'`, e.Key)
				}
				if err == nil {
					_, err = tx.Exec(`insert into links (event_id, form_id, purpose, linked_at) values ($1, 'form', 'forum', now())`, e.Key)
				}
				return err
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if i < blocked {
			if _, err := w.DB().Exec(`update events set state = 'blocked', blocked_at = now() where source_id = $1`, id); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := w.DB().Exec(`analyze`); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			held, err := w.HeldUnder(b.Context(), "zaphira@example.org")
			if err != nil || len(held) != 3 {
				b.Fatal(len(held), err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	})
	b.Run("erase", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			id := fmt.Sprintf("own-%d", n)
			w.save(person(id, string(ids[events-1]), "Zaphira Quillfeather", fmt.Sprintf("zaphira%d@example.org", n)))
			b.StartTimer()
			if _, err := w.Erase(b.Context(), attendees.AttendeeID(id), "asked", s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/export"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// benchPeople is the size that the aims are stated for.
const benchPeople = 200_000

func benchWorld(b *testing.B) (world, []attendees.Minimised) {
	b.Helper()
	w := newWorld(b)
	batch := make([]attendees.Minimised, benchPeople)
	for i := range batch {
		batch[i] = w.Policy().Minimise(person(fmt.Sprint(4_000_000_000+i), "4711", fmt.Sprint("Person Number ", i), fmt.Sprint("person.", i, "@example.org")), nil)
	}
	return w, batch
}

func (w world) saveAll(batch []attendees.Minimised) {
	w.t.Helper()
	for len(batch) > 0 {
		n := min(postgres.SaveBatch, len(batch))
		err := w.InTx(w.t.Context(), func(tx *sqlx.Tx) error {
			_, err := w.Save(w.t.Context(), tx, nil, attendees.Eventbrite, batch[:n])
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
		batch = batch[n:]
	}
}

// psql runs statements as PostgreSQL's own client does.
func (w world) psql(statements ...string) {
	w.t.Helper()
	bin, err := pgtest.Server(w.t).Bin("psql")
	if err != nil {
		w.t.Fatal(err)
	}
	args := []string{"--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname=" + pgtest.URL(w.t, w.DB())}
	for _, s := range statements {
		args = append(args, "--command="+s)
	}
	if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("psql: %v: %s", err, out)
	}
}

// BenchmarkSave stores 200,000 people; "x-copy" is against psql's \copy of the same
// rows into the same tables.
func BenchmarkSave(b *testing.B) {
	w, batch := benchWorld(b)
	w.saveAll(batch)
	dir := b.TempDir()
	files := map[string]string{}
	for _, table := range []string{"attendees", "personal"} {
		files[table] = filepath.Join(dir, table)
		var columns string
		err := w.DB().Get(&columns, `
			select string_agg(column_name, ', ' order by ordinal_position)
			from information_schema.columns
			where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER'`, table)
		if err != nil {
			b.Fatal(err)
		}
		w.psql(`\copy (select ` + columns + ` from ` + table + `) to '` + files[table] + `'`)
	}
	clear := func() {
		if _, err := w.DB().Exec(`truncate personal, attendees; checkpoint`); err != nil {
			b.Fatal(err)
		}
	}
	var saved, copied time.Duration
	for b.Loop() {
		b.StopTimer()
		clear()
		began := time.Now()
		w.psql(`\copy attendees from '`+files["attendees"]+`'`, `\copy personal from '`+files["personal"]+`'`)
		copied += time.Since(began)
		clear()
		b.StartTimer()
		began = time.Now()
		w.saveAll(batch)
		saved += time.Since(began)
	}
	b.ReportMetric(benchPeople*float64(b.N)/saved.Seconds(), "people/s")
	b.ReportMetric(saved.Seconds()/copied.Seconds(), "x-copy")
}

// BenchmarkExport writes a list of 200,000 people to a file; "x-copy" is against
// psql's \copy of the same query.
func BenchmarkExport(b *testing.B) {
	w, batch := benchWorld(b)
	w.saveAll(batch)
	if _, err := w.DB().Exec(`vacuum analyze personal`); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	purpose, _ := w.Policy().Purpose(attendees.ParticipationAgreement)
	var event string
	if err := w.DB().Get(&event, `select id from events where source_id = '4711'`); err != nil {
		b.Fatal(err)
	}
	query := bytes.ReplaceAll([]byte(postgres.ListQuery(purpose)), []byte("$1"), []byte("'"+event+"'"))
	query = bytes.ReplaceAll(query, []byte("$2"), []byte("''"))
	query = bytes.Join(bytes.Fields(query), []byte(" "))
	var exported, copied time.Duration
	for b.Loop() {
		b.StopTimer()
		began := time.Now()
		w.psql(`\copy (` + string(query) + `) to '` + filepath.Join(dir, "copy.csv") + `' csv header`)
		copied += time.Since(began)
		b.StartTimer()
		began = time.Now()
		f, err := os.Create(filepath.Join(dir, "list.csv"))
		if err != nil {
			b.Fatal(err)
		}
		n, err := export.CSV(f, export.Header{Event: "4711", Purpose: purpose.Name, At: june},
			w.Attending(b.Context(), "4711", purpose.Name, postgres.AnyStatus))
		if err != nil || n != benchPeople {
			b.Fatalf("%d rows (%v)", n, err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		exported += time.Since(began)
	}
	b.ReportMetric(benchPeople*float64(b.N)/exported.Seconds(), "rows/s")
	b.ReportMetric(exported.Seconds()/copied.Seconds(), "x-copy")
}

// BenchmarkBlock seals 200,000 people; "x-least" is against age alone on as many cores
// and a bare insert of the sealed rows.
func BenchmarkBlock(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		w, batch := benchWorld(b)
		w.saveAll(batch)
		w.clock.now = july
		s := sealer(b, officer(b))
		b.StartTimer()
		began := time.Now()
		w.block("4711", s)
		blocked := time.Since(began)
		b.StopTimer()
		began = time.Now()
		group := errgroup.Group{}
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() error {
				for range benchPeople / runtime.GOMAXPROCS(0) {
					if _, err := s.Seal(seal.Record{Event: "4711", Attendee: "1", Part: "registration", Fields: []byte(`{"name":"Person Number 1","email":"person.1@example.org"}`)}, "person.1@example.org"); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		if _, err := w.DB().Exec(`create table bare as select * from sealed; drop table bare`); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(blocked.Seconds(), "s/block")
		b.ReportMetric(blocked.Seconds()/time.Since(began).Seconds(), "x-least")
		w.clock.now = later
		if _, err := w.DB().Exec(`create table bare as select * from attendees; alter table bare add primary key (id); create index on bare (event_id, address_index)`); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		if _, err := w.DB().Exec(`delete from bare`); err != nil {
			b.Fatal(err)
		}
		bare := time.Since(began)
		began = time.Now()
		if n, err := w.Delete(b.Context(), "4711"); err != nil || n != benchPeople {
			b.Fatalf("%d were deleted (%v)", n, err)
		}
		b.ReportMetric(time.Since(began).Seconds()/bare.Seconds(), "x-delete")
		b.StartTimer()
	}
}

// BenchmarkPlan plans 1,000 events with a million people.
func BenchmarkPlan(b *testing.B) {
	w := newWorld(b)
	_, err := w.DB().Exec(`
		insert into events (id, source, source_id, organization_id, name, status, time_zone, ends_on, first_seen_on, rule, block_on, delete_on,
			planned_block_on, planned_delete_on, accepted_block_on, accepted_delete_on, planned_rule, accepted_rule)
		select md5('event' || n)::uuid, 'eventbrite', 'b' || n, '900', 'Event ' || n, 'live', 'Europe/Berlin', '2027-06-20', '2027-01-01', 'de-ao-6',
			'2027-07-20', '2034-01-01', '2027-07-20', '2034-01-01', '2027-07-20', '2034-01-01', 'de-ao-6', 'de-ao-6'
		from generate_series(1, 1000) as n;
		insert into attendees (id, event_id, source, source_id, address_key, address_index, changed_at)
		select md5('person' || n)::uuid, md5('event' || n % 1000 + 1)::uuid, 'eventbrite', n::text, 'k', decode(md5(n::text), 'hex'), now()
		from generate_series(1, 1000000) as n`)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.DB().Exec(`vacuum analyze attendees`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Plan(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"lethe/attendees"
	"lethe/attendees/export"
	"lethe/attendees/postgres"
	"lethe/attendees/postgres/pgtest"
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
			_, err := w.Save(w.t.Context(), tx, attendees.Eventbrite, batch[:n])
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
		w.psql(`\copy (select * from ` + table + `) to '` + files[table] + `'`)
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

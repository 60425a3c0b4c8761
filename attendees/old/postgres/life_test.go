package postgres_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/ledger"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/attendees/old/seal"
)

// july is the day after 4711 and 4712 are to be blocked.
var july = time.Date(2027, 7, 21, 3, 0, 0, 0, time.UTC)

// later is the day on which de-ao-6 has run out.
var later = time.Date(2034, 1, 1, 3, 0, 0, 0, time.UTC)

func sealer(t testing.TB, officers ...seal.Officer) *seal.Sealer {
	t.Helper()
	var public []string
	for _, o := range officers {
		public = append(public, o.Public())
	}
	parsed, err := seal.ParseOfficers(strings.Join(public, ","))
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.NewSealer(parsed, keyring(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func officer(t testing.TB) seal.Officer {
	t.Helper()
	o, err := seal.NewOfficer()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (w world) block(event attendees.EventID, s *seal.Sealer) postgres.Blocking {
	w.t.Helper()
	n, err := w.Block(w.t.Context(), event, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// opened are an event's sealed records as an officer reads them, by attendee and part.
func (w world) opened(event attendees.EventID, o seal.Officer) map[string]map[string]any {
	w.t.Helper()
	all := map[string]map[string]any{}
	for r, err := range w.SealedRecords(w.t.Context(), event, "", "", "a test") {
		if err != nil {
			w.t.Fatal(err)
		}
		record, err := o.OpenAny(r.Officers)
		if err != nil {
			w.t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(record.Fields, &fields); err != nil {
			w.t.Fatal(err)
		}
		all[record.Attendee+" "+record.Part] = fields
	}
	return all
}

// count asks for one number.
func (w world) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.DB().Get(&n, query, args...); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// found are the files of the cluster, its log among them, and the dumps of its database,
// that hold text. Whoever asks has swept before: nothing is flushed here.
func (w world) found(text string) []string {
	w.t.Helper()
	var dir string
	if err := w.DB().Get(&dir, `show data_directory`); err != nil {
		w.t.Fatal(err)
	}
	dir = filepath.Dir(dir)
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files come and go below a running server
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	bin, err := pgtest.Server(w.t).Bin("pg_dump")
	if err != nil {
		w.t.Fatal(err)
	}
	dump, err := exec.Command(bin, "--dbname="+pgtest.URL(w.t, w.DB())).Output()
	if err != nil || len(dump) == 0 {
		w.t.Fatalf("pg_dump: %v", err)
	}
	if bytes.Contains(dump, []byte(text)) {
		files = append(files, "a dump")
	}
	var samples int
	if !utf8.ValidString(text) { // sealed bytes, which statistics show in hexadecimal
		text = fmt.Sprintf("%x", text)
	}
	if err := w.DB().Get(&samples, `select count(*) from pg_stats where most_common_vals::text like '%' || $1 || '%' or histogram_bounds::text like '%' || $1 || '%'`, text); err != nil || samples > 0 {
		files = append(files, "planner statistics")
	}
	return files
}

// pieces are bytes of both halves of some sealed records, from their beginnings and ends.
func (w world) pieces() (all []string) {
	w.t.Helper()
	var halves [][]byte
	err := w.DB().Select(&halves, `
		select half
		from (select officers, person from sealed order by attendee_id limit 3) as few, unnest(array[officers, person]) as half
		where half is not null`)
	if err != nil || len(halves) == 0 {
		w.t.Fatalf("no sealed record is there to look for (%v)", err)
	}
	for _, half := range halves {
		all = append(all, string(half[len(half)-40:]), string(half[len(half)-120:len(half)-80]))
	}
	return all
}

func TestBlockingSealsWhatADutyKeepsAndDropsTheRest(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}, "forums": {"Rivers"}}))
	chief, deputy := officer(t), officer(t)
	s := sealer(t, chief, deputy)

	_, err := w.Block(t.Context(), "4711", s)
	var early *postgres.TooEarlyError
	if !errors.As(err, &early) {
		t.Errorf("before its day: error %v", err)
	}
	w.clock.now = july
	equal(t, "blocking", w.block("4711", s), postgres.Blocking{Sealed: 2})
	equal(t, "blocking again", w.block("4711", s), postgres.Blocking{})
	for _, o := range []seal.Officer{chief, deputy} {
		records := w.opened("4711", o)
		if len(records) != 2 || records["1 registration"]["name"] != "Ada Example" || records["1 registration"]["email"] != "ada@example.org" {
			t.Errorf("an officer opens %v", records)
		}
		if _, there := records["1 registration"]["affiliation"]; there {
			t.Errorf("a forum field was sealed: %v", records["1 registration"])
		}
	}
	equal(t, "late arrivals", w.save(person("3", "4711", "Cy Example", "cy@example.org"))["4711"], postgres.Changes{Late: 1})
	if n := w.count(`select count(*) from personal p join events e on e.id = p.event_id where e.source_id = '4711'`); n > 0 {
		t.Errorf("%d readable rows are left", n)
	}
	if n := w.count(`select count(*) from pg_class where relkind = 'r' and relname like 'personal\_%'`); n != 1 {
		t.Errorf("%d readable rooms are left, want 4712's", n)
	}
}

func TestAPersonOpensHerOwnSealedRecordUnlessItIsAGroupOrder(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"),
		person("2", "4711", "Bo Example", "group@example.org"), person("3", "4711", "Cy Example", "group@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	var halves []struct {
		Source string `db:"source_id"`
		Person []byte `db:"person"`
		Key    string `db:"person_key"`
	}
	if err := w.DB().Select(&halves, `select a.source_id, s.person, s.person_key from sealed s join attendees a on a.id = s.attendee_id order by 1`); err != nil {
		t.Fatal(err)
	}
	if len(halves) != 3 || halves[0].Person == nil || halves[1].Person != nil || halves[2].Person != nil {
		t.Fatalf("the wrong ones have a half of their own")
	}
	_, err := keyring(t).OpenPerson(halves[0].Person, halves[0].Key, "4711", "1", "registration", " ADA@example.org ")
	if err != nil {
		t.Error(err)
	}
}

func TestAfterBlockingNoFileKeepsANameAndAfterDeletionNoSealedByte(t *testing.T) {
	w := newWorld(t)
	const name, address = "Zephyrine Quillington", "zephyrine.quillington@example.org"
	var people []attendees.Registration
	for i := range 300 {
		people = append(people, person(fmt.Sprint(i), "4711", fmt.Sprintf("%s %d", name, i), fmt.Sprintf("%d.%s", i, address)))
	}
	w.save(people...)
	w.save(people[:100]...)
	for i := range 50 { // changes leave old versions in pages, too
		people[i].Changed = june
		people[i].Ticket = "Other"
	}
	w.save(people...)
	if _, err := w.DB().Exec(`analyze`); err != nil {
		t.Fatal(err)
	}
	if len(w.found(name)) == 0 {
		t.Fatal("the name is found nowhere before, so this test shows nothing")
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	w.tidy()
	for _, text := range []string{name, address} {
		if files := w.found(text); len(files) > 0 {
			t.Errorf("after blocking, %v hold it", files)
		}
	}
	pieces := w.pieces()
	if len(w.found(pieces[0])) == 0 {
		t.Fatal("a sealed record is found nowhere before, so this test shows nothing")
	}
	if _, err := w.Delete(t.Context(), "4711"); err == nil {
		t.Error("it is deleted before its day")
	}
	w.clock.now = later
	n, err := w.Delete(t.Context(), "4711")
	if err != nil || n != 300 {
		t.Errorf("%d were deleted (%v), want 300", n, err)
	}
	w.tidy()
	for _, piece := range pieces {
		if files := w.found(piece); len(files) > 0 {
			t.Errorf("after deletion, %v hold a sealed record", files)
		}
	}
	if n := w.count(`select count(*) from attendees`); n != 0 {
		t.Errorf("%d rows lead to people", n)
	}
	if n := w.count(`select people from tallies where what = 'registered'`); n != 300 {
		t.Errorf("the count of who registered is %d, want 300", n)
	}
	equal(t, "late arrivals", w.save(person("1", "4711", name, address))["4711"], postgres.Changes{Late: 1})
	w.ledgerIsSound()
}

// ledgerIsSound verifies the whole ledger, and returns its entries' kinds.
func (w world) ledgerIsSound() (kinds []ledger.Kind) {
	w.t.Helper()
	table, err := w.Ledger(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := w.LedgerKeys()
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := table.Verify(v); err != nil {
		w.t.Fatal(err)
	}
	for _, leaf := range table.Leaves {
		e, err := ledger.ParseEntry(leaf)
		if err != nil {
			w.t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestWhoNeverAgreedIsDroppedUnlessTooManyDidNot(t *testing.T) {
	for agreed, want := range map[int]postgres.Blocking{
		3: {Sealed: 3, Dropped: 2},
		2: {Sealed: 5, Doubted: true},
	} {
		w := newWorld(t)
		link := postgres.Link{Event: "4711", Form: "u6nXL7", Purpose: attendees.ParticipationAgreement,
			Fields: []postgres.LinkedField{{Field: attendees.Agreed, Question: "agree", ID: "agree"}}}
		e, err := w.Event(t.Context(), "4711")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.SaveLink(t.Context(), e, link); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			id := fmt.Sprint(i)
			w.save(person(id, "4711", "Person "+id, id+"@example.org"))
			if i < agreed {
				w.answer("4711", response("r"+id, id, "", "", map[attendees.QuestionID]attendees.Answer{"agreed": {"yes"}}))
			}
		}
		w.clock.now = july
		o := officer(t)
		equal(t, fmt.Sprint(agreed, " of 5 agreed"), w.block("4711", sealer(t, o)), want)
		if got := len(w.opened("4711", o)); got != want.Sealed {
			t.Errorf("%d records are sealed, want %d", got, want.Sealed)
		}
		if n := w.count(`select count(*) from attendees`); n != want.Sealed {
			t.Errorf("%d attendees are kept, want %d", n, want.Sealed)
		}
		n, err := w.AnswerDoubt(t.Context(), "4711", true, "the form was right", "ops")
		if !want.Doubted {
			if err == nil {
				t.Error("where nothing is in doubt an answer is taken")
			}
			continue
		}
		if err != nil || n != 3 || w.count(`select count(*) from attendees`) != 2 || w.count(`select count(*) from sealed where agreed is not null`) != 0 {
			t.Errorf("the answer dropped %d (%v), want 3, and no trace of who agreed", n, err)
		}
	}
}

func TestAHoldKeepsEverythingUntilItIsReleased(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	w.answer("4711", response("r1", "1", "", "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}}),
		response("r2", "", "Nobody Known", "nobody@example.net", nil))
	hold, err := w.AddHold(t.Context(), "4711", "", "open claim", "ops", attendees.Date{})
	if err != nil {
		t.Fatal(err)
	}
	one, err := w.AddHold(t.Context(), "", "2", "her complaint", "ops", attendees.Date{})
	if err != nil || one.Event != "4711" {
		t.Fatalf("%+v, %v", one, err)
	}
	w.clock.now = july
	o := officer(t)
	w.block("4711", sealer(t, o))
	records := w.opened("4711", o)
	if records["1 held"]["affiliation"] != "Example Lab" || records["r2 response:u6nXL7"]["name"] != "Nobody Known" {
		t.Errorf("under a hold these were sealed: %v", records)
	}
	w.clock.now = later
	var held *postgres.HeldError
	if _, err := w.Delete(t.Context(), "4711"); !errors.As(err, &held) {
		t.Errorf("deleting a held event: %v", err)
	}
	if _, err := w.Forget(t.Context(), "1", "asked"); !errors.As(err, &held) {
		t.Errorf("forgetting a held person: %v", err)
	}
	if err := w.ReleaseHold(t.Context(), hold.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.ReleaseHold(t.Context(), hold.ID); err == nil {
		t.Error("a hold is released twice")
	}
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	records = w.opened("4711", o)
	if len(records) != 2 || records["1 registration"] == nil || records["2 registration"] == nil {
		t.Errorf("after the release these are left: %v", records)
	}
	n, err := w.Delete(t.Context(), "4711")
	if err != nil || n != 1 {
		t.Errorf("%d were deleted (%v), want all but the one who is held", n, err)
	}
	if records = w.opened("4711", o); len(records) != 1 || records["2 registration"] == nil {
		t.Errorf("left are %v, want her who is held", records)
	}
	if err := w.ReleaseHold(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Delete(t.Context(), "4711"); err != nil || n != 1 {
		t.Errorf("%d were deleted in the end (%v), want 1", n, err)
	}
	want := []ledger.Kind{ledger.Opened, ledger.HoldAdded, ledger.HoldAdded, ledger.Blocked, ledger.Unsealed, ledger.HoldEnded,
		ledger.HoldDropped, ledger.HalvesDropped, ledger.Unsealed, ledger.Deleted, ledger.Unsealed, ledger.HoldEnded, ledger.Deleted}
	equal(t, "ledger", w.ledgerIsSound(), want)
}

func TestWhoIsForgottenNeverComesBackAndNoFileKeepsTheName(t *testing.T) {
	w := newWorld(t)
	const name = "Perpetua Vanderquill"
	hers := person("1", "4711", name, "perpetua.vanderquill@example.org")
	w.save(hers, person("2", "4711", "Bo Example", "bo@example.org"))
	answer := response("r1", "1", name, "", map[attendees.QuestionID]attendees.Answer{"affiliation": {"Example Lab"}})
	w.answer("4711", answer)
	receipt := postgres.Receipt{Event: "4711", Purpose: "forum", Rows: 2, SHA256: []byte{1}, By: "ops", At: june}
	listed := &postgres.Listing{}
	listed.Saw(attendees.Eventbrite, "1")
	if err := w.SaveReceipt(t.Context(), receipt, listed); err != nil {
		t.Fatal(err)
	}
	f, err := w.Forget(t.Context(), "1", "asked for it")
	if err != nil {
		t.Fatal(err)
	}
	if f.Event != "4711" || len(f.Exports) != 1 || f.Exports[0].By != "ops" {
		t.Errorf("forgetting says %+v, want event and export", f)
	}
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{name, strings.ToLower(name), "perpetua.vanderquill"} { // as it is searched for, too
		if files := w.found(text); len(files) > 0 {
			t.Errorf("after the sweep, %v hold %q", files, text)
		}
	}
	equal(t, "pulled again", w.save(hers)["4711"], postgres.Changes{Late: 1})
	moved := hers
	moved.Event, moved.Changed = "4712", june.AddDate(0, 0, 1)
	w.clock.now = june.AddDate(0, 0, 2)
	equal(t, "moved and pulled", w.save(moved)["4712"], postgres.Changes{Late: 1})
	w.answer("4711", answer)
	equal(t, "listed", w.list("4711", attendees.Forum, postgres.AnyStatus), []string{"2 Bo Example <bo@example.org> attending"})
	if n := w.count(`select count(*) from personal where name = $1`, name); n > 0 {
		t.Errorf("%d rows have the name", n)
	}
	tasks, err := w.Tasks(t.Context())
	if err != nil || len(tasks) != 3 || tasks[0].Responses[0] != "r1" || !strings.Contains(tasks[1].Says, "at Eventbrite too") || tasks[2].Event != "4712" {
		t.Errorf("staff are asked %+v (%v), want about her response at Typeform, about Eventbrite, and about the change after the erasure, once", tasks, err)
	}
	again := person("3", "4711", name, "perpetua.vanderquill@example.org")
	equal(t, "registered anew", w.save(again)["4711"], postgres.Changes{New: 1})

	c, err := w.Certificate(t.Context(), "", "1")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.LedgerKeys()
	if err != nil {
		t.Fatal(err)
	}
	v, err := ledger.NewVerifiers(keys...)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ledger.ParseCertificate(c.Text())
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := parsed.Verify(v); err != nil || e.Kind != ledger.Erased || parsed.Opening == nil {
		t.Errorf("the certificate says %+v (%v)", e, err)
	}
}

func TestTheLedgerRefusesToChange(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	if _, err := w.Forget(t.Context(), "1", "asked"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"ledger_entries", "ledger_hashes", "ledger_checkpoints"} {
		for _, statement := range []string{"delete from " + table, "truncate " + table, "update " + table + " set " + map[string]string{
			"ledger_entries": "leaf = ''", "ledger_hashes": "hash = ''", "ledger_checkpoints": "note = ''"}[table]} {
			if _, err := w.DB().Exec(statement); err == nil {
				t.Errorf("%s is done", statement)
			}
		}
	}
	w.clock.now = june.AddDate(0, 0, -1)
	w.save(person("2", "4711", "Bo Example", "bo@example.org"))
	if _, err := w.Forget(t.Context(), "2", "asked"); !errors.Is(err, postgres.ErrClock) {
		t.Errorf("with a clock before the newest entry: %v", err)
	}
	w.ledgerIsSound()
}

func TestTwoSweepsAndAPullAtOnceDoEachThingOnce(t *testing.T) {
	w := newWorld(t)
	var people []attendees.Registration
	for i := range 700 {
		people = append(people, person(fmt.Sprint(i), "4711", "Person", fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	w.clock.now = july
	s := sealer(t, officer(t))
	var wg sync.WaitGroup
	var mu sync.Mutex
	sum := 0
	for range 3 {
		wg.Go(func() {
			n, err := w.Block(t.Context(), "4711", s)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			sum += n.Sealed
			mu.Unlock()
		})
		wg.Go(func() { w.save(people[600:]...) })
	}
	wg.Wait()
	if sum != 700 || w.count(`select count(*) from sealed`) != 700 || w.count(`select count(*) from personal`) != 0 {
		t.Errorf("%d were sealed, %d rows, %d readable; want 700, 700, 0", sum, w.count(`select count(*) from sealed`), w.count(`select count(*) from personal`))
	}
	w.clock.now = later
	deleted := 0
	for range 3 {
		wg.Go(func() {
			n, err := w.Delete(t.Context(), "4711")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			deleted += n
			mu.Unlock()
		})
	}
	wg.Wait()
	kinds := w.ledgerIsSound()
	if deleted != 700 || !slices.Equal(kinds, []ledger.Kind{ledger.Opened, ledger.Blocked, ledger.Deleted}) {
		t.Errorf("%d were deleted, ledger %v", deleted, kinds)
	}
}

// reschedule lets the source say another end of event 4711.
func (w world) reschedule(end time.Time) postgres.Event {
	w.t.Helper()
	e := attendees.Event{ID: "4711", Organization: "900", Name: "Example Days 4711", Status: "live", Zone: "Europe/Berlin", Start: end.Add(-8 * time.Hour), End: end}
	if _, err := w.SaveEvents(w.t.Context(), attendees.Eventbrite, []attendees.Event{e}); err != nil {
		w.t.Fatal(err)
	}
	held, err := w.Event(w.t.Context(), "4711")
	if err != nil {
		w.t.Fatal(err)
	}
	return held
}

func TestADateThatMovesFarCountsOnlyWhenItIsAccepted(t *testing.T) {
	w := newWorld(t)
	was := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	dates := func(e postgres.Event) string { return fmt.Sprint(e.BlockOn, " ", e.DeleteOn, " ", e.Pending()) }
	equal(t, "as it was", dates(w.reschedule(was)), "2027-07-20 2034-01-01 false")
	equal(t, "a month later", dates(w.reschedule(was.AddDate(0, 0, 30))), "2027-08-19 2034-01-01 false")
	equal(t, "back", dates(w.reschedule(was)), "2027-07-20 2034-01-01 false")
	equal(t, "much later, over a year's end", dates(w.reschedule(was.AddDate(1, 0, 0))), "2028-07-20 2035-01-01 true")
	equal(t, "and again, as each hour", dates(w.reschedule(was.AddDate(1, 0, 0))), "2028-07-20 2035-01-01 true")
	equal(t, "it was a mistake", dates(w.reschedule(was)), "2027-07-20 2034-01-01 false")
	equal(t, "much earlier: the later holds", dates(w.reschedule(was.AddDate(-1, 0, 0))), "2027-07-20 2034-01-01 true")
	plan, err := w.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptPlan(t.Context(), "0000-0000"); err == nil {
		t.Error("another plan was accepted")
	}
	n, err := w.AcceptPlan(t.Context(), plan.Hash())
	if err != nil || n != 1 {
		t.Errorf("%d events were accepted (%v), want 1", n, err)
	}
	e, err := w.Event(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "accepted", dates(e), "2026-07-20 2033-01-01 false")
	equal(t, "ledger", w.ledgerIsSound(), []ledger.Kind{ledger.Opened, ledger.Accepted})
}

func TestWhatIsPostponedOnceItIsBlockedIsKeptByItsNewEnd(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	dates := func(e postgres.Event) string {
		return fmt.Sprint(e.State, " ", e.BlockOn, " ", e.DeleteOn, " ", e.Pending())
	}
	was := time.Date(2027, 6, 20, 16, 0, 0, 0, time.UTC)
	equal(t, "within the year", dates(w.reschedule(was.AddDate(0, 2, 0))), "blocked 2027-07-20 2034-01-01 false")
	const pending = "blocked 2027-07-20 2035-01-01 true"
	equal(t, "into the next one: the later holds", dates(w.reschedule(was.AddDate(1, 0, 0))), pending)
	if n, err := w.Replan(t.Context()); n > 0 || err != nil {
		t.Errorf("planned anew, %d events have other dates (%v)", n, err)
	}
	w.clock.now = later
	if _, err := w.Delete(t.Context(), "4711"); !errors.As(err, new(*postgres.TooEarlyError)) {
		t.Errorf("deleted by its old end: %v", err)
	}
	equal(t, "a late registration", w.save(person("2", "4711", "Bo Example", "bo@example.org"))["4711"], postgres.Changes{Late: 1})
	w.accept()
	equal(t, "accepted", dates(w.look("4711")), "blocked 2027-07-20 2035-01-01 false")
	equal(t, "it was a mistake, which waits", dates(w.reschedule(was)), pending)
	w.accept()
	equal(t, "put right", dates(w.look("4711")), "blocked 2027-07-20 2034-01-01 false")
	if n, err := w.Delete(t.Context(), "4711"); n != 1 || err != nil {
		t.Errorf("%d people were deleted on their day: %v", n, err)
	}
	equal(t, "deleted, its dates stand", dates(w.reschedule(was.AddDate(9, 0, 0))), "deleted 2027-07-20 2034-01-01 false")
}

func TestHalvesAndOpeningsGoAfterTheirTime(t *testing.T) {
	w := newWorld(t)
	w.save(person("1", "4711", "Ada Example", "ada@example.org"), person("2", "4711", "Bo Example", "bo@example.org"))
	if _, err := w.Forget(t.Context(), "2", "asked"); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july
	w.block("4711", sealer(t, officer(t)))
	file := ledger.File{Path: filepath.Join(t.TempDir(), "copy")}
	left := func() string {
		if _, err := w.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.CopyLedger(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		openings, err := file.Openings()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(w.count(`select count(person) from sealed`), " ", w.count(`select count(*) from openings`), " ", len(openings))
	}
	equal(t, "at first", left(), "1 1 1")
	var half []byte
	if err := w.DB().Get(&half, `select person from sealed`); err != nil {
		t.Fatal(err)
	}
	w.clock.now = july.AddDate(0, 24, 1)
	equal(t, "after two years", left(), "0 1 1")
	if files := w.found(string(half[20:60])); len(files) > 0 {
		t.Errorf("%v hold the dropped half", files)
	}
	w.clock.now = july.AddDate(3, 0, 1)
	equal(t, "after three years", left(), "0 0 0")
	w.ledgerIsSound()
}

func TestAPersonsHalfOpensForWholeMonths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Policy().PersonOpensMonths = 1
	w.save(person("1", "4711", "Ada Example", "ada@example.org"))
	w.clock.now = time.Date(2028, 3, 1, 12, 0, 0, 0, time.UTC)
	w.block("4711", sealer(t, officer(t)))
	for _, c := range []struct {
		now  time.Time
		left int
	}{{time.Date(2028, 3, 31, 12, 0, 0, 0, time.UTC), 1}, {time.Date(2028, 4, 1, 23, 0, 0, 0, time.UTC), 1}, {time.Date(2028, 4, 2, 1, 0, 0, 0, time.UTC), 0}} {
		w.clock.now = c.now
		w.tidy()
		equal(t, c.now.String(), w.count(`select count(person) from sealed`), c.left)
	}
}

func TestWhoIsForgottenWhileAnEventIsBlockedIsNotSealed(t *testing.T) {
	w := newWorld(t)
	var people []attendees.Registration
	for i := range 1500 {
		people = append(people, person(fmt.Sprint(i), "4711", "Person", fmt.Sprint(i, "@example.org")))
	}
	w.save(people...)
	w.clock.now = july
	s := sealer(t, officer(t))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := w.Block(t.Context(), "4711", s); err != nil {
			t.Error(err)
		}
	})
	for i := range 20 {
		if _, err := w.Forget(t.Context(), attendees.AttendeeID(fmt.Sprint(i*70)), "asked"); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if n := w.count(`select count(*) from sealed`); n != 1480 {
		t.Errorf("%d are sealed, want all but the twenty", n)
	}
	if n := w.count(`select count(*) from sealed s where not exists (select from attendees a where a.id = s.attendee_id)`); n != 0 {
		t.Errorf("%d sealed records are nobody's", n)
	}
}

func TestNoCountUnderFiveCanBeWorkedOut(t *testing.T) {
	for what, test := range map[string]struct {
		tickets map[string]int
		want    []postgres.Tally
	}{
		"one of another kind":         {map[string]int{"Standard": 9, "Wheelchair": 1}, []postgres.Tally{{What: "registered", People: 10}}},
		"two small kinds":             {map[string]int{"Standard": 9, "Press": 7, "Wheelchair": 1, "Speaker": 2}, []postgres.Tally{{What: "registered", People: 19}, {What: "ticket: Standard", People: 9}}},
		"small kinds hide each other": {map[string]int{"Standard": 9, "Wheelchair": 3, "Speaker": 4}, []postgres.Tally{{What: "registered", People: 16}, {What: "ticket: Standard", People: 9}}},
		"no small kind":               {map[string]int{"Standard": 9, "Press": 7}, []postgres.Tally{{What: "registered", People: 16}, {What: "ticket: Standard", People: 9}, {What: "ticket: Press", People: 7}}},
		"one without a ticket":        {map[string]int{"Standard": 9, "": 1}, []postgres.Tally{{What: "registered", People: 10}}},
	} {
		w := newWorld(t)
		var people []attendees.Registration
		for kind, n := range test.tickets {
			for range n {
				id := fmt.Sprint(10 + len(people))
				p := person(id, "4711", "Person", id+"@example.org")
				p.Ticket = kind
				people = append(people, p)
			}
		}
		w.save(people...)
		w.clock.now = july
		w.block("4711", sealer(t, officer(t)))
		tallies, err := w.TalliesOf(t.Context(), w.look("4711"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, what, tallies, test.want)
	}
}

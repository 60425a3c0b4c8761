package localpg

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestStartedServerAnswersAndStopsWithoutATrace(t *testing.T) {
	t.Parallel()
	s := begin(t, Options{Dir: t.TempDir(), Unsafe: true})
	var got string
	query(t, s, `select current_user || '@' || current_database() || ' ' || current_setting('server_encoding') || ' ' || current_setting('lc_collate')`, &got)
	if want := "lethe@lethe UTF8 C"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.socket); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is still there: %v", err)
	}
	if pid := s.process.cmd.Process.Pid; syscall.Kill(pid, 0) != syscall.ESRCH {
		t.Errorf("process %d still runs", pid)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestURLSuitsPgxAndThePrograms(t *testing.T) {
	t.Parallel()
	s := begin(t, Options{Dir: t.TempDir(), Unsafe: true})
	conn, err := pgx.Connect(t.Context(), s.URL(Database))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	conn.Close(t.Context())
	psql, err := s.Bin("psql")
	if err != nil {
		t.Skip(err)
	}
	out, err := exec.Command(psql, "-XAtc", "select 42", s.URL(Database)).CombinedOutput()
	if got, want := string(out), "42\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := begin(t, Options{Dir: dir, Unsafe: true})
	execute(t, s, `create table kept as select 'yes' as answer`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = begin(t, Options{Dir: dir, Unsafe: true})
	if got := answer(t, s); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func TestKilledServerRecoversWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := begin(t, Options{Dir: dir})
	execute(t, s, `create table kept as select 'yes' as answer`)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s = begin(t, Options{Dir: dir})
	if got := answer(t, s); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func TestSecondStartOnOneFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := begin(t, Options{Dir: dir, Unsafe: true})
	_, err := Start(t.Context(), Options{Dir: dir, Unsafe: true})
	if err == nil || !strings.Contains(err.Error(), "in use by another lethe") {
		t.Errorf("got error %v", err)
	}
	var one int
	query(t, s, `select 1`, &one) // and the first one never noticed
}

func TestStaleLockThatNamesAnAlienProcessIsOverruled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := begin(t, Options{Dir: dir})
	execute(t, s, `create table kept as select 'yes' as answer`)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	alien := exec.Command("sleep", "60")
	alien.Env = os.Environ()
	if err := alien.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alien.Process.Kill(); alien.Wait() })
	path := filepath.Join(s.data(), "postmaster.pid")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(content, []byte("\n"))
	stale := append([]byte(strconv.Itoa(alien.Process.Pid)+"\n"), rest...)
	if err := os.WriteFile(path, stale, 0o600); err != nil {
		t.Fatal(err)
	}
	s = begin(t, Options{Dir: dir})
	if got := answer(t, s); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func TestOrphansOfADeadServerKeepTheNextOneWaiting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := begin(t, Options{Dir: dir, Unsafe: true})
	db := open(t, s)
	busy, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if err := busy.QueryRowContext(t.Context(), `select pg_backend_pid()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	// A stopped backend can't notice that its postmaster is dead.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	s.process.signal(syscall.SIGKILL)
	<-s.process.ended
	s.release()
	time.AfterFunc(time.Second, func() { syscall.Kill(pid, syscall.SIGCONT) })
	began := time.Now()
	begin(t, Options{Dir: dir, Unsafe: true})
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("started after %s, beside an orphan", waited)
	}
}

func TestHalfMadeDataFolderIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "data.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data.new", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	begin(t, Options{Dir: dir, Unsafe: true})
}

func TestLongTMPDIRIsNoObstacle(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	begin(t, Options{Dir: t.TempDir(), Unsafe: true})
}

func TestLogNeverQuotesValues(t *testing.T) {
	t.Parallel()
	s := begin(t, Options{Dir: t.TempDir(), Unsafe: true})
	db := open(t, s)
	for _, statement := range []string{
		`create table people (email text primary key, born date, check (email <> 'ada@example.com'))`,
		`insert into people values ('grace@example.com')`,
	} {
		execute(t, s, statement)
	}
	for _, wrong := range []string{
		`insert into people values ('grace@example.com')`,    // detail: Key (email)=(…)
		`insert into people values ('ada@example.com')`,      // detail: Failing row contains …
		`insert into people values ('', 'joan@example.com')`, // message: invalid input syntax
		`insert into people select $1::text, $1::text::date`, // a parameter
	} {
		args := []any{}
		if strings.Contains(wrong, "$1") {
			args = append(args, "mary@example.com")
		}
		if _, err := db.ExecContext(t.Context(), wrong, args...); err == nil {
			t.Errorf("%s: no error", wrong)
		}
	}
	db.Close()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 || bytes.Contains(text, []byte("example.com")) {
		t.Errorf("the log:\n%s", text)
	}
}

func TestSettingsThatKeepNamesInAreInForce(t *testing.T) {
	t.Parallel()
	s := begin(t, Options{Dir: t.TempDir()})
	want := map[string]string{
		"log_error_verbosity": "terse", "log_min_error_statement": "panic", "log_parameter_max_length": "0",
		"log_parameter_max_length_on_error": "0", "wal_recycle": "off", "listen_addresses": "", "fsync": "on",
		"full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
	}
	got := map[string]string{}
	for name := range want {
		var value string
		query(t, s, `select current_setting('`+name+`')`, &value)
		got[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	info, err := os.Stat(s.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
}

// begin starts a server that the test's end stops.
func begin(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T, s *Server) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", s.URL(Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t *testing.T, s *Server, statement string) {
	t.Helper()
	db := open(t, s)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, s *Server, statement string, into any) {
	t.Helper()
	db := open(t, s)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), statement).Scan(into); err != nil {
		t.Fatal(err)
	}
}

func answer(t *testing.T, s *Server) (got string) {
	t.Helper()
	query(t, s, `select answer from kept`, &got)
	return got
}

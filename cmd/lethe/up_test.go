package main

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lethe/attendees/db/pgtest"
	"lethe/attendees/web"
	"lethe/sync/eventbrite/eventbritetest"
)

func TestANewcomerIsInsideWithoutAMailServerAndAStopEndsCleanly(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, 3, eventbritetest.Options{})
	database := pgtest.URL(t, pgtest.New(t))
	cmd := exec.CommandContext(t.Context(), "lethe", "up")
	cmd.Env = append(s.env(t, database), "PORT=0", "LETHE_BASE_URL=", "SMTP_URL=", "LETHE_LOG_LEVEL=warn")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	link := ""
	for lines := bufio.NewScanner(out); link == "" && lines.Scan(); {
		if found := regexp.MustCompile(`http://localhost:\d+/signin/[A-Z2-7]+`).FindString(lines.Text()); found != "" {
			link = found
		}
	}
	if link == "" {
		t.Fatal("no link was printed")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	answer, err := client.Post(link, "application/x-www-form-urlencoded", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || strings.Contains(answer.Request.URL.Path, "signin") {
		t.Errorf("the link leads to %s: %d", answer.Request.URL.Path, answer.StatusCode)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("a stop ends with %v", err)
	}
}

func TestAPageThatTakesLongIsStillAnswered(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(readTimeout + time.Second)
		_, _ = io.WriteString(w, "late")
	}), slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, err := io.ReadAll(answer.Body); err != nil || string(said) != "late" {
		t.Errorf("it answers %q (%v)", said, err)
	}
	if server.Config.WriteTimeout <= web.PageFor {
		t.Errorf("%s is no time for a page that may take %s", server.Config.WriteTimeout, web.PageFor)
	}
}

func TestEveryAnswerOfTheServerIsOurs(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}), slog.New(slog.DiscardHandler))
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: lethe.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusTeapot {
		t.Errorf("OPTIONS * is answered by the library: %s", answer.Status)
	}
}

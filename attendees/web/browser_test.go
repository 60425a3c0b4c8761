package web

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/emersion/go-smtp"

	"lethe/attendees/mail"
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
	"lethe/jobs"
)

// missing ends a test for want of what it needs: it skips, unless LETHE_TEST_BROWSER
// says that the browser is required.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("LETHE_TEST_BROWSER") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// chromium starts a browser that speaks to this machine alone. Its window is a context
// for chromedp.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		missing(t, "there is no Chromium on this machine: Debian's package is called chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.WSURLReadTimeout(time.Minute),
	)
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	window, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	// The first step starts it; a timeout on that one would end it, too.
	if err := chromedp.Do(window, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return window
}

// run does things in a window.
func run(t *testing.T, window context.Context, steps ...step) {
	t.Helper()
	err := try(window, steps...)
	if err == nil {
		return
	}
	url, _ := chromedp.Run(window, chromedp.Location())
	text, _ := chromedp.Run(window, chromedp.Evaluate[string]("document.body.innerText"))
	t.Fatalf("at %s: %v\n%s", url, err, text)
}

type step = chromedp.Action[chromedp.Void]

// stepTimeout is far more than a page takes on a busy machine.
const stepTimeout = time.Minute

// try does things in a window, each within stepTimeout.
func try(window context.Context, steps ...step) error {
	for _, s := range steps {
		ctx, cancel := context.WithTimeout(window, stepTimeout)
		err := chromedp.Do(ctx, s)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// tell asks a page something.
func tell[T any](t *testing.T, window context.Context, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(window, stepTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// enter signs somebody in by the pages themselves.
func (h *house) enter(window context.Context, u postgres.User) error {
	link, err := h.SignInLink(window, u)
	if err != nil {
		return err
	}
	return try(window, chromedp.Navigate(link), chromedp.Click(chromedp.CSS("main button")), chromedp.WaitVisible(chromedp.CSS("header .leave")))
}

// mailbox is a real SMTP server on this machine.
type mailbox struct {
	port int
	mail chan string
}

type delivery struct{ box *mailbox }

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return delivery{b}, nil }
func (d delivery) Mail(string, *smtp.MailOptions) error        { return nil }
func (d delivery) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (d delivery) Reset()                                      {}
func (d delivery) Logout() error                               { return nil }
func (d delivery) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.box.mail <- string(b)
	return err
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	box := &mailbox{mail: make(chan string, 10)}
	server := smtp.NewServer(box)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box.port = l.Addr().(*net.TCPAddr).Port
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return box
}

// link waits for a mail and gives its link.
func (b *mailbox) link(t *testing.T) string {
	t.Helper()
	select {
	case text := <-b.mail:
		text = strings.ReplaceAll(text, "=\r\n", "")
		i := strings.Index(text, "http://")
		return strings.TrimSpace(text[i : i+strings.IndexAny(text[i:], "\r\n")])
	case <-time.After(time.Minute):
		t.Fatal("no mail came within a minute")
		return ""
	}
}

// work starts a worker that sends the house's mail to the box.
func (h *house) work(t *testing.T, box *mailbox, url string) {
	t.Helper()
	sender, err := mail.New(fmt.Sprintf("smtp://127.0.0.1:%d", box.port), "Lethe <lethe@example.org>", nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := jobs.Schedule(t.Context(), url, h.sources.Puller, jobs.Life{KeepCopy: func(context.Context) error { return nil }}, sender, h.Log)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

// noScripts turns a page's own scripts off.
var noScripts = chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
	_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
})

func TestInABrowserSomebodySignsInByMailAndKeyboardAlone(t *testing.T) {
	window := chromium(t)
	h := newHouseAt(t, "")
	h.Post = h.queue // as the program has it
	box := newMailbox(t)
	h.work(t, box, h.url)
	h.user("ada@example.org", nil, attendees.Organiser)
	run(t, window, noScripts, chromedp.Navigate(h.BaseURL+"/"),
		chromedp.WaitVisible(chromedp.CSS("#email")), chromedp.SendKeys(chromedp.CSS("#email"), "Ada@example.org"+kb.Enter),
		chromedp.WaitVisible(`//h1[text()="Look into your mailbox"]`))
	link := box.link(t)
	run(t, window, chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("main button")),
		// Past the skip link and the brand.
		chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(`//h1[text()="Events"]`))
	run(t, window, chromedp.Click(chromedp.CSS(".leave button")), chromedp.WaitVisible(chromedp.CSS("#email")),
		chromedp.Navigate(h.BaseURL+"/plan"), chromedp.WaitVisible(chromedp.CSS("#email")))
	var waiting int
	if err := h.Store.DB().Get(&waiting, `select count(*) from outbox`); err != nil || waiting != 0 {
		t.Errorf("%d letters still wait after they were sent (%v)", waiting, err)
	}
}

func TestInABrowserRiversPagesRunUnderTheirPolicy(t *testing.T) {
	window := chromium(t)
	h := newHouseAt(t, "")
	if err := h.queue.Pull(t.Context(), "4711"); err != nil {
		t.Fatal(err)
	}
	if err := h.enter(window, h.user("op@example.org", nil, attendees.Operator)); err != nil {
		t.Fatal(err)
	}
	run(t, window, chromedp.Navigate(h.BaseURL+"/operations"), chromedp.Click(chromedp.CSS("main .press a")), chromedp.WaitVisible(`//*[text()="No jobs found"]`),
		chromedp.Navigate(h.BaseURL+"/operations/jobs/jobs?state=available"), chromedp.WaitVisible(`//*[contains(text(), "pull_event")]`))
}

// axeFor is axe-core for a test, which ends where it cannot be had.
func axeFor(t *testing.T) string {
	t.Helper()
	script, err := axe()
	if err != nil {
		missing(t, "axe-core cannot be fetched: "+err.Error())
	}
	return script
}

// axe is axe-core, fetched once into the user's cache.
var axe = sync.OnceValues(func() (string, error) {
	const version = "4.14.1"
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(cache, "lethe-test", "axe-core-"+version+".js")
	if text, err := os.ReadFile(file); err == nil {
		return string(text), nil
	}
	dir, err := os.MkdirTemp("", "lethe-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	pack := exec.Command("npm", "pack", "--silent", "axe-core@"+version)
	pack.Dir = dir
	if out, err := pack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack axe-core: %w: %s", err, out)
	}
	text, err := unpack(filepath.Join(dir, "axe-core-"+version+".tgz"), "package/axe.min.js")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	return text, os.WriteFile(file, []byte(text), 0o600)
})

func unpack(archive, name string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s has no %s", archive, name)
		}
		if err != nil {
			return "", err
		}
		if h.Name == name {
			text, err := io.ReadAll(files)
			return string(text), err
		}
	}
}

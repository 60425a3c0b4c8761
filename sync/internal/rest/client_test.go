package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	secretToken = "TOKEN-51f0"
	secretQuery = "anna@example.org"
	secretBody  = "BODY-77aa"
)

// start serves h and gives a client of it that is in a hurry.
func start(t *testing.T, h http.HandlerFunc, set ...func(*Options)) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	o := Options{
		Base:    srv.URL + "/v3/",
		Token:   secretToken,
		MinWait: time.Millisecond,
		MaxWait: 4 * time.Millisecond,
		Timeout: 5 * time.Second,
	}
	for _, f := range set {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, srv
}

// failing answers the first n calls with bad, and then with good.
func failing(n int64, bad, good http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			bad(w, r)
			return
		}
		good(w, r)
	}
}

func fine(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) }

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":"ODD_CODE","error_description":"%s"}`, secretBody)
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, `{"half":"`+secretBody)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<!doctype html>"+secretBody)
}

func reset(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// get asks with a query that must turn up nowhere.
func get(c *Client) ([]byte, error) {
	return c.Get(context.Background(), "/users/me/", url.Values{"q": {secretQuery}})
}

func TestCallCarriesTokenQueryAndPath(t *testing.T) {
	c, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"))
	})
	body, err := c.Get(t.Context(), "/events/1/", url.Values{"page": {"2"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "GET /v3/events/1/?page=2 Bearer "+secretToken; got != want {
		t.Errorf("the server saw %q, want %q", got, want)
	}
}

func TestPassingFaultsAreRetried(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"500": status(500), "502": status(502), "503 with Retry-After": status(503, "Retry-After", "0"),
		"429": status(429), "429 with Retry-After": status(429, "Retry-After", "0"),
		"429 with a date":  status(429, "Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT"),
		"429 with a reset": status(429, "X-Rate-Limit", "token:A 2000/2000 reset=0s"),
		"cut body":         cut, "web page": html, "no answer at all": reset,
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := start(t, failing(2, bad, fine))
			body, err := get(c)
			if err != nil || string(body) != `{"ok":true}` {
				t.Errorf("got %q, %v; want the third answer", body, err)
			}
			if c.Calls() < 3 { // net/http itself repeats a GET on a connection that was closed while idle
				t.Errorf("%d calls went out, want 3", c.Calls())
			}
		})
	}
}

func TestCallEndsAfterItsAttemptsAndSaysWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		bad  http.HandlerFunc
		want string
	}{
		"500":              {status(500), "GET /users/me/: status 500 ODD_CODE"},
		"cut body":         {cut, "GET /users/me/ at HOST: the reply broke off"},
		"web page":         {html, "GET /users/me/ at HOST: answered with a web page instead of JSON; a proxy or a maintenance page may stand between"},
		"no answer at all": {reset, "GET /users/me/ at HOST: the connection was closed before an answer came"},
		"404":              {status(404), "GET /users/me/: status 404 ODD_CODE"},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, secretBody+"\r\n\r\n")
			conn.Close()
		}, "GET /users/me/ at HOST: the connection broke, or what came was not HTTP"},
		"odd Location": {status(302, "Location", "http://[::"+secretBody), "GET /users/me/ at HOST: the connection broke, or what came was not HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c, srv := start(t, tc.bad, func(o *Options) {
				o.Attempts = 3
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			_, err := get(c)
			if err == nil {
				t.Fatal("no error")
			}
			want := strings.ReplaceAll(tc.want, "HOST", strings.TrimPrefix(srv.URL, "http://"))
			if err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			if !strings.Contains(log.String(), "path=/users/me/") {
				t.Errorf("log without the path: %s", log.String())
			}
			for _, s := range []string{secretToken, secretQuery, url.QueryEscape(secretQuery), secretBody} {
				if strings.Contains(log.String()+fmt.Sprintf("%v %+v %#v", err, err, c), s) {
					t.Errorf("%q is in the log, the error or the client's print", s)
				}
			}
		})
	}
}

func TestWhatIsFinalGoesOutOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		h      http.HandlerFunc
		method string
	}{
		"404":            {status(404), "GET"},
		"401":            {status(401), "GET"},
		"final 500":      {status(500), "GET"},
		"501":            {status(501), "GET"},
		"failing POST":   {reset, "POST"},
		"limited POST":   {status(429), "POST"},
		"too long reply": {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, MaxBody+1)) }, "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			c, _ := start(t, func(w http.ResponseWriter, r *http.Request) { seen.Add(1); tc.h(w, r) }, func(o *Options) {
				o.Final = func(status int, code string) bool { return status == 500 && code == "ODD_CODE" }
			})
			if _, err := c.Do(t.Context(), tc.method, "/x/", nil, []byte("{}")); err == nil {
				t.Error("no error")
			}
			if seen.Load() != 1 {
				t.Errorf("%d calls, want 1", seen.Load())
			}
		})
	}
}

func TestBodyIsSentAgainWithARetry(t *testing.T) {
	var got []string
	c, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, string(b))
		if len(got) == 1 {
			status(500)(w, r)
		}
	})
	if _, err := c.Do(t.Context(), "DELETE", "/x", nil, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if want := []string{`{"a":1}`, `{"a":1}`}; !slices.Equal(got, want) {
		t.Errorf("the server got %q, want %q", got, want)
	}
}

func TestSilentServerIsAskedAgain(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(2 * time.Second):
		case <-r.Context().Done():
		}
	}
	c, _ := start(t, failing(1, silent, fine), func(o *Options) { o.Timeout = 50 * time.Millisecond })
	if _, err := get(c); err != nil {
		t.Error(err)
	}
	c, srv := start(t, silent, func(o *Options) { o.Timeout = 20 * time.Millisecond; o.Attempts = 2 })
	_, err := get(c)
	if want := "GET /users/me/ at " + strings.TrimPrefix(srv.URL, "http://") + ": no answer within 20ms"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestRedirectStaysOnItsHost(t *testing.T) {
	var stolen atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Store(true) }))
	defer other.Close()
	c, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v3/noslash":
			http.Redirect(w, r, "/v3/noslash/", http.StatusMovedPermanently)
		case "/v3/noslash/":
			io.WriteString(w, r.Header.Get("Authorization"))
		case "/v3/round/":
			http.Redirect(w, r, "/v3/round/", http.StatusFound)
		default:
			http.Redirect(w, r, other.URL+"/steal", http.StatusFound)
		}
	})
	body, err := c.Get(t.Context(), "/noslash", nil)
	if err != nil || string(body) != "Bearer "+secretToken {
		t.Errorf("same host: got %q, %v", body, err)
	}
	if _, err := c.Get(t.Context(), "/elsewhere/", nil); !errors.Is(err, errRedirect) || stolen.Load() {
		t.Errorf("other host: error %v, reached %v", err, stolen.Load())
	}
	if _, err := c.Get(t.Context(), "/round/", nil); !errors.Is(err, errRedirectLoop) {
		t.Errorf("loop: error %v", err)
	}
	if _, err := c.Do(t.Context(), "DELETE", "/noslash", nil, nil); !errors.Is(err, errRedirect) {
		t.Errorf("a DELETE that would become a GET: error %v", err)
	}
}

func TestUnreachableHostIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	c, err := New(Options{Base: "http://" + host, MinWait: time.Millisecond, Attempts: 2})
	if err != nil {
		t.Fatal(err)
	}
	_, err = get(c)
	if want := "GET /users/me/ at " + host + ": connection refused"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %v", err, want)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || c.Calls() != 2 {
		t.Errorf("error %#v after %d calls", err, c.Calls())
	}
}

func TestCancelledCallEndsAtOnce(t *testing.T) {
	c, _ := start(t, status(429, "Retry-After", "20"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Get(ctx, "/x/", nil)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("error %v after %v", err, time.Since(began))
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.Get(gone, "/x/", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestAttemptsArePaced(t *testing.T) {
	c, _ := start(t, failing(2, status(500), fine), func(o *Options) { o.PerSecond = 20 })
	began := time.Now()
	if _, err := get(c); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("three attempts took %v, want at least 100ms", took)
	}
}

func TestSkewIsMeasuredAtTheMomentOfTheReply(t *testing.T) {
	now := time.Date(2026, 5, 1, 9, 45, 0, 0, time.UTC)
	c, _ := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Fri, 01 May 2026 10:00:00 GMT")
	}, func(o *Options) { o.Now = func() time.Time { return now } })
	if _, told := c.Skew(); told {
		t.Error("a skew before any reply")
	}
	if _, err := get(c); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if skew, told := c.Skew(); !told || skew != 15*time.Minute {
		t.Errorf("skew %v (%v), want a quarter of an hour", skew, told)
	}
}

func TestOddOptionsAreRefusedWithoutRepeatingThem(t *testing.T) {
	const odd = "SECRET-1"
	for _, o := range []Options{
		{}, {Base: "ftp://example.org"}, {Base: "https://"}, {Base: "https://example.org?token=" + odd},
		{Base: "https://" + odd + "@example.org"}, {Base: "http://[" + odd}, {Base: "https://example.org", Token: odd + "\n"},
		{Base: "https://example.org", PerSecond: -1},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), odd) {
			t.Errorf("%q: error %v", o.Base, err)
		}
	}
	c, err := New(Options{Base: "https://example.org/v3//"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "x", "/x?y", "/x#y", "/events/../users/"} {
		if _, err := c.Get(t.Context(), path, nil); err == nil {
			t.Errorf("path %q was taken", path)
		}
	}
	if c.Calls() != 0 {
		t.Errorf("%d calls went out", c.Calls())
	}
}

package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lethe/attendees/web"
)

func TestPagesSayWhatRunsAndCarrySafeHeaders(t *testing.T) {
	broken := errors.New("database: ping: connection refused")
	for _, c := range []struct {
		path   string
		ready  error
		status int
		says   string
	}{
		{"/healthz", nil, http.StatusOK, "ok"},
		{"/healthz", broken, http.StatusOK, "ok"},
		{"/readyz", nil, http.StatusOK, "ok"},
		{"/readyz", broken, http.StatusServiceUnavailable, "does not answer"},
		{"/", nil, http.StatusOK, "<dd>7</dd>"},
		{"/", broken, http.StatusOK, "does not answer"},
		{"/look.css", nil, http.StatusOK, ":root"},
		{"/nothing", nil, http.StatusNotFound, ""},
	} {
		site := &web.Site{
			Version: "test", Log: slog.New(slog.DiscardHandler),
			Ready:  func(context.Context) error { return c.ready },
			Events: func(context.Context) (int, error) { return 7, nil },
		}
		w := httptest.NewRecorder()
		site.Handler().ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("GET %s (ready: %v) answers %d %q, want %d with %q", c.path, c.ready, w.Code, w.Body, c.status, c.says)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "frame-ancestors 'none'",
		} {
			if got := w.Header().Get(name); !strings.Contains(got, want) {
				t.Errorf("GET %s: header %s is %q, want %q in it", c.path, name, got, want)
			}
		}
	}
}

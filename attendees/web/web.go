package web

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"time"
)

//go:embed page.html
var pageText string

//go:embed look.css
var look []byte

// Site is what the pages show and ask. Ready tells whether the database answers and
// is up to date.
type Site struct {
	Version string
	Worker  bool // whether this process works the schedule too
	Ready   func(context.Context) error
	Events  func(context.Context) (int, error)
	Log     *slog.Logger
}

// readyTimeout bounds a probe: one that takes longer is an answer too.
const readyTimeout = 5 * time.Second

// Handler serves the site.
func (s *Site) Handler() http.Handler {
	page := template.Must(template.New("page").Parse(pageText))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.Ready(ctx); err != nil {
			s.Log.Warn("not ready", "err", err)
			writeText(w, http.StatusServiceUnavailable, "the database does not answer, or is not up to date\n")
			return
		}
		writeText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /look.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(look)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		shown := struct {
			Version       string
			Worker, Ready bool
			Events        int
		}{Version: s.Version, Worker: s.Worker, Ready: s.Ready(ctx) == nil}
		if shown.Ready {
			var err error
			if shown.Events, err = s.Events(ctx); err != nil {
				s.Log.Warn("count events", "err", err)
				shown.Ready = false
			}
		}
		var b bytes.Buffer
		if err := page.Execute(&b, shown); err != nil {
			s.Log.Error("render a page", "err", err)
			writeText(w, http.StatusInternalServerError, "The page could not be made. The log says why.\n")
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = b.WriteTo(w)
	})
	return http.NewCrossOriginProtection().Handler(safe(mux))
}

// safe sets the headers that every answer carries.
func safe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

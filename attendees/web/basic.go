package web

import (
	"context"
	_ "embed"
	"net/http"
	"time"
)

//go:embed look.css
var look []byte

//go:embed icon.svg
var icon []byte

// readyTimeout bounds a probe: one that takes longer is an answer too.
const readyTimeout = 5 * time.Second

func (s *Site) basicRoutes() []route {
	return []route{
		{pattern: "/", open: true, do: func(http.ResponseWriter, *http.Request) error { return errNotFound }},
		{pattern: "GET /{$}", may: anyRole, do: s.first},
		{pattern: "GET /healthz", bare: true, do: func(w http.ResponseWriter, _ *http.Request) error {
			writeText(w, http.StatusOK, "ok\n")
			return nil
		}},
		{pattern: "GET /readyz", bare: true, do: s.readyz},
		{pattern: "GET /look.css", bare: true, do: asset("text/css; charset=utf-8", look)},
		{pattern: "GET /icon.svg", bare: true, do: asset("image/svg+xml", icon)},
	}
}

// first leads to the first page that the user's head offers.
func (s *Site) first(w http.ResponseWriter, r *http.Request) error {
	for _, item := range s.nav(asked(r), "") {
		http.Redirect(w, r, item.Path, http.StatusSeeOther)
		return nil
	}
	return errNotFound
}

func (s *Site) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		s.Log.Warn("not ready", "err", err)
		writeText(w, http.StatusServiceUnavailable, "the database does not answer, or is not up to date\n")
		return nil
	}
	writeText(w, http.StatusOK, "ok\n")
	return nil
}

// asset serves what is the same for everybody.
func asset(kind string, content []byte) handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = w.Write(content)
		return nil
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// offer hands over a small file to keep.
func offer(w http.ResponseWriter, name, text string) {
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	writeText(w, http.StatusOK, text)
}

package web

import (
	"net/http"
	"strings"
)

// Content security policies. River's own pages set styles from their script, and run it.
const (
	policy      = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	riverPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	// strict keeps browsers on https for two years. It speaks for this host alone:
	// neighbours below it may be somebody else's.
	strict = "max-age=63072000"
)

// safe sets the headers that every answer carries.
func (s *Site) safe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		if strings.HasPrefix(r.URL.Path, paths{}.Jobs()) {
			h.Set("Content-Security-Policy", riverPolicy)
		}
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if s.secure() {
			h.Set("Strict-Transport-Security", strict)
		}
		next.ServeHTTP(w, r)
	})
}

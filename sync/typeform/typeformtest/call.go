package typeformtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Call is one request that came in.
type Call struct {
	Method, Path string
	Query        url.Values
	Status       int
	Bytes        int // of the body that went out
}

// Log lists all calls so far, in the order in which they ended.
func (s *Server) Log() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Calls counts those so far whose path ends like that; "" counts all.
func (s *Server) Calls(suffix string) int {
	n := 0
	for _, c := range s.Log() {
		if strings.HasSuffix(c.Path, suffix) {
			n++
		}
	}
	return n
}

// ResetLog forgets the calls so far.
func (s *Server) ResetLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// ServeHTTP answers one call, or spoils it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &counter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.log = append(s.log, Call{r.Method, r.URL.Path, r.URL.Query(), counted.status, counted.bytes})
	}()
	s.mu.Lock()
	spoilt := s.spoilt()
	s.mu.Unlock()
	counted.Header().Set("Date", time.Now().Add(spoilt.ahead).UTC().Format(http.TimeFormat))
	if spoilt.latency > 0 {
		select {
		case <-time.After(spoilt.latency):
		case <-r.Context().Done():
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer "+s.options.Token {
		fail(counted, http.StatusUnauthorized, "AUTHENTICATION_FAILED", "Authentication credentials not found on the Request Headers")
		return
	}
	if !spoilt.serve(counted, r) {
		return
	}
	if spoilt.cut {
		s.mux.ServeHTTP(cutter{counted}, r)
		return
	}
	s.mux.ServeHTTP(counted, r)
}

// counter sees what goes out.
type counter struct {
	http.ResponseWriter
	status, bytes int
}

func (c *counter) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController through.
func (c *counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

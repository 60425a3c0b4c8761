package eventbritetest

import (
	"net/http"
	"slices"
	"strings"
)

// maxCalls is how many calls the log keeps, ten hours' budgets; then it forgets the older half.
const maxCalls = 20_000

// Call is one that came in.
type Call struct {
	Method, Path, Query string
	Fault               Fault // what was done to it; empty: nothing
}

type calls struct {
	log   []Call
	total int
}

func (c *calls) note(r *http.Request, f Fault) {
	if len(c.log) >= maxCalls {
		c.log = slices.Delete(c.log, 0, maxCalls/2)
	}
	c.log = append(c.log, Call{Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/v3"), Query: r.URL.RawQuery, Fault: f})
	c.total++
}

// Calls are those that came in since the last ForgetCalls, the refused ones included.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls.log)
}

// CallsTo counts the calls to one path, such as "/users/me/".
func (s *Server) CallsTo(path string) int {
	n := 0
	for _, c := range s.Calls() {
		if c.Path == path {
			n++
		}
	}
	return n
}

// ForgetCalls empties the log.
func (s *Server) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = calls{}
}

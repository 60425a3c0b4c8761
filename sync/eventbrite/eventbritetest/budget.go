package eventbritetest

import (
	"fmt"
	"net/http"
	"time"
)

// budget counts calls as Eventbrite does.
type budget struct {
	limit, used int
	window      time.Duration
	reset       time.Time
}

// spend counts a call, writes the header that tells so, and says whether it was one
// too many.
func (b *budget) spend(now time.Time, h http.Header) bool {
	if b.limit < 0 {
		return false
	}
	if !now.Before(b.reset) {
		b.used, b.reset = 0, now.Add(b.window)
	}
	over := b.used >= b.limit
	if !over {
		b.used++
	}
	left := max(int((b.reset.Sub(now)+time.Second-1)/time.Second), 0)
	h.Set("X-Rate-Limit", fmt.Sprintf("token:SANDBOX %d/%d reset=%ds, key:SANDBOX %[1]d/%[2]d reset=%[3]ds", b.used, b.limit, left))
	return over
}

// SetBudget says how many calls of how many are used up, and for how long.
func (s *Server) SetBudget(used, limit int, reset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.budget.used, s.budget.limit, s.budget.reset = used, limit, s.now().Add(reset)
}

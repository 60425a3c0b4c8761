package web

import "sync"

// shares bound how much of what all share one of them has at a time.
type shares struct {
	most int

	mu  sync.Mutex
	has map[string]int
}

func newShares(most int) *shares { return &shares{most: most, has: map[string]int{}} }

// take takes one, unless who has her share; leave gives it back.
func (s *shares) take(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[who] >= s.most {
		return false
	}
	s.has[who]++
	return true
}

func (s *shares) leave(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has[who]--; s.has[who] == 0 {
		delete(s.has, who)
	}
}

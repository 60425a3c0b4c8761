package typeformtest

import (
	"net/http"
	"strconv"
	"time"
)

// Faults are what goes wrong, until SetFaults says otherwise. Counts run down with
// each call that they spoil.
type Faults struct {
	// Share of the calls, 0 to 1, that end with a 500. Which ones is the same each time.
	Share float64
	// HeavyOver answers 499 to pages of responses larger than that; 0: to none.
	HeavyOver int
	// HeavyStatus is sent instead of 499.
	HeavyStatus int
	// Limited calls get a 429; with RetryAfter as its header, where that is not empty.
	Limited    int
	RetryAfter string
	// Cut calls break off in the middle of the body; HTML ones get a web page as 200;
	// Silent ones no answer at all, until the caller goes away.
	Cut, HTML, Silent int
	// Latency is waited before each answer.
	Latency time.Duration
	// Ahead is what the Date header says more than the time.
	Ahead time.Duration
	// Refused answers calls with a right token with 401 or 403, too; 0: with neither.
	Refused int

	// MostPerPage gives fewer items than asked for, though more follow; 0: as asked.
	MostPerPage int
	// Endless ignores before and after, so that each page is the first one.
	Endless bool
	// WrongRegion is another host: responses are all empty, and _links names it.
	WrongRegion string
	// Unheard accepts deletions and never carries them out.
	Unheard bool
	// Lacking leaves out what small imitations of the API leave out: GET /forms, GET /me, _links.
	Lacking bool
}

// SetFaults replaces what goes wrong.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// spoil is what befalls this one call.
type spoil struct {
	latency time.Duration
	ahead   time.Duration
	limited bool
	after   string
	refused int
	broken  bool
	cut     bool
	html    bool
	silent  bool
}

// spoilt draws this call's fate; the caller holds the lock.
func (s *Server) spoilt() spoil {
	f := &s.faults
	p := spoil{latency: f.Latency, ahead: f.Ahead, after: f.RetryAfter, refused: f.Refused}
	spent := func(n *int) bool {
		if *n <= 0 {
			return false
		}
		*n--
		return true
	}
	switch {
	case spent(&f.Limited):
		p.limited = true
	case spent(&f.Cut):
		p.cut = true
	case spent(&f.HTML):
		p.html = true
	case spent(&f.Silent):
		p.silent = true
	case f.Share > 0 && s.chance.Float64() < f.Share:
		p.broken = true
	}
	return p
}

// serve lets the spoilt call fail; it tells whether a proper answer is still due.
func (p spoil) serve(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case p.silent:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case p.limited:
		if p.after != "" {
			w.Header().Set("Retry-After", p.after)
		}
		fail(w, http.StatusTooManyRequests, "TOO_MANY_REQUESTS", "slow down")
	case p.broken:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("<html><body>Internal Server Error</body></html>"))
	case p.html:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>Back soon</title>"))
	case p.refused != 0:
		fail(w, p.refused, "AUTHENTICATION_FAILED", "Authentication credentials not found on the Request Headers")
	default:
		return true
	}
	return false
}

// cutter breaks the connection in the middle of the body.
type cutter struct{ http.ResponseWriter }

func (c cutter) Write(b []byte) (int, error) {
	c.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = c.ResponseWriter.Write(b[:len(b)/2])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

package eventbritetest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"lethe/attendees/old/attendees"
)

// Fault is one way in which a call can go wrong.
type Fault string

// The faults.
const (
	ServerError      Fault = "500"             // with a body that is not JSON
	TooMany          Fault = "429"             // without a word of how long
	TooManyAfter     Fault = "429 Retry-After" // Quirks.RetryAfter
	CutBody          Fault = "cut body"
	WebPage          Fault = "web page" // HTML, as 200
	Silence          Fault = "silence"  // Quirks.Silent, then the connection closes
	BrokenConnection Fault = "broken connection"
)

// Quirks are what the server does otherwise than it should. The zero value is a server
// that behaves.
type Quirks struct {
	// FaultEvery makes each n-th call go wrong, by the Faults in turn; 1 is all of them.
	FaultEvery int
	Faults     []Fault
	RetryAfter time.Duration // of TooManyAfter; 0: a second
	Silent     time.Duration // of Silence; 0: two seconds

	Latency time.Duration // before each answer
	Ahead   time.Duration // what the Date header says more than the time

	IgnorePages                bool                     // page=N gives page 1
	BadPages                   bool                     // page=N gives BAD_PAGE
	NoPageNumbers              bool                     // no object_count, page_number, page_count
	EndlessContinuation        bool                     // always a page more, and it is page 1
	ForgottenContinuations     int                      // so many times BAD_CONTINUATION_TOKEN
	ExpansionFails             bool                     // EXPANSION_FAILED where expand is asked for
	OrganizationListingRefused bool                     // 403 for an organisation's attendees
	HalfListed                 bool                     // listings miss every second attendee; by id all answer
	EventsRefusedBy            attendees.OrganizationID // 403 for that organisation's events

	CountsMore  int  // object_count is so many more than are listed
	NewestFirst bool // listings begin with the latest change
}

// Misbehave changes what the server does otherwise than it should.
func (s *Server) Misbehave(change func(*Quirks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.quirks)
	for _, e := range s.events { // the order may be another now
		s.shifted(e)
	}
}

// fault is what goes wrong with this call; empty where nothing does.
func (s *Server) fault() Fault {
	q := s.quirks
	n := s.calls.total + 1
	if q.FaultEvery <= 0 || len(q.Faults) == 0 || n%q.FaultEvery != 0 {
		return ""
	}
	return q.Faults[n/q.FaultEvery%len(q.Faults)]
}

// misbehave carries a fault out and tells whether there was one.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault, q Quirks, body []byte) bool {
	switch f {
	case ServerError:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "upstream sighs "+Secret)
	case TooMany:
		s.refuse(w, errLimit)
	case TooManyAfter:
		after := q.RetryAfter
		if after == 0 {
			after = time.Second
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		s.refuse(w, errLimit)
	case CutBody:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		_, _ = w.Write(half(body))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case WebPage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Be right back</title>"+Secret)
	case Silence:
		silent := q.Silent
		if silent == 0 {
			silent = 2 * time.Second
		}
		sleep(r.Context(), silent)
		panic(http.ErrAbortHandler)
	case BrokenConnection:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

package eventbritetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"lethe/attendees/old/attendees"
)

// What the zero Options mean.
const (
	Token       = "sandbox-token" // the private token that is taken
	PageSize    = 50              // as Eventbrite's
	Limit       = 2000            // calls in a window, as Eventbrite's
	LimitWindow = time.Hour
)

// Options make a sandbox; the zero value is one like Eventbrite.
type Options struct {
	Seed     uint64 // the same seed invents the same people
	Token    string
	PageSize int
	Limit    int // calls until HIT_RATE_LIMIT; negative: none, and no x-rate-limit header
	Window   time.Duration
	Now      func() time.Time
}

// Server is the sandbox. It may be asked and changed by many goroutines at once.
type Server struct {
	token    string
	seed     uint64
	pageSize int
	clock    func() time.Time
	buffers  sync.Pool // of *[]byte, a page each

	mu            sync.Mutex
	rng           *rand.Rand
	ids           int64
	crowd         int
	ticket        int
	organizations []*organization
	events        map[attendees.EventID]*event
	attendees     map[attendees.AttendeeID]*attendee
	quirks        Quirks
	budget        budget
	calls         calls
}

// New makes an empty sandbox.
func New(o Options) *Server {
	if o.Token == "" {
		o.Token = Token
	}
	if o.PageSize <= 0 {
		o.PageSize = PageSize
	}
	if o.Limit == 0 {
		o.Limit = Limit
	}
	if o.Window == 0 {
		o.Window = LimitWindow
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{
		token: o.Token, seed: o.Seed, pageSize: o.PageSize, clock: o.Now,
		buffers:   sync.Pool{New: func() any { return new([]byte) }},
		rng:       rand.New(rand.NewPCG(o.Seed, 0)),
		events:    map[attendees.EventID]*event{},
		attendees: map[attendees.AttendeeID]*attendee{},
		budget:    budget{limit: o.Limit, window: o.Window},
	}
}

func (s *Server) now() time.Time { return s.clock().UTC() }

// Start serves on a free port of 127.0.0.1 and gives the address for EVENTBRITE_URL.
// stop ends it, and the calls that are under way.
func (s *Server) Start() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("eventbritetest: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Handler: s, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ErrServerClosed, always
	}()
	return "http://" + l.Addr().String() + "/v3", func() {
		cancel()
		_ = srv.Close()
		<-done
	}, nil
}

// refusal is an answer that is not 200, in Eventbrite's shape.
type refusal struct {
	status            int
	code, description string
}

func (r *refusal) Error() string { return r.code }

var (
	errContinuation = &refusal{400, "BAD_CONTINUATION_TOKEN", "Invalid continuation token passed."}
	errPage         = &refusal{400, "BAD_PAGE", "That page number does not exist or is an invalid format."}
	errArguments    = &refusal{400, "ARGUMENTS_ERROR", "There are errors with your arguments: changed_since - INVALID"}
	errExpansion    = &refusal{500, "EXPANSION_FAILED", "An error occurred while processing your request."}
	errNoAuth       = &refusal{401, "NO_AUTH", "Authentication is required for this endpoint."}
	errAuth         = &refusal{401, "INVALID_AUTH", "The OAuth token you provided was invalid."}
	errNotFound     = &refusal{404, "NOT_FOUND", "The item you requested does not exist."}
	errRefused      = &refusal{403, "NOT_AUTHORIZED", "You do not have permission to access the resource you requested."}
	errLimit        = &refusal{429, "HIT_RATE_LIMIT", "You have reached your rate limit for this token."}
	errInternal     = &refusal{500, "INTERNAL_ERROR", "An unhandled error occurred in Eventbrite."}
)

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/") {
		to := r.URL.Path + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, to, http.StatusMovedPermanently)
		return
	}
	s.mu.Lock()
	fault, quirks := s.fault(), s.quirks
	s.calls.note(r, fault)
	limited := s.budget.spend(s.now(), w.Header())
	s.mu.Unlock()

	w.Header().Set("Date", time.Now().Add(quirks.Ahead).UTC().Format(http.TimeFormat))
	if quirks.Latency > 0 && !sleep(r.Context(), quirks.Latency) {
		return
	}
	if limited {
		s.refuse(w, errLimit)
		return
	}
	room := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(room)
	body, err := s.reply((*room)[:0], r)
	if err == nil {
		*room = body[:0]
	}
	if s.misbehave(w, r, fault, quirks, body) {
		return
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // who hangs up needs no answer
}

func (s *Server) refuse(w http.ResponseWriter, err error) {
	said, ok := errors.AsType[*refusal](err)
	if !ok {
		said = errInternal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(said.status)
	fmt.Fprintf(w, `{"status_code":%d,"error_description":%q,"error":%q}`, said.status, said.description, said.code)
}

// reply appends the answer to a call.
func (s *Server) reply(body []byte, r *http.Request) ([]byte, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer " + s.token:
	case "":
		return nil, errNoAuth
	default:
		return nil, errAuth
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v3/")
	if !ok || r.Method != http.MethodGet {
		return nil, errNotFound
	}
	q := r.URL.Query()
	part := strings.Split(strings.TrimSuffix(path, "/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case path == "users/me/":
		return append(body, `{"id":"3000000000","name":"Sandbox Organiser","emails":[{"email":"`+Secret+`@example.org"}]}`...), nil
	case path == "users/me/organizations/":
		return s.list(body, q, "organizations", len(s.organizations), func(i int) []byte {
			return renderOrganization(s.organizations[i])
		})
	case len(part) == 3 && part[0] == "organizations":
		return s.ofOrganization(body, attendees.OrganizationID(part[1]), part[2], q)
	case part[0] == "events" && len(part) > 1:
		return s.ofEvent(body, attendees.EventID(part[1]), part[2:], q)
	}
	return nil, errNotFound
}

// sleep waits, and tells whether anybody still listens.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// half is what a cut body has of the whole.
func half(body []byte) []byte { return bytes.Clone(body[:len(body)/2]) }

package typeformtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"lethe/attendees/old/attendees"
)

// Token is what the sandbox takes where Options name no other.
const Token = "tfp_sandbox_token"

// Options of a sandbox. The zero Options make a healthy one.
type Options struct {
	Token       string           // the only one that is let in; empty: Token
	DeleteDelay time.Duration    // how long an accepted deletion waits; 0: until the next call
	Now         func() time.Time // nil: time.Now
}

// Server is a Typeform. It may be used by many goroutines at once.
type Server struct {
	options Options
	mux     *http.ServeMux

	mu     sync.Mutex
	forms  []*held
	faults Faults
	chance *rand.Rand
	log    []Call
	http   *http.Server
}

// New makes a sandbox without forms. It is an http.Handler; Start lets it listen.
func New(o Options) *Server {
	if o.Token == "" {
		o.Token = Token
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o, mux: http.NewServeMux(), chance: rand.New(rand.NewPCG(1, 2))}
	s.mux.HandleFunc("GET /me", s.me)
	s.mux.HandleFunc("GET /forms", s.listForms)
	s.mux.HandleFunc("GET /forms/{form}", s.getForm)
	s.mux.HandleFunc("GET /forms/{form}/responses", s.listResponses)
	s.mux.HandleFunc("DELETE /forms/{form}/responses", s.deleteResponses)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "NOT_FOUND", "endpoint not found")
	})
	return s
}

// headerTimeout ends connections that never ask.
const headerTimeout = 10 * time.Second

// Start listens on a free port of 127.0.0.1 and gives the address to set TYPEFORM_URL
// to. Close ends it.
func (s *Server) Start() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("typeformtest: listen on loopback: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: headerTimeout}
	go func(server *http.Server) { _ = server.Serve(l) }(s.http)
	return "http://" + l.Addr().String(), nil
}

// Close ends what Start began.
func (s *Server) Close() error {
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	return server.Close()
}

// AddForm adds a form without responses, or replaces the questions of one.
func (s *Server) AddForm(f Form) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.held(f.ID); h != nil {
		h.form = f
		return
	}
	s.forms = append(s.forms, &held{form: f, byID: map[attendees.ResponseID]*response{}})
}

// AddResponse lets a person respond. Questions that answers don't name are answered
// from the person, or with Secret where nobody links them. It panics where there is
// no such form.
func (s *Server) AddResponse(form attendees.FormID, p Person, at time.Time, answers ...Answer) attendees.ResponseID {
	return s.add(form, p, at, at, answers)
}

// AddPartial lets a person begin and never send.
func (s *Server) AddPartial(form attendees.FormID, p Person, landed time.Time, answers ...Answer) attendees.ResponseID {
	return s.add(form, p, landed, time.Time{}, answers)
}

func (s *Server) add(form attendees.FormID, p Person, landed, at time.Time, answers []Answer) attendees.ResponseID {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held(form)
	if h == nil {
		panic(fmt.Sprintf("typeformtest: no form %s; call AddForm first", form))
	}
	r := h.render(p, landed, at, answers)
	h.responses = append(h.responses, r)
	h.byID[r.ID] = r
	h.sorted = false
	return r.ID
}

// addressOnly: each fifth person comes to the form by a link without the hidden field.
const addressOnly = 5

// Fill lets all people respond to a form, three in a second, so that seconds tie. Each
// fifth is known by the address alone. It gives their responses' ids, in the order of people.
func (s *Server) Fill(form attendees.FormID, people []Person, first time.Time) []attendees.ResponseID {
	ids := make([]attendees.ResponseID, len(people))
	for i, p := range people {
		if i%addressOnly == addressOnly-1 {
			p.AttendeeID = ""
		}
		ids[i] = s.AddResponse(form, p, first.Add(time.Duration(i/3)*time.Second))
	}
	return ids
}

// Responses is the truth: all completed responses of a form, newest first.
func (s *Server) Responses(form attendees.FormID) []Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.held(form)
	if h == nil {
		return nil
	}
	h.order()
	h.carryOut(s.options.Now())
	var all []Response
	for _, r := range slices.Backward(h.responses) {
		if !r.Submitted.IsZero() {
			all = append(all, r.Response)
		}
	}
	return all
}

// Remove takes responses away at once, as somebody at Typeform's own page would.
func (s *Server) Remove(form attendees.FormID, ids ...attendees.ResponseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.held(form); h != nil {
		h.remove(ids)
	}
}

// held finds a form; the caller holds the lock.
func (s *Server) held(form attendees.FormID) *held {
	i := slices.IndexFunc(s.forms, func(h *held) bool { return h.form.ID == form })
	if i < 0 {
		return nil
	}
	return s.forms[i]
}

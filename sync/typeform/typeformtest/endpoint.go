package typeformtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"lethe/attendees/old/attendees"
)

// What the vendor's reference says.
const (
	formsPerPage     = 10
	mostFormsPerPage = 200
	mostDeleted      = 1000
	maxDeleteBody    = 1 << 20 // a thousand ids of 32 letters, thirty times over
)

func (s *Server) me(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	lacking := s.faults.Lacking
	s.mu.Unlock()
	if lacking {
		fail(w, http.StatusNotFound, "NOT_FOUND", "endpoint not found")
		return
	}
	reply(w, encode(map[string]any{"alias": "Sandbox", "email": Secret + "@example.org", "language": "en"}))
}

func (s *Server) listForms(w http.ResponseWriter, r *http.Request) {
	page, okPage := number(r, "page", 1, 1<<20)
	size, okSize := number(r, "page_size", formsPerPage, mostFormsPerPage)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.faults.Lacking:
		fail(w, http.StatusNotFound, "NOT_FOUND", "endpoint not found")
		return
	case !okPage || !okSize:
		fail(w, http.StatusBadRequest, "VALIDATION_ERROR", "page or page_size out of range")
		return
	}
	from := min((page-1)*size, len(s.forms))
	to := min(from+size, len(s.forms))
	items := []any{}
	for _, h := range s.forms[from:to] {
		items = append(items, map[string]any{
			"id": h.form.ID, "title": h.form.Title, "last_updated_at": "2026-01-02T03:04:05Z",
			"self": map[string]any{"href": s.address(r) + "/forms/" + string(h.form.ID)},
		})
	}
	reply(w, encode(map[string]any{
		"total_items": len(s.forms), "page_count": pages(len(s.forms), size), "items": items,
	}))
}

func (s *Server) getForm(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(w, r)
	if h == nil {
		return
	}
	links := s.address(r)
	switch {
	case s.faults.Lacking:
		links = ""
	case s.faults.WrongRegion != "":
		links = "https://" + s.faults.WrongRegion
	}
	if links != "" {
		links += "/forms/" + string(h.form.ID) + "/responses"
	}
	reply(w, encode(h.form.definition(links)))
}

func (s *Server) listResponses(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(w, r)
	if h == nil {
		return
	}
	if s.faults.WrongRegion != "" {
		reply(w, []byte(`{"items":[],"total_items":0,"page_count":0}`))
		return
	}
	l, problem := parseListing(r.URL.Query())
	if problem != "" {
		fail(w, http.StatusBadRequest, "VALIDATION_ERROR", problem)
		return
	}
	if over := s.faults.HeavyOver; over > 0 && l.size > over {
		status := s.faults.HeavyStatus
		if status == 0 {
			status = 499 // the gateway gave up on its own backend
		}
		fail(w, status, "", "the request took too long")
		return
	}
	if s.faults.Endless {
		l.before, l.after = "", ""
	}
	if most := s.faults.MostPerPage; most > 0 {
		l.size = min(l.size, most)
	}
	h.order()
	items, total, ok := l.pick(h)
	if !ok {
		fail(w, http.StatusBadRequest, "VALIDATION_ERROR", "before or after names no response")
		return
	}
	var b bytes.Buffer
	b.WriteString(`{"total_items":` + strconv.Itoa(total) + `,"page_count":` + strconv.Itoa(pages(total, l.size)) + `,"items":[`)
	for i, it := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		it.write(&b, l.fields)
	}
	b.WriteString(`]}`)
	reply(w, b.Bytes())
}

func (s *Server) deleteResponses(w http.ResponseWriter, r *http.Request) {
	ids := split(r.URL.Query().Get("included_response_ids"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDeleteBody))
	if err != nil {
		fail(w, http.StatusBadRequest, "VALIDATION_ERROR", "body too long or cut")
		return
	}
	if len(body) > 0 {
		var asked struct {
			IDs []string `json:"included_response_ids"`
		}
		if json.Unmarshal(body, &asked) != nil {
			fail(w, http.StatusBadRequest, "INVALID_BODY", "body is not JSON")
			return
		}
		ids = append(ids, asked.IDs...)
	}
	if len(ids) == 0 || len(ids) > mostDeleted {
		fail(w, http.StatusBadRequest, "VALIDATION_ERROR", "included_response_ids must have 1 to 1000 ids")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(w, r)
	if h == nil {
		return
	}
	d := doom{due: s.options.Now().Add(s.options.DeleteDelay)}
	for _, id := range ids {
		d.ids = append(d.ids, attendees.ResponseID(id))
	}
	if !s.faults.Unheard {
		h.doomed = append(h.doomed, d)
	}
	w.WriteHeader(http.StatusOK)
}

// find gives the form that a path names, with what is due carried out, or answers 404.
// The caller holds the lock.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *held {
	h := s.held(attendees.FormID(r.PathValue("form")))
	if h == nil {
		fail(w, http.StatusNotFound, "FORM_NOT_FOUND", "Non existing form with uid "+r.PathValue("form"))
		return nil
	}
	h.carryOut(s.options.Now())
	return h
}

// address is where the sandbox stands, as its caller sees it.
func (s *Server) address(r *http.Request) string { return "http://" + r.Host }

func pages(total, size int) int { return (total + size - 1) / size }

// number reads a parameter from 1 to most.
func number(r *http.Request, name string, otherwise, most int) (int, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= most
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func reply(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

// fail answers in the vendor's shape.
func fail(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(map[string]any{"code": code, "description": description, "details": []any{}, "help": "https://www.typeform.com/developers/"}))
}

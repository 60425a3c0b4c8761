package typeformtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"lethe/attendees/old/attendees"
)

// Response is the truth about one response that the sandbox holds.
type Response struct {
	ID        attendees.ResponseID
	Person    Person
	Submitted time.Time // to the second; zero: begun and never sent
	Answers   map[attendees.QuestionID]any
}

// response is a Response with its JSON, rendered once: 20,000 of them must be served
// as fast as they can be read, or the server would be measured instead of its reader.
type response struct {
	Response
	head    []byte // up to the list of answers
	answers []rendered
	seq     int // which came first, among those of one second
}

type rendered struct {
	id   attendees.QuestionID
	json []byte
}

// held is a form with its responses, oldest first.
type held struct {
	form      Form
	responses []*response
	byID      map[attendees.ResponseID]*response
	sorted    bool
	doomed    []doom
}

// doom is a deletion that is accepted and not carried out yet.
type doom struct {
	ids []attendees.ResponseID
	due time.Time
}

// render makes a response of what somebody answers. What answers leave out is filled
// in from the person, and what nobody links with Secret.
func (h *held) render(p Person, landed, at time.Time, answers []Answer) *response {
	seq := len(h.byID)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", h.form.ID, seq))
	r := &response{seq: seq, Response: Response{
		ID:      attendees.ResponseID(hex.EncodeToString(sum[:16])),
		Person:  p,
		Answers: map[attendees.QuestionID]any{},
	}}
	submitted := "0001-01-01T00:00:00Z"
	if !at.IsZero() {
		r.Submitted = at.UTC().Truncate(time.Second)
		submitted = r.Submitted.Format(time.RFC3339)
	}
	for q := range h.form.flat() {
		value := byDefault(q, p, seq)
		if i := slices.IndexFunc(answers, func(a Answer) bool { return a.Question == q.Ref }); i >= 0 {
			value = answers[i].Value
		}
		if value == nil {
			continue
		}
		r.Answers[q.Ref] = value
		r.answers = append(r.answers, rendered{q.ID, answer(q, value)})
	}
	hidden := map[string]any{"utm_source": Secret, "phone": Secret}
	if p.AttendeeID != "" {
		hidden["attendee_id"] = p.AttendeeID
	}
	r.head = fmt.Appendf(nil, `{"landing_id":%q,"token":%q,"response_id":%q,"response_type":%q,"landed_at":%q,"submitted_at":%q,`+
		`"metadata":{"user_agent":"Mozilla/5.0 %[7]s","platform":"other","referer":"https://sandbox.typeform.com/to/%[8]s?from=%[7]s","network_id":%[7]q,"browser":"default"},`+
		`"hidden":%[9]s,"calculated":{"score":7,"outcome":{"title":%[7]q}},"variables":[{"key":"mood","type":"text","text":%[7]q},{"key":"score","type":"number","number":7}],`+
		`"tags":[%[7]q],"thankyou_screen_ref":"default_tys","answers":`,
		r.ID, r.ID, r.ID, r.kind(), landed.UTC().Format(time.RFC3339), submitted, Secret, h.form.ID, encode(hidden))
	return r
}

func (r *response) kind() string {
	if r.Submitted.IsZero() {
		return "partial"
	}
	return "completed"
}

// byDefault is what a person answers who has no wishes of their own: the same each time.
func byDefault(q Question, p Person, seq int) any {
	if q.Unlinked {
		return forbidden(q)
	}
	switch q.Ref {
	case Name:
		return p.Name
	case Email:
		return p.Email
	case Agree:
		return seq%11 != 10 // a few say no
	case AgreementVersion:
		return Version
	case Affiliation:
		return []string{"River Institute", "City Archive", "University of Elis"}[seq%3]
	case Forums:
		return [][]string{{"Rivers"}, {"Rivers", "Memory"}, {"Archives", "Springs"}}[seq%3]
	case Chair:
		return []string{"No", "Yes", "Only in the morning"}[seq%3]
	case FirstTime:
		return seq%2 == 0
	case Sessions:
		return seq % 9
	case Arrival:
		return "2026-05-01"
	}
	return nil
}

// write appends the JSON; nil fields mean all.
func (r *response) write(b *bytes.Buffer, fields map[attendees.QuestionID]bool) {
	b.Write(r.head)
	b.WriteByte('[')
	first := true
	for _, a := range r.answers {
		if fields != nil && !fields[a.id] {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(a.json)
	}
	b.WriteString("]}")
}

// order sorts by time; those of one second stay in the order in which they came.
func (h *held) order() {
	if h.sorted {
		return
	}
	slices.SortFunc(h.responses, func(a, b *response) int {
		return cmp.Or(a.Submitted.Compare(b.Submitted), cmp.Compare(a.seq, b.seq))
	})
	h.sorted = true
}

// carryOut deletes what is due.
func (h *held) carryOut(now time.Time) {
	h.doomed = slices.DeleteFunc(h.doomed, func(d doom) bool {
		if now.Before(d.due) {
			return false
		}
		h.remove(d.ids)
		return true
	})
}

// remove keeps the id in byID, so that no later response gets it again.
func (h *held) remove(ids []attendees.ResponseID) {
	for _, id := range ids {
		if _, known := h.byID[id]; known {
			h.byID[id] = nil
		}
	}
	h.responses = slices.DeleteFunc(h.responses, func(r *response) bool { return h.byID[r.ID] == nil })
}

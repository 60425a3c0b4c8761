package roster

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"lethe/attendees"
)

// Counts are how many people of an event there are, but for those who are restricted.
type Counts struct {
	Registered       int // of every standing
	Standing         map[attendees.Standing]int
	Agreed, Attended int                           // of those who attend
	Versions         map[string]int                // of the agreement, of those who attend and agreed
	Tickets, Forums  map[string]int                // of those who attend
	Days             map[attendees.Date]int        // on which they registered, in UTC
	Purposes         map[attendees.PurposeName]int // that have a reason
	Kept             map[attendees.Field]int       // of whom something is stored
	Corrected        int

	Answers           map[attendees.FormID]int // responses, matched or not
	Answered          map[attendees.FormID]int // those who attend and gave one
	Unmatched, Claims int                      // responses
}

func newCounts(policy *attendees.Policy) *Counts {
	return &Counts{
		Standing: map[attendees.Standing]int{}, Versions: map[string]int{}, Tickets: map[string]int{}, Forums: map[string]int{},
		Days: map[attendees.Date]int{}, Purposes: map[attendees.PurposeName]int{}, Kept: map[attendees.Field]int{},
		Answers: map[attendees.FormID]int{}, Answered: map[attendees.FormID]int{},
	}
}

// Count counts the people of the roster, once.
func (r *Roster) Count() *Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts != nil {
		return r.counts
	}
	r.counts = newCounts(r.policy)
	for _, slot := range r.keyed {
		r.counts.add(r.policy, r.view(slot))
	}
	for _, a := range r.unmatched {
		form, _ := a.Layer.Response()
		r.counts.Answers[form]++
		r.counts.Unmatched++
		if a.Claims != uuid.Nil {
			r.counts.Claims++
		}
	}
	return r.counts
}

func (c *Counts) add(policy *attendees.Policy, v View) {
	attends := v.Standing() == attendees.Attending
	c.Registered++
	c.Standing[v.Standing()]++
	if v.r.registered != 0 {
		c.Days[attendees.DateOf(moment(v.r.registered))]++
	}
	for i, u := range policy.Purposes {
		if v.For(i) {
			c.Purposes[u.Name]++
		}
	}
	ticket, version := v.c.words[v.r.ticket], v.c.words[v.r.agreement]
	if attends {
		c.Tickets[ticket]++
		if v.HasAgreed() {
			c.Agreed++
			c.Versions[version]++
		}
		if v.Attended() {
			c.Attended++
		}
	}
	kept := func(f attendees.Field, is bool) {
		if is {
			c.Kept[f]++
		}
	}
	kept(attendees.Name, len(v.name) > 0)
	kept(attendees.Email, len(v.email) > 0)
	kept(attendees.Ticket, ticket != "")
	kept(attendees.Attended, v.Attended())
	kept(attendees.AgreementVersion, version != "")
	kept(attendees.AgreedAt, v.r.agreed != 0)
	var seen []attendees.Field
	var chosen [][]byte
	v.fields(func(f attendees.Field, value []byte) {
		if f = f.Base(); !slices.Contains(seen, f) {
			seen = append(seen, f)
			c.Kept[f]++
		}
		if f == attendees.Forums && attends && !slices.ContainsFunc(chosen, func(b []byte) bool { return bytes.Equal(b, value) }) {
			chosen = append(chosen, value)
			c.Forums[string(value)]++
		}
	})
	corrected, forms := v.origins()
	if corrected {
		c.Corrected++
	}
	for i, form := range forms {
		c.Answers[form]++
		if attends && !slices.Contains(forms[:i], form) {
			c.Answered[form]++
		}
	}
}

package roster

import (
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
	Kept             map[attendees.Field]int       // people who have something stored
	Corrected        int

	Answers           map[attendees.FormID]int // responses, matched or not
	Answered          map[attendees.FormID]int // those who attend and gave one
	Unmatched, Claims int                      // responses
}

// Count counts the people of the roster, once.
func (r *Roster) Count() *Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts != nil {
		return r.counts
	}
	r.counts = &Counts{
		Standing: map[attendees.Standing]int{}, Versions: map[string]int{}, Tickets: map[string]int{}, Forums: map[string]int{},
		Days: map[attendees.Date]int{}, Purposes: map[attendees.PurposeName]int{}, Kept: map[attendees.Field]int{},
		Answers: map[attendees.FormID]int{}, Answered: map[attendees.FormID]int{},
	}
	for _, slot := range r.keyed {
		r.counts.add(r.policy, r.view(slot).entry())
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

func (c *Counts) add(policy *attendees.Policy, e *Entry) {
	attends := e.Standing == attendees.Attending
	c.Registered++
	c.Standing[e.Standing]++
	if !e.Registered.IsZero() {
		c.Days[attendees.DateOf(e.Registered)]++
	}
	for _, u := range policy.Purposes {
		if e.For(u) {
			c.Purposes[u.Name]++
		}
	}
	if len(e.Corrected) > 0 {
		c.Corrected++
	}
	if attends {
		c.Tickets[e.Ticket]++
		for _, f := range e.Forums() {
			c.Forums[f.Reveal()]++
		}
	}
	if attends && e.HasAgreed {
		c.Agreed++
		c.Versions[e.AgreementVersion]++
	}
	if attends && e.Attendee.Attended {
		c.Attended++
	}
	for _, f := range e.Stored() {
		c.Kept[f]++
	}
	for i, a := range e.Answered {
		c.Answers[a.Form]++
		if attends && !slices.ContainsFunc(e.Answered[:i], func(o attendees.Answered) bool { return o.Form == a.Form }) {
			c.Answered[a.Form]++
		}
	}
}

package eventbritetest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"lethe/attendees/old/attendees"
)

// Person is one attendee as the sandbox knows it. What is empty is not sent.
type Person struct {
	Name, First, Last, Email string
	Ticket, Status           string
	Cancelled, Refunded      bool
	CheckedIn                bool
	Created, Changed         time.Time
	Answers                  map[attendees.QuestionID][]string // several are joined as Eventbrite joins them
	NoProfile                bool                              // "profile": null
	Order                    string
}

// registration is what a client must make of it.
func (p *Person) registration(id attendees.AttendeeID, event attendees.EventID, questions map[attendees.QuestionID]bool) attendees.Registration {
	r := attendees.Registration{
		ID: id, Event: event, Ticket: p.Ticket, Status: p.Status,
		Cancelled: p.Cancelled, Refunded: p.Refunded, Attended: p.CheckedIn,
		Created: p.Created.UTC().Truncate(time.Second), Changed: p.Changed.UTC().Truncate(time.Second),
	}
	if !p.NoProfile {
		r.Email = attendees.Personal(p.Email)
		r.Name = attendees.Personal(p.Name)
		if p.Name == "" {
			r.Name = attendees.Personal(joinNames(p.First, p.Last))
		}
	}
	for _, q := range slices.Sorted(maps.Keys(p.Answers)) {
		if !questions[q] {
			continue
		}
		if r.Answers == nil {
			r.Answers = map[attendees.QuestionID]attendees.Answer{}
		}
		for _, a := range p.Answers[q] {
			r.Answers[q] = append(r.Answers[q], attendees.Personal(a))
		}
	}
	return r
}

func joinNames(first, last string) string {
	if first == "" || last == "" {
		return first + last
	}
	return first + " " + last
}

// invent makes up the n-th person of an event. The odd ones that real listings hold
// come at fixed places, so that every crowd of a hundred has them all.
func (s *Server) invent(n int, questions []Question, base time.Time) Person {
	pick := func(words []string) string { return words[s.rng.IntN(len(words))] }
	buyer := n // of a group order all tickets carry the buyer's name and address
	if n%20 >= 17 {
		buyer = n - n%20 + 17
	}
	p := Person{
		First:   firstNames[(buyer*31+int(s.seed))%len(firstNames)],
		Last:    lastNames[(buyer*17+buyer/len(firstNames)+int(s.seed))%len(lastNames)],
		Email:   fmt.Sprintf("%s.%d.%d@example.%s", mailboxes[buyer%len(mailboxes)], s.crowd, buyer, tlds[buyer%len(tlds)]),
		Ticket:  tickets[n%len(tickets)],
		Status:  "Attending",
		Created: base.Add(time.Duration(n/7) * time.Second), // seven share each second
		Order:   fmt.Sprint(7_000_000_000 + int64(s.crowd)*1_000_000 + int64(buyer)),
		Answers: map[attendees.QuestionID][]string{},
	}
	p.Changed = p.Created
	p.Name = joinNames(p.First, p.Last)
	switch {
	case n%25 == 7:
		p.Cancelled, p.Status = true, "Not Attending"
	case n%40 == 11:
		p.Cancelled, p.Refunded, p.Status = true, true, "Not Attending"
	case n%6 == 0:
		p.CheckedIn, p.Status = true, "Checked In"
	case n%10 == 4:
		p.Status = ""
	case n%33 == 5:
		p.Status = "Guests Attending"
	case n%34 == 5:
		p.Status = "Deleted"
	}
	switch {
	case n%45 == 9: // paid, but the details have not come yet
		p.Name, p.First, p.Last, p.Email = "Info Requested", "Info", "Requested", ""
		return p
	case n%37 == 13:
		p.Name = ""
	case n%41 == 18:
		p.Name, p.Last = "", ""
	case n%97 == 50:
		p.NoProfile = true
		return p
	}
	for _, q := range questions {
		switch {
		case q.Type == "paragraph":
			p.Answers[q.ID] = []string{Secret + "-diet"}
		case q.Type == "checkbox" && len(q.Choices) > 1:
			some := slices.Clone(q.Choices[s.rng.IntN(len(q.Choices)):])
			p.Answers[q.ID] = some
		case len(q.Choices) > 0:
			if s.rng.IntN(20) > 0 { // a few don't answer
				p.Answers[q.ID] = []string{pick(q.Choices)}
			}
		default:
			p.Answers[q.ID] = []string{pick(guilds)}
		}
	}
	return p
}

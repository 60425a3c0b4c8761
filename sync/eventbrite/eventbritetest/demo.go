package eventbritetest

import (
	"time"

	"lethe/attendees/old/attendees"
)

// Demo is what a sandbox for people to look at holds.
type Demo struct {
	Organization attendees.OrganizationID
	Past         attendees.EventID // ended 40 days ago: past its grace period
	Old          attendees.EventID // ended eight years ago
	Coming       attendees.EventID // in three weeks
	Cancelled    attendees.EventID // would have been next week
	Far          attendees.EventID // in nine years, with a few people
	Questions    DemoQuestions     // of Coming
}

// DemoQuestions are those that each event of a Demo asks, by what they are good for.
type DemoQuestions struct{ Agreement, Forums, Affiliation, Diet attendees.QuestionID }

// Questions are the ones that DemoQuestions name, in their order.
func Questions() []Question {
	return []Question{
		{Title: "I have read the participation agreement, version 3, and agree", Type: "checkbox", Choices: []string{"I agree"}},
		{Title: "Which forums would you like to join?", Type: "checkbox", Choices: []string{"Tides", "Lighthouses", "Knots & Splices"}},
		{Title: "Whom do you come from?", Type: "text"},
		{Title: "Diet and allergies", Type: "paragraph"},
	}
}

// farPeople have registered nine years before.
const farPeople = 20

// Fill invents an organisation with events before and after now, and people in each.
func (s *Server) Fill(people int) Demo {
	const day = 24 * time.Hour
	now := s.now().Truncate(time.Hour)
	d := Demo{Organization: s.AddOrganization("Harbour Lights Association")}
	add := func(name, zone, status string, start time.Time) (attendees.EventID, DemoQuestions) {
		id, q := s.AddEvent(d.Organization, Event{Name: name, Zone: zone, Status: status, Start: start, End: start.Add(8 * time.Hour)}, Questions()...)
		s.AddPeople(id, people)
		return id, DemoQuestions{q[0], q[1], q[2], q[3]}
	}
	d.Old, _ = add("First Gathering of Lighthouse Keepers", "Europe/Lisbon", "completed", now.AddDate(-8, 0, 0))
	d.Past, _ = add("Autumn Forum on Tides", "Europe/Berlin", "completed", now.Add(-40*day))
	d.Cancelled, _ = add("Fog Signals: A Workshop", "America/Chicago", "canceled", now.Add(7*day))
	d.Coming, d.Questions = add("Winter Forum on Tides", "Europe/Berlin", "live", now.Add(21*day))
	far := now.AddDate(9, 0, 0)
	d.Far, _ = s.AddEvent(d.Organization, Event{Name: "Centenary of the Pier Light", Zone: "Europe/Berlin", Start: far, End: far.Add(8 * time.Hour)})
	s.AddPeople(d.Far, min(people, farPeople))
	s.AddEvent(d.Organization, Event{Name: "Evenings at the Pier (all dates)", SeriesParent: true, Start: now, End: now.Add(90 * day)})
	return d
}

// Package attendees is the domain: what is held of people who registered for an
// event, why, and how long. It is pure, on the standard library alone: no SQL, no
// HTTP, no clock. It never does anything; it decides.
//
// Start at Policy, the only list of what may be kept, and Policy.Minimise, the only
// way from what a source says (Registration, Response) to what may be stored
// (Minimised, MinimisedResponse). Policy.Schedule says when an event's people are
// blocked and deleted; Rule holds the statutes behind that. Personal is the type of
// everything that must not be printed.
package attendees

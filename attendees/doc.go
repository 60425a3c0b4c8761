// Package attendees is the domain: what is kept of people who registered for an event,
// why, and for how long. It is pure and imports the standard library alone: no SQL, no
// HTTP, no clock. It decides, and does nothing.
//
// Start at Policy, the only list of what may be kept, and Policy.Minimise, the only way
// from what a source says (Registration, Response) to a Layer, which may be stored. Merge
// derives from layers what is shown of an Attendee, and Attendee.Record what a duty keeps.
// Policy.Schedule says when an event is blocked and deleted; Rule has the statutes.
// Personal is the type of everything that must not be printed.
package attendees

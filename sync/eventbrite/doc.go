// Package eventbrite reads events, their questions and their attendees from
// Eventbrite's API v3, and nothing else of what Eventbrite knows.
//
// It decodes only what a policy can use: of an attendee's addresses, telephone
// numbers, birth date, barcodes and costs nothing is ever turned into a value, they
// are stepped over as bytes. It writes nothing upstream and knows no database; it
// yields typed pages, and the caller's loop decides.
//
// Listings shift under the reader, so the same attendee may come twice, or be missed:
// whoever needs them all saves by id, and reads again with Query.Since set to the
// start of the run.
//
// Start reading at Client.EventAttendees; pages.go knows how a listing is walked.
package eventbrite

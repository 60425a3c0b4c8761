// Package postgres is the store: every SQL statement of the program stands here,
// beside the method that runs it.
//
// It takes only what the policy has minimised (attendees.Minimised), gives an
// organiser only what is active and before its block date, and lets no value out in
// an error. Start reading at room.go, which says where readable data lies and why;
// then attendee.go, the way in, and list.go, the way out.
//
// Writers of one event's room hold that event's row, so they come one after the
// other, and nothing slips in behind a blocking: see open in event.go.
package postgres

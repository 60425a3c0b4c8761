package web

import (
	"lethe/attendees/old/attendees"
	"lethe/attendees/old/postgres"
)

// userShown is a user as pages show her.
type userShown struct {
	Email  string
	Roles  []attendees.Role
	Events []attendees.EventID // none: all
	May    []string
}

// mayDo says what a role is for.
var mayDo = map[attendees.Role]string{
	attendees.Organiser: "see the people of your events, and take their lists",
	attendees.Operator:  "see jobs, feeds, the plan, and who used what; no names",
	attendees.Officer:   "see requests, holds and the ledger",
}

func shownUser(u postgres.User) userShown {
	shown := userShown{Email: u.Email.Reveal(), Roles: u.Roles}
	if u.Has(attendees.Organiser) {
		shown.Events = u.Events
	}
	for _, r := range attendees.Roles() {
		if u.Has(r) {
			shown.May = append(shown.May, mayDo[r])
		}
	}
	return shown
}
